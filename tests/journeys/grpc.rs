//! gRPC through the proxy, both ends played: calls with one message each way, streams both ways at
//! once, deadlines and errors. Messages are frames of five bytes and a payload
//! (gRPC over HTTP/2, "Length-Prefixed-Message"), which Copal does not look into.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;

use crate::harness::{Exchange, Gate, Http2Origin, Proxy, Setup, within};

/// One client connection.
struct Channel(SendRequest<Bytes>);

/// One call under way.
struct Call {
    requests: SendStream<Bytes>,
    head: Option<ResponseFuture>,
    responses: Option<RecvStream>,
}

// === impl Channel ===

impl Channel {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a listener");
        stream.set_nodelay(true).expect("a socket");
        let (sender, connection) = h2::client::handshake(stream).await.expect("a handshake");
        tokio::spawn(connection);
        Self(sender)
    }

    async fn call(&self, method: &str) -> Call {
        let request = Request::post(format!("http://example.test/test.Service/{method}"))
            .header("content-type", "application/grpc+proto")
            .header("te", "trailers")
            .header("grpc-timeout", "5S")
            .body(())
            .expect("a request");
        let mut sender = self.0.clone().ready().await.expect("room for a stream");
        let (head, requests) = sender.send_request(request, false).expect("a stream");
        Call {
            requests,
            head: Some(head),
            responses: None,
        }
    }
}

// === impl Call ===

impl Call {
    fn send(&mut self, text: &str) {
        self.requests
            .send_data(message(text), false)
            .expect("an open stream");
    }

    fn end(&mut self) {
        self.requests
            .send_data(Bytes::new(), true)
            .expect("an open stream");
    }

    async fn head(&mut self) -> Response<()> {
        let head = self.head.take().expect("it is asked for once");
        let response = within("a head", head).await.expect("a head");
        let (head, body) = response.into_parts();
        self.responses = Some(body);
        Response::from_parts(head, ())
    }

    /// The next message; the scripts send one in each piece.
    async fn message(&mut self) -> Option<String> {
        let body = self.responses.as_mut().expect("a head before messages");
        let piece = within("a message", body.data()).await?.expect("a piece");
        body.flow_control()
            .release_capacity(piece.len())
            .expect("capacity");
        Some(text(&piece))
    }

    async fn trailers(&mut self) -> HeaderMap {
        let body = self.responses.as_mut().expect("a head before trailers");
        let trailers = within("trailers", body.trailers()).await;
        trailers.expect("a whole response").expect("trailers")
    }
}

fn message(text: &str) -> Bytes {
    let length = u32::try_from(text.len()).expect("a short text");
    [&[0][..], &length.to_be_bytes(), text.as_bytes()]
        .concat()
        .into()
}

fn text(message: &[u8]) -> String {
    String::from_utf8_lossy(&message[5..]).into_owned()
}

const HEAD: [(&str, &str); 1] = [("content-type", "application/grpc+proto")];
const OK: [(&str, &str); 1] = [("grpc-status", "0")];

/// The service: its methods are named for what they do.
async fn serve(request: &Request<()>, exchange: &mut Exchange) {
    assert_eq!(request.headers()["te"], "trailers");
    assert_eq!(request.headers()["grpc-timeout"], "5S");
    match request.uri().path() {
        "/test.Service/Unary" => {
            let (body, _) = exchange.request_body().await;
            exchange.begin(200, &HEAD);
            exchange
                .data(message(&format!("hello {}", text(&body))))
                .await;
            exchange.trailers(&OK);
        }
        "/test.Service/Echo" => {
            exchange.begin(200, &HEAD);
            while let Some(piece) = exchange.piece().await {
                exchange.data(piece).await;
            }
            exchange.trailers(&OK);
        }
        "/test.Service/Fail" => {
            let fields = [HEAD[0], ("grpc-status", "5"), ("grpc-message", "no such")];
            exchange.respond_empty(200, &fields);
        }
        _ => {
            exchange.begin(200, &HEAD);
            exchange.data(message("one")).await;
            exchange.trailers(&[("grpc-status", "13"), ("grpc-message", "half way")]);
        }
    }
}

fn before(origin: &Http2Origin) -> Setup {
    Proxy::before_url(&origin.url()).table("origins.main", "http_version = \"2\"")
}

#[tokio::test]
async fn a_call_has_its_message_and_its_status() {
    let origin = Http2Origin::start(serve).await;
    let proxy = before(&origin).start().await;
    let channel = Channel::open(proxy.address()).await;
    for name in ["a", "b"] {
        let mut call = channel.call("Unary").await;
        call.send(name);
        call.end();
        let head = call.head().await;
        assert_eq!(head.headers()["content-type"], "application/grpc+proto");
        assert_eq!(call.message().await, Some(format!("hello {name}")));
        assert_eq!(call.message().await, None);
        assert_eq!(call.trailers().await["grpc-status"], "0");
    }
    assert_eq!(origin.connections(), 1);
}

/// Each message is answered before the next one is sent, so neither side can be waiting for the
/// other's end.
#[tokio::test]
async fn streams_flow_both_ways_at_once() {
    let origin = Http2Origin::start(serve).await;
    let proxy = before(&origin).start().await;
    let channel = Channel::open(proxy.address()).await;
    let (mut one, mut two) = (channel.call("Echo").await, channel.call("Echo").await);
    one.head().await;
    two.head().await;
    for number in 0..50 {
        for (call, name) in [(&mut one, "one"), (&mut two, "two")] {
            let text = format!("{name} {number}");
            call.send(&text);
            assert_eq!(call.message().await, Some(text));
        }
    }
    for mut call in [one, two] {
        call.end();
        assert_eq!(call.message().await, None);
        assert_eq!(call.trailers().await["grpc-status"], "0");
    }
    assert_eq!(origin.connections(), 1);
}

/// A response that is only trailers is a head that ends the stream.
#[tokio::test]
async fn errors_come_through() {
    let origin = Http2Origin::start(serve).await;
    let proxy = before(&origin).start().await;
    let channel = Channel::open(proxy.address()).await;
    let mut call = channel.call("Fail").await;
    call.end();
    let head = call.head().await;
    assert_eq!(head.headers()["grpc-status"], "5");
    assert_eq!(head.headers()["grpc-message"], "no such");
    assert_eq!(call.message().await, None);
    let mut call = channel.call("FailLater").await;
    call.end();
    call.head().await;
    assert_eq!(call.message().await.as_deref(), Some("one"));
    assert_eq!(call.message().await, None);
    let trailers = call.trailers().await;
    assert_eq!(trailers["grpc-status"], "13");
    assert_eq!(trailers["grpc-message"], "half way");
}

/// A client that cancels, as at its deadline, cancels at the server.
#[tokio::test]
async fn a_call_is_cancelled_to_its_end() {
    let gate = Gate::new();
    let cancelled = gate.clone();
    let origin = Http2Origin::start(async move |_, exchange| {
        exchange.begin(200, &HEAD);
        exchange.data(message("one")).await;
        exchange.reset_by_client().await;
        cancelled.pass().await;
    })
    .await;
    let proxy = before(&origin).start().await;
    let channel = Channel::open(proxy.address()).await;
    let mut call = channel.call("Hang").await;
    call.send("a");
    call.head().await;
    assert_eq!(call.message().await.as_deref(), Some("one"));
    call.requests.send_reset(Reason::CANCEL);
    gate.arrived(1).await;
    gate.open();
}

/// A stream is no quieter for being long: only silence ends it.
#[tokio::test]
async fn a_silent_stream_is_ended_for_both() {
    let gate = Gate::new();
    let ended = gate.clone();
    let origin = Http2Origin::start(async move |_, exchange| {
        exchange.begin(200, &HEAD);
        exchange.data(message("one")).await;
        exchange.reset_by_client().await;
        ended.pass().await;
    })
    .await;
    let setup = before(&origin).table("origins.main", "between_bytes_timeout = \"300ms\"");
    let proxy = setup.start().await;
    let channel = Channel::open(proxy.address()).await;
    let mut call = channel.call("Hang").await;
    call.head().await;
    assert_eq!(call.message().await.as_deref(), Some("one"));
    let body = call.responses.as_mut().expect("a body");
    let broken = tokio::time::timeout(Duration::from_secs(10), body.data()).await;
    let broken = broken.expect("an end in time").expect("no clean end");
    assert!(broken.is_err(), "{broken:?}");
    gate.arrived(1).await;
    gate.open();
}
