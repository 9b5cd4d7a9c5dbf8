//! First-available balancing: the first server that can answer, in the order of the configuration.

use super::{Balance, Candidates, Choice};

/// All to the first, as long as it is eligible.
#[derive(Debug)]
pub(super) struct First;

impl Balance for First {
    fn pick(&self, candidates: &Candidates, choice: &Choice) -> Option<usize> {
        candidates.eligible(choice).next().map(|it| it.index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{candidates, passes_over_the_tried, shares};
    use super::*;

    #[test]
    fn all_go_to_the_first_that_can() {
        assert_eq!(shares(&First, &candidates(&[0, 1, 5]))[1..], [10_000, 0]);
        passes_over_the_tried(&First);
    }
}
