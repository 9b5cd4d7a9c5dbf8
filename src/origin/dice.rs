//! Random numbers: quick, without a lock, and under test the same each time.
//!
//! Not for anything that must not be guessed.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// The odd number next to 2^64 divided by the golden ratio: SplitMix64's step.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A generator that many may share (SplitMix64).
#[derive(Debug)]
pub(super) struct Dice(AtomicU64);

// === impl Dice ===

impl Dice {
    /// One that goes its own way.
    pub(super) fn new() -> Self {
        let hasher = foldhash::quality::RandomState::default().build_hasher();
        Self::seeded(hasher.finish())
    }

    pub(super) fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number from 0 up to `limit`, which itself is not among them; 0 where there is none.
    pub(super) fn below(&self, limit: u64) -> u64 {
        let random = mix(self.0.fetch_add(STEP, Ordering::Relaxed));
        // Lemire's multiplication: as even as a remainder, without the division.
        let product = u128::from(random) * u128::from(limit);
        // The product's upper half is less than `limit`.
        (product >> 64) as u64
    }

    /// A number from 0 up to 1, which itself is not among them, in steps of a thousandth.
    pub(super) fn part(&self) -> f64 {
        const STEPS: u32 = 1000;
        self.below(STEPS.into()) as f64 / f64::from(STEPS)
    }
}

/// SplitMix64's finalizer: each bit of what goes in changes half of those that come out.
pub(super) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_even_and_below_their_limit() {
        let dice = Dice::seeded(1);
        let mut counts = [0; 7];
        (0..7000).for_each(|_| counts[usize::try_from(dice.below(7)).unwrap()] += 1);
        assert!(
            counts.iter().all(|count| (880..1120).contains(count)),
            "{counts:?}"
        );
        assert_eq!((dice.below(1), dice.below(0)), (0, 0));
    }
}
