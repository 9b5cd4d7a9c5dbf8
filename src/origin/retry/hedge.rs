//! Hedged requests: one whose answer is slow is sent to another server as well, and the first
//! answer wins.
//!
//! Only what changes nothing and has no content is sent twice, and never more than a share of the
//! requests: hedging is for the few that meet a hiccup, and would only add to the load where all
//! are slow. What becomes of a race that nobody won is in `send.rs`, as for any failed try.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tokio::time::timeout;

use super::budget::Budget;
use super::latencies::Latencies;
use super::replay::Spare;
use super::{Course, Failed};
use crate::body::Body;
use crate::clock;
use crate::config::{self, HedgeAfter};
use crate::origin::Pool;
use crate::origin::answer::Answer;
use crate::origin::connect;
use crate::origin::interim::Interim;
use crate::origin::peer::Peer;
use crate::origin::roster::{Entry, Roster};
use crate::origin::server::Flight;

/// When a pool's requests are sent to another server as well, and how many still may be.
#[derive(Debug)]
pub(in crate::origin) struct Hedging {
    after: After,
    budget: Budget,
}

#[derive(Debug)]
enum After {
    Time(Duration),
    Percentile(Box<Latencies>),
}

/// A request that may be sent to two servers.
pub(in crate::origin) struct Race<'a, 'r> {
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

// === impl Hedging ===

impl Hedging {
    pub(in crate::origin) fn new(config: &config::Hedge) -> Self {
        let after = match config.after {
            HedgeAfter::Time(time) => After::Time(time),
            HedgeAfter::Percentile(percentile) => {
                After::Percentile(Box::new(Latencies::new(percentile)))
            }
        };
        Self {
            after,
            budget: Budget::strict(config.share_max),
        }
    }

    /// A client's request is on its way.
    pub(in crate::origin) fn deposit(&self) {
        self.budget.deposit();
    }

    /// An answer's head came after so long, or has not come for so long.
    pub(in crate::origin) fn observe(&self, latency: Duration) {
        if let After::Percentile(latencies) = &self.after {
            latencies.observe(latency);
        }
    }

    /// Time passes; to be called several times a second, by one at a time.
    pub(in crate::origin) fn tick(&self) {
        if let After::Percentile(latencies) = &self.after {
            latencies.tick();
        }
    }

    /// How slow a request must be; `None` while that is unknown.
    pub(in crate::origin) fn after(&self) -> Option<Duration> {
        match &self.after {
            After::Time(time) => Some(*time),
            After::Percentile(latencies) => latencies.within(),
        }
    }
}

// === impl Pool: its races ===

impl Pool {
    /// A race for a request on its first try, if it may be sent twice and slow ones are.
    pub(in crate::origin) fn race<'a, 'r>(
        &'a self,
        course: &Course,
        roster: &'r Roster,
        spare: &'a Spare,
        interim: Option<&'a Interim>,
    ) -> Option<Race<'a, 'r>> {
        let hedging = self.hedging.as_ref()?;
        let may_be_hedged = !course.belongs && course.is_at_start() && spare.may_be_doubled();
        Some(Race {
            pool: self,
            hedging,
            after: hedging.after().filter(|_| may_be_hedged)?,
            roster,
            spare,
            interim,
        })
    }
}

// === impl Race ===

impl<'r> Race<'_, 'r> {
    /// Tries a request at the server where its course begins and, should that be slow, at another
    /// as well. The first good answer wins; the other try is dropped, and its connection with it.
    /// Without one, what is left is a try like any other, at the server where the course stands
    /// afterwards.
    pub(in crate::origin) async fn run(
        self,
        course: &mut Course,
        peer: &'r Arc<Peer>,
        flight: Flight,
        request: Request<Body>,
    ) -> (&'r Arc<Peer>, Result<Answer, Failed>) {
        let (began, index) = (clock::instant(), course.index);
        let slow = Lane { index, peer };
        let lease = peer.lease(course.from_pool, course.client);
        let mut first = pin!(self.pool.try_once(peer, flight, lease, request, None));
        if let Ok(tried) = timeout(self.after, &mut first).await {
            return (peer, tried);
        }
        let Some((other, flight, again)) = self.hedge(course) else {
            return (peer, first.await);
        };
        peer.vitals.races.count_hedged();
        let lease = other.peer.lease(true, course.client);
        let mut second = pin!(self.pool.try_once(other.peer, flight, lease, again, None));
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
        let is_granted = self.hedging.budget.withdraw();
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
