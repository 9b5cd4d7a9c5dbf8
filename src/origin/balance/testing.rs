//! Crowds and counts for the tests of the algorithms.

use std::sync::Arc;

use super::{Balance, Choice, Crowd, Gate, Seat};

/// As many choices as a share is measured by.
pub(super) const PICKS: usize = 10_000;

/// Servers `s0`, `s1` and so on with these weights.
pub(super) fn crowd(weights: &[u32]) -> Crowd {
    crowd_of_width(weights, u32::MAX)
}

/// The same, each with room for so many requests.
pub(super) fn crowd_of_width(weights: &[u32], requests_max: u32) -> Crowd {
    let seats = weights.iter().enumerate().map(|(index, weight)| {
        let seat = Seat::new(
            &format!("s{index}"),
            Gate::of_width(Arc::default(), requests_max),
        );
        seat.weigh(*weight, 0);
        seat
    });
    Crowd::new(seats)
}

/// How often each server is chosen by keys 0, 1, 2 and so on.
pub(super) fn shares(balance: &dyn Balance, crowd: &Crowd) -> Vec<usize> {
    let mut shares = vec![0; crowd.0.len()];
    for key in 0..PICKS {
        let key = super::digest(&key.to_le_bytes());
        let index = balance.pick(crowd, &Choice::by(key)).expect("a candidate");
        shares[index] += 1;
    }
    shares
}

/// Each server's share is its weight's, give or take two per cent of all.
pub(super) fn respects_weights(balance: &dyn Balance) {
    for weights in [&[1, 1][..], &[3, 1], &[5, 3, 2], &[256, 1, 0, 128]] {
        let crowd = crowd(weights);
        let total = f64::from(weights.iter().sum::<u32>());
        let shares = shares(balance, &crowd);
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

/// Who was tried is not chosen again, and without a candidate nobody is.
pub(super) fn passes_over_the_tried(balance: &dyn Balance) {
    let crowd = crowd(&[1, 0, 2, 3]);
    let mut choice = Choice::by(7);
    let mut found = Vec::new();
    while let Some(index) = balance.pick(&crowd, &choice) {
        found.push(index);
        choice.has_tried(index);
    }
    found.sort_unstable();
    assert_eq!(found, [0, 2, 3]);
    assert_eq!(balance.pick(&crowd, &Choice::by(7).in_reserve()), None);
}
