//! Outlier detection by Envoy's statistics: servers that fail clearly more often than their
//! siblings.
//!
//! What fails all alike is the request's or the site's fault, and no server is better without it.

use crate::origin::server::Record;

/// So many servers are needed for a mean that means something,
const SERVERS_MIN: usize = 5;
/// and so many answers of each.
const ANSWERS_MIN: u32 = 100;
/// How many standard deviations below the mean is clearly.
const DEVIATIONS: f64 = 1.9;

/// The indices of those that fail more often.
pub(super) fn find(records: &[Record]) -> Vec<usize> {
    let rated = records.iter().enumerate();
    let rates: Vec<(usize, f64)> = rated
        .filter(|(_, it)| it.all >= ANSWERS_MIN)
        .map(|(index, it)| (index, f64::from(it.good) / f64::from(it.all)))
        .collect();
    if rates.len() < SERVERS_MIN {
        return Vec::new();
    }
    let count = rates.len() as f64;
    let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / count;
    let variance = rates
        .iter()
        .map(|(_, rate)| (rate - mean).powi(2))
        .sum::<f64>()
        / count;
    let least = mean - DEVIATIONS * variance.sqrt();
    let below = rates.into_iter().filter(|(_, rate)| *rate < least);
    below.map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (good answers of all, for each server; who is found)
    type Row<'a> = (&'a [(u32, u32)], &'a [usize]);

    #[test]
    fn who_fails_clearly_more_often_is_found() {
        let rows: [Row<'_>; 6] = [
            (&[(100, 100); 8], &[]),
            (
                &[
                    (50, 100),
                    (100, 100),
                    (100, 100),
                    (100, 100),
                    (99, 100),
                    (100, 100),
                ],
                &[0],
            ),
            // All fail alike.
            (&[(10, 100); 6], &[]),
            // Too few servers, too few answers.
            (&[(0, 100), (100, 100), (100, 100), (100, 100)], &[]),
            (
                &[(0, 99), (100, 100), (100, 100), (100, 100), (100, 100)],
                &[],
            ),
            (&[], &[]),
        ];
        for (rates, found) in rows {
            let records = rates.iter().map(|(good, all)| Record {
                good: *good,
                all: *all,
            });
            assert_eq!(find(&records.collect::<Vec<_>>()), found, "{rates:?}");
        }
    }
}
