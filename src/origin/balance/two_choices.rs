//! Power of two choices: the better of two servers drawn by weight, by the peak of an exponentially
//! weighted mean of latencies (peak EWMA).
//!
//! All the good of knowing the best of all servers, without herding upon it: many proxies that
//! know the same would all choose the same.

use super::{Balance, Candidates, Choice, Eligible};
use crate::origin::dice::Dice;

/// Less than this is taken for it: below are only differences of chance.
const LATENCY_NS_MIN: u64 = 1_000_000;
/// What a server is taken for that has requests in flight and has answered none.
const LATENCY_NS_UNKNOWN: u64 = 1_000_000_000;

/// The server of two that is likely to answer sooner.
#[derive(Debug)]
pub(super) struct TwoChoices(Dice);

// === impl TwoChoices ===

impl TwoChoices {
    pub(super) fn new(dice: Dice) -> Self {
        Self(dice)
    }
}

impl Balance for TwoChoices {
    fn pick(&self, candidates: &Candidates, choice: &Choice) -> Option<usize> {
        let total = candidates.weight(choice);
        if total == 0 {
            return None;
        }
        let first = candidates.at(self.0.below(total), choice)?;
        let rest = total.saturating_sub(first.weight);
        if rest == 0 {
            return Some(first.index);
        }
        // The second is drawn out of the others: places behind the first's are further by its own.
        let place = self.0.below(rest);
        let before: u64 = candidates
            .eligible(choice)
            .take_while(|it| it.index < first.index)
            .map(|it| it.weight)
            .sum();
        let place = if place < before {
            place
        } else {
            place + first.weight
        };
        let second = candidates.at(place, choice).unwrap_or(first);
        Some(better(&first, &second).index)
    }
}

/// The first, which is drawn by weight, unless the second promises an answer a third sooner.
fn better<'a>(first: &Eligible<'a>, second: &Eligible<'a>) -> Eligible<'a> {
    // Requests in flight count by the weight of who has them, against the mean weight of both. So
    // two that are idle and equally quick cost the same, whatever they weigh.
    let mean = u128::from((first.weight + second.weight).div_ceil(2));
    let cost = |it: &Eligible<'_>, other: &Eligible<'_>| {
        let active = u128::from(it.candidate.load.active());
        let queue = u128::from(it.weight) + active * mean;
        u128::from(latency_ns(it)) * queue * u128::from(other.weight)
    };
    if cost(second, first).saturating_mul(3) < cost(first, second).saturating_mul(2) {
        *second
    } else {
        *first
    }
}

fn latency_ns(it: &Eligible<'_>) -> u64 {
    let load = &it.candidate.load;
    match u64::try_from(load.latency().as_nanos()).unwrap_or(u64::MAX) {
        0 if load.active() > 0 => LATENCY_NS_UNKNOWN,
        known => known.max(LATENCY_NS_MIN),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{candidates, passes_over_the_tried, respects_weights, shares};
    use super::*;

    #[test]
    fn each_gets_its_share_while_all_are_alike() {
        let balance = TwoChoices::new(Dice::seeded(1));
        respects_weights(&balance);
        passes_over_the_tried(&balance);
    }

    #[test]
    fn the_slowest_is_avoided() {
        let (balance, candidates) = (TwoChoices::new(Dice::seeded(1)), candidates(&[1, 1, 1]));
        for (index, ms) in [(0, 10), (1, 10), (2, 100)] {
            let load = &candidates.get(index).unwrap().load;
            load.observe(Duration::from_millis(ms));
        }
        let shares = shares(&balance, &candidates);
        assert_eq!(shares[2], 0, "the slowest always loses: {shares:?}");
        assert!(shares[0].abs_diff(shares[1]) < 500, "{shares:?}");
    }

    #[test]
    fn a_queue_counts_against_a_quick_server() {
        let (balance, candidates) = (TwoChoices::new(Dice::seeded(1)), candidates(&[1, 1]));
        let quick = &candidates.get(0).unwrap().load;
        let slow = &candidates.get(1).unwrap().load;
        quick.observe(Duration::from_millis(10));
        slow.observe(Duration::from_millis(50));
        assert_eq!(shares(&balance, &candidates), [10_000, 0]);
        let _flights: Vec<_> = (0..20).map(|_| quick.begin()).collect();
        assert_eq!(shares(&balance, &candidates), [0, 10_000]);
    }
}
