//! Keywords of HAProxy, and what they are here.

/// Their names, and what is said of them.
pub(super) const HAPROXY: &[(&[&str], &str)] = &[
    (
        &["frontend", "bind"],
        "here it is [[listen]] with `address = \"0.0.0.0:8080\"`",
    ),
    (
        &["default_backend", "use_backend"],
        "here it is `origin` of [[site]] or [[site.route]]",
    ),
    (
        &["timeout_connect"],
        "here it is `connect_timeout` of [origins.NAME]",
    ),
    (
        &["timeout_server"],
        "here it is `first_byte_timeout` and `between_bytes_timeout` of [origins.NAME]",
    ),
    (
        &["timeout_client"],
        "here it is `body_timeout` and `send_timeout` of [server]",
    ),
    (
        &["timeout_http_request"],
        "here it is `header_timeout` of [server]",
    ),
    (
        &["timeout_http_keep_alive"],
        "here it is `idle_timeout` of [server]",
    ),
    (
        &["timeout_queue"],
        "here it is `pending_timeout` of [origins.NAME]",
    ),
    (
        &["timeout_check"],
        "here it is `timeout` of `health` of [origins.NAME]",
    ),
    (
        &["timeout_tunnel"],
        "here it is `idle_timeout` of a [[listen]] with `protocol = \"tcp\"`",
    ),
    (
        &["maxconn"],
        "here it is `connections_max` of [server] for clients, and `requests_max` of [origins.NAME] for each server",
    ),
    (&["maxqueue"], "here it is `pending_max` of [origins.NAME]"),
    (
        &["retries"],
        "here it is `retry = { tries = 3 }` of [origins.NAME], the first try included",
    ),
    (
        &["retry_on"],
        "here it is `retry = { on = [\"connect\", \"reset\"] }` of [origins.NAME]",
    ),
    (
        &["redispatch"],
        "here another try is always at another server; leave it out",
    ),
    (
        &["httpchk", "option_httpchk", "inter", "check"],
        "here it is `health = { path = \"/health\", interval = \"5s\" }` of [origins.NAME]",
    ),
    (&["slowstart"], "here it is `slow_start` of [origins.NAME]"),
    (
        &["agent_check", "agent_port", "agent_inter", "agent_send"],
        "here it is `agent = { port = 9777 }` of [origins.NAME]",
    ),
    (
        &["observe", "error_limit"],
        "here it is `ejection` of [origins.NAME]",
    ),
    (&["mode"], "here it is `protocol` of [[listen]]"),
    (
        &["http_reuse", "max_reuse"],
        "here connections are always shared; see `idle_max` of [origins.NAME]",
    ),
    (
        &["send_proxy", "send_proxy_v2"],
        "here it is `proxy_protocol` of [origins.NAME]",
    ),
    (
        &["stick", "stick_table"],
        "here it is `sticky` of [origins.NAME], or a [[limit]]",
    ),
    (
        &["http_request", "http_response", "reqadd", "rspadd"],
        "here it is `request_fields` and `response_fields` of [[site.route]]",
    ),
    (
        &["server_template"],
        "here it is `servers = [{ url = \"http://app.internal:8080\", resolve = \"each\" }]` of [origins.NAME]",
    ),
    (
        &["nbthread", "nbproc"],
        "here all processors are used; leave it out",
    ),
    (&["stats"], "here it is the table [admin]"),
    (
        &["hash_type"],
        "here it is `balance = { hash = \"url\" }` of [origins.NAME]",
    ),
    (
        &["hash_balance_factor"],
        "here it is `balance = { hash = \"url\", bounded_load = 1.5 }` of [origins.NAME]",
    ),
    (
        &["forwardfor", "option_forwardfor"],
        "here X-Forwarded-For is always sent; see `forwarded` of [server]",
    ),
    (
        &["ca_file"],
        "here it is `tls = { roots = \"ca.pem\" }` of [origins.NAME]",
    ),
    (
        &["global", "defaults"],
        "here it is [server], and each table has defaults of its own",
    ),
    (
        &["option"],
        "here each option is a key of its own; docs/config.md has them all",
    ),
];
