//! What would become of a GET for a URL, and why: the journey as far as Lookup, told and not taken.
//!
//! The verdicts are those that the steps act upon; here they are put into words. Nothing is asked
//! of the origin, nothing is claimed, and no request is counted.

mod forecast;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method};

use crate::clock;
use crate::pipeline::Site;
use crate::pipeline::next::{Asker, Next, wants_stored_only};
use crate::pipeline::page::{BadUrl, Page};
use crate::pipeline::route::{Action, Route};
use crate::pipeline::step::deliver::{Excuse, outcome_of};
use crate::pipeline::step::pass::Bypass;
use crate::semantics::cache_status::{self, CacheStatus, Fwd};
use crate::semantics::facet::Facet;
use crate::semantics::key::{Key, KeyBuf};
use crate::semantics::vary::Selecting;
use crate::store::{Company, Found, Inspection, Object};
use crate::telemetry::Outcome;
pub use forecast::Forecast;

/// Where the journey leads from Receive or Lookup.
enum Ahead {
    /// No site wants it.
    NoRoute,
    /// The route's own answer.
    Own,
    /// A refusal: only what is stored is wanted.
    Refused,
    /// Past the cache.
    Pass(Bypass),
    /// With what another request has brought meanwhile.
    Join(Fwd, Arc<Object>),
    /// Waiting for another request's answer.
    Follow(Fwd),
    /// By what the store has.
    Next(Next),
}

// === impl Site ===

impl Site {
    /// What would become of a GET for `url` with these `fields`, and what the store knows of it.
    ///
    /// # Errors
    /// [`BadUrl`] when `url` is not an absolute http or https URL.
    pub fn explain(
        &self,
        url: &str,
        mut fields: HeaderMap,
    ) -> Result<(Forecast, Inspection), BadUrl> {
        let page = Page::parse(url)?;
        // Every request has one, and a response may vary by it.
        let host = HeaderValue::try_from(&page.authority).map_err(|_| BadUrl)?;
        fields.entry(HOST).or_insert(host);
        let route = self.routes.find(&page.authority, page.path());
        let key = self.key(page.scheme, &page.authority, &page.target);
        let bypass = route.and_then(|route| bypass(route, &fields));
        let facet = route.map_or(Facet::NONE, |route| route.caching.reduce(&mut fields));
        let selecting = Selecting {
            headers: &fields,
            facet: &facet,
        };
        let key = match route.is_some_and(|route| route.caching.no_vary_search) {
            true => self.place_of(&key, &selecting),
            false => key.to_key(),
        };
        let (found, stored) = self.store.inspect(&key, &selecting, clock::now());
        let ahead = match (route, bypass) {
            (None, _) => Ahead::NoRoute,
            (Some(_), Some(why)) => Ahead::Pass(why),
            (Some(route), None) => Ahead::of(route, found, &fields, &stored),
        };
        let forecast = Forecast {
            key: key.display().to_string(),
            handler: route.map(|route| route.told()),
            outcome: ahead.outcome(),
            cache_status: ahead.cache_status(stored.at),
            why: ahead.why(&stored),
        };
        Ok((forecast, stored))
    }
}

impl Site {
    /// Where the response for a key lies: under an equivalent one, if there is none under its own.
    fn place_of(&self, key: &KeyBuf, selecting: &Selecting) -> Key {
        let find = |key: &[u8]| self.store.find(key, selecting, clock::now());
        if let Found::Absent { .. } = find(key)
            && let Some((place, word)) = self.store.equivalent(key)
            && let Found::Object(object) = find(place.as_ref())
            && object.says(&word)
        {
            return place;
        }
        key.to_key()
    }
}

/// Why a GET without content would not be looked up on this route, if there is a reason.
fn bypass(route: &Route, fields: &HeaderMap) -> Option<Bypass> {
    match &route.action {
        Action::Redirect(_) | Action::Answer(_) => None,
        Action::Origin(_) if !route.caching.enabled => Some(Bypass::Disabled),
        Action::Origin(_) => {
            let is_personal = route.caching.is_personal(fields);
            is_personal.then_some(Bypass::Cookie)
        }
    }
}

// === impl Ahead ===

impl Ahead {
    fn of(route: &Route, found: Found, fields: &HeaderMap, stored: &Inspection) -> Self {
        let Action::Origin(pool) = &route.action else {
            return Self::Own;
        };
        let asker = Asker {
            method: &Method::GET,
            fields,
            caching: &route.caching,
            now: stored.at,
        };
        let next = asker.decide(found, || pool.is_sick());
        if next.asks() && wants_stored_only(fields) {
            return Self::Refused;
        }
        match (&next, &stored.company) {
            (Next::Ask { fwd, .. }, Company::Object(object)) => {
                Self::Join(*fwd, Arc::clone(object))
            }
            (Next::Ask { fwd, .. }, Company::Pending) => Self::Follow(*fwd),
            _ => Self::Next(next),
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            Self::NoRoute | Self::Own | Self::Refused => Outcome::Synth,
            Self::Pass(why) => outcome_of(why.fwd()),
            Self::Join(_, object) if object.is_whole() => Outcome::Hit,
            Self::Join(..) | Self::Follow(_) => Outcome::Collapsed,
            Self::Next(next) => match next {
                Next::Hit(_) => Outcome::Hit,
                Next::Stale(..) => Outcome::Stale,
                Next::Pass { why, .. } => outcome_of(why.fwd()),
                Next::Replace(_) => outcome_of(Fwd::UriMiss),
                Next::Ask {
                    stale: Some(object),
                    ..
                }
                | Next::AskAlone {
                    stale: Some(object),
                    ..
                } if object.validators().can_validate() => Outcome::Revalidated,
                Next::Ask { fwd, .. } | Next::AskAlone { fwd, .. } => outcome_of(*fwd),
            },
        }
    }

    /// What is known of this hop's member before the origin has answered.
    fn cache_status(&self, now: SystemTime) -> String {
        let forward = |fwd| CacheStatus {
            fwd: Some(fwd),
            ..CacheStatus::default()
        };
        let status = match self {
            Self::NoRoute => return own("no-route"),
            Self::Own => return own("synth"),
            Self::Refused => return own("only-if-cached"),
            Self::Pass(why) | Self::Next(Next::Pass { why, .. }) => why.cache_status(),
            Self::Next(Next::Hit(_)) => CacheStatus::default(),
            Self::Join(_, object) if object.is_whole() => CacheStatus::default(),
            Self::Join(fwd, _) | Self::Follow(fwd) => CacheStatus {
                collapsed: true,
                ..forward(*fwd)
            },
            Self::Next(Next::Stale(object, excuse)) => excuse.over(CacheStatus {
                ttl: Some(object.term().ttl_secs(now)),
                detail: Some(excuse.detail()),
                ..CacheStatus::default()
            }),
            Self::Next(Next::Replace(_)) => forward(Fwd::UriMiss),
            Self::Next(Next::Ask { fwd, .. } | Next::AskAlone { fwd, .. }) => forward(*fwd),
        };
        status.to_string()
    }

    fn why(&self, stored: &Inspection) -> String {
        let shared = |fwd, how| format!("{} {how}", why_asked(fwd));
        match self {
            Self::NoRoute => "No site is for this host and path.".to_owned(),
            Self::Own => "The route answers by itself: no origin, no cache.".to_owned(),
            Self::Refused => {
                "The request wants only what is stored, and nothing usable is.".to_owned()
            }
            Self::Pass(why) => why_passed(*why).to_owned(),
            Self::Join(fwd, _) => shared(*fwd, "Another request is bringing it, and shares it."),
            Self::Follow(fwd) => {
                shared(*fwd, "Another request is asking: its answer is waited for.")
            }
            Self::Next(next) => why_next(next, stored),
        }
    }
}

/// Why this is what is to be done, by what the store has.
fn why_next(next: &Next, stored: &Inspection) -> String {
    match next {
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
            "{response} has been stale for {stale}; its origin cannot be reached, and \
                 for {} it may stand in for it.",
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

/// The member of an answer of our own.
fn own(detail: &'static str) -> String {
    String::from_utf8_lossy(cache_status::own(detail).as_bytes()).into_owned()
}

fn of_renewal(object: &Object) -> &'static str {
    match object.validators().can_validate() {
        true => "the origin is asked whether it is still right.",
        false => "the origin is asked anew, since there is no validator to ask by.",
    }
}

fn why_passed(why: Bypass) -> &'static str {
    match why {
        Bypass::Disabled => "Caching is switched off on this route.",
        Bypass::Cookie => {
            "The request has cookies that are no part of the key, so its answer may be somebody's \
             own."
        }
        Bypass::HitForMiss => {
            "Lately no answer could be shared, so the range is passed on to the origin."
        }
        Bypass::Method => "The method is neither GET nor HEAD.",
        Bypass::RequestBody => "The request has content.",
        Bypass::Range => "The route passes ranges on as long as nothing is stored.",
        Bypass::Head => "Nothing is stored that answers a HEAD.",
    }
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
