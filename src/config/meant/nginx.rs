//! Settings of nginx, and what they are here.

/// Their names, and what is said of them.
pub(super) const NGINX: &[(&[&str], &str)] = &[
    (&["server_name"], "here it is `hosts` of [[site]]"),
    (
        &["location"],
        "here it is [[site.route]] with `path = \"/api/*\"`",
    ),
    (
        &["proxy_pass", "grpc_pass"],
        "here it is `origin` of [[site]] or [[site.route]], the name of an [origins.NAME]",
    ),
    (
        &["fastcgi_pass", "uwsgi_pass", "scgi_pass"],
        "here origins speak HTTP alone; put the application's own HTTP server between",
    ),
    (
        &["upstream"],
        "here it is [origins.NAME] with `servers = [\"http://127.0.0.1:8081\"]`",
    ),
    (
        &["worker_connections", "worker_rlimit_nofile"],
        "here it is `connections_max` of [server]",
    ),
    (
        &["worker_processes", "worker_cpu_affinity"],
        "here all processors are used; leave it out",
    ),
    (
        &["client_header_timeout"],
        "here it is `header_timeout` of [server]",
    ),
    (
        &["client_body_timeout"],
        "here it is `body_timeout` of [server]",
    ),
    (&["send_timeout"], "here it is `send_timeout` of [server]"),
    (
        &["keepalive_timeout"],
        "here it is `idle_timeout`, of [server] for clients and of [origins.NAME] for origins",
    ),
    (
        &["large_client_header_buffers", "client_header_buffer_size"],
        "here it is `header_bytes_max` and `target_bytes_max` of [server]",
    ),
    (
        &["client_max_body_size"],
        "here it is `body_bytes_max` of [server], [[site]] or [[site.route]]",
    ),
    (
        &["worker_shutdown_timeout"],
        "here it is `drain_timeout` of [server]",
    ),
    (
        &["limit_req", "limit_req_zone", "limit_req_status"],
        "here it is a [[limit]], whose name stands in `limit` of [server], [[site]] or [[site.route]]",
    ),
    (
        &["limit_conn", "limit_conn_zone"],
        "here it is `connections_per_client_max` of [server], or `concurrency_max` of [[site.route]]",
    ),
    (
        &["set_real_ip_from"],
        "here it is `trusted_proxies` of [server]",
    ),
    (
        &["real_ip_header", "real_ip_recursive"],
        "here it is `forwarded` of [server]",
    ),
    (
        &["proxy_set_header", "proxy_pass_request_headers"],
        "here it is `request_fields = { set = { … } }` of [[site.route]], and `host` of [origins.NAME]",
    ),
    (
        &["add_header", "more_set_headers", "proxy_hide_header"],
        "here it is `response_fields = { set = { … }, remove = [ … ] }` of [[site.route]]",
    ),
    (
        &["error_log"],
        "here it is `level` of [log], on standard error",
    ),
    (&["access_log"], "here it is `access` of [log]"),
    (&["log_format"], "here it is `format` of [log]"),
    (
        &[
            "proxy_cache_path",
            "proxy_temp_path",
            "keys_zone",
            "max_size",
        ],
        "here it is `memory` of [store]",
    ),
    (
        &["proxy_cache"],
        "here every route caches; `enabled = false` of its `cache` switches it off",
    ),
    (
        &["proxy_cache_lock", "proxy_cache_lock_age"],
        "here requests always wait for one another, up to `followers_max` of [store]",
    ),
    (
        &["proxy_cache_lock_timeout"],
        "here it is `follower_timeout` of [store]",
    ),
    (
        &["proxy_ignore_client_abort"],
        "here it is `finish_fill` of [store]",
    ),
    (&["resolver_timeout"], "here it is `timeout` of [resolver]"),
    (
        &["proxy_cache_valid"],
        "here it is `default_ttl` of [cache], and `status_ttl = { 404 = \"10s\" }` by status",
    ),
    (
        &["proxy_ignore_headers"],
        "here it is `ttl` of [cache] for Cache-Control and Expires, and `set_cookie = \"drop\"` for Set-Cookie",
    ),
    (
        &["proxy_cache_use_stale"],
        "here it is `stale_if_error` of [cache] for failures, and `default_grace` for `updating`",
    ),
    (
        &["proxy_cache_background_update"],
        "here it is `default_grace` of [cache]",
    ),
    (
        &["proxy_cache_revalidate", "inactive"],
        "here it is `keep` of [cache]",
    ),
    (
        &["proxy_cache_bypass", "proxy_no_cache"],
        "here it is `cookies = { pass = [\"session*\"] }` of [cache], or `enabled = false` on a route",
    ),
    (
        &["proxy_cache_key"],
        "here it is `key = { query_allow = [ … ], fields = [ … ], cookies = [ … ] }` of [cache]",
    ),
    (
        &["proxy_cache_methods"],
        "here GET, HEAD and QUERY are cached; leave it out",
    ),
    (
        &["proxy_cache_min_uses"],
        "here the first response is stored; leave it out",
    ),
    (
        &["proxy_force_ranges"],
        "here ranges are always served; see `range` of [cache]",
    ),
    (
        &["slice"],
        "here it is `range = \"slice\"` and `slice_size` of [cache]",
    ),
    (&["x_accel_expires"], "here it is `targeted` of [cache]"),
    (
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
        &["proxy_connect_timeout", "grpc_connect_timeout"],
        "here it is `connect_timeout` of [origins.NAME]",
    ),
    (
        &["proxy_read_timeout", "grpc_read_timeout"],
        "here it is `first_byte_timeout` until the head of an answer and `between_bytes_timeout` within its body, of [origins.NAME], [[site]] or [[site.route]]",
    ),
    (
        &["proxy_send_timeout", "grpc_send_timeout"],
        "here it is `body_timeout` of [server]",
    ),
    (
        &["proxy_timeout"],
        "here it is `idle_timeout` of a [[listen]] with `protocol = \"tcp\"`",
    ),
    (&["keepalive"], "here it is `idle_max` of [origins.NAME]"),
    (
        &["keepalive_time", "keepalive_requests"],
        "here it is `age_max` of [origins.NAME]",
    ),
    (
        &["proxy_next_upstream"],
        "here it is `retry = { on = [\"connect\", \"reset\"] }` of [origins.NAME]",
    ),
    (
        &["proxy_next_upstream_tries", "proxy_next_upstream_timeout"],
        "here it is `retry = { tries = 3 }` of [origins.NAME]",
    ),
    (
        &["max_fails", "fail_timeout"],
        "here it is `ejection = { consecutive = 3, base = \"30s\" }` of [origins.NAME]",
    ),
    (
        &["max_conns"],
        "here it is `requests_max` of [origins.NAME]",
    ),
    (
        &["queue"],
        "here it is `pending_max` and `pending_timeout` of [origins.NAME]",
    ),
    (
        &["health_check"],
        "here it is `health = { path = \"/health\" }` of [origins.NAME]",
    ),
    (
        &["least_conn", "ip_hash", "hash", "random", "least_time"],
        "here it is `balance` of [origins.NAME]",
    ),
    (&["zone"], "here no memory is to be set apart; leave it out"),
    (
        &[
            "proxy_ssl_trusted_certificate",
            "proxy_ssl_verify",
            "proxy_ssl_verify_depth",
        ],
        "here it is `tls = { roots = \"ca.pem\" }` of [origins.NAME]; servers are always verified",
    ),
    (
        &["proxy_ssl_name", "proxy_ssl_server_name"],
        "here it is `tls = { name = \"app.internal\" }` of [origins.NAME]",
    ),
    (
        &["proxy_ssl_certificate", "proxy_ssl_certificate_key"],
        "here it is `tls = { client_certificate = …, client_key = … }` of [origins.NAME]",
    ),
    (
        &[
            "ssl_certificate",
            "ssl_certificate_key",
            "ssl_trusted_certificate",
        ],
        "here it is `chain` and `key` of [[certificate]]",
    ),
    (
        &[
            "ssl",
            "ssl_protocols",
            "ssl_ciphers",
            "ssl_ecdh_curve",
            "ssl_prefer_server_ciphers",
        ],
        "here it is `tls = true` of [[listen]], or a table with `min_version`, `suites` and `groups`",
    ),
    (
        &[
            "ssl_verify_client",
            "ssl_client_certificate",
            "ssl_crl",
            "ssl_verify_depth",
        ],
        "here it is `tls = { client_auth = \"require\", client_ca = \"ca.pem\" }` of [[listen]] or [[site]]",
    ),
    (
        &["ssl_handshake_timeout"],
        "here it is `handshake_timeout` of [tls]",
    ),
    (
        &[
            "ssl_session_ticket_key",
            "ssl_session_tickets",
            "ssl_session_cache",
            "ssl_session_timeout",
        ],
        "here sessions are resumed by tickets anyway; keys that several share are `ticket_keys` of [tls]",
    ),
    (
        &["proxy_http_version"],
        "here it is `http_version` of [origins.NAME]",
    ),
    (
        &["return"],
        "here it is `redirect` or `answer` of [[site.route]]",
    ),
    (
        &["rewrite", "proxy_redirect"],
        "here it is `strip_prefix` or `redirect` of [[site.route]]",
    ),
    (
        &["root", "alias", "try_files", "index", "autoindex"],
        "here no files are served; an origin has them",
    ),
    (
        &["gzip", "gzip_types", "brotli"],
        "here responses keep the coding of their origin; see `fold` of [cache]",
    ),
    (
        &["map"],
        "here redirects of many paths are [map.NAME] and `redirects` of [[site]]",
    ),
    (
        &["geo"],
        "here it is [list.NAME], which `allow` and `deny` of [[site]] name",
    ),
    (
        &["if"],
        "here routes are chosen by host and path alone, [[site.route]]",
    ),
    (
        &["auth_basic", "auth_basic_user_file"],
        "here it is `basic_auth = { users = \"FILE\" }` of [[site]]",
    ),
    (
        &["stub_status"],
        "here it is the table [admin], with /metrics",
    ),
    (
        &["error_page", "proxy_intercept_errors"],
        "here it is `error_pages` and `intercept` of [[site]]",
    ),
    (
        &["events", "http", "stream"],
        "here tables stand at the top: [[listen]], [origins.NAME] and [[site]]",
    ),
];
