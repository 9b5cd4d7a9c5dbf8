//! Key `upgrade` of a route: the protocols that clients may go on with on their connection.

use toml::Spanned;

use super::names;
use super::report::{Given, Report};

/// In lower case, without those complained of.
pub(super) fn resolve(given: &Given<Vec<Spanned<String>>>, report: &mut Report) -> Vec<String> {
    let mut protocols = Vec::new();
    for text in given.iter().flat_map(|it| it.get_ref()) {
        match check(text.get_ref()) {
            Ok(()) => protocols.push(text.get_ref().to_ascii_lowercase()),
            Err(complaint) => report.at(text.span(), complaint),
        }
    }
    protocols
}

/// RFC 9110 §7.8: `protocol = protocol-name ["/" protocol-version]`, both tokens.
fn check(text: &str) -> Result<(), &'static str> {
    let (name, version) = text.split_once('/').unwrap_or((text, "1"));
    if !names::is_token(name) || !names::is_token(version) {
        return Err("is not the name of a protocol; write \"websocket\"");
    }
    let is_http = ["h2c", "http", "tls"].contains(&&*name.to_ascii_lowercase());
    match is_http {
        // Whatever went through it would be seen by no rule.
        true => Err("would carry requests past all rules; leave it out"),
        false => Ok(()),
    }
}
