//! Rate limits: token buckets by address, field or route, and the refusal of requests that come too
//! soon.
//!
//! Receive asks before anything is looked up, so a hit is limited like any other request. Where no
//! limit holds, nothing is done. The buckets themselves are in `buckets.rs`, the limit on what is
//! under way at once in `concurrency.rs`. What a reload leaves as it was keeps its buckets.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::{Quota, RateLimiter};
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use ipnet::IpNet;
use sha2::{Digest, Sha256};

use super::buckets::{Buckets, Key};
use super::concurrency::{Concurrency, Permit};
use crate::clock;
use crate::config::{self, Config, LimitKey};
use crate::telemetry::Family;

// draft-ietf-httpapi-ratelimit-headers-10.
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// All limits of a site: how often clients may ask, and how many requests of a route at once.
#[derive(Default)]
pub(in crate::pipeline) struct Bounds {
    limits: BTreeMap<Arc<str>, Arc<Limit>>,
    concurrency: HashMap<Key, Concurrency>,
    /// The limits that hold for every request.
    everywhere: Limits,
}

/// What holds on one route.
pub(in crate::pipeline) struct RouteBounds {
    /// The route itself, the same after a reload.
    key: Key,
    limits: Limits,
    concurrency: Option<Concurrency>,
}

/// In the order in which they are asked.
type Limits = Box<[Arc<Limit>]>;

/// One `[[limit]]` in force.
struct Limit {
    /// What it was built from: where a reload leaves that as it was, the limit stays too.
    built_from: config::Limit,
    name: Arc<str>,
    limiter: RateLimiter<Key, Buckets, Since, NoOpMiddleware<Nanos>>,
    buckets: Buckets,
    who: Who,
    ipv4_mask: u32,
    ipv6_mask: u128,
    /// Whose clients are not limited.
    allow: Box<[IpNet]>,
    /// The status of a refusal.
    status: StatusCode,
    policy: HeaderValue,
    /// How many requests it has refused, also in earlier forms of the same name.
    refused: Arc<AtomicU64>,
}

/// Who has a bucket.
enum Who {
    Address,
    Field(HeaderName),
    Route,
}

/// A request that came too soon.
pub(in crate::pipeline) struct Limited {
    limit: Arc<Limit>,
    wait: Duration,
}

/// Time as governor wants to read it.
#[derive(Clone, Copy, Debug)]
struct Since(clock::Instant);

// === impl Bounds ===

impl Bounds {
    /// Builds what the configuration says, and keeps what is the same as before.
    pub(in crate::pipeline) fn new(config: &Config, before: Option<&Self>) -> Self {
        let limits = config.limits.iter().map(|limit| {
            let before = before.and_then(|it| it.limits.get(&limit.name));
            (Arc::clone(&limit.name), Limit::new(limit, before))
        });
        let limits: BTreeMap<_, _> = limits.collect();
        Self {
            everywhere: named(&limits, config.server.limits.iter()),
            concurrency: concurrency(config, before.map(|it| &it.concurrency)),
            limits,
        }
    }

    /// Takes a request out of the buckets of all limits that hold for it. The first that has none
    /// left refuses it; those before have counted it.
    pub(in crate::pipeline) fn check(
        &self,
        route: Option<&RouteBounds>,
        client: IpAddr,
        fields: &HeaderMap,
    ) -> Result<(), Limited> {
        let limits = route.map_or(&self.everywhere, |it| &it.limits);
        limits
            .iter()
            .try_for_each(|limit| Self::ask(limit, route, client, fields))
    }

    /// The same for the limit of a name, which a rule has a request meet.
    pub(in crate::pipeline) fn check_named(
        &self,
        name: &str,
        route: Option<&RouteBounds>,
        client: IpAddr,
        fields: &HeaderMap,
    ) -> Result<(), Limited> {
        // The configuration's check has made sure that it is there.
        let limit = self.limits.get(name);
        limit.map_or(Ok(()), |limit| Self::ask(limit, route, client, fields))
    }

    fn ask(
        limit: &Arc<Limit>,
        route: Option<&RouteBounds>,
        client: IpAddr,
        fields: &HeaderMap,
    ) -> Result<(), Limited> {
        let address = client.to_canonical();
        if limit.allows(address) {
            return Ok(());
        }
        let key = limit.key(address, fields, route);
        let Err(until) = limit.limiter.check_key(&key) else {
            return Ok(());
        };
        limit.refused.fetch_add(1, Relaxed);
        let wait = until.wait_time_from(limit.limiter.clock().now());
        let limit = Arc::clone(limit);
        Err(Limited { limit, wait })
    }

    /// What holds on a route of a site: the server's limits, then the site's, then its own.
    pub(in crate::pipeline) fn of_route(
        &self,
        site: &config::Site,
        route: &config::Route,
    ) -> RouteBounds {
        let everywhere = self.everywhere.iter().map(|it| &it.name);
        let names = everywhere.chain(&site.limits).chain(&route.limits);
        let key = route_key(site, route);
        RouteBounds {
            key,
            limits: named(&self.limits, names),
            concurrency: self.concurrency.get(&key).cloned(),
        }
    }

    /// What the limits have counted and hold, for a scrape.
    pub(in crate::pipeline) fn families(&self) -> Vec<Family> {
        let help = "Requests refused by a rate limit.";
        let mut refused = Family::counter("copal_limited_total", help);
        let help = "Keys of a rate limit whose bucket is not full.";
        let mut keys = Family::gauge("copal_limit_keys", help);
        let help = "As many keys as a rate limit can tell apart.";
        let mut keys_max = Family::gauge("copal_limit_keys_max", help);
        for (name, limit) in &self.limits {
            let labels = || vec![("limit", name.to_string())];
            refused = refused.labelled(labels(), limit.refused.load(Relaxed) as f64);
            let in_use = limit.buckets.in_use(limit.limiter.clock().now());
            keys = keys.labelled(labels(), in_use as f64);
            keys_max = keys_max.labelled(labels(), limit.built_from.keys_max as f64);
        }
        vec![refused, keys, keys_max]
    }
}

/// The concurrency limits of all routes that have one; what a reload leaves as it was stays.
fn concurrency(
    config: &Config,
    before: Option<&HashMap<Key, Concurrency>>,
) -> HashMap<Key, Concurrency> {
    let mut limits = HashMap::new();
    for site in &config.sites {
        for route in site.routes.iter().filter(|it| it.concurrency_max > 0) {
            let (key, requests_max) = (route_key(site, route), route.concurrency_max);
            let before = before.and_then(|it| it.get(&key));
            let same = before.filter(|it| it.requests_max() == requests_max);
            let limit = same
                .cloned()
                .unwrap_or_else(|| Concurrency::new(requests_max));
            limits.insert(key, limit);
        }
    }
    limits
}

/// The limits of these names, each once.
fn named<'a>(
    limits: &BTreeMap<Arc<str>, Arc<Limit>>,
    names: impl Iterator<Item = &'a Arc<str>>,
) -> Limits {
    let mut found: Vec<Arc<Limit>> = Vec::new();
    // The configuration's check has made sure that each is there.
    for limit in names.filter_map(|name| limits.get(name)) {
        if !found.iter().any(|it| Arc::ptr_eq(it, limit)) {
            found.push(Arc::clone(limit));
        }
    }
    found.into()
}

/// Hosts and path: what a route is known by. No two routes have the same.
fn route_key(site: &config::Site, route: &config::Route) -> Key {
    digest(format!("{:?} {}", site.hosts, route.path).as_bytes())
}

/// So much of it that nobody finds two values with one key.
fn digest(value: &[u8]) -> Key {
    let digest = Sha256::digest(value);
    let front = digest
        .first_chunk()
        .map_or(0, |it| u128::from_be_bytes(*it));
    Key::from(front)
}

// === impl RouteBounds ===

impl RouteBounds {
    /// A permit to ask the origin, if one is free.
    pub(in crate::pipeline) fn enter(&self) -> Option<Permit> {
        Permit::take(self.concurrency.as_ref())
    }
}

// === impl Limit ===

impl Limit {
    fn new(config: &config::Limit, before: Option<&Arc<Self>>) -> Arc<Self> {
        if let Some(same) = before.filter(|it| it.built_from == *config) {
            return Arc::clone(same);
        }
        let buckets = Buckets::new(config.keys_max);
        let since = Since(clock::instant());
        let secs = config.rate.window.as_secs();
        let policy = format!("\"{}\";q={};w={secs}", config.name, config.rate.count);
        Arc::new(Self {
            built_from: config.clone(),
            name: Arc::clone(&config.name),
            limiter: RateLimiter::new(quota(config), buckets.clone(), since),
            buckets,
            who: match &config.key {
                LimitKey::Address => Who::Address,
                LimitKey::Field(name) => Who::Field(name.clone()),
                LimitKey::Route => Who::Route,
            },
            ipv4_mask: mask(config.ipv4_prefix.into(), 32) as u32,
            ipv6_mask: mask(config.ipv6_prefix.into(), 128),
            allow: config.allow.as_slice().into(),
            status: config.status,
            policy: field(policy),
            refused: before.map(|it| Arc::clone(&it.refused)).unwrap_or_default(),
        })
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.allow.iter().any(|network| network.contains(&address))
    }

    fn key(&self, address: IpAddr, fields: &HeaderMap, route: Option<&RouteBounds>) -> Key {
        match &self.who {
            Who::Address => self.key_of_address(address),
            Who::Field(name) => {
                let mut lines = fields.get_all(name).iter();
                match (lines.next(), lines.next()) {
                    (Some(value), None) => digest(value.as_bytes()),
                    // With two, the origin may go by the other one.
                    _ => self.key_of_address(address),
                }
            }
            Who::Route => route.map_or_else(Key::default, |it| it.key),
        }
    }

    fn key_of_address(&self, address: IpAddr) -> Key {
        let bits = match address {
            IpAddr::V4(address) => {
                let network = address.to_bits() & self.ipv4_mask;
                Ipv4Addr::from_bits(network).to_ipv6_mapped().to_bits()
            }
            IpAddr::V6(address) => address.to_bits() & self.ipv6_mask,
        };
        Key::from(bits)
    }
}

/// The first `prefix` of `width` bits.
fn mask(prefix: u32, width: u32) -> u128 {
    let rest = width.saturating_sub(prefix);
    let all = u128::MAX >> (128 - width);
    all & u128::MAX.checked_shl(rest).unwrap_or(0)
}

fn quota(config: &config::Limit) -> Quota {
    let rate = config.rate;
    let burst = NonZeroU32::new(config.burst).unwrap_or(NonZeroU32::MIN);
    let interval = rate.window / rate.count.max(1);
    // A window has at least a microsecond for each request.
    let quota = Quota::with_period(interval).unwrap_or(Quota::per_hour(NonZeroU32::MIN));
    quota.allow_burst(burst)
}

/// Of names and numbers, which stand in no field's way.
fn field(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

// === impl Limited ===

impl Limited {
    pub(in crate::pipeline) fn status(&self) -> StatusCode {
        self.limit.status
    }

    /// Says by which policy, and when to come again.
    pub(in crate::pipeline) fn stamp(&self, fields: &mut HeaderMap) {
        // RFC 9110 §10.2.3: delay-seconds; rounded up, or who heeds it would come too soon.
        let secs = self.wait.as_nanos().div_ceil(1_000_000_000).max(1);
        fields.insert(RETRY_AFTER, field(secs.to_string()));
        fields.insert(RATELIMIT_POLICY, self.limit.policy.clone());
        // The draft's `t`: "the number of seconds until additional quota associated with the
        // quota policy is made available".
        let name = &self.limit.name;
        fields.insert(RATELIMIT, field(format!("\"{name}\";r=0;t={secs}")));
    }
}

// === impl Since ===

impl Clock for Since {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let passed = clock::instant().saturating_duration_since(self.0);
        // In 584 years it would stand still.
        Nanos::new(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(lines: &str) -> config::Limit {
        let text = format!(
            "[[limit]]\nname = \"a\"\n{lines}
            [[listen]]\naddress = \"127.0.0.1:0\"
            [[site]]\nhosts = [\"*\"]\nroute = [{{ path = \"/\", answer = {{}} }}]\n"
        );
        config::parse(&text, "f").unwrap().limits.remove(0)
    }

    fn limit(lines: &str) -> Arc<Limit> {
        Limit::new(&config(lines), None)
    }

    fn key(limit: &Limit, address: &str) -> Key {
        let address: IpAddr = address.parse().unwrap();
        limit.key(address.to_canonical(), &HeaderMap::new(), None)
    }

    /// How many of so many requests in a row are let through.
    fn let_through(limit: &Limit, requests: usize) -> usize {
        let key = key(limit, "192.0.2.1");
        let tries = (0..requests).filter(|_| limit.limiter.check_key(&key).is_ok());
        tries.count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_holds_its_burst_and_fills_at_its_rate() {
        for (lines, burst, wait_ms) in [
            ("rate = \"100/s\"", 100, 10),
            ("rate = \"100/s\"\nburst = 1", 1, 10),
            ("rate = \"100/s\"\nburst = 200", 200, 10),
            ("rate = \"600/m\"\nburst = 5", 5, 100),
            ("rate = \"10/h\"", 10, 360_000),
            ("rate = \"1/h\"\nburst = 1000000", 1_000_000, 3_600_000),
        ] {
            let limit = limit(lines);
            assert_eq!(let_through(&limit, burst + 1), burst, "{lines}");
            tokio::time::advance(Duration::from_millis(3 * wait_ms)).await;
            assert_eq!(let_through(&limit, 4), burst.min(3), "{lines}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_is_told_in_whole_seconds_that_suffice() {
        for (rate, secs) in [("100/s", "1"), ("40/m", "2"), ("60/m", "1"), ("7/h", "515")] {
            let limit = limit(&format!("rate = \"{rate}\"\nburst = 1"));
            let key = key(&limit, "192.0.2.1");
            assert!(limit.limiter.check_key(&key).is_ok());
            let until = limit.limiter.check_key(&key).unwrap_err();
            let wait = until.wait_time_from(limit.limiter.clock().now());
            let mut fields = HeaderMap::new();
            let stamped = Arc::clone(&limit);
            let limited = Limited {
                limit: stamped,
                wait,
            };
            limited.stamp(&mut fields);
            assert_eq!(fields[RETRY_AFTER], secs, "{rate}");
            tokio::time::advance(Duration::from_secs(secs.parse().unwrap())).await;
            assert!(limit.limiter.check_key(&key).is_ok(), "{rate}");
        }
    }

    #[test]
    fn keys_of_addresses() {
        for (lines, one, other, same) in [
            ("", "192.0.2.1", "192.0.2.1", true),
            ("", "192.0.2.1", "192.0.2.2", false),
            // RFC 4291 §2.5.5.2: an IPv4-mapped address is that of an IPv4 node.
            ("", "192.0.2.1", "::ffff:192.0.2.1", true),
            ("key = \"ip/24\"", "192.0.2.1", "192.0.2.255", true),
            ("key = \"ip/24\"", "192.0.2.1", "192.0.3.1", false),
            ("key = \"ip/1\"", "0.0.0.0", "127.255.255.255", true),
            ("key = \"ip/1\"", "0.0.0.0", "128.0.0.0", false),
            ("", "2001:db8::1", "2001:db8::ffff:0:0:1", true),
            ("", "2001:db8::1", "2001:db8:0:1::1", false),
            ("ipv6_prefix = 128", "2001:db8::1", "2001:db8::2", false),
            ("ipv6_prefix = 48", "2001:db8::1", "2001:db8:0:1::1", true),
            ("ipv6_prefix = 1", "::1", "7fff::1", true),
        ] {
            let limit = limit(&format!("rate = \"1/s\"\n{lines}"));
            let is_same = key(&limit, one) == key(&limit, other);
            assert_eq!(is_same, same, "{lines} {one} {other}");
        }
    }

    #[test]
    fn what_stays_the_same_keeps_its_buckets_and_its_count() {
        let old = limit("rate = \"1/h\"");
        old.refused.fetch_add(3, Relaxed);
        let same = Limit::new(&config("rate = \"1/h\""), Some(&old));
        assert!(Arc::ptr_eq(&old, &same));
        let other = Limit::new(&config("rate = \"2/h\""), Some(&old));
        assert!(!Arc::ptr_eq(&old, &other));
        assert_eq!(other.refused.load(Relaxed), 3);
    }
}
