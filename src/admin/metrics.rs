//! Endpoint `GET /metrics`: what telemetry has counted, and what store, origins and process say when asked.

use std::collections::BTreeMap;
use std::time::SystemTime;

use http::StatusCode;
use http::header::{ACCEPT, HeaderValue, VARY};

use super::answer::{Answer, answer, text};
use super::call::Call;
use super::figures::{self, ORIGIN, SERVER, STORE};
use super::{Admin, process};
use crate::origin::{LookupStats, Pool};
use crate::pipeline::Site;
use crate::telemetry::{Exposed, Family};

pub(super) fn scrape(admin: &Admin, call: &Call) -> Answer {
    let site = admin.current.load();
    let mut families = of_process(admin);
    families.extend(figures::families(&STORE, &[(vec![], admin.store.stats())]));
    families.extend(of_origins(&site));
    families.push(of_names(&site));
    families.extend(site.families());
    families.extend(admin.telemetry.tls.families());
    families.extend(admin.telemetry.acme.families());
    families.extend(admin.telemetry.rules.families());
    families.extend(admin.telemetry.http2.families());
    let accept = call.head.headers.get_all(ACCEPT).iter();
    let accept: Vec<_> = accept.filter_map(|it| it.to_str().ok()).collect();
    let format = Exposed::wanted(&accept.join(","));
    let Ok(scrape) = admin.telemetry.encode(families, format) else {
        // Writing to a string fails only when one of the families is not well formed.
        return text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics cannot be written\n",
        );
    };
    let mut answer = answer(StatusCode::OK, format.content_type(), scrape);
    let vary = HeaderValue::from_static("accept");
    answer.headers_mut().insert(VARY, vary);
    answer
}

/// What tells of Copal as a program: the kernel's figures of it, and what only the floor above knows.
fn of_process(admin: &Admin) -> Vec<Family> {
    let process = &admin.process;
    let reload = process.last_reload();
    let since_epoch = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default().as_secs_f64()
    };
    let build = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("allocator", process.allocator().to_owned()),
        ("os", std::env::consts::OS.to_owned()),
        ("arch", std::env::consts::ARCH.to_owned()),
    ];
    let gauge = |name, help, value| Family::gauge(name, help).value(value);
    let mut families = vec![
        Family::gauge("copal_build_info", "What is running.").labelled(build, 1.0),
        gauge(
            "copal_connections",
            "Client connections open.",
            process.connections() as f64,
        ),
        gauge(
            "copal_connections_max",
            "As many client connections as may be open.",
            process.connections_max() as f64,
        ),
        gauge(
            "copal_connections_lingering",
            "Client connections that have been answered and are only heard out.",
            process.lingering() as f64,
        ),
        gauge(
            "copal_config_last_reload_successful",
            "Whether the last attempt to load the configuration succeeded.",
            f64::from(u8::from(reload.is_good)),
        ),
        gauge(
            "copal_config_last_reload_success_timestamp_seconds",
            "When the configuration in force was loaded.",
            since_epoch(reload.in_force_since),
        ),
    ];
    families.extend(process::families());
    families
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
