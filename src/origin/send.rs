//! The way of one request among the servers: a choice, a try, and another where that is safe.
//!
//! Whether it is asked at all, and when, is in `overload/`; which failures are tried again, where, and
//! how many, in `retry/`; what happens on one connection in `connect/`.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tokio::time::{sleep, sleep_until, timeout_at};

use super::balance::Choice;
use super::connect::{self, Unsent};
use super::error::{Error, Kind, Phase, Retry, Why, is_failure};
use super::hint::Hint;
use super::interim::Interim;
use super::overload::Passage;
use super::peer::{Excuse, Lease, Peer, Unanswered};
use super::retry::{self, Course, Next};
use super::retry::{Content, Spare};
use super::server::Flight;
use super::{Answer, Pool};
use crate::body::{Body, Progress};
use crate::clock;

/// A try that failed, and whether only because its pooled connection had died.
pub(super) struct Failed {
    unsent: Unsent,
    /// Its place among those in flight, if it was on a connection.
    flight: Option<Flight>,
    stale: bool,
}

/// A try after which there may be another.
pub(super) struct Setback {
    /// What is left of it if there is none.
    result: Result<Answer, Error>,
    pub(super) why: Why,
    /// Whether it cost no server anything.
    pub(super) is_free: bool,
    /// Its place among those in flight, if it has not lost that.
    pub(super) flight: Option<Flight>,
    again: Request<Body>,
}

// === impl Pool: sending ===

impl Pool {
    /// Sends a request whose head is ready for the wire; `upload` tells how its body moves, and
    /// `interim` takes what its server says before the answer.
    ///
    /// A connection that died in the pool is replaced, and a server that fails is passed over for
    /// another, as far as the rules of retries want it, the request is safe to send again and the
    /// budget of retries lasts.
    ///
    /// # Errors
    /// The last try's [`Error`], counted with the server it happened at.
    pub async fn send(
        &self,
        request: Request<Body>,
        upload: Option<&Progress>,
        interim: Option<&Interim>,
    ) -> Result<Answer, Error> {
        let passage = self.pass_breaker()?;
        self.budget.deposit();
        if let Some(hedging) = &self.hedging {
            hedging.deposit();
        }
        let answer = self.try_servers(&passage, request, upload, interim).await;
        self.conclude(passage, &answer, is_good);
        answer
    }

    async fn try_servers(
        &self,
        passage: &Passage<'_>,
        mut request: Request<Body>,
        upload: Option<&Progress>,
        interim: Option<&Interim>,
    ) -> Result<Answer, Error> {
        let hint: Hint = request.extensions_mut().remove().unwrap_or_default();
        self.staffed().await;
        let choice = Choice::by(hint.key);
        let (mut roster, index, mut flight) = self.let_in(passage, &choice, hint.belongs).await?;
        let mut course = Course::new(index, choice, &self.retries);
        course.belongs = hint.belongs.is_some_and(|id| roster.is_at(index, id));
        course.client = request.extensions_mut().remove();
        let content = Content::of(&mut request, self.retries.body_bytes_max);
        loop {
            // For each try anew: a spare has no extensions.
            connect::report_interim(&mut request, interim);
            let Some(peer) = roster.peers().get(course.index) else {
                return Err(Error::no_server());
            };
            let spare = Spare::of(&request, &content);
            let (peer, tried) = match self.race(&course, &roster, &spare, interim) {
                // In a box, for it is larger than all else and seldom needed.
                Some(race) => Box::pin(race.run(&mut course, peer, flight, request)).await,
                None => {
                    let lease = peer.lease(course.from_pool, course.client);
                    let tried = self.try_once(peer, flight, lease, request, upload);
                    (peer, tried.await)
                }
            };
            self.note_tried(peer, &tried);
            let mut setback = match self.judge_tried(tried, spare, &content) {
                ControlFlow::Break(result) => {
                    if course.is_paid_for && result.as_ref().is_ok_and(is_good) {
                        self.budget.give_back();
                    }
                    return result;
                }
                ControlFlow::Continue(setback) => setback,
            };
            let next = match self.go_on(&mut course, &mut roster, &mut setback) {
                Some(next) => next,
                None => return setback.result,
            };
            // What has failed gives its place up before the next try begins, and an answer that is
            // not wanted its connection.
            drop((setback.result, setback.flight));
            flight = match next {
                Next::At(flight) => flight,
                Next::After(pause) => {
                    sleep(pause).await;
                    let again = self.let_in_again(passage, &mut roster, &mut course.choice);
                    let (index, entered) = again.await?;
                    course.index = index;
                    entered
                }
            };
            request = setback.again;
        }
    }

    /// Whether a try is the last word, or the request should and can be sent again.
    fn judge_tried(
        &self,
        tried: Result<Answer, Failed>,
        spare: Spare,
        content: &Content,
    ) -> ControlFlow<Result<Answer, Error>, Setback> {
        let (why, again, flight, result) = match tried {
            Ok(answer) => match self.retries.why_answer(answer.response.status()) {
                None => return ControlFlow::Break(Ok(answer)),
                why => (why, spare.after_answer(content), None, Ok(answer)),
            },
            Err(mut failed) => {
                let again = spare.after_failure(&mut failed.unsent, content);
                let why = self.why_failed(&failed);
                (why, again, failed.flight, Err(failed.unsent.error))
            }
        };
        match (why, again) {
            (Some(why), Some(again)) => ControlFlow::Continue(Setback {
                is_free: result.as_ref().is_err_and(retry::is_free),
                result,
                why,
                flight,
                again,
            }),
            _ => ControlFlow::Break(result),
        }
    }

    fn why_failed(&self, failed: &Failed) -> Option<Why> {
        match failed.stale {
            true => Some(Why::Stale),
            false => self.retries.why_failure(&failed.unsent.error),
        }
    }

    /// What a try says of its server. That a pooled connection had died says nothing against it; a
    /// failure does.
    pub(super) fn note_tried(&self, peer: &Peer, tried: &Result<Answer, Failed>) {
        match tried {
            Ok(answer) => self.note_answer(peer, answer.response.status()),
            Err(failed) => {
                let error = &failed.unsent.error;
                peer.vitals.counters.count_error(error.kind);
                if !failed.stale {
                    self.note_failure(peer, error);
                }
            }
        }
    }

    pub(super) async fn try_once(
        &self,
        peer: &Arc<Peer>,
        flight: Flight,
        lease: impl Future<Output = Result<Lease, Error>>,
        request: Request<Body>,
        upload: Option<&Progress>,
    ) -> Result<Answer, Failed> {
        let began = clock::instant();
        let lease = match lease.await {
            Ok(lease) => lease.carrying(flight),
            Err(error) => return Err(Failed::unleased(error, request)),
        };
        let excuse = lease.excuse();
        let requests = &peer.vitals.counters.requests;
        requests.fetch_add(1, Ordering::Relaxed);
        let response = self
            .await_head(lease, request, upload)
            .await
            .and_then(|response| self.admit(response).map_err(Unanswered::from))
            .map_err(|Unanswered { unsent, flight }| Failed {
                stale: self.excuses(excuse, &unsent.error),
                unsent,
                flight,
            });
        // How long an upload takes is the client's affair as well.
        if upload.is_none() {
            self.observe(peer, began.elapsed(), &response);
        }
        let response = response?;
        self.hear_load(peer, response.headers());
        Ok(Answer {
            response,
            server: Arc::clone(peer.authority()),
        })
    }

    /// Notes how long an answer took. One that did not come in time has taken as long at least; one
    /// that is a failure may have been quick for that reason alone.
    fn observe(&self, peer: &Peer, latency: Duration, answered: &Result<Response<Body>, Failed>) {
        match answered {
            Ok(response) => {
                peer.vitals.load.observe(latency);
                if let Some(hedging) = &self.hedging {
                    hedging.observe(latency);
                }
                if !is_failure(response.status()) {
                    peer.gate.observe(latency);
                }
            }
            Err(failed) if failed.unsent.error.kind == Kind::Timeout => peer.gate.observe(latency),
            Err(_) => {}
        }
    }

    /// Whether a failure is only that of a connection, and another may be tried for it.
    fn excuses(&self, excuse: Excuse, error: &Error) -> bool {
        excuse.holds_for(error) && (!excuse.may_be_many(error) || self.budget.withdraw())
    }

    /// Notes what a server says of how full it is, where the balance listens.
    fn hear_load(&self, peer: &Peer, fields: &HeaderMap) {
        let said = self.load_field.as_ref().and_then(|name| fields.get(name));
        let percent = said.and_then(|it| it.to_str().ok()?.trim().parse().ok());
        if let Some(percent) = percent {
            peer.vitals.load.report(percent);
        }
    }

    /// One exchange under the first-byte timeout, which runs from the last byte of the request.
    /// It is for the whole head: interim responses and single bytes do not extend it.
    async fn await_head(
        &self,
        lease: Lease,
        request: Request<Body>,
        upload: Option<&Progress>,
    ) -> Result<Response<Body>, Unanswered> {
        let exchange = lease.exchange(request, upload, self.between_bytes_timeout);
        let sent = clock::instant();
        let timed_out =
            || Error::new(Kind::Timeout, Phase::AwaitingHead, Retry::IfIdempotent).into();
        let Some(upload) = upload else {
            let deadline = sent + self.first_byte_timeout;
            return timeout_at(deadline, exchange)
                .await
                .unwrap_or_else(|_| Err(timed_out()));
        };
        let mut exchange = std::pin::pin!(exchange);
        let mut deadline = sent + self.first_byte_timeout;
        loop {
            tokio::select! {
                head = &mut exchange => return head,
                () = sleep_until(deadline) => {}
            }
            // While the client is awaited the origin is not; its silence has a limit of its own.
            let since = if upload.awaits_client() {
                clock::instant()
            } else {
                upload.moved()
            };
            let next = since + self.first_byte_timeout;
            if next <= deadline {
                return Err(timed_out());
            }
            deadline = next;
        }
    }
}

// === impl Setback ===

impl Setback {
    /// Whether there was no connection to be had at a server that let the request in.
    pub(super) fn has_found_no_room(&self) -> bool {
        let error = self.result.as_ref().err();
        error.is_some_and(|it| it.kind == Kind::Full)
    }
}

// === impl Failed ===

impl Failed {
    /// There was nothing to send a request on.
    fn unleased(error: Error, request: Request<Body>) -> Self {
        Self {
            unsent: Unsent {
                request: Some(Box::new(request)),
                ..error.into()
            },
            flight: None,
            stale: false,
        }
    }
}

/// Whether an answer is none of the failures that a server is ejected for.
fn is_good(answer: &Answer) -> bool {
    !is_failure(answer.response.status())
}
