//! Past the cache: the origin's response straight to one client, never stored.
//!
//! Comes from Receive and Lookup. Goes to Deliver, or to Synth when the origin gave no answer.
//! It is cancelled with its client. An answer to a method that may have changed something
//! invalidates what is stored of the URL.

use std::sync::Arc;

use tracing::debug;

use super::deliver::Deliver;
use super::exchange::Exchange;
use super::flow::Step;
use super::outbound;
use super::route::Route;
use super::synth::{self, Synth};
use crate::clock;
use crate::origin::{Answer, Pool};
use crate::semantics::cache_status::{CacheStatus, Fwd};
use crate::semantics::headers;
use crate::semantics::key::KeyBuf;
use crate::store::{self, Failure};
use crate::telemetry::Fetched;

/// A request that the cache has no part in.
pub(super) struct Pass {
    pub(super) exchange: Exchange,
    pub(super) key: KeyBuf,
    pub(super) route: Arc<Route>,
    pub(super) pool: Arc<Pool>,
    pub(super) why: Bypass,
}

/// Why a request goes past the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bypass {
    /// The route does not cache.
    Disabled,
    /// Neither GET nor HEAD.
    Method,
    /// A GET with a body: what it asks for is not told by its URL.
    RequestBody,
    /// Somebody's cookies came with it.
    Cookie,
    /// A HEAD of which no GET is stored.
    Head,
    /// A part that is not stored, nor shall be.
    Range,
    /// The URL's answers could not be shared lately.
    HitForMiss,
}

// === impl Pass ===

impl Pass {
    pub(super) async fn run(self) -> Step {
        let Self {
            mut exchange,
            key,
            route,
            pool,
            why,
        } = self;
        let mut request = outbound::request(&exchange, key.authority(), &route, &pool);
        *request.body_mut() = std::mem::take(&mut exchange.body);
        let began = clock::instant();
        let (upload, interim) = (exchange.upload.as_ref(), exchange.interim.as_ref());
        let answer = pool.send(request, upload, interim).await;
        let server = answer
            .as_ref()
            .ok()
            .map(|answer| Arc::clone(&answer.server));
        let origin = Arc::clone(pool.name());
        exchange.entry.record.fetched = Some(Fetched {
            origin,
            server,
            duration: began.elapsed(),
        });
        match answer {
            Ok(Answer { response, .. }) => {
                if headers::invalidates(&exchange.request.method) && !is_error(response.status()) {
                    let (store, now) = (&exchange.site().store, clock::now());
                    store.purge(&key.to_key(), store::Purge::Hard, now);
                }
                Step::Deliver(Deliver::passed(
                    exchange,
                    route,
                    response,
                    why.cache_status(),
                ))
            }
            Err(error) => {
                debug!(origin = &**pool.name(), error = %synth::causes(&error), "no answer");
                let failure = Failure {
                    status: error.status(),
                    detail: error.kind.as_str(),
                    origin_status: None,
                };
                Step::Synth(Synth::failure(exchange, failure, why.fwd()))
            }
        }
    }
}

/// "A 'non-error response' is one with a 2xx (Successful) or 3xx (Redirection) status code."
/// (RFC 9111 §4.4)
fn is_error(status: http::StatusCode) -> bool {
    !(status.is_success() || status.is_redirection())
}

// === impl Bypass ===

impl Bypass {
    fn cache_status(self) -> CacheStatus {
        CacheStatus {
            fwd: Some(self.fwd()),
            detail: self.detail(),
            ..CacheStatus::default()
        }
    }

    fn fwd(self) -> Fwd {
        match self {
            Self::Disabled | Self::RequestBody | Self::Cookie | Self::Range => Fwd::Bypass,
            Self::Method => Fwd::Method,
            Self::Head | Self::HitForMiss => Fwd::UriMiss,
        }
    }

    fn detail(self) -> Option<&'static str> {
        match self {
            Self::Disabled => Some("disabled"),
            Self::Method => None,
            Self::RequestBody => Some("request-body"),
            Self::Cookie => Some("cookie"),
            Self::Head => Some("head"),
            Self::Range => Some("range"),
            Self::HitForMiss => Some("hit-for-miss"),
        }
    }
}
