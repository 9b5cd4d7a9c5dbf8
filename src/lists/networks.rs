//! Set of IP networks: ranges of addresses in order, of which none touches another, so that one look
//! is a search by halves.

use std::net::IpAddr;

use ipnet::IpNet;

/// Networks of both families.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

// === impl Networks ===

impl Networks {
    /// Whether an address is in one of these. One of IPv4 that is written as IPv6 is that of IPv4.
    pub fn hold(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => holds(&self.v4, address.to_bits()),
            IpAddr::V6(address) => holds(&self.v6, address.to_bits()),
        }
    }

    /// Whether no address is in it.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(it) => v4.push((it.network().to_bits(), it.broadcast().to_bits())),
                IpNet::V6(it) => v6.push((it.network().to_bits(), it.broadcast().to_bits())),
            }
        }
        Self {
            v4: joined(v4),
            v6: joined(v6),
        }
    }
}

/// The same ranges in order; what overlaps is one.
fn joined<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut joined: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if first <= before.1 => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined.into()
}

fn holds<T: Ord>(ranges: &[(T, T)], address: T) -> bool {
    let behind = ranges.partition_point(|(first, _)| *first <= address);
    let range = behind.checked_sub(1).and_then(|at| ranges.get(at));
    range.is_some_and(|(_, last)| address <= *last)
}

/// A network in CIDR form or a single address, or what is wrong with the text and how to mend it.
///
/// # Errors
/// It is neither.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let network: IpNet = text
        .parse()
        .map_err(|_| "is not a network; write \"10.0.0.0/8\" or \"::1\"".to_owned())?;
    if network.addr() != network.network() {
        return Err(format!(
            "has bits set beyond its prefix; write \"{}\"",
            network.trunc()
        ));
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn networks(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|it| parse_network(it).unwrap()).collect()
    }

    #[test]
    fn addresses_are_found_in_their_networks() {
        let set: Networks = networks(&[
            "10.0.0.0/8",
            "10.1.0.0/16",
            "192.0.2.7",
            "255.255.255.255",
            "2001:db8::/32",
            "::1",
        ])
        .into_iter()
        .collect();
        for (address, is_in) in [
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("9.255.255.255", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("255.255.255.255", true),
            ("::ffff:10.1.2.3", true),
            ("::ffff:11.1.2.3", false),
            ("::1", true),
            ("::", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::", false),
        ] {
            assert_eq!(set.hold(address.parse().unwrap()), is_in, "{address}");
        }
        assert!(!set.is_empty() && Networks::default().is_empty());
    }

    proptest! {
        #[test]
        fn a_search_finds_what_a_walk_finds(
            networks in prop::collection::vec((any::<u32>(), 0u8..=32), 0..40),
            addresses in prop::collection::vec(any::<u32>(), 40),
        ) {
            let parsed = networks.iter().map(|(bits, prefix)| {
                IpNet::new(IpAddr::V4((*bits).into()), *prefix).unwrap().trunc()
            });
            let networks: Vec<IpNet> = parsed.collect();
            let set: Networks = networks.iter().copied().collect();
            let edges = networks.iter().flat_map(|it| [it.network(), it.broadcast()]);
            let addresses = addresses.into_iter().map(|it| IpAddr::V4(it.into()));
            for address in addresses.chain(edges) {
                let plainly = networks.iter().any(|it| it.contains(&address));
                prop_assert_eq!(set.hold(address), plainly);
            }
        }
    }
}
