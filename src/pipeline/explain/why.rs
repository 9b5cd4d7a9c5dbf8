//! Forecast in words: why a request would be a hit, a miss or a pass.

use std::time::{Duration, SystemTime};

use super::ahead::Ahead;
use crate::pipeline::next::Next;
use crate::pipeline::reasons::{Bypass, Excuse};
use crate::semantics::cache_status::Fwd;
use crate::store::{Inspection, Object};

/// Why a request would go this way.
pub(super) fn told(ahead: &Ahead, stored: &Inspection) -> String {
    let shared = |fwd, how| format!("{} {how}", why_asked(fwd));
    match ahead {
        Ahead::NoRoute => "No site is for this host and path.".to_owned(),
        Ahead::Refused(why) => {
            format!(
                "The route's `path_form` does not take this path: {why}. It is answered with 400."
            )
        }
        Ahead::Own => "The route answers by itself: no origin, no cache.".to_owned(),
        Ahead::Ended(rule) => format!("By {rule} it is answered at once: no origin, no cache."),
        Ahead::Pass(Bypass::Rule(rule)) => format!("By {rule} it goes past the cache."),
        Ahead::Moved(to) => format!("A map of `redirects` sends it to {to}."),
        Ahead::Pass(why) => why_passed(*why).to_owned(),
        Ahead::Personal(cookie) => why_personal(cookie),
        Ahead::Join(fwd, _) => shared(*fwd, "Another request is bringing it, and shares it."),
        Ahead::Follow(fwd) => shared(*fwd, "Another request is asking: its answer is waited for."),
        Ahead::Next(next) => why_next(next, stored),
    }
}

/// Why this is what is to be done, by what the store has.
fn why_next(next: &Next, stored: &Inspection) -> String {
    match next {
        Next::OnlyIfCached => {
            "The request wants only what is stored, and nothing usable is.".to_owned()
        }
        Next::Pass { why, .. } => why_passed(*why).to_owned(),
        Next::Hit(object) | Next::Stale(object, _) | Next::Replace(object) => {
            why_by_age(next, object, stored.at)
        }
        Next::AskAlone {
            fwd: Fwd::Request,
            stale: None,
        } => {
            "What is stored may not be given to a request with Authorization, for it says neither \
              public nor s-maxage nor must-revalidate."
                .to_owned()
        }
        Next::AskAlone {
            fwd: Fwd::Request, ..
        } => "A stored response is fresh, but the request's own Cache-Control asks for one that \
              the origin has confirmed."
            .to_owned(),
        Next::Ask {
            stale: Some(object),
            ..
        }
        | Next::AskAlone {
            stale: Some(object),
            ..
        } => why_by_age(next, object, stored.at),
        Next::AskAlone { .. } if stored.hit_for_miss.is_some() => why_alone(stored),
        Next::Ask { fwd, .. } | Next::AskAlone { fwd, .. } => why_asked(*fwd).to_owned(),
    }
}

/// Why a stored response is used, or not, by its freshness.
fn why_by_age(next: &Next, object: &Object, now: SystemTime) -> String {
    let term = object.term();
    let left = term.lifetime().0.saturating_sub(term.age(now).0);
    let stale = secs(term.stale_for(now));
    let response = match term.is_expired() {
        true => "A soft-purged response",
        false => "A stored response",
    };
    match next {
        Next::Hit(_) => {
            format!("A stored response is fresh for another {}.", secs(left))
        }
        Next::Stale(_, Excuse::Grace) => format!(
            "{response} has been stale for {stale}, which is within its grace of {}: \
                 it is served at once and refreshed in the background.",
            secs(term.windows().while_revalidate())
        ),
        Next::Stale(_, Excuse::Accepted) => {
            format!("{response} has been stale for {stale}, which the request accepts.")
        }
        Next::Stale(..) => format!(
            "{response} has been stale for {stale}; its origin cannot be reached or \
                 lately took too long, and for {} it may stand in for it.",
            secs(term.windows().if_error())
        ),
        Next::AskAlone { .. } if term.always_validate() => {
            "A stored response has to be confirmed by the origin each time.".to_owned()
        }
        Next::Ask { .. } | Next::AskAlone { .. } => {
            format!(
                "{response} has been stale for {stale}: {}",
                of_renewal(object)
            )
        }
        _ => format!("What was stored has been stale for {stale}, too long to be of any use."),
    }
}

fn of_renewal(object: &Object) -> &'static str {
    match object.validators().can_validate() {
        true => "the origin is asked whether it is still right.",
        false => "the origin is asked anew, since there is no validator to ask by.",
    }
}

fn why_passed(why: Bypass) -> &'static str {
    match why {
        Bypass::Rule(_) => "A rule passes it.",
        Bypass::Disabled => "Caching is switched off on this route.",
        Bypass::Cookie => "The request has a cookie by which its answer may be somebody's own.",
        Bypass::Method => "The method is neither GET nor HEAD.",
        Bypass::RequestBody => "The request has content.",
        Bypass::Upgrade => "The client is to go on with another protocol.",
        Bypass::Range => "The route passes ranges on as long as nothing is stored.",
        Bypass::NotStored(_) => "The answer is not stored.",
        Bypass::Head { .. } => "Nothing is stored that answers a HEAD.",
    }
}

/// The name is a client's; a value would be its secret.
fn why_personal(cookie: &str) -> String {
    format!("By its cookie {cookie:?} the request is somebody's own, and so may be its answer.")
}

fn why_alone(stored: &Inspection) -> String {
    let left = secs(stored.hit_for_miss.unwrap_or_default());
    format!(
        "The last answer could not be shared. For another {left} requests do not wait for one \
         another, and each asks the origin by itself."
    )
}

fn why_asked(fwd: Fwd) -> &'static str {
    match fwd {
        Fwd::VaryMiss => "What is stored for this URL answers requests with other fields.",
        Fwd::Stale => "What is stored for this URL is stale.",
        _ => "Nothing is stored for this URL.",
    }
}

/// Whole seconds, as Age counts them.
fn secs(duration: Duration) -> String {
    match duration.as_secs() {
        1 => "1 second".to_owned(),
        secs => format!("{secs} seconds"),
    }
}
