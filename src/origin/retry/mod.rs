//! Retries: which failures are worth another try, where a request goes then, and how often.
//!
//! Whether a request may be sent twice at all is in `replay.rs`: nothing here makes a request safe
//! that is not. How many retries a pool has is in `budget.rs`. `hedge.rs` says when a slow request is
//! tried at two servers at once, and `latencies.rs` knows what slow is.

mod budget;
mod hedge;
mod latencies;
mod replay;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode};

pub(super) use hedge::Hedging;
pub(super) use replay::{Content, Spare};

use super::answer::Answer;
use super::balance::Choice;
use super::connect::Unsent;
use super::dice::Dice;
use super::error::{Error, Kind, Phase, Why};
use super::peer::{Blame, Timeouts};
use super::roster::{self, Entry, Roster};
use super::server::Flight;
use crate::body::Body;
use crate::config;
use crate::semantics::proxy_protocol::Endpoints;
use budget::Budget;

/// Waits double up to this many times the configured one (Envoy's default as well).
const BACKOFF_TIMES_MAX: u32 = 10;

/// By which rules a pool's requests are sent again.
#[derive(Debug)]
pub(super) struct Retries {
    tries: usize,
    on: config::RetryOn,
    backoff: Duration,
    pub(super) body_bytes_max: u64,
    dice: Dice,
    budget: Budget,
}

/// The way of one request among the servers.
pub(super) struct Course {
    pub(super) choice: Choice,
    /// The server that is asked.
    pub(super) index: usize,
    /// Whether it may be asked over a pooled connection.
    pub(super) from_pool: bool,
    tries_left: usize,
    /// Whether the try under way was taken from the budget.
    pub(super) is_paid_for: bool,
    /// How often all servers were tried.
    rounds: u32,
    /// Whether it was sent back to the queue.
    is_back: bool,
    /// Whether its client belongs to the server where it begins.
    pub(super) belongs: bool,
    /// Whose request it is, where servers are told.
    pub(super) client: Option<Endpoints>,
    /// How long servers may be silent.
    pub(super) timeouts: Timeouts,
}

/// Where a request is sent that has failed.
pub(super) enum Next {
    /// To the server where its course stands, at which it is in flight.
    At(Flight),
    /// To any server, after so long.
    After(Duration),
}

/// A try that failed, and whether only because its pooled connection had died.
pub(super) struct Failed {
    pub(super) unsent: Unsent,
    /// Its place among those in flight, if it was on a connection.
    pub(super) flight: Option<Flight>,
    pub(super) stale: bool,
}

/// A try after which there may be another.
pub(super) struct Setback {
    /// What is left of it if there is none.
    pub(super) result: Result<Answer, Error>,
    why: Why,
    /// Whether it cost no server anything.
    is_free: bool,
    /// Its place among those in flight, if it has not lost that.
    pub(super) flight: Option<Flight>,
    pub(super) again: Request<Body>,
}

// === impl Retries ===

impl Retries {
    pub(super) fn new(config: &config::Retry) -> Self {
        Self {
            tries: config.tries.min(config::TRIES_MAX),
            on: config.on.clone(),
            backoff: config.backoff,
            body_bytes_max: config.body_bytes_max,
            dice: Dice::new(),
            budget: Budget::of_retries(config.budget),
        }
    }

    /// Tries at one request, the first one included.
    pub(super) fn tries(&self) -> usize {
        self.tries
    }

    /// Why a request should be sent again that was answered with this status.
    pub(super) fn why_answer(&self, status: StatusCode) -> Option<Why> {
        self.on.statuses.contains(&status).then_some(Why::Status)
    }

    /// Why a request should be sent again that failed like this.
    pub(super) fn why_failure(&self, error: &Error) -> Option<Why> {
        let (why, is_wanted) = match (error.phase, error.kind) {
            // That one server has no room says nothing of the others, whatever is configured.
            (Phase::Connecting, Kind::Full) => (Why::Connect, true),
            // What we lack no other server has for us.
            (Phase::Connecting, Kind::NoServer | Kind::Descriptors) => return None,
            (Phase::Connecting, _) => (Why::Connect, self.on.connect),
            (Phase::AwaitingHead, Kind::Timeout) => (Why::Timeout, self.on.timeout),
            (Phase::AwaitingHead, Kind::Malformed) => (Why::Malformed, self.on.malformed),
            (Phase::AwaitingHead, Kind::Closed | Kind::Reset | Kind::Tls) => {
                (Why::Reset, self.on.reset)
            }
            // What is the client's fault would be it again.
            (Phase::AwaitingHead, _) => return None,
        };
        is_wanted.then_some(why)
    }

    /// Whether a try is the last word, or the request should and can be sent again.
    pub(super) fn judge(
        &self,
        tried: Result<Answer, Failed>,
        spare: Spare,
        content: &Content,
    ) -> ControlFlow<Result<Answer, Error>, Setback> {
        let (why, again, flight, result) = match tried {
            Ok(answer) => match self.why_answer(answer.response.status()) {
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
                is_free: result.as_ref().is_err_and(is_free),
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
            false => self.why_failure(&failed.unsent.error),
        }
    }

    /// Whether a failure is only that of a connection, and another may be tried for it.
    pub(super) fn grants_another(&self, blame: Blame, error: &Error) -> bool {
        blame.spares_server(error) && (!blame.may_be_many(error) || self.budget.withdraw())
    }

    /// A client's request is on its way.
    pub(super) fn deposit(&self) {
        self.budget.deposit();
    }

    /// A retry that was taken from the budget has been answered well.
    pub(super) fn give_back(&self) {
        self.budget.give_back();
    }

    /// How long to wait before all servers are tried anew, for the `round`th time; `None` where no
    /// server is tried twice. Between half of the wait and all of it, so that those whose tries
    /// failed together do not come back together.
    fn pause(&self, round: u32) -> Option<Duration> {
        let times = 1u32.checked_shl(round).unwrap_or(BACKOFF_TIMES_MAX);
        let whole = self.backoff.saturating_mul(times.min(BACKOFF_TIMES_MAX));
        (!whole.is_zero()).then(|| whole / 2 + (whole / 2).mul_f64(self.dice.part()))
    }

    /// Sends a request on to where it is tried next; `None` where this was its last try. What
    /// `is_free` takes nothing from the budget. The servers `in_force` may be others than those that
    /// the request began with.
    pub(super) fn go_on(
        &self,
        course: &mut Course,
        roster: &mut Arc<Roster>,
        setback: &mut Setback,
        in_force: impl Fn() -> Arc<Roster>,
    ) -> Option<Next> {
        let failed = roster.peers().get(course.index).map(Arc::clone)?;
        let next = self.find_next(course, roster, setback, in_force);
        let next = next.or_else(|| course.go_back(setback))?;
        failed.vitals.counters.count_retry(setback.why);
        Some(next)
    }

    fn find_next(
        &self,
        course: &mut Course,
        roster: &mut Arc<Roster>,
        setback: &mut Setback,
        in_force: impl Fn() -> Arc<Roster>,
    ) -> Option<Next> {
        let is_stale = setback.why == Why::Stale;
        // A dead connection is replaced without the budget's leave, and is no try: there are no
        // more of them than answers that came whole or were opened ahead, and what replaces it does
        // not come from the pool. But who fails the replacement too was alive, and has been asked
        // twice.
        let was_from_pool = std::mem::replace(&mut course.from_pool, !is_stale);
        if is_stale && let Some(flight) = setback.flight.take() {
            return Some(Next::At(flight));
        }
        if !was_from_pool && !setback.is_free {
            self.budget.owe();
        }
        course.tries_left = course.tries_left.checked_sub(1)?;
        course.choice.has_tried(course.index);
        let next = match roster::enter_another(roster, &mut course.choice, in_force) {
            Entry::In(index, flight) => {
                course.index = index;
                Next::At(flight)
            }
            // A dead server has room for everybody. Who was sent to it instead of waiting for one that
            // is full waits now.
            Entry::Full if setback.is_free => Next::After(Duration::ZERO),
            Entry::Full | Entry::Nobody => self.begin_anew(course)?,
        };
        course.is_paid_for = !setback.is_free;
        (setback.is_free || self.budget.withdraw()).then_some(next)
    }

    /// No server is left that was not tried.
    fn begin_anew(&self, course: &mut Course) -> Option<Next> {
        let pause = self.pause(course.rounds)?;
        course.rounds += 1;
        course.choice.forget_tried();
        Some(Next::After(pause))
    }
}

// === impl Course ===

impl Course {
    /// Begins at the server of this index.
    pub(super) fn new(index: usize, choice: Choice, retries: &Retries, timeouts: Timeouts) -> Self {
        Self {
            choice,
            index,
            from_pool: true,
            tries_left: retries.tries.saturating_sub(1),
            is_paid_for: false,
            rounds: 0,
            is_back: false,
            belongs: false,
            client: None,
            timeouts,
        }
    }

    /// Whether nothing has been tried yet.
    pub(super) fn is_at_start(&self) -> bool {
        self.from_pool && self.rounds == 0 && self.choice.is_first()
    }

    /// Who was let in to find that there is less room than there seemed, which only a connection
    /// can tell, waits its turn with the others. Once, for then that is known.
    fn go_back(&mut self, setback: &Setback) -> Option<Next> {
        let may_go_back = setback.has_found_no_room() && !self.is_back;
        self.is_back |= may_go_back;
        may_go_back.then(|| {
            self.choice.forget_tried();
            Next::After(Duration::ZERO)
        })
    }
}

// === impl Failed ===

impl Failed {
    /// There was nothing to send a request on.
    pub(super) fn unleased(error: Error, request: Request<Body>) -> Self {
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

// === impl Setback ===

impl Setback {
    /// Whether there was no connection to be had at a server that let the request in.
    fn has_found_no_room(&self) -> bool {
        let error = self.result.as_ref().err();
        error.is_some_and(|it| it.kind == Kind::Full)
    }
}

/// Whether a failure cost no server anything. Who accepted no connection has been sent nothing: the
/// next try will be the only request. But a connection that is waited for in vain is a load as
/// well, on us.
fn is_free(error: &Error) -> bool {
    error.phase == Phase::Connecting && error.kind != Kind::Timeout
}

#[cfg(test)]
mod tests {
    use super::super::error::Retry;
    use super::*;

    fn retries(on: config::RetryOn, backoff_ms: u64) -> Retries {
        Retries::new(&config::Retry {
            tries: 3,
            on,
            budget: 0.2,
            backoff: Duration::from_millis(backoff_ms),
            body_bytes_max: 0,
        })
    }

    #[test]
    fn a_failure_is_tried_again_where_it_is_named() {
        let none = config::RetryOn::default;
        let (connect, reset) = (
            config::RetryOn {
                connect: true,
                ..none()
            },
            config::RetryOn {
                reset: true,
                ..none()
            },
        );
        let (timeout, malformed) = (
            config::RetryOn {
                timeout: true,
                ..none()
            },
            config::RetryOn {
                malformed: true,
                ..none()
            },
        );
        let (connecting, awaiting) = (Phase::Connecting, Phase::AwaitingHead);
        for (phase, kind, on, why) in [
            (connecting, Kind::Refused, &connect, Why::Connect),
            (connecting, Kind::Resolve, &connect, Why::Connect),
            (connecting, Kind::Tls, &connect, Why::Connect),
            (connecting, Kind::Timeout, &connect, Why::Connect),
            (awaiting, Kind::Closed, &reset, Why::Reset),
            (awaiting, Kind::Tls, &reset, Why::Reset),
            (awaiting, Kind::Timeout, &timeout, Why::Timeout),
            (awaiting, Kind::Malformed, &malformed, Why::Malformed),
        ] {
            let error = Error::new(kind, phase, Retry::Safe);
            for rules in [&none(), &connect, &reset, &timeout, &malformed] {
                let found = retries(rules.clone(), 0).why_failure(&error);
                let wanted = (rules == on).then_some(why);
                assert_eq!(found, wanted, "{phase} {kind} {rules:?}");
            }
        }
    }

    #[test]
    fn what_is_no_servers_fault_is_not_tried_again_and_a_full_one_is_passed_over() {
        let all = config::RetryOn {
            connect: true,
            reset: true,
            timeout: true,
            malformed: true,
            statuses: Vec::new(),
        };
        let none = config::RetryOn::default();
        for (kind, phase, rules, why) in [
            (Kind::UploadBroken, Phase::AwaitingHead, &all, None),
            (Kind::UploadStalled, Phase::AwaitingHead, &all, None),
            (Kind::UploadTooLarge, Phase::AwaitingHead, &all, None),
            (Kind::NoServer, Phase::Connecting, &all, None),
            (Kind::Descriptors, Phase::Connecting, &all, None),
            (Kind::Full, Phase::Connecting, &none, Some(Why::Connect)),
        ] {
            let error = Error::new(kind, phase, Retry::No);
            let found = retries(rules.clone(), 0).why_failure(&error);
            assert_eq!(found, why, "{kind}");
        }
    }

    #[test]
    fn waits_double_up_to_an_end_and_differ() {
        let retries = retries(config::RetryOn::default(), 100);
        for (round, most_ms) in [
            (0, 100),
            (1, 200),
            (2, 400),
            (3, 800),
            (4, 1000),
            (40, 1000),
        ] {
            let most = Duration::from_millis(most_ms);
            let pauses: Vec<_> = (0..100).map(|_| retries.pause(round).unwrap()).collect();
            assert!(pauses.iter().all(|it| *it >= most / 2 && *it <= most));
            assert!(pauses.iter().any(|it| *it != pauses[0]), "{round}");
        }
    }

    #[test]
    fn without_a_wait_no_server_is_tried_twice() {
        assert_eq!(retries(config::RetryOn::default(), 0).pause(0), None);
    }
}
