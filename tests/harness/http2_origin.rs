//! An origin that speaks HTTP/2 by prior knowledge and does what its script says with each stream,
//! at the script's own pace. Framing is h2's; nothing is answered that the script does not send.

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{self, LocalSet};

use super::Fields;

/// A running origin. It ends, with all its connections, when dropped; the test fails then if a
/// script has panicked.
pub struct Http2Origin {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _stop: oneshot::Sender<()>,
}

/// One stream, for the script to answer or to abuse.
pub struct Exchange {
    /// Requests that came on this connection before it.
    pub served: usize,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    answer: Option<SendStream<Bytes>>,
    leave: mpsc::UnboundedSender<Leave>,
}

/// How a connection ends.
enum Leave {
    GoAway,
    Close,
}

#[derive(Default)]
struct Seen {
    requests: Vec<Request<()>>,
    connections: usize,
    panicked: bool,
}

/// Notes a script that panics.
struct Watched(Arc<Mutex<Seen>>);

// === impl Http2Origin ===

impl Http2Origin {
    /// Starts an origin that runs `script` for each stream.
    pub async fn start<S>(script: S) -> Self
    where
        S: AsyncFn(&Request<()>, &mut Exchange) + Send + 'static,
    {
        Self::start_with(1000, script).await
    }

    /// The same, with so many streams at once on a connection.
    pub async fn start_with<S>(streams_max: u32, script: S) -> Self
    where
        S: AsyncFn(&Request<()>, &mut Exchange) + Send + 'static,
    {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("a bound socket");
        let seen = Arc::default();
        let (stop, stopped) = oneshot::channel();
        let kept = Arc::clone(&seen);
        thread::spawn(move || run(listener, streams_max, script, kept, stopped));
        Self {
            address,
            seen,
            _stop: stop,
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request<()>> {
        lock(&self.seen).requests.clone()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        lock(&self.seen).connections
    }
}

impl Drop for Http2Origin {
    fn drop(&mut self) {
        let panicked = lock(&self.seen).panicked;
        assert!(
            !panicked || thread::panicking(),
            "a script of the origin panicked"
        );
    }
}

// === impl Exchange ===

impl Exchange {
    /// Sends a head, and a body if there is one.
    pub async fn respond(&mut self, status: u16, fields: Fields<'_>, body: impl Into<Bytes>) {
        self.begin(status, fields);
        self.data(body).await;
        self.end();
    }

    /// Sends a head, of which a body follows.
    pub fn begin(&mut self, status: u16, fields: Fields<'_>) {
        let sent = self.respond.send_response(head(status, fields), false);
        self.answer = sent.ok();
    }

    /// Sends a head and nothing more.
    pub fn respond_empty(&mut self, status: u16, fields: Fields<'_>) {
        self.respond.send_response(head(status, fields), true).ok();
    }

    /// Sends a piece of the body as the client makes room; false if it does not want it any more.
    pub async fn data(&mut self, bytes: impl Into<Bytes>) -> bool {
        let mut bytes = bytes.into();
        let Some(stream) = &mut self.answer else {
            return false;
        };
        while !bytes.is_empty() {
            stream.reserve_capacity(bytes.len());
            let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else {
                return false;
            };
            let piece = bytes.split_to(room.min(bytes.len()));
            if stream.send_data(piece, false).is_err() {
                return false;
            }
        }
        true
    }

    /// Ends the body.
    pub fn end(&mut self) {
        if let Some(mut stream) = self.answer.take() {
            stream.send_data(Bytes::new(), true).ok();
        }
    }

    /// Ends the body with trailers.
    pub fn trailers(&mut self, fields: Fields<'_>) {
        if let Some(mut stream) = self.answer.take() {
            stream.send_trailers(map(fields)).ok();
        }
    }

    /// The next piece of the request's body; `None` at its end, or when it is reset.
    pub async fn piece(&mut self) -> Option<Bytes> {
        let piece = self.body.data().await?.ok()?;
        self.body
            .flow_control()
            .release_capacity(piece.len())
            .expect("capacity that was used");
        Some(piece)
    }

    /// The rest of the request's body, and its trailers.
    pub async fn request_body(&mut self) -> (Vec<u8>, Option<HeaderMap>) {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await {
            body.extend_from_slice(&piece);
        }
        (body, self.body.trailers().await.ok().flatten())
    }

    /// Ends the stream.
    pub fn reset(&mut self, reason: Reason) {
        match &mut self.answer {
            Some(stream) => stream.send_reset(reason),
            None => self.respond.send_reset(reason),
        }
    }

    /// Waits until the client resets the stream, and says why.
    pub async fn reset_by_client(&mut self) -> Option<Reason> {
        match &mut self.answer {
            Some(stream) => poll_fn(|cx| stream.poll_reset(cx)).await.ok(),
            None => poll_fn(|cx| self.respond.poll_reset(cx)).await.ok(),
        }
    }

    /// Says that no further streams are taken; those that are open go on.
    pub fn go_away(&mut self) {
        self.leave.send(Leave::GoAway).ok();
    }

    /// Ends the connection without a word, and the script with it.
    pub async fn close(&mut self) {
        self.leave.send(Leave::Close).ok();
        // A stream that is let go would be reset first.
        std::future::pending().await
    }
}

fn head(status: u16, fields: Fields<'_>) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status.try_into().expect("a status");
    *response.headers_mut() = map(fields);
    response
}

fn map(fields: Fields<'_>) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        (name, HeaderValue::from_str(value).expect("a value"))
    };
    fields.iter().map(field).collect()
}

// === impl Watched ===

impl Drop for Watched {
    fn drop(&mut self) {
        lock(&self.0).panicked |= thread::panicking();
    }
}

fn run<S>(
    listener: std::net::TcpListener,
    streams_max: u32,
    script: S,
    seen: Arc<Mutex<Seen>>,
    stopped: oneshot::Receiver<()>,
) where
    S: AsyncFn(&Request<()>, &mut Exchange) + 'static,
{
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let accept = async {
        let listener = TcpListener::from_std(listener).expect("a listening socket");
        let script = Rc::new(script);
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).ok();
            lock(&seen).connections += 1;
            let (script, seen) = (Rc::clone(&script), Arc::clone(&seen));
            task::spawn_local(serve(stream, streams_max, script, seen));
        }
    };
    LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            () = accept => {}
            _ = stopped => {}
        }
    });
}

async fn serve<S>(stream: TcpStream, streams_max: u32, script: Rc<S>, seen: Arc<Mutex<Seen>>)
where
    S: AsyncFn(&Request<()>, &mut Exchange) + 'static,
{
    let mut builder = server::Builder::new();
    builder.max_concurrent_streams(streams_max);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
        return;
    };
    let (leave, mut leaving) = mpsc::unbounded_channel();
    let mut served = 0;
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            leave = leaving.recv() => match leave {
                Some(Leave::GoAway) => {
                    connection.graceful_shutdown();
                    continue;
                }
                _ => return,
            },
        };
        let Some(Ok((request, respond))) = accepted else {
            return;
        };
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, ());
        lock(&seen).requests.push(request.clone());
        let mut exchange = Exchange {
            served,
            body,
            respond,
            answer: None,
            leave: leave.clone(),
        };
        served += 1;
        let (script, seen) = (Rc::clone(&script), Arc::clone(&seen));
        task::spawn_local(async move {
            let _watched = Watched(seen);
            script(&request, &mut exchange).await;
        });
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
