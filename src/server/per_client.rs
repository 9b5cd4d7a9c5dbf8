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
#[derive(Debug, Default)]
pub(super) struct ClientLimit {
    present: Arc<Present>,
}

/// A connection that is counted as long as this lives, if it is counted at all.
#[derive(Debug)]
pub(super) struct Counted(Option<(Arc<Present>, IpAddr)>);

type Present = Mutex<HashMap<IpAddr, usize, RandomState>>;

// === impl ClientLimit ===

impl ClientLimit {
    /// Counts one more connection of the client at `address`, unless it has as many as it may.
    /// Nothing is counted where `each_max` is zero.
    pub(super) fn count(&self, address: IpAddr, each_max: usize) -> Option<Counted> {
        if each_max == 0 {
            return Some(Counted(None));
        }
        let client = client(address);
        let mut present = self.present.lock();
        let count = present.entry(client).or_default();
        // An entry that has just been made has room: at least one is allowed.
        if *count >= each_max {
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

    fn count(limit: &ClientLimit, address: &str, each_max: usize) -> Option<Counted> {
        limit.count(address.parse().unwrap(), each_max)
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
            let limit = ClientLimit::default();
            let _counted = count(&limit, one, 1).unwrap();
            assert_eq!(count(&limit, other, 1).is_none(), same, "{one} {other}");
        }
    }

    #[test]
    fn places_are_given_back_and_nobody_is_remembered() {
        let limit = ClientLimit::default();
        let counted = [count(&limit, "192.0.2.1", 2), count(&limit, "192.0.2.1", 2)];
        assert!(count(&limit, "192.0.2.1", 2).is_none());
        drop(counted);
        assert!(count(&limit, "192.0.2.1", 2).is_some());
        assert!(limit.present.lock().is_empty());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let limit = ClientLimit::default();
        let counted: Vec<_> = (0..100).map(|_| count(&limit, "192.0.2.1", 0)).collect();
        assert!(counted.iter().all(Option::is_some) && limit.present.lock().is_empty());
    }
}
