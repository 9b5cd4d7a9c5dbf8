//! What would become of a GET for a URL, and why: the journey as far as Lookup, told and not taken.
//!
//! The verdicts are those that the steps act upon; here they are put into words. Nothing is asked
//! of the origin, nothing is claimed, and no request is counted.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::HOST;
use http::{HeaderMap, HeaderValue};

use super::Site;
use super::deliver::{Excuse, outcome_of};
use super::next::Next;
use super::page::{BadUrl, Page};
use super::pass::Bypass;
use super::route::{Action, Route};
use crate::clock;
use crate::semantics::cache_status::{self, CacheStatus, Fwd};
use crate::semantics::facet::Facet;
use crate::semantics::vary::Selecting;
use crate::store::{Company, Found, Inspection, Object};
use crate::telemetry::{Forecast, Outcome};

/// Where the journey leads from Receive or Lookup.
enum Ahead {
    /// No site wants it.
    NoRoute,
    /// The route's own answer.
    Own,
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
        let keys = self.keys(page.scheme, &page.authority, &page.target);
        let key = keys.into_key().to_key();
        let bypass = route.and_then(|route| bypass(route, &fields));
        let caching = route.and_then(|route| route.caching.as_ref());
        let facet = caching.map_or(Facet::NONE, |caching| caching.reduce(&mut fields));
        let selecting = Selecting {
            headers: &fields,
            facet: &facet,
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

/// Why a GET without content would not be looked up on this route, if there is a reason.
fn bypass(route: &Route, fields: &HeaderMap) -> Option<Bypass> {
    match (&route.action, &route.caching) {
        (Action::Redirect(_) | Action::Answer(_), _) => None,
        (Action::Origin(_), None) => Some(Bypass::Disabled),
        (Action::Origin(_), Some(caching)) => caching.is_personal(fields).then_some(Bypass::Cookie),
    }
}

// === impl Ahead ===

impl Ahead {
    fn of(route: &Route, found: Found, fields: &HeaderMap, stored: &Inspection) -> Self {
        let Action::Origin(pool) = &route.action else {
            return Self::Own;
        };
        let next = Next::of(found, fields, || pool.is_sick(), stored.at);
        match (next.in_company(fields), &stored.company) {
            (Some(fwd), Company::Object(object)) => Self::Join(fwd, Arc::clone(object)),
            (Some(fwd), Company::Pending) => Self::Follow(fwd),
            _ => Self::Next(next),
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            Self::NoRoute | Self::Own => Outcome::Synth,
            Self::Pass(why) | Self::Next(Next::Pass(why)) => outcome_of(why.fwd()),
            Self::Join(_, object) if object.is_whole() => Outcome::Hit,
            Self::Join(..) | Self::Follow(_) => Outcome::Collapsed,
            Self::Next(Next::Hit(_)) => Outcome::Hit,
            Self::Next(Next::Stale(..)) => Outcome::Stale,
            Self::Next(Next::Renew(object)) if object.validators().can_validate() => {
                Outcome::Revalidated
            }
            Self::Next(Next::Renew(_) | Next::Replace(_)) => outcome_of(Fwd::Stale),
            Self::Next(Next::Withhold) => outcome_of(Fwd::Request),
            Self::Next(Next::Alone) => outcome_of(Fwd::UriMiss),
            Self::Next(Next::Ask(fwd)) => outcome_of(*fwd),
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
            Self::Pass(why) | Self::Next(Next::Pass(why)) => why.cache_status(),
            Self::Next(Next::Hit(_)) => CacheStatus::default(),
            Self::Join(_, object) if object.is_whole() => CacheStatus::default(),
            Self::Join(fwd, _) | Self::Follow(fwd) => CacheStatus {
                collapsed: true,
                ..forward(*fwd)
            },
            Self::Next(Next::Stale(object, excuse)) => {
                excuse.cache_status(Some(object.term().ttl_secs(now)))
            }
            Self::Next(Next::Renew(_) | Next::Replace(_)) => forward(Fwd::Stale),
            Self::Next(Next::Withhold) => forward(Fwd::Request),
            Self::Next(Next::Alone) => forward(Fwd::UriMiss),
            Self::Next(Next::Ask(fwd)) => forward(*fwd),
        };
        status.to_string()
    }

    fn why(&self, stored: &Inspection) -> String {
        match self {
            Self::NoRoute => "No site is for this host and path.".to_owned(),
            Self::Own => "The route answers by itself: no origin, no cache.".to_owned(),
            Self::Pass(why) | Self::Next(Next::Pass(why)) => why_passed(*why).to_owned(),
            Self::Next(Next::Alone) => why_alone(stored),
            Self::Next(Next::Ask(fwd)) => why_asked(*fwd).to_owned(),
            Self::Join(fwd, _) => {
                format!(
                    "{} Another request is bringing it, and shares it.",
                    why_asked(*fwd)
                )
            }
            Self::Follow(fwd) => {
                format!(
                    "{} Another request is asking: its answer is waited for.",
                    why_asked(*fwd)
                )
            }
            Self::Next(Next::Withhold) => "What is stored may not be given to a request with \
                Authorization, for it says neither public nor s-maxage nor must-revalidate."
                .to_owned(),
            Self::Next(
                Next::Hit(object)
                | Next::Stale(object, _)
                | Next::Renew(object)
                | Next::Replace(object),
            ) => self.why_by_age(object, stored.at),
        }
    }

    /// Why a stored response is used, or not, by its freshness.
    fn why_by_age(&self, object: &Object, now: SystemTime) -> String {
        let term = object.term();
        let left = term.lifetime().0.saturating_sub(term.age(now).0);
        let stale = secs(term.stale_for(now));
        let response = match term.is_expired() {
            true => "A soft-purged response",
            false => "A stored response",
        };
        match self {
            Self::Next(Next::Hit(_)) => {
                format!("A stored response is fresh for another {}.", secs(left))
            }
            Self::Next(Next::Stale(_, Excuse::Grace)) => format!(
                "{response} has been stale for {stale}, which is within its grace of {}: \
                 it is served at once and refreshed in the background.",
                secs(term.windows().while_revalidate())
            ),
            Self::Next(Next::Stale(..)) => format!(
                "{response} has been stale for {stale}; its origin cannot be reached, and \
                 for {} it may stand in for it.",
                secs(term.windows().if_error())
            ),
            Self::Next(Next::Renew(_)) if term.always_validate() => {
                "A stored response has to be confirmed by the origin each time.".to_owned()
            }
            Self::Next(Next::Renew(_)) => {
                format!(
                    "{response} has been stale for {stale}: {}",
                    of_renewal(object)
                )
            }
            _ => format!("What was stored has been stale for {stale}, too long to be of any use."),
        }
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
