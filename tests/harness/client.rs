//! A client that sends exactly the bytes it is told and tells a whole response from a truncated
//! one. It follows no redirect, repairs nothing and hides nothing; each wait has a deadline.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time;

use super::wire::{End, Framing, Head, Part, Stream, Wire};
use super::{Fields, within};

/// The Host of every request whose fields do not say otherwise.
pub const HOST: &str = "example.test";

/// One connection to the proxy.
pub struct Client {
    wire: Wire,
    /// Of the response in progress.
    framing: Framing,
    /// The latest request was a HEAD.
    to_head: bool,
    /// The Host of requests whose fields name none.
    host: &'static str,
}

/// A response read to its end.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: Head,
    pub body: Vec<u8>,
    pub end: End,
}

// === impl Client ===

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = within("a connection to the proxy", TcpStream::connect(address)).await;
        Self::over(stream.expect("a listener that accepts"))
    }

    /// A connection; `None` if it is refused or reset, which may show before it is made.
    pub async fn try_connect(address: SocketAddr) -> Option<Self> {
        let stream = within("a connection to the proxy", TcpStream::connect(address)).await;
        stream.ok().map(Self::over)
    }

    /// A connection from another address of this machine.
    pub async fn connect_from(source: impl Into<IpAddr>, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let source = SocketAddr::new(source.into(), 0);
        socket.bind(source).expect("an address of ours");
        let stream = within("a connection to the proxy", socket.connect(address)).await;
        Self::over(stream.expect("a listener that accepts"))
    }

    /// A connection whose kernel takes in as few bytes as it can before we read them.
    pub async fn connect_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a fresh socket");
        let stream = within("a connection to the proxy", socket.connect(address)).await;
        Self::over(stream.expect("a listener that accepts"))
    }

    /// Over a connection that was made before.
    pub fn over(stream: impl Into<Stream>) -> Self {
        Self {
            wire: Wire::new(stream),
            framing: Framing::Done,
            to_head: false,
            host: HOST,
        }
    }

    /// The same, and the Host of its requests is this one unless their fields say otherwise.
    pub fn asking_for(mut self, host: &'static str) -> Self {
        self.host = host;
        self
    }

    /// Sends exactly these bytes. A peer that has hung up shows in what is read afterwards.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(
            "the proxy to take our bytes",
            self.wire.send(bytes.as_ref(), |_| ()),
        )
        .await;
    }

    /// Sends these bytes; whether the proxy has taken all of them.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = self.wire.send(bytes.as_ref(), |_| ());
        within("the proxy to take our bytes", sent).await
    }

    /// Sends a request without a body.
    pub async fn request(&mut self, method: &str, path: &str, fields: Fields<'_>) {
        self.to_head = method == "HEAD";
        self.send(request(self.host, method, path, fields)).await;
    }

    /// A GET and its response.
    pub async fn get(&mut self, path: &str) -> Response {
        self.get_with(path, &[]).await
    }

    /// A GET with fields and its response.
    pub async fn get_with(&mut self, path: &str, fields: Fields<'_>) -> Response {
        self.request("GET", path, fields).await;
        self.response().await
    }

    /// A request with a body of a Content-Length, and its response.
    pub async fn send_body(&mut self, method: &str, path: &str, body: &str) -> Response {
        let length = body.len().to_string();
        let fields = [
            ("content-type", "application/json"),
            ("content-length", &length),
        ];
        let request = request(self.host, method, path, &fields);
        self.send(request + body).await;
        self.response().await
    }

    /// The next head, interim or final; `None` when the connection ended first.
    pub async fn any_head(&mut self) -> Option<Head> {
        let head = within("a response head", self.wire.head()).await?;
        if head.status() >= 200 {
            self.framing = head.response_framing(self.to_head);
        }
        Some(head)
    }

    /// The head of the next final response; `None` when the connection ended first.
    pub async fn try_head(&mut self) -> Option<Head> {
        loop {
            let head = self.any_head().await?;
            if head.status() >= 200 {
                return Some(head);
            }
        }
    }

    /// The head of the next final response.
    pub async fn head(&mut self) -> Head {
        self.try_head()
            .await
            .expect("a response head before the end of the connection")
    }

    /// So many bytes of the body in progress, while the rest may still be on its way.
    pub async fn read(&mut self, count: usize) -> Vec<u8> {
        let mut body = Vec::new();
        while body.len() < count {
            match within("more of a body", self.wire.part(&mut self.framing)).await {
                Part::Bytes(bytes) => body.extend_from_slice(&bytes),
                Part::End(end) => panic!("{end:?} end after {} of {count} bytes", body.len()),
            }
        }
        body
    }

    /// What is left of the body in progress, and how it ended.
    pub async fn rest(&mut self) -> (Vec<u8>, End) {
        let mut body = Vec::new();
        loop {
            match within("the rest of a body", self.wire.part(&mut self.framing)).await {
                Part::Bytes(bytes) => body.extend_from_slice(&bytes),
                Part::End(end) => return (body, end),
            }
        }
    }

    /// The next final response, read to its end.
    pub async fn response(&mut self) -> Response {
        self.try_response()
            .await
            .expect("a response before the end of the connection")
    }

    /// The next final response; `None` when the connection ended before its head was whole.
    pub async fn try_response(&mut self) -> Option<Response> {
        let head = self.try_head().await?;
        let (body, end) = self.rest().await;
        Some(Response {
            status: head.status(),
            head,
            body,
            end,
        })
    }

    /// Waits until the proxy ends the connection; the bytes it sent before that.
    pub async fn until_gone(&mut self) -> Vec<u8> {
        within("the proxy to close the connection", self.wire.until_gone()).await
    }

    /// Whether the proxy broke off instead of ending the connection in order: by a reset, or over TLS
    /// without a close_notify.
    pub fn was_broken_off(&self) -> bool {
        self.wire.is_broken()
    }

    /// Whether nothing came for so long, not even the end.
    pub async fn is_silent_for(&mut self, duration: Duration) -> bool {
        time::timeout(duration, self.wire.fill()).await.is_err()
    }

    /// Says that no more bytes will be sent, and goes on reading.
    pub async fn half_close(&mut self) {
        self.wire.half_close().await;
    }

    /// Leaves by a reset, as a killed browser does.
    pub fn reset(mut self) {
        self.wire.reset();
    }
}

// === impl Response ===

impl Response {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    /// The body as text; bytes that are not UTF-8 show as replacement characters.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The Cache-Status field; empty when there is none.
    pub fn cache_status(&self) -> &str {
        self.field("cache-status").unwrap_or_default()
    }

    /// Whether Cache-Status says that the cache answered (RFC 9211 §2.1).
    pub fn is_hit(&self) -> bool {
        self.cache_parameters().any(|it| it == "hit")
    }

    /// The parameters of our Cache-Status member: `hit`, `fwd=uri-miss`, `stored` and so on.
    pub fn cache_parameters(&self) -> impl Iterator<Item = &str> {
        self.cache_status().split(';').map(str::trim)
    }

    /// Whether one of the Cache-Status parameters is this one.
    pub fn says(&self, parameter: &str) -> bool {
        self.cache_parameters().any(|it| it == parameter)
    }

    /// The Age field in seconds.
    pub fn age(&self) -> Option<u64> {
        self.field("age").and_then(|it| it.parse().ok())
    }

    /// The seconds of freshness that Cache-Status says are left, negative once it is stale.
    pub fn ttl(&self) -> Option<i64> {
        self.cache_parameters()
            .find_map(|it| it.strip_prefix("ttl=")?.parse().ok())
    }

    /// Served from the cache after its lifetime (RFC 9211 §2.1 and §2.4).
    pub fn is_stale_hit(&self) -> bool {
        self.is_hit() && self.ttl().is_some_and(|it| it < 0)
    }

    /// A 200 with this body, whole.
    pub fn is_good(&self, body: &str) -> bool {
        self.status == 200 && self.end == End::Clean && self.body == body.as_bytes()
    }

    /// Something no client takes for a good answer: an error of the proxy's own, or truncation.
    pub fn is_broken(&self) -> bool {
        matches!(self.status, 502 | 504) || self.end == End::Truncated
    }
}

/// The next response of each client.
pub async fn responses(clients: &mut [Client]) -> Vec<Response> {
    let mut all = Vec::new();
    for client in clients {
        all.push(client.response().await);
    }
    all
}

/// Asserts that none of these clients hears anything, as those who follow before their leader does.
pub async fn all_wait(clients: &mut [Client]) {
    for client in clients {
        assert!(client.is_silent_for(Duration::from_millis(50)).await);
    }
}

fn request(host: &str, method: &str, path: &str, fields: Fields<'_>) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !fields
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        head.push_str(&format!("Host: {host}\r\n"));
    }
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::super::Origin;
    use super::*;

    /// The harness must see what it is there to see: each way a response can end.
    #[tokio::test]
    async fn a_client_tells_a_whole_response_from_a_truncated_one() {
        let table: &[(&str, &str, End)] = &[
            ("content-length: 5\r\n\r\nhello", "hello", End::Clean),
            ("content-length: 9\r\n\r\nhello", "hello", End::Truncated),
            (
                "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                "hello",
                End::Clean,
            ),
            (
                "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
                "hello",
                End::Truncated,
            ),
            (
                "transfer-encoding: chunked\r\n\r\n5\r\nhel",
                "hel",
                End::Truncated,
            ),
            (
                "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n",
                "hello",
                End::Truncated,
            ),
            (
                "transfer-encoding: chunked\r\n\r\n5\r\nhello!\r\n",
                "hello",
                End::Truncated,
            ),
            ("\r\nhello", "hello", End::Clean),
        ];
        for (rest, body, end) in table {
            let text = format!("HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n{rest}");
            let origin = Origin::start(async move |_, connection| {
                connection.send(&text).await;
                connection.close();
            });
            let response = Client::connect(origin.address()).await.get("/").await;
            // A chunk whose end is broken does not count, so its bytes may or may not show.
            assert!(body.starts_with(&response.text()), "{rest:?}: {response:?}");
            assert_eq!(response.end, *end, "{rest:?}");
        }
    }

    #[tokio::test]
    async fn an_origin_counts_requests_and_keeps_connections() {
        let origin = Origin::start(async |request, connection| {
            let (body, _) = connection.request_body().await;
            let served = connection.served.to_string();
            connection
                .respond(200, &[("x-served", &served)], &body)
                .await;
            assert_eq!(request.field("host"), Some(HOST));
        });
        let mut client = Client::connect(origin.address()).await;
        let first = client.send_body("POST", "/a", "text").await;
        let second = client.get("/a").await;
        assert!(
            first.is_good("text") && second.is_good(""),
            "{first:?} {second:?}"
        );
        assert_eq!(second.field("x-served"), Some("1"));
        assert_eq!((origin.count("/a"), origin.connections()), (2, 1));
        assert_eq!(origin.last().nth, 2);
    }
}
