//! Mistakes in configuration files, and what is said about each. Those that meet are in `files.rs`,
//! and those in single values are tested beside the code that reads them.

use super::files::{MINIMAL, complaints};

/// Lines with mistakes, and what is said about them: `line: key: what and how to mend`.
type Row = (&'static str, &'static [&'static str]);

#[test]
fn mistakes_in_tables() {
    for (lines, said) in TABLES {
        assert_said(&format!("{lines}\n{MINIMAL}"), lines, said);
    }
}

#[test]
fn mistakes_in_sites() {
    for (lines, said) in SITES {
        assert_said(&format!("{MINIMAL}{lines}\n"), lines, said);
    }
}

fn assert_said(text: &str, lines: &str, said: &[&str]) {
    let said: Vec<String> = said.iter().map(|it| format!("f:{it}")).collect();
    assert_eq!(complaints(text), said, "{lines}");
}

/// These lines stand before a configuration without mistakes.
const TABLES: &[Row] = &[
    (
        "[[limit]]",
        &["1: limit[0].name: is missing; routes refer to the limit by it"],
    ),
    (
        r#"[[limit]]
name = "a b"
rate = "fast""#,
        &[
            "2: limit[0].name: names of limits are 1 to 64 letters, digits, `_` and `-`; rename it",
            r#"3: limit[0].rate: is not a rate; write "100/s", "600/m" or "10/h""#,
        ],
    ),
    (
        r#"[[limit]]
name = "a"
rate = "1/s"
burst = 0
key = "ip/64"
keys_max = 1
allow = ["10.0.0.1/8"]
status = 200"#,
        &[
            "4: limit[0].burst: is out of limits; write 1 to 1000000",
            r#"5: limit[0].key: has no prefix of an IPv4 network; write "ip/1" to "ip/32""#,
            "6: limit[0].keys_max: is out of limits; write 64 to 4194304",
            r#"7: limit[0].allow[0]: has bits set beyond its prefix; write "10.0.0.0/8""#,
            "8: limit[0].status: is no status of an error; write 400 to 599",
        ],
    ),
    (
        r#"[[limit]]
name = "a"
rate = "1/s"
key = {}
[[limit]]
name = "a"
key = { header = "x y" }"#,
        &[
            r#"4: limit[0].key: names no field; write { header = "x-api-key" }"#,
            "5: limit[1].rate: is missing; write `rate = \"100/s\"`",
            "6: limit[1].name: this name is taken by `limit[0].name` on line 2; remove one of the two",
            "7: limit[1].key: is not the name of a field; use letters, digits and hyphens (RFC 9110 §5.1)",
        ],
    ),
    (
        r#"[resolver]
servers = ["dns.example", "10.0.0.2:0", "::1"]
attempts = 0
timeout = "0s"
ttl_min = "10s"
ttl_max = "1s""#,
        &[
            r#"2: resolver.servers[0]: is not the address of a DNS server; write "10.0.0.2:53" or "[::1]:53""#,
            r#"2: resolver.servers[1]: is not the address of a DNS server; write "10.0.0.2:53" or "[::1]:53""#,
            "3: resolver.attempts: is out of limits; write 1 to 10",
            r#"4: resolver.timeout: must not be zero; a long one, as "1d", is as good as none"#,
            "6: resolver.ttl_max: `ttl_max`, 5m unless written, is shorter than `ttl_min`, 1s unless written; change one of the two",
        ],
    ),
    (
        r#"[resolver]
servers = []
ttl_min = "1h""#,
        &[
            "2: resolver.servers: has 1 to 16 servers; leave it out for those of the system",
            "3: resolver.ttl_min: `ttl_max`, 5m unless written, is shorter than `ttl_min`, 1s unless written; change one of the two",
        ],
    ),
    (
        r#"[origins.b]
servers_max = 0
servers = [
  { url = "http://10.0.0.1", resolve = "each" },
  { url = "unix:/run/a.sock", resolve = "each" },
  { url = "http://a", resolve = "srv" },
  { url = "http://_http._tcp.a:80", resolve = "srv" },
  { url = "http://_http._tcp.a", resolve = "srv", weight = 2 },
  { url = "http://a", resolve = "all" },
]"#,
        &[
            "2: origins.b.servers_max: is out of limits; write 1 to 1024",
            "4: origins.b.servers[0].resolve: is for servers that are names; leave it out",
            "5: origins.b.servers[1].resolve: is for servers that are names; leave it out",
            r#"6: origins.b.servers[2].url: is not the name of SRV records; write "http://_http._tcp.app.internal""#,
            "7: origins.b.servers[3].url: has a port, which SRV records say; leave it out",
            "8: origins.b.servers[4].weight: is what the SRV records say; leave it out",
            r#"9: origins.b.servers[5].resolve: `all` is not known; write "one", "each" or "srv""#,
        ],
    ),
    (
        r#"[server]
limit = ["api"]"#,
        &[r#"2: server.limit[0]: unknown limit `api`; add [[limit]] with `name = "api"`"#],
    ),
    (
        r#"[server]
limit = ["apy"]
[[limit]]
name = "api"
rate = "1/s""#,
        &["2: server.limit[0]: unknown limit `apy`; did you mean `api`?"],
    ),
    (
        r#"profile = "fast""#,
        &[r#"1: profile: `fast` is not known; write "cautious" or "rfc""#],
    ),
    (
        "zz = 1",
        &[
            "1: zz: unknown key; known here are `profile`, `listen`, `server`, `admin`, `log`, `store`, `resolver`, `cache`, `limit`, `origins` and `site`",
        ],
    ),
    (
        "sites = 1",
        &["1: sites: unknown key; did you mean `site`?"],
    ),
    (
        "profile = 5",
        &["1: profile: must be text in double quotes"],
    ),
    (
        "[server]
max_connections = 5",
        &["2: server.max_connections: unknown key; did you mean `connections_max`?"],
    ),
    (
        "[server]
connections_max = 0",
        &["2: server.connections_max: is out of limits; write 1 to 16777216"],
    ),
    (
        "[server]
connections_max = -1",
        &[
            "2: server.connections_max: integer `-1` stands where a whole number from 0 up is wanted",
        ],
    ),
    (
        r#"[server]
connections_max = "many""#,
        &[
            r#"2: server.connections_max: string "many" stands where a whole number from 0 up is wanted"#,
        ],
    ),
    (
        r#"[server]
header_timeout = "0s""#,
        &[r#"2: server.header_timeout: must not be zero; a long one, as "1d", is as good as none"#],
    ),
    (
        "[server]
header_timeout = 10",
        &[
            r#"2: server.header_timeout: integer `10` stands where a duration such as "30s" is wanted"#,
        ],
    ),
    (
        "[server]
header_timeout = 10s",
        &[r#"2: server.header_timeout: is not a value; text goes in double quotes, as "30s""#],
    ),
    (
        "[server]
header_timeout =",
        &[r#"2: server.header_timeout: is not a value; text goes in double quotes, as "30s""#],
    ),
    (
        r#"[server]
header_timeout = "10""#,
        &[r#"2: server.header_timeout: has no unit; write "10s""#],
    ),
    (
        r#"[server]
header_timeout = "1h30m""#,
        &["2: server.header_timeout: unknown unit `h30m`; write ms, s, m, h or d"],
    ),
    (
        r#"[server]
header_bytes_max = "1KiB""#,
        &[r#"2: server.header_bytes_max: is out of limits; write "8KiB" to "1MiB""#],
    ),
    (
        r#"[server]
header_bytes_max = "64k""#,
        &[
            "2: server.header_bytes_max: unknown unit `k`; write KiB, MiB, GiB or TiB (powers of 1024), or KB, MB, GB or TB (powers of 1000)",
        ],
    ),
    (
        r#"[server]
target_bytes_max = "48KiB""#,
        &[
            "2: server.target_bytes_max: is more than `header_bytes_max`, which counts the target too; raise that",
        ],
    ),
    (
        "[server]
body_bytes_max = -1",
        &[
            r#"2: server.body_bytes_max: integer `-1` stands where a size such as "512MiB" is wanted"#,
        ],
    ),
    (
        "[server]
body_bytes_max = true",
        &[
            r#"2: server.body_bytes_max: boolean `true` stands where a size such as "512MiB" is wanted"#,
        ],
    ),
    (
        r#"[server]
purge_from = ["10.0.0.1/8"]"#,
        &[r#"2: server.purge_from[0]: has bits set beyond its prefix; write "10.0.0.0/8""#],
    ),
    (
        r#"[server]
purge_from = ["lan"]"#,
        &[r#"2: server.purge_from[0]: is not a network; write "10.0.0.0/8" or "::1""#],
    ),
    (
        r#"[server]
purge_from = "10.0.0.0/8""#,
        &[
            r#"2: server.purge_from: string "10.0.0.0/8" stands where a list, as ["a", "b"], is wanted"#,
        ],
    ),
    (
        r#"[server]
purge_from = ["10.0.0.0/8", 5, "lan"]"#,
        &[
            "2: server.purge_from[1]: integer `5` stands where text in double quotes is wanted",
            r#"2: server.purge_from[2]: is not a network; write "10.0.0.0/8" or "::1""#,
        ],
    ),
    (
        "[server]
[server]",
        &["2: server: is given twice; keep one of the two"],
    ),
    (
        "[[log]]",
        &["1: log: a list stands where a table with `level`, `access` and `format` is wanted"],
    ),
    (
        r#"[admin]
address = "0.0.0.0:9180""#,
        &[
            r#"2: admin.address: is beyond loopback, where everybody could purge; add a `token` to [admin], or write "127.0.0.1:9180""#,
        ],
    ),
    (
        r#"[admin]
address = "0.0.0.0:9180"
token = "change-me""#,
        &[
            "3: admin.token: is the token of the example, which everybody knows; choose one of your own",
        ],
    ),
    (
        r#"[admin]
token = "a b""#,
        &["2: admin.token: cannot be sent as a bearer token; use letters, digits and -._~+/ only"],
    ),
    (
        r#"[admin]
token = """#,
        &["2: admin.token: cannot be sent as a bearer token; use letters, digits and -._~+/ only"],
    ),
    (
        r#"[admin]
address = "127.0.0.1:8080""#,
        &[
            "2: admin.address: this address is taken by `listen[0].address` on line 4; remove one of the two",
        ],
    ),
    (
        r#"[admin]
address = "0.0.0.0:9180"
token = 5"#,
        &["3: admin.token: integer `5` stands where text in double quotes is wanted"],
    ),
    (
        r#"[log]
level = "loud""#,
        &[
            r#"2: log.level: `loud` is not known; write "error", "warn", "info", "debug" or "trace""#,
        ],
    ),
    (
        r#"[log]
access = "sdtout""#,
        &[r#"2: log.access: is not known; did you mean "stdout"?"#],
    ),
    (
        r#"[log]
access = "syslog""#,
        &[
            r#"2: log.access: is not known; write "off", "stdout", "stderr" or a path, as "./access.log""#,
        ],
    ),
    (
        r#"[log]
format = "xml""#,
        &[r#"2: log.format: `xml` is not known; write "common", "combined" or "json""#],
    ),
    (
        r#"[store]
memory = "1KiB""#,
        &[r#"2: store.memory: is out of limits; write "64KiB" to "1024TiB""#],
    ),
    (
        r#"[store]
memory = "1MiB"
object_max = "2MiB""#,
        &["3: store.object_max: is more than `memory`; lower it or raise that"],
    ),
    (
        r#"[store]
fill_memory = "512KiB""#,
        &[r#"2: store.fill_memory: is out of limits; write "1MiB" to "1024TiB""#],
    ),
    (
        r#"[store]
object_max = "9MiB"
fill_memory = "8MiB""#,
        &[
            "2: store.object_max: is more than `fill_memory`, so that it could never arrive; raise that",
        ],
    ),
    (
        "[store]
variants_max = 0",
        &["2: store.variants_max: is out of limits; write 1 to 10000"],
    ),
    (
        r#"[store]
finish_fill = "yes""#,
        &[r#"2: store.finish_fill: string "yes" stands where true or false is wanted"#],
    ),
    (
        r#"[store]
memory = "9999999999GiB""#,
        &[r#"2: store.memory: is out of limits; write "64KiB" to "1024TiB""#],
    ),
    (
        r#"[cache]
cookies = "strip""#,
        &[r#"2: cache.cookies: `strip` is not known; write "pass" or "ignore""#],
    ),
    (
        r#"[cache]
default_ttl = "10 years""#,
        &["2: cache.default_ttl: unknown unit `years`; write ms, s, m, h or d"],
    ),
    (
        "[cache]
heuristic = 1",
        &["2: cache.heuristic: integer `1` stands where true or false is wanted"],
    ),
    (
        "[cache]
ttl = 60",
        &[r#"2: cache.ttl: integer `60` stands where a duration such as "30s" is wanted"#],
    ),
    (
        r#"[cache]
status_ttl = { 404 = "10s", any = "1m", "1xx" = "1s", 206 = "1s", 600 = "1s", 500 = 5 }"#,
        &[
            r#"2: cache.status_ttl.any: is no status; write 404, or "4xx" for all that begin with a 4"#,
            "2: cache.status_ttl.1xx: is not the status of a final response (RFC 9110 §15.2); leave it out",
            "2: cache.status_ttl.206: has the lifetime of the response that it is a part of; write 200",
            "2: cache.status_ttl.600: is not the status of a final response; write 200 to 599",
            r#"2: cache.status_ttl.500: integer `5` stands where a duration such as "30s" is wanted"#,
        ],
    ),
    (
        r#"[cache]
status_ttl = ["404 10s"]"#,
        &["2: cache.status_ttl: a list stands where a table is wanted"],
    ),
    (
        r#"[cache]
targeted = ["CDN-Cache-Control", "cdn-cache-control", "Cache-Control", "a b"]"#,
        &[
            "2: cache.targeted[1]: is in this list already; remove one",
            "2: cache.targeted[2]: counts anyway where none of these is sent; leave it out",
            "2: cache.targeted[3]: is not the name of a field; use letters, digits and hyphens (RFC 9110 §5.1)",
        ],
    ),
    (
        r#"[cache]
request_directives = "honour"
range = "slices"
slice_size = "32KiB"
query_body_max = "2MiB""#,
        &[
            r#"2: cache.request_directives: `honour` is not known; write "ignore" or "obey""#,
            r#"3: cache.range: `slices` is not known; write "whole", "pass" or "slice""#,
            r#"4: cache.slice_size: is out of limits; write "64KiB" to "64MiB""#,
            r#"5: cache.query_body_max: is out of limits; write "0B" to "1MiB""#,
        ],
    ),
    (
        r#"[cache.key]
query = "sorted"
query_allow = ["a=1", "a", "a", ""]
query_deny = ["utm_*", "*_id", "a b"]"#,
        &[
            r#"2: cache.key.query: `sorted` is not known; write "exact" or "sort""#,
            "3: cache.key.query_allow[0]: is not the name of a query parameter; write the part before its `=`",
            "3: cache.key.query_allow[2]: is in this list already; remove one",
            "3: cache.key.query_allow[3]: is empty; write the name of a query parameter",
            r#"4: cache.key.query_deny[1]: `*` stands only at the end, as in "utm_*""#,
            "4: cache.key.query_deny[2]: has a character that must be percent-encoded, as it is in the URL",
        ],
    ),
    (
        r#"[cache.key]
fields = ["X-Tenant", "Cookie", "TE", "Proxy-Connection", "If-None-Match", "Range", "Pragma", "X-Forwarded-For", "Via", "X-Original-Host"]
cookies = ["sid", "a=b"]"#,
        &[
            "2: cache.key.fields[1]: is another for each visitor; name the cookies that matter in `cookies`",
            "2: cache.key.fields[2]: belongs to the connection and says nothing about the response; leave it out",
            "2: cache.key.fields[3]: belongs to the connection and says nothing about the response; leave it out",
            "2: cache.key.fields[4]: asks for a part or a check of a response, not for another one; leave it out",
            "2: cache.key.fields[5]: asks for a part or a check of a response, not for another one; leave it out",
            "2: cache.key.fields[6]: says how the cache may be used; leave it out and see `request_directives`",
            "2: cache.key.fields[7]: is written or removed by the proxy, so the origin never sees the client's; leave it out",
            "2: cache.key.fields[8]: is written or removed by the proxy, so the origin never sees the client's; leave it out",
            "2: cache.key.fields[9]: is written or removed by the proxy, so the origin never sees the client's; leave it out",
            "3: cache.key.cookies[1]: is not the name of a cookie; write the part before its `=` (RFC 6265 §4.1.1)",
        ],
    ),
    (
        r#"[cache.fold]
accept_encoding = ["gzip", "GZIP", "identity", "g zip"]
accept_language = ["en", "en_US", "*"]
user_agent = "device""#,
        &[
            "2: cache.fold.accept_encoding[1]: is in this list already; remove one",
            "2: cache.fold.accept_encoding[2]: names no coding; leave it out, uncoded responses are taken anyway",
            r#"2: cache.fold.accept_encoding[3]: is not a content coding; write "zstd", "br" or "gzip""#,
            r#"3: cache.fold.accept_language[1]: is not a language; write "en" or "pt-BR" (RFC 4647 §2.1)"#,
            r#"3: cache.fold.accept_language[2]: stands for any language; write those that the site has, as "en""#,
            r#"4: cache.fold.user_agent: string "device" stands where true or false is wanted"#,
        ],
    ),
    (
        r#"[cache.fold]
accept_encoding = ["a", "b", "c", "d", "e"]"#,
        &[
            "2: cache.fold.accept_encoding: has more than 4 codings; keep those that the origin uses",
        ],
    ),
    (
        "[[listen]]",
        &[r#"1: listen[0].address: is missing; write `address = "127.0.0.1:8080"`"#],
    ),
    (
        r#"[[listen]]
adress = "127.0.0.1:1""#,
        &["2: listen[0].adress: unknown key; did you mean `address`?"],
    ),
    (
        r#"[[listen]]
address = "localhost:80""#,
        &[
            r#"2: listen[0].address: is not an IP address and a port; write "127.0.0.1:8080" or "[::]:8080""#,
        ],
    ),
    (
        r#"[[listen]]
address = ":80""#,
        &[
            r#"2: listen[0].address: is not an IP address and a port; write "127.0.0.1:8080" or "[::]:8080""#,
        ],
    ),
    (
        r#"[[listen]]
address = "127.0.0.1:8080""#,
        &[
            "4: listen[1].address: this address is taken by `listen[0].address` on line 2; remove one of the two",
        ],
    ),
    (
        r#"[[listen]]
address = "127.0.0.1:1"
protocol = "https""#,
        &[r#"3: listen[0].protocol: `https` is not known; write "http" or "tcp""#],
    ),
    (
        r#"[[listen]]
address = "127.0.0.1:0"
protocol = "tcp""#,
        &[
            "1: listen[0].origin: is missing; write the name of one, which is to get the connections",
        ],
    ),
    (
        r#"[[listen]]
address = "127.0.0.1:0"
protocol = "tcp"
origin = "b"
proxy_protocol = "v3""#,
        &[
            "4: listen[0].origin: unknown origin `b`; did you mean `a`?",
            r#"5: listen[0].proxy_protocol: `v3` is not known; write "off", "v1" or "v2""#,
        ],
    ),
    (
        r#"[[listen]]
address = "127.0.0.1:0"
idle_timeout = "1m""#,
        &[
            r#"3: listen[0].idle_timeout: is only for `protocol = "tcp"`; write that too, or leave this out"#,
        ],
    ),
    (
        r#"[listen]
address = "127.0.0.1:1""#,
        &["3: syntax: duplicate key"],
    ),
    (
        "[origins.b]",
        &[r#"1: origins.b.servers: is missing; write `servers = ["http://127.0.0.1:8081"]`"#],
    ),
    (
        "[origins.b]
servers = []",
        &["2: origins.b.servers: is empty; write one server at least"],
    ),
    (
        r#"[origins.b]
servers = ["ftp://a"]"#,
        &[r#"2: origins.b.servers[0]: unknown scheme `ftp`; write "http://…" or "https://…""#],
    ),
    (
        r#"[origins.b]
servers = ["a:80"]"#,
        &[r#"2: origins.b.servers[0]: is not a URL; write "http://a:80""#],
    ),
    (
        r#"[origins.b]
servers = ["http://a/b", "http://u@a", "http://a:x", "ftp://a"]"#,
        &[
            "2: origins.b.servers[0]: has a path or a query; leave it out, paths are for routes",
            "2: origins.b.servers[1]: has user information, which is not sent; leave out all up to `@`",
            "2: origins.b.servers[2]: the port must be a number from 1 to 65535",
            r#"2: origins.b.servers[3]: unknown scheme `ftp`; write "http://…" or "https://…""#,
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a", "http://A:80"]"#,
        &["2: origins.b.servers[1]: a:80 is in this list already; remove one"],
    ),
    (
        r#"[origins.b]
server = ["http://a"]"#,
        &["2: origins.b.server: unknown key; did you mean `servers`?"],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
host = "a/b""#,
        &[
            "3: origins.b.host: is not the name of a host; use letters, digits, hyphens and single dots",
        ],
    ),
    (
        r#"[origins."b.c"]
servers = ["http://a"]"#,
        &[
            r#"1: origins."b.c": names of origins are 1 to 64 letters, digits, `_` and `-`; rename it"#,
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
unknown_transfer_coding = "pass""#,
        &[
            r#"3: origins.b.unknown_transfer_coding: `pass` is not known; write "refuse" or "accept""#,
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
http_version = "3"
streams_max = 0"#,
        &[
            r#"3: origins.b.http_version: `3` is not known; write "1.1", "2" or "auto""#,
            "4: origins.b.streams_max: is out of limits; write 1 to 1000",
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
http_version = "2"
streams_max = 1001"#,
        &["4: origins.b.streams_max: is out of limits; write 1 to 1000"],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
idle_max = 4
idle_min = 5
age_max = 3600"#,
        &[
            "4: origins.b.idle_min: is more than `idle_max`, beyond which none is kept; change one of the two",
            "5: origins.b.age_max: integer `3600` stands where a duration such as \"30s\" is wanted",
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
proxy_protocol = "v2"
http_version = "2""#,
        &[
            r#"3: origins.b.proxy_protocol: is for `http_version = "1.1"`: requests of many clients share the connections of HTTP/2; leave one of the two out"#,
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
proxy_protocol = "v1"
idle_min = 1"#,
        &[
            "3: origins.b.proxy_protocol: needs a client, which connections opened ahead by `idle_min` do not have; leave one of the two out",
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
connections_max = 2
idle_min = 3"#,
        &[
            "4: origins.b.idle_min: is more than `connections_max`, beyond which none is opened; change one of the two",
        ],
    ),
    (
        r#"[origins.b]
servers = [
  "http://_http._tcp.a",
  { url = "https://_http._tcp.a", resolve = "each" },
  "grpc://a:50051",
  "grpcs://a",
]"#,
        &[
            r#"3: origins.b.servers[0]: is the name of SRV records; write `{ url = "http://_http._tcp.a", resolve = "srv" }`"#,
            r#"4: origins.b.servers[1].url: is the name of SRV records; write `{ url = "https://_http._tcp.a", resolve = "srv" }`"#,
            r#"5: origins.b.servers[2]: unknown scheme `grpc`; write "http://…" and `http_version = "2"`"#,
            r#"6: origins.b.servers[3]: unknown scheme `grpcs`; write "https://…" and `http_version = "2"`"#,
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
streams_max = 10"#,
        &[
            r#"3: origins.b.streams_max: is for HTTP/2; write `http_version = "2"` or "auto" too, or leave it out"#,
        ],
    ),
    (
        "[origins.b]
servers = [5]",
        &[
            "2: origins.b.servers: integer `5` stands where text in double quotes or a table is wanted",
        ],
    ),
    (
        r#"[origins.b]
servers = [{ url = "ftp://a", weight = 2 }, { weight = 300, backup = true }]"#,
        &[
            r#"2: origins.b.servers[0].url: unknown scheme `ftp`; write "http://…" or "https://…""#,
            r#"2: origins.b.servers[1].url: is missing; write `url = "http://127.0.0.1:8081"`"#,
            "2: origins.b.servers[1].weight: is out of limits; write 1 to 256",
        ],
    ),
    (
        r#"[origins.b]
servers = [{ url = "http://a", backup = true }]"#,
        &["2: origins.b.servers[0]: is a backup as all others; one server at least must not be"],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
balance = "roundrobin""#,
        &[r#"3: origins.b.balance: `roundrobin` is not known; did you mean "round-robin"?"#],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
balance = { hash = "header", bounded_load = 0.5 }"#,
        &[
            r#"3: origins.b.balance.name: is missing; write the name of the field or cookie, as `name = "x-user"`"#,
            "3: origins.b.balance.bounded_load: is out of limits; write 1 to 100",
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
balance = { hash = "url", name = "x" }"#,
        &["3: origins.b.balance.name: is for hashes of a header or a cookie; leave it out"],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
panic_threshold = 50
ejection = { share_max = -1, base = "1h" }"#,
        &[
            "3: origins.b.panic_threshold: is no share; write 0 to 1, as 0.5 for a half",
            "4: origins.b.ejection.share_max: is no share; write 0 to 1, as 0.5 for a half",
            "4: origins.b.ejection.base: `base` is longer than `max`; change one of the two",
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
hedge = { after = "p100", share_max = 5 }
[origins.c]
servers = ["http://a"]
hedge = { after = "soon" }
[origins.d]
servers = ["http://a"]
hedge = { after = 200, share_max = "5%" }
[origins.e]
servers = ["http://a"]
hedge = "p95"
breaker = true
requests_max = "100""#,
        &[
            r#"3: origins.b.hedge.after: is no percentile; write "p50" to "p99""#,
            "3: origins.b.hedge.share_max: is no share; write 0 to 1, as 0.5 for a half",
            r#"6: origins.c.hedge.after: is neither a time nor a percentile; write "200ms" or "p95""#,
            r#"9: origins.d.hedge.after: integer `200` stands where a time such as "200ms" or a percentile such as "p95" is wanted"#,
            r#"9: origins.d.hedge.share_max: string "5%" stands where a number, as 0.5, is wanted"#,
            r#"12: origins.e.hedge: string "p95" stands where a table with `after` and `share_max` is wanted"#,
            "13: origins.e.breaker: boolean `true` stands where a table with `errors`, `requests_min`, `window`, `open_for` and `trials` is wanted",
            "14: origins.e.requests_max: is a number in quotes; write 100 without them",
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
[origins.b.retry]
tries = 6
on = ["timeot", "200", "5xx"]
budget = 2
body_max = "17MiB""#,
        &[
            "4: origins.b.retry.tries: is out of limits; write 1 to 5",
            r#"5: origins.b.retry.on[0]: `timeot` is not known; did you mean "timeout"?"#,
            r#"5: origins.b.retry.on[1]: is no status of an error; write "400" to "599""#,
            r#"5: origins.b.retry.on[2]: `5xx` is not known; write "connect", "reset", "timeout" or "malformed", or a status as "503""#,
            "6: origins.b.retry.budget: is no share; write 0 to 1, as 0.5 for a half",
            r#"7: origins.b.retry.body_max: is out of limits; write "0B" to "16MiB""#,
        ],
    ),
    (
        r#"[origins.b]
servers = ["unix:/a"]
agent = { interval = "0s" }
[origins.c]
servers = ["http://a"]
agent = { port = 0, host = "a:1" }"#,
        &[
            "3: origins.b.agent.host: is missing, and `unix:/a` has none; write it",
            "3: origins.b.agent.port: is missing; write that of the agent, as `port = 9777`",
            r#"3: origins.b.agent.interval: must not be zero; a long one, as "1d", is as good as none"#,
            "6: origins.c.agent.port: is out of limits; write 1 to 65535",
            r#"6: origins.c.agent.host: a host stands here alone, as "app.internal"; leave scheme and port out"#,
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
[origins.b.health]
path = "health"
method = "POST"
status = "2xx"
body = ""
port = 0"#,
        &[
            r#"4: origins.b.health.path: is not a path; write "/health""#,
            r#"5: origins.b.health.method: is not for probes; write "GET", "HEAD" or "OPTIONS""#,
            r#"6: origins.b.health.status: is no list of statuses; write "200", "200-399" or "200-299,404""#,
            "7: origins.b.health.body: is empty, which every body contains; leave it out",
            "8: origins.b.health.port: is out of limits; write 1 to 65535",
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
sticky = { cookie = "a b" }
[origins.c]
servers = ["http://a"]
sticky = { secret = "short" }
[origins.d]
servers = ["http://a"]
sticky = {}"#,
        &[
            "3: origins.b.sticky.cookie: is not the name of a cookie; write the part before its `=` (RFC 6265 §4.1.1)",
            "6: origins.c.sticky.secret: is shorter than 16 letters; write a longer one",
            "9: origins.d.sticky.secret: is missing; write a text of 16 letters or more that nobody guesses, the same for all proxies of the site",
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
health = { kind = "tcp", path = "/", rise = 0 }"#,
        &[
            r#"3: origins.b.health.path: is for `kind = "http"`; leave it out"#,
            "3: origins.b.health.rise: is out of limits; write 1 to 1000",
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
balance = {}"#,
        &[r#"3: origins.b.balance: says nothing; write `hash = "url"` or `load_field = "x-load"`"#],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
requests_max = "adaptiv"
pending_max = 1000001
pending_timeout = "0s"
breaker = { errors = 0.0, requests_min = 0, trials = 1001, open_for = "0s" }
[origins.c]
servers = ["http://a"]
requests_max = 1000001
breaker = { errors = 1.5 }"#,
        &[
            r#"3: origins.b.requests_max: `adaptiv` is not known; write a whole number or "adaptive""#,
            "4: origins.b.pending_max: is out of limits; write 0 to 1000000",
            r#"5: origins.b.pending_timeout: must not be zero; a long one, as "1d", is as good as none"#,
            "6: origins.b.breaker.errors: would open the breaker for good; write more than 0",
            "6: origins.b.breaker.requests_min: is out of limits; write 1 to 1000000",
            "6: origins.b.breaker.trials: is out of limits; write 1 to 1000",
            r#"6: origins.b.breaker.open_for: must not be zero; a long one, as "1d", is as good as none"#,
            "9: origins.c.requests_max: is out of limits; write 0 to 1000000",
            "10: origins.c.breaker.errors: is no share; write 0 to 1, as 0.5 for a half",
        ],
    ),
    (
        r#"[origins.b]
servers = ["tcp://a:1"]
requests_max = "adaptive"
[[listen]]
address = "127.0.0.1:1"
protocol = "tcp"
origin = "b""#,
        &[
            r#"4: listen[0]: leads to an origin with `requests_max = "adaptive"`, which follows the latency of answers; write a number there"#,
        ],
    ),
    (
        r#"[origins.b]
servers = ["http://a"]
requests_max = 1.5"#,
        &[
            r#"3: origins.b.requests_max: floating point `1.5` stands where a whole number from 0 up or "adaptive" is wanted"#,
        ],
    ),
    ("[x", &["1: syntax: unclosed table, expected `]`"]),
    (
        r#"x = ""#,
        &[r#"1: syntax: invalid basic string, expected `"`"#],
    ),
    (
        "x = [1",
        &["2: syntax: missing comma between array elements, expected `,`"],
    ),
    (
        "= 1",
        &["1: syntax: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`"],
    ),
    (
        "x = {a=1",
        &["2: syntax: missing key for inline table element, expected `,`"],
    ),
];

/// These lines stand behind a configuration without mistakes, from its line 8 on, in its site.
const SITES: &[Row] = &[
    (
        "hosts2 = 1",
        &["8: site[0].hosts2: unknown key; did you mean `hosts`?"],
    ),
    (
        "[[site.route]]",
        &[
            r#"8: site[0].route[0].path: is missing; write `path = "/*"` for all paths"#,
            "8: site[0].route[0]: leads nowhere; add one of `origin`, `redirect` and `answer`",
        ],
    ),
    (
        r#"[[site.route]]
origin = "a""#,
        &[r#"8: site[0].route[0].path: is missing; write `path = "/*"` for all paths"#],
    ),
    (
        r#"[[site.route]]
path = "/x""#,
        &["8: site[0].route[0]: leads nowhere; add one of `origin`, `redirect` and `answer`"],
    ),
    (
        r#"[[site.route]]
path = "x"
origin = "a""#,
        &["9: site[0].route[0].path: must begin with `/`, as in `/a/*`"],
    ),
    (
        r#"[[site.route]]
path = "/*/x"
origin = "a""#,
        &["9: site[0].route[0].path: `*` stands only at the end and after a `/`, as in `/a/*`"],
    ),
    (
        r#"[[site.route]]
path = "/{a}.x"
origin = "a""#,
        &["9: site[0].route[0].path: `{name}` must fill its whole segment, as in `/users/{id}`"],
    ),
    (
        r#"[[site.route]]
path = "/*"
origin = "a""#,
        &[
            "7: site[0].origin: this path is taken by `site[0].route[0].path` on line 9; remove one of the two",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x/{a}"
origin = "a"
[[site.route]]
path = "/x/{b}"
origin = "a""#,
        &[
            "12: site[0].route[1].path: this path is taken by `site[0].route[0].path` on line 9; remove one of the two",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "b""#,
        &["10: site[0].route[0].origin: unknown origin `b`; did you mean `a`?"],
    ),
    (
        r#"[[site.route]]
path = "/x"
orign = "a""#,
        &["10: site[0].route[0].orign: unknown key; did you mean `origin`?"],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
answer = { }"#,
        &["11: site[0].route[0].answer: this route has `origin` already; keep one of the two"],
    ),
    (
        r#"[[site.route]]
path = "/x/*"
origin = "a"
strip_prefix = "/y""#,
        &["11: site[0].route[0].strip_prefix: is not the front of `/x/*`"],
    ),
    (
        r#"[[site.route]]
path = "/xy/*"
origin = "a"
strip_prefix = "/x""#,
        &["11: site[0].route[0].strip_prefix: is not the front of `/xy/*`"],
    ),
    (
        r#"[[site.route]]
path = "/x/*"
origin = "a"
strip_prefix = "/x/""#,
        &[
            "11: site[0].route[0].strip_prefix: must begin with `/`, name something and not end with `/`",
        ],
    ),
    (
        r#"[[site.route]]
path = "/{x}/*"
origin = "a"
strip_prefix = "/{x}""#,
        &["11: site[0].route[0].strip_prefix: must be plain text, without `{name}` and `*`"],
    ),
    (
        r#"[[site.route]]
path = "/x"
redirect = { }"#,
        &[r#"10: site[0].route[0].redirect.to: is missing; write a URL, as "https://a.example/""#],
    ),
    (
        r#"[[site.route]]
path = "/x"
redirect = { to = "new" }"#,
        &[
            r#"10: site[0].route[0].redirect.to: must be a URL, as "https://a.example/", or a path, as "/new/""#,
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
redirect = { to = "/new", status = 300 }"#,
        &[
            "10: site[0].route[0].redirect.status: does not redirect; write 301, 302, 303, 307 or 308",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
redirect = { to = "/new/", keep_rest = true }"#,
        &[
            "10: site[0].route[0].redirect.keep_rest: there is no rest to keep; let the path end with `/*`",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x/*"
redirect = { to = "/new", keep_rest = true }"#,
        &[
            "10: site[0].route[0].redirect.to: must end with `/` and have no query, since `keep_rest` adds to it",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
redirect = { to = "/new" }
strip_prefix = "/x"
cache = { enabled = false }"#,
        &[
            "11: site[0].route[0].strip_prefix: has no effect beside `redirect`; leave it out",
            "12: site[0].route[0].cache: has no effect beside `redirect`; leave it out",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
answer = { status = 100 }"#,
        &["10: site[0].route[0].answer.status: is no final status; write 200 to 599"],
    ),
    (
        r#"[[site.route]]
path = "/x"
answer = { status = 204, body = "x" }"#,
        &["10: site[0].route[0].answer.body: status 204 has no body; leave it out"],
    ),
    (
        r#"[[site.route]]
path = "/x"
answer = { fields = { content-length = "1" } }"#,
        &[
            "10: site[0].route[0].answer.fields.content-length: belongs to the connection and is written by the proxy alone; leave it out",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
answer = { fields = { "a b" = "1", c = " x", d = "\n", e = "é" } }"#,
        &[
            r#"10: site[0].route[0].answer.fields."a b": is not the name of a field; use letters, digits and hyphens (RFC 9110 §5.1)"#,
            "10: site[0].route[0].answer.fields.c: is not the value of a field; use visible ASCII, with spaces only between words (RFC 9110 §5.5)",
            "10: site[0].route[0].answer.fields.d: is not the value of a field; use visible ASCII, with spaces only between words (RFC 9110 §5.5)",
            "10: site[0].route[0].answer.fields.e: is not the value of a field; use visible ASCII, with spaces only between words (RFC 9110 §5.5)",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
request_fields = { set = { Host = "b", A = "1" }, remove = ["a", "connection"] }"#,
        &[
            "11: site[0].route[0].request_fields.set.Host: is set by the key `host` of the origin; move it there",
            "11: site[0].route[0].request_fields.remove[0]: is named twice; letter case makes no other field",
            "11: site[0].route[0].request_fields.remove[1]: belongs to the connection and is written by the proxy alone; leave it out",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
response_fields = { add = { } }"#,
        &[
            "11: site[0].route[0].response_fields.add: unknown key; known here are `set` and `remove`",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
cache = { ttls = "1s", key = { zz9 = 1 }, fold = { encoding = [] } }"#,
        &[
            "11: site[0].route[0].cache.ttls: unknown key; did you mean `ttl`?",
            "11: site[0].route[0].cache.key.zz9: unknown key; known here are `query`, `query_allow`, `query_deny`, `fields` and `cookies`",
            "11: site[0].route[0].cache.fold.encoding: unknown key; known here are `accept_encoding`, `accept_language` and `user_agent`",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
cache = { enabled = false, ttl = "1h" }"#,
        &[
            "11: site[0].route[0].cache.enabled: leaves the other keys of this table without effect; leave those out, or this",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
cache = { status_ttl = { 304 = "1s" }, key = { fields = ["host"] } }"#,
        &[
            "11: site[0].route[0].cache.status_ttl.304: has the lifetime of the response that it confirms; write 200",
            "11: site[0].route[0].cache.key.fields[0]: is part of every key already; leave it out",
        ],
    ),
    (
        "[[site]]",
        &[
            "8: site[1]: has no route; add a [[site.route]], or `origin` for one",
            r#"8: site[1].hosts: is missing; write `hosts = ["*"]` for any host"#,
        ],
    ),
    (
        r#"[[site]]
hosts = []
origin = "a""#,
        &[r#"9: site[1].hosts: is empty; write ["*"] for any host"#],
    ),
    (
        r#"[[site]]
hosts = ["b"]"#,
        &["8: site[1]: has no route; add a [[site.route]], or `origin` for one"],
    ),
    (
        r#"[[site]]
hosts = ["*"]
origin = "a""#,
        &[
            "9: site[1].hosts[0]: this host is taken by `site[0].hosts[0]` on line 6; remove one of the two",
        ],
    ),
    (
        r#"[[site]]
hosts = ["b", "B", "*.c", "*.C", "c:80", "*d", ".d", "é"]
origin = "a""#,
        &[
            "9: site[1].hosts[1]: this host is taken by `site[1].hosts[0]` on line 9; remove one of the two",
            "9: site[1].hosts[3]: this host is taken by `site[1].hosts[2]` on line 9; remove one of the two",
            r#"9: site[1].hosts[4]: a host stands here alone, as "app.internal"; leave scheme and port out"#,
            r#"9: site[1].hosts[5]: `*` stands alone or before a dot, as "*.shop.example""#,
            r#"9: site[1].hosts[6]: subdomains are written with a star, as "*.shop.example""#,
            r#"9: site[1].hosts[7]: a name beyond ASCII is written in its "xn--" form"#,
        ],
    ),
    (
        r#"[[site]]
hosts = "b"
origin = "a""#,
        &[r#"9: site[1].hosts: string "b" stands where a list, as ["a", "b"], is wanted"#],
    ),
    (
        r#"[[site]]
host = ["b"]
origin = "a""#,
        &["9: site[1].host: unknown key; did you mean `hosts`?"],
    ),
    (
        r#"[[site]]
hosts = ["b"]
routes = []"#,
        &["10: site[1].routes: unknown key; did you mean `route`?"],
    ),
];
