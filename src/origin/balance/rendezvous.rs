//! Rendezvous hashing (highest random weight) with bounded load: the same server for the same key.
//!
//! Each server draws a number from the key and its own name, and the highest wins. Nothing is
//! built and nothing is kept, so a weight may change with every request, as it does in a slow
//! start: the keys that move are those that a server gains or loses, and no others.

use super::{Balance, Candidates, Choice, Eligible};
use crate::origin::dice::mix;

/// The highest number wins, unless who drew it has more to do than its share.
#[derive(Debug)]
pub(super) struct Rendezvous {
    bounded_load: f64,
}

// === impl Rendezvous ===

impl Rendezvous {
    pub(super) fn new(bounded_load: f64) -> Self {
        Self { bounded_load }
    }

    /// Whether one more request would be more than its share of all, and `bounded_load` over
    /// ("Consistent Hashing with Bounded Loads", Mirrokni, Thorup and Zadimoghaddam, 2016).
    fn is_full(&self, it: &Eligible<'_>, all_active: u64, total_weight: u64) -> bool {
        let active = f64::from(it.candidate.load.active());
        let mean = (all_active + 1) as f64 * it.weight as f64 / total_weight as f64;
        active + 1.0 > (mean * self.bounded_load).ceil()
    }
}

impl Balance for Rendezvous {
    fn pick(&self, candidates: &Candidates, choice: &Choice) -> Option<usize> {
        let (mut active, mut weight) = (0, 0);
        for it in candidates.eligible(choice) {
            active += u64::from(it.candidate.load.active());
            weight += it.weight;
        }
        let free = |it: &Eligible<'_>| !self.is_full(it, active, weight);
        // Somebody is always below the mean, unless answers came while we looked.
        let best = highest(candidates.eligible(choice).filter(free), choice.key)
            .or_else(|| highest(candidates.eligible(choice), choice.key));
        best.map(|it| it.index)
    }
}

fn highest<'a>(candidates: impl Iterator<Item = Eligible<'a>>, key: u64) -> Option<Eligible<'a>> {
    let scored = candidates.map(|it| (score(&it, key), it));
    scored
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, it)| it)
}

/// What a server draws: as likely to be the highest as its weight says.
fn score(it: &Eligible<'_>, key: u64) -> f64 {
    // Above zero and below one, for which the logarithm is below zero and finite.
    let drawn = (mix(it.candidate.id ^ key) >> 11) as f64;
    let drawn = (drawn + 0.5) / (1_u64 << 53) as f64;
    it.weight as f64 / -drawn.ln()
}

/// A number for bytes that is the same in every Copal of every version (FNV-1a, then mixed).
pub(in crate::origin) fn digest(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    mix(bytes.iter().fold(0xCBF2_9CE4_8422_2325, fold))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{PICKS, candidates, passes_over_the_tried, respects_weights};
    use super::*;

    const UNBOUNDED: f64 = 1e9;

    fn choices(candidates: &Candidates) -> Vec<usize> {
        let balance = Rendezvous::new(UNBOUNDED);
        let keys = (0..PICKS).map(|key| Choice::by(digest(&key.to_le_bytes())));
        keys.map(|choice| balance.pick(candidates, &choice).unwrap())
            .collect()
    }

    #[test]
    fn each_gets_its_share() {
        respects_weights(&Rendezvous::new(UNBOUNDED));
        passes_over_the_tried(&Rendezvous::new(UNBOUNDED));
    }

    #[test]
    fn a_server_more_or_less_moves_only_its_own_keys() {
        let twenty = choices(&candidates(&[1; 20]));
        let one_more = choices(&candidates(&[1; 21]));
        let one_less = choices(&candidates(&[[1; 19].as_slice(), &[0]].concat()));
        let kept = twenty.iter().zip(&one_more).filter(|(a, b)| a == b).count();
        assert!(kept * 100 >= PICKS * 95, "{kept}");
        for (before, after) in twenty.iter().zip(&one_more) {
            assert!(before == after || *after == 20);
        }
        for (before, after) in twenty.iter().zip(&one_less) {
            assert!(before == after || *before == 19);
        }
    }

    #[test]
    fn a_lighter_weight_only_gives_keys_away() {
        let before = choices(&candidates(&[100, 100, 100]));
        let after = choices(&candidates(&[100, 100, 50]));
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || *before == 2);
        }
    }

    /// All requests have the same key, and none of them ends.
    #[test]
    fn a_popular_key_is_shared_when_it_is_too_much_for_one() {
        let (balance, candidates) = (Rendezvous::new(1.25), candidates(&[1, 1, 2]));
        let choice = Choice::by(42);
        let mut flights = Vec::new();
        for all in 1..=1000_u32 {
            let index = balance.pick(&candidates, &choice).unwrap();
            flights.push(candidates.get(index).unwrap().load.begin());
            for (index, share) in [(0, 0.25), (1, 0.25), (2, 0.5)] {
                let active = candidates.get(index).unwrap().load.active();
                let most = (f64::from(all) * share * 1.25).ceil();
                assert!(f64::from(active) <= most, "{active} of {all} at {index}");
            }
        }
    }
}
