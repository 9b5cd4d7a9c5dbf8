//! Watch on a DNS name, which is looked up again and again for as long as a pool has it.
//!
//! Pools that have the same name share its lookups, and so do those before and after a reload: what
//! is known of a name is kept. The last good answer stays in use until there is another.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::Question;
use super::answer::{Endpoint, Found, Miss};
use super::resolver::{Pace, Resolver};

/// All names of all pools that are alive.
#[derive(Debug, Default)]
pub(in crate::origin) struct Names(Mutex<HashMap<Question, Weak<Name>>>);

/// A name, and what is known of it.
pub(in crate::origin) struct Name {
    question: Question,
    known: watch::Sender<Known>,
    lookups: [AtomicU64; LookupStats::RESULTS.len()],
    /// Which of its addresses is the next for a connection.
    turn: AtomicUsize,
    /// Told when no connection could be made: the addresses may be others by now.
    doubt: Arc<Notify>,
    /// Who looks it up, by which resolver.
    task: Mutex<Option<(Arc<Resolver>, AbortHandle)>>,
}

/// What is known of a name at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::origin) struct Known {
    /// Of the last good answer, in order; never empty.
    pub(in crate::origin) endpoints: Option<Arc<[Endpoint]>>,
    /// How often an endpoint has gone that was there before.
    pub(in crate::origin) epoch: u64,
    /// Why the last lookup brought nothing, if it did not.
    fault: Option<Miss>,
}

/// How the lookups of a name have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupStats {
    /// The name.
    pub name: Arc<str>,
    /// How many ended with each of [`Self::RESULTS`].
    pub results: [u64; Self::RESULTS.len()],
    /// What it leads to, in the words of the log.
    pub endpoints: Vec<String>,
    /// Why the last lookup brought nothing, if it did not; what it leads to is older then.
    pub fault: Option<String>,
}

// === impl Names ===

impl Names {
    /// The name that this is asked of. Nobody looks it up before [`Name::begin`].
    pub(in crate::origin) fn get(&self, question: Question) -> Arc<Name> {
        let mut names = self.0.lock();
        names.retain(|_, name| name.strong_count() > 0);
        if let Some(name) = names.get(&question).and_then(Weak::upgrade) {
            return name;
        }
        let name = Arc::new(Name::new(question.clone()));
        names.insert(question, Arc::downgrade(&name));
        name
    }
}

// === impl Name ===

impl Name {
    fn new(question: Question) -> Self {
        Self {
            question,
            known: watch::Sender::default(),
            lookups: Default::default(),
            turn: AtomicUsize::default(),
            doubt: Arc::default(),
            task: Mutex::default(),
        }
    }

    /// The name itself.
    pub(in crate::origin) fn text(&self) -> &Arc<str> {
        self.question.name()
    }

    /// Has it looked up from now on, at once if by another resolver than before.
    pub(in crate::origin) fn begin(self: &Arc<Self>, resolver: &Arc<Resolver>) {
        let mut task = self.task.lock();
        match &*task {
            Some((current, _)) if Arc::ptr_eq(current, resolver) => return,
            Some((_, running)) => running.abort(),
            None => {}
        }
        let running = tokio::spawn(keep_up(Arc::downgrade(self), Arc::clone(resolver)));
        *task = Some((Arc::clone(resolver), running.abort_handle()));
    }

    /// What is known now and later.
    pub(in crate::origin) fn news(&self) -> watch::Receiver<Known> {
        self.known.subscribe()
    }

    /// What is known at this moment.
    pub(in crate::origin) fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// The same; while nothing is known, when the first lookup has ended. Without an end for a name
    /// that nobody looks up.
    pub(in crate::origin) async fn first_endpoints(&self) -> Option<Arc<[Endpoint]>> {
        let mut news = self.news();
        // The sender lives in `self`, so the wait does not fail.
        let known = news.wait_for(Known::is_asked).await.ok()?;
        known.endpoints.clone()
    }

    /// Its addresses for one connection, no more than `max`: each begins with the next.
    pub(in crate::origin) async fn in_turn(&self, max: usize) -> Vec<IpAddr> {
        let Some(endpoints) = self.first_endpoints().await else {
            return Vec::new();
        };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (behind, first) = endpoints.split_at(turn % endpoints.len().max(1));
        let in_turn = first.iter().chain(behind);
        in_turn.map(|it| it.address).take(max).collect()
    }

    /// A connection to what it leads to has failed, so it is looked up again before its TTL is over.
    pub(in crate::origin) fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// A lookup has ended. How long to wait for the next.
    fn learn(&self, found: Found<Endpoint>, pace: Pace) -> Duration {
        self.count(&found);
        let name = &**self.text();
        let mut known = self.known();
        let was_at_fault = known.fault.is_some();
        let pause = match found {
            Ok((endpoints, ttl)) => {
                if was_at_fault {
                    warn!(name, "the name resolves again");
                }
                let before = known.endpoints.as_deref().unwrap_or_default();
                if before.iter().any(|it| !endpoints.contains(it)) {
                    known.epoch += 1;
                }
                known.endpoints = Some(endpoints.into());
                known.fault = None;
                pace.after(ttl)
            }
            Err(fault) => {
                if !was_at_fault {
                    let keeps = known.endpoints.is_some();
                    warn!(name, %fault, keeps, "the name does not resolve");
                }
                known.fault = Some(fault);
                pace.retry
            }
        };
        self.known.send_if_modified(|it| {
            let is_news = *it != known;
            *it = known;
            is_news
        });
        pause
    }

    fn count(&self, found: &Found<Endpoint>) {
        let [answered, empty, failed] = &self.lookups;
        let counter = match found {
            Ok(_) => answered,
            Err(Miss::Empty) => empty,
            Err(Miss::Failed(_)) => failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Its figures at this moment.
    pub(in crate::origin) fn stats(&self) -> LookupStats {
        let known = self.known();
        let endpoints = known.endpoints.iter().flat_map(|it| it.iter());
        LookupStats {
            name: Arc::clone(self.text()),
            results: std::array::from_fn(|at| self.lookups[at].load(Ordering::Relaxed)),
            endpoints: endpoints.map(Endpoint::to_string).collect(),
            fault: known.fault.as_ref().map(Miss::to_string),
        }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if let Some((_, running)) = self.task.get_mut() {
            running.abort();
        }
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Name").field(&self.question).finish()
    }
}

// === impl Known ===

impl Known {
    /// Whether a lookup has ended.
    fn is_asked(&self) -> bool {
        self.endpoints.is_some() || self.fault.is_some()
    }
}

// === impl LookupStats ===

impl LookupStats {
    /// How a lookup may end, for metrics: with an answer, without anything, or not at all.
    pub const RESULTS: [&'static str; 3] = ["answered", "empty", "failed"];
}

/// Looks a name up until nobody wants it.
async fn keep_up(name: Weak<Name>, resolver: Arc<Resolver>) {
    loop {
        let Some((question, before)) = name
            .upgrade()
            .map(|it| (it.question.clone(), it.known().endpoints))
        else {
            return;
        };
        let before = before.as_deref().unwrap_or_default();
        let found = resolver.look_up(&question, before).await;
        let learnt = name
            .upgrade()
            .map(|it| (it.learn(found, resolver.pace), Arc::clone(&it.doubt)));
        let Some((pause, doubt)) = learnt else {
            return;
        };
        rest(pause, resolver.pace.retry, &doubt).await;
    }
}

/// Waits for the next lookup. A doubt brings it forward, however many there are to no sooner than
/// `retry` after the last.
async fn rest(pause: Duration, retry: Duration, doubt: &Notify) {
    let at_least = pause.min(retry);
    sleep(at_least).await;
    // Either is a reason to look it up.
    let _ = timeout(pause - at_least, doubt.notified()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        ttl_min: Duration::from_secs(1),
        ttl_max: Duration::from_secs(60),
        retry: Duration::from_secs(2),
    };

    fn name() -> Name {
        Name::new(Question::Addresses("app.test".into()))
    }

    fn found(addresses: &[u8]) -> Found<Endpoint> {
        let endpoint = |last: &u8| Endpoint {
            record: None,
            address: [10, 0, 0, *last].into(),
        };
        Ok((
            addresses.iter().map(endpoint).collect(),
            Duration::from_secs(5),
        ))
    }

    fn failed() -> Found<Endpoint> {
        Err(Miss::Failed("f".to_owned()))
    }

    #[test]
    fn the_last_good_answer_is_kept() {
        let name = name();
        // What a lookup brings, when the next is, where the name leads to, and the epoch.
        for (brought, pause, leads_to, epoch) in [
            (failed(), 2, None, 0),
            (found(&[1, 2]), 5, Some(&[1, 2][..]), 0),
            (failed(), 2, Some(&[1, 2]), 0),
            (Err(Miss::Empty), 2, Some(&[1, 2]), 0),
            (found(&[1, 2, 3]), 5, Some(&[1, 2, 3]), 0),
            (found(&[1, 3]), 5, Some(&[1, 3]), 1),
            (found(&[1, 3]), 5, Some(&[1, 3]), 1),
            (found(&[4]), 5, Some(&[4]), 2),
        ] {
            let row = format!("{brought:?}");
            let fault = brought.as_ref().err().cloned();
            assert_eq!(
                name.learn(brought, PACE),
                Duration::from_secs(pause),
                "{row}"
            );
            let known = Known {
                endpoints: leads_to.map(|it| found(it).unwrap().0.into()),
                epoch,
                fault,
            };
            assert_eq!(name.known(), known, "{row}");
        }
        assert_eq!(name.stats().results, [5, 1, 2]);
    }

    #[tokio::test]
    async fn addresses_are_used_in_turn() {
        let name = name();
        name.learn(found(&[1, 2, 3]), PACE);
        for expected in [[1, 2], [2, 3], [3, 1], [1, 2]] {
            let expected = expected.map(|last| IpAddr::from([10, 0, 0, last]));
            assert_eq!(name.in_turn(2).await, expected);
        }
    }

    #[tokio::test]
    async fn who_asks_first_waits_until_the_first_lookup_has_ended() {
        for (brought, expected) in [(found(&[1]), 1), (failed(), 0), (Err(Miss::Empty), 0)] {
            let name = name();
            let mut asked = std::pin::pin!(name.in_turn(8));
            let early = std::future::poll_fn(|cx| asked.as_mut().poll(cx).is_ready().into());
            assert!(!early.await);
            name.learn(brought, PACE);
            assert_eq!(asked.await.len(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_doubt_brings_the_next_lookup_forward_and_no_closer_than_allowed() {
        let name = name();
        // The pause and `retry`, when doubts come, and when the next lookup is.
        for (pause, retry, doubts, expected) in [
            (60, 2, &[][..], 60),
            (60, 2, &[0], 2),
            (60, 2, &[0, 0, 1, 1], 2),
            (60, 2, &[30], 30),
            (60, 2, &[30, 30], 30),
            // One that came while nobody waited counts once.
            (60, 2, &[], 2),
            (60, 2, &[], 60),
            (1, 2, &[0], 1),
        ] {
            let began = tokio::time::Instant::now();
            let doubting = async {
                for at in doubts {
                    tokio::time::sleep_until(began + Duration::from_secs(*at)).await;
                    name.doubt();
                }
            };
            let (pause, retry) = (Duration::from_secs(pause), Duration::from_secs(retry));
            tokio::join!(rest(pause, retry, &name.doubt), doubting);
            let row = format!("{pause:?} {doubts:?}");
            assert_eq!(began.elapsed().as_secs(), expected, "{row}");
        }
    }

    #[test]
    fn names_are_shared_as_long_as_somebody_has_them() {
        let names = Names::default();
        let question = || Question::Addresses("app.test".into());
        let (one, other) = (names.get(question()), names.get(question()));
        assert!(Arc::ptr_eq(&one, &other));
        one.learn(found(&[1]), PACE);
        drop((one, other));
        assert_eq!(names.get(question()).known(), Known::default());
        let service = names.get(Question::Service("app.test".into()));
        assert!(!Arc::ptr_eq(&service, &names.get(question())));
    }
}
