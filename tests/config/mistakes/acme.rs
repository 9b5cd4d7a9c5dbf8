//! Mistakes in `[acme]`: what newcomers write who want HTTPS.

use super::Row;

/// A listener with TLS, for a table that is right.
const TLS: &str = "[[listen]]\naddress = \"127.0.0.1:8443\"\ntls = true";

pub const ROWS: &[Row] = &[
    (
        "[acme]",
        &[
            "1: acme.domains: is missing; write `domains = [\"shop.example\"]`",
            "1: acme.email: is missing; write the address that the CA may write to, as \
             \"ops@shop.example\", or \"\" for none: either says that you agree to its terms",
            "1: acme: gets certificates that no listener shows; write `tls = true` in a [[listen]]",
        ],
    ),
    (
        r#"[[listen]]
address = "127.0.0.1:8443"
tls = true
[acme]
domains = ["*.shop.example", "localhost", "10.0.0.1", "shop.example", "Shop.example", "my_shop.example"]
email = "ops"
directory = "http://ca.example/dir"
challenges = []
eab = { id = "a", secret = "?" }
on_demand = {}"#,
        &[
            "5: acme.domains[0]: is a wildcard, for which CAs want a record in DNS (DNS-01), and Copal \
             writes none; name each host, or bring the certificate in [[certificate]]",
            "5: acme.domains[1]: is no name in public DNS, and no public CA gives a certificate for it; \
             name a registered domain, or ask a CA of your own (`directory` and `roots`)",
            "5: acme.domains[2]: is an address of your own network, for which no public CA gives a \
             certificate; name the public one, or ask a CA of your own (`directory` and `roots`)",
            "5: acme.domains[4]: stands here twice",
            "5: acme.domains[5]: has an underscore, which no certificate may have; choose another name",
            "6: acme.email: is no address of e-mail; write \"ops@shop.example\"",
            "7: acme.directory: is no https URL; write \
             \"https://acme-v02.api.letsencrypt.org/directory\"",
            "8: acme.challenges: is empty; leave it out for all that listeners can answer",
            "9: acme.eab.secret: is no base64url; copy it as the CA has shown it",
            "10: acme.on_demand.ask: is missing; without it anybody could have certificates fetched \
             for any name: write `ask = \"http://127.0.0.1:9000/may\"`, which answers 200 for names of yours",
        ],
    ),
    (
        r#"[[listen]]
address = "127.0.0.1:8443"
tls = true
[acme]
domains = ["shop.example"]
email = ""
roots = "/nowhere/ca.pem"
[[acme.fallback]]
profile = "shortlived""#,
        &[
            "7: acme.roots: /nowhere/ca.pem cannot be read: No such file or directory (os error 2); is \
             the path right? A relative one begins where copal was started",
            "8: acme.fallback[0].directory: is missing; write the URL of the directory of another CA",
        ],
    ),
];

#[test]
fn a_table_that_is_right_needs_no_certificate_beside_it() {
    let table = "[acme]\ndomains = [\"shop.example\", \"8.8.8.8\"]\nemail = \"\"";
    let text = format!("{TLS}\n{table}\n{}", super::MINIMAL);
    assert_eq!(super::complaints(&text), [""; 0]);
}

#[test]
fn a_domain_that_no_site_serves_is_told() {
    let sites = super::MINIMAL.replace("\"*\"", "\"*.other.example\"");
    let text = format!("{TLS}\n[acme]\ndomains = [\"shop.example\"]\nemail = \"\"\n{sites}");
    let said = "f:5: acme.domains[0]: is the host of no [[site]]; add it to `hosts` of one";
    assert_eq!(super::complaints(&text), [said]);
}
