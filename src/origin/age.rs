//! Maximum age of a connection that is used again.
//!
//! Servers that are moved by a change in DNS, or by a balancer before them, are noticed by new
//! connections only.

use std::time::Duration;

use super::dice::Dice;
use crate::clock::{self, Instant};

/// How old the connections of one server may get.
#[derive(Debug)]
pub(super) struct Age {
    max: Option<Duration>,
    dice: Dice,
}

// === impl Age ===

impl Age {
    pub(super) fn new(max: Option<Duration>) -> Self {
        Self {
            max,
            dice: Dice::new(),
        }
    }

    /// When a connection that is opened now is too old; `None` for never. It is up to a tenth
    /// sooner than configured: those that were opened together shall not all end together.
    pub(super) fn over_at(&self) -> Option<Instant> {
        let age = self.max?.mul_f64(1.0 - self.dice.part() / 10.0);
        clock::instant().checked_add(age)
    }
}

/// Whether a connection is too old at this moment.
pub(super) fn is_over(over_at: Option<Instant>, now: Instant) -> bool {
    over_at.is_some_and(|over_at| over_at <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ages_are_spread_by_a_tenth() {
        let age = Age::new(Some(Duration::from_secs(100)));
        let now = clock::instant();
        let ages: Vec<_> = (0..1000)
            .filter_map(|_| Some(age.over_at()?.saturating_duration_since(now)))
            .collect();
        let (least, most) = (ages.iter().min().unwrap(), ages.iter().max().unwrap());
        assert!(*least >= Duration::from_secs(90) && *least < Duration::from_secs(91));
        assert!(*most <= Duration::from_secs(100) && *most > Duration::from_secs(99));
        assert_eq!(Age::new(None).over_at(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_age_is_never_over() {
        let now = clock::instant();
        let then = now + Duration::from_secs(1);
        let rows = [(None, false), (Some(then), false), (Some(now), true)];
        for (over_at, over) in rows {
            assert_eq!(is_over(over_at, now), over, "{over_at:?}");
        }
    }
}
