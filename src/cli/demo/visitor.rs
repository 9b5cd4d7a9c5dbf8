//! The demo's visitor: one connection to the proxy, and a clock beside it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::clock;

/// A client that keeps its connection.
pub(super) struct Visitor {
    proxy: SocketAddr,
    sender: SendRequest<Empty<Bytes>>,
}

/// What came of a request.
pub(super) struct Visit {
    pub(super) took: Duration,
    pub(super) status: StatusCode,
    /// The field `Cache-Status`, as it stands.
    pub(super) cache_status: String,
    pub(super) body: Bytes,
}

// === impl Visitor ===

impl Visitor {
    pub(super) async fn connect(proxy: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(proxy).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { proxy, sender })
    }

    /// A GET, from its first byte to the answer's last.
    pub(super) async fn get(&mut self, path: &str) -> anyhow::Result<Visit> {
        let request = Request::get(path).header(HOST, self.proxy.to_string());
        let request = request.body(Empty::new())?;
        // The answer before may have been read to its end sooner than the connection knows.
        self.sender.ready().await.context("the proxy has closed")?;
        let began = clock::instant();
        let sent = self.sender.send_request(request).await;
        let (head, body) = sent.context("the proxy gave no answer")?.into_parts();
        let body = body.collect().await?.to_bytes();
        let cache_status = head.headers.get("cache-status");
        Ok(Visit {
            took: began.elapsed(),
            status: head.status,
            cache_status: cache_status
                .and_then(|it| it.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            body,
        })
    }
}

// === impl Visit ===

impl Visit {
    /// What it took, in milliseconds.
    pub(super) fn milliseconds(&self) -> f64 {
        milliseconds(self.took)
    }
}

pub(super) fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}
