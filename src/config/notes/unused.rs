//! Notes on origins and limits that nothing names.

use std::collections::HashSet;

use super::Notebook;
use crate::config::{Action, Config, Protocol};

pub(super) fn look(config: &Config, book: &mut Notebook) {
    origins(config, book);
    limits(config, book);
}

fn origins(config: &Config, book: &mut Notebook) {
    let routes = config.sites.iter().flat_map(|it| &it.routes);
    let of_routes = routes.filter_map(|it| match &it.action {
        Action::Origin(name) => Some(name),
        Action::Redirect(_) | Action::Answer(_) => None,
    });
    let of_listeners = config.listen.iter().filter_map(|it| match &it.protocol {
        Protocol::Tcp(tunnel) => Some(&tunnel.origin),
        Protocol::Http => None,
    });
    let of_rules = config.rules().filter_map(|it| it.request.origin.as_ref());
    let named: HashSet<_> = of_routes.chain(of_listeners).chain(of_rules).collect();
    for name in config.origins.keys().filter(|name| !named.contains(name)) {
        let text = format!(
            "is used by no route and no listener; add `origin = \"{name}\"` to a [[site.route]], or \
             leave the table out"
        );
        book.at(&format!("origins.{name}"), text);
    }
}

fn limits(config: &Config, book: &mut Notebook) {
    let sites = config.sites.iter();
    let of_sites = sites.flat_map(|site| {
        let of_routes = site.routes.iter().flat_map(|it| &it.limits);
        site.limits.iter().chain(of_routes)
    });
    let of_rules = config.rules().flat_map(|it| &it.request.limits);
    let of_server = config.server.limits.iter();
    let named: HashSet<_> = of_server.chain(of_sites).chain(of_rules).collect();
    for (at, limit) in config.limits.iter().enumerate() {
        if !named.contains(&limit.name) {
            let name = &limit.name;
            let text = format!(
                "limits nothing; add `limit = [\"{name}\"]` to [server], a [[site]] or a \
                 [[site.route]]"
            );
            book.at(&format!("limit[{at}].name"), text);
        }
    }
}
