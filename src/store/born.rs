//! Birth number: how many invalidations had come when an origin was asked.
//!
//! No clock has a part in them, so none that is set back can bring anything back to life.

/// A number that only grows: the epoch in its upper bits, and below them how many invalidations
/// that epoch has seen. Whatever is asked for bears the number of the latest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Born(u64);

/// Enough for one invalidation a millisecond, for thirty years.
const COUNTER_BITS: u32 = 40;

// === impl Born ===

impl Born {
    /// Older than all that is ever asked for.
    pub(super) const NEVER: Self = Self(0);

    /// The first of what has been kept in memory alone: with it, the epoch ends.
    pub(super) const FIRST: Self = Self(1 << COUNTER_BITS);

    pub(super) const fn of_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// The number of the invalidation that comes next.
    pub(super) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
