//! Race of two tries at one request: the first was slow, another server is asked as well, and the
//! first good answer wins.
//!
//! When that is, and how often, is in `retry/hedge.rs`. What becomes of a race that nobody won is
//! in `send.rs`, as for any failed try.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tokio::time::timeout;

use super::Pool;
use super::answer::Answer;
use super::connect;
use super::interim::Interim;
use super::peer::Peer;
use super::retry::{Course, Failed, Hedging, Spare};
use super::roster::{Entry, Roster};
use super::server::Flight;
use crate::body::Body;
use crate::clock;

/// A request that may be sent to two servers.
pub(super) struct Race<'a, 'r> {
    pool: &'a Pool,
    hedging: &'a Hedging,
    after: Duration,
    roster: &'r Roster,
    spare: &'a Spare,
    interim: Option<&'a Interim>,
}

/// One of the servers of a race.
#[derive(Clone, Copy)]
struct Lane<'r> {
    index: usize,
    peer: &'r Arc<Peer>,
}

/// How a race ended, or one try of it.
type Tried<'r> = (Lane<'r>, Result<Answer, Failed>);

// === impl Race ===

impl<'a, 'r> Race<'a, 'r> {
    /// A race for a request on its first try, if it may be sent twice and slow ones are.
    pub(super) fn of(
        pool: &'a Pool,
        course: &Course,
        roster: &'r Roster,
        spare: &'a Spare,
        interim: Option<&'a Interim>,
    ) -> Option<Self> {
        let hedging = pool.hedging.as_ref()?;
        let may_be_hedged = !course.belongs && course.is_at_start() && spare.may_be_doubled();
        Some(Self {
            pool,
            hedging,
            after: hedging.after().filter(|_| may_be_hedged)?,
            roster,
            spare,
            interim,
        })
    }

    /// Tries a request at the server where its course begins and, should that be slow, at another
    /// as well. The first good answer wins; the other try is dropped, and its connection with it.
    /// Without one, what is left is a try like any other, at the server where the course stands
    /// afterwards.
    pub(super) async fn run(
        self,
        course: &mut Course,
        peer: &'r Arc<Peer>,
        flight: Flight,
        request: Request<Body>,
    ) -> (&'r Arc<Peer>, Result<Answer, Failed>) {
        let (began, index) = (clock::instant(), course.index);
        let slow = Lane { index, peer };
        let lease = peer.lease(course.from_pool, course.client, false);
        let (pool, timeouts) = (self.pool, course.timeouts);
        let mut first = pin!(pool.try_once(peer, flight, lease, request, None, timeouts));
        if let Ok(tried) = timeout(self.after, &mut first).await {
            return (peer, tried);
        }
        let Some((other, flight, again)) = self.hedge(course) else {
            return (peer, first.await);
        };
        peer.vitals.races.count_hedged();
        let lease = other.peer.lease(true, course.client, false);
        let second = pool.try_once(other.peer, flight, lease, again, None, timeouts);
        let mut second = pin!(second);
        let early = tokio::select! {
            biased;
            tried = &mut first => (slow, tried),
            tried = &mut second => (other, tried),
        };
        let ended = if self.is_good(&early) {
            early
        } else {
            let last = match early.0.index == index {
                true => (other, second.await),
                false => (slow, first.await),
            };
            self.settle(course, early, last)
        };
        course.index = ended.0.index;
        if ended.0.index != index && self.is_good(&ended) {
            other.peer.vitals.races.count_won();
            // How slow the first really is nobody will know, but this slow at the least.
            peer.vitals.load.observe(began.elapsed());
            self.hedging.observe(began.elapsed());
        }
        (ended.0.peer, ended.1)
    }

    /// Another server for a request that is slow, its place there, and the request once more.
    fn hedge(&self, course: &Course) -> Option<(Lane<'r>, Flight, Request<Body>)> {
        let mut choice = course.choice;
        choice.has_tried(course.index);
        let Entry::In(index, flight) = self.roster.enter(&choice, None) else {
            return None;
        };
        let peer = self.roster.peers().get(index)?;
        // Before the copy: where all are slow, this is where nearly all hedges end.
        let is_granted = self.hedging.withdraw();
        let mut again = self.spare.doubled().filter(|_| is_granted)?;
        connect::report_interim(&mut again, self.interim);
        Some((Lane { index, peer }, flight, again))
    }

    /// An answer that a retry would drop does not win while the other try is under way.
    fn is_good(&self, (_, tried): &Tried<'_>) -> bool {
        let is_unwanted = |it: &Answer| self.pool.retries.why_answer(it.response.status());
        tried.as_ref().is_ok_and(|it| is_unwanted(it).is_none())
    }

    /// What is left where the first to end was not good: the other, unless that is a failure and
    /// the first an answer. The one that is given up counts as any failed try.
    fn settle(&self, course: &mut Course, early: Tried<'r>, last: Tried<'r>) -> Tried<'r> {
        let (left, (lane, given_up)) = match (&early.1, &last.1) {
            (Ok(_), Err(_)) => (early, last),
            _ => (last, early),
        };
        self.pool.note_tried(lane.peer, &given_up);
        course.choice.has_tried(lane.index);
        left
    }
}
