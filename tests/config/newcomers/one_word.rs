//! Values in a form that seems natural: a word in place of a table, quotes where there are none.

use super::Row;

/// The mistake, the file with it, and what is said.
pub const ROWS: &[Row] = &[
    (
        "a URL as the origin of a site",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
origin = "http://127.0.0.1:3000""#,
        &[
            r#"7: site[0].origin: is a URL, and here stands the name of an origin; write `origin = "app"`, or add [origins.NAME] with `servers = ["http://127.0.0.1:3000"]`"#,
        ],
    ),
    (
        "a route without its site",
        r#"@listen
@origin
[[site.route]]
path = "/*"
origin = "app""#,
        &[
            "5: site: there may be several; write [[site]], in double brackets, above its [[site.route]]",
        ],
    ),
    (
        "no caching in one word",
        "@listen
@origin
@route
cache = false",
        &["10: site[0].route[0].cache: is a table; write `cache = { enabled = false }`"],
    ),
    (
        "a redirect in one word",
        r#"@listen
@origin
@site
[[site.route]]
path = "/old"
redirect = "/new/""#,
        &[r#"10: site[0].route[0].redirect: is a table; write `redirect = { to = "/new/" }`"#],
    ),
    (
        "an answer in one word",
        r#"@listen
@origin
@site
[[site.route]]
path = "/up"
answer = 200"#,
        &[
            r#"10: site[0].route[0].answer: is a table; write `answer = { status = 200, body = "hello" }`"#,
        ],
    ),
    (
        "a health check in one word",
        r#"@listen
@origin
health = "/health"
@site"#,
        &[r#"5: origins.app.health: is a table; write `health = { path = "/health" }`"#],
    ),
    (
        "TLS in one word",
        "@listen
@origin
tls = true
@site",
        &[r#"5: origins.app.tls: is a table; write `tls = { roots = "system" }`"#],
    ),
    (
        "a colon in place of an equals sign",
        r#"@listen
@origin
@site
[cache]
ttl: "1h""#,
        &[r#"9: syntax: a key and its value have `=` between them, as `ttl = "1h"`"#],
    ),
    (
        "a number in quotes",
        r#"@listen
@origin
@site
[server]
connections_max = "1024""#,
        &["9: server.connections_max: goes without quotes; write 1024"],
    ),
    (
        "true in quotes",
        r#"@listen
@origin
@site
[cache]
enabled = "true""#,
        &["9: cache.enabled: goes without quotes; write true"],
    ),
    (
        "a server in host and port",
        r#"@listen
[origins.app]
servers = [{ host = "127.0.0.1", port = 3000 }]
@site"#,
        &[
            r#"4: origins.app.servers[0].host: unknown key; it is `url`, as `{ url = "http://127.0.0.1:8081" }`"#,
            r#"4: origins.app.servers[0].port: unknown key; it is `url`, as `{ url = "http://127.0.0.1:8081" }`"#,
        ],
    ),
];
