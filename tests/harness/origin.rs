//! An origin that does what its script says, byte by byte: answers, drips, stalls, lies, resets.
//! It remembers every request head verbatim. It is not a web server: nothing is answered that the
//! script does not send.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::{self, LocalSet};
use tokio::time;

use super::Fields;
use super::wire::{End, Framing, Head, Part, Wire};

const BACKLOG: i32 = 1024;

/// A running origin. It ends, with all its connections, when dropped; the test fails then if a
/// script has panicked, so that scripts may assert.
pub struct Origin {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _stop: oneshot::Sender<()>,
}

/// A port that is ours but where nobody listens: connections are refused until [`Self::start`].
pub struct Reserved(Socket);

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    pub head: Head,
    pub method: String,
    /// The request target, query included.
    pub path: String,
    /// The how-manieth request for this path it is, counted from 1.
    pub nth: usize,
}

/// The connection a request came on, for the script to answer or to abuse.
pub struct Connection {
    wire: Wire,
    seen: Arc<Mutex<Seen>>,
    /// Of the request in progress: what of its body has not been read.
    body: Framing,
    /// The request in progress is a HEAD.
    to_head: bool,
    /// Requests that came on this connection before the one in progress.
    pub served: usize,
}

#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    connections: usize,
    open: usize,
    sent_bytes: u64,
    panicked: bool,
}

/// Notes the end of a connection, however it came about.
struct Ended(Arc<Mutex<Seen>>);

// === impl Origin ===

impl Origin {
    /// Starts an origin that runs `script` for each request.
    pub fn start<S>(script: S) -> Self
    where
        S: AsyncFn(&Request, &mut Connection) + Send + 'static,
    {
        Reserved::new().start(script)
    }

    /// An origin that answers every request alike.
    pub fn answering(status: u16, fields: Fields<'static>, body: &'static str) -> Self {
        Self::start(async move |_, connection| connection.respond(status, fields, body).await)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.seen).requests.clone()
    }

    /// The latest request.
    pub fn last(&self) -> Request {
        self.requests()
            .pop()
            .expect("a request that reached the origin")
    }

    /// How many requests came for a path, query included.
    pub fn count(&self, path: &str) -> usize {
        lock(&self.seen)
            .requests
            .iter()
            .filter(|it| it.path == path)
            .count()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        lock(&self.seen).connections
    }

    /// How many connections are in progress.
    pub fn open_connections(&self) -> usize {
        lock(&self.seen).open
    }

    /// How many bytes the kernel has taken from all scripts together.
    pub fn sent_bytes(&self) -> u64 {
        lock(&self.seen).sent_bytes
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let panicked = lock(&self.seen).panicked;
        assert!(
            !panicked || thread::panicking(),
            "a script of the origin panicked"
        );
    }
}

// === impl Reserved ===

impl Reserved {
    pub fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&address.into()).expect("a free port");
        Self(socket)
    }

    /// The same port of several addresses of this machine, 127.0.0.2 and those that follow.
    pub fn neighbours<const N: usize>() -> [Self; N] {
        loop {
            let first = Self::new();
            let port = first.address().port();
            let neighbour = |at: usize| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
                let last = u8::try_from(at + 2).expect("a few neighbours");
                let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port));
                socket.bind(&address.into()).ok().map(|()| Self(socket))
            };
            let all: Option<Vec<_>> = (0..N).map(neighbour).collect();
            if let Some(Ok(all)) = all.map(TryInto::try_into) {
                return all;
            }
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.0
            .local_addr()
            .ok()
            .and_then(|it| it.as_socket())
            .expect("a bound IPv4 socket")
    }

    /// Begins to listen. The origin has a thread of its own, so scripts need not be `Send`, and a
    /// test that keeps its own thread busy does not slow the origin.
    pub fn start<S>(self, script: S) -> Origin
    where
        S: AsyncFn(&Request, &mut Connection) + Send + 'static,
    {
        let address = self.address();
        self.0.listen(BACKLOG).expect("a bound socket");
        self.0.set_nonblocking(true).expect("a listening socket");
        let seen = Arc::default();
        let (stop, stopped) = oneshot::channel();
        let kept = Arc::clone(&seen);
        thread::spawn(move || run(self.0, script, kept, stopped));
        Origin {
            address,
            seen,
            _stop: stop,
        }
    }
}

// === impl Request ===

impl Request {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }
}

// === impl Connection ===

impl Connection {
    fn new(stream: TcpStream, seen: Arc<Mutex<Seen>>) -> Self {
        let wire = Wire::new(stream);
        Self {
            wire,
            seen,
            body: Framing::Done,
            to_head: false,
            served: 0,
        }
    }

    async fn request(&mut self) -> Option<Request> {
        let head = self.wire.head().await?;
        let (method, path) = (head.word(0).to_owned(), head.word(1).to_owned());
        self.body = head.request_framing();
        self.to_head = method == "HEAD";
        let mut seen = lock(&self.seen);
        let nth = seen.requests.iter().filter(|it| it.path == path).count() + 1;
        let request = Request {
            head,
            method,
            path,
            nth,
        };
        seen.requests.push(request.clone());
        Some(request)
    }

    /// Reads what the script left of the request body, so that the next request can be found.
    /// False when there can be no next request.
    async fn finish(&mut self) -> bool {
        self.served += 1;
        self.wire.is_open() && self.request_body().await.1 == End::Clean
    }

    /// The request body, or as much of it as came.
    pub async fn request_body(&mut self) -> (Vec<u8>, End) {
        let mut body = Vec::new();
        loop {
            match self.wire.part(&mut self.body).await {
                Part::Bytes(bytes) => body.extend_from_slice(&bytes),
                Part::End(end) => return (body, end),
            }
        }
    }

    /// Sends exactly these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let seen = Arc::clone(&self.seen);
        let count = |sent: usize| lock(&seen).sent_bytes += sent as u64;
        self.wire.send(bytes.as_ref(), count).await;
    }

    /// Sends a head and a body with its Content-Length.
    pub async fn respond(&mut self, status: u16, fields: Fields<'_>, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let mut message = head(status, fields);
        if !matches!(status, 100..=199 | 204 | 304) {
            message.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        message.push_str("\r\n");
        self.send(message).await;
        if !self.to_head && status != 304 {
            self.send(body).await;
        }
    }

    /// Sends a head whose fields say how the body is framed: by the script's word alone.
    pub async fn begin(&mut self, status: u16, fields: Fields<'_>) {
        self.send(head(status, fields) + "\r\n").await;
    }

    /// Sends one chunk of a chunked body; an empty one is the last.
    pub async fn chunk(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.send(chunk).await;
    }

    /// Sends byte by byte with a pause after each, until the peer has had enough.
    pub async fn drip(&mut self, bytes: &str, pause: Duration) {
        for byte in bytes.bytes() {
            self.send([byte]).await;
            time::sleep(pause).await;
        }
    }

    /// Waits until the peer closes or resets the connection.
    pub async fn peer_gone(&mut self) {
        self.wire.until_gone().await;
    }

    /// Ends the connection in order.
    pub fn close(&mut self) {
        self.wire.close();
    }

    /// Ends the connection by a reset.
    pub fn reset(&mut self) {
        self.wire.reset();
    }

    /// Says that no more bytes will come, and goes on reading.
    pub async fn half_close(&mut self) {
        self.wire.half_close().await;
    }
}

// === impl Ended ===

impl Drop for Ended {
    fn drop(&mut self) {
        let mut seen = lock(&self.0);
        seen.open -= 1;
        seen.panicked |= thread::panicking();
    }
}

fn run<S>(socket: Socket, script: S, seen: Arc<Mutex<Seen>>, stopped: oneshot::Receiver<()>)
where
    S: AsyncFn(&Request, &mut Connection) + 'static,
{
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let accept = async {
        let listener = TcpListener::from_std(socket.into()).expect("a listening socket");
        let script = Rc::new(script);
        while let Ok((stream, _)) = listener.accept().await {
            task::spawn_local(serve(stream, Rc::clone(&script), Arc::clone(&seen)));
        }
    };
    LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            () = accept => {}
            _ = stopped => {}
        }
    });
}

async fn serve<S>(stream: TcpStream, script: Rc<S>, seen: Arc<Mutex<Seen>>)
where
    S: AsyncFn(&Request, &mut Connection),
{
    {
        let mut seen = lock(&seen);
        seen.connections += 1;
        seen.open += 1;
    }
    let _ended = Ended(Arc::clone(&seen));
    let mut connection = Connection::new(stream, seen);
    while let Some(request) = connection.request().await {
        script(&request, &mut connection).await;
        if !connection.finish().await {
            break;
        }
    }
}

fn head(status: u16, fields: Fields<'_>) -> String {
    let lines = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    format!(
        "HTTP/1.1 {status} Scripted\r\n{}",
        lines.collect::<String>()
    )
}

/// What was seen is worth reading even after a script panicked.
fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
