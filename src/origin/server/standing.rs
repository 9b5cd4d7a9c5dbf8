//! Standing of one server: what its operator wants, what its agent and its probes say, whether it
//! was ejected, and whether it is still coming back.
//!
//! Times come in as arguments. What follows for its siblings is in `health/servers.rs`.

use std::time::Duration;

use super::advice::{Advice, Said};
use super::state::State;
use super::verdict::{Fault, Verdict, WHOLE};
use crate::clock::Instant;

/// A slow start begins with this share of the weight, in per cent.
const RAMP_FROM: u32 = 10;
/// What changed in how a server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::origin) enum Change {
    /// Its probes fail from now on.
    WentDown(Fault),
    /// Its probes succeed again.
    CameUp,
    /// Its ejection has ended.
    Readmitted,
}

/// When probes are believed.
#[derive(Clone, Copy, Debug)]
pub(in crate::origin) struct Threshold {
    /// So many in a row succeed before a server is up again.
    pub(in crate::origin) rise: u32,
    /// So many in a row fail before it is down.
    pub(in crate::origin) fall: u32,
}

/// How long ejections last.
#[derive(Clone, Copy, Debug)]
pub(in crate::origin) struct Terms {
    /// The first; each further one is longer by as much.
    pub(in crate::origin) base: Duration,
    pub(in crate::origin) max: Duration,
}

/// How one server stands.
#[derive(Debug, Default)]
pub(in crate::origin) struct Standing {
    /// What the operator wants, if it was said.
    pub(in crate::origin) state: Option<State>,
    /// What the operator has put in place of the configured weight.
    pub(in crate::origin) weight: Option<u32>,
    advice: Advice,
    /// Why its probes fail, if it is down.
    down: Option<Fault>,
    /// Probes in a row that say the contrary of `down`.
    contrary: u32,
    /// Whether a probe has ever ended.
    is_probed: bool,
    ejected_until: Option<Instant>,
    /// By how many bases the next ejection is longer than the first.
    ejections: u32,
    /// The end of the latest ejection.
    readmitted: Option<Instant>,
    /// When it came back, if it has not all of its weight yet.
    ramps_since: Option<Instant>,
}

// === impl Standing ===

impl Standing {
    /// What follows from all that is known. What the operator wants goes before all else.
    pub(in crate::origin) fn verdict(&self, now: Instant, slow_start: Duration) -> Verdict {
        match (self.wanted(), self.ejected_until) {
            (State::Maintenance, _) => Verdict::InMaintenance,
            (State::Drain, _) => Verdict::Draining,
            (State::Ready, until) => match (self.down, self.advice.down, until) {
                (Some(fault), ..) => Verdict::Down(fault),
                (None, Some(downed), _) => Verdict::DownByAgent(downed),
                (None, None, Some(until)) => Verdict::Ejected(until.saturating_duration_since(now)),
                (None, None, None) => Verdict::Usable(self.ramp(now, slow_start)),
            },
        }
    }

    /// What its operator wants of it, or else its agent.
    fn wanted(&self) -> State {
        let state = self.state.or(self.advice.state).unwrap_or_default();
        match state {
            // "A zero weight is reported […] as DRAIN since it has the same effect" (HAProxy).
            State::Ready if self.share() == 0 => State::Drain,
            state => state,
        }
    }

    /// The share of its weight that its agent gives it, in per cent, unless its operator has set
    /// the weight.
    pub(in crate::origin) fn share(&self) -> u32 {
        match self.weight {
            Some(_) => WHOLE,
            None => self.advice.percent.unwrap_or(WHOLE),
        }
    }

    pub(in crate::origin) fn advice(&self) -> Advice {
        self.advice
    }

    /// Its agent has said something; with `None` there is no agent.
    pub(in crate::origin) fn advise(&mut self, said: Option<&Said>, now: Instant) {
        let before = (self.wanted(), self.advice.down.is_some());
        match said {
            Some(said) => self.advice.heed(said),
            None => self.advice = Advice::default(),
        }
        let is_up_again = before.1 && self.advice.down.is_none();
        if is_up_again || self.is_back_from(before.0) {
            self.ramps_since = Some(now);
        }
    }

    fn is_back_from(&self, before: State) -> bool {
        before == State::Maintenance && self.wanted() == State::Ready
    }

    /// Sets what the operator wants, or leaves it to the agent; what is not given stays. Who comes
    /// back from maintenance begins slowly, for that is what maintenance is like.
    pub(in crate::origin) fn adjust(
        &mut self,
        state: Option<Option<State>>,
        weight: Option<Option<u32>>,
        now: Instant,
    ) {
        let before = self.wanted();
        self.weight = weight.unwrap_or(self.weight);
        self.state = state.unwrap_or(self.state);
        if self.is_back_from(before) {
            self.ramps_since = Some(now);
        }
    }

    /// Whether neither its probes, nor its agent, nor its clients speak against it.
    pub(in crate::origin) fn is_well(&self) -> bool {
        self.down.is_none() && self.advice.down.is_none() && self.ejected_until.is_none()
    }

    /// The share of the weight that a server has which came back lately, in per cent.
    fn ramp(&self, now: Instant, slow_start: Duration) -> u32 {
        let Some(since) = self.ramps_since.filter(|_| !slow_start.is_zero()) else {
            return WHOLE;
        };
        let passed = now.saturating_duration_since(since).as_secs_f64();
        let part = (passed / slow_start.as_secs_f64()).min(1.0);
        // A part of the difference is no larger than it.
        RAMP_FROM + (f64::from(WHOLE - RAMP_FROM) * part) as u32
    }

    /// It comes in while the others are at work.
    pub(in crate::origin) fn come_in(&mut self, now: Instant) {
        self.ramps_since = Some(now);
    }

    /// A probe has ended. A server is up until the first: a restart must not begin with refusals.
    /// But who fails the very first is down at once, as in HAProxy.
    pub(in crate::origin) fn probed(
        &mut self,
        result: Result<(), Fault>,
        by: Threshold,
        now: Instant,
    ) -> Option<Change> {
        let is_first = !std::mem::replace(&mut self.is_probed, true);
        let is_contrary = result.is_ok() == self.down.is_some();
        self.contrary = if is_contrary { self.contrary + 1 } else { 0 };
        let wanted = match result {
            Ok(()) => by.rise,
            Err(_) => by.fall,
        };
        let is_believed = is_contrary && (self.contrary >= wanted || is_first);
        match (result, self.down) {
            (Ok(()), Some(_)) if is_believed => {
                (self.down, self.contrary, self.ramps_since) = (None, 0, Some(now));
                Some(Change::CameUp)
            }
            (Err(fault), None) if is_believed => {
                (self.down, self.contrary) = (Some(fault), 0);
                Some(Change::WentDown(fault))
            }
            (Err(fault), Some(_)) => {
                self.down = Some(fault);
                None
            }
            _ => None,
        }
    }

    /// From here on there are no probes.
    pub(in crate::origin) fn forget_probes(&mut self) {
        (self.down, self.contrary, self.is_probed) = (None, 0, false);
    }

    pub(in crate::origin) fn is_ejected(&self) -> bool {
        self.ejected_until.is_some()
    }

    /// Leaves it alone for a while, which is longer each time; how long.
    pub(in crate::origin) fn eject(&mut self, terms: Terms, now: Instant) -> Duration {
        // For each base that it behaved, the next ejection is shorter by one (Envoy).
        let well_for = self.readmitted.map(|it| now.saturating_duration_since(it));
        let forgiven = well_for.map_or(0.0, |it| it.as_secs_f64() / terms.base.as_secs_f64());
        // As many as fit; a large number is as good as all.
        self.ejections = self
            .ejections
            .saturating_sub(forgiven as u32)
            .saturating_add(1);
        let lasts = terms.base.saturating_mul(self.ejections).min(terms.max);
        self.ejected_until = Some(now + lasts);
        lasts
    }

    /// Time passes.
    pub(in crate::origin) fn tick(&mut self, now: Instant) -> Option<Change> {
        self.ejected_until.filter(|until| *until <= now)?;
        self.ejected_until = None;
        self.readmitted = Some(now);
        self.ramps_since = Some(now);
        Some(Change::Readmitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const NO_RAMP: Duration = Duration::ZERO;
    const BY: Threshold = Threshold { rise: 2, fall: 3 };
    const TERMS: Terms = Terms {
        base: Duration::from_secs(10),
        max: Duration::from_secs(25),
    };

    const FAILED: Result<(), Fault> = Err(Fault::Slow);
    const DOWN: Verdict = Verdict::Down(Fault::Slow);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn probes_are_believed_after_so_many() {
        let (mut standing, now) = (Standing::default(), clock::instant());
        let verdicts: Vec<_> = [true, false, false, true, false, false, false, true, true]
            .into_iter()
            .map(|good| {
                standing.probed(if good { Ok(()) } else { FAILED }, BY, now);
                standing.verdict(now, NO_RAMP).is_usable()
            })
            .collect();
        assert_eq!(
            verdicts,
            [true, true, true, true, true, true, false, false, true]
        );
    }

    #[test]
    fn who_fails_the_first_probe_is_down_at_once() {
        let (mut standing, now) = (Standing::default(), clock::instant());
        assert_eq!(standing.verdict(now, NO_RAMP), Verdict::Usable(100));
        assert_eq!(
            standing.probed(FAILED, BY, now),
            Some(Change::WentDown(Fault::Slow))
        );
        assert_eq!(standing.verdict(now, NO_RAMP), DOWN);
        standing.forget_probes();
        assert_eq!(standing.verdict(now, NO_RAMP), Verdict::Usable(100));
    }

    #[test]
    fn ejections_grow_and_are_forgiven() {
        let (mut standing, mut now) = (Standing::default(), clock::instant());
        for (well_for, lasts) in [(0, 10), (0, 20), (0, 25), (0, 25), (35, 20), (1000, 10)] {
            now += secs(well_for);
            assert_eq!(standing.eject(TERMS, now), secs(lasts));
            assert_eq!(standing.tick(now + secs(lasts - 1)), None);
            assert_eq!(
                standing.verdict(now, NO_RAMP),
                Verdict::Ejected(secs(lasts))
            );
            now += secs(lasts);
            assert_eq!(standing.tick(now), Some(Change::Readmitted));
            assert_eq!(standing.verdict(now, NO_RAMP), Verdict::Usable(100));
        }
    }

    #[test]
    fn who_comes_back_starts_slowly() {
        let (mut standing, now) = (Standing::default(), clock::instant());
        assert_eq!(standing.verdict(now, secs(30)), Verdict::Usable(100));
        standing.come_in(now);
        for (passed, percent) in [(0, 10), (10, 40), (20, 70), (30, 100), (99, 100)] {
            let found = standing.verdict(now + secs(passed), secs(30));
            assert_eq!(found, Verdict::Usable(percent), "after {passed} s");
        }
    }

    #[test]
    fn the_operator_goes_before_all_else() {
        let (mut standing, now) = (Standing::default(), clock::instant());
        standing.probed(FAILED, BY, now);
        standing.eject(TERMS, now);
        for (state, verdict) in [
            (State::Ready, DOWN),
            (State::Drain, Verdict::Draining),
            (State::Maintenance, Verdict::InMaintenance),
        ] {
            standing.state = Some(state);
            assert_eq!(standing.verdict(now, NO_RAMP), verdict);
            assert!(!standing.is_well());
        }
    }

    fn hear(standing: &mut Standing, line: &str, now: Instant) {
        let said = super::super::advice::parse(line.as_bytes());
        standing.advise(Some(&said), now);
    }

    #[test]
    fn an_agent_goes_behind_the_operator_and_the_probes() {
        let (mut standing, now) = (Standing::default(), clock::instant());
        hear(&mut standing, "down #disk", now);
        let verdict = standing.verdict(now, NO_RAMP);
        assert_eq!(verdict.to_string(), "down: its agent says down, disk");
        assert!(!standing.is_well() && !verdict.is_usable());
        hear(&mut standing, "up", now);
        assert_eq!(standing.verdict(now, NO_RAMP), Verdict::Usable(100));
        hear(&mut standing, "drain", now);
        assert_eq!(standing.verdict(now, NO_RAMP), Verdict::Draining);
        for (state, verdict) in [
            (Some(State::Ready), Verdict::Usable(100)),
            (Some(State::Maintenance), Verdict::InMaintenance),
            (None, Verdict::Draining),
        ] {
            standing.adjust(Some(state), None, now);
            assert_eq!(standing.verdict(now, NO_RAMP), verdict, "{state:?}");
        }
        hear(&mut standing, "ready", now);
        standing.probed(FAILED, BY, now);
        assert_eq!(standing.verdict(now, NO_RAMP), DOWN);
    }

    #[test]
    fn an_agent_gives_a_share_of_the_weight_unless_the_operator_sets_it() {
        let (mut standing, now) = (Standing::default(), clock::instant());
        hear(&mut standing, "75%", now);
        assert_eq!(standing.share(), 75);
        hear(&mut standing, "0%", now);
        assert_eq!(standing.verdict(now, NO_RAMP), Verdict::Draining);
        standing.adjust(None, Some(Some(3)), now);
        assert_eq!(standing.share(), 100);
        assert_eq!(standing.verdict(now, NO_RAMP), Verdict::Usable(100));
        standing.adjust(None, Some(None), now);
        assert_eq!(standing.share(), 0);
        standing.advise(None, now);
        assert_eq!(standing.share(), 100, "without an agent");
    }

    #[test]
    fn who_comes_back_by_its_agents_word_starts_slowly() {
        for (gone, back) in [("maint", "ready"), ("stopped", "up")] {
            let (mut standing, now) = (Standing::default(), clock::instant());
            hear(&mut standing, gone, now);
            hear(&mut standing, back, now);
            let verdict = standing.verdict(now, secs(30));
            assert_eq!(verdict, Verdict::Usable(10), "{back}");
        }
    }
}
