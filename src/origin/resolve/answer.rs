//! DNS answers: the endpoints of servers, and what of an earlier answer stays in use where a part
//! of a lookup has failed.
//!
//! Nothing is asked here.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// As many endpoints of one name as are kept. A DNS message could bring four thousand.
const ENDPOINTS_MAX: usize = 1024;

/// Where a name says that a server is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::origin) struct Endpoint {
    /// What its SRV record says, if it was found by one. First, as a list is sorted by priority.
    pub(in crate::origin) record: Option<Record>,
    pub(in crate::origin) address: IpAddr,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::origin) struct Record {
    /// "A client MUST attempt to contact the target host with the lowest-numbered priority it can
    /// reach".
    pub(in crate::origin) priority: u16,
    pub(in crate::origin) weight: u16,
    pub(in crate::origin) port: u16,
    /// A name with its final dot.
    pub(in crate::origin) target: Arc<str>,
}

/// What one question brought, and for how long it holds.
pub(super) type Found<T> = Result<(Vec<T>, Duration), Miss>;

/// A lookup that brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Miss {
    /// By DNS's own word there is nothing.
    #[error("DNS has no such records")]
    Empty,
    /// Nobody has answered, or not properly.
    #[error("{0}")]
    Failed(String),
}

// === impl Endpoint ===

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.record {
            None => write!(f, "{}", self.address),
            Some(record) => write!(f, "{}", SocketAddr::new(self.address, record.port)),
        }
    }
}

/// The addresses of both families. A server that fails for one of them, as some do for AAAA, does
/// not take the other away; of the one that failed, those of `before` are kept.
pub(super) fn unite(v4: Found<IpAddr>, v6: Found<IpAddr>, before: &[IpAddr]) -> Found<IpAddr> {
    let (v4, v6) = match (v4, v6) {
        (Err(Miss::Empty), Err(Miss::Empty)) => return Err(Miss::Empty),
        (Err(Miss::Failed(why)), Err(_)) | (Err(_), Err(Miss::Failed(why))) => {
            return Err(Miss::Failed(why));
        }
        both => both,
    };
    let ttl = [&v4, &v6].into_iter().flatten().map(|it| it.1).min();
    let kept = |family: fn(&IpAddr) -> bool| before.iter().copied().filter(family).collect();
    let of_family = |found, family| match found {
        Ok((addresses, _)) => addresses,
        Err(Miss::Empty) => Vec::new(),
        Err(Miss::Failed(_)) => kept(family),
    };
    let mut all: Vec<IpAddr> = of_family(v4, IpAddr::is_ipv4);
    all.extend(of_family(v6, IpAddr::is_ipv6));
    Ok((in_order(all), ttl.unwrap_or_default()))
}

/// The endpoints that SRV records lead to, each with what the lookup of its target has brought. A
/// target without addresses is left out; where its lookup failed, those of `before` are kept.
pub(super) fn endpoints(
    records: Vec<(Record, Found<IpAddr>)>,
    mut ttl: Duration,
    before: &[Endpoint],
) -> Found<Endpoint> {
    let (mut endpoints, mut fault) = (Vec::new(), Miss::Empty);
    for (record, found) in records {
        let addresses = match found {
            Ok((addresses, lasts)) => {
                ttl = ttl.min(lasts);
                addresses
            }
            Err(Miss::Empty) => Vec::new(),
            Err(failed) => {
                fault = failed;
                addresses_of(&record.target, before)
            }
        };
        endpoints.extend(addresses.into_iter().map(|address| Endpoint {
            record: Some(record.clone()),
            address,
        }));
    }
    if endpoints.is_empty() {
        return Err(fault);
    }
    Ok((in_order(endpoints), ttl))
}

/// The addresses that a target had.
pub(super) fn addresses_of(target: &str, before: &[Endpoint]) -> Vec<IpAddr> {
    let is_its = |it: &&Endpoint| it.record.as_ref().is_some_and(|it| *it.target == *target);
    before.iter().filter(is_its).map(|it| it.address).collect()
}

/// Each once and in the same order whatever order they came in: DNS servers rotate them.
fn in_order<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort_unstable();
    all.dedup();
    all.truncate(ENDPOINTS_MAX);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer<'a> = Result<(&'a [&'a str], u64), Miss>;

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|it| it.parse().unwrap()).collect()
    }

    fn found(answer: Answer<'_>) -> Found<IpAddr> {
        answer.map(|(list, ttl)| (ips(list), Duration::from_secs(ttl)))
    }

    fn failed() -> Miss {
        Miss::Failed("f".to_owned())
    }

    #[test]
    fn both_families_make_one_answer() {
        let before = ips(&["10.0.0.9", "::9"]);
        let rows: [(Answer<'_>, Answer<'_>, Answer<'_>); 9] = [
            (
                Ok((&["10.0.0.2", "10.0.0.1"], 9)),
                Ok((&["::1"], 5)),
                Ok((&["10.0.0.1", "10.0.0.2", "::1"], 5)),
            ),
            (
                Ok((&["10.0.0.1", "10.0.0.1"], 9)),
                Err(Miss::Empty),
                Ok((&["10.0.0.1"], 9)),
            ),
            (Err(Miss::Empty), Ok((&["::1"], 5)), Ok((&["::1"], 5))),
            // Of the family that failed the earlier ones are kept.
            (
                Ok((&["10.0.0.1"], 9)),
                Err(failed()),
                Ok((&["10.0.0.1", "::9"], 9)),
            ),
            (
                Err(failed()),
                Ok((&["::1"], 5)),
                Ok((&["10.0.0.9", "::1"], 5)),
            ),
            (Err(Miss::Empty), Err(Miss::Empty), Err(Miss::Empty)),
            (Err(failed()), Err(Miss::Empty), Err(failed())),
            (Err(Miss::Empty), Err(failed()), Err(failed())),
            (Err(failed()), Err(failed()), Err(failed())),
        ];
        for (v4, v6, both) in rows {
            let row = format!("{v4:?} {v6:?}");
            assert_eq!(unite(found(v4), found(v6), &before), found(both), "{row}");
        }
    }

    fn record(priority: u16, target: &str) -> Record {
        Record {
            priority,
            weight: 1,
            port: 80,
            target: target.into(),
        }
    }

    fn endpoint(record: &Record, address: &str) -> Endpoint {
        Endpoint {
            record: Some(record.clone()),
            address: address.parse().unwrap(),
        }
    }

    #[test]
    fn a_service_is_where_its_targets_are() {
        let (a, b) = (record(20, "a."), record(10, "b."));
        let before = [endpoint(&a, "10.0.0.9"), endpoint(&b, "10.0.0.8")];
        let rows: [(Answer<'_>, Answer<'_>, Found<Endpoint>); 5] = [
            (
                Ok((&["10.0.0.1"], 30)),
                Ok((&["10.0.0.2"], 5)),
                Ok((
                    vec![endpoint(&b, "10.0.0.2"), endpoint(&a, "10.0.0.1")],
                    Duration::from_secs(5),
                )),
            ),
            (
                Ok((&["10.0.0.1"], 30)),
                Err(Miss::Empty),
                Ok((vec![endpoint(&a, "10.0.0.1")], Duration::from_secs(20))),
            ),
            (
                Ok((&["10.0.0.1"], 30)),
                Err(failed()),
                Ok((
                    vec![endpoint(&b, "10.0.0.8"), endpoint(&a, "10.0.0.1")],
                    Duration::from_secs(20),
                )),
            ),
            (Err(Miss::Empty), Err(Miss::Empty), Err(Miss::Empty)),
            (
                Err(failed()),
                Err(Miss::Empty),
                Ok((vec![endpoint(&a, "10.0.0.9")], Duration::from_secs(20))),
            ),
        ];
        for (of_a, of_b, expected) in rows {
            let row = format!("{of_a:?} {of_b:?}");
            let records = vec![(a.clone(), found(of_a)), (b.clone(), found(of_b))];
            let endpoints = endpoints(records, Duration::from_secs(20), &before);
            assert_eq!(endpoints, expected, "{row}");
        }
        let nowhere = endpoints(vec![(a, found(Err(failed())))], Duration::MAX, &[]);
        assert_eq!(nowhere, Err(failed()));
    }
}
