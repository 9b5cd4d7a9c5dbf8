//! Health of one server by the word of its traffic: sick after several failures in a row, well with the
//! next answer.
//!
//! For people and alarms. It moves no request: what is done about a server that fails is ejection, and
//! the last server of an origin is never ejected.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;

use crate::clock;
use crate::origin::error::Kind;

/// So many failures without a good answer between them are no accident.
const SICK_AFTER: u32 = 3;

/// A good probe speaks for a server whose clients have not been failed for so long.
const FORGIVEN_AFTER: Duration = Duration::from_secs(30);

/// What a server does to its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// It gives no answer.
    NoAnswer(Kind),
    /// It answers with a status that says it cannot.
    Status(StatusCode),
}

/// Whether a server's clients get answers.
#[derive(Debug, Default)]
pub(in crate::origin) struct Health {
    /// Failures since the last good answer, counted up to [`SICK_AFTER`].
    failures: AtomicU32,
    /// When the last one was, in milliseconds after the process's start.
    failed_at_ms: AtomicU64,
    /// What was wrong when it turned sick.
    ailment: Mutex<Option<Ailment>>,
}

// === impl Health ===

impl Health {
    /// A client got no answer; tells whether that is what made the server sick.
    pub(in crate::origin) fn fail(&self, ailment: Ailment) -> bool {
        self.failed_at_ms.store(now_ms(), Ordering::Relaxed);
        let count = |failures: u32| (failures < SICK_AFTER).then_some(failures + 1);
        let order = Ordering::Relaxed;
        let turned = self.failures.fetch_update(order, order, count) == Ok(SICK_AFTER - 1);
        if turned {
            *self.ailment.lock() = Some(ailment);
        }
        turned
    }

    /// A client got one; tells whether the server was sick until then.
    pub(in crate::origin) fn recover(&self) -> bool {
        // Read first: a store would take the cache line from all other requests.
        self.failures.load(Ordering::Relaxed) > 0
            && self.failures.swap(0, Ordering::Relaxed) >= SICK_AFTER
    }

    /// A probe went well; tells whether that has made the server well. Where clients still fail it
    /// does not.
    pub(in crate::origin) fn reprieve(&self) -> bool {
        let failed_at = Duration::from_millis(self.failed_at_ms.load(Ordering::Relaxed));
        let is_long_ago = clock::uptime().saturating_sub(failed_at) >= FORGIVEN_AFTER;
        is_long_ago && self.recover()
    }

    /// What failed before does not count any more.
    pub(in crate::origin) fn begin_anew(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// What is wrong, while it is sick.
    pub(in crate::origin) fn ailment(&self) -> Option<Ailment> {
        let is_sick = self.failures.load(Ordering::Relaxed) >= SICK_AFTER;
        is_sick.then(|| *self.ailment.lock()).flatten()
    }
}

fn now_ms() -> u64 {
    u64::try_from(clock::uptime().as_millis()).unwrap_or(u64::MAX)
}

// === impl Ailment ===

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(kind) => write!(f, "{kind}"),
            Self::Status(status) => write!(f, "it answers with status {}", status.as_u16()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Ailment = Ailment::NoAnswer(Kind::Refused);

    #[tokio::test(start_paused = true)]
    async fn a_server_is_sick_after_failures_in_a_row_until_an_answer() {
        let health = Health::default();
        assert!(!health.fail(REFUSED) && !health.recover());
        let status = Ailment::Status(StatusCode::BAD_GATEWAY);
        let turned = [REFUSED, REFUSED, status, status].map(|it| health.fail(it));
        assert_eq!(turned, [false, false, true, false], "it is told once");
        assert_eq!(health.ailment(), Some(status));
        assert!(health.recover() && !health.recover());
        assert_eq!(health.ailment(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_speaks_for_a_server_that_has_failed_nobody_for_a_while() {
        let health = Health::default();
        let _ = [REFUSED; 3].map(|it| health.fail(it));
        assert!(!health.reprieve());
        tokio::time::advance(FORGIVEN_AFTER).await;
        assert!(health.reprieve());
        let _ = [REFUSED; 3].map(|it| health.fail(it));
        health.begin_anew();
        assert_eq!(health.ailment(), None);
    }
}
