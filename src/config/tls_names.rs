//! Names of cipher suites and groups, as IANA has them, and the code points that they stand for.

use std::sync::Arc;

use rustls::CipherSuite;
use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, ALL_KX_GROUPS};
use toml::Spanned;

use super::report::{Given, Report};
use super::wording;

/// The code points of what is listed, or none where nothing is.
pub(super) fn listed(
    given: &Given<Vec<Spanned<String>>>,
    what: &str,
    find: fn(&str) -> Option<u16>,
    known: &[&str],
    report: &mut Report,
) -> Arc<[u16]> {
    let Some(list) = given else {
        return Arc::default();
    };
    if list.get_ref().is_empty() {
        report.at(
            list.span(),
            format!("is empty; name one {what} at least, or leave it out"),
        );
    }
    let mut found = Vec::new();
    for name in list.get_ref() {
        match find(name.get_ref()) {
            Some(code) => found.push(code),
            None => {
                let known = wording::list(known, "`", "and");
                report.at(
                    name.span(),
                    format!("is no {what} that is spoken here; known are {known}"),
                );
            }
        }
    }
    found.into()
}

/// By the name that IANA has for it.
pub(super) fn suite(name: &str) -> Option<u16> {
    let mut suites = ALL_CIPHER_SUITES.iter().map(|it| it.suite());
    let found = suites.find(|it| suite_name(*it).eq_ignore_ascii_case(name));
    found.map(u16::from)
}

pub(super) fn suite_names() -> Vec<&'static str> {
    ALL_CIPHER_SUITES
        .iter()
        .map(|it| suite_name(it.suite()))
        .collect()
}

/// The name that IANA has for a suite: rustls sets those of TLS 1.3 apart.
pub fn suite_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        suite => suite.as_str().unwrap_or("unknown"),
    }
}

pub(super) fn group(name: &str) -> Option<u16> {
    let mut groups = ALL_KX_GROUPS.iter().map(|it| it.name());
    let found = groups.find(|it| it.as_str().is_some_and(|it| it.eq_ignore_ascii_case(name)));
    found.map(u16::from)
}

pub(super) fn group_names() -> Vec<&'static str> {
    ALL_KX_GROUPS
        .iter()
        .filter_map(|it| it.name().as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_and_groups_have_the_names_of_iana() {
        for (name, code) in [
            ("TLS_AES_128_GCM_SHA256", Some(0x1301)),
            ("tls_aes_256_gcm_sha384", Some(0x1302)),
            ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Some(0xc02f)),
            ("TLS_RSA_WITH_AES_128_GCM_SHA256", None),
            ("", None),
        ] {
            assert_eq!(suite(name), code, "{name}");
        }
        for (name, code) in [
            ("X25519MLKEM768", Some(0x11ec)),
            ("x25519", Some(29)),
            ("ffdhe2048", None),
        ] {
            assert_eq!(group(name), code, "{name}");
        }
    }
}
