//! Mistakes of one who tries Copal in an evening, by the habits of no program in particular.

use super::Row;

/// The mistake, the file with it, and what is said.
pub const ROWS: &[Row] = &[
    (
        "an empty file",
        "",
        &[
            r#"1: listen: is missing; add [[listen]] with `address = "127.0.0.1:8080"`"#,
            r#"1: origins: is missing; add [origins.NAME] with `servers = ["http://127.0.0.1:8081"]`"#,
            r#"1: site: is missing; add [[site]] with `hosts = ["*"]` and the name of an `origin`"#,
        ],
    ),
    (
        "one site in single brackets",
        r#"@listen
@origin
[site]
hosts = ["*"]
origin = "app""#,
        &[
            "5: site: there may be several; write [[site]], in double brackets, above its [[site.route]]",
        ],
    ),
    (
        "one listener in single brackets",
        r#"[listen]
address = "127.0.0.1:8080"
@origin
@site"#,
        &["1: listen: there may be several; write its header in double brackets, [[listen]]"],
    ),
    (
        "a route in single brackets",
        r#"@listen
@origin
[[site]]
hosts = ["*"]
[site.route]
path = "/*"
origin = "app""#,
        &[
            "7: site[0].route: there may be several; write its header in double brackets, [[site.route]]",
        ],
    ),
    (
        "a listener as text",
        r#"listen = "127.0.0.1:8080"
@origin
@site"#,
        &[
            r#"1: listen: is a list of tables; write [[listen]] and below it `address = "127.0.0.1:8080"`"#,
        ],
    ),
    (
        "a listener as a number",
        "listen = 8080
@origin
@site",
        &[
            r#"1: listen: is a list of tables; write [[listen]] and below it `address = "127.0.0.1:8080"`"#,
        ],
    ),
    (
        "listeners as a list of texts",
        r#"listen = ["127.0.0.1:8080", "127.0.0.1:8081"]
@origin
@site"#,
        &[
            r#"1: listen: is a list of tables; write [[listen]] and below it `address = "127.0.0.1:8080"`"#,
        ],
    ),
    (
        "one listener as a list of text",
        r#"listen = ["127.0.0.1:8080"]
@origin
@site"#,
        &[
            r#"1: listen: is a list of tables; write [[listen]] and below it `address = "127.0.0.1:8080"`"#,
        ],
    ),
    (
        "origins without a name",
        r#"@listen
[origins]
servers = ["http://127.0.0.1:3000"]
connect_timeout = "3s"
@site"#,
        &["3: origins: an origin has a name of its own; write [origins.app] in place of [origins]"],
    ),
    (
        "origins as a list",
        r#"@listen
[[origins]]
servers = ["http://127.0.0.1:3000"]
@site"#,
        &["3: origins: an origin has a name of its own; write [origins.app]"],
    ),
    (
        "an origin as text",
        r#"@listen
[origins]
app = "http://127.0.0.1:3000"
@site"#,
        &[
            r#"4: origins.app: is a table; write [origins.app] and below it `servers = ["http://127.0.0.1:8081"]`"#,
        ],
    ),
    (
        "an origin in double brackets",
        r#"@listen
[[origins.app]]
servers = ["http://127.0.0.1:3000"]
@site"#,
        &["3: origins.app: stands once; write its header in single brackets, [origins.app]"],
    ),
    (
        "a server in double brackets",
        "[[server]]
connections_max = 10
@listen
@origin
@site",
        &["1: server: stands once; write its header in single brackets, [server]"],
    ),
    (
        "a port alone at the top",
        "port = 8080
@listen
@origin
@site",
        &[
            r#"1: port: unknown key; where clients come in is [[listen]] with `address = "127.0.0.1:8080"`"#,
        ],
    ),
    (
        "an origin at the top",
        r#"origin = "http://127.0.0.1:3000"
@listen
@site"#,
        &[
            r#"1: origin: unknown key; where responses come from is [origins.NAME] with `servers = ["http://127.0.0.1:8081"]`"#,
        ],
    ),
    (
        "a server that is a port",
        r#"@listen
[origins.app]
servers = ["3000"]
@site"#,
        &[r#"4: origins.app.servers[0]: is not a URL; write "http://127.0.0.1:3000""#],
    ),
    (
        "a server without a scheme",
        r#"@listen
[origins.app]
servers = ["localhost:3000"]
@site"#,
        &[r#"4: origins.app.servers[0]: is not a URL; write "http://localhost:3000""#],
    ),
    (
        "one server as text",
        r#"@listen
[origins.app]
servers = "http://127.0.0.1:3000"
@site"#,
        &[r#"4: origins.app.servers: is a list; write ["http://127.0.0.1:3000"]"#],
    ),
    (
        "a url in place of servers",
        r#"@listen
[origins.app]
url = "http://127.0.0.1:3000"
@site"#,
        &[r#"4: origins.app.url: unknown key; it is `servers = ["http://127.0.0.1:8081"]`"#],
    ),
    (
        "a server with a path",
        r#"@listen
[origins.app]
servers = ["http://127.0.0.1:3000/app"]
@site"#,
        &["4: origins.app.servers[0]: has a path or a query; leave it out, paths are for routes"],
    ),
    (
        "an address without an IP",
        r#"[[listen]]
address = ":8080"
@origin
@site"#,
        &[
            r#"2: listen[0].address: has no IP address; write "127.0.0.1:8080" for this machine alone, or "0.0.0.0:8080" for all"#,
        ],
    ),
    (
        "an address that is a name",
        r#"[[listen]]
address = "localhost:8080"
@origin
@site"#,
        &[
            r#"2: listen[0].address: is a name, and a listener has an address; write "127.0.0.1:8080" for this machine alone, or "0.0.0.0:8080" for all"#,
        ],
    ),
    (
        "an address that is a URL",
        r#"[[listen]]
address = "http://127.0.0.1:8080"
@origin
@site"#,
        &[
            r#"2: listen[0].address: is a URL; write the address and the port alone, as "127.0.0.1:8080""#,
        ],
    ),
    (
        "a port in place of an address",
        "[[listen]]
port = 8080
@origin
@site",
        &[r#"2: listen[0].port: unknown key; it is `address`, as `address = "0.0.0.0:8080"`"#],
    ),
    (
        "a fraction of an hour",
        r#"@listen
@origin
@site
[cache]
default_ttl = "1.5h""#,
        &[r#"9: cache.default_ttl: takes one whole number with ms, s, m, h or d; write "90m""#],
    ),
    (
        "a duration in words",
        r#"@listen
@origin
@site
[cache]
default_ttl = "10 minutes""#,
        &[r#"9: cache.default_ttl: takes one whole number with ms, s, m, h or d; write "10m""#],
    ),
    (
        "a duration without a unit",
        "@listen
@origin
@site
[cache]
default_ttl = 60",
        &[r#"9: cache.default_ttl: has no unit; write "60s""#],
    ),
    (
        "a duration without quotes",
        "@listen
@origin
@site
[cache]
default_ttl = 60s",
        &[
            r#"9: cache.default_ttl: is not a value; text goes in double quotes, as "30s", true and false without them"#,
        ],
    ),
    (
        "a size of one letter",
        r#"@listen
@origin
@site
[store]
memory = "512m""#,
        &[
            r#"9: store.memory: does not say of which powers; write "512MiB" (of 1024) or "512MB" (of 1000)"#,
        ],
    ),
    (
        "a fraction of a GiB",
        r#"@listen
@origin
@site
[store]
memory = "1.5GiB""#,
        &[r#"9: store.memory: takes a whole number with its unit; write "1536MiB""#],
    ),
    (
        "the memory in the cache",
        r#"@listen
@origin
@site
[cache]
memory = "1GiB""#,
        &["9: cache.memory: is a key of [store]; move it there"],
    ),
    (
        "the memory below a site",
        r#"@listen
@origin
@site
memory = "1GiB""#,
        &["8: site[0].memory: is a key of [store]; move it there"],
    ),
    (
        "the profile below a header",
        r#"@listen
@origin
@site
profile = "rfc""#,
        &["8: site[0].profile: is a key of the top of the file; move it above the first header"],
    ),
    (
        "a host in place of hosts",
        r#"@listen
@origin
[[site]]
host = "shop.example"
origin = "app""#,
        &["6: site[0].host: unknown key; did you mean `hosts`?"],
    ),
    (
        "a host with its scheme",
        r#"@listen
@origin
[[site]]
hosts = ["https://shop.example/"]
origin = "app""#,
        &[
            r#"6: site[0].hosts[0]: a host stands here alone, as "app.internal"; leave scheme and port out"#,
        ],
    ),
    (
        "a lifetime on a route",
        r#"@listen
@origin
@route
ttl = "1h""#,
        &["10: site[0].route[0].ttl: is a key of the route's `cache`; write `cache = { ttl = … }`"],
    ),
    (
        "a rate limit on a route",
        r#"@listen
@origin
@route
rate_limit = "10/s""#,
        &[
            r#"10: site[0].route[0].rate_limit: unknown key; it is `limit = ["api"]`, the name of a [[limit]]"#,
        ],
    ),
    (
        "headers on a route",
        r#"@listen
@origin
@route
headers = { x-a = "1" }"#,
        &[
            "10: site[0].route[0].headers: unknown key; fields are edited by `request_fields` and `response_fields` of [[site.route]]",
        ],
    ),
    (
        "methods on a route",
        r#"@listen
@origin
@route
methods = ["GET"]"#,
        &["10: site[0].route[0].methods: unknown key; routes are chosen by host and path alone"],
    ),
    (
        "a site's routes of another site",
        r#"@listen
@origin
[[routes]]
path = "/*"
origin = "app"
@site"#,
        &["5: routes: unknown key; routes stand below their site, [[site.route]]"],
    ),
    (
        "YAML",
        "listen:
  - address: 127.0.0.1:8080
origins:
  app:
    servers: [http://127.0.0.1:3000]",
        &[
            r#"1: syntax: is YAML, and Copal reads TOML: write [[listen]] and below it `address = "127.0.0.1:8080"`; docs/config.md says what the settings of others are here"#,
        ],
    ),
    (
        "JSON",
        r#"{
  "listen": [{"address": "127.0.0.1:8080"}]
}"#,
        &[
            r#"1: syntax: is JSON, and Copal reads TOML: write [[listen]] and below it `address = "127.0.0.1:8080"`; docs/config.md says what the settings of others are here"#,
        ],
    ),
    (
        "a limit in single brackets",
        r#"@listen
@origin
@site
[limit]
name = "api"
rate = "10/s""#,
        &["8: limit: there may be several; write its header in double brackets, [[limit]]"],
    ),
    (
        "hosts as text",
        r#"@listen
@origin
[[site]]
hosts = "shop.example"
origin = "app""#,
        &[r#"6: site[0].hosts: is a list; write ["shop.example"]"#],
    ),
    (
        "an hour and a half in two units",
        r#"@listen
@origin
@site
[cache]
default_ttl = "1h30m""#,
        &[r#"9: cache.default_ttl: takes one whole number with ms, s, m, h or d; write "90m""#],
    ),
    (
        "an address without a port",
        r#"[[listen]]
address = "127.0.0.1"
@origin
@site"#,
        &[r#"2: listen[0].address: has no port; write "127.0.0.1:8080""#],
    ),
    (
        "a table for the origin",
        r#"[origin.app]
servers = ["http://127.0.0.1:3000"]
@listen
@site"#,
        &[
            r#"1: origin: unknown key; where responses come from is [origins.NAME] with `servers = ["http://127.0.0.1:8081"]`"#,
        ],
    ),
    (
        "a Caddyfile",
        "shop.example {
  reverse_proxy localhost:3000
}",
        &[
            r#"1: syntax: is a Caddyfile, and Copal reads TOML: write [[listen]] and below it `address = "127.0.0.1:8080"`; docs/config.md says what the settings of others are here"#,
        ],
    ),
    (
        "a size of the cache",
        r#"@listen
@origin
@site
[cache]
size = "1GiB""#,
        &["9: cache.size: unknown key; it is `memory` of [store]"],
    ),
    (
        "max-age in the cache",
        r#"@listen
@origin
@site
[cache]
max_age = "1h""#,
        &[
            "9: cache.max_age: unknown key; it is `default_ttl` for responses that say nothing of their own, and `ttl` for all",
        ],
    ),
    (
        "a domain",
        r#"@listen
@origin
[[site]]
domain = "shop.example"
origin = "app""#,
        &["6: site[0].domain: unknown key; it is `hosts`"],
    ),
    (
        "a path of a site",
        r#"@listen
@origin
@site
path = "/shop/*""#,
        &["8: site[0].path: is a key of [[site.route]]; move it there"],
    ),
];
