//! Way of an object to its client: hit, miss, collapsed, stale or revalidated, and what Cache-Status
//! and Age say of it.

use std::time::SystemTime;

use http::header::{AGE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

use crate::body::Body;
use crate::clock;
use crate::pipeline::reasons::Excuse;
use crate::semantics::cache_status::{CacheStatus, Fwd};
use crate::semantics::hop::Hop;
use crate::store::Object;
use crate::telemetry::Outcome;

pub(in crate::pipeline) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// How the client came to its object.
pub(in crate::pipeline) enum How {
    /// It was there, fresh.
    Hit,
    /// It was there, fresh; but not all slices of it that are wanted were.
    Partial,
    /// Another request is bringing it, or just has; why this one could not be answered at once.
    Collapsed {
        fwd: Fwd,
        /// Reads the object from its first byte.
        body: Body,
    },
    /// It is stale, and served all the same.
    Stale(Excuse),
    /// The origin has confirmed it for this request.
    Revalidated { fwd: Fwd, stored: bool },
    /// This request is bringing it.
    Miss {
        fwd: Fwd,
        /// Reads the object from its first byte.
        body: Body,
        /// Whether it came with an age.
        aged: bool,
    },
}

// === impl How ===

impl How {
    /// By the object that another request is bringing; `None` where its first byte is gone already.
    pub(in crate::pipeline) fn collapsed(fwd: Fwd, object: &Object) -> Option<Self> {
        let body = object.join()?;
        Some(Self::Collapsed { fwd, body })
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Hit => Outcome::Hit,
            Self::Collapsed { .. } => Outcome::Collapsed,
            Self::Stale(_) => Outcome::Stale,
            Self::Revalidated { .. } => Outcome::Revalidated,
            Self::Miss { .. } | Self::Partial => Outcome::Miss,
        }
    }

    /// Whether the object was there and the origin not asked: what RFC 9211 §2.1 calls a hit.
    pub(super) fn is_hit(&self) -> bool {
        match self {
            Self::Hit => true,
            Self::Stale(excuse) => !excuse.was_asked_for(),
            _ => false,
        }
    }

    /// Says whence the response comes, and how old it is unless it is new.
    pub(super) fn stamp(
        &self,
        fields: &mut HeaderMap,
        hop: &Hop,
        (object, detail): (&Object, Option<&'static str>),
        arrived: SystemTime,
    ) {
        // A hit is judged by the time it arrived; all else has taken its time.
        let now = match self {
            Self::Partial => arrived,
            _ if self.is_hit() => arrived,
            _ => clock::now(),
        };
        if !matches!(self, Self::Miss { aged: false, .. }) {
            let age = object.term().age(now).secs();
            fields.insert(AGE, HeaderValue::from(age));
        }
        fields.append(CACHE_STATUS, self.cache_status(hop, (object, detail), now));
    }

    fn cache_status(
        &self,
        hop: &Hop,
        (object, detail): (&Object, Option<&'static str>),
        now: SystemTime,
    ) -> HeaderValue {
        let status = CacheStatus {
            ttl: Some(object.term().ttl_secs(now)),
            detail,
            ..CacheStatus::default()
        };
        match self {
            Self::Hit if detail.is_none() => return hop.hit(),
            Self::Partial => CacheStatus {
                fwd: Some(Fwd::Partial),
                stored: true,
                ..status
            },
            Self::Hit => CacheStatus {
                ttl: None,
                ..status
            },
            Self::Collapsed { fwd, .. } => CacheStatus {
                fwd: Some(*fwd),
                collapsed: true,
                ..status
            },
            Self::Stale(excuse) => excuse.over(status),
            Self::Revalidated { fwd, stored } => CacheStatus {
                fwd: Some(*fwd),
                fwd_status: Some(StatusCode::NOT_MODIFIED),
                stored: *stored,
                ..status
            },
            Self::Miss { fwd, .. } => CacheStatus {
                fwd: Some(*fwd),
                stored: true,
                ..status
            },
        }
        .to_value(hop)
    }

    /// What is worth saying beyond the parameters of RFC 9211; `rule` is the one that decided on the
    /// answer, if this request has brought it.
    pub(in crate::pipeline) fn detail(
        &self,
        object: &Object,
        rule: Option<&'static str>,
    ) -> Option<&'static str> {
        match self {
            Self::Stale(excuse) => Some(excuse.detail()),
            Self::Miss { .. } | Self::Revalidated { .. } if rule.is_some() => rule,
            _ => {
                let term = object.term();
                let by_route = || term.is_overridden().then_some("ttl-by-route");
                term.bent().as_str().or_else(by_route)
            }
        }
    }

    /// A reader from the object's first byte.
    pub(super) fn into_body(self, object: &Object) -> Body {
        match self {
            Self::Miss { body, .. } | Self::Collapsed { body, .. } => body,
            _ => object.body(),
        }
    }
}
