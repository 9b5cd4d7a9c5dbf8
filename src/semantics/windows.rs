//! Windows of a stale response: grace, sick grace and keep (RFC 9111 §4.2.4, RFC 5861).
//!
//! Two begin together when freshness ends: in *grace* the response is served while it is refreshed,
//! in *sick grace* it stands in for an origin that fails. When both are over comes *keep*: it is only
//! something to be validated. Which one it is in is said in `stale.rs`.

use std::time::Duration;

use super::directives::{Directives, whole_seconds};
use super::judged::{Answered, Rules};
use super::lifetime::{Basis, Granted};

/// How long each use lasts, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    while_revalidate_secs: u32,
    if_error_secs: u32,
    keep_secs: u32,
}

// === impl Windows ===

impl Windows {
    /// What the response and the rules allow.
    pub(super) fn of(
        answered: &Answered,
        directives: &Directives,
        granted: Granted,
        rules: &Rules,
    ) -> Self {
        let keep_secs = whole_seconds(rules.keep);
        if !may_be_stale(answered, directives, granted, rules) {
            return Self {
                keep_secs,
                ..Self::default()
            };
        }
        // RFC 9111 §5.2.2.10: s-maxage forbids as proxy-revalidate does, by implication. That much
        // the operator may overrule without a `ttl`: sites that are built for one particular CDN
        // say `s-maxage=1, stale-while-revalidate=600` and mean it.
        let implied = directives.s_maxage.is_some() && granted.basis != Basis::Override;
        let is_error = answered.status.is_server_error();
        let stated = |stated: Option<Duration>, default| match stated {
            _ if implied => Duration::ZERO,
            Some(stated) => stated,
            // An error is no better than the error it would stand in for.
            None if is_error => Duration::ZERO,
            None => default,
        };
        let by_rule = rules.grace.filter(|_| !is_error);
        let grace = by_rule
            .unwrap_or_else(|| stated(directives.stale_while_revalidate, rules.default_grace));
        // What bounds how long an error is fresh bounds how long it is served when it no longer is.
        let grace = match (is_error, rules.error_ttl_max) {
            (true, Some(max)) => grace.min(max),
            _ => grace,
        };
        let if_error = match is_error {
            true => Duration::ZERO,
            false => rules
                .sick_grace
                .unwrap_or_else(|| stated(directives.stale_if_error, rules.stale_if_error)),
        };
        Self {
            while_revalidate_secs: whole_seconds(grace),
            if_error_secs: whole_seconds(if_error),
            keep_secs,
        }
    }

    /// Grace: how long it is served while it is refreshed.
    pub fn while_revalidate(&self) -> Duration {
        Duration::from_secs(self.while_revalidate_secs.into())
    }

    /// Sick grace: how long it stands in for an origin that fails. What may be served while all is
    /// well may be served when it is not.
    pub fn if_error(&self) -> Duration {
        let secs = self.if_error_secs.max(self.while_revalidate_secs);
        Duration::from_secs(secs.into())
    }

    /// Keep: how long it is something to be validated, when it may no longer be served.
    pub fn kept(&self) -> Duration {
        Duration::from_secs(self.keep_secs.into())
    }

    /// Until when it is worth keeping: an object lives for its lifetime, grace and keep.
    pub fn keep(&self) -> Duration {
        self.if_error() + self.kept()
    }
}

/// RFC 9111 §4.2.4: "A cache MUST NOT generate a stale response if it is prohibited by an explicit
/// in-protocol directive (e.g., by a no-cache response directive, a must-revalidate response
/// directive, or an applicable s-maxage or proxy-revalidate response directive". Nor is a response
/// without any lifetime: it has never been offered for reuse without the origin's word.
fn may_be_stale(
    answered: &Answered,
    directives: &Directives,
    granted: Granted,
    rules: &Rules,
) -> bool {
    let says_so = directives.must_revalidate || directives.proxy_revalidate;
    let forbidden =
        (says_so && !rules.lift_must_revalidate) || directives.no_cache.binds(answered.headers);
    match granted.basis {
        Basis::Override => true,
        Basis::Nothing => false,
        _ => !forbidden,
    }
}
