//! Verdict on an arriving response, and the one door to http-cache-semantics.
//!
//! Our own reading of RFC 9111 decides (`storable.rs`, `freshness.rs`). The crate, a second reading
//! by other people, is asked as well; it gets the message in a canonical form that spares it what
//! it is known to misread, and where the two still differ, the stricter wins: of a refusal and a
//! consent the refusal, of two lifetimes the shorter. The test `differences` lists what the crate
//! makes of the same messages untouched, and why we don't follow it.

use std::fmt::Write;
use std::time::Duration;

use http::header::{AUTHORIZATION, CACHE_CONTROL, DATE, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_cache_semantics::{CacheOptions, CachePolicy};

use super::bent::Bent;
use super::date;
use super::directives::Directives;
use super::freshness::Term;
use super::lifetime::{Basis, Granted, date_of, generated_at, is_heuristically_cacheable};
use super::storable::{self, Storable, WhyNot};
use super::targeted::Governing;

pub use super::judged::{Answered, Asked, Rules, Statuses};

/// What the crate thinks of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Opinion {
    storable: bool,
    lifetime: Duration,
}

/// May this response be stored, for how long, or why not?
///
/// The request must not have had a Range: what may be made of its answer is a question of RFC 9111
/// §3.3. The response's hop-by-hop fields don't matter here.
pub fn judge(asked: &Asked, answered: &Answered, rules: &Rules) -> Storable {
    let governing = Governing::of(answered.headers, &rules.targets);
    let mut granted = Granted::of(answered, &governing, rules);
    let directives = &governing.directives;
    let forbidden = storable::forbidden(asked, answered, directives, granted, rules)
        .or_else(|| storable::unshared(&governing, rules));
    if let Some(why) = forbidden {
        return Storable::No(why);
    }
    let opinion = Opinion::of(asked, answered, directives, granted, rules);
    if !opinion.storable {
        return Storable::No(WhyNot::SecondOpinion);
    }
    granted.lifetime = granted.lifetime.min(opinion.lifetime);
    let term = Term::begin(answered, directives, granted, rules);
    match storable::worthless(answered, directives, &term, rules) {
        Some(why) => Storable::No(why),
        None => Storable::Yes(term.with(Bent::of(asked, answered, directives, rules))),
    }
}

// === impl Opinion ===

impl Opinion {
    fn of(
        asked: &Asked,
        answered: &Answered,
        directives: &Directives,
        granted: Granted,
        rules: &Rules,
    ) -> Self {
        let options = CacheOptions {
            shared: true,
            // RFC 8246 §2 gives `immutable` no lifetime of its own.
            immutable_min_time_to_live: Duration::ZERO,
            ..CacheOptions::default()
        };
        let request = canonical_request(asked, rules);
        let response = canonical_response(answered, directives, granted);
        let received_at = answered.received_at;
        let policy = CachePolicy::new_options(&request, &response, received_at, options);
        // Without an Age field, what is left of the lifetime on arrival is all of it.
        Self {
            storable: policy.is_storable(),
            lifetime: policy.time_to_live(received_at),
        }
    }
}

/// The request, reduced to what bears on storing.
fn canonical_request(asked: &Asked, rules: &Rules) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = asked.method.clone();
    let headers = request.headers_mut();
    if asked.headers.contains_key(AUTHORIZATION) && !rules.share_authorized {
        headers.insert(AUTHORIZATION, HeaderValue::from_static("present"));
    }
    request
}

/// The response, reduced to what the crate reads rightly.
///
/// Age is left out, since the crate overflows on a great one and we count it ourselves; Set-Cookie
/// and Vary too, since the rules and `vary.rs` have settled them.
fn canonical_response(
    answered: &Answered,
    directives: &Directives,
    granted: Granted,
) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = canonical_status(answered.status, directives, granted);
    let headers = response.headers_mut();
    let cache_control = canonical_cache_control(answered, directives, granted);
    if let Ok(value) = HeaderValue::try_from(cache_control) {
        headers.insert(CACHE_CONTROL, value);
    }
    headers.insert(DATE, date::format(generated_at(answered)));
    match granted.basis {
        Basis::Expires => insert_date(headers, answered, EXPIRES),
        Basis::Heuristic => insert_date(headers, answered, LAST_MODIFIED),
        Basis::Override | Basis::Directive | Basis::Default | Basis::Nothing => {}
    }
    response
}

/// RFC 9111 §3 lets any final status be stored that comes with a lifetime or `public`, and the
/// operator may give one to the rest; the crate knows some statuses and refuses all others, so for
/// such a response it is told 200.
fn canonical_status(status: StatusCode, directives: &Directives, granted: Granted) -> StatusCode {
    let explicit = granted.is_explicit() || granted.is_by_rule() || directives.public;
    match explicit && !is_heuristically_cacheable(status) {
        true => StatusCode::OK,
        false => status,
    }
}

/// The directives that the crate reads rightly, in lower case, each once.
fn canonical_cache_control(
    answered: &Answered,
    directives: &Directives,
    granted: Granted,
) -> String {
    let no_store = directives.no_store && !storable::is_understood(answered.status, directives);
    // The operator's `ttl` silences what the response says of its freshness.
    let heard = granted.basis != Basis::Override;
    let no_cache = directives.no_cache.binds(answered.headers);
    let flags = [
        ("no-store", no_store),
        ("no-cache", no_cache && heard),
        ("private", directives.private.binds(answered.headers)),
        ("public", directives.public),
        ("must-revalidate", directives.must_revalidate && heard),
    ];
    // The crate knows no lifetime by rule, so it is told what the operator grants.
    let by_rule = granted.is_by_rule().then_some(granted.lifetime);
    let deltas = [
        ("max-age", by_rule.or(directives.max_age)),
        ("s-maxage", directives.s_maxage.filter(|_| heard)),
    ];
    // Writing to a String cannot fail.
    let mut text = String::new();
    for (name, _) in flags.into_iter().filter(|(_, present)| *present) {
        let _ = write!(text, "{name},");
    }
    for (name, delta) in deltas {
        if let Some(delta) = delta {
            let _ = write!(text, "{name}={},", delta.as_secs());
        }
    }
    text
}

/// Passes a date on as an IMF-fixdate, and what is no date as `0`.
fn insert_date(headers: &mut HeaderMap, answered: &Answered, name: HeaderName) {
    let value = match date_of(answered, &name) {
        Some(time) => date::format(time),
        None => HeaderValue::from_static("0"),
    };
    headers.insert(name, value);
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::SystemTime;

    use WhyNot::{
        Authorization, Method as WrongMethod, NoCacheWithoutValidator, NoFreshness, NoStore,
        Private, SetCookie, StaleOnArrival, VaryStar,
    };
    use http::Method;
    use proptest::prelude::*;

    use super::super::testing::{any_headers, at, headers};
    use super::*;

    const NOW: &str = "Sun, 22 Nov 2026 06:00:00 GMT";

    type Lines = &'static [(&'static str, &'static str)];

    /// Storable or not, and the seconds of lifetime.
    type Theirs = (bool, u64);

    /// In place of a verdict of the crate: it panics.
    const PANIC: Theirs = (false, u64::MAX);

    /// One message that the crate and we read differently, and why.
    struct Difference {
        why: &'static str,
        method: Method,
        status: u16,
        response: Lines,
        rules: Rules,
        theirs: Theirs,
        /// The seconds of lifetime, or why it isn't stored.
        ours: Result<u64, WhyNot>,
    }

    impl Difference {
        fn under(self, rules: Rules) -> Self {
            Self { rules, ..self }
        }

        fn of(self, method: Method, status: u16) -> Self {
            Self {
                method,
                status,
                ..self
            }
        }
    }

    fn differ(
        why: &'static str,
        response: Lines,
        theirs: Theirs,
        ours: Result<u64, WhyNot>,
    ) -> Difference {
        Difference {
            why,
            method: Method::GET,
            status: 200,
            response,
            rules: Rules::default(),
            theirs,
            ours,
        }
    }

    const A_MINUTE: (&str, &str) = ("cache-control", "max-age=60");
    const A_PUBLIC_MINUTE: (&str, &str) = ("cache-control", "public, max-age=60");
    const IN_A_MINUTE: (&str, &str) = ("expires", "Sun, 22 Nov 2026 06:01:00 GMT");
    const AN_HOUR_AGO: &str = "Sun, 22 Nov 2026 05:00:00 GMT";

    fn guessing() -> Rules {
        Rules {
            heuristic: true,
            ..Rules::default()
        }
    }

    fn storing() -> Rules {
        Rules {
            store_set_cookie: true,
            ..Rules::default()
        }
    }

    fn granting() -> Rules {
        Rules {
            default_ttl: Duration::from_secs(120),
            ..Rules::default()
        }
    }

    #[rustfmt::skip]
    fn all_differences() -> Vec<Difference> {
        vec![
            differ("RFC 9111 §5.2: directives are compared case-insensitively",
                &[("cache-control", "PRIVATE, max-age=60")], (true, 60), Err(Private)),
            differ("RFC 9111 §5.2: directives are compared case-insensitively",
                &[("cache-control", "No-StOrE, max-age=60")], (true, 60), Err(NoStore)),
            differ("RFC 9111 §5.2: an argument may be a string with commas",
                &[("cache-control", "x=\"a, no-store, b\", max-age=60")], (false, 0), Ok(60)),
            differ("RFC 9111 §1.2.2: a number beyond the representable is 2^31",
                &[("cache-control", "max-age=99999999999999999999")], (true, 0), Ok(1 << 31)),
            differ("RFC 9111 §5.2.2.7: qualified private forbids the fields alone",
                &[("cache-control", "private=\"x\", max-age=60")], (false, 0), Ok(60)),
            differ("RFC 9111 §5.2.2.4: qualified no-cache forbids the fields alone",
                &[("cache-control", "no-cache=\"x\", max-age=60")], (true, 0), Ok(60)),
            differ("RFC 9111 §5.2.2.8: proxy-revalidate speaks of stale responses",
                &[("cache-control", "max-age=60, proxy-revalidate")], (true, 0), Ok(60)),
            differ("RFC 9111 §5.2.2.3: must-understand silences no-store",
                &[("cache-control", "max-age=60, no-store, must-understand")], (false, 0), Ok(60)),
            differ("RFC 8246 §2: immutable states no lifetime",
                &[("cache-control", "immutable"), ("etag", "\"a\"")], (true, 86_400), Ok(0)),
            differ("RFC 9111 §5.4: Pragma means nothing in a response",
                &[("pragma", "no-cache"), IN_A_MINUTE], (true, 0), Ok(60)),
            differ("RFC 9110 §5.6.7: an HTTP-date has three forms",
                &[("expires", "Sunday, 22-Nov-26 06:01:00 GMT")], (true, 0), Ok(60)),
            differ("RFC 9110 §5.6.7: an HTTP-date has three forms",
                &[("expires", "Sun Nov 22 06:01:00 2026")], (true, 0), Ok(60)),
            differ("RFC 9110 §5.6.7: and no other form",
                &[("expires", "Sun, 22 Nov 2026 07:01:00 +0100")], (true, 60), Err(NoFreshness)),
            differ("RFC 9111 §4.2.1: of two Expires lines the response is stale",
                &[IN_A_MINUTE, ("expires", "0")], (true, 60), Err(NoFreshness)),
            differ("RFC 9111 §4.2.3: the age counts from Date too",
                &[A_MINUTE, ("date", AN_HOUR_AGO)], (true, 60), Err(StaleOnArrival)),
            differ("RFC 9111 §5.1: of a list of ages the first",
                &[A_MINUTE, ("age", "60, 0")], (true, 60), Err(StaleOnArrival)),
            differ("RFC 9111 §1.2.2: an age beyond the representable is 2^31",
                &[A_MINUTE, ("age", "18446744073709551615")], PANIC, Err(StaleOnArrival)),
            differ("RFC 9111 §4.1: Vary: * in any place never matches",
                &[A_MINUTE, ("vary", "a, *")], (true, 60), Err(VaryStar)),
            differ("RFC 9111 §3: what has neither lifetime nor validator is not useful to store",
                &[], (true, 0), Err(NoFreshness)),
            differ("RFC 9111 §5.2.2.4: no-cache without a validator can never be used",
                &[("cache-control", "no-cache")], (true, 0), Err(NoCacheWithoutValidator)),
            differ("RFC 9111 §7.3: cookies are stored by rule, not by `public`",
                &[A_PUBLIC_MINUTE, ("set-cookie", "a=b")], (true, 60), Err(SetCookie)),
            differ("RFC 9111 §7.3: cookies are stored by rule, not by `public`",
                &[A_MINUTE, ("set-cookie", "a=b")], (true, 0), Ok(60)).under(storing()),
            differ("the operator's default lifetime",
                &[], (true, 0), Ok(120)).under(granting()),
            differ("heuristics are the operator's choice",
                &[("last-modified", "Sun, 22 Nov 2026 05:50:00 GMT")], (true, 60), Ok(0)),
            differ("a guessed lifetime ends after a day",
                &[("last-modified", "Fri, 14 Aug 2026 06:00:00 GMT")], (true, 864_000), Ok(86_400))
                .under(guessing()),
            differ("RFC 9111 §3: any final status with a lifetime",
                &[A_MINUTE], (false, 0), Ok(60)).of(Method::GET, 299),
            differ("RFC 9111 §3: any final status with a lifetime",
                &[A_MINUTE], (false, 0), Ok(60)).of(Method::GET, 503),
            differ("a HEAD has no body to store",
                &[A_MINUTE], (true, 60), Err(WrongMethod)).of(Method::HEAD, 200),
            differ("RFC 9110 §9.3.3: a POST answers a GET only with Content-Location",
                &[A_MINUTE], (true, 60), Err(WrongMethod)).of(Method::POST, 200),
        ]
    }

    /// What the crate makes of the message untouched.
    fn their_verdict(row: &Difference) -> Theirs {
        let mut request = Request::new(());
        *request.method_mut() = row.method.clone();
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(row.status).expect("a status");
        *response.headers_mut() = headers(row.response);
        let judged = AssertUnwindSafe(|| {
            let options = CacheOptions::default();
            let policy = CachePolicy::new_options(&request, &response, at(NOW), options);
            // What overflows does so only once the response has been kept for a while.
            let _ = policy.age(at(NOW) + Duration::from_secs(1));
            (policy.is_storable(), policy.time_to_live(at(NOW)).as_secs())
        });
        catch_unwind(judged).unwrap_or(PANIC)
    }

    fn our_verdict(row: &Difference) -> Result<u64, WhyNot> {
        let status = StatusCode::from_u16(row.status).expect("a status");
        let asked = Asked {
            method: &row.method,
            headers: &headers(&[]),
        };
        let headers = headers(row.response);
        let (requested_at, received_at) = (at(NOW), at(NOW));
        let answered = Answered {
            status,
            headers: &headers,
            requested_at,
            received_at,
        };
        match judge(&asked, &answered, &row.rules) {
            Storable::Yes(term) => Ok(term.lifetime().secs()),
            Storable::No(why) => Err(why),
        }
    }

    #[test]
    fn differences() {
        for row in all_differences() {
            assert_eq!(their_verdict(&row), row.theirs, "theirs: {}", row.why);
            assert_eq!(our_verdict(&row), row.ours, "ours: {}", row.why);
        }
    }

    /// Any exchange around [`NOW`].
    fn any_exchange() -> impl Strategy<Value = (Method, HeaderMap, StatusCode, HeaderMap, Rules)> {
        let method = proptest::sample::select(vec![Method::GET, Method::HEAD, Method::POST]);
        let status = (100_u16..1000).prop_map(|code| StatusCode::from_u16(code).expect("a status"));
        let known = proptest::sample::select(vec![StatusCode::OK, StatusCode::FOUND]);
        let rules =
            (0..200_u64, any::<bool>(), any::<bool>()).prop_map(|(ttl, heuristic, cookie)| {
                let default_ttl = Duration::from_secs(ttl.saturating_sub(100));
                Rules {
                    default_ttl,
                    heuristic,
                    store_set_cookie: cookie,
                    ..Rules::default()
                }
            });
        (
            method,
            any_headers(),
            prop_oneof![status, known],
            any_headers(),
            rules,
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn no_exchange_panics(
            (method, request, status, response, rules) in any_exchange(),
            requested: u64,
            received: u64,
        ) {
            let time = |secs| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(secs));
            let requested_at = time(requested).unwrap_or(SystemTime::UNIX_EPOCH);
            let received_at = time(received).unwrap_or(SystemTime::UNIX_EPOCH);
            let asked = Asked { method: &method, headers: &request };
            let answered = Answered { status, headers: &response, requested_at, received_at };
            let _ = judge(&asked, &answered, &rules);
        }

        /// The canonical form leaves the crate nothing to misread: it never overrules us, and it
        /// refuses what we refuse for a reason that it knows.
        #[test]
        fn the_two_opinions_agree_on_canonical_messages(
            (method, request, status, response, rules) in any_exchange(),
        ) {
            let asked = Asked { method: &method, headers: &request };
            let (requested_at, received_at) = (at(NOW), at(NOW));
            let answered = Answered { status, headers: &response, requested_at, received_at };
            let governing = Governing::of(&response, &rules.targets);
            let directives = governing.directives.clone();
            let granted = Granted::of(&answered, &governing, &rules);
            let opinion = Opinion::of(&asked, &answered, &directives, granted, &Rules::default());
            let forbidden = storable::forbidden(&asked, &answered, &directives, granted, &rules);
            match forbidden {
                None => {
                    prop_assert!(opinion.storable);
                    let term = Term::begin(&answered, &directives, granted, &rules);
                    // Before 1970 no date can be written.
                    let writable = generated_at(&answered) >= SystemTime::UNIX_EPOCH;
                    prop_assert!(!writable || opinion.lifetime >= term.lifetime().0);
                }
                Some(NoStore | Private | Authorization) => {
                    prop_assert!(!opinion.storable);
                }
                Some(_) => {}
            }
        }
    }
}
