//! HTTP/2 connection, driven by one task: h2 reads and writes, streams are answered, and what the ledger
//! tells is acted on. What time brings is in `alarm.rs`.

mod alarm;

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use foldhash::fast::RandomState;
use h2::server::SendResponse;
use h2::{PingPong, Reason, RecvStream};
use http::header::EXPECT;
use http::{Method, Request, Response};
use parking_lot::Mutex;
use tokio::task::coop;
use tokio::time::sleep;
use tracing::debug;

use self::alarm::Alarm;
use super::bell::{Bell, Cord};
use super::io::Io;
use super::ledger::{Ledger, READ_BYTES_MAX};
use super::outflow::Turn;
use super::piece::{Piece, Unsent};
use super::stream::{Answering, Asked, Look, State, Stream};
use super::turns::Turns;
use super::upload::{self, Intake};
use super::{request, why_cut};
use crate::body::{Body, Progress};
use crate::clock::{self, Instant};
use crate::config;
use crate::pipeline::Interim;
use crate::semantics::priority::Priority;
use crate::server::answers::Answers;
use crate::server::drain::Stage;
use crate::server::settings;
use crate::telemetry::Http2Cut;

/// What every connection's window has room for at first (RFC 9113 §6.9.2).
const WINDOW_BYTES: u64 = 65_535;
/// Priorities of streams that are not there yet; of more the first are forgotten.
const UPDATES_MAX: usize = 100;

type Accepted = (Request<RecvStream>, SendResponse<Piece>);
type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// A connection between its preface and its end.
pub(super) struct Connection {
    h2: h2::server::Connection<Io, Piece>,
    answers: Arc<Answers>,
    ledger: Arc<Mutex<Ledger>>,
    bell: Arc<Bell>,
    unsent: Arc<Unsent>,
    unsent_bytes_max: usize,
    streams: HashMap<u32, Stream, RandomState>,
    turns: Turns,
    accepted: Vec<Accepted>,
    news: Vec<u32>,
    /// Priorities of streams that are still to come.
    updates: Vec<(u32, Priority)>,
    /// Bytes of bodies given to h2.
    handed_bytes: u64,
    /// Since when the client has left no room in the connection's window, although there is something
    /// to send.
    closed_since: Option<Instant>,
    /// When something was last under way.
    active_at: Instant,
    pings: Option<PingPong>,
    pinged_at: Option<Instant>,
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is closed already.
    Closed,
    /// h2 has closed it with an error.
    Failed(Option<Http2Cut>),
    /// Nothing has happened on it for long enough.
    Idle,
    /// It is to be cut.
    Cut(Http2Cut),
    /// It does not begin as it must.
    Malformed,
    /// The drain waits no longer.
    Drained,
}

// === impl Connection ===

impl Connection {
    pub(super) fn new(
        mut h2: h2::server::Connection<Io, Piece>,
        answers: Arc<Answers>,
        ledger: Arc<Mutex<Ledger>>,
        config: &config::Http2,
    ) -> Self {
        let pings = h2.ping_pong();
        Self {
            h2,
            answers,
            ledger,
            bell: Arc::default(),
            unsent: Arc::default(),
            unsent_bytes_max: config.unsent_bytes_max,
            streams: HashMap::default(),
            turns: Turns::default(),
            accepted: Vec::new(),
            news: Vec::new(),
            updates: Vec::new(),
            handed_bytes: 0,
            closed_since: None,
            active_at: clock::instant(),
            pings,
            pinged_at: None,
        }
    }

    /// Drives it to its end.
    pub(super) async fn run(&mut self) -> End {
        let drain = self.answers.service.drain.clone();
        let mut alarm = pin!(sleep(Duration::ZERO));
        let mut order = pin!(drain.reached(Stage::Draining));
        let (mut draining, mut is_far) = (false, false);
        std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(end) = self.poll(cx) {
                    return Poll::Ready(end);
                }
                if is_far && self.is_busy() {
                    // It was set when there was nothing to look after.
                    is_far = false;
                    alarm
                        .as_mut()
                        .reset(clock::instant() + self.answers.timeouts().shortest());
                }
                if order.as_mut().poll(cx).is_ready() {
                    if draining {
                        return Poll::Ready(End::Drained);
                    }
                    draining = true;
                    // GOAWAY: no new streams, those open go on (RFC 9113 §6.8).
                    self.h2.graceful_shutdown();
                    self.active_at = clock::instant();
                    order.set(drain.reached(Stage::Cut));
                    alarm.as_mut().reset(clock::instant());
                    continue;
                }
                if alarm.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                match self.ring(draining, clock::instant()) {
                    Alarm::In(time) => {
                        is_far = !self.is_busy();
                        alarm.as_mut().reset(clock::instant() + time);
                    }
                    Alarm::End(end) => return Poll::Ready(end),
                }
            }
        })
        .await
    }

    /// Has the client hear the last word of a connection that ends, for this reason if there is one.
    pub(super) async fn part(&mut self, reason: Option<Reason>) {
        self.bell.still();
        match reason {
            Some(reason) => self.h2.abrupt_shutdown(reason),
            None => self.h2.graceful_shutdown(),
        }
        self.streams.clear();
        let _ = std::future::poll_fn(|cx| {
            self.ledger.lock().readable_bytes = READ_BYTES_MAX;
            self.h2.poll_closed(cx)
        })
        .await;
    }

    /// Whether there is something to look after.
    fn is_busy(&self) -> bool {
        !self.streams.is_empty() || self.h2.has_streams() || self.ledger.lock().is_owed()
    }

    /// Goes on as far as it goes at this moment.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if let Some(end) = self.accept(cx) {
                return Poll::Ready(end);
            }
            let is_throttled = self.ledger.lock().readable_bytes == 0;
            let accepted = std::mem::take(&mut self.accepted);
            let has_accepted = !accepted.is_empty();
            for (request, respond) in accepted {
                self.begin(request, respond, cx);
            }
            self.take_notes();
            let heads = self.bell.answer(cx, &mut self.news);
            for head in heads {
                if let Some(stream) = self.streams.get_mut(&head.stream) {
                    stream.send_head(head);
                }
            }
            let news = std::mem::take(&mut self.news);
            news.iter().for_each(|stream| self.look(*stream));
            let has_news = !news.is_empty();
            let has_sent = self.send();
            if !(is_throttled || has_accepted || has_news || has_sent) {
                return Poll::Pending;
            }
            if !coop::has_budget_remaining() {
                // Whatever is asked says that it is not ready until others have had the thread.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Has h2 read and write, and gathers the requests that have come.
    fn accept(&mut self, cx: &mut Context<'_>) -> Option<End> {
        self.ledger.lock().readable_bytes = READ_BYTES_MAX;
        loop {
            match self.h2.poll_accept(cx) {
                Poll::Ready(Some(Ok(accepted))) => self.accepted.push(accepted),
                Poll::Ready(Some(Err(error))) => {
                    debug!(%error, "an HTTP/2 connection failed");
                    let why = why_cut(&error, self.ledger.lock().last_words());
                    return Some(End::Failed(why));
                }
                Poll::Ready(None) => return Some(End::Closed),
                Poll::Pending => break,
            }
        }
        let overdrawn = self.ledger.lock().budgets.overdrawn();
        overdrawn.map(End::Cut)
    }

    /// Acts on what the ledger has seen and h2 does not tell.
    fn take_notes(&mut self) {
        let (updates, bad_trailers) = {
            let mut ledger = self.ledger.lock();
            (ledger.take_updates(), ledger.take_bad_trailers())
        };
        for (id, priority) in updates {
            match self.streams.get_mut(&id) {
                Some(stream) => {
                    stream.asked.priority = priority;
                    self.turns.reprioritize(id, priority);
                }
                None => self.remember(id, priority),
            }
        }
        for id in bad_trailers {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.refuse_trailers();
                self.forget(id);
            }
        }
    }

    fn remember(&mut self, id: u32, priority: Priority) {
        self.updates.retain(|it| it.0 != id);
        if self.updates.len() == UPDATES_MAX {
            self.updates.remove(0);
        }
        self.updates.push((id, priority));
    }

    /// Begins a request. Most are answered at once, from the store; the others are worked on elsewhere.
    fn begin(
        &mut self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Piece>,
        cx: &mut Context<'_>,
    ) {
        // Who has taken it back already is not worked for.
        if respond.poll_reset(cx).is_ready() {
            return;
        }
        self.active_at = self.ledger.lock().read_at;
        let (asked, intake, mut answer) = self.ask(request, respond);
        match answer.as_mut().poll(cx) {
            Poll::Ready(response) => self.respond_at_once(asked, intake, response, cx),
            Poll::Pending => {
                let state = State::Answering(Answering::new(tokio::spawn(answer)));
                self.watch(asked, intake, state);
            }
        }
    }

    /// Hands a request to the pipeline.
    fn ask(
        &mut self,
        request: Request<RecvStream>,
        respond: SendResponse<Piece>,
    ) -> (Asked, Option<Intake>, Answer) {
        let site = self.answers.site();
        let (mut head, body) = request.into_parts();
        let scheme = self.answers.client.scheme;
        let refusal = request::examine(&mut head, scheme, site.server()).err();
        let id = respond.stream_id().as_u32();
        let update = self.updates.iter().position(|it| it.0 == id);
        let priority = match update {
            Some(place) => self.updates.swap_remove(place).1,
            None => Priority::of(&head.headers),
        };
        let mut asked = Asked {
            id,
            cord: None,
            respond,
            is_head: head.method == Method::HEAD,
            expects: false,
            priority,
        };
        let mut request = Request::from_parts(head, Body::empty());
        let mut intake = None;
        if !body.is_end_stream() {
            asked.expects = request.headers().contains_key(EXPECT);
            let cord = asked.cord.insert(Cord::new(id, &self.bell));
            let (taken, body) = take_in(body, &mut request, site.server(), cord);
            *request.body_mut() = body;
            intake = Some(taken);
        }
        let bell: Weak<Bell> = Arc::downgrade(&self.bell);
        let (answers, interim) = (Arc::clone(&self.answers), Some(Interim::new(bell, id)));
        let answer = async move { answers.answer(site, request, refusal, interim).await };
        let answer: Answer = Box::pin(answer);
        (asked, intake, answer)
    }

    /// Sends an answer, as a whole where nobody else waits and there is room.
    fn respond_at_once(
        &mut self,
        mut asked: Asked,
        intake: Option<Intake>,
        response: Response<Body>,
        cx: &mut Context<'_>,
    ) {
        let Some(mut outflow) = asked.respond(response, &self.unsent) else {
            return self.finish(asked, intake);
        };
        if self.turns.is_empty() && self.has_room() {
            let turn = outflow.turn(cx);
            self.note_handed(outflow.take_handed());
            match turn {
                Turn::Done => return self.finish(asked, intake),
                Turn::Gone => return,
                Turn::More | Turn::Waits => {}
            }
        }
        self.watch(asked, intake, State::Sending(outflow));
    }

    /// The response of a stream is sent. What is still to come of the request is heard out for a while.
    fn finish(&mut self, asked: Asked, intake: Option<Intake>) {
        self.ledger.lock().budgets.note_answer();
        // Who waits for leave in vain sends nothing.
        let is_sending = |it: &Intake| !asked.expects || it.is_wanted();
        let is_heard_out = || !self.answers.service.linger_timeout().is_zero();
        if intake.as_ref().is_some_and(is_sending) && is_heard_out() {
            self.watch(asked, intake, State::answered(clock::instant()));
        }
    }

    /// Looks after a stream from now on.
    fn watch(&mut self, asked: Asked, intake: Option<Intake>, state: State) {
        let id = asked.id;
        let stream = Stream::new(asked, intake, state, &self.bell);
        self.streams.insert(id, stream);
        self.news.push(id);
    }

    /// Looks at a stream that has news.
    fn look(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        match stream.look() {
            Look::Waits => {}
            Look::Sends => self.turns.join(id, stream.asked.priority),
            Look::Over => self.forget(id),
            Look::Answer(response) => {
                let outflow = stream.asked.respond(*response, &self.unsent);
                match outflow {
                    Some(outflow) => {
                        stream.state = State::Sending(outflow);
                        self.turns.join(id, stream.asked.priority);
                    }
                    None => self.end(id),
                }
            }
        }
    }

    /// The response of a stream that is looked after is sent.
    fn end(&mut self, id: u32) {
        self.turns.leave(id);
        if let Some(stream) = self.streams.remove(&id) {
            let Stream {
                mut asked,
                intake,
                cord,
                ..
            } = stream;
            asked.cord = Some(cord);
            self.finish(asked, intake);
        }
    }

    /// Has those send who may, as long as there is room. Whether any did.
    fn send(&mut self) -> bool {
        let mut has_sent = false;
        while self.has_room() {
            let Some(id) = self.turns.next() else { break };
            has_sent = true;
            self.turn(id);
        }
        let is_closed = !self.turns.is_empty() && self.window_bytes() == 0;
        self.closed_since = match is_closed {
            true => self.closed_since.or_else(|| Some(clock::instant())),
            false => None,
        };
        has_sent
    }

    /// One stream's turn.
    fn turn(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return self.turns.leave(id);
        };
        let State::Sending(outflow) = &mut stream.state else {
            return self.turns.leave(id);
        };
        let mut cx = Context::from_waker(&stream.waker);
        let turn = outflow.turn(&mut cx);
        let handed_bytes = outflow.take_handed();
        self.note_handed(handed_bytes);
        match turn {
            Turn::More => {}
            Turn::Waits => self.turns.leave(id),
            Turn::Gone => self.forget(id),
            Turn::Done => self.end(id),
        }
    }

    fn note_handed(&mut self, bytes: u64) {
        if bytes > 0 {
            self.handed_bytes += bytes;
            self.ledger.lock().budgets.note_piece();
        }
    }

    fn forget(&mut self, id: u32) {
        self.turns.leave(id);
        self.streams.remove(&id);
    }

    /// Whether anything may be sent: h2 is to hold little, so that what comes first does not wait behind
    /// what was there before; and what it could not send would be taken from those who can.
    fn has_room(&self) -> bool {
        self.unsent.bytes() < self.unsent_bytes_max && self.window_bytes() > 0
    }

    /// What the client has room for in all.
    fn window_bytes(&self) -> u64 {
        let credit = self.ledger.lock().credit;
        let given = credit.saturating_add(WINDOW_BYTES + self.unsent.dropped());
        given.saturating_sub(self.handed_bytes)
    }
}

/// Takes in a request's body, held to the server's limits.
fn take_in(
    stream: RecvStream,
    request: &mut Request<Body>,
    config: &config::Server,
    cord: &Arc<Cord>,
) -> (Intake, Body) {
    let progress = Progress::new(clock::instant());
    request.extensions_mut().insert(progress.clone());
    let limits = settings::limits(config, progress);
    let length = request::length(request.headers());
    let (intake, upload) = upload::new(stream, length, cord);
    (intake, Body::incoming(upload, limits))
}
