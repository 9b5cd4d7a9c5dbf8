//! Mistakes in TLS of listeners, sites and certificates that need no file to be seen. They stand behind
//! a configuration without mistakes, from line 8 on.

use super::Row;

pub const ROWS: &[Row] = &[
    (
        "[[listen]]\naddress = \"127.0.0.1:1\"\ntls = true",
        &[
            r#"10: listen[1].tls: needs a certificate; add [[certificate]] with `chain = "shop.pem"` and `key = "shop.key"`, or [acme] with `domains` to have a CA give one"#,
        ],
    ),
    (
        "[[certificate]]\nchain = \"a.pem\"",
        &["8: certificate[0].key: is missing; write the path of the key of `chain`"],
    ),
    (
        "[[certificate]]\nkey = \"a.key\"",
        &["8: certificate[0].chain: is missing; write the path of the certificate of `key`"],
    ),
    (
        "[[certificate]]",
        &["8: certificate[0].chain: is missing; write `chain` and `key`, or `folder`"],
    ),
    (
        "[[certificate]]\nchain = \"a.pem\"\nfolder = \"a\"",
        &[
            "10: certificate[0].folder: stands beside `chain` or `key`; write a [[certificate]] of its own for it",
        ],
    ),
    (
        "[[certificate]]\nfolder = \"/nowhere\"",
        &[
            "9: certificate[0].folder: /nowhere cannot be read as a folder: No such file or directory (os error 2)",
        ],
    ),
    (
        "tls = { client_auth = \"require\" }",
        &[
            "8: site[0].tls.client_ca: is missing; write the file of the certificates that vouch for clients",
        ],
    ),
    (
        "tls = { client_ca = \"ca.pem\" }",
        &[r#"8: site[0].tls.client_auth: is missing; write "off", "request" or "require""#],
    ),
    (
        "tls = { client_auth = \"off\", client_ca = \"ca.pem\" }",
        &[
            r#"8: site[0].tls.client_ca: has no effect while `client_auth` is off; write "require" there, or leave this out"#,
        ],
    ),
    (
        "hsts = \"long\"",
        &[
            r#"8: site[0].hsts: a duration is a whole number with a unit, as "250ms", "30s" or "5m"; or write "off""#,
        ],
    ),
    (
        "hsts = { max_age = \"1d\", preload = true }",
        &[
            r#"8: site[0].hsts: has `preload`, which wants `subdomains = true` and a `max_age` of "365d" or more"#,
        ],
    ),
    (
        "hsts = { subdomains = true }",
        &[r#"8: site[0].hsts.max_age: is missing; write `max_age = "365d"`"#],
    ),
    (
        "[admin]\ntls = { suites = [\"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\"], groups = [] }\n[[certificate]]\nfolder = \"/\"",
        &[
            r#"9: admin.tls.suites: has no suite of TLS 1.3; add "TLS_AES_128_GCM_SHA256""#,
            "9: admin.tls.groups: is empty; name one group at least, or leave it out",
        ],
    ),
    (
        "[tls]\nhandshakes_max = 0",
        &["9: tls.handshakes_max: is out of limits; write 1 to 16777216"],
    ),
    (
        "[tls]\nticket_keys = \"/dev/null\"",
        &[
            "9: tls.ticket_keys: /dev/null holds no ticket keys: one a line of 64 hexadecimal digits, as `openssl rand -hex 32` writes",
        ],
    ),
];
