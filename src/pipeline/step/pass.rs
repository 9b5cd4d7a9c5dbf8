//! Step Pass, past the cache: the origin's response goes straight to one client and is not stored.
//!
//! Comes from Receive and Lookup. Goes to Deliver, or to Synth when the origin gave no answer.
//! It is cancelled with its client. An answer to a method that may have changed something
//! invalidates what is stored of the URL.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{CONTENT_LOCATION, COOKIE, HeaderMap, HeaderName, LOCATION};
use http::{Method, Response, StatusCode};
use tokio::time::timeout;

use super::deliver::Deliver;
use super::synth::Synth;
use crate::body::Body;
use crate::clock::{self, Instant};
use crate::origin::{self, Answer};
use crate::pipeline::answer::How;
use crate::pipeline::fetch::outbound;
use crate::pipeline::fetch::settle::{Arrival, Arrived, Settlement};
use crate::pipeline::flow::Step;
use crate::pipeline::reasons::{Bypass, Excuse};
use crate::pipeline::route::concurrency;
use crate::pipeline::wanted::Wanted;
use crate::semantics::cache_status::Fwd;
use crate::semantics::conditional::head_disagrees;
use crate::semantics::headers;
use crate::semantics::reference::Target;
use crate::semantics::trailers;
use crate::semantics::upgrade;
use crate::semantics::vary::Vary;
use crate::store::{self, Born, Failure, Invalidation, Object, What};
use crate::telemetry::Fetched;

/// A request that the cache has no part in.
pub(in crate::pipeline) struct Pass {
    pub(in crate::pipeline) wanted: Wanted,
    pub(in crate::pipeline) why: Bypass,
    /// What is stored, but not to be used as it is, of what a HEAD asks about.
    pub(in crate::pipeline) stored: Option<Arc<Object>>,
}

/// What becomes of a request whose answer makes no sense.
const MALFORMED: Failure = Failure::new(StatusCode::BAD_GATEWAY, "origin-malformed");

/// When the origin was asked.
struct Began {
    instant: Instant,
    at: SystemTime,
    born: Born,
}

// === impl Pass ===

impl Pass {
    pub(in crate::pipeline) async fn run(mut self) -> Step {
        let Some(permit) = self.wanted.route().scope.bounds.enter() else {
            return self.failed(concurrency::FULL);
        };
        let began = Began {
            instant: clock::instant(),
            at: clock::now(),
            born: self.wanted.store().birth(),
        };
        let Some(answer) = self.send_unless_slow().await else {
            return self.stand_in(Excuse::Slow { fwd: Fwd::Stale });
        };
        let server = match &answer {
            Ok(answer) => Some(Arc::clone(&answer.server)),
            Err(error) => error.server.clone(),
        };
        let origin = Arc::clone(self.wanted.pool().name());
        self.wanted.exchange.entry.record.fetched = Some(Fetched {
            origin,
            server,
            duration: began.instant.elapsed(),
        });
        match answer {
            Ok(Answer { response, .. }) => self.answered(permit.hold(response), &began),
            Err(error) => {
                self.wanted.pool().tell_failure(&self.target(), &error);
                self.failed(Failure::from(&error))
            }
        }
    }

    /// `None` where the origin takes longer than it may while something stored may stand in.
    async fn send_unless_slow(&mut self) -> Option<Result<Answer, origin::Error>> {
        if !self.can_be_stood_in_for(StatusCode::GATEWAY_TIMEOUT) {
            return Some(self.send().await);
        }
        let after = self.wanted.caching().stale_after;
        timeout(after, self.send()).await.ok()
    }

    async fn send(&mut self) -> Result<Answer, origin::Error> {
        let mut request = outbound::request(&self.wanted);
        outbound::edit(&self.wanted, request.headers_mut());
        let exchange = &mut self.wanted.exchange;
        if trailers::are_asked_for(&exchange.request.headers) {
            trailers::ask_for(request.headers_mut());
        }
        *request.body_mut() = std::mem::take(&mut exchange.body);
        let (upload, interim) = (
            self.wanted.exchange.upload.as_ref(),
            self.wanted.exchange.interim.as_ref(),
        );
        self.wanted.pool().send(request, upload, interim).await
    }

    fn answered(mut self, mut response: Response<Body>, began: &Began) -> Step {
        if self.has_switched_unasked(&response) {
            return self.failed(MALFORMED);
        }
        self.heed_rules(&mut response);
        if self.can_be_stood_in_for(response.status()) {
            return self.stand_in(failed(Some(response.status())));
        }
        let is_unsafe = headers::invalidates(&self.wanted.exchange.request.method);
        if is_unsafe && !is_error(response.status()) {
            self.invalidate(response.headers());
        }
        self.heed(&response, is_unsafe);
        self.heed_head(&response);
        if self.is_the_page(&response) {
            return self.adopt(response, began);
        }
        let status = self.why.cache_status();
        Step::Deliver(Deliver::passed(self.wanted, response, status))
    }

    /// What rules make of an answer counts here as well, though nothing is stored of it.
    fn heed_rules(&mut self, response: &mut Response<Body>) {
        let Some(rules) = self.wanted.response_rules() else {
            return;
        };
        let status = response.status();
        let base = Arc::clone(&self.wanted.caching().rules);
        let ruling = rules.apply(status, response.headers_mut(), &base, &|_| None);
        ruling.note(&mut self.wanted.exchange);
    }

    /// Whether the origin goes on with a protocol that nobody has asked for.
    fn has_switched_unasked(&self, response: &Response<Body>) -> bool {
        let wish = self.wanted.exchange.wish.as_ref();
        response.status() == StatusCode::SWITCHING_PROTOCOLS
            && !wish.is_some_and(|it| upgrade::is_answered(response.headers(), &it.protocols))
    }

    /// There is no answer: none came, or too many other requests are under way on this route.
    fn failed(self, failure: Failure) -> Step {
        if self.can_be_stood_in_for(failure.status) {
            return self.stand_in(failed(None));
        }
        Step::Synth(Synth::failure(
            self.wanted.exchange,
            failure,
            self.why.fwd(),
        ))
    }

    /// RFC 9111 §4.4: "A cache MUST invalidate the target URI […]. A cache MAY invalidate other URIs
    /// when it receives a non-error status code in response to an unsafe request method […]. In
    /// particular, the URI(s) in the Location and Content-Location response header fields (if
    /// present) are candidates for invalidation".
    fn invalidate(&self, answer: &HeaderMap) {
        let target = self.target();
        let pointed_to = [LOCATION, CONTENT_LOCATION]
            .into_iter()
            .filter_map(|name| target.resolve(answer.get(name)?.to_str().ok()?))
            // "However, a cache MUST NOT trigger an invalidation under these conditions if the
            // origin […] of the URI to be invalidated differs from that of the target URI".
            .filter(|it| (it.scheme, &it.authority) == (target.scheme, &target.authority));
        let (site, how) = (self.wanted.exchange.site(), store::How::Hard);
        for it in pointed_to.chain([target.clone()]) {
            let what = What::Uri(it);
            site.invalidate(&Invalidation { what, how });
        }
    }

    fn heed(&self, response: &Response<Body>, is_unsafe: bool) {
        let (wanted, status, fields) = (&self.wanted, response.status(), response.headers());
        let tags = &wanted.caching().tags;
        wanted
            .exchange
            .site()
            .heed(tags, wanted.key(), status, fields, is_unsafe);
    }

    /// The URI that was asked for.
    fn target(&self) -> Target {
        let exchange = &self.wanted.exchange;
        Target {
            scheme: exchange.client.scheme,
            authority: self.wanted.key().authority().to_owned(),
            path_and_query: exchange.target().into_owned(),
        }
    }

    /// A HEAD's answer tells of the page that a GET would bring (RFC 9111 §4.3.5). Where that is
    /// not the one that is stored, no use is left for this.
    fn heed_head(&self, response: &Response<Body>) {
        let Some(stored) = self.stored.as_ref() else {
            return;
        };
        let (known, len_bytes) = (stored.validators(), stored.length().exact());
        if outbound::is_steered(&self.wanted.exchange.request.headers) {
            return;
        }
        if response.status() == StatusCode::OK
            && stored.head().status() == StatusCode::OK
            && head_disagrees(&known, len_bytes, response.headers())
        {
            let key = self.wanted.key().to_key();
            self.wanted.store().forget(&key, stored);
        }
    }

    /// Whether what is stored is a better answer than an error of this status.
    fn can_be_stood_in_for(&self, status: StatusCode) -> bool {
        let usable = |it: &Arc<Object>| it.term().stands_in_for(status, clock::now());
        self.stored.as_ref().is_some_and(usable)
    }

    fn stand_in(self, excuse: Excuse) -> Step {
        let how = How::Stale(excuse);
        match self.stored {
            Some(object) => Step::Deliver(Deliver::stored(self.wanted, object, how)),
            // Whoever calls this has seen that there is one.
            None => Step::Synth(Synth::internal(self.wanted.exchange, self.why.fwd())),
        }
    }

    /// RFC 9110 §9.3.3: "Responses to POST requests are only cacheable when they include explicit
    /// freshness information (\[...\]) and a Content-Location header field that has the same value as
    /// the POST's target URI (\[...\]). A cached POST response can be reused to satisfy a later GET or
    /// HEAD request."
    fn is_the_page(&self, response: &Response<Body>) -> bool {
        let target = self.target();
        let location = response.headers().get(CONTENT_LOCATION);
        let points_to = location.and_then(|it| target.resolve(it.to_str().ok()?));
        // What a GET would be looked up by, rules have yet to say.
        self.wanted.route().scope.rules.is_none()
            && self.wanted.caching().enabled
            && self.wanted.exchange.request.method == Method::POST
            && response.status() == StatusCode::OK
            && points_to == Some(target)
            && self.was_asked_as_stored(response)
    }

    /// Whether the origin saw of this request what the key will say of it. A request that is looked
    /// up is reduced before it is sent; this one was sent as it came.
    fn was_asked_as_stored(&self, response: &Response<Body>) -> bool {
        let (exchange, caching) = (&self.wanted.exchange, self.wanted.caching());
        let asked = &exchange.request.headers;
        let mut reduced = asked.clone();
        caching.reduce(&mut reduced);
        let unchanged = |name: &HeaderName| asked.get_all(name).eq(&reduced.get_all(name));
        let by_vary = match Vary::of(response.headers()) {
            Vary::Fields(names) => names.iter().all(unchanged),
            Vary::Star => false,
        };
        let whole = caching.query.without_others(&exchange.target()).is_none();
        let is_same = by_vary && whole && unchanged(&COOKIE) && !outbound::is_steered(asked);
        is_same && self.wanted.is_spelt_as_filed()
    }

    /// Stores it as what a GET would have brought, if it may be.
    fn adopt(self, response: Response<Body>, began: &Began) -> Step {
        let Self { wanted, why, .. } = self;
        let key = wanted.key().to_key();
        let leader = wanted.store().alone_since(&key, began.born);
        let arrival = Arrival {
            response,
            requested_at: began.at,
            received_at: clock::now(),
        };
        match Settlement::of_post(&wanted, leader).settle(arrival, None) {
            Arrived::Stored { object, body, aged } => {
                let fwd = why.fwd();
                Step::Deliver(Deliver::stored(
                    wanted,
                    object,
                    How::Miss { fwd, body, aged },
                ))
            }
            Arrived::Private { response, .. } => {
                Step::Deliver(Deliver::passed(wanted, response, why.cache_status()))
            }
            // Only a 200 gets here.
            Arrived::Confirmed { .. } | Arrived::Failed(_) => {
                Step::Synth(Synth::internal(wanted.exchange, why.fwd()))
            }
        }
    }
}

fn failed(status: Option<StatusCode>) -> Excuse {
    let fwd = Fwd::Stale;
    Excuse::Failed { fwd, status }
}

/// "A 'non-error response' is one with a 2xx (Successful) or 3xx (Redirection) status code."
/// (RFC 9111 §4.4)
fn is_error(status: StatusCode) -> bool {
    !(status.is_success() || status.is_redirection())
}
