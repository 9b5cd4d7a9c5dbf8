//! GET /metrics: what telemetry has counted, and what store and origins say when asked.

use std::collections::BTreeMap;

use http::StatusCode;

use super::Admin;
use super::answer::{Answer, answer, text};
use super::call::Call;
use crate::origin::{BreakerState, LookupStats};
use crate::telemetry::{CONTENT_TYPE, Family};

pub(super) fn scrape(admin: &Admin, _: &Call) -> Answer {
    let mut families = of_store(admin);
    families.extend(of_origins(admin));
    families.extend(of_overload(admin));
    families.push(of_names(admin));
    families.extend(admin.current.load().families());
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

fn of_store(admin: &Admin) -> Vec<Family> {
    let stats = admin.store.stats();
    let from = |place: &str| vec![("from", place.to_owned())];
    let gauge = |name, help, value: u64| Family::gauge(name, help).value(value as f64);
    vec![
        gauge(
            "copal_connections",
            "Client connections open.",
            admin.process.connections(),
        ),
        gauge(
            "copal_objects",
            "Complete objects in the store, variants included.",
            stats.objects,
        ),
        gauge(
            "copal_store_bytes",
            "Bytes held by complete objects, index included.",
            stats.bytes,
        ),
        gauge(
            "copal_fills_in_flight",
            "Objects being filled.",
            stats.fills,
        ),
        gauge(
            "copal_fill_bytes",
            "Bytes set aside for objects being filled.",
            stats.fill_bytes,
        ),
        Family::counter("copal_evicted", "Objects that made room for others.")
            .value(stats.evicted as f64),
        Family::counter("copal_slices", "Slices opened, by where their bytes were.")
            .labelled(from("memory"), stats.slices_from_memory as f64)
            .labelled(from("origin"), stats.slices_from_origin as f64),
    ]
}

/// Origins may have a name in common, which is looked up once for all.
fn of_names(admin: &Admin) -> Family {
    let site = admin.current.load();
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

fn of_origins(admin: &Admin) -> Vec<Family> {
    let mut requests = Family::counter("copal_origin_requests", "Requests sent to servers.");
    let mut connects = Family::counter("copal_origin_connects", "Connections opened to servers.");
    let mut reused = Family::counter("copal_origin_reused", "Requests over pooled connections.");
    let mut errors = Family::counter("copal_origin_errors", "Requests that servers failed.");
    let mut hedged = Family::counter("copal_origin_hedged", "Slow requests, sent elsewhere too.");
    let mut won = Family::counter(
        "copal_origin_hedge_won",
        "Those that were answered there first.",
    );
    let mut retries = Family::counter("copal_origin_retries", "Requests sent again.");
    let mut open = Family::gauge("copal_origin_connections", "Open connections to servers.");
    let mut idle = Family::gauge("copal_origin_idle_connections", "Pooled connections.");
    let mut up = Family::gauge("copal_origin_up", "Whether a server is usable.");
    let mut ejected = Family::counter("copal_origin_ejected", "Ejections of servers.");
    let mut failed = Family::counter("copal_origin_probe_failures", "Probes that failed.");
    let mut active = Family::gauge("copal_origin_active", "Requests in flight.");
    let mut latency = Family::gauge(
        "copal_origin_latency_seconds",
        "The mean time to the head of an answer, quick to rise.",
    );
    for pool in admin.current.load().pools() {
        for stats in pool.stats() {
            let of = || {
                vec![
                    ("origin", pool.name().to_string()),
                    ("server", stats.authority.to_string()),
                ]
            };
            requests = requests.labelled(of(), stats.requests as f64);
            connects = connects.labelled(of(), stats.connects as f64);
            reused = reused.labelled(of(), stats.reused as f64);
            open = open.labelled(of(), stats.open as f64);
            idle = idle.labelled(of(), stats.idle as f64);
            up = up.labelled(of(), f64::from(u8::from(stats.verdict.is_usable())));
            ejected = ejected.labelled(of(), stats.ejected as f64);
            failed = failed.labelled(of(), stats.probe_failures as f64);
            active = active.labelled(of(), stats.active.into());
            latency = latency.labelled(of(), stats.latency.as_secs_f64());
            for (kind, count) in stats.errors {
                let mut labels = of();
                labels.push(("kind", kind.as_str().to_owned()));
                errors = errors.labelled(labels, count as f64);
            }
            hedged = hedged.labelled(of(), stats.hedged as f64);
            won = won.labelled(of(), stats.hedge_won as f64);
            for (why, count) in stats.retries {
                let mut labels = of();
                labels.push(("why", why.as_str().to_owned()));
                retries = retries.labelled(labels, count as f64);
            }
        }
    }
    vec![
        requests, connects, reused, errors, retries, hedged, won, open, idle, up, ejected, failed,
        active, latency,
    ]
}

fn of_overload(admin: &Admin) -> Vec<Family> {
    let mut pending = Family::gauge("copal_origin_pending", "Requests that wait for a server.");
    let mut shed = Family::counter("copal_origin_shed", "Requests turned away before a server.");
    let mut breaker = Family::gauge(
        "copal_origin_breaker",
        "How an origin's breaker stands: 0 shut, 1 half-open, 2 open.",
    );
    let mut requests_max = Family::gauge(
        "copal_origin_requests_max",
        "As many requests as a server may have in flight.",
    );
    for pool in admin.current.load().pools() {
        let stats = pool.overload();
        let of = || vec![("origin", pool.name().to_string())];
        let with = |name, value: &str| [of(), vec![(name, value.to_owned())]].concat();
        pending = pending.labelled(of(), stats.pending as f64);
        for (reason, count) in stats.shed {
            shed = shed.labelled(with("reason", reason.as_str()), count as f64);
        }
        if let Some(state) = stats.breaker {
            breaker = breaker.labelled(of(), level(state));
        }
        for server in pool.stats() {
            if let Some(limit) = server.requests_max {
                let labels = with("server", &server.authority);
                requests_max = requests_max.labelled(labels, limit.into());
            }
        }
    }
    vec![pending, shed, breaker, requests_max]
}

/// Higher is worse.
fn level(state: BreakerState) -> f64 {
    match state {
        BreakerState::Shut => 0.0,
        BreakerState::HalfOpen => 1.0,
        BreakerState::Open(_) => 2.0,
    }
}
