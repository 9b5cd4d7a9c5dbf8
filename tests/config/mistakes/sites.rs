//! Mistakes in sites and their routes.

use super::Row;

/// These lines stand behind a configuration without mistakes, from its line 8 on, in its site.
pub const ROWS: &[Row] = &[
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
cache = { cookies = { ignore = ["@analitics", "a**"] }, authorization = "yes", must_revalidate = false }
[[site.route]]
path = "/y"
origin = "a"
cache = { cookies = "drop", set_cookie = "forward", key = { cookie_classes = { "a b" = [], c = ["*", "@nobody"] } } }"#,
        &[
            r#"11: site[0].route[0].cache.cookies.ignore[0]: unknown set of cookies; did you mean `@analytics`?"#,
            r#"11: site[0].route[0].cache.cookies.ignore[1]: `**` says no more than `*`; write one"#,
            r#"11: site[0].route[0].cache.authorization: `yes` is not known; write "rfc" or "share""#,
            r#"11: site[0].route[0].cache.must_revalidate: must be text in double quotes"#,
            r#"15: site[0].route[1].cache.cookies: `drop` is not known; write "pass", "ignore", "forward" or a table, as `{ ignore = ["_ga*"] }`"#,
            r#"15: site[0].route[1].cache.set_cookie: `forward` is not known; write "pass", "store" or "drop""#,
            r#"15: site[0].route[1].cache.key.cookie_classes."a b": names of classes are 1 to 64 letters, digits, `_` and `-`; rename it"#,
            r#"15: site[0].route[1].cache.key.cookie_classes.c[0]: makes pages of its own for each visitor; name the cookies that choose the page"#,
            r#"15: site[0].route[1].cache.key.cookie_classes.c[1]: unknown set of cookies; known are `@analytics` and `@sessions`"#,
        ],
    ),
    (
        r#"basic_auth = "on"
maintenance = { file = "", allow = ["ofice"] }
error_pages = { 404 = "/nowhere/404.html", 200 = [], "5xx" = "error.php" }
intercept = ["3xx"]
[[site]]
hosts = ["b"]
origin = "a"
basic_auth = { realm = "a" }
intercept = ["5xx"]
error_pages = []
[[site]]
hosts = ["c"]
origin = "a"
basic_auth = { users = "/nowhere/users", realm = "\"", failures = "often" }
maintenance = "yes""#,
        &[
            r#"8: site[0].basic_auth: is a table, as { users = "staff.htpasswd" }, or "off""#,
            r#"9: site[0].maintenance.file: is empty; write a path, or `maintenance = true`"#,
            r#"9: site[0].maintenance.allow[0]: unknown list `ofice`; add [list.ofice]"#,
            r#"10: site[0].error_pages.404: /nowhere/404.html cannot be read: No such file or directory (os error 2); is the path right? A relative one begins where copal was started"#,
            r#"10: site[0].error_pages.200: is no status of an error; write 404, or "5xx" for all that begin with a 5"#,
            r#"10: site[0].error_pages.5xx: error.php must end with .html, .json or .txt, which says what it is"#,
            r#"11: site[0].intercept[0]: is no status of an error; write 404, or "5xx" for all that begin with a 5"#,
            r#"15: site[1].basic_auth.users: is missing; write the path of a file that `htpasswd -B` has made"#,
            r#"16: site[1].intercept: has nothing to show; add `error_pages`, or `error_json = true`"#,
            r#"17: site[1].error_pages: a list stands where a table is wanted"#,
            r#"21: site[2].basic_auth.users: /nowhere/users cannot be read: No such file or directory (os error 2); is the path right? A relative one begins where copal was started"#,
            r#"21: site[2].basic_auth.realm: is shown to people; write visible ASCII without `"` and `\`"#,
            r#"21: site[2].basic_auth.failures: is not a rate; write "100/s", "600/m" or "10/h""#,
            r#"22: site[2].maintenance: string "yes" stands where true, false or a table is wanted"#,
        ],
    ),
    (
        r#"allow = []
deny = ["10.0.0.1/8", "ofice", "words"]
redirects = "move"
[list.office]
kind = "networks"
entries = []
[list.words]
kind = "words"
entries = ["a"]
[map.moved]
entries = { "/a" = "b" }
[[site]]
hosts = ["b"]
origin = "a"
redirects = { map = "moved", status = 200, by = "query" }
[[site]]
hosts = ["c"]
origin = "a"
redirects = { status = 301 }"#,
        &[
            "8: site[0].allow: lets nobody in; write networks or names of lists, or leave it out",
            r#"9: site[0].deny[0]: has bits set beyond its prefix; write "10.0.0.0/8""#,
            "9: site[0].deny[1]: unknown list `ofice`; did you mean `office`?",
            r#"9: site[0].deny[2]: the list `words` has no addresses; write `kind = "networks"` there"#,
            "10: site[0].redirects: unknown map `move`; did you mean `moved`?",
            r#"18: map.moved.entries."/a": `b` is no target of a redirect; write a URL, or a path as "/new""#,
            "22: site[1].redirects.status: does not redirect; write 301, 302, 303, 307 or 308",
            r#"22: site[1].redirects.by: `query` is not known; write "path" or "target""#,
            "26: site[2].redirects.map: is missing; write the name of a [map.NAME]",
        ],
    ),
    (
        "hosts2 = 1",
        &["8: site[0].hosts2: unknown key; did you mean `hosts`?"],
    ),
    (
        "[[site.route]]",
        &[r#"8: site[0].route[0].path: is missing; write `path = "/*"` for all paths"#],
    ),
    (
        r#"[[site.route]]
origin = "a""#,
        &[r#"8: site[0].route[0].path: is missing; write `path = "/*"` for all paths"#],
    ),
    (
        r#"[[site]]
hosts = ["b"]
[[site.route]]
path = "/x""#,
        &[
            "10: site[1].route[0]: leads nowhere; add one of `origin`, `redirect` and `answer`, or `origin` to its site",
        ],
    ),
    (
        r#"[[site.route]]
path = "x"
origin = "a""#,
        &["9: site[0].route[0].path: must begin with `/`, as in `/a/*`"],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
upgrade = ["websocket", "h2c", "web socket"]
[[site.route]]
path = "/y"
answer = { body = "" }
upgrade = ["websocket"]
tunnel_lifetime = "1h""#,
        &[
            "11: site[0].route[0].upgrade[1]: would carry requests past all rules; leave it out",
            "11: site[0].route[0].upgrade[2]: is not the name of a protocol; write \"websocket\"",
            "15: site[0].route[1].upgrade: has no effect beside `answer`; leave it out",
            "16: site[0].route[1].tunnel_lifetime: has no effect beside `answer`; leave it out",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x//y"
origin = "a"
path_form = "clean"
[[site.route]]
path = "/x"
origin = "a"
path_form = { form = "asis", encoded_slashes = "keep" }"#,
        &[
            "9: site[0].route[0].path: is compared with paths in normal form; write it without `//`, `.` and `..`, letters, digits and `-._~` as they are, and other encodings as %C3%A9",
            "11: site[0].route[0].path_form: is no form of paths; write \"normalize\", \"as-is\" or \"strict\"",
            "15: site[0].route[1].path_form.form: is no form of paths; write \"normalize\", \"as-is\" or \"strict\"",
            "15: site[0].route[1].path_form.encoded_slashes: unknown key; did you mean `encoded_slash`?",
        ],
    ),
    (
        r#"[[site.route]]
path = "/*/x"
origin = "a""#,
        &["9: site[0].route[0].path: `*` stands only at the end and after a `/`, as in `/a/*`"],
    ),
    (
        r#"[[site.route]]
path = "/{a}.x"
origin = "a""#,
        &["9: site[0].route[0].path: `{name}` must fill its whole segment, as in `/users/{id}`"],
    ),
    (
        r#"[[site.route]]
path = "/*"
origin = "a""#,
        &["7: site[0].origin: has no effect: each route says itself who answers; leave it out"],
    ),
    (
        r#"[[site.route]]
path = "/x/{a}"
origin = "a"
[[site.route]]
path = "/x/{b}"
origin = "a""#,
        &[
            "12: site[0].route[1].path: this path is taken by `site[0].route[0].path` on line 9; remove one of the two",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "b""#,
        &["10: site[0].route[0].origin: unknown origin `b`; did you mean `a`?"],
    ),
    (
        r#"[[site.route]]
path = "/x"
orign = "a""#,
        &["10: site[0].route[0].orign: unknown key; did you mean `origin`?"],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
answer = { }"#,
        &["11: site[0].route[0].answer: this route has `origin` already; keep one of the two"],
    ),
    (
        r#"[[site.route]]
path = "/x/*"
origin = "a"
strip_prefix = "/y""#,
        &["11: site[0].route[0].strip_prefix: is not the front of `/x/*`"],
    ),
    (
        r#"[[site.route]]
path = "/xy/*"
origin = "a"
strip_prefix = "/x""#,
        &["11: site[0].route[0].strip_prefix: is not the front of `/xy/*`"],
    ),
    (
        r#"[[site.route]]
path = "/x/*"
origin = "a"
strip_prefix = "/x/""#,
        &[
            "11: site[0].route[0].strip_prefix: must begin with `/`, name something and not end with `/`",
        ],
    ),
    (
        r#"[[site.route]]
path = "/{x}/*"
origin = "a"
strip_prefix = "/{x}""#,
        &["11: site[0].route[0].strip_prefix: must be plain text, without `{name}` and `*`"],
    ),
    (
        r#"[[site.route]]
path = "/x"
redirect = { }"#,
        &[r#"10: site[0].route[0].redirect.to: is missing; write a URL, as "https://a.example/""#],
    ),
    (
        r#"[[site.route]]
path = "/x"
redirect = { to = "new" }"#,
        &[
            r#"10: site[0].route[0].redirect.to: must be a URL, as "https://a.example/", or a path, as "/new/""#,
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
redirect = { to = "/new", status = 300 }"#,
        &[
            "10: site[0].route[0].redirect.status: does not redirect; write 301, 302, 303, 307 or 308",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
redirect = { to = "/new/", keep_rest = true }"#,
        &[
            "10: site[0].route[0].redirect.keep_rest: there is no rest to keep; let the path end with `/*`",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x/*"
redirect = { to = "/new", keep_rest = true }"#,
        &[
            "10: site[0].route[0].redirect.to: must end with `/` and have no query, since `keep_rest` adds to it",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x/*"
redirect = { to = "https://${header}/" }
[[site.route]]
path = "/y/*"
redirect = { to = "https://${client}/" }
[[site.route]]
path = "/z/*"
redirect = { to = "${host}/" }
response_fields = { set = { a = "${cahe}", b = "${cache", c = "$${cache}", d = "${host}", e = "${a}" } }
[[site.route]]
path = "/w/*"
request_fields = { set = { a = "${cache}", b = "${remote_addr}" } }"#,
        &[
            r#"10: site[0].route[0].redirect.to: unknown value `${header}`; a request field is `${header["x-name"]}`"#,
            "13: site[0].route[1].redirect.to: lets the client choose the host; only `${host}` and `${authority}` may stand there, and other values behind a `/`",
            r#"16: site[0].route[2].redirect.to: must be a URL, as "https://a.example/", or a path, as "/new/"; of values only `${path}` and `${target}` may begin it, or `${scheme}` before `://`"#,
            "17: site[0].route[2].response_fields.set.a: unknown value `${cahe}`; did you mean `${cache}`?",
            "17: site[0].route[2].response_fields.set.b: has a `${` without its `}`; write `$${` for the two characters",
            r#"17: site[0].route[2].response_fields.set.e: unknown value `${a}`; known here are `authority`, `cache`, `client`, `client.port`, `device`, `ext`, `hits`, `host`, `method`, `path`, `query`, `reason`, `request_id`, `scheme`, `status`, `target`, `header["x"]`, `cookie["x"]`, `param["x"]` and `response.header["x"]`; `$${` stands for `${`"#,
            "20: site[0].route[3].request_fields.set.a: `${cache}` is known in fields of responses alone; there is none yet here",
            "20: site[0].route[3].request_fields.set.b: unknown value `${remote_addr}`; did you mean `${client}`?",
        ],
    ),
    (
        r#"first_byte_timeout = "0s"
body_bytes_max = "1X"
[[site.route]]
path = "/x"
between_bytes_timeout = "0s"
[[site.route]]
path = "/y"
answer = {}
body_timeout = "1s"
body_bytes_max = 5
first_byte_timeout = "5m""#,
        &[
            r#"8: site[0].first_byte_timeout: must not be zero; a long one, as "1d", is as good as none"#,
            "9: site[0].body_bytes_max: unknown unit `X`; write KiB, MiB, GiB or TiB (powers of 1024), or KB, MB, GB or TB (powers of 1000)",
            r#"12: site[0].route[0].between_bytes_timeout: must not be zero; a long one, as "1d", is as good as none"#,
            "16: site[0].route[1].body_timeout: has no effect beside `answer`; leave it out",
            "17: site[0].route[1].body_bytes_max: has no effect beside `answer`; leave it out",
            "18: site[0].route[1].first_byte_timeout: has no effect beside `answer`; leave it out",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
redirect = { to = "/new" }
strip_prefix = "/x"
cache = { enabled = false }"#,
        &[
            "11: site[0].route[0].strip_prefix: has no effect beside `redirect`; leave it out",
            "12: site[0].route[0].cache: has no effect beside `redirect`; leave it out",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
answer = { status = 100 }"#,
        &["10: site[0].route[0].answer.status: is no final status; write 200 to 599"],
    ),
    (
        r#"[[site.route]]
path = "/x"
answer = { status = 204, body = "x" }"#,
        &["10: site[0].route[0].answer.body: status 204 has no body; leave it out"],
    ),
    (
        r#"[[site.route]]
path = "/x"
answer = { fields = { content-length = "1" } }"#,
        &[
            "10: site[0].route[0].answer.fields.content-length: belongs to the connection and is written by the proxy alone; leave it out",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
answer = { fields = { "a b" = "1", c = " x", d = "\n", e = "é" } }"#,
        &[
            r#"10: site[0].route[0].answer.fields."a b": is not the name of a field; use letters, digits and hyphens (RFC 9110 §5.1)"#,
            "10: site[0].route[0].answer.fields.c: is not the value of a field; use visible ASCII, with spaces only between words (RFC 9110 §5.5)",
            "10: site[0].route[0].answer.fields.d: is not the value of a field; use visible ASCII, with spaces only between words (RFC 9110 §5.5)",
            "10: site[0].route[0].answer.fields.e: is not the value of a field; use visible ASCII, with spaces only between words (RFC 9110 §5.5)",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
request_fields = { set = { Host = "b", A = "1" }, remove = ["a", "connection"] }"#,
        &[
            "11: site[0].route[0].request_fields.set.Host: is set by the key `host` of the origin; move it there",
            "11: site[0].route[0].request_fields.remove[0]: is named twice; letter case makes no other field",
            "11: site[0].route[0].request_fields.remove[1]: belongs to the connection and is written by the proxy alone; leave it out",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
response_fields = { append = { } }"#,
        &[
            "11: site[0].route[0].response_fields.append: unknown key; known here are `set`, `add` and `remove`",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
cache = { ttls = "1s", key = { zz9 = 1 }, fold = { encoding = [] } }"#,
        &[
            "11: site[0].route[0].cache.ttls: unknown key; did you mean `ttl`?",
            "11: site[0].route[0].cache.key.zz9: unknown key; known here are `query`, `query_allow`, `query_deny`, `query_forward`, `fields`, `cookies` and `cookie_classes`",
            "11: site[0].route[0].cache.fold.encoding: unknown key; known here are `accept_encoding`, `accept_language` and `user_agent`",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
cache.tags = { field = [], fields = ["x y", "ETag", "Cache-Group-Invalidation"], max = 0, purged_by = ["vary"] }"#,
        &[
            "11: site[0].route[0].cache.tags.field: unknown key; did you mean `fields`?",
            "11: site[0].route[0].cache.tags.fields[0]: is not the name of a field; use letters, digits and hyphens (RFC 9110 §5.1)",
            "11: site[0].route[0].cache.tags.fields[1]: has a meaning of its own in HTTP; name a field that has tags alone",
            "11: site[0].route[0].cache.tags.fields[2]: is heeded anyway, as RFC 9875 has it; leave it out",
            "11: site[0].route[0].cache.tags.max: is out of limits; write 1 to 10000",
            "11: site[0].route[0].cache.tags.purged_by[0]: has a meaning of its own in HTTP; name a field that has tags alone",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
cache = { enabled = false, ttl = "1h" }"#,
        &[
            "11: site[0].route[0].cache.enabled: leaves the other keys of this table without effect; leave those out, or this",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
cache = { cookies = "keep", key = { cookies = ["*", "a b", "c**"] } }"#,
        &[
            r#"11: site[0].route[0].cache.cookies: `keep` is not known; write "pass", "ignore", "forward" or a table, as `{ ignore = ["_ga*"] }`"#,
            "11: site[0].route[0].cache.key.cookies[0]: makes pages of its own for each visitor; name the cookies that choose the page",
            "11: site[0].route[0].cache.key.cookies[1]: is not the name of a cookie; write the part before its `=` (RFC 6265 §4.1.1)",
            "11: site[0].route[0].cache.key.cookies[2]: `**` says no more than `*`; write one",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
cache = { cookies = { ignore = ["a*", "_ga=*", "b"], pass = ["a*"] } }"#,
        &[
            "11: site[0].route[0].cache.cookies.ignore[0]: is in `pass` as well; leave it out of one",
            "11: site[0].route[0].cache.cookies.ignore[1]: is not the name of a cookie; write the part before its `=` (RFC 6265 §4.1.1)",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
cache = { cookies = {} }"#,
        &[
            r#"11: site[0].route[0].cache.cookies: says nothing; write `ignore = ["_ga*"]` (all others pass) or `pass = ["session*"]` (all others are ignored)"#,
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
cache = { cookies = { deny = ["a"] } }"#,
        &[
            r#"11: site[0].route[0].cache.cookies: says nothing; write `ignore = ["_ga*"]` (all others pass) or `pass = ["session*"]` (all others are ignored)"#,
            "11: site[0].route[0].cache.cookies.deny: unknown key; known here are `pass` and `ignore`",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
cache = { cookies = ["a"] }"#,
        &[
            "11: site[0].route[0].cache.cookies: a list stands where text in double quotes or a table is wanted",
        ],
    ),
    (
        r#"[[site.route]]
path = "/x"
origin = "a"
cache = { status_ttl = { 304 = "1s" }, key = { fields = ["host"] } }"#,
        &[
            "11: site[0].route[0].cache.status_ttl.304: has the lifetime of the response that it confirms; write 200",
            "11: site[0].route[0].cache.key.fields[0]: is part of every key already; leave it out",
        ],
    ),
    (
        "[[site]]",
        &[
            "8: site[1]: has no route; add a [[site.route]], or `origin` for one",
            r#"8: site[1].hosts: is missing; write `hosts = ["*"]` for any host"#,
        ],
    ),
    (
        r#"[[site]]
hosts = []
origin = "a""#,
        &[r#"9: site[1].hosts: is empty; write ["*"] for any host"#],
    ),
    (
        r#"[[site]]
hosts = ["b"]"#,
        &["8: site[1]: has no route; add a [[site.route]], or `origin` for one"],
    ),
    (
        r#"[[site]]
hosts = ["*"]
origin = "a""#,
        &[
            "9: site[1].hosts[0]: this host is taken by `site[0].hosts[0]` on line 6; remove one of the two",
        ],
    ),
    (
        r#"[[site]]
hosts = ["b", "B", "*.c", "*.C", "c:80", "*d", ".d", "é"]
origin = "a""#,
        &[
            "9: site[1].hosts[1]: this host is taken by `site[1].hosts[0]` on line 9; remove one of the two",
            "9: site[1].hosts[3]: this host is taken by `site[1].hosts[2]` on line 9; remove one of the two",
            r#"9: site[1].hosts[4]: a host stands here alone, as "app.internal"; leave scheme and port out"#,
            r#"9: site[1].hosts[5]: `*` stands alone or before a dot, as "*.shop.example""#,
            r#"9: site[1].hosts[6]: subdomains are written with a star, as "*.shop.example""#,
            r#"9: site[1].hosts[7]: a name beyond ASCII is written in its "xn--" form"#,
        ],
    ),
    (
        r#"[[site]]
hosts = "b"
origin = "a""#,
        &[r#"9: site[1].hosts: is a list; write ["b"]"#],
    ),
    (
        r#"[[site]]
host = ["b"]
origin = "a""#,
        &["9: site[1].host: unknown key; did you mean `hosts`?"],
    ),
    (
        r#"[[site]]
hosts = ["b"]
routes = []"#,
        &["10: site[1].routes: unknown key; did you mean `route`?"],
    ),
];
