//! Memory budget of bodies that are still arriving, apart from that of complete objects.
//!
//! A budget refuses, it never waits: a fill without room streams through instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A shared number of bytes with a limit.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicU64,
    max: u64,
}

/// Bytes taken from a budget; given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    bytes: u64,
}

// === impl Budget ===

impl Budget {
    pub(super) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicU64::new(0),
            max,
        })
    }

    pub(super) fn max(&self) -> u64 {
        self.max
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// A share of `bytes`, or `None` where there is no room for them.
    pub(super) fn take(self: &Arc<Self>, bytes: u64) -> Option<Share> {
        let mut share = self.nothing();
        share.grow(bytes).then_some(share)
    }

    /// A share without bytes, for what must do without.
    pub(super) fn nothing(self: &Arc<Self>) -> Share {
        Share {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }
}

// === impl Share ===

impl Share {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes `more` bytes, or tells that there is no room for them.
    pub(super) fn grow(&mut self, more: u64) -> bool {
        let max = self.budget.max;
        let took = self
            .budget
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(more).filter(|sum| *sum <= max)
            });
        if took.is_ok() {
            self.bytes += more;
        }
        took.is_ok()
    }

    /// Gives back what is beyond `bytes`.
    pub(super) fn shrink(&mut self, bytes: u64) {
        let spare = self.bytes.saturating_sub(bytes);
        self.budget.used.fetch_sub(spare, Ordering::Relaxed);
        self.bytes -= spare;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_comes_back_when_dropped() {
        let budget = Budget::new(10);
        let mut share = budget.take(6).unwrap();
        assert!(budget.take(5).is_none());
        assert!(share.grow(4) && !share.grow(1));
        share.shrink(12);
        assert_eq!(budget.used(), 10);
        share.shrink(3);
        assert_eq!(budget.used(), 3);
        drop(share);
        assert_eq!(budget.used(), 0);
    }
}
