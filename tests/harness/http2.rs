//! An HTTP/2 client by prior knowledge: requests without a body, and a body taken frame by frame
//! at the test's own pace. Framing and flow control are hyper's; nothing here sees bytes.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::client::HOST;
use super::{Fields, within};

/// The smallest window that RFC 9113 §6.9.2 begins with: what is not read soon holds the peer back.
const WINDOW_BYTES: u32 = 65_535;

/// One connection with all its streams.
#[derive(Clone)]
pub struct Http2(http2::SendRequest<Empty<Bytes>>);

// === impl Http2 ===

impl Http2 {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = within("a connection to the proxy", TcpStream::connect(address)).await;
        let stream = stream.expect("a listener that accepts");
        stream.set_nodelay(true).ok();
        Self::over(stream).await
    }

    /// Over a connection that was made before.
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        let (sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .expect("a client's half of HTTP/2");
        tokio::spawn(connection);
        Self(sender)
    }

    /// A GET and the head of its response; the body comes as it is read.
    pub async fn get(&mut self, path: &str) -> Response<Incoming> {
        self.get_with(path, &[]).await
    }

    /// A GET with fields and the head of its response.
    pub async fn get_with(&mut self, path: &str, fields: Fields<'_>) -> Response<Incoming> {
        let request = Request::get(format!("http://{HOST}{path}"));
        let request = fields
            .iter()
            .fold(request, |request, (name, value)| {
                request.header(*name, *value)
            })
            .body(Empty::new());
        let response = self.0.send_request(request.expect("a request"));
        within("a response head", response)
            .await
            .expect("a response before the end of the stream")
    }

    /// A GET whose response is read to its end.
    pub async fn get_whole(&mut self, path: &str) -> Response<Bytes> {
        let (head, body) = self.get(path).await.into_parts();
        let body = within("the rest of a body", body.collect()).await;
        Response::from_parts(head, body.expect("a whole body").to_bytes())
    }
}
