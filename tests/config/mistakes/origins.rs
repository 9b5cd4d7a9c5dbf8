//! Mistakes in the tables of origins and their servers.

use super::Row;

/// These lines stand before a configuration without mistakes.
pub const ROWS: &[Row] = &[
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
            "5: origins.b.age_max: has no unit; write \"3600s\"",
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
            r#"12: origins.e.hedge: is a table; write `hedge = { after = "p95" }`"#,
            "13: origins.e.breaker: is a table; write `breaker = { errors = 0.5 }`",
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
];
