//! Conditions for storing a response (RFC 9111 §3, §3.5), each with its reason, never a mere bool.
//!
//! The verdict is put together in `policy.rs`; here is each condition beside its sentence.

use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};

use super::conditional::Validators;
use super::directives::Directives;
use super::freshness::{Freshness, Term};
use super::judged::{Answered, Asked, Rules};
use super::lifetime::{Granted, is_heuristically_cacheable};
use super::targeted::Governing;
use super::vary::Vary;

/// The verdict on an arriving response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storable {
    /// It may be stored, for this term.
    Yes(Term),
    /// It may not, or it isn't worth it.
    No(WhyNot),
}

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhyNot {
    /// The request wasn't a GET (RFC 9111 §3).
    Method,
    /// The status is not cacheable by itself, and nothing said that this response is (§3), or the
    /// response asked to be understood and is not (§5.2.2.3).
    Status,
    /// The request said `no-store` (§5.2.1.5), and requests are obeyed.
    RequestNoStore,
    /// The response said `no-store` (§5.2.2.5).
    NoStore,
    /// The response said `private` (§5.2.2.7).
    Private,
    /// The request carried Authorization, and the response didn't allow that (§3.5).
    Authorization,
    /// The response sets a cookie (§7.3), and the rules don't store that.
    SetCookie,
    /// The request had cookies that are not in the key, and the response doesn't say that it is for
    /// many all the same.
    NotPublic,
    /// The response varies by more than the request (§4.1).
    VaryStar,
    /// It is a stream of events, which has no end, and states no lifetime itself.
    EventStream,
    /// It has neither a lifetime nor a validator, so it could never be used.
    NoFreshness,
    /// It is stale already (§4.2) and has no validator.
    StaleOnArrival,
    /// It said `no-cache` (§5.2.2.4) and has no validator.
    NoCacheWithoutValidator,
    /// It is a part of a representation (§3.3).
    Partial,
    /// It is a 304, not a representation (§4.3.3).
    NotModified,
    /// http-cache-semantics, asked for a second opinion, refused.
    SecondOpinion,
    /// Its body is larger than an object may be.
    TooLarge,
    /// Its head is larger than an object's may be.
    HeadTooLarge,
    /// It has more tags than an object may have, so that no purge by tag could be sure of it.
    TooManyTags,
    /// The memory for objects on their way in is used up.
    NoRoom,
    /// A rule of the operator's says so.
    Rule,
}

// === impl WhyNot ===

impl WhyNot {
    /// Every reason, in order.
    pub const ALL: [Self; 21] = [
        Self::Method,
        Self::Status,
        Self::RequestNoStore,
        Self::NoStore,
        Self::Private,
        Self::Authorization,
        Self::SetCookie,
        Self::NotPublic,
        Self::VaryStar,
        Self::EventStream,
        Self::NoFreshness,
        Self::StaleOnArrival,
        Self::NoCacheWithoutValidator,
        Self::Partial,
        Self::NotModified,
        Self::SecondOpinion,
        Self::TooLarge,
        Self::HeadTooLarge,
        Self::TooManyTags,
        Self::NoRoom,
        Self::Rule,
    ];

    /// Whether other requests for the same will likely fare the same: then none is worth waiting
    /// for. Want of room is a matter of the moment; a method, credentials and
    /// directives are one client's.
    pub fn lasts(self) -> bool {
        !matches!(
            self,
            Self::NoRoom | Self::Method | Self::Authorization | Self::RequestNoStore
        )
    }

    /// The reason as one token (RFC 9651 §3.3.4), for Cache-Status, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Status => "status",
            Self::RequestNoStore => "request-no-store",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::NotPublic => "not-public",
            Self::VaryStar => "vary-star",
            Self::EventStream => "event-stream",
            Self::NoFreshness => "no-freshness",
            Self::StaleOnArrival => "stale-on-arrival",
            Self::NoCacheWithoutValidator => "no-cache-without-validator",
            Self::Partial => "partial",
            Self::NotModified => "not-modified",
            Self::SecondOpinion => "second-opinion",
            Self::TooLarge => "too-large",
            Self::HeadTooLarge => "head-too-large",
            Self::TooManyTags => "too-many-tags",
            Self::NoRoom => "no-room",
            Self::Rule => "rule",
        }
    }
}

/// Why the exchange may not be stored at all, whatever the lifetime it was granted.
pub(super) fn forbidden(
    asked: &Asked,
    answered: &Answered,
    directives: &Directives,
    granted: Granted,
    rules: &Rules,
) -> Option<WhyNot> {
    by_request(asked, directives, rules)
        .or_else(|| by_status(answered.status, directives, granted))
        .or_else(|| by_response(answered, directives, granted, rules))
}

/// Why it is not worth storing: it could never be used, neither fresh nor stale nor by validating
/// it.
pub(super) fn worthless(
    answered: &Answered,
    directives: &Directives,
    term: &Term,
    rules: &Rules,
) -> Option<WhyNot> {
    let fresh = matches!(
        term.freshness(answered.received_at),
        Freshness::Fresh { .. }
    );
    let windows = term.windows();
    let kept = !windows.keep().is_zero() && Validators::of(answered.headers).can_validate();
    // Grace alone is reason enough, if somebody has asked for it in so many words.
    let offered = directives.stale_while_revalidate.is_some()
        || directives.stale_if_error.is_some()
        || rules.grace.is_some();
    if fresh || kept || (offered && !windows.if_error().is_zero()) {
        return None;
    }
    Some(match term.lifetime().secs() {
        _ if directives.no_cache.binds(answered.headers) => WhyNot::NoCacheWithoutValidator,
        0 => WhyNot::NoFreshness,
        _ => WhyNot::StaleOnArrival,
    })
}

/// Whether `must-understand` speaks and this status is understood, which silences `no-store`.
///
/// RFC 9111 §5.2.2.3: "When a cache that implements the must-understand directive receives a
/// response that includes it, the cache SHOULD ignore the no-store directive if it understands and
/// implements the status code's caching requirements."
pub(super) fn is_understood(status: StatusCode, directives: &Directives) -> bool {
    let known = is_heuristically_cacheable(status)
        || matches!(
            status.as_u16(),
            201 | 202 | 302 | 303 | 307 | 400 | 403 | 500 | 502..=504
        );
    directives.must_understand && known
}

fn by_request(asked: &Asked, directives: &Directives, rules: &Rules) -> Option<WhyNot> {
    // RFC 9111 §3: "the request method is understood by the cache".
    if asked.method != Method::GET {
        return Some(WhyNot::Method);
    }
    // Request directives "are advisory; a cache MAY implement them, but is not required to"
    // (§5.2.1): before an origin they would let any client switch the cache off.
    // §3.5: "A shared cache MUST NOT use a cached response to a request with an Authorization
    // header field to satisfy any subsequent request unless the response contains a Cache-Control
    // field with a response directive that allows it to be stored by a shared cache".
    let is_refused = rules.is_personal(asked.headers) && !directives.allow_authorized();
    is_refused.then_some(WhyNot::Authorization)
}

fn by_status(status: StatusCode, directives: &Directives, granted: Granted) -> Option<WhyNot> {
    match status.as_u16() {
        206 => return Some(WhyNot::Partial),
        304 => return Some(WhyNot::NotModified),
        // RFC 9111 §3: "the response status code is final".
        ..200 => return Some(WhyNot::Status),
        _ => {}
    }
    // §3: "if the response status code is 206 or 304, or the must-understand cache directive (see
    // Section 5.2.2.3) is present: the cache understands the response status code".
    let misunderstood = directives.must_understand && !is_understood(status, directives);
    // §3: "the response contains at least one of" public, Expires, max-age, s-maxage, "a status
    // code that is defined as heuristically cacheable".
    let cacheable = granted.is_explicit()
        || granted.is_by_rule()
        || directives.public
        || is_heuristically_cacheable(status);
    (misunderstood || !cacheable).then_some(WhyNot::Status)
}

fn by_response(
    answered: &Answered,
    directives: &Directives,
    granted: Granted,
    rules: &Rules,
) -> Option<WhyNot> {
    // RFC 9111 §3: "the no-store cache directive is not present in the response".
    if directives.no_store && !is_understood(answered.status, directives) {
        return Some(WhyNot::NoStore);
    }
    // §3: "if the cache is shared: the private response directive is either not present or allows a
    // shared cache to store a modified response".
    if directives.private.binds(answered.headers) {
        return Some(WhyNot::Private);
    }
    // §7.3: "Servers that wish to control caching of these responses are encouraged to emit
    // appropriate Cache-Control response header fields." Not all do; one that has not said how long
    // it may be used has not said that it is for more than one user.
    let controlled = granted.is_explicit() || granted.is_overridden();
    let may_set_cookie =
        rules.drop_set_cookie || (rules.store_set_cookie && controlled && !rules.shared_only);
    if answered.headers.contains_key(SET_COOKIE) && !may_set_cookie {
        return Some(WhyNot::SetCookie);
    }
    // What the operator gives to pages is not meant for a stream: it is of use to its client alone.
    if is_event_stream(answered.headers) && !granted.is_explicit() {
        return Some(WhyNot::EventStream);
    }
    // §4.1: "A stored response with a Vary header field value containing a member "*" always fails
    // to match."
    (Vary::of(answered.headers) == Vary::Star).then_some(WhyNot::VaryStar)
}

/// Why it is not for many: it was made for a request with cookies that are not in the key, and does not
/// say that those make no difference. That much only a word to shared caches says: `public`,
/// `s-maxage`, or a targeted field (RFC 9213).
pub(super) fn unshared(governing: &Governing, rules: &Rules) -> Option<WhyNot> {
    let directives = &governing.directives;
    let is_public = directives.public || directives.s_maxage.is_some() || governing.targeted;
    (rules.shared_only && !is_public).then_some(WhyNot::NotPublic)
}

/// The media type of server-sent events (HTML Living Standard §9.2).
fn is_event_stream(response: &HeaderMap) -> bool {
    const NAME: &[u8] = b"text/event-stream";
    let value = response
        .get(CONTENT_TYPE)
        .map_or(&[][..], |it| it.as_bytes());
    let name = value.split(|byte| *byte == b';').next().unwrap_or_default();
    name.trim_ascii().eq_ignore_ascii_case(NAME)
}

/// Whether an answer says something of the resource, and not of one request or of the origin's
/// state: only then may it change what is known of the resource.
pub fn speaks_of_resource(status: StatusCode) -> bool {
    let blames_request = matches!(
        status.as_u16(),
        400 | 401 | 403 | 405..=408 | 411..=417 | 421 | 425 | 428 | 429 | 431
    );
    !status.is_server_error() && !blames_request
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use http::header::CACHE_CONTROL;
    use http::{HeaderMap, HeaderValue};

    use super::super::testing::{at, headers};
    use super::*;

    const NOW: &str = "Sun, 22 Nov 2026 06:00:00 GMT";

    type Lines = &'static [(&'static str, &'static str)];

    /// (section, status, Cache-Control and other fields of the response, verdict)
    type Row = (&'static str, u16, &'static str, Lines, Option<WhyNot>);

    /// What both conditions together make of an exchange.
    fn why_not(asked: &Asked, status: u16, response: &HeaderMap, rules: &Rules) -> Option<WhyNot> {
        let status = StatusCode::from_u16(status).expect("a status");
        let (requested_at, received_at) = (at(NOW), at(NOW));
        let answered = Answered {
            status,
            headers: response,
            requested_at,
            received_at,
        };
        let governing = Governing::of(response, &rules.targets);
        let directives = &governing.directives;
        let granted = Granted::of(&answered, &governing, rules);
        let term = Term::begin(&answered, directives, granted, rules);
        forbidden(asked, &answered, directives, granted, rules)
            .or_else(|| worthless(&answered, directives, &term, rules))
    }

    /// The fields of `lines`, with a Cache-Control unless that is empty.
    fn response(cache_control: &'static str, lines: Lines) -> HeaderMap {
        let mut response = headers(lines);
        if !cache_control.is_empty() {
            response.insert(CACHE_CONTROL, HeaderValue::from_static(cache_control));
        }
        response
    }

    #[test]
    fn responses_are_stored_or_told_why_not() {
        use WhyNot::{
            NoCacheWithoutValidator, NoFreshness, NoStore, NotModified, Partial, Private,
            SetCookie, StaleOnArrival, Status, VaryStar,
        };
        const TAG: Lines = &[("etag", "\"a\"")];
        #[rustfmt::skip]
        let rows: [Row; 36] = [
            ("§3", 200, "max-age=60", &[], None),
            ("§3", 299, "max-age=60", &[], None),
            ("§3", 302, "s-maxage=60", &[], None),
            ("§3", 503, "", &[("expires", "Sun, 22 Nov 2026 06:01:00 GMT")], None),
            ("§3", 599, "max-age=60", &[], None),
            ("§3", 302, "", TAG, Some(Status)),
            ("§3", 500, "", TAG, Some(Status)),
            ("§3", 302, "public", TAG, None),
            ("§3", 103, "max-age=60", &[], Some(Status)),
            ("§3.3", 206, "max-age=60", &[], Some(Partial)),
            ("§3.3", 200, "max-age=60", &[("content-range", "bytes 0-1/2")], None),
            ("§4.3.3", 304, "max-age=60", &[], Some(NotModified)),
            ("§5.2.2.5", 200, "max-age=60, no-store", &[], Some(NoStore)),
            ("§5.2.2.5", 200, "max-age=60, No-Store", TAG, Some(NoStore)),
            ("§5.2.2.3", 200, "max-age=60, no-store, must-understand", &[], None),
            ("§5.2.2.3", 599, "max-age=60, no-store, must-understand", &[], Some(Status)),
            ("§5.2.2.3", 599, "max-age=60, must-understand", &[], Some(Status)),
            ("§5.2.2.7", 200, "max-age=60, private", &[], Some(Private)),
            ("§5.2.2.7", 200, "max-age=60, public, private", &[], Some(Private)),
            ("§5.2.2.7", 200, "max-age=60, private=\"a\"", &[], None),
            ("§7.3", 200, "max-age=60, public", &[("set-cookie", "a=b")], Some(SetCookie)),
            ("§5.2.2.7", 200, "max-age=60, private=\"a\"", &[("a", "1")], Some(Private)),
            ("§4.1", 200, "max-age=60", &[("vary", "a, *")], Some(VaryStar)),
            ("§4.1", 200, "max-age=60", &[("vary", "a")], None),
            ("§3", 200, "", &[], Some(NoFreshness)),
            ("§3", 200, "", TAG, None),
            ("§3", 200, "", &[("last-modified", NOW)], None),
            ("§3", 200, "", &[("last-modified", "yesterday")], Some(NoFreshness)),
            ("§4.2.1", 200, "max-age=0", &[], Some(NoFreshness)),
            ("§4.2.1", 200, "max-age=0", TAG, None),
            ("§5.3", 200, "", &[("expires", "0")], Some(NoFreshness)),
            ("§4.2", 200, "max-age=60", &[("age", "60")], Some(StaleOnArrival)),
            ("§4.2", 200, "max-age=60", &[("age", "59")], None),
            ("§4.2", 200, "max-age=60", &[("age", "60"), ("etag", "\"a\"")], None),
            ("§5.2.2.4", 200, "max-age=60, no-cache", &[], Some(NoCacheWithoutValidator)),
            ("§5.2.2.4", 200, "no-cache", TAG, None),
        ];
        let asked = Asked {
            method: &Method::GET,
            headers: &headers(&[]),
        };
        for (section, status, directives, lines, expected) in rows {
            let found = why_not(
                &asked,
                status,
                &response(directives, lines),
                &Rules::default(),
            );
            assert_eq!(
                found, expected,
                "{section}: {status} {directives} {lines:?}"
            );
        }
    }

    #[test]
    fn requests_have_a_say() {
        use WhyNot::{Authorization, Method as WrongMethod};
        const BASIC: Lines = &[("authorization", "Basic Zm9v")];
        const NO_STORE: Lines = &[("cache-control", "no-store")];
        const NO_CACHE: Lines = &[("cache-control", "no-cache")];
        #[rustfmt::skip]
        let rows: [(&str, &str, Lines, &str, Option<WhyNot>); 10] = [
            ("§3", "HEAD", &[], "max-age=60", Some(WrongMethod)),
            ("§3", "POST", &[], "max-age=60", Some(WrongMethod)),
            ("§3", "get", &[], "max-age=60", Some(WrongMethod)),
            ("§5.2.1", "GET", NO_STORE, "max-age=60", None),
            ("§5.2.1", "GET", NO_CACHE, "max-age=60", None),
            ("§3.5", "GET", BASIC, "max-age=60", Some(Authorization)),
            ("§3.5", "GET", BASIC, "proxy-revalidate", Some(Authorization)),
            ("§3.5", "GET", BASIC, "max-age=60, public", None),
            ("§3.5", "GET", BASIC, "max-age=60, must-revalidate", None),
            ("§3.5", "GET", BASIC, "s-maxage=60", None),
        ];
        for (section, method, request, directives, expected) in rows {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let asked = Asked {
                method: &method,
                headers: &headers(request),
            };
            let answer = Directives::parse(&response(directives, &[]));
            assert_eq!(
                by_request(&asked, &answer, &Rules::default()),
                expected,
                "{section}: {directives}"
            );
        }
    }

    #[test]
    fn the_rules_have_a_say() {
        use WhyNot::{EventStream, Private, SetCookie, Status};
        let asked = Asked {
            method: &Method::GET,
            headers: &headers(&[]),
        };
        let storing = Rules {
            store_set_cookie: true,
            ..Rules::default()
        };
        let overriding = Rules {
            ttl: Some(Duration::from_secs(60)),
            ..storing.clone()
        };
        let by_default = Rules {
            default_ttl: Duration::from_secs(60),
            ..Rules::default()
        };
        #[rustfmt::skip]
        let rows: [(&Rules, Row); 10] = [
            (&storing, ("§7.3", 200, "max-age=60", &[("set-cookie", "a=b")], None)),
            (&storing, ("§7.3", 200, "", &[("set-cookie", "a=b"), ("etag", "\"1\"")], Some(SetCookie))),
            (&storing, ("§7.3", 200, "public", &[("set-cookie", "a=b"), ("etag", "\"1\"")], Some(SetCookie))),
            (&overriding, ("§7.3", 200, "", &[("set-cookie", "a=b")], None)),
            (&overriding, ("events", 200, "", &[("content-type", "text/event-stream")], Some(EventStream))),
            (&by_default, ("events", 200, "", &[("content-type", "Text/Event-Stream; charset=utf-8")], Some(EventStream))),
            (&by_default, ("events", 200, "max-age=60", &[("content-type", "text/event-stream")], None)),
            (&by_default, ("RFC 9110 §15.1", 404, "", &[], None)),
            (&by_default, ("RFC 9110 §15.1", 500, "", &[], Some(Status))),
            (&by_default, ("§5.2.2.7", 200, "private", &[], Some(Private))),
        ];
        for (rules, (section, status, directives, lines, expected)) in rows {
            let found = why_not(&asked, status, &response(directives, lines), rules);
            assert_eq!(
                found, expected,
                "{section}: {status} {directives} {lines:?}"
            );
        }
    }

    #[test]
    fn every_reason_has_its_own_token() {
        let tokens: HashSet<_> = WhyNot::ALL.iter().map(|why| why.as_str()).collect();
        assert_eq!(tokens.len(), WhyNot::ALL.len());
        let plain = |token: &&str| token.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(tokens.iter().all(plain), "{tokens:?}");
    }
}
