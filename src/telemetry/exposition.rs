//! Text of all counters for Prometheus or OpenMetrics, made anew at every scrape. The one door to prometheus-client,
//! whose own counters are too slow to be shared by the cores of a busy proxy.
//!
//! Values that other floors keep (objects, connections, servers) are handed in as [`Family`]
//! values by whoever answers the scrape; telemetry asks nobody.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use super::metrics::{Durations, Metrics, STATUS_CLASSES, Snapshot};
use super::record::{Outcome, Refreshed};
use super::tunnel::{Direction, TunnelEnd};

/// Counters carry no exemplar; the encoder wants the type of one all the same.
const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, f64>> = None;

/// Samples of one name, handed in at scrape time.
#[derive(Clone, Debug)]
pub struct Family {
    /// Full name, beginning with `copal_`. A counter is shown as `…_total` with or without that
    /// ending here. Each name may be handed in once per scrape.
    pub name: &'static str,
    /// One sentence for the reader of a dashboard, on one line.
    pub help: &'static str,
    /// Whether the value only ever grows.
    pub kind: Kind,
    /// One sample per set of labels.
    pub samples: Vec<Sample>,
    /// One distribution per set of labels, of a histogram.
    pub spreads: Vec<Spread>,
}

/// Whether a value only ever grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows, and starts at zero with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of durations or sizes, by how large they were.
    Histogram,
}

/// One value with the labels that tell it from its siblings.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Names and values; values are escaped when written.
    pub labels: Vec<(&'static str, String)>,
    /// The value, in the base unit (bytes, seconds) that the family's name ends in.
    pub value: f64,
}

/// One distribution with the labels that tell it from its siblings.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// As those of a [`Sample`].
    pub labels: Vec<(&'static str, String)>,
    /// Upper bounds, ascending and ending with infinity, and how many are between each and the last.
    pub buckets: Vec<(f64, u64)>,
    /// The sum of all values.
    pub sum: f64,
}

/// Everything one scrape shows.
#[derive(Debug)]
struct Exposition {
    sums: Snapshot,
    handed_in: Vec<Family>,
}

// === impl Metrics ===

impl Metrics {
    /// Appends all counters and the families handed in to `out`, as OpenMetrics: ending with `# EOF`.
    ///
    /// # Errors
    /// When prometheus-client refuses a value; writing into a `String` itself does not fail.
    pub fn encode(&self, handed_in: Vec<Family>, out: &mut String) -> fmt::Result {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Exposition {
            sums: self.snapshot(),
            handed_in,
        }));
        text::encode(out, &registry)
    }
}

// === impl Family ===

impl Family {
    /// A counter without samples yet.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind: Kind::Counter,
            samples: Vec::new(),
            spreads: Vec::new(),
        }
    }

    /// A gauge without samples yet.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind: Kind::Gauge,
            samples: Vec::new(),
            spreads: Vec::new(),
        }
    }

    /// A histogram without distributions yet.
    #[must_use]
    pub const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind: Kind::Histogram,
            samples: Vec::new(),
            spreads: Vec::new(),
        }
    }

    /// The same family with one value that needs no labels.
    #[must_use]
    pub fn value(self, value: f64) -> Self {
        self.labelled(Vec::new(), value)
    }

    /// The same family with one value more.
    #[must_use]
    pub fn labelled(mut self, labels: Vec<(&'static str, String)>, value: f64) -> Self {
        self.samples.push(Sample { labels, value });
        self
    }

    /// The same histogram with one distribution more.
    #[must_use]
    pub fn spread(
        mut self,
        labels: Vec<(&'static str, String)>,
        buckets: &[(f64, u64)],
        sum: f64,
    ) -> Self {
        self.spreads.push(Spread {
            labels,
            buckets: buckets.to_vec(),
            sum,
        });
        self
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let name = self.base_name();
        let mut family = encoder.encode_descriptor(name, self.help, None, self.kind.into())?;
        for sample in &self.samples {
            if sample.labels.is_empty() {
                self.kind.encode(&mut family, sample.value)?;
            } else {
                self.kind
                    .encode(&mut family.encode_family(&sample.labels)?, sample.value)?;
            }
        }
        for spread in &self.spreads {
            let count = spread.buckets.iter().map(|(_, count)| count).sum();
            family
                .encode_family(&spread.labels)?
                .encode_histogram::<NoLabelSet>(spread.sum, count, &spread.buckets, None)?;
        }
        Ok(())
    }

    /// OpenMetrics names a counter's family without the `_total` of its samples; the encoder adds
    /// it, whether it is there already or not.
    fn base_name(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        }
    }
}

// === impl Kind ===

impl Kind {
    fn encode(self, encoder: &mut MetricEncoder<'_>, value: f64) -> fmt::Result {
        match self {
            Self::Counter => encoder.encode_counter(&value, NO_EXEMPLAR),
            // A histogram has no samples of its own.
            Self::Gauge | Self::Histogram => encoder.encode_gauge(&value),
        }
    }
}

impl From<Kind> for MetricType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter,
            Kind::Gauge => Self::Gauge,
            Kind::Histogram => Self::Histogram,
        }
    }
}

// === impl Exposition ===

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let sums = &self.sums;
        requests(sums, &mut encoder)?;
        of_sites(sums, &mut encoder)?;
        refreshes(sums, &mut encoder)?;
        durations(&sums.durations, &mut encoder)?;
        for (name, help, sum) in [
            (
                "copal_response_bytes",
                "Bytes of response content sent.",
                sums.response_bytes,
            ),
            (
                "copal_aborted",
                "Responses that did not reach their end.",
                sums.aborted,
            ),
            (
                "copal_bad_requests",
                "Requests refused before routing.",
                sums.bad_requests,
            ),
            (
                "copal_connections_accepted",
                "Client connections accepted.",
                sums.connections_accepted,
            ),
            (
                "copal_connections_refused",
                "Client connections closed at once, for their client has too many.",
                sums.connections_refused,
            ),
        ] {
            encoder
                .encode_descriptor(name, help, None, MetricType::Counter)?
                .encode_counter(&sum, NO_EXEMPLAR)?;
        }
        tunnels(sums, &mut encoder)?;
        self.handed_in
            .iter()
            .try_for_each(|family| family.encode(&mut encoder))
    }
}

/// All combinations are shown, also at zero, so that `rate()` sees the first of each.
fn requests(sums: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Finished requests by how they were served and by status class.";
    let mut family =
        encoder.encode_descriptor("copal_requests", help, None, MetricType::Counter)?;
    for (outcome, classes) in Outcome::ALL.into_iter().zip(&sums.requests) {
        for (class, count) in STATUS_CLASSES.into_iter().zip(classes) {
            let labels = [("outcome", outcome.as_str()), ("status", class)];
            family
                .encode_family(&labels)?
                .encode_counter(count, NO_EXEMPLAR)?;
        }
    }
    Ok(())
}

/// The same by site, in two families: their product would be three times as many series.
fn of_sites(sums: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Finished requests of a site by how they were served.";
    let mut family =
        encoder.encode_descriptor("copal_site_requests", help, None, MetricType::Counter)?;
    for (site, counts) in &sums.sites {
        for (outcome, count) in Outcome::ALL.into_iter().zip(&counts.outcomes) {
            family
                .encode_family(&[("site", &**site), ("outcome", outcome.as_str())])?
                .encode_counter(count, NO_EXEMPLAR)?;
        }
    }
    let help = "Finished requests of a site by status class.";
    let mut family =
        encoder.encode_descriptor("copal_site_responses", help, None, MetricType::Counter)?;
    for (site, counts) in &sums.sites {
        for (class, count) in STATUS_CLASSES.into_iter().zip(&counts.classes) {
            family
                .encode_family(&[("site", &**site), ("status", class)])?
                .encode_counter(count, NO_EXEMPLAR)?;
        }
    }
    Ok(())
}

fn refreshes(sums: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Background refreshes of stale objects by how they ended.";
    let mut family =
        encoder.encode_descriptor("copal_refreshes", help, None, MetricType::Counter)?;
    for (end, count) in Refreshed::ALL.into_iter().zip(&sums.refreshes) {
        family
            .encode_family(&[("result", end.as_str())])?
            .encode_counter(count, NO_EXEMPLAR)?;
    }
    Ok(())
}

fn tunnels(sums: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    // The counter's family is `copal_tcp_connections`, so the gauge needs a name of its own.
    let help = "Connections accepted by TCP listeners.";
    encoder
        .encode_descriptor("copal_tcp_connections", help, None, MetricType::Counter)?
        .encode_counter(&sums.tunnels_opened, NO_EXEMPLAR)?;
    let help = "Connections of TCP listeners that are open.";
    encoder
        .encode_descriptor("copal_tcp_connections_open", help, None, MetricType::Gauge)?
        .encode_gauge(&(sums.tunnels_open() as f64))?;
    let help = "Bytes carried by TCP listeners, in from clients and out to them.";
    let mut family =
        encoder.encode_descriptor("copal_tcp_bytes", help, None, MetricType::Counter)?;
    for (direction, count) in Direction::ALL.into_iter().zip(&sums.tunnel_bytes) {
        family
            .encode_family(&[("direction", direction.as_str())])?
            .encode_counter(count, NO_EXEMPLAR)?;
    }
    let help = "Connections of TCP listeners that did not end as both sides wanted.";
    let mut family =
        encoder.encode_descriptor("copal_tcp_errors", help, None, MetricType::Counter)?;
    for end in TunnelEnd::ERRORS_OF_TCP {
        family
            .encode_family(&[("reason", end.as_str())])?
            .encode_counter(&sums.tunnels_ended[end as usize], NO_EXEMPLAR)?;
    }
    Ok(())
}

fn durations(durations: &Durations, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let name = "copal_request_duration_seconds";
    let help = "Time from a request's head to the end of its response.";
    let (sum, count) = (durations.sum().as_secs_f64(), durations.count());
    encoder
        .encode_descriptor(name, help, None, MetricType::Histogram)?
        .encode_histogram::<NoLabelSet>(sum, count, &durations.by_bound(), None)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, SystemTime};

    use super::super::exposed::Exposed;
    use super::super::record::Record;
    use super::*;

    fn encode(metrics: &Metrics, handed_in: Vec<Family>) -> String {
        let mut out = String::new();
        metrics.encode(handed_in, &mut out).unwrap();
        out
    }

    fn observe(metrics: &Metrics, outcome: Outcome, status: u16, duration: Duration) {
        metrics.observe(&Record {
            outcome,
            status,
            duration,
            body_bytes: 10,
            complete: true,
            ..Record::new(IpAddr::V4(Ipv4Addr::LOCALHOST), SystemTime::UNIX_EPOCH)
        });
    }

    /// Reads the text as a scraper does: every sample under the type announced just above it.
    fn read_back(text: &str) -> BTreeMap<&str, f64> {
        let mut samples = BTreeMap::new();
        let mut families = BTreeSet::new();
        let mut family = ("", "");
        let body = text.strip_suffix("# EOF\n").expect("ends with # EOF");
        for line in body.lines() {
            if let Some(type_line) = line.strip_prefix("# TYPE ") {
                family = type_line.split_once(' ').unwrap();
                assert!(families.insert(family.0), "announced twice: {line}");
            } else if !line.starts_with("# HELP ") {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let name = series.split('{').next().unwrap();
                let suffix = name.strip_prefix(family.0).expect(line);
                assert!(
                    suffixes(family.1).contains(&suffix),
                    "{line} in a {}",
                    family.1
                );
                assert!(
                    samples.insert(series, value.parse().unwrap()).is_none(),
                    "twice: {line}"
                );
            }
        }
        samples
    }

    fn suffixes(kind: &str) -> &'static [&'static str] {
        match kind {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_sum", "_count", "_bucket"],
            other => panic!("unexpected type {other}"),
        }
    }

    #[test]
    fn text_reads_back() {
        let metrics = Metrics::new();
        observe(&metrics, Outcome::Hit, 200, Duration::from_micros(100));
        observe(&metrics, Outcome::Hit, 200, Duration::from_micros(300));
        observe(&metrics, Outcome::Error, 502, Duration::from_secs(60));
        metrics.connection_accepted();
        metrics.tunnel_opened();
        metrics.tunnel_opened();
        metrics.tunnel_ended(TunnelEnd::Idle);
        metrics.tunnel_carried(Direction::Out, 7);
        let text = encode(&metrics, Vec::new());
        let samples = read_back(&text);
        for (series, expected) in [
            (r#"copal_requests_total{outcome="hit",status="2xx"}"#, 2.0),
            (r#"copal_requests_total{outcome="error",status="5xx"}"#, 1.0),
            (r#"copal_requests_total{outcome="miss",status="2xx"}"#, 0.0),
            (r#"copal_request_duration_seconds_bucket{le="0.0001"}"#, 1.0),
            (
                r#"copal_request_duration_seconds_bucket{le="0.00025"}"#,
                1.0,
            ),
            (r#"copal_request_duration_seconds_bucket{le="0.0005"}"#, 2.0),
            (r#"copal_request_duration_seconds_bucket{le="30.0"}"#, 2.0),
            (r#"copal_request_duration_seconds_bucket{le="+Inf"}"#, 3.0),
            ("copal_request_duration_seconds_count", 3.0),
            ("copal_request_duration_seconds_sum", 60.0004),
            ("copal_response_bytes_total", 30.0),
            ("copal_aborted_total", 0.0),
            ("copal_bad_requests_total", 0.0),
            ("copal_connections_accepted_total", 1.0),
            ("copal_connections_refused_total", 0.0),
            ("copal_tcp_connections_total", 2.0),
            ("copal_tcp_connections_open", 1.0),
            (r#"copal_tcp_bytes_total{direction="in"}"#, 0.0),
            (r#"copal_tcp_bytes_total{direction="out"}"#, 7.0),
            (r#"copal_tcp_errors_total{reason="idle"}"#, 1.0),
            (r#"copal_tcp_errors_total{reason="broken"}"#, 0.0),
        ] {
            assert_eq!(samples.get(series), Some(&expected), "{series}");
        }
        assert!(samples.keys().all(|series| series.starts_with("copal_")));
    }

    #[test]
    fn prometheus_names_a_counter_by_its_samples() {
        let metrics = Metrics::new();
        let handed_in = vec![
            Family::counter("copal_evictions_total", "Evictions.").value(4.0),
            Family::gauge("copal_objects", "Objects.").value(3.0),
        ];
        let text = Exposed::Prometheus.written(encode(&metrics, handed_in));
        for line in [
            "# HELP copal_evictions_total Evictions.",
            "# TYPE copal_evictions_total counter",
            "copal_evictions_total 4.0",
            "# TYPE copal_objects gauge",
            "# TYPE copal_request_duration_seconds histogram",
            "# TYPE copal_requests_total counter",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        }
        assert!(!text.contains("EOF"));
    }

    #[test]
    fn histograms_may_have_labels() {
        let family = Family::histogram("copal_wait_seconds", "Waits.").spread(
            vec![("origin", "a".to_owned())],
            &[(0.5, 2), (f64::INFINITY, 1)],
            3.5,
        );
        let text = encode(&Metrics::new(), vec![family]);
        let samples = read_back(&text);
        for (series, expected) in [
            (r#"copal_wait_seconds_bucket{le="0.5",origin="a"}"#, 2.0),
            (r#"copal_wait_seconds_bucket{le="+Inf",origin="a"}"#, 3.0),
            (r#"copal_wait_seconds_count{origin="a"}"#, 3.0),
            (r#"copal_wait_seconds_sum{origin="a"}"#, 3.5),
        ] {
            assert_eq!(samples.get(series), Some(&expected), "{series} in\n{text}");
        }
    }

    #[test]
    fn handed_in_families_stand_among_ours() {
        let server = |name: &str| vec![("origin", name.to_owned()), ("server", "a:80".to_owned())];
        let text = encode(
            &Metrics::new(),
            vec![
                Family::gauge("copal_objects", "Objects stored.").value(3.0),
                Family::counter("copal_evictions_total", "Evictions.").value(4.0),
                Family::counter("copal_origin_requests", "Requests.")
                    .labelled(server("shop"), 5.0)
                    .labelled(server("a\"b\\c\nd"), 6.5),
                Family::gauge("copal_disks", "None yet."),
            ],
        );
        let samples = read_back(&text);
        for (series, expected) in [
            ("copal_objects", 3.0),
            ("copal_evictions_total", 4.0),
            (
                r#"copal_origin_requests_total{origin="shop",server="a:80"}"#,
                5.0,
            ),
            (
                r#"copal_origin_requests_total{origin="a\"b\\c\nd",server="a:80"}"#,
                6.5,
            ),
        ] {
            assert_eq!(samples.get(series), Some(&expected), "{series}");
        }
    }
}
