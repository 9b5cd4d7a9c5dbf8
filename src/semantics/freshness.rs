//! Age and lifetime (RFC 9111 §4.2): worked out once on arrival, compared on every hit.
//!
//! Serving stale is not here, only what stale is. All arithmetic saturates.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{AGE, DATE, EXPIRES, LAST_MODIFIED, SET_COOKIE};
use http::{HeaderMap, HeaderName, StatusCode};

use super::date;
use super::directives::{DELTA_MAX, Directives, delta_seconds};
use super::exchange::{Answered, Rules};
use super::list;

/// The longest lifetime that is guessed from a Last-Modified.
///
/// RFC 9111 §4.2.2 sets no limit; RFC 7234 §5.5.4 wanted a warning above 24 hours, and a guess that
/// outlives a day is no longer noticed to be one.
const HEURISTIC_MAX: Duration = Duration::from_secs(24 * 3600);

/// What is kept of a stored response to tell its freshness at any time: small and plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// The moment at which the response's age was zero.
    born: SystemTime,
    /// Its freshness lifetime in seconds, at most [`DELTA_MAX`].
    lifetime_secs: u32,
    always_validate: bool,
    for_authorized: bool,
    must_revalidate: bool,
    expired: bool,
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

/// A lifetime, and on whose word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) basis: Basis,
    pub(super) lifetime: Duration,
}

/// Where a lifetime comes from, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// `s-maxage` or `max-age`.
    Directive,
    /// Expires.
    Expires,
    /// The operator's `default_ttl`.
    Default,
    /// Last-Modified.
    Heuristic,
    /// Nothing: the lifetime is zero.
    Nothing,
}

// === impl Term ===

impl Term {
    /// A term without any restriction: age zero at `born`, stale once `lifetime` has passed.
    pub fn new(born: SystemTime, lifetime: Duration) -> Self {
        Self {
            born,
            lifetime_secs: whole_seconds(lifetime),
            always_validate: false,
            for_authorized: false,
            must_revalidate: false,
            expired: false,
        }
    }

    /// The term of a response that has just come and was granted `lifetime`.
    pub(super) fn begin(answered: &Answered, directives: &Directives, granted: Granted) -> Self {
        let no_cache = directives.no_cache.binds(answered.headers);
        let s_maxage = directives.s_maxage.is_some();
        let must_revalidate = directives.must_revalidate;
        Self {
            born: born(answered),
            lifetime_secs: if no_cache {
                0
            } else {
                whole_seconds(granted.lifetime)
            },
            always_validate: no_cache || granted.basis == Basis::Nothing,
            for_authorized: directives.public || s_maxage || must_revalidate,
            // RFC 9111 §5.2.2.10: s-maxage "incorporates the semantics of the proxy-revalidate
            // response directive for a shared cache".
            must_revalidate: must_revalidate || directives.proxy_revalidate || s_maxage || no_cache,
            expired: false,
        }
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

    /// The age at `now`; zero if the clock was set back before the response was born.
    pub fn age(&self, now: SystemTime) -> Age {
        Age(now
            .duration_since(self.born)
            .unwrap_or_default()
            .min(DELTA_MAX))
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
    /// `s-maxage` or `no-cache` (RFC 9111 §4.2.4).
    pub fn must_revalidate(&self) -> bool {
        self.must_revalidate
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

// === impl Granted ===

impl Granted {
    /// The lifetime of a response that a shared cache receives (RFC 9111 §4.2.1, §4.2.2).
    pub(super) fn of(answered: &Answered, directives: &Directives, rules: &Rules) -> Self {
        // §5.2.2.10: s-maxage "overrides the maximum age specified by either the max-age directive
        // or the Expires header field". §5.3: max-age in turn overrides Expires.
        if let Some(lifetime) = directives.s_maxage.or(directives.max_age) {
            return Self::new(Basis::Directive, lifetime);
        }
        if answered.headers.contains_key(EXPIRES) {
            return Self::new(Basis::Expires, until_expires(answered));
        }
        // A response that sets a cookie has said nothing of being for more than one user.
        if answered.headers.contains_key(SET_COOKIE) {
            return Self::NOTHING;
        }
        let by_status = is_heuristically_cacheable(answered.status);
        if by_status && rules.default_ttl > Duration::ZERO {
            return Self::new(Basis::Default, rules.default_ttl);
        }
        // §4.2.2: heuristics are for heuristically cacheable statuses and for responses that "have
        // been marked as explicitly cacheable (e.g., with a public response directive)".
        match (by_status || directives.public) && rules.heuristic {
            true => tenth_since_change(answered),
            false => Self::NOTHING,
        }
    }

    const NOTHING: Self = Self::new(Basis::Nothing, Duration::ZERO);

    const fn new(basis: Basis, lifetime: Duration) -> Self {
        Self { basis, lifetime }
    }

    /// Whether the response itself states its lifetime.
    pub(super) fn is_explicit(self) -> bool {
        matches!(self.basis, Basis::Directive | Basis::Expires)
    }
}

/// Statuses that a cache may give a lifetime of its own (RFC 9110 §15.1), without 206.
pub(super) fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

/// The date that a field holds; `None` if it is absent, has several lines, or holds no HTTP-date.
pub(super) fn date_of(answered: &Answered, name: &HeaderName) -> Option<SystemTime> {
    let mut lines = answered.headers.get_all(name).iter();
    let only = lines.next().filter(|_| lines.next().is_none())?;
    date::parse_at(only.as_bytes(), answered.received_at)
}

/// When the origin says it made the message, or else when it came (RFC 9110 §6.6.1).
pub(super) fn generated_at(answered: &Answered) -> SystemTime {
    date_of(answered, &DATE).unwrap_or(answered.received_at)
}

/// RFC 9111 §4.2.1: "use its value minus the value of the Date response header field". §5.3: "A
/// cache recipient MUST interpret invalid date formats, especially the value "0", as representing a
/// time in the past (i.e., "already expired")."
fn until_expires(answered: &Answered) -> Duration {
    let expires = date_of(answered, &EXPIRES).unwrap_or(UNIX_EPOCH);
    expires
        .duration_since(generated_at(answered))
        .unwrap_or_default()
}

/// RFC 9111 §4.2.2: "caches are encouraged to use a heuristic expiration value that is no more than
/// some fraction of the interval since that time. A typical setting of this fraction might be 10%."
fn tenth_since_change(answered: &Answered) -> Granted {
    let unchanged = date_of(answered, &LAST_MODIFIED)
        .and_then(|changed| generated_at(answered).duration_since(changed).ok());
    match unchanged {
        Some(interval) => Granted::new(Basis::Heuristic, (interval / 10).min(HEURISTIC_MAX)),
        None => Granted::NOTHING,
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

fn whole_seconds(duration: Duration) -> u32 {
    let seconds = duration.min(DELTA_MAX).as_secs();
    // DELTA_MAX is 2^31.
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{any_headers, at, headers};
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

    fn granted(status: u16, lines: Lines, rules: &Rules) -> Granted {
        let headers = headers(lines);
        Granted::of(
            &answered(status, &headers),
            &Directives::parse(&headers),
            rules,
        )
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_strongest_word_sets_the_lifetime() {
        const EXPIRES_IN_30: (&str, &str) = ("expires", "Sun, 22 Nov 2026 06:00:30 GMT");
        #[rustfmt::skip]
        let rows: [(&str, Lines, u64); 16] = [
            ("§4.2.1", &[("cache-control", "max-age=60"), EXPIRES_IN_30], 60),
            ("§4.2.1", &[("cache-control", "max-age=60, s-maxage=5"), EXPIRES_IN_30], 5),
            ("§4.2.1", &[("cache-control", "s-maxage=x, max-age=60")], 0),
            ("§4.2.1", &[EXPIRES_IN_30], 30),
            ("§4.2.1", &[EXPIRES_IN_30, ("date", NOW)], 30),
            ("§4.2.1", &[EXPIRES_IN_30, ("date", "Sun, 22 Nov 2026 05:59:30 GMT")], 60),
            ("§4.2.1", &[EXPIRES_IN_30, ("date", "Sun, 22 Nov 2026 06:00:20 GMT")], 10),
            ("§4.2.1", &[EXPIRES_IN_30, ("date", "Sun, 22 Nov 2026 06:01:00 GMT")], 0),
            ("§4.2.1", &[EXPIRES_IN_30, ("date", "foo")], 30),
            ("§4.2.1", &[("expires", "Sunday, 22-Nov-26 06:00:30 GMT")], 30),
            ("§4.2.1", &[("expires", "Sun Nov 22 06:00:30 2026")], 30),
            ("§5.3", &[("expires", "0")], 0),
            ("§5.3", &[("expires", "Sun, 22 Nov 2026 06:00:30 UTC")], 0),
            ("§4.2.1", &[EXPIRES_IN_30, EXPIRES_IN_30], 0),
            ("§4.2.2", &[("last-modified", "Sun, 22 Nov 2026 05:50:00 GMT")], 0),
            ("§5.4", &[("pragma", "no-cache"), EXPIRES_IN_30], 30),
        ];
        for (section, lines, expected) in rows {
            let found = granted(200, lines, &Rules::default());
            assert_eq!(found.lifetime, secs(expected), "{section}: {lines:?}");
        }
    }

    #[test]
    fn without_an_explicit_lifetime_the_rules_may_grant_one() {
        const CHANGED: (&str, &str) = ("last-modified", "Sun, 22 Nov 2026 05:50:00 GMT");
        const LONG_AGO: (&str, &str) = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        let heuristic = Rules {
            heuristic: true,
            ..Rules::default()
        };
        let by_default = Rules {
            default_ttl: secs(120),
            ..heuristic.clone()
        };
        const NEVER: (&str, &str) = ("last-modified", "yesterday");
        const AHEAD: (&str, &str) = ("last-modified", "Sun, 22 Nov 2026 07:00:00 GMT");
        const DATE: (&str, &str) = ("date", "Sun, 22 Nov 2026 05:51:00 GMT");
        #[rustfmt::skip]
        let rows: [(&str, u16, Lines, &Rules, u64); 13] = [
            ("§4.2.2", 200, &[CHANGED], &heuristic, 60),
            ("§4.2.2", 200, &[CHANGED, DATE], &heuristic, 6),
            ("§4.2.2", 200, &[LONG_AGO], &heuristic, 24 * 3600),
            ("§4.2.2", 200, &[AHEAD], &heuristic, 0),
            ("§4.2.2", 200, &[NEVER], &heuristic, 0),
            ("§4.2.2", 403, &[CHANGED], &heuristic, 0),
            ("§4.2.2", 599, &[CHANGED, ("cache-control", "public")], &heuristic, 60),
            ("§4.2.2", 501, &[CHANGED], &heuristic, 60),
            ("§7.3", 200, &[CHANGED, ("set-cookie", "a=b")], &by_default, 0),
            ("RFC 9110 §15.1", 404, &[CHANGED], &by_default, 120),
            ("RFC 9110 §15.1", 503, &[], &by_default, 0),
            ("RFC 9110 §15.1", 302, &[], &by_default, 0),
            ("§4.2.1", 200, &[("cache-control", "max-age=1")], &by_default, 1),
        ];
        for (section, status, lines, rules, expected) in rows {
            let found = granted(status, lines, rules);
            assert_eq!(
                found.lifetime,
                secs(expected),
                "{section}: {status} {lines:?}"
            );
        }
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
            let (answered, directives) = (answered(200, &headers), Directives::parse(&headers));
            let granted = Granted::of(&answered, &directives, &Rules::default());
            let term = Term::begin(&answered, &directives, granted);
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
            let directives = Directives::parse(&headers);
            let rules = Rules { heuristic: true, ..Rules::default() };
            let granted = Granted::of(&answered, &directives, &rules);
            let term = Term::begin(&answered, &directives, granted).expired(time(born.into()));
            prop_assert!(term.age(time(now)).0 <= DELTA_MAX);
            prop_assert!(term.lifetime().0 <= DELTA_MAX);
        }
    }
}
