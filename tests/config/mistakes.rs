//! Mistakes in configuration files, and what is said about each. Those that meet are in `files.rs`,
//! and those in single values are tested beside the code that reads them.

mod acme;
mod origins;
mod rules;
mod sites;
mod tls;

use super::files::{MINIMAL, complaints};

/// Lines with mistakes, and what is said about them: `line: key: what and how to mend`.
pub type Row = (&'static str, &'static [&'static str]);

#[test]
fn mistakes_in_tables() {
    for (lines, said) in TABLES.iter().chain(origins::ROWS).chain(acme::ROWS) {
        assert_said(&format!("{lines}\n{MINIMAL}"), lines, said);
    }
}

#[test]
fn mistakes_in_sites() {
    for (lines, said) in sites::ROWS {
        assert_said(&format!("{MINIMAL}{lines}\n"), lines, said);
    }
}

#[test]
fn mistakes_in_rules() {
    for (lines, said) in rules::ROWS {
        assert_said(&format!("{MINIMAL}{lines}\n"), lines, said);
    }
    for lines in rules::GOOD {
        assert_said(&format!("{MINIMAL}{lines}\n"), lines, &[]);
    }
}

#[test]
fn mistakes_in_tls() {
    for (lines, said) in tls::ROWS {
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
        r#"name = "edge 1"
include = []
[server]
request_id = "a b""#,
        &[
            "1: name: names no hop; write 1 to 64 letters, digits and hyphens, a letter first",
            "2: include: is empty; name files, or leave it out",
            "4: server.request_id: is not the name of a field; use letters, digits and hyphens (RFC 9110 §5.1)",
        ],
    ),
    (
        r#"include = "conf.d/*.toml"
[server]
request_id = "Cookie""#,
        &[
            r#"1: include: is a list; write ["conf.d/*.toml"]"#,
            r#"3: server.request_id: has a meaning of its own; write "x-request-id""#,
        ],
    ),
    (
        r#"include = ["", "conf.*/a.toml", "${env.}"]"#,
        &[
            r#"1: include[0]: is empty; write "conf.d/*.toml", or the name of a file"#,
            "1: include[1]: has a `*` in the name of a folder; only names of files may have one",
            "1: include[2]: `${env.}` names no variable; write `${env.NAME}` or `${env.NAME:-default}`",
        ],
    ),
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
        r#"[list.a]
[list."b c"]
kind = "networks"
entries = ["10.0.0.1/8", "a"]
[list.d]
kind = "words"
file = "/nowhere/words"
[map.e]"#,
        &[
            "1: list.a.kind: is missing; write `kind = \"networks\"`, \"words\" or \"globs\"",
            "1: list.a: holds nothing; add `entries` or `file`, which has one entry a line",
            "2: list.\"b c\": names of lists are 1 to 64 letters, digits, `_` and `-`; rename it",
            r#"4: list."b c".entries[0]: has bits set beyond its prefix; write "10.0.0.0/8""#,
            r#"4: list."b c".entries[1]: is not a network; write "10.0.0.0/8" or "::1""#,
            "7: list.d.file: /nowhere/words cannot be read: No such file or directory (os error 2); is the path right? A relative one begins where copal was started",
            "8: map.e: holds nothing; add `entries` or `file`, which has one entry a line",
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
        r#"[server]
allow_fields = ["x_real_ip", "x_tenant", "x-tenant", "a b"]"#,
        &[
            "2: server.allow_fields[2]: is not dropped anyway; leave it out",
            "2: server.allow_fields[3]: is not the name of a field; use letters, digits and hyphens (RFC 9110 §5.1)",
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
            "1: zz: unknown key; known here are `include`, `profile`, `name`, `listen`, `certificate`, `tls`, `acme`, `server`, `admin`, `log`, `store`, `resolver`, `cache`, `limit`, `list`, `map`, `origins`, `site` and `rule`",
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
        &[r#"2: server.header_timeout: has no unit; write "10s""#],
    ),
    (
        "[server]
header_timeout = 10s",
        &[
            r#"2: server.header_timeout: is not a value; text goes in double quotes, as "30s", true and false without them"#,
        ],
    ),
    (
        "[server]
header_timeout =",
        &[
            r#"2: server.header_timeout: is not a value; text goes in double quotes, as "30s", true and false without them"#,
        ],
    ),
    (
        r#"[server]
header_timeout = "10""#,
        &[r#"2: server.header_timeout: has no unit; write "10s""#],
    ),
    (
        r#"[server]
header_timeout = "1h30m""#,
        &[r#"2: server.header_timeout: takes one whole number with ms, s, m, h or d; write "90m""#],
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
            r#"2: server.header_bytes_max: does not say of which powers; write "64KiB" (of 1024) or "64KB" (of 1000)"#,
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
        r#"[server.http2]
streams_max = 0
stream_window = "8KiB""#,
        &[
            "2: server.http2.streams_max: is out of limits; write 1 to 1000",
            r#"3: server.http2.stream_window: is out of limits; write "16KiB" to "16MiB""#,
        ],
    ),
    (
        r#"[server.http2]
stream_window = "2MiB""#,
        &[
            "2: server.http2.stream_window: leaves `stream_window` larger than `connection_window`, which \
             is never filled; change one of the two",
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
        &[r#"2: server.purge_from: is a list; write ["10.0.0.0/8"]"#],
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
        &["1: log: stands once; write its header in single brackets, [log]"],
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
        r#"[admin]
rate = "1"
[[admin.tokens]]
name = "a b"
[[admin.tokens]]
name = "a"
token = "x y"
scopes = []
[[admin.tokens]]
name = "c"
token = "y"
scopes = ["read"]
[[admin.tokens]]
name = "c"
token = "z"
scopes = ["read"]"#,
        &[
            "2: admin.rate: is not a rate; write \"100/s\", \"600/m\" or \"10/h\"",
            "3: admin.tokens[0].token: is missing; write `token = \"…\"`, or `\"${env.NAME}\"`",
            "3: admin.tokens[0].scopes: is missing; write `scopes = [\"purge\"]`, of \"read\", \"purge\" and \"operate\"",
            "7: admin.tokens[1].token: cannot be sent as a bearer token; use letters, digits and -._~+/ only",
            "8: admin.tokens[1].scopes: opens nothing; write \"read\", \"purge\" or \"operate\"",
            "13: admin.tokens[3]: has the name or the token of one before it; give each its own",
        ],
    ),
    (
        r#"[admin]
tokens = [{ name = "a", token = "b", scopes = ["reads"] }]"#,
        &[
            "2: admin.tokens[0].scopes: `reads` is not known; write \"read\", \"purge\" or \"operate\"",
        ],
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
        &[
            r#"2: cache.cookies: `strip` is not known; write "pass", "ignore", "forward" or a table, as `{ ignore = ["_ga*"] }`"#,
        ],
    ),
    (
        r#"[cache]
default_ttl = "10 years""#,
        &[r#"2: cache.default_ttl: takes one whole number with ms, s, m, h or d; write "3650d""#],
    ),
    (
        "[cache]
heuristic = 1",
        &["2: cache.heuristic: integer `1` stands where true or false is wanted"],
    ),
    (
        "[cache]
ttl = 60",
        &[r#"2: cache.ttl: has no unit; write "60s""#],
    ),
    (
        r#"[cache]
status_ttl = { 404 = "10s", any = "1m", "1xx" = "1s", 206 = "1s", 600 = "1s", 500 = 5 }"#,
        &[
            r#"2: cache.status_ttl.any: is no status; write 404, or "4xx" for all that begin with a 4"#,
            "2: cache.status_ttl.1xx: is not the status of a final response (RFC 9110 §15.2); leave it out",
            "2: cache.status_ttl.206: has the lifetime of the response that it is a part of; write 200",
            "2: cache.status_ttl.600: is not the status of a final response; write 200 to 599",
            r#"2: cache.status_ttl.500: has no unit; write "5s""#,
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
            r#"2: listen[0].address: is a name, and a listener has an address; write "127.0.0.1:80" for this machine alone, or "0.0.0.0:80" for all"#,
        ],
    ),
    (
        r#"[[listen]]
address = ":80""#,
        &[
            r#"2: listen[0].address: has no IP address; write "127.0.0.1:80" for this machine alone, or "0.0.0.0:80" for all"#,
        ],
    ),
    (
        r#"[[listen]]
address = "unix:http.sock""#,
        &[
            r#"2: listen[0].address: must be the whole path of a socket; write "unix:/run/copal/http.sock""#,
        ],
    ),
    (
        r#"[[listen]]
address = "/run/http.sock""#,
        &[r#"2: listen[0].address: is a path; write "unix:/run/http.sock" for a socket there"#],
    ),
    (
        r#"[[listen]]
address = "systemd:""#,
        &[
            r#"2: listen[0].address: needs the FileDescriptorName= of a socket unit; write "systemd:http" for one that has FileDescriptorName=http"#,
        ],
    ),
    (
        r#"[[listen]]
address = "127.0.0.1:1"
mode = "0660"
owner = "root""#,
        &[
            r#"3: listen[0].mode: is only for an address such as "unix:/run/copal/http.sock"; leave this out"#,
            r#"4: listen[0].owner: is only for an address such as "unix:/run/copal/http.sock"; leave this out"#,
        ],
    ),
    (
        r#"[[listen]]
address = "unix:/run/a.sock"
mode = "rw-rw----""#,
        &[
            r#"3: listen[0].mode: is no mode of a file; write "0660" for owner and group, or "0666" for all"#,
        ],
    ),
    (
        r#"[[listen]]
address = "unix:/run/a.sock"
owner = "nobody-has-this-name:0""#,
        &[
            "3: listen[0].owner: names no user of /etc/passwd: `nobody-has-this-name`; write one that is there, or its number",
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
        r#"[[listen]]
address = "127.0.0.1:0"
accept_proxy = "optional"
[[listen]]
address = "127.0.0.1:0"
accept_proxy = "optional"
proxy_from = []
[[listen]]
address = "127.0.0.1:0"
accept_proxy = "optional"
proxy_from = ["10.0.0.1/8", "lb"]"#,
        &[
            r#"3: listen[0].accept_proxy: "optional" needs the networks of those who may send a header; add `proxy_from = ["10.0.0.0/8"]`"#,
            r#"7: listen[1].proxy_from: is empty, so that no header would be believed; name networks, as ["10.0.0.0/8"]"#,
            r#"11: listen[2].proxy_from[0]: has bits set beyond its prefix; write "10.0.0.0/8""#,
            r#"11: listen[2].proxy_from[1]: is not a network; write "10.0.0.0/8" or "::1""#,
        ],
    ),
    (
        r#"[[listen]]
address = "127.0.0.1:0"
accept_proxy = "on"
[[listen]]
address = "127.0.0.1:0"
accept_proxy = 1
[[listen]]
address = "127.0.0.1:0"
proxy_from = ["10.0.0.0/8"]"#,
        &[
            r#"3: listen[0].accept_proxy: `on` is not known; write "off", "require" or "optional""#,
            "6: listen[1].accept_proxy: integer `1` stands where true, false or text in double quotes is wanted",
            r#"9: listen[2].proxy_from: has no effect while `accept_proxy` is "off"; write "require" or "optional" there, or leave this out"#,
        ],
    ),
    (
        r#"[[listen]]
address = "127.0.0.1:0"
backlog = 0
tcp_user_timeout = "25d"
notsent_lowat = "2GiB""#,
        &[
            "3: listen[0].backlog: is out of limits; write 1 to 1048576",
            r#"4: listen[0].tcp_user_timeout: is out of limits; write "1ms" to "24d""#,
            r#"5: listen[0].notsent_lowat: is out of limits; write "1B" to "1GiB""#,
        ],
    ),
    (
        r#"[listen]
address = "127.0.0.1:1""#,
        &["3: syntax: duplicate key"],
    ),
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
