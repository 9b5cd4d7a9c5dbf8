//! Notes on servers, timeouts and rules.

use super::super::Row;

/// What it is, the file with it, and what is noted.
pub const ROWS: &[Row] = &[
    (
        "a rule behind one that answers all",
        r#"@listen
@origin
@site
[[rule]]
name = "all"
deny = 503
[[rule]]
pass = true"#,
        &[
            "11: rule[1]: note: is never looked at, for rule `all` before it answers all requests; give that one a `when`, or move it to the end",
        ],
    ),
    (
        "https that nobody speaks",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
origin = "app"
https_only = true
hsts = "1h""#,
        &[
            "8: site[0].https_only: note: sends all clients on to https, which no [[listen]] speaks; write one with `tls = true`, or the networks of what speaks it before us as `trusted_proxies`",
            "9: site[0].hsts: note: is told to no client, as no [[listen]] speaks https; write one with `tls = true`",
        ],
    ),
    (
        "followers who give up too soon",
        r#"@listen
@origin
first_byte_timeout = "5m"
@site"#,
        &[
            "5: origins.app.first_byte_timeout: note: an answer of origin `app` may take 306s by its `pending_timeout`, `connect_timeout` and `first_byte_timeout`, and those who wait for it ask themselves after 70s, all at once; raise `follower_timeout` of [store], or lower these",
        ],
    ),
    (
        "connect_timeout above first_byte_timeout",
        r#"@listen
@origin
connect_timeout = "30s"
first_byte_timeout = "2s"
@site"#,
        &[
            "5: origins.app.connect_timeout: note: is longer than `first_byte_timeout`, 2s: a connection takes milliseconds, an answer may take long; are the two swapped?",
        ],
    ),
    (
        "stale_after that never acts",
        r#"@listen
@origin
@site
[cache]
stale_after = "2m""#,
        &[
            "9: cache.stale_after: note: never acts, for the origin has answered or failed after 66s; shorten it",
        ],
    ),
    (
        "a hedge that never acts",
        r#"@listen
[origins.app]
servers = ["http://a", "http://b"]
first_byte_timeout = "1s"
hedge = { after = "2s" }
@site"#,
        &[
            "6: origins.app.hedge.after: note: is not shorter than `first_byte_timeout`, 1s, so that it never acts; shorten it",
        ],
    ),
    (
        "idle_timeout above age_max",
        r#"@listen
@origin
idle_timeout = "2h"
@site"#,
        &[
            "5: origins.app.idle_timeout: note: is longer than `age_max`, 1h, by which connections end sooner; raise that",
        ],
    ),
    (
        "a hedge with one server",
        "@listen
@origin
hedge = {}
@site",
        &[
            "5: origins.app.hedge: note: asks another server as well, of which there is none; add a server, or leave it out",
        ],
    ),
    (
        "sticky with one server",
        r#"@listen
@origin
sticky = { secret = "0123456789abcdef" }
@site"#,
        &[
            "5: origins.app.sticky: note: brings clients back to one of several servers, and there is one alone; add a server, or leave it out",
        ],
    ),
    (
        "weights of first",
        r#"@listen
[origins.app]
servers = [{ url = "http://a", weight = 2 }, "http://b"]
balance = "first"
@site"#,
        &[
            r#"4: origins.app.servers[0].weight: note: has no effect with `balance = "first"`; leave it out, or choose another balance"#,
        ],
    ),
    (
        "servers_max without DNS",
        "@listen
@origin
servers_max = 4
@site",
        &[
            r#"5: origins.app.servers_max: note: counts servers that DNS names, and all are written here; leave it out, or write `resolve = "each"` for a server"#,
        ],
    ),
    (
        "pending_timeout without a queue",
        r#"@listen
@origin
pending_max = 0
pending_timeout = "5s"
@site"#,
        &[
            "6: origins.app.pending_timeout: note: has no effect beside `pending_max = 0`, by which nobody waits; leave it out",
        ],
    ),
    (
        "requests_max above connections_max",
        "@listen
@origin
requests_max = 200
connections_max = 100
@site",
        &[
            "5: origins.app.requests_max: note: is more than `connections_max`, which HTTP/1.1 needs one of for each request; raise that",
        ],
    ),
    (
        "retries that are off",
        r#"@listen
@origin
retry = { tries = 1, on = ["connect", "503"] }
@site"#,
        &[
            "5: origins.app.retry.on: note: has no effect beside `tries = 1`, by which nothing is sent again; leave it out, or raise that",
        ],
    ),
    (
        "ejection that is off",
        "@listen
@origin
ejection = { enabled = false, consecutive = 3 }
@site",
        &[
            "5: origins.app.ejection.consecutive: note: has no effect beside `enabled = false`; leave one of the two out",
        ],
    ),
    (
        "caching that is off",
        r#"@listen
@origin
@route
cache = { ttl = "1h" }
[cache]
enabled = false"#,
        &[
            "10: site[0].route[0].cache: note: has no effect, for `enabled = false` of [cache] switches caching off; add `enabled = true` here",
        ],
    ),
    (
        "a lifetime of nothing",
        r#"@listen
@origin
@site
[cache]
ttl = "0s""#,
        &[
            "9: cache.ttl: note: lets every response be stale at once; for no caching at all write `enabled = false`, for a default of responses that say nothing `default_ttl`",
        ],
    ),
    (
        "user-agent in the key",
        r#"@listen
@origin
@site
[cache.key]
fields = ["user-agent"]"#,
        &[
            "9: cache.key.fields: note: has `user-agent`, which makes a page for each version of each browser; add `fold = { user_agent = true }`, or leave it out",
        ],
    ),
    (
        "slices without slices",
        r#"@listen
@origin
@site
[cache]
slice_size = "4MiB""#,
        &[
            r#"9: cache.slice_size: note: counts only beside `range = "slice"`; add that, or leave this out"#,
        ],
    ),
    (
        "cookies that are taken off",
        r#"@listen
@origin
@route
request_fields = { remove = ["cookie"] }"#,
        &[
            r#"10: site[0].route[0].request_fields.remove[0]: note: takes cookies off, and yet requests with cookies pass by the cache; add `cache = { cookies = "ignore" }`"#,
        ],
    ),
    (
        "set-cookie that is taken off",
        r#"@listen
@origin
@route
response_fields = { remove = ["set-cookie"] }"#,
        &[
            r#"10: site[0].route[0].response_fields.remove[0]: note: takes cookies off, and yet responses with Set-Cookie are not stored; write `cache = { set_cookie = "drop" }` in place of this"#,
        ],
    ),
    (
        "a cookie as a regular expression",
        r#"@listen
@origin
@site
[cache]
cookies = { ignore = ["^_ga.*"] }"#,
        &[
            r#"9: cache.cookies.ignore[0]: note: is taken letter by letter but for `*`, which stands for any rest; write each name by itself, as "utm_*""#,
        ],
    ),
    (
        "a glob of fields",
        r#"@listen
@origin
@route
response_fields = { remove = ["x-*"] }"#,
        &[
            "10: site[0].route[0].response_fields.remove[0]: note: is the name of one field, letter by letter; write each name by itself",
        ],
    ),
    (
        "everybody trusted",
        r#"@listen
@origin
@site
[server]
trusted_proxies = ["0.0.0.0/0"]"#,
        &[
            "9: server.trusted_proxies[0]: note: lets every client say which address, host and scheme it has; name the networks of your proxies",
        ],
    ),
    (
        "everybody purges",
        r#"@listen
@origin
@site
[server]
purge_from = ["10.0.0.0/8", "::/0"]"#,
        &[
            "9: server.purge_from[1]: note: lets everybody purge; name the networks of those who may",
        ],
    ),
    (
        "everybody allowed",
        r#"@listen
@origin
@site
[server]
limit = ["api"]
[[limit]]
name = "api"
rate = "10/s"
allow = ["0.0.0.0/0"]"#,
        &[
            "13: limit[0].allow[0]: note: lets everybody through, so that nobody is limited; name the networks of those who are not",
        ],
    ),
];
