//! Weighted round robin, as smooth as nginx's: each server in turn, by weight.
//!
//! With weights 5, 1 and 1 the turns are a a b a c a a, not five of one in a row.

use parking_lot::Mutex;

use super::{Balance, Candidates, Choice};

/// What each server is owed, by index.
#[derive(Debug, Default)]
pub(super) struct RoundRobin(Mutex<Vec<i64>>);

impl Balance for RoundRobin {
    fn pick(&self, candidates: &Candidates, choice: &Choice) -> Option<usize> {
        let mut owed = self.0.lock();
        owed.resize(candidates.0.len(), 0);
        let mut total = 0;
        let mut best: Option<(usize, i64)> = None;
        for it in candidates.eligible(choice) {
            // A weight is far below i64's limit, and a debt never exceeds the sum of them.
            let weight = i64::try_from(it.weight).unwrap_or(i64::MAX);
            total += weight;
            owed[it.index] += weight;
            if best.is_none_or(|(_, most)| owed[it.index] > most) {
                best = Some((it.index, owed[it.index]));
            }
        }
        let (index, _) = best?;
        owed[index] -= total;
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{candidates, passes_over_the_tried, respects_weights};
    use super::*;

    #[test]
    fn each_gets_its_share() {
        respects_weights(&RoundRobin::default());
        passes_over_the_tried(&RoundRobin::default());
    }

    #[test]
    fn turns_are_spread() {
        let (balance, candidates) = (RoundRobin::default(), candidates(&[5, 1, 1]));
        let turns: Vec<_> = (0..7)
            .filter_map(|_| balance.pick(&candidates, &Choice::default()))
            .collect();
        assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
    }
}
