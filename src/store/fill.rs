//! Writer of an object: bytes from the origin into readers and store at once.
//!
//! A fill that ends without [`Writer::complete`] has failed: its readers see the cut, nothing is
//! stored, and followers that have nothing yet may lead again. A fill that finds no room goes on
//! as a mere stream, so that a full store never costs a client its response.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep_until;

use super::budget::Share;
use super::claim::Leader;
use super::content::Content;
use super::flight::Outcome;
use super::growing::Growing;
use super::head::Head;
use super::joined::Joined;
use super::laggards::Laggards;
use super::object::Object;
use super::pour::{InFlight, Unwanted, Writer};
use super::slices::{Sliced, Slices};
use super::slot::Slot;
use super::whole::Whole;
use crate::body::Body;
use crate::clock;
use crate::semantics::freshness::Term;
use crate::semantics::storable::WhyNot;
use crate::semantics::vary::Variant;

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
    laggards: Laggards,
    /// Too large, or no room: a stream from here on, not to be stored.
    transit: bool,
    complete: bool,
    _count: InFlight,
}

// === impl Admission ===

impl Admission {
    /// Whether the body is known to have no byte.
    pub fn is_of_nothing(&self) -> bool {
        self.announced == Some(0)
    }
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
        laggards: Laggards,
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
        let filler = Filler::new(self, Arc::clone(&object), growing, laggards);
        (filler, object, body)
    }

    /// The head is here, and it is all there is: the body has no byte. Filed before anybody hears of it,
    /// for a response without a body is read to its end at once.
    pub fn begin_empty(
        self,
        head: Head,
        term: Term,
        variant: Variant,
        shared: bool,
    ) -> Arc<Object> {
        let content = Content::Whole(Whole::Empty);
        let object = Object::new(head, term, variant, content, self.born());
        self.land(object, None, shared)
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
    fn new(leader: Leader, object: Arc<Object>, growing: Arc<Growing>, laggards: Laggards) -> Self {
        let count = InFlight::new(&leader.store().fills);
        Self {
            leader,
            object,
            growing,
            began: clock::instant(),
            len: 0,
            laggards,
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
        match self.transit {
            true => {
                let counts = &self.leader.store().laggards;
                self.laggards.wants_more(&self.growing, counts).await
            }
            false => Ok(()),
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
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use http_body::{Body as _, Frame};
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::body;
    use crate::config;
    use crate::semantics::facet::Facet;
    use crate::semantics::key::{Key, KeyBuf, Scheme};
    use crate::semantics::vary::Selecting;
    use crate::store::{Found, Store};

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

    /// A body that comes in pieces, with a pause after each of them and before its end.
    struct Pieces(Vec<Option<&'static str>>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = body::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, body::Error>>> {
            match self.0.pop() {
                Some(Some(piece)) => Poll::Ready(Some(Ok(Frame::data(Bytes::from(piece))))),
                Some(None) => Poll::Pending,
                None => Poll::Ready(None),
            }
        }
    }

    fn key() -> Key {
        KeyBuf::new(Scheme::Http, "a.example", "/").to_key()
    }

    fn store() -> Arc<Store> {
        Store::new(&config::parse(MINIMAL, "test").unwrap().store)
    }

    fn head_and_term() -> (Head, Term) {
        let head = Head::pack(StatusCode::OK, &HeaderMap::new()).unwrap();
        (head, Term::new(clock::now(), Duration::from_secs(600)))
    }

    fn begin(leader: Leader, announced: Option<u64>) -> (Filler, Body) {
        let admission = leader.admit(announced).unwrap();
        let (head, term) = head_and_term();
        let (variant, laggards) = (Variant::default(), Laggards::default());
        let (filler, _, body) = leader.begin(admission, head, term, variant, true, laggards);
        (filler, body)
    }

    fn is_filed(store: &Store) -> bool {
        let (headers, facet) = (HeaderMap::new(), Facet::default());
        let request = Selecting {
            headers: &headers,
            facet: &facet,
        };
        let found = store.find(key().as_ref(), &request, clock::now());
        matches!(found, Found::Object(_))
    }

    /// Reads what there is; whether that was the end.
    fn read(mut body: Pin<&mut Body>, cx: &mut Context<'_>) -> bool {
        while let Poll::Ready(frame) = body.as_mut().poll_frame(cx) {
            if frame.is_none() || body.is_end_stream() {
                return true;
            }
        }
        false
    }

    /// Looked at after each single step of the writer, so that no thread need be lucky.
    #[tokio::test]
    async fn who_has_read_the_last_byte_finds_it_filed() {
        for announced in [Some(5), None] {
            let store = store();
            let (filler, body) = begin(store.alone(&key()), announced);
            let pieces = Pieces(vec![None, Some("lo"), None, Some("hel"), None]);
            let (mut pour, mut body) = (pin!(filler.pour(Body::stream(pieces))), pin!(body));
            let mut cx = Context::from_waker(Waker::noop());
            let mut steps = 0;
            while !read(body.as_mut(), &mut cx) {
                assert!(steps < 9, "it has an end");
                steps += 1;
                let _ = pour.as_mut().poll(&mut cx);
            }
            assert!(is_filed(&store), "{announced:?}");
            assert_eq!(steps, 4, "{announced:?}");
        }
    }

    #[tokio::test]
    async fn who_hears_of_an_empty_body_finds_it_filed() {
        let store = store();
        let leader = store.alone(&key());
        assert!(leader.admit(Some(0)).unwrap().is_of_nothing());
        let (head, term) = head_and_term();
        let object = leader.begin_empty(head, term, Variant::default(), true);
        assert!(object.body().is_empty() && is_filed(&store));
    }

    /// How long a fill goes on that nobody reads and whose body never comes to its end.
    async fn lasts(announced: Option<u64>) -> Option<Duration> {
        let (filler, body) = begin(store().alone(&key()), announced);
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
