//! Networks of IP addresses, as lists in several tables name them.

use std::net::IpAddr;

use ipnet::IpNet;
use toml::Spanned;

use super::report::Report;

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

/// A network in CIDR form, or a single address.
fn parse_network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let network: IpNet = text
        .parse()
        .map_err(|_| "is not a network; write \"10.0.0.0/8\" or \"::1\"".to_owned())?;
    if network.addr() != network.network() {
        return Err(format!(
            "has bits set beyond its prefix; write \"{}\"",
            network.trunc()
        ));
    }
    Ok(network)
}
