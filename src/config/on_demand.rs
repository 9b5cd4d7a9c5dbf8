//! Table `[acme.on_demand]`: names that are not known before a client asks for them.
//!
//! Not the asking of whoever knows which of them are ours.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use serde::Deserialize;

use super::report::{Given, Place, Report};
use super::units::{self, Count, Period};

/// Certificates for names that clients ask for, once somebody has said that they may be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDemand {
    /// The `http` URL that is asked with `?domain=NAME&client=ADDRESS`: 200 says yes.
    pub ask: Arc<str>,
    /// How many names there may be in all, those on disk included.
    pub names_max: usize,
    /// How many orders may be begun in an hour.
    pub orders_per_hour: usize,
    /// How many unknown names one client may ask for in a minute.
    pub asks_per_client: usize,
    /// How long a no is remembered.
    pub remember_no: Duration,
}

/// `[acme.on_demand]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawOnDemand {
    ask: Given<String>,
    names_max: Given<Count>,
    orders_per_hour: Given<Count>,
    asks_per_client: Given<Count>,
    remember_no: Given<Period>,
}

// === impl RawOnDemand ===

impl RawOnDemand {
    /// `None` after a complaint.
    pub(super) fn resolve(&self, place: Place, report: &mut Report) -> Option<OnDemand> {
        let Some(ask) = &self.ask else {
            let text = "is missing; without it anybody could have certificates fetched for any name: \
                        write `ask = \"http://127.0.0.1:9000/may\"`, which answers 200 for names of yours";
            report.missing(place, "ask", text);
            return None;
        };
        let url = ask.get_ref().parse::<Uri>().ok();
        let is_url = |it: &Uri| it.scheme_str() == Some("http") && it.host().is_some();
        if !url.as_ref().is_some_and(is_url) {
            let text = "is no http URL; write \"http://127.0.0.1:9000/may\"";
            report.at(ask.span(), text);
            return None;
        }
        Some(OnDemand {
            ask: ask.get_ref().as_str().into(),
            names_max: units::count(&self.names_max, 1000, 1..=100_000, report),
            orders_per_hour: units::count(&self.orders_per_hour, 60, 1..=10_000, report),
            asks_per_client: units::count(&self.asks_per_client, 10, 1..=1_000, report),
            remember_no: units::timeout(&self.remember_no, 300, report),
        })
    }
}
