//! Freshness of a response, age against lifetime (RFC 9111 §4.2): worked out once on arrival,
//! compared on every hit.
//!
//! Where the lifetime comes from stands in `lifetime.rs`, and for how long a stale response is good
//! for anything in `stale.rs`. All arithmetic saturates.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::AGE;

use super::bent::Bent;
use super::directives::{DELTA_MAX, Directives, delta_seconds, whole_seconds};
use super::judged::{Answered, Rules};
use super::lifetime::{Basis, Granted, generated_at};
use super::list;
use super::windows::Windows;

/// What is kept of a stored response to tell its freshness at any time: small and plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// The moment at which the response's age was zero, in nanoseconds since 1970.
    born_nanos: u64,
    /// Its freshness lifetime in seconds, at most [`DELTA_MAX`].
    lifetime_secs: u32,
    windows: Windows,
    always_validate: bool,
    for_authorized: bool,
    must_revalidate: bool,
    immutable: bool,
    overridden: bool,
    expired: bool,
    bent: Bent,
}

/// Time since a response was generated or validated by its origin (RFC 9111 §4.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(pub Duration);

/// How old a response can become before it is stale (RFC 9111 §4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime(pub Duration);

/// Whether a stored response may be used without asking its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The lifetime exceeds the age.
    Fresh {
        /// The age now.
        age: Age,
    },
    /// The lifetime is over.
    Stale {
        /// The age now.
        age: Age,
    },
}

// === impl Term ===

impl Term {
    /// A term without any restriction: age zero at `born`, stale once `lifetime` has passed, and
    /// of no use then.
    pub fn new(born: SystemTime, lifetime: Duration) -> Self {
        Self {
            born_nanos: nanos(born),
            lifetime_secs: whole_seconds(lifetime),
            windows: Windows::default(),
            always_validate: false,
            for_authorized: false,
            must_revalidate: false,
            immutable: false,
            overridden: false,
            expired: false,
            bent: Bent::default(),
        }
    }

    /// The term of a response that has just come and was granted `lifetime`.
    pub(super) fn begin(
        answered: &Answered,
        directives: &Directives,
        granted: Granted,
        rules: &Rules,
    ) -> Self {
        let overridden = granted.basis == Basis::Override;
        let no_cache = directives.no_cache.binds(answered.headers) && !overridden;
        let s_maxage = directives.s_maxage.is_some();
        // RFC 9111 §5.2.2.10: s-maxage "incorporates the semantics of the proxy-revalidate
        // response directive for a shared cache".
        let says_so = directives.must_revalidate || directives.proxy_revalidate;
        let revalidate = (says_so && !rules.lift_must_revalidate) || s_maxage;
        Self {
            born_nanos: nanos(born(answered)),
            lifetime_secs: if no_cache {
                0
            } else {
                whole_seconds(granted.lifetime)
            },
            windows: Windows::of(answered, directives, granted, rules),
            always_validate: no_cache || granted.basis == Basis::Nothing,
            for_authorized: directives.allow_authorized(),
            must_revalidate: (revalidate && !overridden) || no_cache,
            immutable: directives.immutable,
            overridden,
            expired: false,
            bent: Bent::default(),
        }
    }

    /// The same, with what was set aside for it.
    #[must_use]
    pub(super) fn with(self, bent: Bent) -> Self {
        Self { bent, ..self }
    }

    /// Whether the response is fresh at `now`.
    ///
    /// RFC 9111 §4.2: `response_is_fresh = (freshness_lifetime > current_age)`.
    pub fn freshness(&self, now: SystemTime) -> Freshness {
        let age = self.age(now);
        match self.lifetime().0 > age.0 && !self.expired {
            true => Freshness::Fresh { age },
            false => Freshness::Stale { age },
        }
    }

    /// The same where the age does not matter.
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        matches!(self.freshness(now), Freshness::Fresh { .. })
    }

    /// The age at `now`; zero if the clock was set back before the response was born.
    pub fn age(&self, now: SystemTime) -> Age {
        let lived = nanos(now).saturating_sub(self.born_nanos);
        Age(Duration::from_nanos(lived).min(DELTA_MAX))
    }

    /// The freshness lifetime.
    pub fn lifetime(&self) -> Lifetime {
        Lifetime(Duration::from_secs(self.lifetime_secs.into()))
    }

    /// Whole seconds of freshness left at `now`, negative once stale: the `ttl` of RFC 9211 §2.4.
    pub fn ttl_secs(&self, now: SystemTime) -> i64 {
        let secs = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        secs(self.lifetime().secs()).saturating_sub(secs(self.age(now).secs()))
    }

    /// Whether every use needs the origin's word: `no-cache` (RFC 9111 §5.2.2.4), or a response
    /// that states no lifetime and is kept for its validator alone. Not one with `max-age=0`, which
    /// is merely stale from the start.
    pub fn always_validate(&self) -> bool {
        self.always_validate
    }

    /// Whether the response may answer a request with Authorization, having said `public`,
    /// `s-maxage` or `must-revalidate` (RFC 9111 §3.5).
    pub fn for_authorized(&self) -> bool {
        self.for_authorized
    }

    /// Whether the response must never be served stale: `must-revalidate`, `proxy-revalidate`,
    /// `s-maxage` or `no-cache` (RFC 9111 §4.2.4), unless the operator's rules overrode them.
    pub fn must_revalidate(&self) -> bool {
        self.must_revalidate
    }

    /// Whether it will not change while it is fresh: `immutable` (RFC 8246 §2).
    pub fn is_immutable(&self) -> bool {
        self.immutable
    }

    /// Whether the lifetime is the operator's `ttl` and not the origin's word.
    pub fn is_overridden(&self) -> bool {
        self.overridden
    }

    /// What of its words the operator has set aside.
    pub fn bent(&self) -> Bent {
        self.bent
    }

    /// Whether a soft purge has ended its freshness before its time.
    pub fn is_expired(&self) -> bool {
        self.expired
    }

    /// What it is good for once it is stale.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// How long it has been stale at `now`; zero while it is fresh.
    pub fn stale_for(&self, now: SystemTime) -> Duration {
        self.age(now).0.saturating_sub(self.lifetime().0)
    }

    /// The same response, stale from `now` on; its age is unchanged.
    #[must_use]
    pub fn expired(self, now: SystemTime) -> Self {
        let lived = whole_seconds(self.age(now).0);
        Self {
            lifetime_secs: self.lifetime_secs.min(lived),
            expired: true,
            ..self
        }
    }
}

// === impl Age ===

impl Age {
    /// The age in whole seconds, as the Age field has it (RFC 9111 §5.1).
    pub fn secs(self) -> u64 {
        self.0.as_secs()
    }
}

// === impl Lifetime ===

impl Lifetime {
    /// The lifetime in whole seconds.
    pub fn secs(self) -> u64 {
        self.0.as_secs()
    }
}

/// When the response's age was zero: its arrival less its `corrected_initial_age`.
fn born(answered: &Answered) -> SystemTime {
    let received_at = answered.received_at;
    received_at
        .checked_sub(corrected_initial_age(answered))
        .unwrap_or(UNIX_EPOCH)
}

/// RFC 9111 §4.2.3:
/// ```text
/// apparent_age = max(0, response_time - date_value);
/// response_delay = response_time - request_time;
/// corrected_age_value = age_value + response_delay;
/// corrected_initial_age = max(apparent_age, corrected_age_value);
/// ```
fn corrected_initial_age(answered: &Answered) -> Duration {
    let Answered {
        requested_at,
        received_at,
        ..
    } = *answered;
    // A Date names a whole second that the message was made in. We count from its end: from its
    // beginning, a response with `max-age=1` would often be stale before it arrives.
    let made_by = generated_at(answered)
        .checked_add(Duration::from_secs(1))
        .unwrap_or(received_at);
    let apparent_age = received_at.duration_since(made_by).unwrap_or_default();
    let response_delay = received_at.duration_since(requested_at).unwrap_or_default();
    let corrected_age_value = age_value(answered.headers).saturating_add(response_delay);
    apparent_age.max(corrected_age_value).min(DELTA_MAX)
}

/// What the Age field says; zero if nothing valid.
///
/// RFC 9111 §5.1: "a cache encountering a message with a list-based Age field value SHOULD use the
/// first member of the field value, discarding subsequent ones. If the field value (after
/// discarding additional members, as per above) is invalid (e.g., it contains something other than
/// a non-negative integer), a cache SHOULD ignore the field."
fn age_value(headers: &HeaderMap) -> Duration {
    list::all_members(headers, &AGE)
        .next()
        .and_then(delta_seconds)
        .unwrap_or_default()
}

/// Nanoseconds since 1970, which fit until the year 2554; what is earlier counts as 1970.
fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use http::StatusCode;

    use super::super::targeted::Governing;
    use super::super::testing::{any_headers, at, headers, term};
    use super::*;

    const NOW: &str = "Sun, 22 Nov 2026 06:00:00 GMT";

    type Lines = &'static [(&'static str, &'static str)];

    fn answered(status: u16, headers: &HeaderMap) -> Answered<'_> {
        let status = StatusCode::from_u16(status).expect("a status");
        Answered {
            status,
            headers,
            requested_at: at(NOW),
            received_at: at(NOW),
        }
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_age_on_arrival_is_the_greater_of_two_reckonings() {
        // (fields, response delay, age); all rows: RFC 9111 §4.2.3, §5.1, §1.2.2.
        #[rustfmt::skip]
        let rows: [(Lines, u64, u64); 17] = [
            (&[], 0, 0),
            (&[], 3, 3),
            (&[("age", "10")], 0, 10),
            (&[("age", "10")], 3, 13),
            (&[("age", "10"), ("date", "Sun, 22 Nov 2026 05:59:00 GMT")], 3, 59),
            (&[("age", "100"), ("date", "Sun, 22 Nov 2026 05:59:00 GMT")], 3, 103),
            (&[("date", "Sun, 22 Nov 2026 05:59:59 GMT")], 0, 0),
            (&[("date", "Sun, 22 Nov 2026 07:00:00 GMT")], 0, 0),
            (&[("age", "7200, 0")], 0, 7200),
            (&[("age", "0, 7200")], 0, 0),
            (&[("age", "7200"), ("age", "0")], 0, 7200),
            (&[("age", "abc")], 0, 0),
            (&[("age", "-7200")], 0, 0),
            (&[("age", "7200.0")], 0, 0),
            (&[("age", "7200;foo=bar")], 0, 0),
            (&[("age", "2147483649")], 9, 1 << 31),
            (&[("age", "18446744073709551615")], 9, 1 << 31),
        ];
        for (lines, delay, expected) in rows {
            let headers = headers(lines);
            let requested_at = at(NOW) - secs(delay);
            let answered = Answered {
                requested_at,
                ..answered(200, &headers)
            };
            let age = at(NOW)
                .duration_since(born(&answered))
                .expect("born before now");
            assert_eq!(age, secs(expected), "{lines:?} {delay}");
        }
    }

    #[test]
    fn fresh_is_younger_than_the_lifetime() {
        // RFC 9111 §4.2.
        let term = Term::new(at(NOW), secs(60));
        let age = |millis| Age(Duration::from_millis(millis));
        let after = |millis| term.freshness(at(NOW) + Duration::from_millis(millis));
        assert_eq!(after(0), Freshness::Fresh { age: age(0) });
        assert_eq!(after(59_999), Freshness::Fresh { age: age(59_999) });
        assert_eq!(after(60_000), Freshness::Stale { age: age(60_000) });
        assert_eq!(age(59_999).secs(), 59);
        assert_eq!(term.ttl_secs(at(NOW) + secs(50)), 10);
        assert_eq!(term.ttl_secs(at(NOW) + secs(61)), -1);
        assert_eq!(
            term.freshness(at(NOW) - secs(5)),
            Freshness::Fresh { age: age(0) }
        );
        let zero = Term::new(at(NOW), Duration::ZERO);
        assert_eq!(zero.freshness(at(NOW)), Freshness::Stale { age: age(0) });
        let forever = Term::new(at(NOW), Duration::MAX);
        assert_eq!(forever.lifetime(), Lifetime(DELTA_MAX));
    }

    #[test]
    fn an_expired_term_keeps_its_age() {
        let term = Term::new(at(NOW), secs(60));
        let expired = term.expired(at(NOW) + secs(10));
        let later = at(NOW) + secs(20);
        assert_eq!(
            expired.freshness(later),
            Freshness::Stale { age: Age(secs(20)) }
        );
        assert_eq!(
            expired.lifetime(),
            Lifetime(secs(10)),
            "stale for as long as it is expired"
        );
        let clock_set_back = expired.freshness(at(NOW) + secs(5));
        assert_eq!(clock_set_back, Freshness::Stale { age: Age(secs(5)) });
        assert_eq!(
            term.expired(at(NOW) + secs(90)).lifetime(),
            Lifetime(secs(60))
        );
    }

    #[test]
    fn directives_become_flags() {
        // (directives, always validate, for authorized, must revalidate)
        #[rustfmt::skip]
        let rows = [
            ("§4.2.1", "max-age=60", false, false, false),
            ("§3.5", "max-age=60, public", false, true, false),
            ("§5.2.2.10", "s-maxage=60", false, true, true),
            ("§5.2.2.2", "max-age=60, must-revalidate", false, true, true),
            ("§5.2.2.8", "max-age=60, proxy-revalidate", false, false, true),
            ("§5.2.2.4", "max-age=60, no-cache", true, false, true),
            ("§5.2.2.4", "max-age=60, no-cache=\"x\"", false, false, false),
            ("§4.2.1", "max-age=0", false, false, false),
            ("§4.3", "", true, false, false),
        ];
        for (section, line, validate, authorized, revalidate) in rows {
            let headers = headers(&[("cache-control", line)]);
            let term = term(200, &headers, at(NOW));
            let found = (
                term.always_validate(),
                term.for_authorized(),
                term.must_revalidate(),
            );
            assert_eq!(
                found,
                (validate, authorized, revalidate),
                "{section}: {line}"
            );
        }
    }

    #[test]
    fn a_term_is_small() {
        assert!(size_of::<Term>() <= 32);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_response_and_no_clock_panic(
            headers in any_headers(), born: u32, requested: u64, received: u64, now: u64,
        ) {
            let time = |seconds| UNIX_EPOCH.checked_add(secs(seconds)).unwrap_or(UNIX_EPOCH);
            let answered = Answered {
                status: StatusCode::OK,
                headers: &headers,
                requested_at: time(requested),
                received_at: time(received),
            };
            let governing = Governing::of(&headers, &[]);
            let rules = Rules { heuristic: true, ..Rules::default() };
            let granted = Granted::of(&answered, &governing, &rules);
            let term = Term::begin(&answered, &governing.directives, granted, &rules)
                .expired(time(born.into()));
            prop_assert!(term.age(time(now)).0 <= DELTA_MAX);
            prop_assert!(term.lifetime().0 <= DELTA_MAX);
        }
    }
}
