//! Explanation of a URL: what would become of a GET for it, and why. The journey as far as Lookup, told
//! and not taken.
//!
//! The verdicts are those that the steps act upon; here they are put into words. Nothing is asked
//! of the origin, nothing is claimed, and no request is counted.

mod ahead;
mod forecast;
mod rules;
mod why;

use std::net::{IpAddr, Ipv4Addr};

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method};

use super::asking::Asking;
use super::dispatch::Dispatch;
use super::exchange::Spelling;
use super::locate::Located;
use super::locator::Locator;
use super::next::{Asker, Next};
use super::reasons::Bypass;
use super::route::rules::Number;
use super::route::{Destination, Route, describe};
use super::ruled::{KeyPart, Ruled, with_parts};
use super::site::Site;
use super::values::Values;
use crate::clock;
use crate::semantics::facet::Facet;
use crate::semantics::key::KeyBuf;
use crate::semantics::path_form::{Normal, divide};
use crate::semantics::reference::{BadUrl, Target};
use crate::semantics::vary::Selecting;
use crate::store::{Found, Inspection};
use ahead::Ahead;
pub use forecast::{Forecast, RuleSeen};
use rules::Seen;

/// An address that no client has: of an imagined request nobody knows who makes it.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Where a request would be led, and by what it would be looked up.
struct Led {
    key: KeyBuf,
    destination: Option<Destination>,
    /// How its path and that of its key differ, where origins would see the former.
    spelling: Option<Box<Spelling>>,
    /// What rules would make of it.
    seen: Seen,
    /// What they would add to its key.
    parts: Vec<KeyPart>,
    /// What would become of it before anything is looked up.
    at_once: Option<Ahead>,
}

// === impl Site ===

impl Site {
    /// What would become of a request for `url` with these `fields`, by this method and without content,
    /// and what the store knows of it.
    ///
    /// # Errors
    /// [`BadUrl`] when `url` is not an absolute http or https URL.
    pub fn explain(
        &self,
        method: &Method,
        url: &str,
        mut fields: HeaderMap,
    ) -> Result<(Forecast, Inspection), BadUrl> {
        let target = Target::parse(url)?;
        // Every request has one, and a response may vary by it.
        let host = HeaderValue::try_from(&target.authority).map_err(|_| BadUrl)?;
        fields.entry(HOST).or_insert(host);
        let Led {
            key,
            destination,
            spelling,
            seen,
            parts,
            at_once,
        } = self.lead(method, &target, &fields);
        let mut locator = Locator::new(key);
        let mut facet = Facet::NONE;
        let (ahead, stored) = match (at_once, &destination) {
            (Some(ahead), _) => (ahead, self.inspect(&locator, &fields)),
            (None, None) => (Ahead::NoRoute, self.inspect(&locator, &fields)),
            (None, Some(Destination::Own(_))) => (Ahead::Own, self.inspect(&locator, &fields)),
            (None, Some(Destination::Origin(id))) => {
                let route = &self.routes[*id];
                let asked = (&**route, &seen.matched[..], &parts[..]);
                let spelt = spelling.as_ref();
                let spelt = spelt.map(|it| (&it.normal, divide(&target.path_and_query).0));
                let foreseen = self.foresee(asked, method, &mut locator, &mut fields, spelt);
                facet = foreseen.0;
                (foreseen.1, foreseen.2)
            }
        };
        let forecast = Forecast {
            key: locator.key().to_key().display().to_string(),
            key_parts: facet.in_words(),
            handler: destination.as_ref().map(|it| describe(&self.routes, it)),
            rules: seen.rules,
            outcome: ahead.outcome(),
            cache_status: ahead.cache_status(&self.hop, stored.at),
            why: why::told(&ahead, &stored),
        };
        Ok((forecast, stored))
    }

    /// The same way as Receive takes it.
    fn lead(&self, method: &Method, target: &Target, fields: &HeaderMap) -> Led {
        let Target {
            scheme,
            authority,
            path_and_query,
        } = target;
        let (located, refusal) = match self.locate(*scheme, authority, path_and_query) {
            Ok(located) => (located, None),
            Err(why) => {
                let key = self.key_of(*scheme, authority, path_and_query);
                (Located::nowhere(key), Some(why))
            }
        };
        let (destination, spelling) = (located.destination, located.spelling);
        let seen_as = spelling.as_ref().map(|it| it.normal.target.as_str());
        let asking = Asking {
            method: method.as_str(),
            scheme: *scheme,
            authority,
            target: seen_as.unwrap_or(path_and_query),
            fields,
            client: NOBODY,
        };
        let redirects = self.redirects(destination);
        let moved = redirects.and_then(|it| it.find(asking.target));
        let moved = moved.map(|(_, to)| Ahead::Moved(to));
        let at_once = refusal.map(Ahead::Refused).or(moved);
        let seen = match at_once {
            None => rules::foresee(self, destination, &asking),
            Some(_) => Seen::default(),
        };
        let parts = seen
            .ruled(self, destination)
            .key_parts(&Values::asked(&asking));
        let destination = seen.destination(self, destination);
        let (key, spelling) = match &seen.target {
            Some(target) => {
                let key = self.key(destination.as_ref(), *scheme, authority, target);
                (key, None)
            }
            None => (located.key, spelling.filter(|it| it.is_sent)),
        };
        Led {
            key,
            destination,
            spelling,
            parts,
            at_once: at_once.or(seen.end.map(Ahead::Ended)),
            seen,
        }
    }

    /// What lies under a key that no request is looked up by.
    fn inspect(&self, locator: &Locator, fields: &HeaderMap) -> Inspection {
        let selecting = Selecting {
            headers: fields,
            facet: &Facet::NONE,
        };
        let key = locator.key().to_key();
        self.store.inspect(&key, &selecting, clock::now()).1
    }

    /// The same way as Receive and Lookup take it.
    fn foresee(
        &self,
        (route, matched, parts): (&Route, &[Number], &[KeyPart]),
        method: &Method,
        locator: &mut Locator,
        fields: &mut HeaderMap,
        spelt: Option<(&Normal, &str)>,
    ) -> (Facet, Ahead, Inspection) {
        let now = clock::now();
        let ruled = Ruled::new(route.scope.rules.as_deref(), matched);
        route.pool.take_sticky(fields, now);
        let dispatch = Dispatch::of(&route.caching, method, fields, false, ruled);
        let named = |name| String::from_utf8_lossy(name).into_owned();
        let cookie = route.caching.personal(fields).map(named);
        let mut facet = with_parts(route.caching.reduce(fields), parts);
        if let Some((normal, path)) = spelt {
            let selecting = Selecting {
                headers: fields,
                facet: &facet,
            };
            let found = locator.find(&self.store, &selecting, now);
            if !(normal.is_equivalent && matches!(found, Found::Object(_))) {
                facet = facet.with_spelling(path);
            }
        }
        let selecting = Selecting {
            headers: fields,
            facet: &facet,
        };
        if route.caching.no_vary_search {
            locator.find_or_move(&self.store, &selecting, now);
        }
        let key = locator.key().to_key();
        let (found, stored) = self.store.inspect(&key, &selecting, now);
        let ahead = match dispatch {
            Dispatch::Pass(Bypass::Cookie) => Ahead::Personal(cookie.unwrap_or_default()),
            Dispatch::Pass(why) => Ahead::Pass(why),
            Dispatch::OnlyIfCached => Ahead::Next(Next::OnlyIfCached),
            Dispatch::Lookup | Dispatch::Query => {
                let sick = || route.pool.is_sick() || self.store.is_hanging(locator.key(), now);
                let asker = Asker {
                    method,
                    fields,
                    caching: &route.caching,
                    refreshes: ruled.refreshes(),
                    now,
                };
                Ahead::of(&asker, locator.for_this_uri(found), &stored, sick)
            }
        };
        (facet, ahead, stored)
    }
}
