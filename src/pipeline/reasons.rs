//! Reasons of the pipeline's verdicts: why a request goes past the cache, and why a stale response
//! is served.
//!
//! Their words stand in Cache-Status, the access log and an explanation. Reasons not to store are
//! `semantics::storable`'s.

use http::StatusCode;

use crate::semantics::cache_status::{CacheStatus, Fwd};
use crate::semantics::storable::WhyNot;
use crate::telemetry::Outcome;

/// Why a request goes past the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bypass {
    /// The route does not cache.
    Disabled,
    /// Neither GET nor HEAD.
    Method,
    /// A GET with a body: what it asks for is not told by its URL.
    RequestBody,
    /// A rule says so: what Cache-Status calls it.
    Rule(&'static str),
    /// Somebody's cookies came with it.
    Cookie,
    /// A HEAD that nothing stored answers: there is nothing, or only something stale.
    Head { stale: bool },
    /// It is to go on with another protocol.
    Upgrade,
    /// A part that is not stored, nor shall be.
    Range,
    /// The answer that was to be stored is not, and this request wants but a part of it.
    NotStored(WhyNot),
}

/// Why a stale response is served.
#[derive(Clone, Copy, Debug)]
pub(super) enum Excuse {
    /// It is being refreshed (Varnish: grace).
    Grace,
    /// The client has said that it takes such a one.
    Accepted,
    /// Its origin cannot be reached.
    Sick,
    /// Its origin was asked, for the reason `fwd`, and takes its time.
    Slow { fwd: Fwd },
    /// Its origin was asked, for the reason `fwd`, and failed, perhaps with this status.
    Failed {
        fwd: Fwd,
        status: Option<StatusCode>,
    },
}

/// What was asked past the cache is a pass; what the cache did not have is a miss.
pub(super) fn outcome_of(fwd: Fwd) -> Outcome {
    match fwd {
        Fwd::Bypass | Fwd::Method | Fwd::Request => Outcome::Pass,
        _ => Outcome::Miss,
    }
}

// === impl Bypass ===

impl Bypass {
    pub(super) fn cache_status(self) -> CacheStatus {
        CacheStatus {
            fwd: Some(self.fwd()),
            detail: self.detail(),
            ..CacheStatus::default()
        }
    }

    pub(super) fn fwd(self) -> Fwd {
        match self {
            Self::Disabled
            | Self::Rule(_)
            | Self::RequestBody
            | Self::Cookie
            | Self::Upgrade
            | Self::Range => Fwd::Bypass,
            Self::Method => Fwd::Method,
            Self::Head { stale: true } => Fwd::Stale,
            Self::Head { stale: false } | Self::NotStored(_) => Fwd::UriMiss,
        }
    }

    fn detail(self) -> Option<&'static str> {
        match self {
            Self::Disabled => Some("disabled"),
            Self::Method => None,
            Self::RequestBody => Some("request-body"),
            Self::Rule(detail) => Some(detail),
            Self::Cookie => Some("cookie"),
            Self::Head { .. } => Some("head"),
            Self::Upgrade => Some("upgrade"),
            Self::Range => Some("range"),
            Self::NotStored(why) => Some(why.as_str()),
        }
    }
}

// === impl Excuse ===

impl Excuse {
    pub(super) fn over(self, status: CacheStatus) -> CacheStatus {
        match self {
            Self::Grace | Self::Accepted | Self::Sick => status,
            Self::Slow { fwd } => CacheStatus {
                fwd: Some(fwd),
                ..status
            },
            Self::Failed {
                fwd,
                status: fwd_status,
            } => CacheStatus {
                fwd: Some(fwd),
                fwd_status,
                ..status
            },
        }
    }

    /// Whether the client is served before its origin is asked.
    pub(super) fn refreshes(self) -> bool {
        matches!(self, Self::Grace | Self::Sick)
    }

    /// Whether its origin was asked first, in vain.
    pub(super) fn was_asked_for(self) -> bool {
        matches!(self, Self::Slow { .. } | Self::Failed { .. })
    }

    /// The directive that is acted upon, stated or not.
    pub(super) fn detail(self) -> &'static str {
        match self {
            Self::Grace => "stale-while-revalidate",
            Self::Accepted => "max-stale",
            Self::Slow { .. } => "stale-after",
            Self::Sick | Self::Failed { .. } => "stale-if-error",
        }
    }
}
