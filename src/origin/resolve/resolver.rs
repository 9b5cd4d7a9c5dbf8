//! DNS resolver, and the door to hickory-resolver: one question, one answer.
//!
//! Its cache is not used, as names are asked for again when their TTL is over, and neither before
//! nor later. When that is, and what is done with an answer, is in `watch.rs`.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::warn;

use super::Question;
use super::answer::{self, Endpoint, Found, Miss, Record, addresses_of, unite};
use crate::config;

/// A lookup takes no longer, however many DNS servers, search domains and targets there are.
const LOOKUP_TAKES_MAX: Duration = Duration::from_secs(60);
/// How long the first lookup of a name waits for one family of addresses once it has the other.
const SECOND_FAMILY_TAKES_MAX: Duration = Duration::from_millis(250);
/// As many SRV records of one name as are looked at.
const RECORDS_MAX: usize = 256;

/// resolv.conf(5): "If no nameserver entries are present, the default is to use the name server on
/// the local machine."
const LOCAL: [u8; 4] = [127, 0, 0, 1];

/// Who is asked, and how often. Names go on with another after a reload.
pub struct Resolver {
    config: config::Resolver,
    /// Made of the table, and perhaps of `/etc/resolv.conf`, when a name is asked for: most
    /// configurations have none.
    hickory: OnceLock<Result<TokioResolver, NetError>>,
    pub(super) pace: Pace,
}

/// How often a name is looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) ttl_min: Duration,
    pub(super) ttl_max: Duration,
    pub(super) retry: Duration,
}

/// What a lookup reads: DNS, and `/etc/hosts` as it is now. Whoever edits it expects no restart.
struct Sources {
    dns: TokioResolver,
    hosts: Hosts,
}

// === impl Resolver ===

impl Resolver {
    /// A resolver that will ask the servers of the table, or those of the system. Nothing is read
    /// and nobody is asked as yet.
    pub fn new(config: &config::Resolver) -> Arc<Self> {
        Arc::new(Self {
            config: config.clone(),
            hickory: OnceLock::new(),
            pace: Pace {
                ttl_min: config.ttl_min,
                ttl_max: config.ttl_max,
                retry: config.retry,
            },
        })
    }

    /// Asks. Where a part of the lookup fails, what `before` says of it is kept.
    pub(super) async fn look_up(
        &self,
        question: &Question,
        before: &[Endpoint],
    ) -> Found<Endpoint> {
        let asked = timeout(LOOKUP_TAKES_MAX, async {
            let sources = self.sources().await.map_err(failed)?;
            match question {
                Question::Addresses(name) => sources.endpoints(name, before).await,
                Question::Service(name) => sources.service(name, before).await,
            }
        });
        let too_slow = || Err(Miss::Failed("the lookup took too long".to_owned()));
        asked.await.unwrap_or_else(|_| too_slow())
    }

    async fn sources(&self) -> Result<Sources, NetError> {
        let dns = self.hickory.get_or_init(|| build(&self.config)).clone()?;
        // Without the file, DNS says it all.
        let hosts = spawn_blocking(|| Hosts::from_system().unwrap_or_default());
        let hosts = hosts.await.unwrap_or_default();
        Ok(Sources { dns, hosts })
    }
}

// === impl Pace ===

impl Pace {
    /// How long to wait for the next lookup after an answer that is good for `ttl`.
    pub(super) fn after(self, ttl: Duration) -> Duration {
        // The configuration's check has made sure that the limits are in order.
        ttl.max(self.ttl_min).min(self.ttl_max)
    }
}

// === impl Sources ===

impl Sources {
    async fn endpoints(&self, name: &str, before: &[Endpoint]) -> Found<Endpoint> {
        let before: Vec<_> = before.iter().map(|it| it.address).collect();
        let (addresses, ttl) = self.addresses(name, &before).await?;
        let endpoint = |address| Endpoint {
            record: None,
            address,
        };
        Ok((addresses.into_iter().map(endpoint).collect(), ttl))
    }

    async fn addresses(&self, name: &str, before: &[IpAddr]) -> Found<IpAddr> {
        if let Some(addresses) = listed(&self.hosts, name) {
            return Ok((addresses, Duration::MAX));
        }
        let v4 = async { read(self.dns.ipv4_lookup(name).await, RData::ip_addr) };
        let v6 = async { read(self.dns.ipv6_lookup(name).await, RData::ip_addr) };
        if before.is_empty() {
            return first(v4, v6).await;
        }
        let (v4, v6) = tokio::join!(v4, v6);
        unite(v4, v6, before)
    }

    /// The targets are looked up one after the other: DNS is not asked for all at once.
    async fn service(&self, name: &str, before: &[Endpoint]) -> Found<Endpoint> {
        let (mut records, ttl) = read(self.dns.srv_lookup(name).await, record)?;
        records.sort_unstable();
        records.truncate(RECORDS_MAX);
        let mut found: Vec<(Record, Found<IpAddr>)> = Vec::with_capacity(records.len());
        for record in records {
            let known = found.iter().find(|(it, _)| it.target == record.target);
            let addresses = match known {
                Some((_, addresses)) => addresses.clone(),
                None => {
                    let before = addresses_of(&record.target, before);
                    self.addresses(&record.target, &before).await
                }
            };
            found.push((record, addresses));
        }
        answer::endpoints(found, ttl, before)
    }
}

/// A lookup of a name of which nothing is known yet. Requests wait for it, and some DNS servers never
/// answer for AAAA: so who has one family does not wait long for the other ("Resolution Delay",
/// RFC 8305 §3), and asks for both again soon.
async fn first(
    v4: impl Future<Output = Found<IpAddr>>,
    v6: impl Future<Output = Found<IpAddr>>,
) -> Found<IpAddr> {
    let (mut v4, mut v6) = (pin!(v4), pin!(v6));
    let (v4, v6) = tokio::select! {
        v4 = &mut v4 => {
            let v6 = second(&v4, v6).await;
            (v4, v6)
        }
        v6 = &mut v6 => {
            let v4 = second(&v6, v4).await;
            (v4, v6)
        }
    };
    let has_failed = [&v4, &v6].map(|it| matches!(it, Err(Miss::Failed(_))));
    let (addresses, ttl) = unite(v4, v6, &[])?;
    Ok(match has_failed.contains(&true) {
        true => (addresses, Duration::ZERO),
        false => (addresses, ttl),
    })
}

async fn second(
    first: &Found<IpAddr>,
    other: impl Future<Output = Found<IpAddr>>,
) -> Found<IpAddr> {
    if first.is_err() {
        return other.await;
    }
    let late = || Err(Miss::Failed("no answer soon enough".to_owned()));
    let other = timeout(SECOND_FAMILY_TAKES_MAX, other).await;
    other.unwrap_or_else(|_| late())
}

fn build(config: &config::Resolver) -> Result<TokioResolver, NetError> {
    let (servers, mut options) = servers(config);
    options.timeout = config.timeout;
    // What hickory counts are the further ones.
    options.attempts = config.attempts.saturating_sub(1);
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    let mut builder = TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build()
}

fn servers(config: &config::Resolver) -> (ResolverConfig, ResolverOpts) {
    if config.servers.is_empty() {
        return system_conf::read_system_conf().unwrap_or_else(|error| {
            warn!(%error, "/etc/resolv.conf cannot be used: the local machine is asked for names");
            let local = NameServerConfig::udp_and_tcp(IpAddr::from(LOCAL));
            (of_servers(vec![local]), ResolverOpts::default())
        });
    }
    let server = |address: &SocketAddr| {
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        server
    };
    let servers = config.servers.iter().map(server).collect();
    (of_servers(servers), ResolverOpts::default())
}

/// Without search domains: where servers are given, names are whole.
fn of_servers(servers: Vec<NameServerConfig>) -> ResolverConfig {
    ResolverConfig::from_parts(None, Vec::new(), servers)
}

/// The addresses of a name that stands in `/etc/hosts`. Of such a name DNS is not asked, not even for
/// a family that is missing there: it may be out of reach.
fn listed(hosts: &Hosts, name: &str) -> Option<Vec<IpAddr>> {
    let name = Name::from_ascii(name).ok()?;
    let of_family = |family| hosts.lookup_static_host(&Query::query(name.clone(), family));
    let found = [RecordType::A, RecordType::AAAA].map(of_family);
    let records = found.iter().flatten().flat_map(Lookup::answers);
    let mut addresses: Vec<_> = records.filter_map(|it| it.data.ip_addr()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    (!addresses.is_empty()).then_some(addresses)
}

/// The records of an answer that `pick` knows, and for how long they and the names that lead to
/// them hold.
fn read<T>(looked_up: Result<Lookup, NetError>, pick: fn(&RData) -> Option<T>) -> Found<T> {
    let lookup = looked_up.map_err(failed)?;
    let (mut all, mut ttl) = (Vec::new(), u32::MAX);
    for record in lookup.answers() {
        let picked = pick(&record.data);
        if picked.is_some() || record.record_type() == RecordType::CNAME {
            ttl = ttl.min(record.ttl);
        }
        all.extend(picked);
    }
    match all.is_empty() {
        true => Err(Miss::Empty),
        false => Ok((all, Duration::from_secs(ttl.into()))),
    }
}

fn failed(error: NetError) -> Miss {
    match error.is_no_records_found() {
        true => Miss::Empty,
        false => Miss::Failed(error.to_string()),
    }
}

/// RFC 2782: "A Target of "." means that the service is decidedly not available at this domain."
fn record(data: &RData) -> Option<Record> {
    match data {
        RData::SRV(it) if !it.target.is_root() && it.port > 0 => Some(Record {
            priority: it.priority,
            weight: it.weight,
            port: it.port,
            target: it.target.to_ascii().to_ascii_lowercase().into(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_hosts_is_read() {
        let text = "10.0.0.2 App.Test other # no.test\n10.0.0.1 app.test\n::1 app.test six\n";
        let mut hosts = Hosts::default();
        hosts.read_hosts_conf(text.as_bytes()).unwrap();
        type Row<'a> = (&'a str, Option<&'a [&'a str]>);
        let rows: [Row<'_>; 6] = [
            ("app.test", Some(&["10.0.0.1", "10.0.0.2", "::1"])),
            ("APP.test.", Some(&["10.0.0.1", "10.0.0.2", "::1"])),
            ("other", Some(&["10.0.0.2"])),
            ("six", Some(&["::1"])),
            ("no.test", None),
            ("_http._tcp.app.test", None),
        ];
        for (name, expected) in rows {
            let addresses = |it: &[&str]| it.iter().map(|it| it.parse().unwrap()).collect();
            assert_eq!(listed(&hosts, name), expected.map(addresses), "{name}");
        }
    }

    #[test]
    fn an_answer_is_used_within_limits() {
        let pace = Pace {
            ttl_min: Duration::from_secs(1),
            ttl_max: Duration::from_secs(300),
            retry: Duration::from_secs(1),
        };
        for (ttl, used) in [(0, 1), (1, 1), (60, 60), (300, 300), (86_400, 300)] {
            let after = pace.after(Duration::from_secs(ttl));
            assert_eq!(after, Duration::from_secs(used), "{ttl} s");
        }
    }
}
