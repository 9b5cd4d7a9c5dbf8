//! What is legal and was surely meant otherwise, with what is noted; and what is meant as it stands.

pub mod requests;
pub mod rules;

/// What may look like a mistake and is none, and the file with it.
pub const MEANT_SO: &[(&str, &str)] = &[
    (
        "https that is spoken before us",
        r#"@listen
@origin
[server]
trusted_proxies = ["10.0.0.0/8"]
[[site]]
hosts = ["*"]
origin = "app"
https_only = true
hsts = "1h""#,
    ),
    (
        "a front page beside all the rest",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
[[site.route]]
path = "/"
origin = "app"
[[site.route]]
path = "/*"
origin = "app""#,
    ),
    (
        "a folder beside what lies below",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
[[site.route]]
path = "/api/"
origin = "app"
[[site.route]]
path = "/api/*"
origin = "app""#,
    ),
    (
        "a redirect of the front page",
        r#"@listen
@origin
@site
[[site.route]]
path = "/"
redirect = { to = "/shop/" }"#,
    ),
    (
        "one path without a slash",
        r#"@listen
@origin
@site
[[site.route]]
path = "/health"
origin = "app""#,
    ),
    (
        "brackets in a path",
        r#"@listen
@origin
@site
[[site.route]]
path = "/Products(1)"
origin = "app""#,
    ),
    (
        "a price",
        r#"@listen
@origin
@route
response_fields = { set = { x-price = "5 $ and 7.50$" } }"#,
    ),
    (
        "an origin behind a TCP listener",
        r#"@listen
@origin
@site
[[listen]]
address = "127.0.0.1:6379"
protocol = "tcp"
origin = "redis"
[origins.redis]
servers = ["tcp://127.0.0.1:6380"]"#,
    ),
    (
        "a port that is another each time",
        r#"[[listen]]
address = "127.0.0.1:0"
[origins.app]
servers = ["http://127.0.0.1:8080"]
@site"#,
    ),
    (
        "a limit of the server",
        r#"@listen
@origin
@site
[server]
limit = ["api"]
[[limit]]
name = "api"
rate = "10/s"
allow = ["10.0.0.0/8"]"#,
    ),
    (
        "caching that one route switches on",
        r#"@listen
@origin
@route
cache = { enabled = true, ttl = "1h" }
[cache]
enabled = false"#,
    ),
    (
        "cookies that are taken off and ignored",
        r#"@listen
@origin
@route
request_fields = { remove = ["cookie"] }
cache = { cookies = "ignore" }"#,
    ),
    (
        "a hedge over what DNS names",
        r#"@listen
[origins.app]
servers = [{ url = "http://app.internal:80", resolve = "each" }]
servers_max = 8
hedge = {}
@site"#,
    ),
    (
        "globs of cookies and parameters",
        r#"@listen
@origin
@site
[cache]
cookies = { ignore = ["_ga*", "*_id"] }
key = { query_deny = ["utm_*"] }"#,
    ),
    (
        "timeouts that fit",
        r#"@listen
@origin
first_byte_timeout = "5m"
@site
[store]
follower_timeout = "6m"
[cache]
stale_after = "2m""#,
    ),
    (
        "a redirect to https",
        r#"@listen
@origin
@site
[[site]]
hosts = ["shop.example"]
[[site.route]]
path = "/*"
redirect = { to = "https://shop.example/", keep_rest = true }"#,
    ),
];
