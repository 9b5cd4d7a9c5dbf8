//! Writer of an object: bytes from the origin into readers and store at once.
//!
//! A fill that ends without [`Writer::complete`] has failed: its readers see the cut, nothing is
//! stored, and followers that have nothing yet may lead again. A fill that finds no room goes on
//! as a mere stream, so that a full store never costs a client its response.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep_until, timeout};

use super::budget::Share;
use super::claim::Leader;
use super::content::Content;
use super::flight::Outcome;
use super::growing::Growing;
use super::head::Head;
use super::joined::Joined;
use super::object::Object;
use super::pour::{InFlight, Unwanted, Writer};
use super::slices::{Sliced, Slices};
use super::slot::Slot;
use crate::body::Body;
use crate::clock;
use crate::semantics::freshness::Term;
use crate::semantics::storable::WhyNot;
use crate::semantics::vary::Variant;

/// In transit, readers that are far behind may cost the others this much time in all; then they
/// are cut off. A slow client's socket takes its bytes in large sips, so this is not short.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body whose length nobody knows may never end: without a reader, no more of it is fetched for the
/// store alone than comes within this time from its beginning.
const FINISH_TIME_MAX: Duration = Duration::from_secs(60);

/// Leave to store a body, with the room for it.
#[derive(Debug)]
pub struct Admission {
    announced: Option<u64>,
    share: Share,
}

/// The right to write one object's body.
pub struct Filler {
    leader: Leader,
    object: Arc<Object>,
    growing: Arc<Growing>,
    began: clock::Instant,
    len: u64,
    /// What is left of the time that laggards may cost the others.
    patience: Duration,
    /// Too large, or no room: a stream from here on, not to be stored.
    transit: bool,
    complete: bool,
    _count: InFlight,
}

// === impl Leader: fills ===

impl Leader {
    /// Whether a body of this announced length may be stored.
    pub fn admit(&self, announced: Option<u64>) -> Result<Admission, WhyNot> {
        let store = self.store();
        if announced.is_some_and(|len| len > store.limits.object_bytes_max) {
            return Err(WhyNot::TooLarge);
        }
        let share = store.budget.take(announced.unwrap_or(0));
        Ok(Admission {
            announced,
            share: share.ok_or(WhyNot::NoRoom)?,
        })
    }

    /// The head is here and will be stored. Where it may be shared, followers read from the first
    /// byte on; else they go their own ways. Gives the writer of the body, the object, and a first
    /// reader.
    pub fn begin(
        mut self,
        admission: Admission,
        head: Head,
        term: Term,
        variant: Variant,
        shared: bool,
    ) -> (Filler, Arc<Object>, Body) {
        let growing = Growing::new(admission.announced, admission.share);
        let object = Object::new(
            head,
            term,
            variant,
            Content::Growing(Arc::clone(&growing)),
            self.born(),
        );
        let object = Arc::new(object);
        let body = object.body();
        self.take_off(&object, shared);
        let filler = Filler::new(self, Arc::clone(&object), growing);
        (filler, object, body)
    }

    /// The head is here, and with it the slice `index` of a content that will be kept in slices.
    /// The object is filed at once, for what it lacks can be had at any time. Gives the slice's
    /// writer, the object, and a first reader.
    pub fn begin_sliced(
        self,
        head: Head,
        term: Term,
        variant: Variant,
        sliced: Sliced,
        index: u64,
        shared: bool,
    ) -> (Slot, Arc<Object>, Body) {
        let slices = Slices::new(self.store(), self.key(), sliced);
        let (slot, first) = Slices::first(&slices, self.store(), index);
        let body = Body::seekable(Joined::new(&slices).expecting(index, first));
        let object = Object::new(head, term, variant, Content::Sliced(slices), self.born());
        let object = self.land(object, None, shared);
        (slot, object, body)
    }
}

// === impl Filler ===

impl Filler {
    pub(super) fn new(leader: Leader, object: Arc<Object>, growing: Arc<Growing>) -> Self {
        let count = InFlight::new(&leader.store().fills);
        Self {
            leader,
            object,
            growing,
            began: clock::instant(),
            len: 0,
            patience: PATIENCE,
            transit: false,
            complete: false,
            _count: count,
        }
    }

    async fn deserted(&self) {
        poll_fn(|cx| self.growing.poll_deserted(cx)).await;
    }

    /// Whether the next `more` bytes may be kept.
    fn make_room(&mut self, more: u64) -> bool {
        let wanted = self.len + more;
        wanted <= self.leader.store().limits.object_bytes_max && self.growing.charge(wanted)
    }

    fn go_into_transit(&mut self) {
        self.transit = true;
        // An object too large today is too large tomorrow; want of room is a thing of the moment.
        let too_large = self.len >= self.leader.store().limits.object_bytes_max / 2;
        if too_large {
            // Else it would be served stale, and refreshed in vain, for as long as it has grace.
            self.leader.forget_replaced_by(&self.object);
        }
        // First off the table, so that nobody joins whose first bytes are gone.
        let variant = self.object.variant().clone();
        self.leader.withdraw(too_large, Some(variant), clock::now());
        self.growing.go_into_transit();
    }
}

impl Writer for Filler {
    async fn push(&mut self, piece: &[u8]) -> Result<(), Unwanted> {
        if !self.transit && !self.make_room(piece.len() as u64) {
            self.go_into_transit();
        }
        self.len += piece.len() as u64;
        self.growing.push(piece);
        loop {
            let laggard = self.growing.laggard();
            let began = clock::instant();
            let demand = poll_fn(|cx| self.growing.poll_demand(cx));
            let Some(laggard) = laggard else {
                return demand.await.into();
            };
            let demand = timeout(self.patience, demand).await;
            self.patience = self.patience.saturating_sub(began.elapsed());
            match demand {
                Ok(demand) => return demand.into(),
                Err(_) => self.growing.cut(laggard),
            }
        }
    }

    async fn unwanted(&self) {
        let to_the_end = self.leader.store().limits.finish_fill || self.leader.is_unattended();
        if !to_the_end || self.transit {
            return self.deserted().await;
        }
        if self.growing.length().exact().is_some() {
            return std::future::pending().await;
        }
        // Readers may come back until then.
        sleep_until(self.began + FINISH_TIME_MAX).await;
        self.deserted().await;
    }

    /// Files the object, unless it was too large or purged meanwhile.
    fn complete(mut self) {
        self.complete = true;
        if !self.transit {
            let old = &self.object;
            let object = Object::new(
                old.head().clone(),
                *old.term(),
                old.variant().clone(),
                Content::Whole(self.growing.whole()),
                self.leader.born(),
            );
            self.leader.file(Arc::new(object), None);
        }
        self.growing.finish();
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        if !self.complete {
            self.growing.fail();
            self.leader.close(Outcome::Abandoned);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use http_body::Frame;
    use tokio::time::Instant;

    use super::*;
    use crate::body;
    use crate::config;
    use crate::semantics::key::{KeyBuf, Scheme};
    use crate::store::Store;

    const MINIMAL: &str = "listen = [{ address = '127.0.0.1:0' }]\n\
                           site = [{ hosts = ['*'], origin = 'app' }]\n\
                           [origins.app]\nservers = ['http://127.0.0.1:1']";

    /// A body that comes neither to its first byte nor to its end.
    struct Silent;

    impl http_body::Body for Silent {
        type Data = Bytes;
        type Error = body::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, body::Error>>> {
            Poll::Pending
        }
    }

    /// How long a fill goes on that nobody reads and whose body never comes to its end.
    async fn lasts(announced: Option<u64>) -> Option<Duration> {
        let store = Store::new(&config::parse(MINIMAL, "test").unwrap().store);
        let leader = store.alone(&KeyBuf::new(Scheme::Http, "a.example", "/").to_key());
        let admission = leader.admit(announced).unwrap();
        let head = Head::pack(StatusCode::OK, &HeaderMap::new()).unwrap();
        let term = Term::new(clock::now(), Duration::from_secs(600));
        let (filler, _, body) = leader.begin(admission, head, term, Variant::default(), true);
        drop(body);
        let began = Instant::now();
        let poured = timeout(Duration::from_secs(3600), filler.pour(Body::stream(Silent))).await;
        poured.ok().map(|()| began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_no_end_is_not_fetched_for_ever() {
        assert_eq!(lasts(None).await, Some(FINISH_TIME_MAX));
        assert_eq!(lasts(Some(1000)).await, None, "its end is known");
    }
}
