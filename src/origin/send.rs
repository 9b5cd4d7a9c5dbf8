//! The way of one request among the servers: a choice, a try, and another where that is safe.
//!
//! Which failures may be tried again is in `retry.rs`, and how many in `budget.rs`; what happens on
//! one connection is in `connect.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tokio::time::{sleep_until, timeout_at};

use super::balance::Choice;
use super::connect::{self, Lease, Unsent};
use super::error::{Error, Kind, Phase, Retry};
use super::hint::Hint;
use super::interim::Interim;
use super::load::Flight;
use super::overload;
use super::peer::Peer;
use super::retry::{Spare, TRIES_MAX};
use super::roster::Roster;
use super::triage::is_failure;
use super::{Answer, Pool};
use crate::body::{Body, Progress};
use crate::clock;

/// A try that failed, and whether only because its pooled connection had died.
struct Failed {
    unsent: Unsent,
    stale: bool,
}

// === impl Pool: sending ===

impl Pool {
    /// Sends a request whose head is ready for the wire; `upload` tells how its body moves, and
    /// `interim` takes what its server says before the answer.
    ///
    /// A connection that died in the pool is replaced, and a server that fails is passed over for
    /// another, as far as the request is safe to send again and the budget of retries lasts.
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
        let answer = self.try_servers(request, upload, interim).await;
        match &answer {
            Ok(_) => self.sickness.recover(),
            Err(error) => self.sickness.note(error),
        }
        passage.end(overload::verdict(&answer));
        answer
    }

    async fn try_servers(
        &self,
        mut request: Request<Body>,
        upload: Option<&Progress>,
        interim: Option<&Interim>,
    ) -> Result<Answer, Error> {
        let hint: Hint = request.extensions_mut().remove().unwrap_or_default();
        self.staffed().await;
        let mut choice = Choice::by(hint.key);
        let (mut roster, mut index, mut flight) = self.let_in(&choice, hint.belongs).await?;
        let (mut from_pool, mut tries_left) = (true, TRIES_MAX);
        loop {
            tries_left -= 1;
            // For each try anew: a spare has no extensions.
            connect::report_interim(&mut request, interim);
            let Some(peer) = roster.peers().get(index) else {
                return Err(no_server());
            };
            let spare = Spare::of(&request);
            let tried = self
                .try_once(peer, flight, request, from_pool, upload)
                .await;
            let Failed { unsent, stale } = match tried {
                Ok(answer) => {
                    self.note_answer(peer, answer.response.status());
                    return Ok(answer);
                }
                Err(failed) => failed,
            };
            let Unsent {
                error,
                request: unsent,
                flight: kept,
            } = unsent;
            peer.vitals.counters.count_error(error.kind);
            // A stale connection says nothing against the server; a failure does.
            if !stale {
                self.note_failure(peer, &error);
            }
            request = match spare.again(error.retry, unsent) {
                Some(again) if tries_left > 0 => again,
                _ => return Err(error),
            };
            // One is replaced without the budget's leave: there are no more stale connections than
            // answers that came whole, and of a request's tries it takes one.
            from_pool = !stale;
            let next = match kept {
                // It has not left its server, and keeps its place there.
                Some(kept) if stale => Some((index, kept)),
                _ => {
                    choice.has_tried(index);
                    self.choose_another(&mut roster, &mut choice, &error)
                }
            };
            (index, flight) = match next {
                Some(next) => next,
                None => return Err(error),
            };
        }
    }

    /// Another server for a request that failed at some, if it may be sent once more. It does not
    /// wait for one: who has failed already is no reason for a queue.
    fn choose_another(
        &self,
        roster: &mut Arc<Roster>,
        choice: &mut Choice,
        error: &Error,
    ) -> Option<(usize, Flight)> {
        let (index, flight) = self.enter_another(roster, choice)?;
        // Who accepted no connection has been sent nothing: this will be the only request. But a
        // connection that is waited for in vain is a load as well, on us.
        let is_free = error.phase == Phase::Connecting && error.kind != Kind::Timeout;
        (is_free || self.budget.withdraw()).then_some((index, flight))
    }

    async fn try_once(
        &self,
        peer: &Arc<Peer>,
        flight: Flight,
        request: Request<Body>,
        from_pool: bool,
        upload: Option<&Progress>,
    ) -> Result<Answer, Failed> {
        let began = clock::instant();
        let lease = match peer.lease(from_pool).await {
            Ok(lease) => lease.carrying(flight),
            Err(error) => {
                let unsent = Unsent {
                    error,
                    request: Some(Box::new(request)),
                    flight: None,
                };
                return Err(Failed {
                    unsent,
                    stale: false,
                });
            }
        };
        let stale = lease.is_reused();
        peer.vitals
            .counters
            .requests
            .fetch_add(1, Ordering::Relaxed);
        let response = self
            .await_head(lease, request, upload)
            .await
            .and_then(|response| self.admit(response).map_err(|error| error.into()))
            .map_err(|unsent| Failed { unsent, stale });
        // How long an upload takes is the client's affair as well.
        if upload.is_none() {
            observe(peer, began.elapsed(), &response);
        }
        let response = response?;
        self.hear_load(peer, response.headers());
        Ok(Answer {
            response,
            server: Arc::clone(peer.authority()),
        })
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
        let timed_out = || Error::new(Kind::Timeout, Phase::AwaitingHead, Retry::No).into();
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

/// Notes how long an answer took. One that did not come in time has taken as long at least; one that
/// is a failure may have been quick for that reason alone.
fn observe(peer: &Peer, latency: Duration, answered: &Result<Response<Body>, Failed>) {
    match answered {
        Ok(response) => {
            peer.vitals.load.observe(latency);
            if !is_failure(response.status()) {
                peer.gate.observe(latency);
            }
        }
        Err(failed) if failed.unsent.error.kind == Kind::Timeout => peer.gate.observe(latency),
        Err(_) => {}
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
            flight: None,
        }
    }
}
