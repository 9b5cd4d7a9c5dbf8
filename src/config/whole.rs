//! Checks of a whole configuration, which need what was resolved beside what was written.
//!
//! Not those between tables as written (`check.rs`).

use super::acme_name::AcmeName;
use super::care::Care;
use super::certificate;
use super::listen::{Listen, Protocol, RawListen};
use super::overload::RequestsMax;
use super::report::Report;
use super::server::ServerUrl;
use super::table::Table;
use super::upgrade;
use super::{Config, RawConfig};

/// Complains about all that is wrong between what was resolved.
pub(super) fn check(raw: &RawConfig, config: &Config, care: Care<'_>, report: &mut Report) {
    certificates_are_good(raw, config, care, report);
    acme_is_of_use(raw, report);
    domains_lead_somewhere(raw, config, report);
    tunnels_are_plain(raw, config, report);
    tunnels_have_no_latency(raw, config, report);
    upgrade::check_origins(raw, config, report);
}

/// Whoever is to be shown a certificate needs one, and each is looked into.
fn certificates_are_good(raw: &RawConfig, config: &Config, care: Care<'_>, report: &mut Report) {
    let speak_tls = raw.listen.iter().filter_map(|it| it.get_ref().tls.as_ref());
    let of_admin = raw.admin.iter().filter_map(|it| it.get_ref().tls.as_ref());
    let needs_one = speak_tls.chain(of_admin).find(|it| it.get_ref().is_on());
    if let Some(tls) = needs_one.filter(|_| raw.certificate.is_empty() && raw.acme.is_none())
        && !report.was_written("certificate")
        && !report.was_written("acme")
    {
        let text = "needs a certificate; add [[certificate]] with `chain = \"shop.pem\"` and \
                    `key = \"shop.key\"`, or [acme] with `domains` to have a CA give one";
        report.at(tls.span(), text);
    }
    let hosts: Vec<_> = config
        .sites
        .iter()
        .flat_map(|it| it.hosts.clone())
        .collect();
    if raw.certificate.len() == config.certificates.len() {
        for (raw, certificate) in raw.certificate.iter().zip(&config.certificates) {
            raw.get_ref().examine(certificate, care, &hosts, report);
        }
    }
}

/// Certificates that nobody is shown are not fetched.
fn acme_is_of_use(raw: &RawConfig, report: &mut Report) {
    let mut listeners = raw.listen.iter().map(|it| it.get_ref());
    let shows = |it: &Table<RawListen>| it.tls.as_ref().is_some_and(|it| it.get_ref().is_on());
    if let Some(acme) = raw.acme.as_ref().filter(|_| !listeners.any(shows)) {
        let text = "gets certificates that no listener shows; write `tls = true` in a [[listen]]";
        report.at(acme.span(), text);
    }
}

/// A certificate is of use where something is served by that name. Behind a TCP listener anything may be.
fn domains_lead_somewhere(raw: &RawConfig, config: &Config, report: &mut Report) {
    let hosts: Vec<_> = config
        .sites
        .iter()
        .flat_map(|it| &it.hosts)
        .cloned()
        .collect();
    let is_tunnel = |it: &Listen| it.tls.is_some() && it.protocol != Protocol::Http;
    if hosts.is_empty() || config.listen.iter().any(is_tunnel) {
        return;
    }
    let written = raw
        .acme
        .as_ref()
        .and_then(|it| it.get_ref().domains.as_ref());
    for text in written.into_iter().flat_map(|it| it.get_ref()) {
        let is_lost = |name: AcmeName| !certificate::is_for_any(&name.to_string(), &hosts);
        if AcmeName::parse(text.get_ref()).is_ok_and(is_lost) {
            report.at(
                text.span(),
                "is the host of no [[site]]; add it to `hosts` of one",
            );
        }
    }
}

/// A TCP listener's bytes are its client's, who may speak TLS itself: none is added on the way.
fn tunnels_are_plain(raw: &RawConfig, config: &Config, report: &mut Report) {
    for (written, listen) in raw.listen.iter().zip(&config.listen) {
        let Protocol::Tcp(tunnel) = &listen.protocol else {
            continue;
        };
        let servers = config.origins.get(&tunnel.origin).map(|it| &it.servers);
        let is_plain = |url: &ServerUrl| matches!(url, ServerUrl::Tcp { tls: false, .. });
        if servers.is_some_and(|servers| !servers.iter().all(|it| is_plain(&it.url))) {
            let text = "leads to an origin with https or Unix servers; a TCP listener connects to \
                        tcp://host:port (or http://) alone";
            report.at(written.span(), text);
        }
    }
}

/// A bound can only follow the latency of answers where answers are seen.
fn tunnels_have_no_latency(raw: &RawConfig, config: &Config, report: &mut Report) {
    for (written, listen) in raw.listen.iter().zip(&config.listen) {
        let Protocol::Tcp(tunnel) = &listen.protocol else {
            continue;
        };
        let origin = config.origins.get(&tunnel.origin);
        if origin.is_some_and(|it| it.requests_max == RequestsMax::Adaptive) {
            let text = "leads to an origin with `requests_max = \"adaptive\"`, which follows the \
                        latency of answers; write a number there";
            report.at(written.span(), text);
        }
    }
}
