//! Resource-based balancing: a server drawn by weight and by what it says it has free.

use super::{Balance, Candidates, Choice};
use crate::origin::dice::Dice;

/// Each server as likely as its weight times what it has free.
#[derive(Debug)]
pub(super) struct Resource(Dice);

impl Resource {
    pub(super) fn new(dice: Dice) -> Self {
        Self(dice)
    }
}

impl Balance for Resource {
    fn pick(&self, candidates: &Candidates, choice: &Choice) -> Option<usize> {
        // A report that comes between the two rounds may leave the place beyond the end: then it
        // is the last one's.
        let total = candidates
            .eligible(choice)
            .map(|it| it.weight * u64::from(it.candidate.load.free()))
            .sum();
        let mut place = self.0.below(total);
        let mut last = None;
        for it in candidates.eligible(choice) {
            let share = it.weight * u64::from(it.candidate.load.free());
            last = Some(it.index);
            if place < share {
                break;
            }
            place -= share;
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{candidates, passes_over_the_tried, respects_weights, shares};
    use super::*;

    #[test]
    fn each_gets_by_weight_what_it_has_free() {
        let resource = Resource::new(Dice::seeded(1));
        respects_weights(&resource);
        passes_over_the_tried(&resource);
        let candidates = candidates(&[1, 1, 2]);
        for (index, reported) in [(0, 100), (1, 50), (2, 50)] {
            candidates.get(index).unwrap().load.report(reported);
        }
        // 1 to 50 to 100.
        let shares = shares(&resource, &candidates);
        assert!((30..100).contains(&shares[0]), "{shares:?}");
        assert!((6500..6750).contains(&shares[2]), "{shares:?}");
    }
}
