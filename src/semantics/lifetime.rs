//! Freshness lifetime of a response, and on whose word (RFC 9111 §4.2.1, §4.2.2).
//!
//! Worked out once on arrival. What age makes of it stands in `freshness.rs`, what a stale response
//! is still good for in `stale.rs`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{DATE, EXPIRES, LAST_MODIFIED, SET_COOKIE};
use http::{HeaderName, StatusCode};

use super::date;
use super::directives::Directives;
use super::judged::{Answered, Rules};
use super::targeted::Governing;

/// A lifetime, and on whose word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) basis: Basis,
    pub(super) lifetime: Duration,
}

/// Where a lifetime comes from, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// The operator's `ttl`, whatever the response says.
    Override,
    /// `s-maxage` or `max-age`.
    Directive,
    /// Expires.
    Expires,
    /// The operator's `status_ttl` or `default_ttl`.
    Default,
    /// Last-Modified.
    Heuristic,
    /// Nothing: the lifetime is zero.
    Nothing,
}

// === impl Granted ===

impl Granted {
    /// The lifetime of a response that a shared cache receives.
    pub(super) fn of(answered: &Answered, governing: &Governing, rules: &Rules) -> Self {
        // An error is never held longer than it says itself because pages are.
        let is_error = answered.status.is_client_error() || answered.status.is_server_error();
        match rules.ttl {
            Some(ttl) if !is_error => Self::new(Basis::Override, ttl),
            _ => Self::stated(answered, governing, rules)
                .unwrap_or_else(|| Self::unstated(answered, &governing.directives, rules)),
        }
    }

    const NOTHING: Self = Self::new(Basis::Nothing, Duration::ZERO);

    const fn new(basis: Basis, lifetime: Duration) -> Self {
        Self { basis, lifetime }
    }

    /// What the response states itself.
    fn stated(answered: &Answered, governing: &Governing, rules: &Rules) -> Option<Self> {
        let directives = &governing.directives;
        // §5.2.2.10: s-maxage "overrides the maximum age specified by either the max-age directive
        // or the Expires header field". §5.3: max-age in turn overrides Expires.
        let mut stated = match directives.s_maxage.or(directives.max_age) {
            Some(lifetime) => Self::new(Basis::Directive, lifetime),
            // RFC 9213 §2.2: a targeted field makes the cache ignore "the Cache-Control and Expires
            // header fields in that response".
            None if governing.targeted => return None,
            None if answered.headers.contains_key(EXPIRES) => {
                Self::new(Basis::Expires, until_expires(answered))
            }
            None => return None,
        };
        if let Some(max) = rules.error_ttl_max
            && answered.status.is_server_error()
        {
            stated.lifetime = stated.lifetime.min(max);
        }
        Some(stated)
    }

    /// What a response gets that states nothing.
    fn unstated(answered: &Answered, directives: &Directives, rules: &Rules) -> Self {
        // A response that sets a cookie has said nothing of being for more than one user.
        if answered.headers.contains_key(SET_COOKIE) && !rules.drop_set_cookie {
            return Self::NOTHING;
        }
        let by_status = is_heuristically_cacheable(answered.status);
        let chosen = rules
            .status_ttl
            .iter()
            .find(|(statuses, _)| statuses.has(answered.status))
            .map(|(_, ttl)| *ttl);
        let default = chosen.or_else(|| by_status.then_some(rules.default_ttl));
        if let Some(ttl) = default.filter(|ttl| !ttl.is_zero()) {
            return Self::new(Basis::Default, ttl);
        }
        // §4.2.2: heuristics are for heuristically cacheable statuses and for responses that "have
        // been marked as explicitly cacheable (e.g., with a public response directive)".
        match (by_status || directives.public) && rules.heuristic && chosen.is_none() {
            true => tenth_since_change(answered, rules.heuristic_max),
            false => Self::NOTHING,
        }
    }

    /// Whether the response itself states its lifetime.
    pub(super) fn is_explicit(self) -> bool {
        matches!(self.basis, Basis::Directive | Basis::Expires)
    }

    /// Whether the operator gives the response its lifetime, whatever it states itself.
    pub(super) fn is_overridden(self) -> bool {
        self.basis == Basis::Override
    }

    /// Whether the operator gives the response its lifetime.
    pub(super) fn is_by_rule(self) -> bool {
        matches!(self.basis, Basis::Override | Basis::Default)
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
fn tenth_since_change(answered: &Answered, max: Duration) -> Granted {
    let unchanged = date_of(answered, &LAST_MODIFIED)
        .and_then(|changed| generated_at(answered).duration_since(changed).ok());
    match unchanged {
        Some(interval) => Granted::new(Basis::Heuristic, (interval / 10).min(max)),
        None => Granted::NOTHING,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::super::judged::Statuses;
    use super::super::testing::{at, headers};
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
            &Governing::of(&headers, &rules.targets),
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
    fn the_operator_may_set_bound_and_replace_lifetimes() {
        const A_MINUTE: (&str, &str) = ("cache-control", "max-age=60");
        let ttl = Rules {
            ttl: Some(secs(7)),
            ..Rules::default()
        };
        let by_status = Rules {
            status_ttl: vec![
                (Statuses::One(404), secs(10)),
                (Statuses::One(410), secs(0)),
                (Statuses::Class(4), secs(5)),
                (Statuses::Class(5), secs(1)),
            ],
            default_ttl: secs(120),
            ..Rules::default()
        };
        let capped = Rules {
            error_ttl_max: Some(secs(10)),
            ..Rules::default()
        };
        #[rustfmt::skip]
        let rows: [(&Rules, u16, Lines, u64); 17] = [
            (&ttl, 200, &[], 7),
            (&ttl, 200, &[A_MINUTE], 7),
            (&ttl, 301, &[("expires", "0")], 7),
            (&ttl, 404, &[A_MINUTE], 60),
            (&ttl, 404, &[], 0),
            (&ttl, 503, &[], 0),
            (&by_status, 404, &[], 10),
            (&by_status, 403, &[], 5),
            (&by_status, 410, &[], 0),
            (&by_status, 503, &[], 1),
            (&by_status, 200, &[], 120),
            (&by_status, 302, &[], 0),
            (&by_status, 404, &[A_MINUTE], 60),
            (&by_status, 404, &[("set-cookie", "a=b")], 0),
            (&capped, 503, &[A_MINUTE], 10),
            (&capped, 503, &[("cache-control", "max-age=3")], 3),
            (&capped, 404, &[A_MINUTE], 60),
        ];
        for (rules, status, lines, expected) in rows {
            let found = granted(status, lines, rules).lifetime;
            assert_eq!(found, secs(expected), "{status} {lines:?} {rules:?}");
        }
    }
}
