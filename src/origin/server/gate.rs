//! Per-server concurrency limit: how many requests may be in flight, and whether there is room for
//! one more.
//!
//! Asked for every candidate of every choice, so it reads one number and locks nothing. Who finds
//! no room at any server waits in `overload/queue.rs`; the bound that follows latency is in
//! `adaptive.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Vitals;
use super::adaptive::Adaptive;
use super::load::{Flight, Load};
use crate::clock;
use crate::config::{self, RequestsMax};

/// What stands before one server.
#[derive(Clone, Debug)]
pub(in crate::origin) struct Gate {
    load: Arc<Load>,
    requests_max: u32,
    connections_max: u32,
    /// How many requests each connection carries at once, where that may be more than one.
    streams_each: Option<Arc<AtomicUsize>>,
    /// Whether the operator has set a bound on requests, beside that on connections.
    is_limited: bool,
    adaptive: Option<Arc<Adaptive>>,
}

// === impl Gate ===

impl Gate {
    pub(in crate::origin) fn new(
        config: &config::Origin,
        vitals: &Vitals,
        streams_each: Option<Arc<AtomicUsize>>,
    ) -> Self {
        let requests_max = match config.requests_max {
            RequestsMax::Fixed(requests) => requests,
            RequestsMax::Unlimited | RequestsMax::Adaptive => u32::MAX,
        };
        let is_adaptive = config.requests_max == RequestsMax::Adaptive;
        Self {
            load: Arc::clone(&vitals.load),
            requests_max,
            connections_max: u32::try_from(config.connections_max).unwrap_or(u32::MAX),
            streams_each,
            is_limited: config.requests_max != RequestsMax::Unlimited,
            adaptive: is_adaptive.then(|| Arc::clone(&vitals.adaptive)),
        }
    }

    /// A gate that lets so many in.
    #[cfg(test)]
    pub(in crate::origin) fn of_width(load: Arc<Load>, requests_max: u32) -> Self {
        Self {
            load,
            requests_max,
            connections_max: u32::MAX,
            streams_each: None,
            is_limited: true,
            adaptive: None,
        }
    }

    /// How busy the server is.
    pub(in crate::origin) fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// Whether one more request may be sent.
    pub(in crate::origin) fn has_room(&self) -> bool {
        self.load.active() < self.bound()
    }

    /// Counts a request as in flight from now on, if there is room for it.
    pub(in crate::origin) fn enter(&self) -> Option<Flight> {
        self.load.begin_below(self.bound())
    }

    /// An answer took so long, or did not come for so long.
    pub(in crate::origin) fn observe(&self, latency: Duration) {
        let Some(adaptive) = &self.adaptive else {
            return;
        };
        let has_grown = adaptive.observe(latency, self.load.active(), clock::instant());
        if has_grown {
            self.load.nudge();
        }
    }

    /// How many requests may be in flight, where that is limited by configuration or by its agent.
    pub(in crate::origin) fn limit(&self) -> Option<u32> {
        let is_limited = self.is_limited || self.load.allowed() < u32::MAX;
        is_limited.then(|| self.bound())
    }

    fn bound(&self) -> u32 {
        let allowed = self.requests_max.min(self.load.allowed());
        let bound = allowed.min(self.capacity());
        let adaptive = self.adaptive.as_ref();
        adaptive.map_or(bound, |it| it.limit().min(bound))
    }

    /// As many requests as there may be connections, where each has one to itself, or streams.
    fn capacity(&self) -> u32 {
        let Some(each) = &self.streams_each else {
            return self.connections_max;
        };
        let each = u32::try_from(each.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        self.connections_max.saturating_mul(each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_get_in_than_there_is_room_for() {
        let gate = Gate::of_width(Arc::default(), 2);
        let first = gate.enter().unwrap();
        let second = gate.enter();
        assert!(second.is_some() && !gate.has_room() && gate.enter().is_none());
        drop(first);
        assert!(gate.has_room() && gate.enter().is_some());
        assert!(Gate::of_width(Arc::default(), 0).enter().is_none());
    }
}
