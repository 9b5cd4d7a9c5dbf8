//! Figures of one server, for metrics and status.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::balance::Candidate;
use super::error::{Kind, Why};
use super::health::Report;
use super::peer::Peer;
use super::server::{Advice, Ailment, Durations, State, Verdict};

/// A server's figures at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerStats {
    /// `host:port`, or `unix:/path`.
    pub authority: Arc<str>,
    /// The name that it was found by; none for one that is written as it is.
    pub found_by: Option<Arc<str>>,
    /// Its addresses by the last lookup, where it is a name.
    pub addresses: Vec<IpAddr>,
    /// Requests sent, repeated ones included.
    pub requests: u64,
    /// Connections opened.
    pub connects: u64,
    /// Requests that went over a pooled connection.
    pub reused: u64,
    /// Connections open or being opened.
    pub open: usize,
    /// Connections waiting in the pool.
    pub idle: usize,
    /// Requests in flight.
    pub active: u32,
    /// How many may be at once, where that is limited beside its connections.
    pub requests_max: Option<u32>,
    /// The mean time to the head of an answer, quick to rise; zero while unknown.
    pub latency: Duration,
    /// What its operator wants of it.
    pub state: State,
    /// What its agent has said that holds at this moment; `None` where that is nothing.
    pub agent: Option<String>,
    /// How it stands, with the reason.
    pub verdict: Verdict,
    /// What it does to its clients, if it fails one after the other.
    pub ailment: Option<Ailment>,
    /// How long it took to the heads of its answers.
    pub answers: Durations,
    /// How many connections there may be.
    pub connections_max: usize,
    /// Its share among its siblings as configured, or as set at run time.
    pub weight: u32,
    /// The hundredfold of the weight that requests are shared out by at this moment.
    pub effective_weight: u32,
    /// How often it was ejected.
    pub ejected: u64,
    /// Requests that were sent to another server as well, because this one was slow.
    pub hedged: u64,
    /// Those in which this server was the other one, and answered first.
    pub hedge_won: u64,
    /// How many of its probes have failed.
    pub probe_failures: u64,
    /// Failures by kind.
    pub errors: [(Kind, u64); Kind::ALL.len()],
    /// Requests that were sent again because of it, by reason.
    pub retries: [(Why, u64); Why::ALL.len()],
}

// === impl ServerStats ===

impl ServerStats {
    /// Whether it may be asked, and answers.
    pub fn is_up(&self) -> bool {
        self.verdict.is_usable() && self.ailment.is_none()
    }

    /// How it stands, in words. What its clients meet goes before a slow start: it is asked, in vain.
    pub fn standing(&self) -> String {
        match self.ailment {
            Some(ailment) if self.verdict.is_usable() => format!("sick: {ailment}"),
            _ => self.verdict.to_string(),
        }
    }

    /// The share of requests that needed no new connection; `None` before the first.
    pub fn reuse_ratio(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.reused as f64 / self.requests as f64)
    }

    /// The figures of one server, as it is reported to stand.
    pub(super) fn of(peer: &Peer, candidate: &Candidate, report: Report) -> Self {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (vitals, counters) = (&peer.vitals, &peer.vitals.counters);
        let advice = vitals.standing.lock().advice();
        Self {
            authority: Arc::clone(&vitals.authority),
            found_by: peer.dial.found_by().cloned(),
            addresses: peer.dial.addresses(),
            requests: get(&counters.requests),
            connects: get(&counters.connects),
            reused: get(&counters.reused),
            open: peer.opened(),
            idle: peer.idle(),
            active: vitals.load.active(),
            requests_max: peer.gate.limit(),
            latency: vitals.load.latency(),
            state: report.state,
            agent: (advice != Advice::default()).then(|| advice.to_string()),
            verdict: report.verdict,
            ailment: vitals.health.ailment(),
            answers: vitals.answers.durations(),
            connections_max: peer.connections_max(),
            weight: report.weight,
            effective_weight: candidate.effective_weight(),
            ejected: vitals.conduct.ejected(),
            hedged: vitals.races.hedged(),
            hedge_won: vitals.races.won(),
            probe_failures: vitals.conduct.probe_failures(),
            errors: counters.errors(),
            retries: counters.retries(),
        }
    }
}
