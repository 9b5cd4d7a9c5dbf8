//! Notes on what is written for TLS where nobody speaks it.

use super::Notebook;
use crate::config::{Certificate, Config, Protocol};

pub(super) fn look(config: &Config, book: &mut Notebook) {
    let is_https = |it: &crate::config::Listen| it.protocol == Protocol::Http && it.tls.is_some();
    if !config.listen.iter().any(is_https) {
        of_https(config, book);
    }
    let of_admin = config.admin.iter().filter_map(|it| it.tls.as_ref());
    let mut all = config
        .listen
        .iter()
        .filter_map(|it| it.tls.as_ref())
        .chain(of_admin);
    if all.next().is_some() {
        return;
    }
    for (number, certificate) in config.certificates.iter().enumerate() {
        let key = match certificate {
            Certificate::Pair(_) => "chain",
            Certificate::Folder(_) => "folder",
        };
        book.at(
            &format!("certificate[{number}].{key}"),
            "is shown to nobody, as no listener speaks TLS; write `tls = true` in a [[listen]]",
        );
    }
}

/// Redirects may lead to another terminator before us, and this is as good a place to say HSTS as that
/// one: only both together, on sites whose clients all speak in clear as far as we know, are a mistake.
fn of_https(config: &Config, book: &mut Notebook) {
    let is_told = !config.server.trusted_proxies.is_empty();
    for (number, site) in config.sites.iter().enumerate() {
        let uses_https = site.routes.iter().any(|it| it.https.only);
        let path = format!("site[{number}].https_only");
        if uses_https && !is_told && book.is_written(&path) {
            book.at(
                &path,
                "sends all clients on to https, which no [[listen]] speaks; write one with \
                 `tls = true`, or the networks of what speaks it before us as `trusted_proxies`",
            );
        }
        let path = format!("site[{number}].hsts");
        if site.routes.iter().any(|it| it.https.hsts.is_some())
            && !is_told
            && book.is_written(&path)
        {
            book.at(
                &path,
                "is told to no client, as no [[listen]] speaks https; write one with `tls = true`",
            );
        }
    }
}
