//! Forecast of a request: where its journey leads from Receive or Lookup, and what its log line and
//! Cache-Status would say.

use std::sync::Arc;
use std::time::SystemTime;

use crate::pipeline::next::{Asker, Next};
use crate::pipeline::reasons::{Bypass, outcome_of};
use crate::semantics::cache_status::{self, CacheStatus, Fwd};
use crate::semantics::hop::Hop;
use crate::store::{Company, Found, Inspection, Object};
use crate::telemetry::Outcome;

/// Where the journey leads from Receive or Lookup.
pub(super) enum Ahead {
    /// No site wants it.
    NoRoute,
    /// The route does not take its path, by this token.
    Refused(&'static str),
    /// The route's own answer.
    Own,
    /// To where a map says.
    Moved(String),
    /// Past the cache.
    Pass(Bypass),
    /// The same because of a cookie, of this name.
    Personal(String),
    /// With what another request has brought meanwhile.
    Join(Fwd, Arc<Object>),
    /// A rule answers; what Cache-Status calls it.
    Ended(&'static str),
    /// Waiting for another request's answer.
    Follow(Fwd),
    /// By what the store has.
    Next(Next),
}

// === impl Ahead ===

impl Ahead {
    /// By what was `found`; `sick` tells whether the origin cannot be asked in good time.
    pub(super) fn of(
        asker: &Asker,
        found: Found,
        stored: &Inspection,
        sick: impl FnOnce() -> bool,
    ) -> Self {
        let next = asker.decide(found, sick);
        match (&next, &stored.company) {
            (Next::Ask { fwd, .. }, Company::Object(object)) => {
                Self::Join(*fwd, Arc::clone(object))
            }
            (Next::Ask { fwd, .. }, Company::Pending) => Self::Follow(*fwd),
            _ => Self::Next(next),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::NoRoute | Self::Refused(_) | Self::Own | Self::Moved(_) | Self::Ended(_) => {
                Outcome::Synth
            }
            Self::Pass(why) => outcome_of(why.fwd()),
            Self::Personal(_) => outcome_of(Bypass::Cookie.fwd()),
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
                Next::OnlyIfCached => Outcome::Synth,
            },
        }
    }

    /// What is known of this hop's member before the origin has answered.
    pub(super) fn cache_status(&self, hop: &Hop, now: SystemTime) -> String {
        let forward = |fwd| CacheStatus {
            fwd: Some(fwd),
            ..CacheStatus::default()
        };
        let status = match self {
            Self::NoRoute => return own(hop, "no-route"),
            Self::Refused(why) => return own(hop, why),
            Self::Own => return own(hop, "synth"),
            Self::Ended(detail) => return own(hop, detail),
            Self::Moved(_) => return own(hop, "moved"),
            Self::Next(Next::OnlyIfCached) => return own(hop, "only-if-cached"),
            Self::Pass(why) | Self::Next(Next::Pass { why, .. }) => why.cache_status(),
            Self::Personal(_) => Bypass::Cookie.cache_status(),
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
        status.of(hop).to_string()
    }
}

/// The member of an answer of our own.
fn own(hop: &Hop, detail: &'static str) -> String {
    String::from_utf8_lossy(cache_status::own(hop, detail).as_bytes()).into_owned()
}
