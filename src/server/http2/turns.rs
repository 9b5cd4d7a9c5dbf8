//! Turns of streams that have something to send: by urgency, in parts where that is of use, and never
//! without end past anybody.
//!
//! RFC 9218 §10: "It is RECOMMENDED that, when possible, servers respect the urgency parameter […],
//! sending higher-urgency responses before lower-urgency responses." And: "Non-incremental responses of
//! the same urgency SHOULD be served by prioritizing bandwidth allocation in ascending order of the
//! stream ID", "Incremental responses of the same urgency SHOULD be served by sharing bandwidth among
//! them."

use crate::semantics::priority::Priority;

/// One turn in so many is had by who has waited longest, whatever their urgency (RFC 9218 §10.1 asks
/// that nobody starve).
const FAIR_EVERY: u64 = 8;

/// The streams that would send at once if they might.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: Vec<Waiting>,
    count: u64,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    stream: u32,
    priority: Priority,
    /// The count of turns when it had its last one, or came.
    served: u64,
}

// === impl Turns ===

impl Turns {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the stream would send if it might.
    pub(super) fn has(&self, stream: u32) -> bool {
        self.waiting.iter().any(|it| it.stream == stream)
    }

    /// Has the stream wait for its turns, unless it does.
    pub(super) fn join(&mut self, stream: u32, priority: Priority) {
        if !self.has(stream) {
            self.waiting.push(Waiting {
                stream,
                priority,
                served: self.count,
            });
        }
    }

    /// It has nothing to send, or may not.
    pub(super) fn leave(&mut self, stream: u32) {
        self.waiting.retain(|it| it.stream != stream);
    }

    /// Its client has thought better of it.
    pub(super) fn reprioritize(&mut self, stream: u32, priority: Priority) {
        let waiting = self.waiting.iter_mut().find(|it| it.stream == stream);
        if let Some(waiting) = waiting {
            waiting.priority = priority;
        }
    }

    /// Whose turn it is. It goes on waiting for its next one.
    pub(super) fn next(&mut self) -> Option<u32> {
        self.count += 1;
        let longest = || self.waiting.iter().min_by_key(|it| it.served);
        let chosen = match self.count.is_multiple_of(FAIR_EVERY) {
            true => longest()?.stream,
            false => self.most_urgent()?,
        };
        let count = self.count;
        let chosen = self.waiting.iter_mut().find(|it| it.stream == chosen)?;
        chosen.served = count;
        Some(chosen.stream)
    }

    /// Of the most urgent, the first of those that are of no use in parts takes its turns with those
    /// that are.
    fn most_urgent(&self) -> Option<u32> {
        let urgency = self.waiting.iter().map(|it| it.priority.urgency).min()?;
        let of_it = || {
            self.waiting
                .iter()
                .filter(|it| it.priority.urgency == urgency)
        };
        let whole = of_it().filter(|it| !it.priority.is_incremental);
        let first = whole.map(|it| it.stream).min();
        let has_turns = |it: &&Waiting| it.priority.is_incremental || Some(it.stream) == first;
        let chosen = of_it().filter(has_turns).min_by_key(|it| it.served);
        chosen.map(|it| it.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priority(urgency: u8, is_incremental: bool) -> Priority {
        Priority {
            urgency,
            is_incremental,
        }
    }

    fn turns(streams: &[(u32, u8, bool)]) -> Turns {
        let mut turns = Turns::default();
        for (stream, urgency, is_incremental) in streams {
            turns.join(*stream, priority(*urgency, *is_incremental));
        }
        turns
    }

    fn next(turns: &mut Turns, count: usize) -> Vec<u32> {
        (0..count).filter_map(|_| turns.next()).collect()
    }

    #[test]
    fn turns_follow_rfc_9218_section_10() {
        for (what, streams, expected) in [
            (
                "urgency",
                &[(1, 3, false), (3, 1, false)][..],
                [3, 3, 3, 3, 3, 3],
            ),
            (
                "sharing",
                &[(1, 3, true), (3, 3, true), (5, 3, true)],
                [1, 3, 5, 1, 3, 5],
            ),
            (
                "one by one",
                &[(5, 3, false), (3, 3, false)],
                [3, 3, 3, 3, 3, 3],
            ),
            (
                "both",
                &[(1, 3, true), (3, 3, false), (5, 3, false)],
                [1, 3, 1, 3, 1, 3],
            ),
        ] {
            assert_eq!(next(&mut turns(streams), 6), expected, "{what}");
        }
    }

    #[test]
    fn nobody_starves() {
        let mut turns = turns(&[(1, 0, false), (3, 7, false), (5, 7, false)]);
        let had = next(&mut turns, 800);
        for (stream, least) in [(1, 700), (3, 45), (5, 45)] {
            let count = had.iter().filter(|it| **it == stream).count();
            assert!(count >= least, "{stream}: {count}");
        }
    }

    #[test]
    fn who_leaves_has_no_turn() {
        let mut turns = turns(&[(1, 0, false), (3, 7, false)]);
        turns.join(1, priority(7, false));
        turns.leave(1);
        assert_eq!(turns.next(), Some(3));
        turns.join(5, priority(7, false));
        turns.reprioritize(5, priority(1, false));
        assert_eq!(turns.next(), Some(5));
        turns.leave(3);
        turns.leave(5);
        assert!(turns.is_empty() && turns.next().is_none());
    }
}
