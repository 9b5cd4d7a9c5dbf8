//! Notes on hosts of sites: names that other programs take for any host.

use super::Notebook;
use crate::config::{Config, HostPattern};

/// What nginx and others write for any host.
const ANY_ELSEWHERE: [&str; 4] = ["_", "default", "default_server", "any"];

pub(super) fn look(config: &Config, book: &mut Notebook) {
    for (site_at, site) in config.sites.iter().enumerate() {
        for (host_at, host) in site.hosts.iter().enumerate() {
            let HostPattern::Exact(name) = host else {
                continue;
            };
            if ANY_ELSEWHERE.contains(&&name[..]) {
                let text = format!("is the host of the name `{name}`; any host is written \"*\"");
                book.at(&format!("site[{site_at}].hosts[{host_at}]"), text);
            }
        }
    }
}
