//! Networks of IP addresses, as lists in several tables name them.

use ipnet::IpNet;
use toml::Spanned;

use super::report::Report;
use crate::lists::parse_network;

/// Networks as written, without those complained of.
pub(super) fn resolve(list: &[Spanned<String>], report: &mut Report) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for text in list {
        match parse_network(text.get_ref()) {
            Ok(network) => networks.push(network),
            Err(complaint) => report.at(text.span(), complaint),
        }
    }
    networks
}
