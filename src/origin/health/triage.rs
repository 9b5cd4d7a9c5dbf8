//! Who of a pool's servers may be asked, and how much: out of how each of them stands.
//!
//! Ejection, panic and backups are about all servers together, so they are here; how one stands by
//! itself is in `server/`. What comes of it are weights, which a balancer reads without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;
use tracing::{info, warn};

use super::outlier;
use crate::clock::{self, Instant};
use crate::config;
use crate::origin::Pool;
use crate::origin::error::{Error, is_failure};
use crate::origin::peer::Peer;
use crate::origin::roster::Roster;
use crate::origin::server::{Change, State, Terms, Verdict, Vitals};

/// How often success rates are compared.
const WINDOW: Duration = Duration::from_secs(10);

/// The hundredfold of the largest weight there is, which no agent can raise.
const HUNDREDFOLD_MAX: u32 = 25_600;

/// By which rules a pool's servers are judged, and what is known of them together.
#[derive(Debug)]
pub(in crate::origin) struct Triage {
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

/// A server as it is judged.
#[derive(Clone, Copy, Debug)]
struct Judged {
    verdict: Verdict,
    weight: u32,
    /// The share of the weight that its agent gives it, in per cent.
    share: u32,
    backup: bool,
    /// Whether neither probes nor clients speak against it.
    is_well: bool,
}

/// What follows for a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Weighed {
    weight: u32,
    in_reserve: u32,
    /// Whether it takes those who belong to it.
    keeps: bool,
}

/// What is known of all servers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Condition {
    is_sick: bool,
    panics: bool,
    /// Whether a server that is no backup is usable.
    has_first: bool,
}

// === impl Triage ===

impl Triage {
    pub(in crate::origin) fn new(config: &config::Origin) -> Self {
        Self {
            ejection: config.ejection.clone(),
            panic_threshold: config.panic_threshold,
            slow_start: config.slow_start,
            is_sick: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            judging: Mutex::new(clock::instant()),
        }
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
}

// === impl Pool: what is learnt of its servers ===

impl Pool {
    /// A server has answered.
    pub(in crate::origin) fn note_answer(&self, peer: &Peer, status: StatusCode) {
        self.note(peer, !is_failure(status));
    }

    /// A server has given no answer. What is the client's fault, or ours, is not held against it.
    pub(in crate::origin) fn note_failure(&self, peer: &Peer, error: &Error) {
        if error.kind.is_servers_fault() {
            self.note(peer, false);
        }
    }

    /// A server has done what it was asked for, or not.
    pub(in crate::origin) fn note(&self, peer: &Peer, good: bool) {
        let ejection = &self.triage.ejection;
        if !ejection.enabled {
            return;
        }
        let in_a_row = peer.vitals.conduct.note(good);
        if in_a_row >= ejection.consecutive {
            let mut compared = self.triage.judging.lock();
            self.eject(peer, "failures in a row", clock::instant());
            self.reckon(&mut compared, clock::instant());
        }
    }

    /// Time passes; to be called now and then, several times a second.
    pub(in crate::origin) fn tick(&self) {
        let now = clock::instant();
        let mut compared = self.triage.judging.lock();
        for peer in self.roster().peers() {
            peer.vitals.load.tick();
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
        let mut compared = self.triage.judging.lock();
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
        if self.triage.ejection.enabled && self.triage.ejection.success_rate {
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
        let is_allowed = ejected < self.triage.ejected_max(peers.len()) && is_left;
        if !is_allowed || is_ejected(vitals) {
            return;
        }
        let lasts = vitals.standing.lock().eject(self.triage.terms(), now);
        vitals.conduct.count_ejection();
        let (origin, server) = (&*self.name, &*vitals.authority);
        warn!(origin, server, why, ?lasts, "server ejected");
    }

    pub(super) fn tell(&self, vitals: &Vitals, changed: Option<Change>) {
        let (origin, server) = (&*self.name, &*vitals.authority);
        match changed {
            None => {}
            Some(Change::WentDown(fault)) => warn!(origin, server, %fault, "server down"),
            Some(Change::CameUp) => info!(origin, server, "server up"),
            Some(Change::Readmitted) => {
                // It begins anew: what it failed before is paid for.
                vitals.conduct.begin_anew();
                info!(origin, server, "server readmitted");
            }
        }
    }

    /// Puts another roster in the place of the one in force, if `with` makes one of it. It is
    /// weighed before anybody sees it. Of those that leave, requests under way on the old roster
    /// ask none again.
    pub(in crate::origin) fn replace(&self, with: impl FnOnce(&Roster) -> Option<Roster>) {
        let mut compared = self.triage.judging.lock();
        let (old, now) = (self.roster(), clock::instant());
        let Some(next) = with(&old) else {
            return self.reckon(&mut compared, now);
        };
        self.weigh(&next, now);
        let next = Arc::new(next);
        // First, so that who finds nobody on the old one finds them here.
        self.roster.store(Arc::clone(&next));
        for (peer, seat) in old.seated() {
            if next.find(peer.authority()).is_none() {
                seat.weigh(0, 0);
                seat.keep(false);
            }
        }
    }

    /// Makes weights of how the servers stand. The lock is held by who calls.
    fn reckon(&self, _judging: &mut Instant, now: Instant) {
        self.weigh(&self.roster(), now);
    }

    fn weigh(&self, roster: &Roster, now: Instant) {
        let peers = roster.peers().iter();
        let judged: Vec<_> = peers.map(|peer| self.judge(peer, now)).collect();
        let condition = Condition::of(&judged, self.triage.panic_threshold);
        for (it, (_, seat)) in judged.iter().zip(roster.seated()) {
            let weighed = condition.weigh(it);
            seat.weigh(weighed.weight, weighed.in_reserve);
            seat.keep(weighed.keeps);
        }
        self.triage
            .is_sick
            .store(condition.is_sick, Ordering::Relaxed);
        let panicked = self.triage.panics.swap(condition.panics, Ordering::Relaxed);
        let origin = &*self.name;
        match (panicked, condition.panics) {
            (false, true) => warn!(origin, "too few servers are usable: health is disregarded"),
            (true, false) => info!(origin, "enough servers are usable: health counts again"),
            _ => {}
        }
    }

    fn judge(&self, peer: &Peer, now: Instant) -> Judged {
        let (standing, share) = (peer.vitals.standing.lock(), peer.share());
        Judged {
            verdict: standing.verdict(now, self.triage.slow_start),
            weight: standing.weight.unwrap_or(share.weight),
            share: standing.share(),
            backup: share.backup,
            is_well: standing.is_well(),
        }
    }

    /// Sets what the operator wants of a server: its state, or that its agent decides again; and a
    /// weight in place of the configured one, or that again. What is not given stays. False if there
    /// is no such server.
    pub fn adjust(
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
        let origin = &*self.name;
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
        let _judging = self.triage.judging.lock();
        let judged = self.judge(peer, clock::instant());
        Report {
            verdict: judged.verdict,
            state: peer.vitals.standing.lock().state.unwrap_or_default(),
            weight: judged.weight,
        }
    }
}

// === impl Condition ===

impl Condition {
    /// Backups that are usable go before a panic: they are there for this.
    fn of(judged: &[Judged], panic_threshold: f64) -> Self {
        let usable = |it: &&Judged| it.verdict.is_usable() && it.weight > 0;
        // Those that their operator took out are missed by nobody.
        let wanted = |it: &&Judged| {
            let is_out = matches!(it.verdict, Verdict::Draining | Verdict::InMaintenance);
            !is_out && it.weight > 0
        };
        let first = || judged.iter().filter(|it| !it.backup);
        let (all, left) = (
            first().filter(wanted).count(),
            first().filter(usable).count(),
        );
        let has_backup = judged.iter().filter(usable).any(|it| it.backup);
        Self {
            is_sick: left == 0 && !has_backup,
            panics: !has_backup && (left as f64) < panic_threshold * all as f64,
            has_first: left > 0,
        }
    }

    fn weigh(self, it: &Judged) -> Weighed {
        let percent = match it.verdict {
            Verdict::Usable(percent) => percent,
            Verdict::Down(_) | Verdict::DownByAgent(_) | Verdict::Ejected(_) if self.panics => 100,
            _ => 0,
        };
        // Of a weight that is not zero something is left.
        let share = it.weight.saturating_mul(it.share).min(HUNDREDFOLD_MAX);
        let least = u32::from(it.weight > 0 && percent > 0);
        let weight = (share.saturating_mul(percent) / 100).max(least);
        let waits = it.backup && (self.has_first || self.panics);
        Weighed {
            weight: if waits { 0 } else { weight },
            in_reserve: if waits { weight } else { 0 },
            keeps: weight > 0 || (it.verdict == Verdict::Draining && it.is_well),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::server::Fault;

    const UP: Verdict = Verdict::Usable(100);

    fn weigh(servers: &[(Verdict, bool)], threshold: f64) -> (Vec<(u32, u32)>, bool, bool) {
        let judged: Vec<_> = servers
            .iter()
            .map(|(verdict, backup)| Judged {
                verdict: *verdict,
                weight: 1,
                share: 100,
                backup: *backup,
                is_well: verdict.is_usable(),
            })
            .collect();
        let condition = Condition::of(&judged, threshold);
        let weights = judged.iter().map(|it| condition.weigh(it));
        (
            weights.map(|it| (it.weight, it.in_reserve)).collect(),
            condition.panics,
            condition.is_sick,
        )
    }

    #[test]
    fn weights_follow_from_how_all_stand() {
        let (down, out) = (Verdict::Down(Fault::Refused), Verdict::InMaintenance);
        let (first, backup) = (false, true);
        type Row<'a> = (&'a [(Verdict, bool)], f64, &'a [(u32, u32)], bool, bool);
        let rows: [Row<'_>; 9] = [
            (
                &[(UP, first), (UP, first)],
                0.5,
                &[(100, 0), (100, 0)],
                false,
                false,
            ),
            // One of two is a half, which is not less than a half.
            (
                &[(UP, first), (down, first)],
                0.5,
                &[(100, 0), (0, 0)],
                false,
                false,
            ),
            (
                &[(down, first), (down, first)],
                0.5,
                &[(100, 0), (100, 0)],
                true,
                true,
            ),
            (
                &[(down, first), (down, first)],
                0.0,
                &[(0, 0), (0, 0)],
                false,
                true,
            ),
            // Who is in maintenance is not missed, and not asked in a panic either.
            (
                &[(UP, first), (out, first)],
                0.9,
                &[(100, 0), (0, 0)],
                false,
                false,
            ),
            (
                &[(down, first), (out, first)],
                0.5,
                &[(100, 0), (0, 0)],
                true,
                true,
            ),
            (&[(out, first)], 0.5, &[(0, 0)], false, true),
            // A backup waits while another can answer, and goes before a panic.
            (
                &[(UP, first), (UP, backup)],
                0.5,
                &[(100, 0), (0, 100)],
                false,
                false,
            ),
            (
                &[(down, first), (UP, backup)],
                0.5,
                &[(0, 0), (100, 0)],
                false,
                false,
            ),
        ];
        for (servers, threshold, weights, panics, is_sick) in rows {
            let found = weigh(servers, threshold);
            assert_eq!(found, (weights.to_vec(), panics, is_sick), "{servers:?}");
        }
    }

    #[test]
    fn a_slow_start_has_a_part_of_the_weight() {
        let (weights, ..) = weigh(&[(Verdict::Usable(10), false), (UP, false)], 0.5);
        assert_eq!(weights, [(10, 0), (100, 0)]);
    }

    #[test]
    fn an_agent_has_its_server_get_a_share() {
        for (weight, percent, share, weighed) in [
            (1, 100, 75, 75),
            (2, 100, 150, 300),
            (4, 50, 50, 100),
            (1, 10, 1, 1),
            (256, 100, 25_600, 25_600),
            (0, 100, 75, 0),
        ] {
            let judged = Judged {
                verdict: Verdict::Usable(percent),
                weight,
                share,
                backup: false,
                is_well: true,
            };
            let found = Condition::of(&[judged], 0.0).weigh(&judged).weight;
            assert_eq!(found, weighed, "{weight} {percent} {share}");
        }
    }
}
