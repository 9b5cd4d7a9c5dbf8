//! Origin that a script plays: it answers what it was told last, and remembers what it was asked.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::DuplexStream;

use super::cases::{Failing, Scripted};
use crate::config::{self, HttpVersion, Resolve, ServerUrl};
use crate::origin::Dialer;

/// What a connection holds of what is not read yet.
const BUFFER_BYTES: usize = 64 * 1024;

/// The origins of one case.
#[derive(Clone, Default)]
pub(super) struct Origins(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    script: Scripted,
    asked: Vec<Seen>,
}

/// A request that an origin was asked.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) origin: String,
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) fields: http::HeaderMap,
}

/// Takes off an origin what has nothing to do with rules, and with a script nothing to say.
pub(super) fn plain(origin: &mut config::Origin) {
    origin.health = None;
    origin.agent = None;
    origin.wire.version = HttpVersion::Http1;
    origin.wire.proxy_protocol = None;
    origin.tls = None;
    for server in &mut origin.servers {
        server.resolve = Resolve::One;
        if let ServerUrl::Tcp { tls, .. } = &mut server.url {
            *tls = false;
        }
    }
}

// === impl Origins ===

impl Origins {
    /// From now on this is answered.
    pub(super) fn play(&self, script: &Scripted) {
        self.0.lock().script = script.clone();
    }

    /// What has been asked since the last call of this.
    pub(super) fn take_asked(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().asked)
    }

    /// The way to them.
    pub(super) fn dialer(&self) -> Dialer {
        let origins = self.clone();
        Dialer::new(move |name| origins.connect(name))
    }

    fn connect(&self, name: &str) -> io::Result<DuplexStream> {
        if self.0.lock().script.fails == Some(Failing::Refused) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = tokio::io::duplex(BUFFER_BYTES);
        let (origins, name) = (self.clone(), name.to_owned());
        tokio::spawn(async move {
            let answer = service_fn(|request| origins.answer(&name, request));
            // One request each, so that the next one finds the script that is played then.
            let connection = http1::Builder::new()
                .keep_alive(false)
                .serve_connection(TokioIo::new(far), answer);
            // Whoever asked sees how it ended.
            let _ = connection.await;
        });
        Ok(near)
    }

    async fn answer(
        &self,
        origin: &str,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, io::Error> {
        let script = {
            let mut state = self.0.lock();
            state.asked.push(Seen {
                origin: origin.to_owned(),
                method: request.method().clone(),
                target: request.uri().to_string(),
                fields: request.headers().clone(),
            });
            state.script.clone()
        };
        // What is uploaded is read, or a client would wait for that.
        let _: Result<_, _> = request.into_body().collect().await;
        tokio::time::sleep(script.delay()).await;
        if script.fails == Some(Failing::Closed) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(response(&script))
    }
}

/// Fields that are none are left out.
fn response(script: &Scripted) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(script.body.clone())));
    *response.status_mut() = script.status.try_into().unwrap_or_default();
    for (name, value) in &script.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
