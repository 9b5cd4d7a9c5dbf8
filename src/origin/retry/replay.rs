//! Replay of a request: what is kept of it while it is on its way, so that it can be sent again.
//!
//! Nothing is kept of a request that must not be sent twice, whatever is configured. Which
//! failures are worth another try is in `mod.rs`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::UPGRADE;
use http::{Method, Request};
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;

use crate::body::{self, Body};
use crate::origin::connect::Unsent;
use crate::origin::error::Retry;
use crate::semantics::headers;

/// The content of a request, as far as it can be had again.
pub(in crate::origin) enum Content {
    /// The request is its head.
    Nothing,
    /// Bytes that are all here.
    Whole(Bytes),
    /// Bytes that are kept as they go.
    Kept(Arc<Mutex<Tape>>),
    /// It must not be sent twice, or there is too much of it.
    Lost,
}

/// A request's head, from which it is made anew.
pub(in crate::origin) struct Spare {
    head: Option<Request<()>>,
    is_idempotent: bool,
    has_content: bool,
}

/// A body on its way, and its beginning.
pub(in crate::origin) struct Tape {
    source: Body,
    /// What came of it; `None` once that is more than may be kept.
    kept: Option<Vec<u8>>,
    bytes_max: usize,
    /// The reader whose turn it is. Those before it belong to tries that were given up.
    turn: u32,
}

/// Reads a body from its beginning.
struct Reader {
    tape: Arc<Mutex<Tape>>,
    turn: u32,
    /// How much of what was kept it has given.
    given_bytes: usize,
}

// === impl Content ===

impl Content {
    /// Has the content of `request` kept, if it is idempotent and its content not longer than
    /// `bytes_max`.
    ///
    /// "A proxy MUST NOT automatically retry non-idempotent requests." (RFC 9110 §9.2.2)
    pub(in crate::origin) fn of(request: &mut Request<Body>, bytes_max: u64) -> Self {
        if request.body().is_empty() {
            return Self::Nothing;
        }
        if !is_idempotent(request.method()) {
            return Self::Lost;
        }
        // A stream of unknown length is kept until it is too long.
        if request.body().size_hint().lower() > bytes_max || bytes_max == 0 {
            return Self::Lost;
        }
        if let Some(bytes) = request.body().whole() {
            return Self::Whole(bytes);
        }
        let tape = Arc::new(Mutex::new(Tape {
            source: std::mem::take(request.body_mut()),
            kept: Some(Vec::new()),
            // No more than this is ever compared with a length in memory.
            bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
            turn: 0,
        }));
        *request.body_mut() = read(&tape, 0);
        Self::Kept(tape)
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// The content from its beginning, if it can be had.
    fn again(&self) -> Option<Body> {
        match self {
            Self::Nothing => Some(Body::empty()),
            Self::Whole(bytes) => Some(Body::full(bytes.clone())),
            Self::Kept(tape) => {
                let turn = tape.lock().next_turn()?;
                Some(read(tape, turn))
            }
            Self::Lost => None,
        }
    }
}

/// "Of the request methods defined by this specification, PUT, DELETE, and safe request methods are
/// idempotent." (RFC 9110 §9.2.2)
fn is_idempotent(method: &Method) -> bool {
    !headers::invalidates(method) || *method == Method::PUT || *method == Method::DELETE
}

fn read(tape: &Arc<Mutex<Tape>>, turn: u32) -> Body {
    Body::stream(Reader {
        tape: Arc::clone(tape),
        turn,
        given_bytes: 0,
    })
}

// === impl Spare ===

impl Spare {
    /// A copy of the head, unless the request cannot be sent again anyway.
    pub(in crate::origin) fn of(request: &Request<Body>, content: &Content) -> Self {
        let is_lost = matches!(content, Content::Lost);
        Self {
            head: (!is_lost).then(|| copy(request)),
            is_idempotent: is_idempotent(request.method()),
            has_content: !content.is_nothing(),
        }
    }

    /// Whether the request may be made twice at the same time.
    pub(in crate::origin) fn may_be_doubled(&self) -> bool {
        let head = self.head.as_ref();
        let may_switch = head.is_some_and(|it| it.headers().contains_key(UPGRADE));
        self.is_idempotent && !self.has_content && !may_switch
    }

    /// The request once more, if it may be made twice at the same time; the spare stays.
    pub(in crate::origin) fn doubled(&self) -> Option<Request<Body>> {
        let head = self.head.as_ref().filter(|_| self.may_be_doubled())?;
        Some(head.clone().map(|()| Body::empty()))
    }

    /// The request to try again with after an answer that is not to be had.
    pub(in crate::origin) fn after_answer(self, content: &Content) -> Option<Request<Body>> {
        self.is_idempotent.then(|| self.anew(content))?
    }

    fn anew(self, content: &Content) -> Option<Request<Body>> {
        let body = content.again()?;
        self.head.map(|head| head.map(|()| body))
    }

    /// The request to try again with after a failure, if that is safe. A request of which nothing
    /// was sent is itself good for another try, and one that was not acted upon has not been made.
    pub(in crate::origin) fn after_failure(
        self,
        unsent: &mut Unsent,
        content: &Content,
    ) -> Option<Request<Body>> {
        let itself = unsent.request.take().map(|request| *request);
        match unsent.error.retry {
            Retry::Safe => itself.or_else(|| self.anew(content)),
            Retry::IfIdempotent => self.after_answer(content),
            Retry::No => None,
        }
    }
}

fn copy(request: &Request<Body>) -> Request<()> {
    let mut copy = Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

// === impl Tape ===

impl Tape {
    /// Gives the turn to another reader, if it would find all that came so far.
    fn next_turn(&mut self) -> Option<u32> {
        self.kept.as_ref()?;
        self.turn = self.turn.wrapping_add(1);
        Some(self.turn)
    }

    /// What was kept beyond the bytes that were given already.
    fn rest(&self, given_bytes: usize) -> &[u8] {
        let kept = self.kept.as_deref().unwrap_or_default();
        kept.get(given_bytes..).unwrap_or_default()
    }

    fn note(&mut self, frame: &Frame<Bytes>) {
        let fits = |kept: &Vec<u8>, data: &Bytes| kept.len() + data.len() <= self.bytes_max;
        match (&mut self.kept, frame.data_ref()) {
            (Some(kept), Some(data)) if fits(kept, data) => kept.extend_from_slice(data),
            // Trailers are not kept, so what has some cannot be made anew.
            _ => self.kept = None,
        }
    }
}

// === impl Reader ===

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, body::Error>>> {
        let this = &mut *self;
        let tape = &mut *this.tape.lock();
        if tape.turn != this.turn {
            return Poll::Ready(Some(Err(body::Error::Truncated)));
        }
        let rest = tape.rest(this.given_bytes);
        if !rest.is_empty() {
            let rest = Bytes::copy_from_slice(rest);
            this.given_bytes += rest.len();
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        let polled = ready!(Pin::new(&mut tape.source).poll_frame(cx));
        if let Some(Ok(frame)) = &polled {
            tape.note(frame);
            this.given_bytes += frame.data_ref().map_or(0, Bytes::len);
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        let tape = self.tape.lock();
        tape.rest(self.given_bytes).is_empty() && tape.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let tape = self.tape.lock();
        let (rest, mut hint) = (tape.rest(self.given_bytes), tape.source.size_hint());
        let rest_bytes = rest.len() as u64;
        // The upper bound first: it must never be below the lower one.
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest_bytes));
        }
        hint.set_lower(hint.lower().saturating_add(rest_bytes));
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body_util::BodyExt;
    use proptest::prelude::*;

    use super::*;
    use crate::origin::error::{Error, Kind, Phase};

    /// A body that comes in these pieces, of which the length is known or not.
    struct Pieces {
        left: VecDeque<Bytes>,
        is_told: bool,
    }

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = body::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, body::Error>>> {
            Poll::Ready(self.left.pop_front().map(|it| Ok(Frame::data(it))))
        }

        fn size_hint(&self) -> SizeHint {
            let bytes: usize = self.left.iter().map(Bytes::len).sum();
            match self.is_told {
                true => SizeHint::with_exact(bytes as u64),
                false => SizeHint::new(),
            }
        }
    }

    fn pieces(pieces: &[Vec<u8>], is_told: bool) -> Body {
        let left = pieces.iter().map(|it| Bytes::from(it.clone())).collect();
        Body::stream(Pieces { left, is_told })
    }

    fn request(method: &str, body: Body) -> Request<Body> {
        Request::builder().method(method).body(body).unwrap()
    }

    fn failed(retry: Retry) -> Unsent {
        Error::new(Kind::Closed, Phase::AwaitingHead, retry).into()
    }

    async fn read_all(body: &mut Body) -> Vec<u8> {
        body.collect().await.unwrap().to_bytes().to_vec()
    }

    #[test]
    fn only_what_is_idempotent_and_short_is_kept() {
        let whole = || Body::full(Bytes::from_static(b"12345"));
        let told = || pieces(&[b"12345".to_vec()], true);
        for (method, body, bytes_max, is_kept) in [
            ("GET", Body::empty(), 0, true),
            ("HEAD", Body::empty(), 0, true),
            ("OPTIONS", Body::empty(), 0, true),
            ("PUT", whole(), 5, true),
            ("DELETE", told(), 5, true),
            // RFC 10008 §2: QUERY is safe and idempotent.
            ("QUERY", whole(), 5, true),
            ("PUT", whole(), 4, false),
            ("PUT", told(), 4, false),
            ("PUT", told(), 0, false),
            // RFC 9110 §9.2.2 and RFC 5789 §2: neither is idempotent.
            ("POST", Body::empty(), 5, false),
            ("PATCH", whole(), 5, false),
            ("UNKNOWN", Body::empty(), 5, false),
        ] {
            let mut request = request(method, body);
            let content = Content::of(&mut request, bytes_max);
            let again = Spare::of(&request, &content).after_answer(&content);
            assert_eq!(again.is_some(), is_kept, "{method} {bytes_max}");
        }
    }

    #[test]
    fn what_was_not_acted_upon_goes_again_and_what_may_have_been_only_if_safe() {
        for (method, retry, is_back, goes_again) in [
            ("GET", Retry::Safe, false, true),
            ("GET", Retry::IfIdempotent, false, true),
            ("GET", Retry::No, true, false),
            ("POST", Retry::Safe, true, true),
            ("POST", Retry::Safe, false, true),
            ("POST", Retry::IfIdempotent, true, false),
        ] {
            let mut asked = request(method, Body::empty());
            let content = Content::of(&mut asked, 0);
            let spare = Spare::of(&asked, &content);
            let mut unsent = failed(retry);
            unsent.request = is_back.then(|| Box::new(asked));
            let again = spare.after_failure(&mut unsent, &content);
            assert_eq!(again.is_some(), goes_again, "{method} {retry:?} {is_back}");
        }
    }

    #[tokio::test]
    async fn a_try_that_was_given_up_reads_no_further() {
        let mut first = request("PUT", pieces(&[b"ab".to_vec(), b"cd".to_vec()], false));
        let content = Content::of(&mut first, 10);
        let begun = first.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(begun.into_data().unwrap(), "ab");
        let mut second = content.again().unwrap();
        assert!(first.body_mut().frame().await.unwrap().is_err());
        assert_eq!(read_all(&mut second).await, b"abcd");
    }

    #[tokio::test]
    async fn a_stream_that_grows_too_long_is_sent_once() {
        let mut first = request("PUT", pieces(&[b"ab".to_vec(), b"cd".to_vec()], false));
        let content = Content::of(&mut first, 3);
        first.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(read_all(first.body_mut()).await, b"cd", "it goes on");
        assert!(content.again().is_none());
    }

    proptest! {
        /// However far each try came, the last gets all bytes, and knows how many.
        #[test]
        fn each_try_reads_from_the_beginning(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..9), 1..9),
            frames in prop::collection::vec(0usize..9, 0..4),
            is_told: bool,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let all = parts.concat();
                let mut request = request("PUT", pieces(&parts, is_told));
                let content = Content::of(&mut request, 100);
                let mut body = request.into_body();
                for count in frames {
                    for _ in 0..count {
                        let _ = body.frame().await;
                    }
                    body = content.again().unwrap();
                    let known = body.size_hint().exact();
                    assert!(!is_told || known == Some(all.len() as u64));
                }
                assert_eq!(read_all(&mut body).await, all);
            });
        }
    }
}
