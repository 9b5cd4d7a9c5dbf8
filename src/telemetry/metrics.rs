//! Counters of requests and one histogram, fed from finished records and read as a whole.
//!
//! Every thread adds to a shard of its own, so that no cache line travels between cores on the
//! request path; a reader sums the shards. How the sums are written for Prometheus stands in
//! `exposition`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::record::{Outcome, Record, Refreshed};
use super::sites::{Names, SITES_MAX, SiteId};
use super::tunnel::{Direction, TunnelEnd};

/// Upper bounds of the latency buckets in nanoseconds, ascending; one more bucket takes the rest.
pub(super) const BOUNDS_NS: [u64; 17] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
];

/// Names of the status classes (RFC 9110 §15), in the order of [`Snapshot::requests`]. `other` is
/// a request that was left before a status was sent.
pub const STATUS_CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

const OUTCOMES: usize = Outcome::ALL.len();
const CLASSES: usize = STATUS_CLASSES.len();
const REFRESHES: usize = Refreshed::ALL.len();
const DIRECTIONS: usize = Direction::ALL.len();
const TUNNEL_ENDS: usize = TunnelEnd::ALL.len();
const BUCKETS: usize = BOUNDS_NS.len() + 1;

/// Beyond this many threads shards are shared: 1 MiB of counters in all, nearly all of it those of
/// sites.
const SHARDS_MAX: usize = 64;

/// What has happened since the start, counted.
#[derive(Debug)]
pub struct Metrics {
    /// As many as the machine runs threads, rounded up to a power of two.
    shards: Box<[Shard]>,
    sites: Names,
}

/// The sums at one moment. Taken while requests finish, so fields may differ by those in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Finished requests, by [`Outcome`] and by place in [`STATUS_CLASSES`].
    pub requests: [[u64; CLASSES]; OUTCOMES],
    /// Bytes of response content handed to clients.
    pub response_bytes: u64,
    /// Time from a request's head to the end of its response.
    pub durations: Durations,
    /// Responses that did not reach their end.
    pub aborted: u64,
    /// Requests refused as malformed or too large before they had a record.
    pub bad_requests: u64,
    /// Client connections accepted.
    pub connections_accepted: u64,
    /// Client connections closed at once, since their client had as many as it may.
    pub connections_refused: u64,
    /// Background refreshes, by [`Refreshed`].
    pub refreshes: [u64; REFRESHES],
    /// Connections that TCP listeners accepted.
    pub tunnels_opened: u64,
    /// Those that have ended, by [`TunnelEnd`].
    pub tunnels_ended: [u64; TUNNEL_ENDS],
    /// Bytes that went through them, by [`Direction`].
    pub tunnel_bytes: [u64; DIRECTIONS],
    /// Finished requests of each site, by its name.
    pub sites: Vec<(Arc<str>, OfSite)>,
}

/// Finished requests of one site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfSite {
    /// By [`Outcome`].
    pub outcomes: [u64; OUTCOMES],
    /// By place in [`STATUS_CLASSES`].
    pub classes: [u64; CLASSES],
}

/// A histogram of durations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// How many fell into each bucket, not cumulative; the last takes what exceeds every bound.
    pub buckets: [u64; BUCKETS],
    /// The sum of all, in nanoseconds.
    pub sum_ns: u64,
}

/// One thread's counters, on cache lines of their own. 128 bytes: lines are fetched in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    requests: [[AtomicU64; CLASSES]; OUTCOMES],
    buckets: [AtomicU64; BUCKETS],
    duration_ns: AtomicU64,
    response_bytes: AtomicU64,
    aborted: AtomicU64,
    bad_requests: AtomicU64,
    connections_accepted: AtomicU64,
    connections_refused: AtomicU64,
    refreshes: [AtomicU64; REFRESHES],
    tunnels_opened: AtomicU64,
    tunnels_ended: [AtomicU64; TUNNEL_ENDS],
    tunnel_bytes: [AtomicU64; DIRECTIONS],
    sites: SiteCells,
}

/// One thread's counters of each site.
#[derive(Debug)]
struct SiteCells(Box<[SiteCell]>);

#[derive(Debug, Default)]
struct SiteCell {
    outcomes: [AtomicU64; OUTCOMES],
    classes: [AtomicU64; CLASSES],
}

// === impl Metrics ===

impl Metrics {
    /// Counters at zero, sharded for the number of threads this machine runs at once.
    #[must_use]
    pub fn new() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let shards = threads.min(SHARDS_MAX).next_power_of_two();
        Self {
            shards: (0..shards).map(|_| Shard::default()).collect(),
            sites: Names::new(),
        }
    }

    /// Counts a finished request. Takes no lock and allocates nothing.
    pub fn observe(&self, record: &Record) {
        let shard = self.shard();
        // What became a tunnel has no response that ends: its head is all that there is of one.
        let duration = match record.tunnel {
            None => record.duration,
            Some(_) => record.first_byte.unwrap_or_default(),
        };
        let duration_ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let (outcome, class) = (record.outcome as usize, status_class(record.status));
        add(&shard.requests[outcome][class], 1);
        if let Some(site) = shard.sites.0.get(record.site.index()) {
            add(&site.outcomes[outcome], 1);
            add(&site.classes[class], 1);
        }
        add(&shard.buckets[bucket(duration_ns)], 1);
        add(&shard.duration_ns, duration_ns);
        if record.tunnel.is_none() {
            add(&shard.response_bytes, record.body_bytes);
        }
        if !record.complete && record.tunnel.is_none() {
            add(&shard.aborted, 1);
        }
    }

    /// The number by which requests of the site of this name are counted.
    pub fn site(&self, name: &str) -> SiteId {
        self.sites.number(name)
    }

    /// Counts a request that was refused before it could have a record.
    pub fn bad_request(&self) {
        add(&self.shard().bad_requests, 1);
    }

    /// Counts an accepted client connection.
    pub fn connection_accepted(&self) {
        add(&self.shard().connections_accepted, 1);
    }

    /// Counts a client connection that was closed at once, for its client has too many.
    pub fn connection_refused(&self) {
        add(&self.shard().connections_refused, 1);
    }

    /// Counts a background refresh of a stale object.
    pub fn refreshed(&self, end: Refreshed) {
        add(&self.shard().refreshes[end as usize], 1);
    }

    /// Counts a connection that a TCP listener accepted.
    pub fn tunnel_opened(&self) {
        add(&self.shard().tunnels_opened, 1);
    }

    /// Counts its end.
    pub fn tunnel_ended(&self, end: TunnelEnd) {
        add(&self.shard().tunnels_ended[end as usize], 1);
    }

    /// Counts bytes that went through it, as they go.
    pub fn tunnel_carried(&self, direction: Direction, bytes: usize) {
        add(&self.shard().tunnel_bytes[direction as usize], bytes as u64);
    }

    /// The sums of all shards.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut sums = Snapshot {
            sites: self
                .sites
                .all()
                .into_iter()
                .map(|name| (name, OfSite::default()))
                .collect(),
            ..Snapshot::default()
        };
        for shard in &self.shards {
            shard.add_to(&mut sums);
        }
        sums
    }

    fn shard(&self) -> &Shard {
        // The mask keeps the index inside: the number of shards is a power of two.
        &self.shards[seat() & (self.shards.len() - 1)]
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// All finished requests.
    #[must_use]
    pub fn requests_total(&self) -> u64 {
        self.requests.iter().flatten().sum()
    }

    /// Finished requests that were served in this way, whatever their status.
    #[must_use]
    pub fn requests_of(&self, outcome: Outcome) -> u64 {
        self.requests[outcome as usize].iter().sum()
    }

    /// Finished requests by place in [`STATUS_CLASSES`], however they were served.
    #[must_use]
    pub fn by_class(&self) -> [u64; CLASSES] {
        std::array::from_fn(|class| self.requests.iter().map(|it| it[class]).sum())
    }

    /// Connections of TCP listeners that are open.
    #[must_use]
    pub fn tunnels_open(&self) -> u64 {
        // One that ends while the shards are summed may have been missed at its beginning.
        let ended = self.tunnels_ended.iter().sum();
        self.tunnels_opened.saturating_sub(ended)
    }
}

// === impl Durations ===

impl Durations {
    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Each bucket's upper bound in seconds, the last one's infinite, and how many fell into it.
    #[must_use]
    pub fn by_bound(&self) -> Vec<(f64, u64)> {
        // Exact for the bounds: both numbers are, and division rounds to the nearest.
        let bounds = BOUNDS_NS.into_iter().map(|ns| ns as f64 / 1e9);
        bounds.chain([f64::INFINITY]).zip(self.buckets).collect()
    }

    /// The sum of all durations.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns)
    }
}

// === impl Shard ===

impl Shard {
    fn add_to(&self, sums: &mut Snapshot) {
        let cells = self.requests.iter().flatten();
        for (sum, cell) in sums.requests.iter_mut().flatten().zip(cells) {
            take(sum, cell);
        }
        for (sum, cell) in sums.durations.buckets.iter_mut().zip(&self.buckets) {
            take(sum, cell);
        }
        take(&mut sums.durations.sum_ns, &self.duration_ns);
        take(&mut sums.response_bytes, &self.response_bytes);
        take(&mut sums.aborted, &self.aborted);
        take(&mut sums.bad_requests, &self.bad_requests);
        take(&mut sums.connections_accepted, &self.connections_accepted);
        take(&mut sums.connections_refused, &self.connections_refused);
        take(&mut sums.tunnels_opened, &self.tunnels_opened);
        for (sum, cell) in sums.tunnels_ended.iter_mut().zip(&self.tunnels_ended) {
            take(sum, cell);
        }
        for (sum, cell) in sums.tunnel_bytes.iter_mut().zip(&self.tunnel_bytes) {
            take(sum, cell);
        }
        for (sum, cell) in sums.refreshes.iter_mut().zip(&self.refreshes) {
            take(sum, cell);
        }
        for ((_, sum), cell) in sums.sites.iter_mut().zip(&self.sites.0) {
            let sums = sum.outcomes.iter_mut().chain(&mut sum.classes);
            let cells = cell.outcomes.iter().chain(&cell.classes);
            sums.zip(cells).for_each(|(sum, cell)| take(sum, cell));
        }
    }
}

// === impl SiteCells ===

impl Default for SiteCells {
    fn default() -> Self {
        Self((0..SITES_MAX).map(|_| SiteCell::default()).collect())
    }
}

/// Relaxed is enough: counters order nothing, and a sum is allowed to be a moment old.
fn add(cell: &AtomicU64, by: u64) {
    cell.fetch_add(by, Relaxed);
}

/// Wraps as the cells do; Prometheus reads a fall as a restart.
fn take(sum: &mut u64, cell: &AtomicU64) {
    *sum = sum.wrapping_add(cell.load(Relaxed));
}

/// The place of this thread among the shards: threads are numbered as they first count something.
pub(super) fn seat() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static SEAT: usize = NEXT.fetch_add(1, Relaxed));
    SEAT.with(|seat| *seat)
}

/// "The first digit of the status code defines the class of response" (RFC 9110 §15).
fn status_class(status: u16) -> usize {
    match status / 100 {
        class @ 1..=5 => usize::from(class),
        _ => 0,
    }
}

/// The first bucket whose bound is not below the duration: Prometheus bounds are inclusive (`le`).
fn bucket(duration_ns: u64) -> usize {
    BOUNDS_NS.partition_point(|&bound| bound < duration_ns)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::SystemTime;

    use super::*;

    fn record(outcome: Outcome, status: u16, duration: Duration) -> Record {
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Record {
            outcome,
            status,
            duration,
            complete: true,
            ..Record::new(client, SystemTime::UNIX_EPOCH)
        }
    }

    #[test]
    fn bounds_ascend() {
        assert!(BOUNDS_NS.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn durations_fall_into_the_bucket_whose_bound_holds_them() {
        for (duration_ns, expected) in [
            (0, 0),
            (100_000, 0),
            (100_001, 1),
            (1_000_000, 3),
            (30_000_000_000, 16),
            (30_000_000_001, 17),
            (u64::MAX, 17),
        ] {
            assert_eq!(bucket(duration_ns), expected, "{duration_ns} ns");
        }
    }

    #[test]
    fn statuses_have_a_class() {
        for (status, expected) in [
            (0, "other"),
            (99, "other"),
            (101, "1xx"),
            (200, "2xx"),
            (304, "3xx"),
            (499, "4xx"),
            (599, "5xx"),
            (600, "other"),
            (u16::MAX, "other"),
        ] {
            assert_eq!(
                STATUS_CLASSES[status_class(status)],
                expected,
                "RFC 9110 §15: {status}"
            );
        }
    }

    #[test]
    fn a_record_is_counted_once_everywhere() {
        let metrics = Metrics::new();
        metrics.observe(&Record {
            body_bytes: 1234,
            complete: false,
            ..record(Outcome::Stale, 200, Duration::from_millis(3))
        });
        metrics.bad_request();
        metrics.connection_accepted();
        metrics.connection_refused();

        let mut expected = Snapshot {
            response_bytes: 1234,
            aborted: 1,
            bad_requests: 1,
            connections_accepted: 1,
            connections_refused: 1,
            ..Snapshot::default()
        };
        let mut of_none = OfSite::default();
        (of_none.outcomes[4], of_none.classes[2]) = (1, 1);
        let name = Arc::from;
        expected.sites = vec![(name("none"), of_none), (name("other"), OfSite::default())];
        expected.requests[4][2] = 1;
        expected.durations.buckets[5] = 1;
        expected.durations.sum_ns = 3_000_000;
        assert_eq!(metrics.snapshot(), expected);
    }

    #[test]
    fn the_longest_duration_does_no_harm() {
        let metrics = Metrics::new();
        metrics.observe(&record(Outcome::Pass, 200, Duration::MAX));
        metrics.observe(&record(Outcome::Pass, 200, Duration::MAX));
        assert_eq!(metrics.snapshot().durations.count(), 2);
    }

    #[test]
    fn concurrent_counts_add_up() {
        const THREADS: u64 = 8;
        const EACH: u64 = 10_000;
        let metrics = Metrics::new();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for n in 0..EACH {
                        let outcome = Outcome::ALL[(n % 2) as usize];
                        metrics.observe(&Record {
                            body_bytes: 7,
                            ..record(outcome, 200, Duration::from_micros(10))
                        });
                    }
                });
            }
        });
        let sums = metrics.snapshot();
        assert_eq!(sums.requests_total(), THREADS * EACH);
        assert_eq!(sums.requests_of(Outcome::Hit), THREADS * EACH / 2);
        assert_eq!(sums.response_bytes, THREADS * EACH * 7);
        assert_eq!(sums.durations.count(), THREADS * EACH);
        assert_eq!(
            sums.durations.sum(),
            Duration::from_micros(10 * THREADS * EACH)
        );
    }
}
