//! Words that one would try first, and what they are here.
//!
//! Not the settings of one program (`foreign.rs`), nor slips of the pen, which `wording.rs` mends.

/// Where the words stand, the words, and what is meant.
type Row = (&'static str, &'static [&'static str], &'static str);

/// What is said of such a word in a table of this scope.
pub(super) fn word(scope: &str, key: &str) -> Option<String> {
    let typed = key.to_ascii_lowercase().replace('-', "_");
    let fits = |row: &&Row| (row.0 == scope || row.0 == ANYWHERE) && row.1.contains(&&typed[..]);
    // A table's own words go before those of all.
    let row = ROWS.iter().find(fits);
    row.map(|(_, _, text)| format!("unknown key; {text}"))
}

const ANYWHERE: &str = "*";

const ROWS: &[Row] = &[
    (
        "",
        &[
            "port",
            "bind",
            "address",
            "addr",
            "listen_address",
            "listen_on",
            "listen_port",
        ],
        "where clients come in is [[listen]] with `address = \"127.0.0.1:8080\"`",
    ),
    (
        "",
        &[
            "origin",
            "url",
            "target",
            "upstreams",
            "backends",
            "proxy",
            "forward_to",
        ],
        "where responses come from is [origins.NAME] with `servers = [\"http://127.0.0.1:8081\"]`",
    ),
    (
        "",
        &["host", "hosts", "domain", "domains", "hostname"],
        "it is `hosts` of [[site]]",
    ),
    (
        "",
        &["route", "routes", "paths"],
        "routes stand below their site, [[site.route]]",
    ),
    (
        "",
        &["logging", "logs", "log_level"],
        "it is the table [log]",
    ),
    (
        "",
        &["caching", "cache_control", "ttl", "default_ttl"],
        "rules of caching stand in [cache]",
    ),
    (
        "",
        &["memory", "cache_size", "size"],
        "it is `memory` of [store]",
    ),
    (
        "",
        &["timeout", "timeouts"],
        "timeouts of clients stand in [server], those of origins in [origins.NAME]",
    ),
    (
        "server",
        &["port", "bind", "address", "addr", "listen", "host", "hosts"],
        "where clients come in is [[listen]] with `address = \"127.0.0.1:8080\"`",
    ),
    (
        "server",
        &["read_timeout"],
        "it is `header_timeout` for the head of a request and `body_timeout` for silence within its body",
    ),
    (
        "server",
        &["write_timeout", "response_timeout"],
        "it is `send_timeout`",
    ),
    (
        "server",
        &["timeout", "request_timeout", "client_timeout"],
        "there is one for each phase: `header_timeout`, `body_timeout`, `send_timeout` and `idle_timeout`",
    ),
    (
        "server",
        &[
            "max_body_size",
            "body_max",
            "max_body",
            "max_request_size",
            "body_limit",
            "max_body_bytes",
        ],
        "it is `body_bytes_max`",
    ),
    (
        "server",
        &["max_header_size", "max_header_bytes", "header_max"],
        "it is `header_bytes_max`",
    ),
    (
        "server",
        &["max_conns", "max_clients", "concurrency"],
        "it is `connections_max`",
    ),
    (
        "server",
        &["shutdown_timeout", "grace_period", "graceful_timeout"],
        "it is `drain_timeout`",
    ),
    (
        "site",
        &[
            "read_timeout",
            "timeout",
            "response_timeout",
            "request_timeout",
        ],
        "it is `first_byte_timeout` until the head of an answer and `between_bytes_timeout` within its body",
    ),
    (
        "site.route",
        &[
            "read_timeout",
            "timeout",
            "response_timeout",
            "request_timeout",
        ],
        "it is `first_byte_timeout` until the head of an answer and `between_bytes_timeout` within its body",
    ),
    (
        "origins.NAME",
        &[
            "read_timeout",
            "timeout",
            "response_timeout",
            "request_timeout",
            "total_timeout",
        ],
        "it is `first_byte_timeout` until the head of an answer and `between_bytes_timeout` within its body",
    ),
    (
        "origins.NAME",
        &[
            "url",
            "urls",
            "address",
            "addresses",
            "target",
            "targets",
            "upstream",
            "backend",
            "port",
            "hosts",
            "origin",
            "uri",
        ],
        "it is `servers = [\"http://127.0.0.1:8081\"]`",
    ),
    (
        "origins.NAME.servers",
        &["host", "port", "address", "addr", "server", "name", "ip"],
        "it is `url`, as `{ url = \"http://127.0.0.1:8081\" }`",
    ),
    (
        "origins.NAME",
        &["lb", "algorithm", "policy", "strategy", "load_balancing"],
        "it is `balance`",
    ),
    (
        "origins.NAME",
        &["healthcheck", "health_checks", "check", "path"],
        "it is `health = { path = \"/health\" }`",
    ),
    (
        "origins.NAME",
        &["keep_alive", "pool_size", "max_idle", "connections"],
        "it is `idle_max` and `connections_max`",
    ),
    (
        "cache",
        &[
            "max_age", "maxage", "s_maxage", "lifetime", "duration", "expires", "expiry", "time",
        ],
        "it is `default_ttl` for responses that say nothing of their own, and `ttl` for all",
    ),
    (
        "cache",
        &["size", "max_size", "capacity", "max_memory"],
        "it is `memory` of [store]",
    ),
    (
        "cache",
        &["stale_while_revalidate", "swr"],
        "it is `default_grace`, or `grace` for all responses",
    ),
    (
        "cache",
        &["bypass", "no_cache", "disabled", "pass"],
        "it is `enabled = false`",
    ),
    (
        "cache",
        &["vary", "headers"],
        "it is `key = { fields = [\"x-tenant\"] }`; Vary is honoured anyway",
    ),
    (
        "cache",
        &["ignore_query", "query_params", "query_string"],
        "it is `key = { query_allow = [ … ] }`",
    ),
    (
        "cache",
        &["ignore_cookies", "strip_cookies"],
        "it is `cookies = \"ignore\"`",
    ),
    (
        "cache.cookies",
        &["allow", "deny"],
        "known here are `pass` and `ignore`",
    ),
    (
        "site.route.cache.cookies",
        &["allow", "deny"],
        "known here are `pass` and `ignore`",
    ),
    (
        "store",
        &[
            "size",
            "max_size",
            "capacity",
            "limit",
            "max_memory",
            "memory_max",
        ],
        "it is `memory`",
    ),
    (
        "site",
        &["name", "domain", "domains", "hostname", "host_name"],
        "it is `hosts`",
    ),
    (
        "site",
        &["backend", "upstream", "proxy", "target", "servers", "url"],
        "it is `origin`, the name of an [origins.NAME] that has the servers",
    ),
    (
        "site.route",
        &["method", "methods"],
        "routes are chosen by host and path alone",
    ),
    (
        "site.route",
        &[
            "prefix", "match", "pattern", "url", "uri", "regex", "paths", "from",
        ],
        "it is `path`, as `path = \"/api/*\"`",
    ),
    (
        "site.route",
        &[
            "upstream", "backend", "proxy", "target", "pass", "servers", "service",
        ],
        "it is `origin`, the name of an [origins.NAME] that has the servers",
    ),
    (
        "site.route",
        &["strip", "rewrite_path", "path_prefix"],
        "it is `strip_prefix`",
    ),
    (
        "site.route",
        &["rate_limit", "rate"],
        "it is `limit = [\"api\"]`, the name of a [[limit]]",
    ),
    (
        "site.route",
        &["response", "respond", "status", "body"],
        "it is `answer = { status = 200, body = \"…\" }`",
    ),
    (
        "listen",
        &["port", "host", "ip", "bind", "addr", "interface"],
        "it is `address`, as `address = \"0.0.0.0:8080\"`",
    ),
    (
        "limit",
        &[
            "requests",
            "limit",
            "per_second",
            "rps",
            "period",
            "window",
            "max",
        ],
        "it is `rate`, as `rate = \"100/s\"`",
    ),
    ("limit", &["by", "per"], "it is `key`, as `key = \"ip\"`"),
    (
        "admin",
        &["port", "listen", "bind", "host"],
        "it is `address`, as `address = \"127.0.0.1:9180\"`",
    ),
    (
        "admin",
        &["password", "user", "auth", "secret"],
        "it is `token`",
    ),
    (
        "log",
        &["path", "file", "output", "access_file", "target"],
        "it is `access`, as `access = \"./access.log\"`",
    ),
    (
        "*",
        &[
            "headers",
            "header",
            "set_headers",
            "add_headers",
            "request_headers",
            "response_headers",
        ],
        "fields are edited by `request_fields` and `response_fields` of [[site.route]]",
    ),
    (
        "*",
        &["workers", "threads", "worker_threads"],
        "all processors are used; leave it out",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_their_table_makes_of_them() {
        for (scope, key, wanted) in [
            ("server", "read_timeout", Some("header_timeout")),
            ("origins.NAME", "Read-Timeout", Some("first_byte_timeout")),
            ("site", "read_timeout", Some("first_byte_timeout")),
            ("site.route", "timeout", Some("between_bytes_timeout")),
            ("site.route", "headers", Some("request_fields")),
            ("cache", "headers", Some("key = { fields")),
            ("resolver", "read_timeout", None),
        ] {
            let text = word(scope, key);
            let is_right = match (&text, wanted) {
                (Some(text), Some(wanted)) => text.contains(wanted),
                (found, wanted) => found.is_none() && wanted.is_none(),
            };
            assert!(is_right, "{scope} {key}: {text:?}");
        }
    }
}
