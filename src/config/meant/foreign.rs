//! Settings of other programs, and what they are here: the tables of docs/config.md by the names that
//! people know.
//!
//! Not words that many programs have in common (`common.rs`).

use super::haproxy::HAPROXY;
use super::nginx::NGINX;
use super::varnish::VARNISH;

/// Names of a program, and what is said of them.
type Row = (&'static str, &'static [&'static str], &'static str);

/// What is said of a key that is another program's, if it is one.
pub(super) fn setting(key: &str) -> Option<String> {
    let typed = normal(key);
    let front = typed.split('.').next().unwrap_or(&typed);
    let mut rows = rows();
    let row = rows.find(|row| row.1.contains(&&typed[..]) || row.1.contains(&front));
    row.map(|(program, _, here)| format!("`{key}` is {program}'s; {here}"))
}

/// What is said of another program's way to choose a server.
pub(in crate::config) fn balance(name: &str) -> Option<String> {
    let typed = normal(name);
    let row = BALANCES.iter().find(|row| row.1.contains(&&typed[..]));
    row.map(|(program, _, here)| format!("`{name}` is {program}'s; {here}"))
}

fn rows() -> impl Iterator<Item = Row> {
    let tables = [("nginx", NGINX), ("Varnish", VARNISH), ("HAProxy", HAPROXY)];
    let of_tables = tables.into_iter().flat_map(|(program, table)| {
        let named = move |(names, here): &(_, _)| (program, *names, *here);
        table.iter().map(named)
    });
    of_tables.chain(OTHERS.iter().copied())
}

/// In lower case, with one sign between words, and without Varnish's dot in front.
fn normal(name: &str) -> String {
    let name = name.trim().trim_start_matches('.').to_ascii_lowercase();
    name.replace(['-', ' '], "_")
}

const OTHERS: &[Row] = &[
    (
        "Caddy",
        &["reverse_proxy"],
        "here it is `origin` of [[site]], the name of an [origins.NAME]",
    ),
    (
        "Caddy",
        &["handle", "handle_path"],
        "here it is [[site.route]], with `strip_prefix` for the latter",
    ),
    (
        "Caddy",
        &["lb_policy"],
        "here it is `balance` of [origins.NAME]",
    ),
    (
        "Caddy",
        &["header_up", "header_down"],
        "here it is `request_fields` and `response_fields` of [[site.route]]",
    ),
    (
        "Caddy",
        &["health_uri", "health_interval"],
        "here it is `health = { path = \"/health\", interval = \"5s\" }` of [origins.NAME]",
    ),
    (
        "Caddy",
        &["file_server"],
        "here no files are served; an origin has them",
    ),
    (
        "Traefik",
        &["entrypoints"],
        "here it is [[listen]] with `address = \"0.0.0.0:8080\"`",
    ),
    (
        "Traefik",
        &["routers", "middlewares"],
        "here it is [[site]] with its [[site.route]]",
    ),
    (
        "Traefik",
        &["services", "loadbalancer"],
        "here it is [origins.NAME] with its `servers`",
    ),
    (
        "Envoy",
        &["clusters", "static_resources"],
        "here it is [origins.NAME] with its `servers`",
    ),
    (
        "Envoy",
        &["outlier_detection"],
        "here it is `ejection` of [origins.NAME]",
    ),
    (
        "Envoy",
        &["circuit_breakers"],
        "here it is `breaker`, `requests_max` and `pending_max` of [origins.NAME]",
    ),
    (
        "Apache",
        &["proxypass", "proxypassreverse"],
        "here it is `origin` of [[site.route]], the name of an [origins.NAME]",
    ),
    (
        "Apache",
        &["virtualhost", "servername", "serveralias"],
        "here it is `hosts` of [[site]]",
    ),
    ("Squid", &["cache_mem"], "here it is `memory` of [store]"),
    (
        "Squid",
        &["http_port"],
        "here it is [[listen]] with `address = \"0.0.0.0:3128\"`",
    ),
    (
        "Squid",
        &["cache_peer"],
        "here it is [origins.NAME] with its `servers`",
    ),
    (
        "Squid",
        &["refresh_pattern"],
        "here it is `default_ttl` and `ttl` of a route's `cache`",
    ),
];

const BALANCES: &[Row] = &[
    (
        "nginx",
        &["least_conn", "least_time"],
        "write \"least-requests\", or \"two-choices\" that heeds latency too",
    ),
    ("HAProxy", &["leastconn"], "write \"least-requests\""),
    ("HAProxy", &["source"], "write \"ip-hash\""),
    (
        "HAProxy",
        &["uri", "url_param"],
        "write `balance = { hash = \"url\" }`",
    ),
    (
        "HAProxy",
        &["hdr"],
        "write `balance = { hash = \"header\", name = \"x-user\" }`",
    ),
    ("HAProxy", &["static_rr"], "write \"round-robin\""),
    ("Varnish", &["fallback"], "write \"first\""),
    (
        "Varnish",
        &["shard"],
        "write `balance = { hash = \"url\" }`",
    ),
    (
        "Envoy",
        &["maglev", "ring_hash"],
        "write `balance = { hash = \"url\" }`",
    ),
    ("Envoy", &["least_request"], "write \"least-requests\""),
    ("Caddy", &["client_ip_hash"], "write \"ip-hash\""),
    (
        "Caddy",
        &["uri_hash"],
        "write `balance = { hash = \"url\" }`",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: &str = include_str!("../../../docs/config.md");

    #[test]
    fn names_are_found_however_they_are_spelt() {
        for (key, program) in [
            ("proxy_read_timeout", "nginx"),
            ("Proxy-Pass", "nginx"),
            ("beresp.ttl", "Varnish"),
            (".probe", "Varnish"),
            ("timeout connect", "HAProxy"),
            ("ProxyPass", "Apache"),
        ] {
            let text = setting(key).unwrap_or_else(|| panic!("{key}"));
            let front = format!("`{key}` is {program}'s; here ");
            assert!(text.starts_with(&front), "{text}");
        }
        assert_eq!(setting("servers"), None);
        assert_eq!(setting(""), None);
    }

    #[test]
    fn no_name_stands_twice() {
        let mut seen = std::collections::HashSet::new();
        for name in rows().flat_map(|row| row.1) {
            assert!(seen.insert(name), "{name}");
        }
    }

    /// The names of nginx in the last columns of docs/config.md are all known, so that a row that is
    /// added there is added here. They are told by their underscore and by what nginx calls them.
    #[test]
    fn what_the_manual_maps_is_known() {
        let is_nginx = |it: &&str| {
            let fronts = [
                "proxy_",
                "client_",
                "limit_",
                "worker_",
                "keepalive",
                "ssl_",
            ];
            fronts.iter().any(|front| it.starts_with(front))
        };
        let code = DOCS.split('`').skip(1).step_by(2);
        let words = code.filter_map(|it| it.split([' ', ';', '*', '$']).next());
        // Keys of ours, and names that end where the manual has a star.
        let ours = [
            "proxy_protocol",
            "client_auth",
            "client_ca",
            "client_crl",
            "proxy_from",
            "client_certificate",
            "client_key",
            "proxy_ssl_",
        ];
        let names: Vec<_> = words
            .filter(is_nginx)
            .filter(|it| !ours.contains(it))
            .collect();
        assert!(names.len() > 40, "{names:?}");
        for name in names {
            assert!(setting(name).is_some(), "{name} is not known");
        }
    }
}
