//! Wear of a client's connection: how long it may last, and how many requests it may carry.
//!
//! Clients that keep a connection for ever never see another address of ours, or another of us behind a
//! balancer. A worn one is not cut: its next response says that it closes. Both bounds differ by a tenth
//! from one connection to the next, so that those that began together do not come again together.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use foldhash::quality::RandomState;

use crate::clock::Instant;
use crate::config;
use crate::telemetry::Ending;

/// No bound.
const ENDLESS: u64 = u64::MAX;

/// What is left of one connection.
#[derive(Debug)]
pub(super) struct Wear {
    requests_left: AtomicU64,
    /// When it has lasted long enough; `None` for never.
    over_at: Option<Instant>,
    /// Noted by the connection's driver, so that no request reads the clock.
    is_over: AtomicBool,
}

// === impl Wear ===

impl Wear {
    /// Of a connection that begins now.
    pub(super) fn new(config: &config::Server, now: Instant) -> Self {
        let dice = RandomState::default().hash_one(0);
        let requests = match config.requests_per_connection_max {
            0 => ENDLESS,
            // At least one, or nothing would ever be served.
            max => jittered(max as u64, dice).max(1),
        };
        let lifetime = config.connection_lifetime.map(|it| {
            let millis = u64::try_from(it.as_millis()).unwrap_or(u64::MAX / 2);
            Duration::from_millis(jittered(millis, dice.rotate_right(32)))
        });
        Self {
            requests_left: AtomicU64::new(requests),
            over_at: lifetime.and_then(|it| now.checked_add(it)),
            is_over: AtomicBool::new(false),
        }
    }

    /// Looks at the clock.
    pub(super) fn look(&self, now: impl FnOnce() -> Instant) {
        if let Some(over_at) = self.over_at
            && now() >= over_at
        {
            self.is_over.store(true, Ordering::Relaxed);
        }
    }

    /// Counts a request, and tells why it is to be the last, if it is.
    pub(super) fn carry_one(&self) -> Option<Ending> {
        let left = self.requests_left.load(Ordering::Relaxed);
        if left != ENDLESS {
            // Requests of HTTP/1 come one after the other.
            let less = left.saturating_sub(1);
            self.requests_left.store(less, Ordering::Relaxed);
            if less == 0 {
                return Some(Ending::Requests);
            }
        }
        let is_over = self.is_over.load(Ordering::Relaxed);
        is_over.then_some(Ending::Lifetime)
    }
}

/// A number between nine and eleven tenths of `number`.
fn jittered(number: u64, dice: u64) -> u64 {
    let tenth = number / 10;
    // A span that is 2 × a tenth at most, so the sum does not exceed what `number` allows by much.
    let span = tenth.saturating_mul(2).saturating_add(1);
    (number - tenth).saturating_add(dice % span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn server(lines: &str) -> config::Server {
        let text = format!(
            "listen = [{{ address = '127.0.0.1:0' }}]\nsite = [{{ hosts = ['*'], origin = 'a' }}]\n\
             [origins.a]\nservers = ['http://127.0.0.1:1']\n[server]\n{lines}"
        );
        config::parse(&text, "f").unwrap().server
    }

    #[test]
    fn a_bound_is_met_within_a_tenth() {
        let config = server("requests_per_connection_max = 1000");
        let counts: Vec<usize> = (0..20)
            .map(|_| {
                let wear = Wear::new(&config, clock::instant());
                1 + (0..).take_while(|_| wear.carry_one().is_none()).count()
            })
            .collect();
        assert!(
            counts.iter().all(|it| (900..=1100).contains(it)),
            "{counts:?}"
        );
        assert!(counts.iter().any(|it| *it != counts[0]), "{counts:?}");
        for (number, dice) in [(0, 7), (1, 7), (u64::MAX, u64::MAX)] {
            let _ = jittered(number, dice);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_over_when_somebody_has_looked() {
        let began = clock::instant();
        let wear = Wear::new(&server("connection_lifetime = \"10s\""), began);
        wear.look(|| began + Duration::from_secs(8));
        assert_eq!(wear.carry_one(), None);
        wear.look(|| began + Duration::from_secs(12));
        assert_eq!(wear.carry_one(), Some(Ending::Lifetime));
        let endless = Wear::new(&server("connection_lifetime = \"0s\""), began);
        endless.look(|| unreachable!("nobody needs to know"));
        assert_eq!(endless.carry_one(), None);
    }
}
