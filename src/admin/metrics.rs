//! Endpoint `GET /metrics`: what telemetry has counted, and what store and origins say when asked.

use std::collections::BTreeMap;

use http::StatusCode;

use super::Admin;
use super::answer::{Answer, answer, text};
use super::call::Call;
use super::figures::{self, ORIGIN, SERVER, STORE};
use crate::origin::{LookupStats, Pool};
use crate::pipeline::Site;
use crate::telemetry::{CONTENT_TYPE, Family};

pub(super) fn scrape(admin: &Admin, _: &Call) -> Answer {
    let site = admin.current.load();
    let connections = Family::gauge("copal_connections", "Client connections open.");
    let mut families = vec![connections.value(admin.process.connections() as f64)];
    families.extend(figures::families(&STORE, &[(vec![], admin.store.stats())]));
    families.extend(of_origins(&site));
    families.push(of_names(&site));
    families.extend(site.families());
    families.extend(admin.telemetry.tls.families());
    families.extend(admin.telemetry.acme.families());
    let mut scrape = String::with_capacity(8 * 1024);
    match admin.telemetry.encode(families, &mut scrape) {
        Ok(()) => answer(StatusCode::OK, CONTENT_TYPE, scrape),
        // Writing to a string fails only when one of the families is not well formed.
        Err(_) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics cannot be written\n",
        ),
    }
}

fn of_origins(site: &Site) -> Vec<Family> {
    let origin = |pool: &Pool| ("origin", pool.name().to_string());
    let (mut origins, mut servers) = (vec![], vec![]);
    for pool in site.pools() {
        origins.push((vec![origin(pool)], pool.overload()));
        for stats in pool.stats() {
            let server = ("server", stats.authority.to_string());
            servers.push((vec![origin(pool), server], stats));
        }
    }
    let servers = figures::families(&SERVER, &servers);
    let origins = figures::families(&ORIGIN, &origins);
    servers.into_iter().chain(origins).collect()
}

/// Origins may have a name in common, which is looked up once for all.
fn of_names(site: &Site) -> Family {
    let names = site.pools().flat_map(|pool| pool.lookups());
    let names: BTreeMap<_, _> = names.map(|it| (it.name, it.results)).collect();
    let mut lookups = Family::counter("copal_resolver_lookups", "Lookups of servers' names.");
    for (name, counts) in names {
        for (result, count) in LookupStats::RESULTS.into_iter().zip(counts) {
            let labels = vec![("name", name.to_string()), ("result", result.to_owned())];
            lookups = lookups.labelled(labels, count as f64);
        }
    }
    lookups
}
