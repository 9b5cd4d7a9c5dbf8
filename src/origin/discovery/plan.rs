//! Plan of a roster: which servers an origin should have by what DNS says of their names, and what
//! that changes.
//!
//! Pure: answers and those who are on the roster come in, and who should be on it comes out. Who is
//! made of it, and when, is in `mod.rs`.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::origin::peer::Share;
use crate::origin::resolve::{Endpoint, Record};

/// SRV weights have 16 bits, ours go to 256.
const WEIGHT_MAX: u16 = 256;

/// A server as the configuration writes it, and what is known of its name.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// One server, whatever addresses it has.
    One {
        authority: Arc<str>,
        share: Share,
        epoch: u64,
    },
    /// As many as its name leads to.
    Many {
        name: Arc<str>,
        /// Where no SRV record has another.
        port: u16,
        share: Share,
        endpoints: Option<Arc<[Endpoint]>>,
    },
}

/// A server that should be on the roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) identity: Identity,
    pub(super) share: Share,
    /// Which of the sources it comes of.
    pub(super) source: usize,
    /// Where it is, if its name has led there.
    pub(super) address: Option<SocketAddr>,
}

/// By what a server is the same as before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) authority: Arc<str>,
    /// The name that it was found by; none if it is written as one server.
    pub(super) found_by: Option<Arc<str>>,
    /// How often an address of it has gone, if it is one server by a name. With a pool that is always
    /// busy, connections to an address that is no longer its own would otherwise never end.
    pub(super) epoch: u64,
}

/// From a roster to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// For each server that is wanted, its index on the roster before.
    pub(super) stay: Vec<Option<usize>>,
    /// The indices of those that leave.
    pub(super) leave: Vec<usize>,
}

/// What the records of one name have in common.
#[derive(Clone, Copy, Debug, Default)]
struct Ranks {
    lowest: u16,
    heaviest: u16,
}

// === impl Source ===

impl Source {
    fn servers(&self, source: usize) -> Vec<Wanted> {
        match self {
            Self::One {
                authority,
                share,
                epoch,
            } => vec![Wanted {
                identity: Identity {
                    authority: Arc::clone(authority),
                    found_by: None,
                    epoch: *epoch,
                },
                share: *share,
                source,
                address: None,
            }],
            Self::Many {
                name,
                port,
                share,
                endpoints,
            } => {
                let endpoints = endpoints.as_deref().unwrap_or_default();
                let ranks = Ranks::of(endpoints);
                let server = |endpoint: &Endpoint| {
                    let port = endpoint.record.as_ref().map_or(*port, |it| it.port);
                    let address = SocketAddr::new(endpoint.address, port);
                    Wanted {
                        identity: Identity {
                            authority: address.to_string().into(),
                            found_by: Some(Arc::clone(name)),
                            epoch: 0,
                        },
                        share: ranks.share(endpoint.record.as_ref(), *share),
                        source,
                        address: Some(address),
                    }
                };
                endpoints.iter().map(server).collect()
            }
        }
    }
}

// === impl Ranks ===

impl Ranks {
    fn of(endpoints: &[Endpoint]) -> Self {
        let records = || endpoints.iter().filter_map(|it| it.record.as_ref());
        Self {
            lowest: records().map(|it| it.priority).min().unwrap_or(0),
            heaviest: records().map(|it| it.weight).max().unwrap_or(0),
        }
    }

    /// RFC 2782: "A client MUST attempt to contact the target host with the lowest-numbered priority
    /// it can reach": the others are backups. "In the presence of records containing weights greater
    /// than 0, records with weight 0 should have a very small chance of being selected": they get 1.
    fn share(self, record: Option<&Record>, written: Share) -> Share {
        let Some(record) = record else {
            return written;
        };
        let weight = u32::from(record.weight);
        let scaled = match self.heaviest {
            ..=WEIGHT_MAX => weight,
            heaviest => weight * u32::from(WEIGHT_MAX) / u32::from(heaviest),
        };
        Share {
            weight: scaled.max(1),
            backup: written.backup || record.priority > self.lowest,
        }
    }
}

/// The servers of all sources in their order, each authority once: who is written first has it.
/// No more than `max` that were found, and how many that left out.
pub(super) fn wanted(sources: &[Source], max: usize) -> (Vec<Wanted>, usize) {
    let mut all: Vec<Wanted> = Vec::new();
    let (mut found, mut left_out) = (0, 0);
    for (at, source) in sources.iter().enumerate() {
        for server in source.servers(at) {
            let is_known = |it: &Wanted| it.identity.authority == server.identity.authority;
            if all.iter().any(is_known) {
                continue;
            }
            let is_found = server.address.is_some();
            if is_found && found == max {
                left_out += 1;
                continue;
            }
            found += usize::from(is_found);
            all.push(server);
        }
    }
    (all, left_out)
}

/// What leads from those `before` to those `wanted`.
pub(super) fn change(before: &[Identity], wanted: &[Wanted]) -> Change {
    let index = |it: &Wanted| before.iter().position(|other| *other == it.identity);
    let stay: Vec<_> = wanted.iter().map(index).collect();
    let leaves = |at: &usize| !stay.contains(&Some(*at));
    Change {
        leave: (0..before.len()).filter(leaves).collect(),
        stay,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHARE: Share = Share {
        weight: 3,
        backup: false,
    };

    fn one(authority: &str) -> Source {
        Source::One {
            authority: authority.into(),
            share: SHARE,
            epoch: 7,
        }
    }

    fn each(name: &str, addresses: &[&str]) -> Source {
        let endpoint = |it: &&str| Endpoint {
            record: None,
            address: it.parse().unwrap(),
        };
        Source::Many {
            name: name.into(),
            port: 80,
            share: SHARE,
            endpoints: Some(addresses.iter().map(endpoint).collect()),
        }
    }

    fn authorities(wanted: &[Wanted]) -> Vec<&str> {
        wanted.iter().map(|it| &*it.identity.authority).collect()
    }

    #[test]
    fn servers_are_those_written_and_those_found() {
        let nothing = Source::Many {
            name: "n".into(),
            port: 80,
            share: SHARE,
            endpoints: None,
        };
        type Row<'a> = (&'a [Source], &'a [&'a str], usize);
        let rows: [Row<'_>; 6] = [
            (&[], &[], 0),
            (std::slice::from_ref(&nothing), &[], 0),
            (&[one("a:80"), nothing.clone()], &["a:80"], 0),
            (
                &[each("n", &["10.0.0.1", "::1"]), one("a:80")],
                &["10.0.0.1:80", "[::1]:80", "a:80"],
                0,
            ),
            // Who is written first has it.
            (
                &[one("10.0.0.1:80"), each("n", &["10.0.0.1", "10.0.0.2"])],
                &["10.0.0.1:80", "10.0.0.2:80"],
                0,
            ),
            // No more than three are found, however many are written.
            (
                &[
                    one("a:80"),
                    each("n", &["10.0.0.1", "10.0.0.2"]),
                    each("m", &["10.0.0.3", "10.0.0.4", "10.0.0.5"]),
                    one("b:80"),
                ],
                &["a:80", "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "b:80"],
                2,
            ),
        ];
        for (sources, expected, expected_out) in rows {
            let (wanted, left_out) = wanted(sources, 3);
            assert_eq!(authorities(&wanted), expected, "{sources:?}");
            assert_eq!(left_out, expected_out, "{sources:?}");
        }
    }

    #[test]
    fn records_have_weights_and_priorities() {
        type Row<'a> = (&'a [(u16, u16)], &'a [(u32, bool)]);
        let rows: [Row<'_>; 5] = [
            (&[(10, 5), (10, 1)], &[(5, false), (1, false)]),
            (&[(10, 5), (20, 9)], &[(5, false), (9, true)]),
            (&[(0, 0), (0, 0)], &[(1, false), (1, false)]),
            (&[(0, 0), (0, 256)], &[(1, false), (256, false)]),
            (
                &[(1, 1000), (1, 65_535), (1, 1)],
                &[(3, false), (256, false), (1, false)],
            ),
        ];
        for (records, expected) in rows {
            let endpoint = |(at, (priority, weight)): (usize, &(u16, u16))| Endpoint {
                record: Some(Record {
                    priority: *priority,
                    weight: *weight,
                    port: 8080,
                    target: "t.".into(),
                }),
                address: [10, 0, 0, u8::try_from(at).unwrap()].into(),
            };
            let source = Source::Many {
                name: "_http._tcp.n".into(),
                port: 0,
                share: SHARE,
                endpoints: Some(records.iter().enumerate().map(endpoint).collect()),
            };
            let (wanted, _) = wanted(&[source], 9);
            let shares: Vec<_> = wanted
                .iter()
                .map(|it| (it.share.weight, it.share.backup))
                .collect();
            assert_eq!(shares, expected, "{records:?}");
            assert_eq!(&*wanted[0].identity.authority, "10.0.0.0:8080");
        }
    }

    #[test]
    fn a_change_tells_who_stays_and_who_leaves() {
        let identity = |(authority, by): &(&str, Option<&str>)| Identity {
            authority: (*authority).into(),
            found_by: by.map(Into::into),
            epoch: if *authority == "a:80" { 7 } else { 0 },
        };
        type Row<'a> = (
            &'a [(&'a str, Option<&'a str>)],
            &'a [Option<usize>],
            &'a [usize],
        );
        let rows: [Row<'_>; 5] = [
            (&[], &[None, None, None], &[]),
            (
                &[
                    ("a:80", None),
                    ("10.0.0.1:80", Some("n")),
                    ("10.0.0.2:80", Some("n")),
                ],
                &[Some(0), Some(1), Some(2)],
                &[],
            ),
            (
                &[
                    ("10.0.0.9:80", Some("n")),
                    ("10.0.0.2:80", Some("n")),
                    ("a:80", None),
                ],
                &[Some(2), None, Some(1)],
                &[0],
            ),
            // The same address by another name is another server: it has to prove another.
            (&[("10.0.0.1:80", Some("m"))], &[None, None, None], &[0]),
            (
                &[("b:80", None), ("c:80", None)],
                &[None, None, None],
                &[0, 1],
            ),
        ];
        let sources = [one("a:80"), each("n", &["10.0.0.1", "10.0.0.2"])];
        let (wanted, _) = wanted(&sources, 9);
        for (before, stay, leave) in rows {
            let before: Vec<_> = before.iter().map(identity).collect();
            let change = change(&before, &wanted);
            assert_eq!((&*change.stay, &*change.leave), (stay, leave), "{before:?}");
        }
        // An address of the one server has gone: its connections go as well.
        let mut before = identity(&("a:80", None));
        before.epoch = 6;
        assert_eq!(change(&[before], &wanted).leave, [0]);
    }

    proptest! {
        #[test]
        fn everybody_stays_comes_or_leaves(
            before in prop::collection::btree_set(0_u8..20, 0..12),
            after in prop::collection::btree_set(0_u8..20, 0..12),
        ) {
            let texts = |it: &std::collections::BTreeSet<u8>| -> Vec<String> {
                it.iter().map(|it| format!("10.0.0.{it}")).collect()
            };
            let plan = |texts: &[String]| {
                let texts: Vec<_> = texts.iter().map(String::as_str).collect();
                wanted(&[each("n", &texts)], 99).0
            };
            let (old, new) = (plan(&texts(&before)), plan(&texts(&after)));
            let identities: Vec<_> = old.into_iter().map(|it| it.identity).collect();
            let change = change(&identities, &new);
            let stayed = change.stay.iter().flatten().count();
            prop_assert_eq!(stayed, before.intersection(&after).count());
            prop_assert_eq!(change.stay.len(), after.len());
            prop_assert_eq!(change.leave.len(), before.len() - stayed);
        }
    }
}
