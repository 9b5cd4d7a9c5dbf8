//! Counters and logs of requests. Floors fill a [`Record`] along a request's way, and here, when the
//! response's body has ended, it becomes counters and a log line. This is the one place that counts
//! requests; it asks no other floor for anything, and it reads no clock.

mod access_log;
mod acme;
mod clients;
mod exposed;
mod exposition;
mod http2;
mod line;
mod losses;
mod metrics;
mod recent;
mod record;
mod rules;
mod sites;
mod tls;
mod trace;
mod tunnel;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fmt, io};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use crate::config::Log;

pub use access_log::AccessLog;
pub use acme::{Acme, AcmeStatus};
pub use clients::{Ending, Endings};
pub use exposed::Exposed;
pub use exposition::{Family, Kind, Sample, Spread};
pub use http2::{Http2, Http2Cut};
use losses::Losses;
pub use metrics::{Durations, Metrics, STATUS_CLASSES, Snapshot};
use recent::Recent;
pub use recent::Seen;
pub use record::{Asked, Fetched, Outcome, Record, Refreshed, TlsFacts};
pub use rules::{RuleTally, Rules};
pub use sites::SiteId;
pub use tls::{BadFile, Certificates, HandshakeFailure, ServedCertificate, Tls};
pub use trace::{end, follow, init};
pub use tunnel::{Carried, Direction, TunnelEnd};

/// Counters and access log of one process. It outlives every reload, so that counters only grow.
#[derive(Debug)]
pub struct Telemetry {
    /// Counters; those of requests are fed by [`Telemetry::finish`] alone.
    pub metrics: Metrics,
    /// Figures of handshakes and certificates.
    pub tls: Tls,
    /// Figures of orders at CAs.
    pub acme: Acme,
    /// Counters of rules.
    pub rules: Rules,
    /// Figures of HTTP/2 towards clients.
    pub http2: Http2,
    /// Client connections that were ended, and for what.
    pub endings: Endings,
    access_log: ArcSwapOption<AccessLog>,
    /// Whether there is one: all that requests ask while there is none.
    wants_lines: AtomicBool,
    recent: Recent,
    /// Lines lost by the access logs before this one. Held while one follows the other.
    lost_before: Mutex<u64>,
    lost_lines: Losses,
    lost_events: Losses,
}

// === impl Telemetry ===

impl Telemetry {
    /// Counters at zero, and the access log that the configuration asks for.
    ///
    /// # Errors
    /// When the access log's file cannot be opened for appending.
    pub fn open(log: &Log) -> io::Result<Self> {
        let access_log = AccessLog::open(log)?;
        Ok(Self {
            metrics: Metrics::new(),
            tls: Tls::default(),
            acme: Acme::default(),
            rules: Rules::default(),
            http2: Http2::default(),
            endings: Endings::default(),
            wants_lines: AtomicBool::new(access_log.is_some()),
            recent: Recent::default(),
            access_log: ArcSwapOption::new(access_log.map(Arc::new)),
            lost_before: Mutex::new(0),
            lost_lines: Losses::default(),
            lost_events: Losses::default(),
        })
    }

    /// Has another access log follow, or none. Waits until what was handed to the one before is
    /// written, for a second at most: not on a thread that serves.
    pub fn follow_with(&self, access_log: Option<AccessLog>) {
        let before = {
            let mut lost = self.lost_before.lock();
            self.wants_lines
                .store(access_log.is_some(), Ordering::Relaxed);
            let before = self.access_log.swap(access_log.map(Arc::new));
            *lost += before.as_ref().map_or(0, |it| it.dropped());
            before
        };
        if let Some(before) = before {
            access_log::end(before);
        }
    }

    /// Counts and logs a request. Called once for each, when its response's body has ended or was
    /// broken off.
    pub fn finish(&self, record: &Record) {
        self.metrics.observe(record);
        self.log(record);
        if self.recent.is_wanted() {
            self.recent.take(record);
        }
    }

    /// Counts and logs a request whose head could not be read. It is none of those that are counted by
    /// outcome, for it never was a request.
    pub fn refused(&self, record: &Record) {
        self.metrics.bad_request();
        self.log(record);
    }

    fn log(&self, record: &Record) {
        if self.wants_lines()
            && let Some(log) = &*self.access_log.load()
        {
            log.log(record);
        }
    }

    fn wants_lines(&self) -> bool {
        self.wants_lines.load(Ordering::Relaxed)
    }

    /// Whether there is an access log or a watcher: whether [`Record::asked`] is worth filling.
    #[must_use]
    pub fn wants_asked(&self) -> bool {
        self.wants_lines() || self.recent.is_wanted()
    }

    /// A sample of the requests that have finished since the last look, those after the one of this
    /// number, oldest first. Each look has the next few hundred taken.
    pub fn recent(&self, after: u64) -> Vec<Arc<Seen>> {
        self.recent.look(after)
    }

    /// Has the access log's file opened again before the next line, after a rotation.
    pub fn reopen(&self) {
        if let Some(log) = &*self.access_log.load() {
            log.reopen();
        }
    }

    /// Access-log lines lost so far.
    #[must_use]
    pub fn lines_dropped(&self) -> u64 {
        let lost = self.lost_before.lock();
        let access_log = self.access_log.load();
        *lost + access_log.as_ref().map_or(0, |it| it.dropped())
    }

    /// Says how many lines of the logs were lost, once a minute at most; to be called now and then, with
    /// the time since the process's start.
    pub fn tell_losses(&self, uptime: Duration) {
        if let Some(lines) = self.lost_lines.news(self.lines_dropped(), uptime) {
            tracing::warn!(lines, "lines of the access log were lost");
        }
        if let Some(events) = self.lost_events.news(trace::lost(), uptime) {
            tracing::warn!(
                events,
                "events were lost: standard error takes them too slowly"
            );
        }
    }

    /// A whole scrape: the counters kept here, then the families handed in by whoever asked the other
    /// floors.
    ///
    /// # Errors
    /// As [`Metrics::encode`].
    pub fn encode(
        &self,
        mut handed_in: Vec<Family>,
        format: Exposed,
    ) -> Result<String, fmt::Error> {
        let dropped = Family::counter("copal_access_log_dropped", "Access-log lines lost.");
        handed_in.push(dropped.value(self.lines_dropped() as f64));
        let lost = Family::counter(
            "copal_events_dropped",
            "Events lost on the way to standard error.",
        );
        handed_in.push(lost.value(trace::lost() as f64));
        handed_in.push(self.endings.family());
        let mut encoded = String::with_capacity(16 * 1024);
        self.metrics.encode(handed_in, &mut encoded)?;
        Ok(format.written(encoded))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::IpAddr;
    use std::time::SystemTime;

    use super::*;
    use crate::config::{Access, Format, Level};

    fn log(access: Access) -> Log {
        Log {
            level: Level::Info,
            access,
            format: Format::Common,
        }
    }

    fn record() -> Record {
        Record::new(IpAddr::from([192, 0, 2, 1]), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn a_finished_request_is_counted_and_logged_once() {
        let path = std::env::temp_dir().join(format!("copal-finish-{}.log", std::process::id()));
        let telemetry = Telemetry::open(&log(Access::File(path.clone()))).unwrap();
        assert!(telemetry.wants_lines());
        telemetry.finish(&record());
        assert_eq!(telemetry.metrics.snapshot().requests_of(Outcome::Error), 1);
        drop(telemetry);
        let lines = fs::read_to_string(&path).unwrap();
        fs::remove_file(path).unwrap();
        assert_eq!(lines.lines().count(), 1);
    }

    #[test]
    fn one_access_log_follows_another() {
        let name = |it: &str| format!("copal-follow-{it}-{}.log", std::process::id());
        let paths = ["one", "other"].map(|it| std::env::temp_dir().join(name(it)));
        let [one, other] = paths.clone().map(|path| log(Access::File(path)));
        let telemetry = Telemetry::open(&one).unwrap();
        telemetry.finish(&record());
        telemetry.follow_with(AccessLog::open(&other).unwrap());
        telemetry.finish(&record());
        telemetry.follow_with(None);
        assert!(!telemetry.wants_lines());
        telemetry.finish(&record());
        for path in paths {
            let lines = fs::read_to_string(&path).unwrap();
            fs::remove_file(path).unwrap();
            assert_eq!(lines.lines().count(), 1);
        }
    }

    #[test]
    fn without_an_access_log_requests_are_still_counted() {
        let telemetry = Telemetry::open(&log(Access::Off)).unwrap();
        assert!(!telemetry.wants_lines());
        telemetry.finish(&record());
        telemetry.reopen();
        let scrape = telemetry.encode(Vec::new(), Exposed::Prometheus).unwrap();
        for line in [
            r#"copal_requests_total{outcome="error",status="other"} 1"#,
            "copal_access_log_dropped_total 0.0",
        ] {
            assert!(scrape.lines().any(|it| it == line), "{line} in\n{scrape}");
        }
    }
}
