//! Sending of one request: a choice among the servers, a try, and another where that is safe.
//!
//! Whether it is asked at all, and when, is in `overload/`; which failures are tried again, where, and
//! how many, in `retry/`; what happens on one connection in `connect/`.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::UPGRADE;
use http::{HeaderMap, Request, Response};
use tokio::time::sleep;

use super::Pool;
use super::answer::{self, Answer};
use super::balance::Choice;
use super::connect;
use super::error::{Error, Kind, is_failure};
use super::hint::Hint;
use super::interim::Interim;
use super::overload::Passage;
use super::peer::{Lease, Peer, Switched, Timeouts, Unanswered};
use super::race::Race;
use super::retry::{Content, Course, Failed, Next, Spare};
use super::server::Flight;
use crate::body::{Body, Progress};
use crate::clock;

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
        let passage = self.overload.pass_breaker()?;
        self.retries.deposit();
        if let Some(hedging) = &self.hedging {
            hedging.deposit();
        }
        let answer = self.try_servers(&passage, request, upload, interim).await;
        self.conclude(passage, &answer, Answer::is_good);
        answer
    }

    /// What a request's end says of its origin: whether it can be reached, and for its breaker. The
    /// failures that a server is ejected for count, and those that are the client's or ours do not.
    pub(super) fn conclude<T>(
        &self,
        passage: Passage<'_>,
        ended: &Result<T, Error>,
        is_good: impl FnOnce(&T) -> bool,
    ) {
        self.reachability.note(ended.as_ref().err());
        passage.end(match ended {
            Ok(answer) => Some(is_good(answer)),
            Err(error) => error.kind.is_servers_fault().then_some(false),
        });
    }

    async fn try_servers(
        &self,
        passage: &Passage<'_>,
        mut request: Request<Body>,
        upload: Option<&Progress>,
        interim: Option<&Interim>,
    ) -> Result<Answer, Error> {
        let hint: Hint = request.extensions_mut().remove().unwrap_or_default();
        let (servers, sticky) = (&self.servers, self.sticky.as_ref());
        self.discovery.staffed(servers, sticky).await;
        let choice = Choice::by(hint.key);
        let in_force = || self.roster_in_force();
        let let_in = passage.let_in(&choice, hint.belongs, in_force);
        let (mut roster, index, mut flight) = let_in.await?;
        let own = request.extensions_mut().remove();
        let timeouts = own.unwrap_or(self.timeouts);
        let mut course = Course::new(index, choice, &self.retries, timeouts);
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
            let (peer, tried) = match Race::of(self, &course, &roster, &spare, interim) {
                // In a box, for it is larger than all else and seldom needed.
                Some(race) => Box::pin(race.run(&mut course, peer, flight, request)).await,
                None => {
                    let may_switch = request.headers().contains_key(UPGRADE);
                    let lease = peer.lease(course.from_pool, course.client, may_switch);
                    let timeouts = course.timeouts;
                    let tried = self.try_once(peer, flight, lease, request, upload, timeouts);
                    (peer, tried.await)
                }
            };
            self.note_tried(peer, &tried);
            let mut setback = match self.retries.judge(tried, spare, &content) {
                ControlFlow::Break(result) => {
                    if course.is_paid_for && result.as_ref().is_ok_and(Answer::is_good) {
                        self.retries.give_back();
                    }
                    return result;
                }
                ControlFlow::Continue(setback) => setback,
            };
            let retries = &self.retries;
            let next = retries.go_on(&mut course, &mut roster, &mut setback, in_force);
            let Some(next) = next else {
                return setback.result;
            };
            // What has failed gives its place up before the next try begins, and an answer that is
            // not wanted its connection.
            drop((setback.result, setback.flight));
            flight = match next {
                Next::At(flight) => flight,
                Next::After(pause) => {
                    sleep(pause).await;
                    let choice = &mut course.choice;
                    let again = passage.let_in_again(&mut roster, choice, in_force);
                    let (index, entered) = again.await?;
                    course.index = index;
                    entered
                }
            };
            request = setback.again;
        }
    }

    /// What a try says of its server. That a pooled connection had died says nothing against it; a
    /// failure does.
    pub(super) fn note_tried(&self, peer: &Peer, tried: &Result<Answer, Failed>) {
        match tried {
            Ok(answer) => self.servers.note_answer(peer, answer.response.status()),
            Err(failed) => {
                let error = &failed.unsent.error;
                peer.vitals.counters.count_error(error.kind);
                if !failed.stale {
                    self.servers.note_failure(peer, error);
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
        timeouts: Timeouts,
    ) -> Result<Answer, Failed> {
        let began = clock::instant();
        let lease = match lease.await {
            Ok(lease) => lease.carrying(flight),
            Err(error) => return Err(Failed::unleased(error.at(peer.authority()), request)),
        };
        let blame = lease.blame();
        let requests = &peer.vitals.counters.requests;
        requests.fetch_add(1, Ordering::Relaxed);
        let head = lease.head(request, upload, timeouts);
        let response = head
            .await
            .and_then(|response| {
                let has_switched = Switched::is_in(&response);
                answer::checked(response, self.refuse_unknown_coding, has_switched)
                    .map_err(Unanswered::from)
            })
            .map_err(|Unanswered { mut unsent, flight }| {
                unsent.error.server = Some(Arc::clone(peer.authority()));
                Failed {
                    stale: self.retries.grants_another(blame, &unsent.error),
                    unsent,
                    flight,
                }
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
                peer.vitals.answers.observe(latency);
                peer.vitals.load.observe(latency);
                if let Some(hedging) = &self.hedging {
                    hedging.observe(latency);
                }
                if !is_failure(response.status()) {
                    peer.gate.observe(latency);
                }
            }
            Err(failed) if failed.unsent.error.kind == Kind::Timeout => {
                peer.vitals.answers.observe(latency);
                peer.gate.observe(latency);
            }
            Err(_) => {}
        }
    }

    /// Notes what a server says of how full it is, where the balance listens.
    fn hear_load(&self, peer: &Peer, fields: &HeaderMap) {
        let said = self.load_field.as_ref().and_then(|name| fields.get(name));
        let percent = said.and_then(|it| it.to_str().ok()?.trim().parse().ok());
        if let Some(percent) = percent {
            peer.vitals.load.report(percent);
        }
    }
}
