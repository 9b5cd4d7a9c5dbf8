//! Limit of connections per client, so that none takes the place of all others.
//!
//! A client is an IPv4 address, or the /64 of an IPv6 one. Only clients with a connection are
//! remembered, so there are never more of them than connections. How many there may be in all is
//! the semaphore's in `mod.rs`; how often a client may ask is the pipeline's.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use foldhash::quality::RandomState;
use parking_lot::Mutex;

/// The network of one IPv6 customer: whoever has an address has all those of its /64.
const IPV6_CLIENT: u128 = !0 << 64;

/// Connections by client, where they are limited.
#[derive(Clone, Debug)]
pub(super) struct ClientLimit {
    each_max: usize,
    present: Arc<Present>,
}

/// A connection that is counted as long as this lives, if it is counted at all.
#[derive(Debug)]
pub(super) struct Counted(Option<(Arc<Present>, IpAddr)>);

type Present = Mutex<HashMap<IpAddr, usize, RandomState>>;

// === impl ClientLimit ===

impl ClientLimit {
    /// Nothing is counted where `each_max` is zero.
    pub(super) fn new(each_max: usize) -> Self {
        let present = Arc::default();
        Self { each_max, present }
    }

    /// Counts one more connection of the client at `address`, unless it has as many as it may.
    pub(super) fn count(&self, address: IpAddr) -> Option<Counted> {
        if self.each_max == 0 {
            return Some(Counted(None));
        }
        let client = client(address);
        let mut present = self.present.lock();
        let count = present.entry(client).or_default();
        // An entry that has just been made has room: at least one is allowed.
        if *count >= self.each_max {
            return None;
        }
        *count += 1;
        Some(Counted(Some((Arc::clone(&self.present), client))))
    }
}

fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & IPV6_CLIENT).into(),
        address => address,
    }
}

// === impl Counted ===

impl Drop for Counted {
    fn drop(&mut self) {
        let Some((present, client)) = &self.0 else {
            return;
        };
        let mut present = present.lock();
        if let Some(count) = present.get_mut(client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                present.remove(client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(limit: &ClientLimit, address: &str) -> Option<Counted> {
        limit.count(address.parse().unwrap())
    }

    #[test]
    fn a_client_is_an_address_or_a_network() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            // RFC 4291 §2.5.5.2: an IPv4-mapped address is that of an IPv4 node.
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:0:0:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            let limit = ClientLimit::new(1);
            let _counted = count(&limit, one).unwrap();
            assert_eq!(count(&limit, other).is_none(), same, "{one} {other}");
        }
    }

    #[test]
    fn places_are_given_back_and_nobody_is_remembered() {
        let limit = ClientLimit::new(2);
        let counted = [count(&limit, "192.0.2.1"), count(&limit, "192.0.2.1")];
        assert!(count(&limit, "192.0.2.1").is_none());
        drop(counted);
        assert!(count(&limit, "192.0.2.1").is_some());
        assert!(limit.present.lock().is_empty());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let limit = ClientLimit::new(0);
        let counted: Vec<_> = (0..100).map(|_| count(&limit, "192.0.2.1")).collect();
        assert!(counted.iter().all(Option::is_some) && limit.present.lock().is_empty());
    }
}
