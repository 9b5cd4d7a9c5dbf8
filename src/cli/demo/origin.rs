//! The demo's origin: a web server that is slow, counts what it is asked, and can be switched off.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How long it thinks about each page.
pub(super) const PAGE_TAKES: Duration = Duration::from_millis(300);

/// Pages below this path have a lifetime of one second, and may be served when it is over.
pub(super) const SHORT_LIVED: &str = "/news";

/// A web server that runs until it is switched off or dropped.
pub(super) struct Origin {
    address: SocketAddr,
    asked: Arc<AtomicU64>,
    /// Its listener's task; when that is gone, its connections are.
    running: JoinSet<()>,
}

// === impl Origin ===

impl Origin {
    /// On a free loopback port.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut origin = Self {
            address: listener.local_addr()?,
            asked: Arc::default(),
            running: JoinSet::new(),
        };
        origin.serve_on(listener);
        Ok(origin)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests came in until now.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Cuts all connections and refuses new ones.
    pub(super) async fn switch_off(&mut self) {
        self.running.shutdown().await;
    }

    /// Comes back on its port.
    ///
    /// # Errors
    /// When somebody else has taken it meanwhile.
    pub(super) async fn switch_on(&mut self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        self.serve_on(listener);
        Ok(())
    }

    fn serve_on(&mut self, listener: TcpListener) {
        self.running
            .spawn(accept(listener, Arc::clone(&self.asked)));
    }
}

async fn accept(listener: TcpListener, asked: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&asked)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, asked: Arc<AtomicU64>) {
    let pages = service_fn(move |request| {
        let version = asked.fetch_add(1, Ordering::Relaxed) + 1;
        async move {
            tokio::time::sleep(PAGE_TAKES).await;
            Ok::<_, Infallible>(page(&request, version))
        }
    });
    // A client that breaks off is no matter.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), pages)
        .await;
}

fn page(request: &Request<Incoming>, version: u64) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let lifetime = match path.starts_with(SHORT_LIVED) {
        true => "max-age=1, stale-while-revalidate=60, stale-if-error=3600",
        false => "max-age=60",
    };
    let text = format!(
        "<!doctype html><title>demo</title><p>The origin's page number {version}, slowly made.\n"
    );
    let mut response = Response::new(Full::from(text));
    let fields = response.headers_mut();
    let html = http::HeaderValue::from_static("text/html; charset=utf-8");
    fields.insert(http::header::CONTENT_TYPE, html);
    let lifetime = http::HeaderValue::from_static(lifetime);
    fields.insert(http::header::CACHE_CONTROL, lifetime);
    response
}
