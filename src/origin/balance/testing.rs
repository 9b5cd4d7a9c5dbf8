//! Candidates and counts for the tests of the algorithms.

use std::sync::Arc;

use super::{Balance, Candidate, Candidates, Choice, Gate};

/// As many choices as a share is measured by.
pub(super) const PICKS: usize = 10_000;

/// Servers `s0`, `s1` and so on with these weights.
pub(super) fn candidates(weights: &[u32]) -> Candidates {
    candidates_of_width(weights, u32::MAX)
}

/// The same, each with room for so many requests.
pub(super) fn candidates_of_width(weights: &[u32], requests_max: u32) -> Candidates {
    let candidates = weights.iter().enumerate().map(|(index, weight)| {
        let candidate = Candidate::new(
            &format!("s{index}"),
            Gate::of_width(Arc::default(), requests_max),
        );
        candidate.weigh(*weight, 0);
        candidate
    });
    Candidates::new(candidates)
}

/// How often each server is chosen by keys 0, 1, 2 and so on.
pub(super) fn shares(balance: &dyn Balance, candidates: &Candidates) -> Vec<usize> {
    let mut shares = vec![0; candidates.0.len()];
    for key in 0..PICKS {
        let key = super::digest(&key.to_le_bytes());
        let index = balance
            .pick(candidates, &Choice::by(key))
            .expect("a candidate");
        shares[index] += 1;
    }
    shares
}

/// Each server's share is its weight's, give or take two per cent of all.
pub(super) fn respects_weights(balance: &dyn Balance) {
    for weights in [&[1, 1][..], &[3, 1], &[5, 3, 2], &[256, 1, 0, 128]] {
        let candidates = candidates(weights);
        let total = f64::from(weights.iter().sum::<u32>());
        let shares = shares(balance, &candidates);
        for (weight, share) in weights.iter().zip(&shares) {
            let wanted = f64::from(*weight) / total;
            let found = *share as f64 / PICKS as f64;
            let near = (wanted - found).abs() < 0.02;
            assert!(
                near && (*weight > 0 || *share == 0),
                "{weights:?}: {shares:?}"
            );
        }
    }
}

/// Who was tried is not chosen again, and where none is eligible nobody is.
pub(super) fn passes_over_the_tried(balance: &dyn Balance) {
    let candidates = candidates(&[1, 0, 2, 3]);
    let mut choice = Choice::by(7);
    let mut found = Vec::new();
    while let Some(index) = balance.pick(&candidates, &choice) {
        found.push(index);
        choice.has_tried(index);
    }
    found.sort_unstable();
    assert_eq!(found, [0, 2, 3]);
    assert_eq!(balance.pick(&candidates, &Choice::by(7).in_reserve()), None);
}
