//! Servers of a pool in force: the roster, what is learnt of those on it, and the weights that
//! follow.
//!
//! Whatever changes either is done under one lock, and the weights are made in the same moment. How
//! one server stands by itself is in `server/`, what weights follow in `weights.rs`; a balancer reads
//! them without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::StatusCode;
use parking_lot::Mutex;
use tracing::{info, warn};

use super::outlier;
use super::weights::{Condition, Judged};
use crate::clock::{self, Instant};
use crate::config;
use crate::origin::error::{Error, is_failure};
use crate::origin::peer::Peer;
use crate::origin::roster::Roster;
use crate::origin::server::{Ailment, Change, State, Terms, Verdict, Vitals};

/// How often success rates are compared.
const WINDOW: Duration = Duration::from_secs(10);

/// A pool's servers, by which rules they are judged, and what is known of them together.
pub(in crate::origin) struct Servers {
    /// The origin's name, for the log.
    pub(super) origin: Arc<str>,
    roster: ArcSwap<Roster>,
    ejection: config::Ejection,
    panic_threshold: f64,
    slow_start: Duration,
    /// No server may be asked by what is known of it.
    is_sick: AtomicBool,
    panics: AtomicBool,
    /// When success rates were compared last. Whoever changes weights holds it, so that two at a
    /// time cannot eject the last two servers.
    judging: Mutex<Instant>,
}

/// How a server stands, and what was set for it.
#[derive(Clone, Copy, Debug)]
pub(in crate::origin) struct Report {
    pub(in crate::origin) verdict: Verdict,
    /// What its operator wants of it.
    pub(in crate::origin) state: State,
    /// As configured, or as its operator has set it.
    pub(in crate::origin) weight: u32,
}

// === impl Servers ===

impl Servers {
    /// Those on `roster`, weighed.
    pub(in crate::origin) fn new(config: &config::Origin, roster: Roster) -> Arc<Self> {
        let servers = Self {
            origin: Arc::clone(&config.name),
            roster: ArcSwap::from_pointee(roster),
            ejection: config.ejection.clone(),
            panic_threshold: config.panic_threshold,
            slow_start: config.slow_start,
            is_sick: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            judging: Mutex::new(clock::instant()),
        };
        servers.learn(|| ());
        Arc::new(servers)
    }

    /// The roster at this moment.
    pub(in crate::origin) fn roster(&self) -> Arc<Roster> {
        self.roster.load_full()
    }

    /// Whether there is no server as yet.
    pub(in crate::origin) fn is_empty(&self) -> bool {
        self.roster.load().peers().is_empty()
    }

    pub(in crate::origin) fn is_sick(&self) -> bool {
        self.is_sick.load(Ordering::Relaxed)
    }

    pub(in crate::origin) fn panics(&self) -> bool {
        self.panics.load(Ordering::Relaxed)
    }

    fn terms(&self) -> Terms {
        Terms {
            base: self.ejection.base,
            max: self.ejection.max,
        }
    }

    /// As many of so many servers as may be ejected: never all, and one of two in any case.
    fn ejected_max(&self, servers: usize) -> usize {
        // A share of a number is no larger than it.
        let share = (self.ejection.share_max * servers as f64) as usize;
        share.max(1).min(servers.saturating_sub(1))
    }

    /// A server has answered.
    pub(in crate::origin) fn note_answer(&self, peer: &Peer, status: StatusCode) {
        self.note(
            peer,
            if is_failure(status) {
                Err(Ailment::Status(status))
            } else {
                Ok(())
            },
        );
    }

    /// A server has given no answer. What is the client's fault, or ours, is not held against it.
    pub(in crate::origin) fn note_failure(&self, peer: &Peer, error: &Error) {
        if error.kind.is_servers_fault() {
            self.note(peer, Err(Ailment::NoAnswer(error.kind)));
        }
    }

    /// A server has done what it was asked for, or not.
    pub(in crate::origin) fn note(&self, peer: &Peer, ended: Result<(), Ailment>) {
        self.diagnose(&peer.vitals, ended);
        let ejection = &self.ejection;
        if !ejection.enabled {
            return;
        }
        let in_a_row = peer.vitals.conduct.note(ended.is_ok());
        if in_a_row >= ejection.consecutive {
            let mut compared = self.judging.lock();
            self.eject(peer, "failures in a row", clock::instant());
            self.reckon(&mut compared, clock::instant());
        }
    }

    /// Time passes; to be called now and then, several times a second.
    pub(in crate::origin) fn tick(&self) {
        let now = clock::instant();
        let mut compared = self.judging.lock();
        for peer in self.roster().peers() {
            peer.vitals.load.tick();
            peer.vitals.tell_untold();
            let changed = peer.vitals.standing.lock().tick(now);
            self.tell(&peer.vitals, changed);
        }
        if now.saturating_duration_since(*compared) >= WINDOW {
            *compared = now;
            self.compare(now);
        }
        self.reckon(&mut compared, now);
    }

    /// Learns something of a server, and makes weights of it in the same moment: nobody is told that
    /// a server is up before it is asked.
    pub(in crate::origin) fn learn<T>(&self, something: impl FnOnce() -> T) -> T {
        let mut compared = self.judging.lock();
        let learnt = something();
        self.reckon(&mut compared, clock::instant());
        learnt
    }

    /// Ejects those that fail clearly more often than the others.
    fn compare(&self, now: Instant) {
        let roster = self.roster();
        let peers = roster.peers();
        let records = peers.iter().map(|peer| peer.vitals.conduct.take());
        let records: Vec<_> = records.collect();
        if self.ejection.enabled && self.ejection.success_rate {
            for peer in outlier::find(&records)
                .into_iter()
                .filter_map(|it| peers.get(it))
            {
                self.eject(peer, "fails more often than the others", now);
            }
        }
    }

    /// Leaves a server alone for a while, unless too many are left alone already, or no other
    /// would be left.
    fn eject(&self, peer: &Peer, why: &str, now: Instant) {
        let is_ejected = |it: &Vitals| it.standing.lock().is_ejected();
        let (roster, vitals) = (self.roster(), &peer.vitals);
        let peers = roster.peers();
        let ejected = peers.iter().filter(|it| is_ejected(&it.vitals)).count();
        let is_left = peers.iter().any(|other| {
            let verdict = || other.vitals.standing.lock().verdict(now, Duration::ZERO);
            !Arc::ptr_eq(&other.vitals, vitals) && verdict().is_usable()
        });
        let is_allowed = ejected < self.ejected_max(peers.len()) && is_left;
        if !is_allowed || is_ejected(vitals) {
            return;
        }
        let lasts = vitals.standing.lock().eject(self.terms(), now);
        vitals.conduct.count_ejection();
        let (origin, server) = (&*self.origin, &*vitals.authority);
        warn!(origin, server, why, ?lasts, "server ejected");
    }

    pub(super) fn tell(&self, vitals: &Vitals, changed: Option<Change>) {
        let (origin, server) = (&*self.origin, &*vitals.authority);
        match changed {
            None => {}
            Some(Change::WentDown(fault)) => warn!(origin, server, %fault, "server down"),
            Some(Change::CameUp) => warn!(origin, server, "server up"),
            Some(Change::Readmitted) => {
                // It begins anew: what it failed before is paid for.
                vitals.conduct.begin_anew();
                vitals.health.begin_anew();
                warn!(origin, server, "server readmitted");
            }
        }
    }

    /// Puts another roster in the place of the one in force, if `with` makes one of it. It is
    /// weighed before anybody sees it. Of those that leave, requests under way on the old roster
    /// ask none again.
    pub(in crate::origin) fn replace(&self, with: impl FnOnce(&Roster) -> Option<Roster>) {
        let mut compared = self.judging.lock();
        let (old, now) = (self.roster(), clock::instant());
        let Some(next) = with(&old) else {
            return self.reckon(&mut compared, now);
        };
        self.weigh(&next, now);
        let next = Arc::new(next);
        // First, so that who finds nobody on the old one finds them here.
        self.roster.store(Arc::clone(&next));
        for (peer, candidate) in old.candidates() {
            if next.find(peer.authority()).is_none() {
                candidate.weigh(0, 0);
                candidate.keep(false);
            }
        }
    }

    /// Makes weights of how the servers stand. The lock is held by who calls.
    fn reckon(&self, _judging: &mut Instant, now: Instant) {
        self.weigh(&self.roster(), now);
    }

    fn weigh(&self, roster: &Roster, now: Instant) {
        let peers = roster.peers().iter();
        let judged: Vec<_> = peers
            .map(|peer| Judged::of(peer, now, self.slow_start))
            .collect();
        let condition = Condition::of(&judged, self.panic_threshold);
        for (it, (_, candidate)) in judged.iter().zip(roster.candidates()) {
            let weights = condition.weights(it);
            candidate.weigh(weights.weight, weights.in_reserve);
            candidate.keep(weights.keeps);
        }
        self.is_sick.store(condition.is_sick, Ordering::Relaxed);
        let panicked = self.panics.swap(condition.panics, Ordering::Relaxed);
        let origin = &*self.origin;
        match (panicked, condition.panics) {
            (false, true) => warn!(origin, "too few servers are usable: health is disregarded"),
            (true, false) => warn!(origin, "enough servers are usable: health counts again"),
            _ => {}
        }
    }

    /// Sets what the operator wants of a server: its state, or that its agent decides again; and a
    /// weight in place of the configured one, or that again. What is not given stays. False if there
    /// is no such server.
    pub(in crate::origin) fn adjust(
        &self,
        server: &str,
        state: Option<Option<State>>,
        weight: Option<Option<u32>>,
    ) -> bool {
        let roster = self.roster();
        let Some(vitals) = roster.find(server).map(|peer| &peer.vitals) else {
            return false;
        };
        self.learn(|| {
            let mut standing = vitals.standing.lock();
            standing.adjust(state, weight, clock::instant());
        });
        let origin = &*self.origin;
        let state = state.map(|it| it.map_or("its agent's", State::as_str));
        let weight =
            weight.map(|it| it.map_or_else(|| "configured".to_owned(), |it| it.to_string()));
        info!(
            origin,
            server, state, weight, "server adjusted by its operator"
        );
        true
    }

    /// How a server stands.
    pub(in crate::origin) fn report(&self, peer: &Peer) -> Report {
        let _judging = self.judging.lock();
        let judged = Judged::of(peer, clock::instant(), self.slow_start);
        Report {
            verdict: judged.verdict,
            state: peer.vitals.standing.lock().state.unwrap_or_default(),
            weight: judged.weight,
        }
    }
}
