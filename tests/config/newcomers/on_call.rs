//! Mistakes of one who runs HAProxy, and of whoever is on call.

use super::Row;

/// The mistake, the file with it, and what is said.
pub const ROWS: &[Row] = &[
    (
        "haproxy.cfg",
        "global
  maxconn 4096
frontend web
  bind :80
  default_backend app
backend app
  balance leastconn
  server a 127.0.0.1:3000 check",
        &[
            r#"1: syntax: is a haproxy.cfg, and Copal reads TOML: write [[listen]] and below it `address = "127.0.0.1:8080"`; docs/config.md says what the settings of others are here"#,
        ],
    ),
    (
        "timeout_connect",
        r#"@listen
@origin
timeout_connect = "3s"
@site"#,
        &["5: origins.app.timeout_connect: unknown key; did you mean `connect_timeout`?"],
    ),
    (
        "timeout connect in quotes",
        r#"@listen
@origin
"timeout server" = "3s"
@site"#,
        &[
            r#"5: origins.app."timeout server": `timeout server` is HAProxy's; here it is `first_byte_timeout` and `between_bytes_timeout` of [origins.NAME]"#,
        ],
    ),
    (
        "roundrobin",
        r#"@listen
@origin
balance = "leastconn"
@site"#,
        &[r#"5: origins.app.balance: `leastconn` is HAProxy's; write "least-requests""#],
    ),
    (
        "option httpchk",
        r#"@listen
@origin
httpchk = "/health"
@site"#,
        &[
            r#"5: origins.app.httpchk: `httpchk` is HAProxy's; here it is `health = { path = "/health", interval = "5s" }` of [origins.NAME]"#,
        ],
    ),
    (
        "retries",
        "@listen
@origin
retries = 2
@site",
        &[
            "5: origins.app.retries: `retries` is HAProxy's; here it is `retry = { tries = 3 }` of [origins.NAME], the first try included",
        ],
    ),
    (
        "maxconn",
        "@listen
@origin
@site
[server]
maxconn = 4096",
        &[
            "9: server.maxconn: `maxconn` is HAProxy's; here it is `connections_max` of [server] for clients, and `requests_max` of [origins.NAME] for each server",
        ],
    ),
    (
        "a key of [server] in an origin",
        r#"@listen
@origin
body_bytes_max = "1MiB"
@site"#,
        &["5: origins.app.body_bytes_max: is a key of [server]; move it there"],
    ),
    (
        "a key of an origin in [server]",
        r#"@listen
@origin
@site
[server]
first_byte_timeout = "5s""#,
        &[
            "9: server.first_byte_timeout: is a key of [origins.NAME], [[site]] and [[site.route]]; move it there",
        ],
    ),
    (
        "a weight beside servers",
        "@listen
@origin
weight = 2
@site",
        &["5: origins.app.weight: is a key of a server's table in `servers`; move it there"],
    ),
    (
        "a health path",
        r#"@listen
@origin
path = "/health"
@site"#,
        &[r#"5: origins.app.path: unknown key; it is `health = { path = "/health" }`"#],
    ),
    (
        "an admin that all reach",
        r#"@listen
@origin
@site
[admin]
address = "0.0.0.0:9180""#,
        &[
            r#"9: admin.address: is beyond loopback, where everybody could purge; add a `token` to [admin], or write "127.0.0.1:9180""#,
        ],
    ),
    (
        "a password of the admin",
        r#"@listen
@origin
@site
[admin]
password = "x""#,
        &["9: admin.password: unknown key; it is `token`"],
    ),
    (
        "a file of the log",
        r#"@listen
@origin
@site
[log]
file = "/var/log/copal.log""#,
        &[r#"9: log.file: unknown key; it is `access`, as `access = "./access.log"`"#],
    ),
    (
        "a level of syslog",
        r#"@listen
@origin
@site
[log]
level = "warning""#,
        &[
            r#"9: log.level: `warning` is not known; write "error", "warn", "info", "debug" or "trace""#,
        ],
    ),
    (
        "workers",
        "workers = 4
@listen
@origin
@site",
        &["1: workers: unknown key; all processors are used; leave it out"],
    ),
    (
        "a network without its prefix",
        r#"@listen
@origin
@site
[server]
trusted_proxies = ["10.0.0.1/8"]"#,
        &[r#"9: server.trusted_proxies[0]: has bits set beyond its prefix; write "10.0.0.0/8""#],
    ),
    (
        "an unknown origin",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
origin = "apps""#,
        &["7: site[0].origin: unknown origin `apps`; did you mean `app`?"],
    ),
    (
        "a host of two sites",
        "@listen
@origin
@site
@site",
        &[
            "9: site[1].hosts[0]: this host is taken by `site[0].hosts[0]` on line 6; remove one of the two",
        ],
    ),
    (
        "outlier_detection",
        "@listen
@origin
outlier_detection = { consecutive = 5 }
@site",
        &[
            "5: origins.app.outlier_detection: `outlier_detection` is Envoy's; here it is `ejection` of [origins.NAME]",
        ],
    ),
    (
        "frontend",
        r#"[frontend.web]
bind = ":80"
@listen
@origin
@site"#,
        &[
            r#"1: frontend: `frontend` is HAProxy's; here it is [[listen]] with `address = "0.0.0.0:8080"`"#,
        ],
    ),
    (
        "source",
        r#"@listen
@origin
balance = "source"
@site"#,
        &[r#"5: origins.app.balance: `source` is HAProxy's; write "ip-hash""#],
    ),
    (
        "stats",
        "[stats]
port = 9000
@listen
@origin
@site",
        &["1: stats: `stats` is HAProxy's; here it is the table [admin]"],
    ),
    (
        "a write timeout of the server",
        r#"@listen
@origin
@site
[server]
write_timeout = "10s""#,
        &["9: server.write_timeout: unknown key; it is `send_timeout`"],
    ),
    (
        "a body limit by another name",
        r#"@listen
@origin
@site
[server]
max_body_size = "10MiB""#,
        &["9: server.max_body_size: unknown key; it is `body_bytes_max`"],
    ),
    (
        "a limit by the second",
        r#"@listen
@origin
@site
[[limit]]
name = "api"
rps = 100"#,
        &[r#"10: limit[0].rps: unknown key; it is `rate`, as `rate = "100/s"`"#],
    ),
    (
        "a ttl of the store",
        r#"@listen
@origin
@site
[store]
heuristic_max = "1h""#,
        &["9: store.heuristic_max: is a key of [cache] and of a route's `cache`; move it there"],
    ),
];
