//! Key of a target, and where a request for it leads: the one place where the spelling of a path meets
//! routes.
//!
//! Routes are found by the normal form of a path, or a rule for `/admin/*` would not see
//! `/files/../admin/`. A route may have spellings told apart after that (`as-is`), and then both must
//! lead to it.

use super::exchange::Spelling;
use super::route::{Destination, Route};
use super::site::Site;
use crate::semantics::key::{KeyBuf, Scheme};
use crate::semantics::path_form::{self, Look, Normal, PathForm, divide};

/// What a target comes to.
pub(super) struct Located<'a> {
    /// Of the target in the form that its route sees.
    pub(super) key: KeyBuf,
    /// `None` where it leads nowhere.
    pub(super) destination: Option<&'a Destination>,
    /// How that form and the client's differ, if they do.
    pub(super) spelling: Option<Box<Spelling>>,
}

// === impl Located ===

impl Located<'_> {
    /// What has this key leads nowhere.
    pub(super) fn nowhere(key: KeyBuf) -> Self {
        Self {
            key,
            destination: None,
            spelling: None,
        }
    }
}

// === impl Site ===

impl Site {
    /// The key of a target (path and query) for a host in normal form, and where a request for it
    /// leads, if anywhere.
    ///
    /// # Errors
    /// Why its path is refused, as a token.
    pub(super) fn locate(
        &self,
        scheme: Scheme,
        authority: &str,
        target: &str,
    ) -> Result<Located<'_>, &'static str> {
        let path = match divide(target).0 {
            // `OPTIONS *` is about the host as a whole.
            "*" => "/",
            path => path,
        };
        let look = Look::at(path);
        if look.is_respelt {
            return self.locate_respelt(scheme, authority, target, look);
        }
        let destination = self.routes.find(authority, path);
        if let Some(destination) = destination.filter(|_| !look.is_plain()) {
            self.check(destination, look, None)?;
        }
        Ok(Located {
            key: self.key(destination, scheme, authority, target),
            destination,
            spelling: None,
        })
    }

    /// The key by which something is purged or explained, although no request for it may be served.
    pub(super) fn key_of(&self, scheme: Scheme, authority: &str, target: &str) -> KeyBuf {
        match self.locate(scheme, authority, target) {
            Ok(located) => located.key,
            Err(_) => KeyBuf::new(scheme, authority, target),
        }
    }

    /// The same for a target that is not in normal form.
    fn locate_respelt(
        &self,
        scheme: Scheme,
        authority: &str,
        target: &str,
        look: Look,
    ) -> Result<Located<'_>, &'static str> {
        let normal = path_form::normal(target);
        let seen = normal.as_ref().map_or(target, |it| &*it.target);
        let destination = self.routes.find(authority, divide(seen).0);
        let form = match destination {
            Some(destination) => self.check(destination, look, normal.as_ref())?,
            None => PathForm::Normalize,
        };
        if form == PathForm::AsIs {
            let by_client = self.routes.find(authority, divide(target).0);
            if !self.routes.are_same(by_client, destination) {
                return Err("two-routes");
            }
            return Ok(Located {
                key: self.key(destination, scheme, authority, target),
                destination,
                spelling: None,
            });
        }
        Ok(Located {
            key: self.key(destination, scheme, authority, seen),
            destination,
            spelling: normal.map(|normal| {
                let is_sent = form == PathForm::Normalize && !self.strips_prefix(destination);
                Box::new(Spelling { normal, is_sent })
            }),
        })
    }

    /// Refuses what the route does not take.
    fn check(
        &self,
        destination: &Destination,
        look: Look,
        normal: Option<&Normal>,
    ) -> Result<PathForm, &'static str> {
        let rule = self.routes.scope(destination).path_rule;
        match rule.refusal(look, normal) {
            Some(why) => Err(why),
            None => Ok(rule.form),
        }
    }

    /// A target that is not the client's, in the form that is seen by what leads there.
    pub(super) fn as_seen_at(&self, destination: Option<&Destination>, target: String) -> String {
        let form = destination.map(|it| self.routes.scope(it).path_rule.form);
        match path_form::normal(&target) {
            Some(normal) if form != Some(PathForm::AsIs) => normal.target,
            _ => target,
        }
    }

    /// The key of a request that leads there, if it asks for `target`.
    pub(super) fn key(
        &self,
        destination: Option<&Destination>,
        scheme: Scheme,
        authority: &str,
        target: &str,
    ) -> KeyBuf {
        match self.route_of(destination) {
            Some(route) => KeyBuf::with_rule(scheme, authority, target, &route.caching.query),
            None => KeyBuf::new(scheme, authority, target),
        }
    }

    /// A prefix is cut from the normal form, which has it.
    fn strips_prefix(&self, destination: Option<&Destination>) -> bool {
        let route = self.route_of(destination);
        route.is_some_and(|it| it.strip_prefix.is_some())
    }

    fn route_of(&self, destination: Option<&Destination>) -> Option<&Route> {
        match destination? {
            Destination::Origin(id) => Some(&*self.routes[*id]),
            Destination::Own(_) => None,
        }
    }
}
