//! Log of requests that an origin left without an answer, or of which a server broke the answer off: one
//! line a second, and the number of those that got none.
//!
//! With an origin down every request fails, and a line for each would only hide the first.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{debug, warn};

use super::Pool;
use super::error::Error;
use crate::clock;

/// Between two lines of one origin.
const EVERY_MS: u64 = 1000;

/// As much of a URL is shown.
const URL_BYTES_MAX: usize = 512;

/// Which failures of an origin or a server are told, each by itself or as a number.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// When the next line may be written, in milliseconds after the process's start.
    next_ms: AtomicU64,
    /// Failures without a line since the last one.
    untold: AtomicU64,
}

// === impl Pool: failures ===

impl Pool {
    /// A request for this URL has failed. That a client's own upload has is for the curious.
    pub fn tell_failure(&self, url: &dyn Display, error: &Error) {
        let (origin, server) = (&*self.name, error.server.as_deref().unwrap_or("-"));
        let (url, why) = (shortened(url.to_string()), error.causes());
        if error.kind.is_clients_fault() {
            return debug!(origin, server, %url, why, "request failed");
        }
        match self.failures.admit_now() {
            Some(0) => warn!(origin, server, %url, why, "request failed"),
            Some(untold) => warn!(origin, server, %url, why, untold, "request failed"),
            None => debug!(origin, server, %url, why, "request failed"),
        }
    }

    /// Tells of failures that no further one has brought to light; to be called now and then.
    pub(super) fn tell_untold(&self) {
        self.tell_of(self.failures.overdue_now());
    }

    /// Tells of what is left, for nobody will after this.
    pub(super) fn tell_rest(&self) {
        self.tell_of(self.failures.untold.swap(0, Ordering::Relaxed));
    }

    fn tell_of(&self, untold: u64) {
        if untold > 0 {
            let origin = &*self.name;
            warn!(origin, untold, "more requests failed");
        }
    }
}

// === impl Failures ===

impl Failures {
    /// Whether a failure at this moment gets a line: then how many before it got none.
    pub(super) fn admit_now(&self) -> Option<u64> {
        self.admit(now_ms())
    }

    /// How many got none, if another line may be written.
    pub(super) fn overdue_now(&self) -> u64 {
        self.overdue(now_ms())
    }

    /// Whether a failure gets a line: then how many before it got none.
    fn admit(&self, now_ms: u64) -> Option<u64> {
        if self.takes_the_turn(now_ms) {
            return Some(self.untold.swap(0, Ordering::Relaxed));
        }
        self.untold.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// How many got none, once another line may be written.
    fn overdue(&self, now_ms: u64) -> u64 {
        match self.untold.load(Ordering::Relaxed) > 0 && self.takes_the_turn(now_ms) {
            true => self.untold.swap(0, Ordering::Relaxed),
            false => 0,
        }
    }

    fn takes_the_turn(&self, now_ms: u64) -> bool {
        let (next, order) = (self.next_ms.load(Ordering::Relaxed), Ordering::Relaxed);
        let later = now_ms.saturating_add(EVERY_MS);
        let exchange = || self.next_ms.compare_exchange(next, later, order, order);
        now_ms >= next && exchange().is_ok()
    }
}

/// Its beginning: a client may have made it as long as it liked.
fn shortened(mut url: String) -> String {
    if url.len() > URL_BYTES_MAX {
        url.truncate(url.floor_char_boundary(URL_BYTES_MAX));
        url.push_str("...");
    }
    url
}

fn now_ms() -> u64 {
    u64::try_from(clock::uptime().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_a_second_is_told_and_the_rest_are_counted() {
        let failures = Failures::default();
        let told: Vec<_> = [0, 1, 500, 999, 1000, 1001, 5000]
            .into_iter()
            .map(|ms| failures.admit(ms))
            .collect();
        let expected = [Some(0), None, None, None, Some(3), None, Some(1)];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_nothing_follows_is_told_a_second_later() {
        let failures = Failures::default();
        assert_eq!(failures.admit(0), Some(0));
        assert_eq!(failures.overdue(2000), 0, "there is nothing to tell");
        failures.admit(2000);
        failures.admit(2001);
        assert_eq!(failures.overdue(2500), 0);
        assert_eq!(failures.overdue(3000), 1);
        assert_eq!(failures.admit(3500), None, "its line was this second's");
    }
}
