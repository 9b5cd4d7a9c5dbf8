//! Uses of a stale response at a moment (RFC 9111 §4.2.4, RFC 5861).
//!
//! How long each use lasts is in `windows.rs`. Who acts is the pipeline.

use std::time::SystemTime;

use http::StatusCode;

use super::freshness::Term;

/// The best that a stale response may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// Be served at once, while it is refreshed (RFC 5861 §3).
    WhileRevalidate,
    /// Be served if the origin fails (RFC 5861 §4).
    IfError,
    /// Be validated (RFC 9111 §4.3).
    Kept,
    /// Nothing: it is to be dropped.
    Over,
}

// === impl Term: stale ===

impl Term {
    /// The best that the response may do at `now`, once it is stale.
    pub fn stale(&self, now: SystemTime) -> Stale {
        let stale_for = self.stale_for(now);
        let windows = self.windows();
        match stale_for {
            _ if stale_for < windows.while_revalidate() => Stale::WhileRevalidate,
            _ if stale_for < windows.if_error() => Stale::IfError,
            _ if stale_for < windows.keep() => Stale::Kept,
            _ => Stale::Over,
        }
    }

    /// Whether it may be served at `now` in place of an error of this status: of the origin's own, or
    /// of the one that is made where no answer came.
    ///
    /// RFC 5861 §4: "an error is any situation that would result in a 500, 502, 503, or 504 HTTP
    /// response status code being returned."
    pub fn stands_in_for(&self, status: StatusCode, now: SystemTime) -> bool {
        let is_outage = matches!(status.as_u16(), 500 | 502..=504);
        is_outage && matches!(self.stale(now), Stale::WhileRevalidate | Stale::IfError)
    }

    /// Whether it may be served at `now`, when it has just come, without another look at its origin.
    pub fn is_servable(&self, now: SystemTime) -> bool {
        self.is_fresh(now) || self.stale(now) == Stale::WhileRevalidate
    }

    /// Whether requests that waited for it may have it too: what must be confirmed for every request
    /// is nobody else's (RFC 9111 §5.2.2.4).
    pub fn is_shareable(&self, now: SystemTime) -> bool {
        !self.always_validate() && self.is_servable(now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::judged::Rules;
    use super::super::testing::{at, headers, term_under};
    use super::*;

    const NOW: &str = "Sun, 22 Nov 2026 06:00:00 GMT";

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The operator's usual choice: sick grace and keep, but no grace.
    fn usual() -> Rules {
        Rules {
            stale_if_error: secs(3600),
            keep: secs(86_400),
            ..Rules::default()
        }
    }

    fn term(status: u16, cache_control: &str, rules: &Rules) -> Term {
        let headers = headers(&[("cache-control", cache_control)]);
        term_under(rules, status, &headers, at(NOW))
    }

    #[test]
    fn directives_and_rules_open_windows() {
        let graceful = Rules {
            default_grace: secs(10),
            ..usual()
        };
        let forced = Rules {
            grace: Some(secs(20)),
            ..usual()
        };
        let overriding = Rules {
            ttl: Some(secs(60)),
            ..graceful.clone()
        };
        let usual = usual();
        // (status, Cache-Control, rules, grace, sick grace)
        #[rustfmt::skip]
        let rows: [(&str, u16, &str, &Rules, u64, u64); 22] = [
            ("RFC 9111 §4.2.4", 200, "max-age=1", &usual, 0, 3600),
            ("RFC 5861 §3", 200, "max-age=1, stale-while-revalidate=5", &usual, 5, 3600),
            ("RFC 5861 §4", 200, "max-age=1, stale-if-error=7", &usual, 0, 7),
            ("RFC 5861 §4", 200, "max-age=1, stale-if-error=0", &usual, 0, 0),
            ("RFC 5861", 200, "max-age=1, stale-while-revalidate=9, stale-if-error=7", &usual, 9, 9),
            ("RFC 9111 §5.2.2.2", 200, "max-age=1, must-revalidate, stale-if-error=7", &usual, 0, 0),
            ("RFC 9111 §5.2.2.8", 200, "max-age=1, proxy-revalidate", &usual, 0, 0),
            ("RFC 9111 §5.2.2.4", 200, "no-cache, stale-while-revalidate=5", &usual, 0, 0),
            ("RFC 9111 §5.2.2.10", 200, "s-maxage=1", &usual, 0, 0),
            ("RFC 9111 §5.2.2.10", 200, "s-maxage=1, stale-while-revalidate=5", &usual, 0, 0),
            ("RFC 9111 §4.2.1", 200, "", &usual, 0, 0),
            ("an error stands in for none", 503, "max-age=1, stale-if-error=7", &usual, 0, 0),
            ("but may ask for grace", 503, "max-age=1, stale-while-revalidate=5", &usual, 5, 5),
            ("default_grace", 200, "max-age=1", &graceful, 10, 3600),
            ("default_grace", 200, "max-age=1, stale-while-revalidate=5", &graceful, 5, 3600),
            ("default_grace", 503, "max-age=1", &graceful, 0, 0),
            ("default_grace", 200, "s-maxage=1", &graceful, 0, 0),
            ("grace", 200, "max-age=1, stale-while-revalidate=5", &forced, 20, 3600),
            ("grace", 200, "s-maxage=1", &forced, 20, 20),
            ("grace", 200, "max-age=1, must-revalidate", &forced, 0, 0),
            ("ttl", 200, "no-cache, must-revalidate, s-maxage=0", &overriding, 10, 3600),
            ("RFC 9111 §1.2.2", 200, "max-age=1, stale-if-error=99999999999", &usual, 0, 1 << 31),
        ];
        for (why, status, line, rules, grace, sick_grace) in rows {
            let windows = *term(status, line, rules).windows();
            let found = (windows.while_revalidate(), windows.if_error());
            assert_eq!(
                found,
                (secs(grace), secs(sick_grace)),
                "{why}: {status} {line}"
            );
        }
    }

    #[test]
    fn windows_begin_when_freshness_ends() {
        let rules = Rules {
            keep: secs(100),
            ..Rules::default()
        };
        let term = term(
            200,
            "max-age=60, stale-while-revalidate=5, stale-if-error=10",
            &rules,
        );
        let after = |seconds| term.stale(at(NOW) + secs(seconds));
        assert_eq!(after(60), Stale::WhileRevalidate);
        assert_eq!(after(64), Stale::WhileRevalidate);
        assert_eq!(after(65), Stale::IfError);
        assert_eq!(after(70), Stale::Kept);
        assert_eq!(after(169), Stale::Kept);
        assert_eq!(after(170), Stale::Over);
        let purged = term.expired(at(NOW) + secs(20));
        assert_eq!(purged.stale(at(NOW) + secs(24)), Stale::WhileRevalidate);
        assert_eq!(purged.stale(at(NOW) + secs(130)), Stale::Over);
    }

    #[test]
    fn a_stale_response_stands_in_for_an_outage_alone() {
        let term = term(200, "max-age=60, stale-if-error=10", &usual());
        // (status, seconds after the response has come)
        for (status, after, expected) in [
            (500, 65, true),
            (502, 65, true),
            (503, 65, true),
            (504, 65, true),
            (501, 65, false),
            (404, 65, false),
            (429, 65, false),
            (503, 70, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let found = term.stands_in_for(status, at(NOW) + secs(after));
            assert_eq!(found, expected, "{status} after {after} s");
        }
    }
}
