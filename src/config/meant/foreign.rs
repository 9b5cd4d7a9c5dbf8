//! Settings of other programs, and what they are here: the tables of docs/config.md by the names that
//! people know.
//!
//! Not words that many programs have in common (`common.rs`).

/// Names of one program, and what is said of them.
type Row = (&'static str, &'static [&'static str], &'static str);

/// What is said of a key that is another program's, if it is one.
pub(super) fn setting(key: &str) -> Option<String> {
    let typed = normal(key);
    let front = typed.split('.').next().unwrap_or(&typed);
    let row = find(&typed).or_else(|| find(front));
    row.map(|(program, _, here)| format!("`{key}` is {program}'s; {here}"))
}

/// What is said of another program's way to choose a server.
pub(in crate::config) fn balance(name: &str) -> Option<String> {
    let typed = normal(name);
    let row = BALANCES.iter().find(|row| row.1.contains(&&typed[..]));
    row.map(|(program, _, here)| format!("`{name}` is {program}'s; {here}"))
}

fn find(name: &str) -> Option<&'static Row> {
    let tables = [NGINX, VARNISH, HAPROXY, OTHERS];
    let mut rows = tables.into_iter().flatten();
    rows.find(|row| row.1.contains(&name))
}

/// In lower case, with one sign between words, and without Varnish's dot in front.
fn normal(name: &str) -> String {
    let name = name.trim().trim_start_matches('.').to_ascii_lowercase();
    name.replace(['-', ' '], "_")
}

const NGINX: &[Row] = &[
    ("nginx", &["server_name"], "here it is `hosts` of [[site]]"),
    (
        "nginx",
        &["location"],
        "here it is [[site.route]] with `path = \"/api/*\"`",
    ),
    (
        "nginx",
        &["proxy_pass", "grpc_pass"],
        "here it is `origin` of [[site]] or [[site.route]], the name of an [origins.NAME]",
    ),
    (
        "nginx",
        &["fastcgi_pass", "uwsgi_pass", "scgi_pass"],
        "here origins speak HTTP alone; put the application's own HTTP server between",
    ),
    (
        "nginx",
        &["upstream"],
        "here it is [origins.NAME] with `servers = [\"http://127.0.0.1:8081\"]`",
    ),
    (
        "nginx",
        &["worker_connections", "worker_rlimit_nofile"],
        "here it is `connections_max` of [server]",
    ),
    (
        "nginx",
        &["worker_processes", "worker_cpu_affinity"],
        "here all processors are used; leave it out",
    ),
    (
        "nginx",
        &["client_header_timeout"],
        "here it is `header_timeout` of [server]",
    ),
    (
        "nginx",
        &["client_body_timeout"],
        "here it is `body_timeout` of [server]",
    ),
    (
        "nginx",
        &["send_timeout"],
        "here it is `send_timeout` of [server]",
    ),
    (
        "nginx",
        &["keepalive_timeout"],
        "here it is `idle_timeout`, of [server] for clients and of [origins.NAME] for origins",
    ),
    (
        "nginx",
        &["large_client_header_buffers", "client_header_buffer_size"],
        "here it is `header_bytes_max` and `target_bytes_max` of [server]",
    ),
    (
        "nginx",
        &["client_max_body_size"],
        "here it is `body_bytes_max` of [server]",
    ),
    (
        "nginx",
        &["worker_shutdown_timeout"],
        "here it is `drain_timeout` of [server]",
    ),
    (
        "nginx",
        &["limit_req", "limit_req_zone", "limit_req_status"],
        "here it is a [[limit]], whose name stands in `limit` of [server], [[site]] or [[site.route]]",
    ),
    (
        "nginx",
        &["limit_conn", "limit_conn_zone"],
        "here it is `connections_per_client_max` of [server], or `concurrency_max` of [[site.route]]",
    ),
    (
        "nginx",
        &["set_real_ip_from"],
        "here it is `trusted_proxies` of [server]",
    ),
    (
        "nginx",
        &["real_ip_header", "real_ip_recursive"],
        "here it is `forwarded` of [server]",
    ),
    (
        "nginx",
        &["proxy_set_header", "proxy_pass_request_headers"],
        "here it is `request_fields = { set = { … } }` of [[site.route]], and `host` of [origins.NAME]",
    ),
    (
        "nginx",
        &["add_header", "more_set_headers", "proxy_hide_header"],
        "here it is `response_fields = { set = { … }, remove = [ … ] }` of [[site.route]]",
    ),
    (
        "nginx",
        &["error_log"],
        "here it is `level` of [log], on standard error",
    ),
    ("nginx", &["access_log"], "here it is `access` of [log]"),
    ("nginx", &["log_format"], "here it is `format` of [log]"),
    (
        "nginx",
        &[
            "proxy_cache_path",
            "proxy_temp_path",
            "keys_zone",
            "max_size",
        ],
        "here it is `memory` of [store]",
    ),
    (
        "nginx",
        &["proxy_cache"],
        "here every route caches; `enabled = false` of its `cache` switches it off",
    ),
    (
        "nginx",
        &["proxy_cache_lock", "proxy_cache_lock_age"],
        "here requests always wait for one another, up to `followers_max` of [store]",
    ),
    (
        "nginx",
        &["proxy_cache_lock_timeout"],
        "here it is `follower_timeout` of [store]",
    ),
    (
        "nginx",
        &["proxy_ignore_client_abort"],
        "here it is `finish_fill` of [store]",
    ),
    (
        "nginx",
        &["resolver_timeout"],
        "here it is `timeout` of [resolver]",
    ),
    (
        "nginx",
        &["proxy_cache_valid"],
        "here it is `default_ttl` of [cache], and `status_ttl = { 404 = \"10s\" }` by status",
    ),
    (
        "nginx",
        &["proxy_ignore_headers"],
        "here it is `ttl` of [cache] for Cache-Control and Expires, and `set_cookie = \"store\"` for Set-Cookie",
    ),
    (
        "nginx",
        &["proxy_cache_use_stale"],
        "here it is `stale_if_error` of [cache] for failures, and `default_grace` for `updating`",
    ),
    (
        "nginx",
        &["proxy_cache_background_update"],
        "here it is `default_grace` of [cache]",
    ),
    (
        "nginx",
        &["proxy_cache_revalidate", "inactive"],
        "here it is `keep` of [cache]",
    ),
    (
        "nginx",
        &["proxy_cache_bypass", "proxy_no_cache"],
        "here it is `cookies = { pass = [\"session*\"] }` of [cache], or `enabled = false` on a route",
    ),
    (
        "nginx",
        &["proxy_cache_key"],
        "here it is `key = { query_allow = [ … ], fields = [ … ], cookies = [ … ] }` of [cache]",
    ),
    (
        "nginx",
        &["proxy_cache_methods"],
        "here GET, HEAD and QUERY are cached; leave it out",
    ),
    (
        "nginx",
        &["proxy_cache_min_uses"],
        "here the first response is stored; leave it out",
    ),
    (
        "nginx",
        &["proxy_force_ranges"],
        "here ranges are always served; see `range` of [cache]",
    ),
    (
        "nginx",
        &["slice"],
        "here it is `range = \"slice\"` and `slice_size` of [cache]",
    ),
    (
        "nginx",
        &["x_accel_expires"],
        "here it is `targeted` of [cache]",
    ),
    (
        "nginx",
        &[
            "proxy_buffering",
            "proxy_buffers",
            "proxy_buffer_size",
            "proxy_request_buffering",
            "proxy_busy_buffers_size",
        ],
        "here bodies are streamed, and no buffers are to be sized; leave it out",
    ),
    (
        "nginx",
        &["proxy_connect_timeout", "grpc_connect_timeout"],
        "here it is `connect_timeout` of [origins.NAME]",
    ),
    (
        "nginx",
        &["proxy_read_timeout", "grpc_read_timeout"],
        "here it is `first_byte_timeout` until the head of an answer and `between_bytes_timeout` within its body, of [origins.NAME]",
    ),
    (
        "nginx",
        &["proxy_send_timeout", "grpc_send_timeout"],
        "here it is `body_timeout` of [server]",
    ),
    (
        "nginx",
        &["proxy_timeout"],
        "here it is `idle_timeout` of a [[listen]] with `protocol = \"tcp\"`",
    ),
    (
        "nginx",
        &["keepalive"],
        "here it is `idle_max` of [origins.NAME]",
    ),
    (
        "nginx",
        &["keepalive_time", "keepalive_requests"],
        "here it is `age_max` of [origins.NAME]",
    ),
    (
        "nginx",
        &["proxy_next_upstream"],
        "here it is `retry = { on = [\"connect\", \"reset\"] }` of [origins.NAME]",
    ),
    (
        "nginx",
        &["proxy_next_upstream_tries", "proxy_next_upstream_timeout"],
        "here it is `retry = { tries = 3 }` of [origins.NAME]",
    ),
    (
        "nginx",
        &["max_fails", "fail_timeout"],
        "here it is `ejection = { consecutive = 3, base = \"30s\" }` of [origins.NAME]",
    ),
    (
        "nginx",
        &["max_conns"],
        "here it is `requests_max` of [origins.NAME]",
    ),
    (
        "nginx",
        &["queue"],
        "here it is `pending_max` and `pending_timeout` of [origins.NAME]",
    ),
    (
        "nginx",
        &["health_check"],
        "here it is `health = { path = \"/health\" }` of [origins.NAME]",
    ),
    (
        "nginx",
        &["least_conn", "ip_hash", "hash", "random", "least_time"],
        "here it is `balance` of [origins.NAME]",
    ),
    (
        "nginx",
        &["zone"],
        "here no memory is to be set apart; leave it out",
    ),
    (
        "nginx",
        &[
            "proxy_ssl_trusted_certificate",
            "proxy_ssl_verify",
            "proxy_ssl_verify_depth",
        ],
        "here it is `tls = { roots = \"ca.pem\" }` of [origins.NAME]; servers are always verified",
    ),
    (
        "nginx",
        &["proxy_ssl_name", "proxy_ssl_server_name"],
        "here it is `tls = { name = \"app.internal\" }` of [origins.NAME]",
    ),
    (
        "nginx",
        &["proxy_ssl_certificate", "proxy_ssl_certificate_key"],
        "here it is `tls = { client_certificate = …, client_key = … }` of [origins.NAME]",
    ),
    (
        "nginx",
        &["proxy_http_version"],
        "here it is `http_version` of [origins.NAME]",
    ),
    (
        "nginx",
        &["return"],
        "here it is `redirect` or `answer` of [[site.route]]",
    ),
    (
        "nginx",
        &["rewrite", "proxy_redirect"],
        "here it is `strip_prefix` or `redirect` of [[site.route]]",
    ),
    (
        "nginx",
        &["root", "alias", "try_files", "index", "autoindex"],
        "here no files are served; an origin has them",
    ),
    (
        "nginx",
        &["gzip", "gzip_types", "brotli"],
        "here responses keep the coding of their origin; see `fold` of [cache]",
    ),
    (
        "nginx",
        &["map", "geo", "if"],
        "here routes are chosen by host and path alone, [[site.route]]",
    ),
    (
        "nginx",
        &["stub_status"],
        "here it is the table [admin], with /metrics",
    ),
    (
        "nginx",
        &["error_page", "proxy_intercept_errors"],
        "here a stale page stands in for an error, by `stale_if_error` of [cache]",
    ),
    (
        "nginx",
        &["events", "http", "stream"],
        "here tables stand at the top: [[listen]], [origins.NAME] and [[site]]",
    ),
];

const VARNISH: &[Row] = &[
    (
        "Varnish",
        &["backend", "director", "directors"],
        "here it is [origins.NAME] with `servers = [\"http://127.0.0.1:8081\"]`",
    ),
    (
        "Varnish",
        &["host_header"],
        "here it is `host` of [origins.NAME]",
    ),
    (
        "Varnish",
        &["proxy_header"],
        "here it is `proxy_protocol` of [origins.NAME]",
    ),
    (
        "Varnish",
        &["max_connections"],
        "here it is `requests_max` of [origins.NAME]",
    ),
    (
        "Varnish",
        &["probe", "expected_response", "threshold", "initial"],
        "here it is `health = { path = \"/health\", status = \"200\", rise = 2, fall = 3 }` of [origins.NAME]",
    ),
    (
        "Varnish",
        &["backend_idle_timeout"],
        "here it is `idle_timeout` of [origins.NAME]",
    ),
    (
        "Varnish",
        &["backend_wait_limit", "backend_wait_timeout"],
        "here it is `pending_max` and `pending_timeout` of [origins.NAME]",
    ),
    (
        "Varnish",
        &["beresp", "obj"],
        "here rules for responses stand in [cache] or a route's `cache`: `ttl`, `grace`, `keep`, `enabled`",
    ),
    (
        "Varnish",
        &["req", "bereq", "resp"],
        "here fields are edited by `request_fields` and `response_fields` of [[site.route]]",
    ),
    (
        "Varnish",
        &[
            "sub",
            "vcl",
            "import",
            "vcl_recv",
            "vcl_backend_response",
            "vcl_deliver",
        ],
        "here there are tables and no code; docs/config.md says what each line of VCL becomes",
    ),
    (
        "Varnish",
        &["acl"],
        "here lists of networks stand where they are used: `purge_from` of [server]",
    ),
    (
        "Varnish",
        &["thread_pool_max", "thread_pools", "thread_pool_min"],
        "here it is `connections_max` of [server]",
    ),
    (
        "Varnish",
        &["timeout_req"],
        "here it is `header_timeout` of [server]",
    ),
    (
        "Varnish",
        &["timeout_idle"],
        "here it is `idle_timeout` of [server]",
    ),
    (
        "Varnish",
        &["idle_send_timeout"],
        "here it is `send_timeout` of [server]",
    ),
    (
        "Varnish",
        &["http_req_size", "http_req_hdr_len"],
        "here it is `header_bytes_max` of [server]",
    ),
    (
        "Varnish",
        &["http_max_hdr"],
        "here it is `header_fields_max` of [server]",
    ),
    (
        "Varnish",
        &["malloc", "storage"],
        "here it is `memory` of [store]",
    ),
    (
        "Varnish",
        &["transient"],
        "here it is `fill_memory` of [store]",
    ),
    ("Varnish", &["default_keep"], "here it is `keep` of [cache]"),
    (
        "Varnish",
        &["uncacheable"],
        "here it is `enabled = false` of a route's `cache`",
    ),
    (
        "Varnish",
        &["hash_data"],
        "here it is `key = { fields = [ … ], cookies = [ … ] }` of [cache]",
    ),
    (
        "Varnish",
        &["http_gzip_support"],
        "here it is `fold = { accept_encoding = [ … ] }` of [cache]",
    ),
    (
        "Varnish",
        &["http_range_support"],
        "here it is `range` of [cache]",
    ),
    (
        "Varnish",
        &["ban", "purge"],
        "here it is `purge_from` of [server], or the table [admin]",
    ),
    (
        "Varnish",
        &["synth"],
        "here it is `answer` of [[site.route]]",
    ),
];

const HAPROXY: &[Row] = &[
    (
        "HAProxy",
        &["frontend", "bind"],
        "here it is [[listen]] with `address = \"0.0.0.0:8080\"`",
    ),
    (
        "HAProxy",
        &["default_backend", "use_backend"],
        "here it is `origin` of [[site]] or [[site.route]]",
    ),
    (
        "HAProxy",
        &["timeout_connect"],
        "here it is `connect_timeout` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["timeout_server"],
        "here it is `first_byte_timeout` and `between_bytes_timeout` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["timeout_client"],
        "here it is `body_timeout` and `send_timeout` of [server]",
    ),
    (
        "HAProxy",
        &["timeout_http_request"],
        "here it is `header_timeout` of [server]",
    ),
    (
        "HAProxy",
        &["timeout_http_keep_alive"],
        "here it is `idle_timeout` of [server]",
    ),
    (
        "HAProxy",
        &["timeout_queue"],
        "here it is `pending_timeout` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["timeout_check"],
        "here it is `timeout` of `health` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["timeout_tunnel"],
        "here it is `idle_timeout` of a [[listen]] with `protocol = \"tcp\"`",
    ),
    (
        "HAProxy",
        &["maxconn"],
        "here it is `connections_max` of [server] for clients, and `requests_max` of [origins.NAME] for each server",
    ),
    (
        "HAProxy",
        &["maxqueue"],
        "here it is `pending_max` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["retries"],
        "here it is `retry = { tries = 3 }` of [origins.NAME], the first try included",
    ),
    (
        "HAProxy",
        &["retry_on"],
        "here it is `retry = { on = [\"connect\", \"reset\"] }` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["redispatch"],
        "here another try is always at another server; leave it out",
    ),
    (
        "HAProxy",
        &["httpchk", "option_httpchk", "inter", "check"],
        "here it is `health = { path = \"/health\", interval = \"5s\" }` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["slowstart"],
        "here it is `slow_start` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["agent_check", "agent_port", "agent_inter", "agent_send"],
        "here it is `agent = { port = 9777 }` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["observe", "error_limit"],
        "here it is `ejection` of [origins.NAME]",
    ),
    ("HAProxy", &["mode"], "here it is `protocol` of [[listen]]"),
    (
        "HAProxy",
        &["http_reuse", "max_reuse"],
        "here connections are always shared; see `idle_max` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["send_proxy", "send_proxy_v2"],
        "here it is `proxy_protocol` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["stick", "stick_table"],
        "here it is `sticky` of [origins.NAME], or a [[limit]]",
    ),
    (
        "HAProxy",
        &["http_request", "http_response", "reqadd", "rspadd"],
        "here it is `request_fields` and `response_fields` of [[site.route]]",
    ),
    (
        "HAProxy",
        &["server_template"],
        "here it is `servers = [{ url = \"http://app.internal:8080\", resolve = \"each\" }]` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["nbthread", "nbproc"],
        "here all processors are used; leave it out",
    ),
    ("HAProxy", &["stats"], "here it is the table [admin]"),
    (
        "HAProxy",
        &["hash_type"],
        "here it is `balance = { hash = \"url\" }` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["hash_balance_factor"],
        "here it is `balance = { hash = \"url\", bounded_load = 1.5 }` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["forwardfor", "option_forwardfor"],
        "here X-Forwarded-For is always sent; see `forwarded` of [server]",
    ),
    (
        "HAProxy",
        &["ca_file"],
        "here it is `tls = { roots = \"ca.pem\" }` of [origins.NAME]",
    ),
    (
        "HAProxy",
        &["global", "defaults"],
        "here it is [server], and each table has defaults of its own",
    ),
    (
        "HAProxy",
        &["option"],
        "here each option is a key of its own; docs/config.md has them all",
    ),
];

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
        let rows = [NGINX, VARNISH, HAPROXY, OTHERS].into_iter().flatten();
        let mut seen = std::collections::HashSet::new();
        for name in rows.flat_map(|row| row.1) {
            assert!(seen.insert(name), "{name}");
        }
    }

    /// The names of nginx in the last columns of docs/config.md are all known, so that a row that is
    /// added there is added here. They are told by their underscore and by what nginx calls them.
    #[test]
    fn what_the_manual_maps_is_known() {
        let is_nginx = |it: &&str| {
            let fronts = ["proxy_", "client_", "limit_", "worker_", "keepalive"];
            fronts.iter().any(|front| it.starts_with(front))
        };
        let code = DOCS.split('`').skip(1).step_by(2);
        let words = code.filter_map(|it| it.split([' ', ';', '*', '$']).next());
        // Keys of ours, and names that end where the manual has a star.
        let ours = [
            "proxy_protocol",
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
