//! Tables `[[certificate]]`: which files hold the certificates that clients are shown.
//!
//! Not which of them is shown to whom.

use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::care::Care;
use super::pair::{BadPair, PairPaths};
use super::report::{Given, Place, Report};
use super::site::HostPattern;
use super::table::Written;

/// One `[[certificate]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// One certificate with its key.
    Pair(PairPaths),
    /// All pairs of a folder: `NAME.pem` with `NAME.key`.
    Folder(Arc<str>),
}

/// One `[[certificate]]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCertificate {
    chain: Given<String>,
    key: Given<String>,
    folder: Given<String>,
}

// === impl RawCertificate ===

impl RawCertificate {
    /// `None` after a complaint.
    pub(super) fn resolve(raw: &Written<Self>, report: &mut Report) -> Option<Certificate> {
        let (keys, place) = (&**raw.get_ref(), raw.span());
        let text = |it: &Spanned<String>| Arc::from(it.get_ref().as_str());
        match (&keys.chain, &keys.key, &keys.folder) {
            (Some(chain), Some(key), None) => Some(Certificate::Pair(PairPaths {
                chain: text(chain),
                key: text(key),
            })),
            (None, None, Some(folder)) => Some(Certificate::Folder(text(folder))),
            (chain, key, Some(folder)) if chain.is_some() || key.is_some() => {
                let mend =
                    "stands beside `chain` or `key`; write a [[certificate]] of its own for it";
                report.at(folder.span(), mend);
                None
            }
            (Some(_), ..) => {
                report.missing(
                    place,
                    "key",
                    "is missing; write the path of the key of `chain`",
                );
                None
            }
            (None, Some(_), _) => {
                let text = "is missing; write the path of the certificate of `key`";
                report.missing(place, "chain", text);
                None
            }
            _ => {
                let text = "is missing; write `chain` and `key`, or `folder`";
                report.missing(place, "chain", text);
                None
            }
        }
    }

    /// Complains of what is wrong with its files; `hosts` are those of all sites.
    pub(super) fn examine(
        &self,
        certificate: &Certificate,
        care: Care<'_>,
        hosts: &[HostPattern],
        report: &mut Report,
    ) {
        let place = |given: &Given<String>| given.as_ref().map_or(0..0, Spanned::span);
        match certificate {
            Certificate::Pair(paths) => {
                if let Some(bad) = examine(paths, care, hosts) {
                    let key = if bad.is_key { &self.key } else { &self.chain };
                    report.at(place(key), bad.text);
                }
            }
            Certificate::Folder(folder) => {
                let place = place(&self.folder);
                self.examine_folder(folder, place, care, hosts, report);
            }
        }
    }

    /// That of one pair in it does not keep the others from being served, but a check tells it.
    fn examine_folder(
        &self,
        folder: &str,
        place: Place,
        care: Care<'_>,
        hosts: &[HostPattern],
        report: &mut Report,
    ) {
        match (PairPaths::in_folder(folder), care) {
            (Err(_), Care::Again(knows)) if knows(folder) => {}
            (Err(complaint), _) => report.at(place, complaint),
            (Ok(list), Care::Check(_)) => {
                let wrong: Vec<_> = list
                    .iter()
                    .filter_map(|it| examine(it, care, hosts).map(|it| it.text))
                    .collect();
                if !wrong.is_empty() {
                    report.at(place, wrong.join("; "));
                }
            }
            (Ok(_), _) => {}
        }
    }
}

/// What is wrong with a pair, or of no use to these hosts.
fn examine(paths: &PairPaths, care: Care<'_>, hosts: &[HostPattern]) -> Option<BadPair> {
    let pair = match paths.read() {
        Ok(pair) => pair,
        Err(bad) => {
            let is_known = matches!(care, Care::Again(knows) if knows(&paths.chain));
            return (!is_known).then_some(bad);
        }
    };
    let Care::Check(now) = care else { return None };
    let file = &paths.chain;
    if let Some(wrong) = pair.wrong_time(now) {
        return Some(BadPair::chain(format!("{file} {wrong}")));
    }
    let is_of_use = hosts.is_empty() || pair.names.iter().any(|name| is_for_any(name, hosts));
    (!is_of_use).then(|| {
        let names = pair.names.join(", ");
        BadPair::chain(format!(
            "{file} is for {names}, and no [[site]] has such a host; name the right file, or add the host"
        ))
    })
}

/// Whether a request for one of these hosts could be shown a certificate of this name.
pub(super) fn is_for_any(name: &str, hosts: &[HostPattern]) -> bool {
    // "*.a" is for "x.a" alone (RFC 9525 §6.3); a site's "*.a" is for all that end so.
    let any_below = name.strip_prefix('*');
    hosts.iter().any(|host| match (host, any_below) {
        (HostPattern::Any, _) => true,
        (HostPattern::Exact(host), None) => host.trim_matches(['[', ']']) == name,
        (HostPattern::Exact(host), Some(below)) => host
            .strip_suffix(below)
            .is_some_and(|label| !label.contains('.')),
        (HostPattern::Suffix(suffix), None) => name.ends_with(suffix.as_str()),
        (HostPattern::Suffix(suffix), Some(below)) => {
            below.ends_with(suffix.as_str()) || suffix.ends_with(below)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_host_can_be_shown() {
        for (name, host, fits) in [
            ("shop.example", "shop.example", true),
            ("shop.example", "www.shop.example", false),
            ("*.shop.example", "www.shop.example", true),
            ("*.shop.example", "a.www.shop.example", false),
            ("*.shop.example", "shop.example", false),
            ("www.shop.example", "*.shop.example", true),
            ("*.shop.example", "*.shop.example", true),
            ("*.a.shop.example", "*.shop.example", true),
            ("other.example", "*", true),
            ("other.example", "*.shop.example", false),
            ("::1", "[::1]", true),
        ] {
            let host = [HostPattern::parse(host).unwrap()];
            assert_eq!(is_for_any(name, &host), fits, "{name} {host:?}");
        }
    }
}
