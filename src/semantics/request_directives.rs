//! Request directives of Cache-Control (RFC 9111 §5.2.1), and what they ask of a stored response.
//!
//! "They are advisory; a cache MAY implement them, but is not required to." A proxy before an origin
//! obeys them only where its operator says so, since they let any client switch the cache off; the
//! exception, `only-if-cached`, asks for less work and is read by the pipeline.

use std::time::{Duration, SystemTime};

use super::directives::Directives;
use super::freshness::{Freshness, Term};

/// What a request's directives make of a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing: it is judged by its own freshness.
    Content,
    /// It is stale, and the client takes it all the same.
    Stale,
    /// It may not be used before the origin has confirmed it.
    Validated,
}

impl Directives {
    /// What these directives of a request ask of a response with this term.
    pub fn demand(&self, term: &Term, now: SystemTime) -> Demand {
        // §5.2.1.4: the client "prefers stored response not be used to satisfy the request without
        // successful validation on the origin server".
        if self.no_cache.is_whole() {
            return Demand::Validated;
        }
        let age = term.age(now).0;
        let Freshness::Fresh { .. } = term.freshness(now) else {
            return self.demand_of_stale(term, age, now);
        };
        // §5.2.1.1: "the client prefers a response whose age is less than or equal to the specified
        // number of seconds". RFC 8246 §2: an immutable response is not to be validated because of
        // a reload, which is what max-age=0 tells of.
        let too_old = self.max_age.is_some_and(|max| age > max) && !term.is_immutable();
        // §5.2.1.3: "a response whose freshness lifetime is no less than its current age plus the
        // specified time in seconds".
        let left = term.lifetime().0.saturating_sub(age);
        let too_short = self.min_fresh.is_some_and(|min| left < min);
        match too_old || too_short {
            true => Demand::Validated,
            false => Demand::Content,
        }
    }

    /// §5.2.1.2: "the client will accept a response that has exceeded its freshness lifetime by no
    /// more than the specified number of seconds."
    fn demand_of_stale(&self, term: &Term, age: Duration, now: SystemTime) -> Demand {
        let young_enough = self.max_age.is_none_or(|max| age <= max) && self.min_fresh.is_none();
        match self.max_stale {
            Some(max)
                if young_enough
                    && !term.must_revalidate()
                    && !term.always_validate()
                    && !term.is_expired() =>
            {
                match term.stale_for(now) <= max {
                    true => Demand::Stale,
                    false => Demand::Validated,
                }
            }
            // Grace is the origin's and the operator's to give; a client that states how old an
            // answer may be has declined it.
            _ if self.max_age.is_some() || self.min_fresh.is_some() => Demand::Validated,
            _ => Demand::Content,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, headers};
    use super::*;

    const NOW: &str = "Sun, 22 Nov 2026 06:00:00 GMT";

    fn demand(fields: &[(&str, &str)], age: u64) -> Demand {
        let secs = Duration::from_secs;
        let term = Term::new(at(NOW), secs(60));
        Directives::of_request(&headers(fields)).demand(&term, at(NOW) + secs(age))
    }

    #[test]
    fn directives_of_requests() {
        // (section, Cache-Control, the age of a response with a lifetime of 60 seconds, the demand)
        let rows = [
            ("§5.2.1", "", 10, Demand::Content),
            ("§5.2.1", "", 70, Demand::Content),
            ("§5.2.1.1", "max-age=10", 10, Demand::Content),
            ("§5.2.1.1", "max-age=9", 10, Demand::Validated),
            ("§5.2.1.1", "max-age=0", 10, Demand::Validated),
            ("§5.2.1.1", "max-age=x", 10, Demand::Validated),
            ("§5.2.1.1", "max-age=90", 70, Demand::Validated),
            ("§5.2.1.2", "max-stale", 10, Demand::Content),
            ("§5.2.1.2", "max-stale", 1000, Demand::Stale),
            ("§5.2.1.2", "max-stale=10", 70, Demand::Stale),
            ("§5.2.1.2", "max-stale=9", 70, Demand::Validated),
            ("§5.2.1.2", "max-stale=9, max-age=65", 70, Demand::Validated),
            ("§5.2.1.2", "max-stale=20, max-age=70", 70, Demand::Stale),
            ("§5.2.1.3", "min-fresh=50", 10, Demand::Content),
            ("§5.2.1.3", "min-fresh=51", 10, Demand::Validated),
            ("§5.2.1.4", "no-cache", 10, Demand::Validated),
            ("§5.2.1.4", "no-cache, max-stale", 70, Demand::Validated),
            ("§5.2.3", "other", 10, Demand::Content),
        ];
        for (section, line, age, expected) in rows {
            let found = demand(&[("cache-control", line)], age);
            assert_eq!(found, expected, "{section}: {line} at {age}");
        }
        assert_eq!(
            demand(&[("pragma", "no-cache")], 10),
            Demand::Validated,
            "§5.4"
        );
    }

    #[test]
    fn what_never_changes_is_not_validated_for_a_reload() {
        // RFC 8246 §2.
        let response = headers(&[("cache-control", "max-age=60, immutable")]);
        let reload = Directives::of_request(&headers(&[("cache-control", "max-age=0")]));
        let forced = Directives::of_request(&headers(&[("cache-control", "no-cache")]));
        let term = super::super::testing::term(200, &response, at(NOW));
        let later = at(NOW) + Duration::from_secs(10);
        assert_eq!(reload.demand(&term, later), Demand::Content);
        assert_eq!(forced.demand(&term, later), Demand::Validated);
    }
}
