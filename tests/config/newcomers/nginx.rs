//! Mistakes of one who writes nginx.conf every day.

use super::Row;

/// The mistake, the file with it, and what is said.
pub const ROWS: &[Row] = &[
    (
        "nginx.conf",
        "http {
  server {
    listen 80;
    location / {
      proxy_pass http://127.0.0.1:3000;
    }
  }
}",
        &[
            r#"1: syntax: is an nginx.conf, and Copal reads TOML: write [[listen]] and below it `address = "127.0.0.1:8080"`; docs/config.md says what the settings of others are here"#,
        ],
    ),
    (
        "proxy_pass",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
[[site.route]]
path = "/*"
proxy_pass = "http://127.0.0.1:3000""#,
        &[
            "9: site[0].route[0].proxy_pass: `proxy_pass` is nginx's; here it is `origin` of [[site]] or [[site.route]], the name of an [origins.NAME]",
        ],
    ),
    (
        "server_name",
        r#"@listen
@origin
[[site]]
server_name = "shop.example"
origin = "app""#,
        &["6: site[0].server_name: `server_name` is nginx's; here it is `hosts` of [[site]]"],
    ),
    (
        "proxy_read_timeout",
        r#"@listen
@origin
proxy_read_timeout = "60s"
@site"#,
        &[
            "5: origins.app.proxy_read_timeout: `proxy_read_timeout` is nginx's; here it is `first_byte_timeout` until the head of an answer and `between_bytes_timeout` within its body, of [origins.NAME], [[site]] or [[site.route]]",
        ],
    ),
    (
        "client_max_body_size",
        r#"@listen
@origin
@site
[server]
client_max_body_size = "10m""#,
        &[
            "9: server.client_max_body_size: `client_max_body_size` is nginx's; here it is `body_bytes_max` of [server], [[site]] or [[site.route]]",
        ],
    ),
    (
        "proxy_cache_valid",
        r#"@listen
@origin
@site
[cache]
proxy_cache_valid = "10m""#,
        &[
            r#"9: cache.proxy_cache_valid: `proxy_cache_valid` is nginx's; here it is `default_ttl` of [cache], and `status_ttl = { 404 = "10s" }` by status"#,
        ],
    ),
    (
        "proxy_cache_path",
        r#"proxy_cache_path = "/var/cache"
@listen
@origin
@site"#,
        &["1: proxy_cache_path: `proxy_cache_path` is nginx's; here it is `memory` of [store]"],
    ),
    (
        "proxy_set_header",
        r#"@listen
@origin
@route
proxy_set_header = { x-real-ip = "a" }"#,
        &[
            "10: site[0].route[0].proxy_set_header: `proxy_set_header` is nginx's; here it is `request_fields = { set = { … } }` of [[site.route]], and `host` of [origins.NAME]",
        ],
    ),
    (
        "add_header",
        r#"@listen
@origin
@route
add_header = { x-frame-options = "DENY" }"#,
        &[
            "10: site[0].route[0].add_header: `add_header` is nginx's; here it is `response_fields = { set = { … }, remove = [ … ] }` of [[site.route]]",
        ],
    ),
    (
        "keepalive_timeout",
        r#"@listen
@origin
@site
[server]
keepalive_timeout = "75s""#,
        &[
            "9: server.keepalive_timeout: `keepalive_timeout` is nginx's; here it is `idle_timeout`, of [server] for clients and of [origins.NAME] for origins",
        ],
    ),
    (
        "max_fails",
        r#"@listen
@origin
max_fails = 3
fail_timeout = "30s"
@site"#,
        &[
            r#"5: origins.app.max_fails: `max_fails` is nginx's; here it is `ejection = { consecutive = 3, base = "30s" }` of [origins.NAME]"#,
            r#"6: origins.app.fail_timeout: `fail_timeout` is nginx's; here it is `ejection = { consecutive = 3, base = "30s" }` of [origins.NAME]"#,
        ],
    ),
    (
        "upstream",
        r#"[upstream.app]
server = "127.0.0.1:3000"
@listen
@origin
@site"#,
        &[
            r#"1: upstream: `upstream` is nginx's; here it is [origins.NAME] with `servers = ["http://127.0.0.1:8081"]`"#,
        ],
    ),
    (
        "least_conn",
        r#"@listen
@origin
balance = "least_conn"
@site"#,
        &[
            r#"5: origins.app.balance: `least_conn` is nginx's; write "least-requests", or "two-choices" that heeds latency too"#,
        ],
    ),
    (
        "limit_req",
        r#"@listen
@origin
@route
limit_req = "api""#,
        &[
            "10: site[0].route[0].limit_req: `limit_req` is nginx's; here it is a [[limit]], whose name stands in `limit` of [server], [[site]] or [[site.route]]",
        ],
    ),
    (
        "a regular expression for a path",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
[[site.route]]
path = "~ \\.php$"
origin = "app""#,
        &[
            "8: site[0].route[0].path: is no path; paths are no regular expressions: write `/a/*`, or `/users/{id}` for any one segment",
        ],
    ),
    (
        "a star within a path",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
[[site.route]]
path = "/img/*.png"
origin = "app""#,
        &["8: site[0].route[0].path: `*` stands only at the end and after a `/`, as in `/a/*`"],
    ),
    (
        "a regular expression for a host",
        r#"@listen
@origin
[[site]]
hosts = ["~^www\\d+"]
origin = "app""#,
        &[
            r#"6: site[0].hosts[0]: hosts are no regular expressions; write each, or "*.shop.example""#,
        ],
    ),
    (
        "all subdomains with a dot",
        r#"@listen
@origin
[[site]]
hosts = [".shop.example"]
origin = "app""#,
        &[r#"6: site[0].hosts[0]: subdomains are written with a star, as "*.shop.example""#],
    ),
    (
        "a rate as nginx writes it",
        r#"@listen
@origin
@site
[[limit]]
name = "api"
rate = "10r/s""#,
        &[r#"10: limit[0].rate: is not a rate; write "100/s", "600/m" or "10/h""#],
    ),
    (
        "read_timeout of the server",
        r#"@listen
@origin
@site
[server]
read_timeout = "10s""#,
        &[
            "9: server.read_timeout: unknown key; it is `header_timeout` for the head of a request and `body_timeout` for silence within its body",
        ],
    ),
    (
        "read_timeout of an origin",
        r#"@listen
@origin
read_timeout = "10s"
@site"#,
        &[
            "5: origins.app.read_timeout: unknown key; it is `first_byte_timeout` until the head of an answer and `between_bytes_timeout` within its body",
        ],
    ),
    (
        "location",
        r#"@listen
@origin
@site
location = "/api/""#,
        &[
            r#"8: site[0].location: `location` is nginx's; here it is [[site.route]] with `path = "/api/*"`"#,
        ],
    ),
    (
        "worker_processes",
        r#"worker_processes = "auto"
@listen
@origin
@site"#,
        &[
            "1: worker_processes: `worker_processes` is nginx's; here all processors are used; leave it out",
        ],
    ),
    (
        "proxy_cache_bypass",
        r#"@listen
@origin
@route
cache = { proxy_cache_bypass = "$cookie_sid" }"#,
        &[
            r#"10: site[0].route[0].cache.proxy_cache_bypass: `proxy_cache_bypass` is nginx's; here it is `cookies = { pass = ["session*"] }` of [cache], or `enabled = false` on a route"#,
        ],
    ),
    (
        "access_log",
        r#"access_log = "/var/log/copal.log"
@listen
@origin
@site"#,
        &["1: access_log: `access_log` is nginx's; here it is `access` of [log]"],
    ),
    (
        "a size as nginx writes it",
        r#"@listen
@origin
@site
[server]
body_bytes_max = "10m""#,
        &[
            r#"9: server.body_bytes_max: does not say of which powers; write "10MiB" (of 1024) or "10MB" (of 1000)"#,
        ],
    ),
    (
        "ip_hash",
        r#"@listen
@origin
balance = "ip_hash"
@site"#,
        &[r#"5: origins.app.balance: `ip_hash` is not known; did you mean "ip-hash"?"#],
    ),
    (
        "proxy_cache_use_stale",
        r#"@listen
@origin
@site
[cache]
proxy_cache_use_stale = "error timeout""#,
        &[
            "9: cache.proxy_cache_use_stale: `proxy_cache_use_stale` is nginx's; here it is `stale_if_error` of [cache] for failures, and `default_grace` for `updating`",
        ],
    ),
];
