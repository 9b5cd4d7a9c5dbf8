//! Notes on sites, their routes, and what nothing names.

use super::super::Row;

/// What it is, the file with it, and what is noted.
pub const ROWS: &[Row] = &[
    (
        "a path that is the front page alone",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
[[site.route]]
path = "/"
origin = "app""#,
        &[
            r#"8: site[0].route[0].path: note: is for the path `/` alone, and no route is for what lies below; for that write `path = "/*"`"#,
        ],
    ),
    (
        "a path that ends with a slash",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
[[site.route]]
path = "/api/"
origin = "app""#,
        &[
            r#"8: site[0].route[0].path: note: is for the path `/api/` alone, and no route is for what lies below; for that write `path = "/api/*"`"#,
        ],
    ),
    (
        "a prefix that leaves nothing",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
[[site.route]]
path = "/api"
origin = "app"
strip_prefix = "/api""#,
        &[
            r#"8: site[0].route[0].path: note: is for the path `/api` alone, of which `strip_prefix` leaves `/`; for all below it write `path = "/api/*"`"#,
        ],
    ),
    (
        "a segment as Express writes it",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
[[site.route]]
path = "/users/:id"
origin = "app""#,
        &[
            "8: site[0].route[0].path: note: `:id` is taken letter by letter; any one segment is `{id}`",
        ],
    ),
    (
        "a path that ends with a dollar",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
[[site.route]]
path = "/about$"
origin = "app""#,
        &[
            "8: site[0].route[0].path: note: is taken letter by letter, for paths are no regular expressions; write `/a/*`, or `/users/{id}` for any one segment",
        ],
    ),
    (
        "the host that nginx takes for any",
        r#"@listen
@origin
[[site]]
hosts = ["_"]
origin = "app""#,
        &[r#"6: site[0].hosts[0]: note: is the host of the name `_`; any host is written "*""#],
    ),
    (
        "$remote_addr",
        r#"@listen
@origin
@route
request_fields = { set = { x-real-ip = "$remote_addr" } }"#,
        &[
            "10: site[0].route[0].request_fields.set.x-real-ip: note: `$remote_addr` is sent as it stands; write `${client}`",
        ],
    ),
    (
        "$proxy_add_x_forwarded_for",
        r#"@listen
@origin
@route
request_fields = { set = { x-forwarded-for = "$proxy_add_x_forwarded_for" } }"#,
        &[
            "10: site[0].route[0].request_fields.set.x-forwarded-for: note: `$proxy_add_x_forwarded_for` is sent as it stands; leave the field out, for X-Forwarded-For is sent anyway",
        ],
    ),
    (
        "client.ip",
        r#"@listen
@origin
@route
request_fields = { set = { x-real-ip = "client.ip" } }"#,
        &[
            "10: site[0].route[0].request_fields.set.x-real-ip: note: `client.ip` is sent as it stands; write `${client}`",
        ],
    ),
    (
        "HAProxy's %[src]",
        r#"@listen
@origin
@route
request_fields = { set = { x-real-ip = "%[src]" } }"#,
        &[
            "10: site[0].route[0].request_fields.set.x-real-ip: note: `%[` is sent as it stands; values are written as `${client}` or `${host}`",
        ],
    ),
    (
        "$1 in a redirect",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
[[site.route]]
path = "/old/*"
redirect = { to = "/new/$1" }"#,
        &[
            r#"3: origins.app: note: is used by no route and no listener; add `origin = "app"` to a [[site.route]], or leave the table out"#,
            "9: site[0].route[0].redirect.to: note: `$1` is sent as it stands, for paths are no regular expressions; `keep_rest = true` puts what follows the path's `/*` behind a `to` that ends with `/`",
        ],
    ),
    (
        "$host in a redirect",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
[[site.route]]
path = "/*"
redirect = { to = "https://$host$request_uri" }"#,
        &[
            r#"3: origins.app: note: is used by no route and no listener; add `origin = "app"` to a [[site.route]], or leave the table out"#,
            "9: site[0].route[0].redirect.to: note: `$host` is sent as it stands; write `${host}`",
        ],
    ),
    (
        "a redirect to itself",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
[[site.route]]
path = "/shop/*"
redirect = { to = "/shop/new/" }"#,
        &[
            r#"3: origins.app: note: is used by no route and no listener; add `origin = "app"` to a [[site.route]], or leave the table out"#,
            "9: site[0].route[0].redirect.to: note: leads back to the path of this route, without end; write another path",
        ],
    ),
    (
        "an origin that nothing names",
        r#"@listen
@origin
[origins.old]
servers = ["http://127.0.0.1:3001"]
@site"#,
        &[
            r#"5: origins.old: note: is used by no route and no listener; add `origin = "old"` to a [[site.route]], or leave the table out"#,
        ],
    ),
    (
        "a limit that nothing names",
        r#"@listen
@origin
@site
[[limit]]
name = "api"
rate = "10/s""#,
        &[
            r#"9: limit[0].name: note: limits nothing; add `limit = ["api"]` to [server], a [[site]] or a [[site.route]]"#,
        ],
    ),
    (
        "an origin that is our listener",
        r#"@listen
[origins.app]
servers = ["http://localhost:8080"]
@site"#,
        &[
            "4: origins.app.servers[0]: note: is our own `listen[0]`, so that requests go in circles; write where the origin listens",
        ],
    ),
    (
        "an origin that is the admin",
        r#"@listen
[origins.app]
servers = ["http://127.0.0.1:9180"]
@site
[admin]"#,
        &[
            "4: origins.app.servers[0]: note: is our own admin listener; write where the origin listens",
        ],
    ),
    (
        "an origin by the name of its site",
        r#"[[listen]]
address = "0.0.0.0:80"
[origins.app]
servers = ["http://shop.example"]
[[site]]
hosts = ["shop.example"]
origin = "app""#,
        &[
            "4: origins.app.servers[0]: note: has the host of a site and the port of `listen[0]`: once that name leads here, requests go in circles; write the address of the origin itself",
        ],
    ),
    (
        "the port of https",
        r#"@listen
[origins.app]
servers = ["http://app.internal:443"]
@site"#,
        &[
            r#"4: origins.app.servers[0]: note: has the port of the other scheme; write "https://app.internal", or the port that it listens at"#,
        ],
    ),
];
