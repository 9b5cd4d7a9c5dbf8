//! Mistakes of one who writes VCL every day.

use super::Row;

/// The mistake, the file with it, and what is said.
pub const ROWS: &[Row] = &[
    (
        "VCL",
        r#"vcl 4.1;
backend default {
  .host = "127.0.0.1";
  .port = "3000";
}
sub vcl_recv {
  return (hash);
}"#,
        &[
            r#"1: syntax: is VCL, and Copal reads TOML: write [[listen]] and below it `address = "127.0.0.1:8080"`; docs/config.md says what the settings of others are here"#,
        ],
    ),
    (
        "a backend",
        r#"[backend.default]
host = "127.0.0.1"
@listen
@origin
@site"#,
        &[
            r#"1: backend: `backend` is Varnish's; here it is [origins.NAME] with `servers = ["http://127.0.0.1:8081"]`"#,
        ],
    ),
    (
        "beresp.ttl",
        r#"@listen
@origin
@site
[cache]
beresp.ttl = "1h""#,
        &[
            "9: cache.beresp: `beresp` is Varnish's; here rules for responses stand in [cache] or a route's `cache`: `ttl`, `grace`, `keep`, `enabled`",
        ],
    ),
    (
        "set in quotes",
        r#"@listen
@origin
@site
[cache]
"beresp.grace" = "1h""#,
        &[
            r#"9: cache."beresp.grace": `beresp.grace` is Varnish's; here rules for responses stand in [cache] or a route's `cache`: `ttl`, `grace`, `keep`, `enabled`"#,
        ],
    ),
    (
        "a probe",
        r#"@listen
@origin
probe = { url = "/health", interval = "5s" }
@site"#,
        &[
            r#"5: origins.app.probe: `probe` is Varnish's; here it is `health = { path = "/health", status = "200", rise = 2, fall = 3 }` of [origins.NAME]"#,
        ],
    ),
    (
        "default_keep",
        r#"@listen
@origin
@site
[cache]
default_keep = "1d""#,
        &["9: cache.default_keep: `default_keep` is Varnish's; here it is `keep` of [cache]"],
    ),
    (
        "thread_pool_max",
        "@listen
@origin
@site
[server]
thread_pool_max = 1000",
        &[
            "9: server.thread_pool_max: `thread_pool_max` is Varnish's; here it is `connections_max` of [server]",
        ],
    ),
    (
        "max_connections",
        "@listen
@origin
max_connections = 100
@site",
        &["5: origins.app.max_connections: unknown key; did you mean `connections_max`?"],
    ),
    (
        "hash_data",
        r#"@listen
@origin
@route
hash_data = "x-tenant""#,
        &[
            "10: site[0].route[0].hash_data: `hash_data` is Varnish's; here it is `key = { fields = [ … ], cookies = [ … ] }` of [cache]",
        ],
    ),
    (
        "purgers",
        r#"@listen
@origin
@site
[server]
acl = ["127.0.0.1"]"#,
        &[
            "9: server.acl: `acl` is Varnish's; here it is [list.NAME], or networks where they are used: `purge_from`, `allow`, `deny` of [server]",
        ],
    ),
    (
        "directors",
        r#"@listen
@origin
@site
[directors]
app = "round_robin""#,
        &[
            r#"8: directors: `directors` is Varnish's; here it is [origins.NAME] with `servers = ["http://127.0.0.1:8081"]`"#,
        ],
    ),
    (
        "uncacheable",
        "@listen
@origin
@route
cache = { uncacheable = true }",
        &[
            "10: site[0].route[0].cache.uncacheable: `uncacheable` is Varnish's; here it is `enabled = false` of a route's `cache`",
        ],
    ),
    (
        "first_byte_timeout in the store",
        r#"@listen
@origin
@site
[store]
first_byte_timeout = "5s""#,
        &[
            "9: store.first_byte_timeout: is a key of [origins.NAME], [[site]] and [[site.route]]; move it there",
        ],
    ),
    (
        "grace on a site",
        r#"@listen
@origin
@site
grace = "1m""#,
        &["8: site[0].grace: is a key of [cache] and of a route's `cache`; move it there"],
    ),
];
