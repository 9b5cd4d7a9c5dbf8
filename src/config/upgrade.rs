//! Key `upgrade` of a route: the protocols that clients may go on with on their connection.

use toml::Spanned;

use super::names;
use super::report::{Given, Report};
use super::{Config, HttpVersion, RawConfig};

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

/// HTTP/2 has no Upgrade (RFC 9113 §8.6), and origins are not asked by CONNECT.
pub(super) fn check_origins(raw: &RawConfig, config: &Config, report: &mut Report) {
    let routes = raw.site.iter().flat_map(|site| &site.get_ref().route);
    for route in routes.map(|it| it.get_ref()) {
        let Some((upgrade, name)) = route.upgrade.as_ref().zip(route.origin.as_ref()) else {
            continue;
        };
        let origin = config.origins.get(name.get_ref().as_str());
        if origin.is_some_and(|it| it.wire.version == HttpVersion::Http2) {
            let text = "leads to an origin with `http_version = \"2\"`, where nothing is upgraded; \
                        write \"auto\" or \"1.1\" there";
            report.at(upgrade.span(), text);
        }
    }
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
