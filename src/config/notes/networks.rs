//! Notes on lists of networks that everybody is in.

use ipnet::IpNet;

use super::Notebook;
use crate::config::Config;

pub(super) fn look(config: &Config, book: &mut Notebook) {
    let server = &config.server;
    let lists = [
        (
            "server.trusted_proxies".to_owned(),
            &server.trusted_proxies,
            "lets every client say which address, host and scheme it has; name the networks of your \
             proxies",
        ),
        (
            "server.purge_from".to_owned(),
            &server.purge_from,
            "lets everybody purge; name the networks of those who may",
        ),
    ];
    let limits = config.limits.iter().enumerate().map(|(at, limit)| {
        let text = "lets everybody through, so that nobody is limited; name the networks of those \
                    who are not";
        (format!("limit[{at}].allow"), &limit.allow, text)
    });
    for (path, networks, text) in lists.into_iter().chain(limits) {
        if let Some(number) = networks.iter().position(is_everybody) {
            book.at(&format!("{path}[{number}]"), text);
        }
    }
}

fn is_everybody(network: &IpNet) -> bool {
    network.prefix_len() == 0
}
