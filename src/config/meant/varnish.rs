//! Parameters and words of Varnish, and what they are here.

/// Their names, and what is said of them.
pub(super) const VARNISH: &[(&[&str], &str)] = &[
    (
        &["backend", "director", "directors"],
        "here it is [origins.NAME] with `servers = [\"http://127.0.0.1:8081\"]`",
    ),
    (&["host_header"], "here it is `host` of [origins.NAME]"),
    (
        &["proxy_header"],
        "here it is `proxy_protocol` of [origins.NAME]",
    ),
    (
        &["max_connections"],
        "here it is `requests_max` of [origins.NAME]",
    ),
    (
        &["probe", "expected_response", "threshold", "initial"],
        "here it is `health = { path = \"/health\", status = \"200\", rise = 2, fall = 3 }` of [origins.NAME]",
    ),
    (
        &["backend_idle_timeout"],
        "here it is `idle_timeout` of [origins.NAME]",
    ),
    (
        &["backend_wait_limit", "backend_wait_timeout"],
        "here it is `pending_max` and `pending_timeout` of [origins.NAME]",
    ),
    (
        &["beresp", "obj"],
        "here rules for responses stand in [cache] or a route's `cache`: `ttl`, `grace`, `keep`, `enabled`",
    ),
    (
        &["req", "bereq", "resp"],
        "here fields are edited by `request_fields` and `response_fields` of [[site.route]]",
    ),
    (
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
        &["acl"],
        "here it is [list.NAME], or networks where they are used: `purge_from`, `allow`, `deny` of [server]",
    ),
    (
        &["thread_pool_max", "thread_pools", "thread_pool_min"],
        "here it is `connections_max` of [server]",
    ),
    (&["timeout_req"], "here it is `header_timeout` of [server]"),
    (&["timeout_idle"], "here it is `idle_timeout` of [server]"),
    (
        &["idle_send_timeout"],
        "here it is `send_timeout` of [server]",
    ),
    (
        &["http_req_size", "http_req_hdr_len"],
        "here it is `header_bytes_max` of [server]",
    ),
    (
        &["http_max_hdr"],
        "here it is `header_fields_max` of [server]",
    ),
    (&["malloc", "storage"], "here it is `memory` of [store]"),
    (&["transient"], "here it is `fill_memory` of [store]"),
    (&["default_keep"], "here it is `keep` of [cache]"),
    (
        &["uncacheable"],
        "here it is `enabled = false` of a route's `cache`",
    ),
    (
        &["hash_data"],
        "here it is `key = { fields = [ … ], cookies = [ … ] }` of [cache]",
    ),
    (
        &["http_gzip_support"],
        "here it is `fold = { accept_encoding = [ … ] }` of [cache]",
    ),
    (&["http_range_support"], "here it is `range` of [cache]"),
    (
        &["ban", "purge"],
        "here it is `purge_from` of [server], or the table [admin]",
    ),
    (&["synth"], "here it is `answer` of [[site.route]]"),
];
