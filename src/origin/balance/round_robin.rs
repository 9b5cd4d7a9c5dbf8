//! Each server in turn.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::Balance;

/// Servers in turn, as they stand in the configuration.
#[derive(Debug, Default)]
pub(in crate::origin) struct RoundRobin(AtomicUsize);

impl Balance for RoundRobin {
    fn pick(&self, servers: usize) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed) % servers.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_gets_the_same_share() {
        let balance = RoundRobin::default();
        let mut shares = [0; 3];
        (0..300).for_each(|_| shares[balance.pick(3)] += 1);
        assert_eq!(shares, [100; 3]);
    }
}
