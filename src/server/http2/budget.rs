//! Budgets of what an HTTP/2 client may do that costs us more than it, by kind.
//!
//! Each is a bucket that is full at first, fills up again with time, and with what honest clients do
//! such things for: a browser takes requests back, but gets answers too; who is sent much has much to
//! acknowledge.

use std::time::Duration;

use super::frames::kind;
use crate::clock::Instant;
use crate::telemetry::Http2Cut;

/// What is counted, the size of its bucket, and what comes in each second.
const BUDGETS: [(Http2Cut, u32, u32); 8] = [
    (Http2Cut::Resets, 200, 5),
    (Http2Cut::Settings, 100, 10),
    (Http2Cut::Pings, 200, 10),
    (Http2Cut::Priorities, 400, 20),
    (Http2Cut::WindowUpdates, 1000, 50),
    (Http2Cut::Padding, 1000, 50),
    (Http2Cut::Unknown, 100, 10),
    (Http2Cut::GoAways, 10, 1),
];

/// For each answer that was sent to its end.
const EARNED_BY_ANSWER: [(Http2Cut, u32); 2] = [(Http2Cut::Resets, 1), (Http2Cut::Priorities, 3)];
/// For each piece of a body that was sent: who estimates a path's speed sends a PING with each.
const EARNED_BY_PIECE: [(Http2Cut, u32); 2] = [(Http2Cut::Pings, 1), (Http2Cut::WindowUpdates, 16)];

/// The budgets of one connection.
#[derive(Debug)]
pub(super) struct Budgets {
    left: [u32; BUDGETS.len()],
    filled_at: Instant,
    /// Each bucket is so many times as large.
    tolerance: u32,
    overdrawn: Option<Http2Cut>,
}

// === impl Budgets ===

impl Budgets {
    pub(super) fn new(tolerance: u32, now: Instant) -> Self {
        Self {
            left: BUDGETS.map(|(_, max, _)| max.saturating_mul(tolerance)),
            filled_at: now,
            tolerance,
            overdrawn: None,
        }
    }

    /// The first that was overdrawn.
    pub(super) fn overdrawn(&self) -> Option<Http2Cut> {
        self.overdrawn
    }

    pub(super) fn spend(&mut self, what: Http2Cut, now: Instant) {
        let Some(place) = place(what) else { return };
        if self.left[place] == 0 {
            self.fill(now);
        }
        match self.left[place].checked_sub(1) {
            Some(left) => self.left[place] = left,
            None => {
                self.overdrawn.get_or_insert(what);
            }
        }
    }

    /// An answer was sent to its end.
    pub(super) fn note_answer(&mut self) {
        EARNED_BY_ANSWER.iter().for_each(|it| self.earn(*it));
    }

    /// A piece of a body was sent.
    pub(super) fn note_piece(&mut self) {
        EARNED_BY_PIECE.iter().for_each(|it| self.earn(*it));
    }

    fn earn(&mut self, (what, count): (Http2Cut, u32)) {
        if let Some(place) = place(what) {
            let max = BUDGETS[place].1.saturating_mul(self.tolerance);
            self.left[place] = self.left[place].saturating_add(count).min(max);
        }
    }

    /// Only looked at when a bucket is empty, so that an honest client costs nothing.
    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at);
        if passed < Duration::from_millis(100) {
            return;
        }
        self.filled_at = now;
        // A bucket is full after less than a minute and a half.
        let tenths = u32::try_from(passed.as_millis() / 100)
            .unwrap_or(1000)
            .min(1000);
        for (left, (_, max, each_second)) in self.left.iter_mut().zip(BUDGETS) {
            let more = (each_second * tenths / 10).saturating_mul(self.tolerance);
            *left = left
                .saturating_add(more)
                .min(max.saturating_mul(self.tolerance));
        }
    }
}

/// The budget that a frame of this type is taken from, if there is one. Those of the types left out
/// have costs of their own that are bounded elsewhere.
pub(super) fn of_kind(kind: u8) -> Option<Http2Cut> {
    match kind {
        kind::DATA | kind::HEADERS | kind::CONTINUATION | kind::PUSH_PROMISE => None,
        kind::PRIORITY | kind::PRIORITY_UPDATE => Some(Http2Cut::Priorities),
        kind::RST_STREAM => Some(Http2Cut::Resets),
        kind::SETTINGS => Some(Http2Cut::Settings),
        kind::PING => Some(Http2Cut::Pings),
        kind::GOAWAY => Some(Http2Cut::GoAways),
        kind::WINDOW_UPDATE => Some(Http2Cut::WindowUpdates),
        _ => Some(Http2Cut::Unknown),
    }
}

fn place(what: Http2Cut) -> Option<usize> {
    BUDGETS.iter().position(|it| it.0 == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(budgets: &mut Budgets, what: Http2Cut, times: u32, now: Instant) {
        (0..times).for_each(|_| budgets.spend(what, now));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_overdraws_its_budget_and_no_other() {
        for (what, max, _) in BUDGETS {
            let now = Instant::now();
            let mut budgets = Budgets::new(1, now);
            spend(&mut budgets, what, max, now);
            assert_eq!(budgets.overdrawn(), None, "{what:?}");
            spend(&mut budgets, what, 1, now);
            assert_eq!(budgets.overdrawn(), Some(what));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_and_work_fill_a_budget_up() {
        let start = Instant::now();
        let mut budgets = Budgets::new(2, start);
        spend(&mut budgets, Http2Cut::Resets, 400, start);
        let later = start + Duration::from_secs(1);
        spend(&mut budgets, Http2Cut::Resets, 10, later);
        budgets.note_answer();
        spend(&mut budgets, Http2Cut::Resets, 1, later);
        assert_eq!(budgets.overdrawn(), None);
        spend(&mut budgets, Http2Cut::Resets, 1, later);
        assert_eq!(budgets.overdrawn(), Some(Http2Cut::Resets));
        let much_later = later + Duration::from_secs(1 << 40);
        spend(&mut budgets, Http2Cut::Pings, 400, much_later);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_sent_much_may_acknowledge_much() {
        let now = Instant::now();
        let mut budgets = Budgets::new(1, now);
        for _ in 0..10_000 {
            budgets.note_piece();
            spend(&mut budgets, Http2Cut::WindowUpdates, 16, now);
            spend(&mut budgets, Http2Cut::Pings, 1, now);
        }
        assert_eq!(budgets.overdrawn(), None);
    }
}
