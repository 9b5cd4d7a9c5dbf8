//! Least-requests balancing: the server with the fewest requests in flight for its weight.
//!
//! Among those that have equally few it is drawn by weight, so that a quiet pool does not ask its
//! heaviest server alone.

use super::{Balance, Candidates, Choice, Eligible};
use crate::origin::dice::Dice;

/// The least busy server of all.
#[derive(Debug)]
pub(super) struct LeastRequests(Dice);

impl LeastRequests {
    pub(super) fn new(dice: Dice) -> Self {
        Self(dice)
    }
}

impl Balance for LeastRequests {
    fn pick(&self, candidates: &Candidates, choice: &Choice) -> Option<usize> {
        let mut least: Option<(Eligible<'_>, u64)> = None;
        let mut weight_of_least = 0;
        for it in candidates.eligible(choice) {
            let active = u64::from(it.candidate.load.active());
            let order = least.map(|(best, fewest)| {
                // active / weight, without the divisions.
                (active * best.weight).cmp(&(fewest * it.weight))
            });
            match order {
                Some(std::cmp::Ordering::Greater) => {}
                // Each of several is drawn when it comes by, as likely as its part of those so far.
                Some(std::cmp::Ordering::Equal) => {
                    weight_of_least += it.weight;
                    if self.0.below(weight_of_least) < it.weight {
                        least = Some((it, active));
                    }
                }
                Some(std::cmp::Ordering::Less) | None => {
                    weight_of_least = it.weight;
                    least = Some((it, active));
                }
            }
        }
        least.map(|(it, _)| it.index)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::testing::{PICKS, candidates, passes_over_the_tried, respects_weights};
    use super::*;

    #[test]
    fn each_gets_its_share() {
        let balance = LeastRequests::new(Dice::seeded(1));
        respects_weights(&balance);
        passes_over_the_tried(&balance);
    }

    /// Two servers, one of which takes ten times as long for an answer.
    #[test]
    fn the_quicker_server_gets_more() {
        let (balance, candidates) = (LeastRequests::new(Dice::seeded(1)), candidates(&[1, 1]));
        let mut shares = [0; 2];
        let mut flights = [VecDeque::new(), VecDeque::new()];
        for now in 0..PICKS {
            for (index, lasts) in [(0, 2), (1, 20)] {
                let is_over = |it: &(usize, _)| it.0 + lasts <= now;
                while flights[index].front().is_some_and(is_over) {
                    flights[index].pop_front();
                }
            }
            let index = balance.pick(&candidates, &Choice::default()).unwrap();
            shares[index] += 1;
            let flight = candidates.get(index).unwrap().load.begin();
            flights[index].push_back((now, flight));
        }
        assert!(shares[0] > 5 * shares[1], "{shares:?}");
    }
}
