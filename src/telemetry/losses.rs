//! News of lines that logs have lost: at once for the first, then once a minute for all since.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Between two lines about it.
const EVERY_MS: u64 = 60_000;

/// What has been told of one log's losses. Looked at by one task alone.
#[derive(Debug, Default)]
pub(super) struct Losses {
    told: AtomicU64,
    /// When the next may be told, in milliseconds after the process's start.
    next_ms: AtomicU64,
}

// === impl Losses ===

impl Losses {
    /// How many of `lost` in all are to be told at this time, if it is time and there are some.
    pub(super) fn news(&self, lost: u64, uptime: Duration) -> Option<u64> {
        let now_ms = u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX);
        let more = lost.saturating_sub(self.told.load(Relaxed));
        if more == 0 || now_ms < self.next_ms.load(Relaxed) {
            return None;
        }
        self.told.store(lost, Relaxed);
        self.next_ms.store(now_ms.saturating_add(EVERY_MS), Relaxed);
        Some(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_at_once_and_then_once_a_minute() {
        let losses = Losses::default();
        let rows = [
            (0, 1, None),
            (3, 2, Some(3)),
            (3, 3, None),
            (10, 4, None),
            (12, 61, None),
            (12, 62, Some(9)),
            (12, 200, None),
            (13, 201, Some(1)),
        ];
        for (lost, secs, news) in rows {
            let found = losses.news(lost, Duration::from_secs(secs));
            assert_eq!(found, news, "{lost} lost after {secs} s");
        }
    }
}
