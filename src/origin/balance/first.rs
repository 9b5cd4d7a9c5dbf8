//! The first server that can answer, in the order of the configuration.

use super::{Balance, Choice, Crowd};

/// All to the first, as long as it is a candidate.
#[derive(Debug)]
pub(super) struct First;

impl Balance for First {
    fn pick(&self, crowd: &Crowd, choice: &Choice) -> Option<usize> {
        crowd.candidates(choice).next().map(|it| it.index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{crowd, passes_over_the_tried, shares};
    use super::*;

    #[test]
    fn all_go_to_the_first_that_can() {
        assert_eq!(shares(&First, &crowd(&[0, 1, 5]))[1..], [10_000, 0]);
        passes_over_the_tried(&First);
    }
}
