//! Reachability of an origin, by the word of its own traffic and not of a probe.
//!
//! A sick origin is still asked. But who has a stored response in its sick grace need not wait for
//! a connection that is not accepted. One answer that does not come says nothing of the others, so
//! only failures to connect count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock;
use crate::origin::error::{Error, Phase};

/// How long one failure counts, unless an answer comes before.
const LASTS: Duration = Duration::from_secs(5);

/// Until when an origin counts as one that cannot be reached.
#[derive(Debug, Default)]
pub(in crate::origin) struct Reachability {
    /// Milliseconds after the process's start; zero while all is well.
    until_ms: AtomicU64,
}

// === impl Reachability ===

impl Reachability {
    pub(in crate::origin) fn is_sick(&self) -> bool {
        let until_ms = self.until_ms.load(Ordering::Relaxed);
        until_ms > 0 && now_ms() < until_ms
    }

    /// A request has ended: an answer came, or it was given up after all servers that could be tried.
    /// That there are more requests than the servers have room for says nothing of them, and that none
    /// may be asked is known without a request.
    pub(in crate::origin) fn note(&self, error: Option<&Error>) {
        let is_unreachable =
            |it: &Error| it.phase == Phase::Connecting && it.kind.is_servers_fault();
        match error {
            Some(error) if is_unreachable(error) => {
                let until_ms = now_ms().saturating_add(millis(LASTS));
                self.until_ms.store(until_ms, Ordering::Relaxed);
            }
            Some(_) => {}
            // Read first: a store would take the cache line from all other requests.
            None if self.until_ms.load(Ordering::Relaxed) > 0 => {
                self.until_ms.store(0, Ordering::Relaxed);
            }
            None => {}
        }
    }
}

fn now_ms() -> u64 {
    millis(clock::uptime())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::error::{Kind, Retry};

    #[tokio::test(start_paused = true)]
    async fn a_failure_counts_for_a_while_or_until_an_answer_comes() {
        let failed = |kind, phase| Error::new(kind, phase, Retry::No);
        let reachability = Reachability::default();
        reachability.note(Some(&failed(Kind::Full, Phase::Connecting)));
        reachability.note(Some(&failed(Kind::NoServer, Phase::Connecting)));
        reachability.note(Some(&failed(Kind::Descriptors, Phase::Connecting)));
        reachability.note(Some(&failed(Kind::Timeout, Phase::AwaitingHead)));
        assert!(!reachability.is_sick());
        reachability.note(Some(&failed(Kind::Refused, Phase::Connecting)));
        assert!(reachability.is_sick());
        tokio::time::advance(LASTS).await;
        assert!(!reachability.is_sick());
        reachability.note(Some(&failed(Kind::Resolve, Phase::Connecting)));
        reachability.note(None);
        assert!(!reachability.is_sick());
    }
}
