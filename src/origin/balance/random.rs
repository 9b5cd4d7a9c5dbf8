//! Random balancing: a server drawn by weight.

use super::{Balance, Candidates, Choice};
use crate::origin::dice::Dice;

/// Each server as likely as its weight says.
#[derive(Debug)]
pub(super) struct Random(Dice);

impl Random {
    pub(super) fn new(dice: Dice) -> Self {
        Self(dice)
    }
}

impl Balance for Random {
    fn pick(&self, candidates: &Candidates, choice: &Choice) -> Option<usize> {
        candidates.draw(&self.0, choice).map(|it| it.index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{passes_over_the_tried, respects_weights};
    use super::*;

    #[test]
    fn each_gets_its_share() {
        let random = Random::new(Dice::seeded(1));
        respects_weights(&random);
        passes_over_the_tried(&random);
    }
}
