//! The way of one request among the servers: a choice, a try, and another where that is safe.
//!
//! Which failures are tried again, and where, is in `retry.rs`, how many in `budget.rs`, and what is
//! kept of a request for that in `replay.rs`; what happens on one connection is in `connect.rs`.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{HeaderMap, Request, Response};
use tokio::time::{sleep, sleep_until, timeout_at};

use super::balance::Choice;
use super::connect::{self, Excuse, Lease, Unsent};
use super::error::{Error, Kind, Phase, Retry};
use super::hint::Hint;
use super::interim::Interim;
use super::peer::Peer;
use super::replay::{Content, Spare};
use super::retry::{self, Course, Why};
use super::{Answer, Pool};
use crate::body::{Body, Progress};
use crate::clock;

/// A try that failed, and whether only because its pooled connection had died.
pub(super) struct Failed {
    unsent: Unsent,
    stale: bool,
}

/// A try after which there may be another.
struct Setback {
    /// What is left of it if there is none.
    result: Result<Answer, Error>,
    why: Why,
    /// Whether it cost no server anything.
    is_free: bool,
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
        self.budget.deposit();
        if let Some(hedging) = &self.hedging {
            hedging.deposit();
        }
        let answer = self.try_servers(request, upload, interim).await;
        match &answer {
            Ok(_) => self.sickness.recover(),
            Err(error) => self.sickness.note(error),
        }
        answer
    }

    async fn try_servers(
        &self,
        mut request: Request<Body>,
        upload: Option<&Progress>,
        interim: Option<&Interim>,
    ) -> Result<Answer, Error> {
        let hint: Hint = request.extensions_mut().remove().unwrap_or_default();
        let (mut roster, mut choice) = (self.staffed().await, Choice::by(hint.key));
        let its_own = hint.belongs.and_then(|id| roster.keeper(id));
        let chosen = its_own.or_else(|| roster.choose(&choice));
        let chosen = chosen.or_else(|| self.move_on(&mut roster, &mut choice));
        let mut course = Course::new(chosen.ok_or_else(no_server)?, choice, &self.retries);
        course.belongs = its_own.is_some();
        course.client = request.extensions_mut().remove();
        let content = Content::of(&mut request, self.retries.body_bytes_max);
        loop {
            // For each try anew: a spare has no extensions.
            connect::report_interim(&mut request, interim);
            let Some(peer) = roster.peers().get(course.index) else {
                return Err(no_server());
            };
            let spare = Spare::of(&request, &content);
            let (peer, tried) = match self.race(&course, &roster, &spare, interim) {
                // In a box, for it is larger than all else and seldom needed.
                Some(race) => Box::pin(race.run(&mut course, peer, request)).await,
                None => {
                    let lease = peer.lease(course.from_pool, course.client);
                    let tried = self.try_once(peer, lease, request, upload);
                    (peer, tried.await)
                }
            };
            self.note_tried(peer, &tried);
            let setback = match self.judge_tried(tried, spare, &content) {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue(setback) => setback,
            };
            let pause = self.go_on(&mut course, &mut roster, setback.why, setback.is_free);
            let Some(pause) = pause else {
                return setback.result;
            };
            // An answer that is not wanted gives its connection up before the next try begins.
            drop(setback.result);
            if !pause.is_zero() {
                sleep(pause).await;
            }
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
        let (why, again, is_free, result) = match tried {
            Ok(answer) => match self.retries.why_answer(answer.response.status()) {
                None => return ControlFlow::Break(Ok(answer)),
                why => (why, spare.after_answer(content), false, Ok(answer)),
            },
            Err(mut failed) => {
                let again = spare.after_failure(&mut failed.unsent, content);
                let (why, error) = (self.why_failed(&failed), failed.unsent.error);
                (why, again, retry::is_free(&error), Err(error))
            }
        };
        match (why, again) {
            (Some(why), Some(again)) => ControlFlow::Continue(Setback {
                result,
                why,
                is_free,
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
        lease: impl Future<Output = Result<Lease, Error>>,
        request: Request<Body>,
        upload: Option<&Progress>,
    ) -> Result<Answer, Failed> {
        let began = clock::instant();
        let flight = peer.vitals.load.begin();
        let lease = match lease.await {
            Ok(lease) => lease.carrying(flight),
            Err(error) => {
                let unsent = Unsent {
                    error,
                    request: Some(Box::new(request)),
                };
                return Err(Failed {
                    unsent,
                    stale: false,
                });
            }
        };
        let excuse = lease.excuse();
        peer.vitals
            .counters
            .requests
            .fetch_add(1, Ordering::Relaxed);
        let response = self
            .await_head(lease, request, upload)
            .await
            .and_then(|response| self.admit(response).map_err(|error| error.into()))
            .map_err(|unsent| Failed {
                stale: self.excuses(excuse, &unsent.error),
                unsent,
            })?;
        // How long an upload takes is the client's affair as well.
        if upload.is_none() {
            peer.vitals.load.observe(began.elapsed());
            if let Some(hedging) = &self.hedging {
                hedging.observe(began.elapsed());
            }
        }
        self.hear_load(peer, response.headers());
        Ok(Answer {
            response,
            server: Arc::clone(peer.authority()),
        })
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
    ) -> Result<Response<Body>, Unsent> {
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

pub(super) fn no_server() -> Error {
    Error::new(Kind::NoServer, Phase::Connecting, Retry::No)
}

impl From<Error> for Unsent {
    fn from(error: Error) -> Self {
        Self {
            error,
            request: None,
        }
    }
}
