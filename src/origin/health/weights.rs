//! Weights of a pool's servers, out of how each of them stands.
//!
//! Panic and backups are about all servers together, so it goes in three steps: each is judged, from
//! all comes the pool's condition, and that gives each its weights.

use std::time::Duration;

use crate::clock::Instant;
use crate::origin::peer::Peer;
use crate::origin::server::Verdict;

/// The hundredfold of the largest weight there is, which no agent can raise.
const HUNDREDFOLD_MAX: u32 = 25_600;

/// A server as it is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) weight: u32,
    /// The share of the weight that its agent gives it, in per cent.
    share: u32,
    backup: bool,
    /// Whether neither probes nor clients speak against it.
    is_well: bool,
}

/// What follows for a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weights {
    pub(super) weight: u32,
    pub(super) in_reserve: u32,
    /// Whether it takes those who belong to it.
    pub(super) keeps: bool,
}

/// What is known of all servers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) is_sick: bool,
    pub(super) panics: bool,
    /// Whether a server that is no backup is usable.
    has_first: bool,
}

// === impl Judged ===

impl Judged {
    /// A server as it stands now.
    pub(super) fn of(peer: &Peer, now: Instant, slow_start: Duration) -> Self {
        let (standing, share) = (peer.vitals.standing.lock(), peer.share());
        Self {
            verdict: standing.verdict(now, slow_start),
            weight: standing.weight.unwrap_or(share.weight),
            share: standing.share(),
            backup: share.backup,
            is_well: standing.is_well(),
        }
    }
}

// === impl Condition ===

impl Condition {
    /// Backups that are usable go before a panic: they are there for this.
    pub(super) fn of(judged: &[Judged], panic_threshold: f64) -> Self {
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

    pub(super) fn weights(self, it: &Judged) -> Weights {
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
        Weights {
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
        let weights = judged.iter().map(|it| condition.weights(it));
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
            let found = Condition::of(&[judged], 0.0).weights(&judged).weight;
            assert_eq!(found, weighed, "{weight} {percent} {share}");
        }
    }
}
