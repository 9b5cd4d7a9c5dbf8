//! Gate before all routes: why requests are turned away at it, and what is known of all gates at a moment.
//!
//! What a gate says is the configuration's; Receive asks it before anything is looked up, so that a hit
//! is guarded like any other answer. Passwords are in `login.rs`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use foldhash::quality::RandomState;
use http::HeaderValue;
use tracing::info;

use crate::config::{Config, Gate, Maintenance};
use crate::telemetry::Family;

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnedAway {
    /// Its client's address is denied, or not allowed.
    Address,
    /// All but a few are told to come again later.
    Maintenance,
    /// It has no name and password.
    NoCredentials,
    /// They are wrong.
    WrongCredentials,
    /// Its client has been wrong too often.
    TooManyFailures,
    /// Too many logins wait to be proved.
    LoginsBusy,
}

/// A request that is turned away, with what its client is told.
#[derive(Debug)]
pub(super) struct Denial {
    pub(super) why: TurnedAway,
    /// The value of WWW-Authenticate.
    pub(super) challenge: Option<HeaderValue>,
    /// When it may come again.
    pub(super) retry_after: Option<Duration>,
}

/// What has been counted at all gates; it outlives sites.
#[derive(Debug, Default)]
pub(super) struct Gatekeeper {
    turned_away: [AtomicU64; TurnedAway::ALL.len()],
    intercepted: AtomicU64,
}

/// Files whose being there begins a maintenance, and whether they are.
#[derive(Debug, Default)]
pub(super) struct Switches(HashMap<Box<str>, AtomicBool, RandomState>);

// === impl TurnedAway ===

impl TurnedAway {
    /// Every reason, in order.
    pub(super) const ALL: [Self; 6] = [
        Self::Address,
        Self::Maintenance,
        Self::NoCredentials,
        Self::WrongCredentials,
        Self::TooManyFailures,
        Self::LoginsBusy,
    ];

    /// The reason as one token, for Cache-Status, metrics and logs.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address-denied",
            Self::Maintenance => "maintenance",
            Self::NoCredentials => "credentials-missing",
            Self::WrongCredentials => "credentials-wrong",
            Self::TooManyFailures => "too-many-failures",
            Self::LoginsBusy => "logins-busy",
        }
    }
}

// === impl Denial ===

impl Denial {
    pub(super) fn by(why: TurnedAway) -> Self {
        Self {
            why,
            challenge: None,
            retry_after: None,
        }
    }

    /// RFC 9110 §11.6.1: "A server generating a 401 (Unauthorized) response MUST send a
    /// WWW-Authenticate header field containing at least one challenge."
    pub(super) fn asking(self, challenge: &HeaderValue) -> Self {
        Self {
            challenge: Some(challenge.clone()),
            ..self
        }
    }

    pub(super) fn until(self, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..self
        }
    }
}

// === impl Gatekeeper ===

impl Gatekeeper {
    /// Takes down that a request was turned away.
    pub(super) fn turned_away(&self, why: TurnedAway) {
        if let Some(count) = self.turned_away.get(why as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Takes down that an origin's answer was replaced by a page of ours.
    pub(super) fn intercepted(&self) {
        self.intercepted.fetch_add(1, Relaxed);
    }

    /// What was counted, for a scrape.
    pub(super) fn families(&self) -> Vec<Family> {
        let help = "Requests turned away before their route was taken.";
        let mut turned_away = Family::counter("copal_turned_away_total", help);
        for why in TurnedAway::ALL {
            let labels = vec![("reason", why.as_str().to_owned())];
            let count = self.turned_away.get(why as usize);
            let count = count.map_or(0, |it| it.load(Relaxed));
            turned_away = turned_away.labelled(labels, count as f64);
        }
        let help = "Errors of origins that a page of ours took the place of.";
        let intercepted = Family::counter("copal_intercepted_total", help)
            .labelled(Vec::new(), self.intercepted.load(Relaxed) as f64);
        vec![turned_away, intercepted]
    }
}

// === impl Switches ===

impl Switches {
    /// Those that a configuration names, as they are at this moment.
    pub(super) fn new(config: &Config) -> Self {
        let routes = config.sites.iter().flat_map(|it| &it.routes);
        let gates = routes.map(|it| &it.gate).chain([&config.server.gate]);
        let files = gates.filter_map(|it: &Gate| it.maintenance.as_ref()?.file.clone());
        let switches = Self(files.map(|it| (it, AtomicBool::new(false))).collect());
        switches.look();
        switches
    }

    /// Looks for the files again. For a thread that may wait for the disk.
    pub(super) fn look(&self) {
        for (file, was_there) in &self.0 {
            let is_there = Path::new(&**file).exists();
            if was_there.swap(is_there, Relaxed) != is_there {
                match is_there {
                    true => info!(%file, "maintenance begins"),
                    false => info!(%file, "maintenance ends"),
                }
            }
        }
    }

    /// Whether clients are to come again later.
    pub(super) fn are_on(&self, maintenance: &Maintenance) -> bool {
        let is_there = |file: &str| self.0.get(file).is_some_and(|it| it.load(Relaxed));
        maintenance.file.as_deref().is_none_or(is_there)
    }
}
