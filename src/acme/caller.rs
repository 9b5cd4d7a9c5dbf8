//! Calls to a CA: one HTTPS connection each, trusted as the configuration says, within a deadline.
//!
//! The door to hyper and rustls on this floor. What is said is the library's (RFC 8555).

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::clock;

type AnyError = Box<dyn StdError + Send + Sync>;

/// From the first packet to the last byte of an answer.
const CALL_TAKES_MAX: Duration = Duration::from_secs(30);
/// Directories and chains have a few KiB.
const BODY_BYTES_MAX: usize = 1 << 20;
/// RFC 9773 §4.3: servers "SHOULD" say when to ask again; where one does not, this is as good.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("21600");
/// RFC 8555 §6.1: "ACME clients MUST send a User-Agent header field".
const AGENT: HeaderValue = HeaderValue::from_static(concat!("copal/", env!("CARGO_PKG_VERSION")));

/// Who calls a CA.
#[derive(Clone)]
pub(super) struct Caller {
    tls: TlsConnector,
    told: Arc<Told>,
}

/// What the last answers said beside their content.
#[derive(Default)]
struct Told {
    rest_until: Mutex<Option<SystemTime>>,
}

/// A call without an answer of HTTP: the CA is not there, or somebody else is.
#[derive(Debug, thiserror::Error)]
#[error("{host}: {what}")]
pub(super) struct Unreachable {
    host: String,
    what: String,
}

/// What vouches for a CA is not to rustls' liking, although it was checked.
#[derive(Debug, thiserror::Error)]
#[error("roots of a CA of [acme]: {0}")]
pub struct BadRoots(#[from] rustls::Error);

// === impl Caller ===

impl Caller {
    /// Who trusts these roots.
    pub(super) fn trusting(list: &[CertificateDer<'static>]) -> Result<Self, BadRoots> {
        let mut roots = RootCertStore::empty();
        for root in list {
            roots.add(root.clone())?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            told: Arc::default(),
        })
    }

    /// Until when the CA wants to be left alone, if an answer has said so since this was asked last
    /// (RFC 8555 §6.6).
    pub(super) fn take_rest(&self) -> Option<SystemTime> {
        self.told.rest_until.lock().take()
    }

    async fn call(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, AnyError> {
        let is_get = request.method() == Method::GET;
        let host = request
            .uri()
            .host()
            .ok_or("a URL without a host")?
            .to_owned();
        let port = request.uri().port_u16().unwrap_or(443);
        let name = host.trim_matches(['[', ']']).to_owned();
        let tcp = TcpStream::connect((name.as_str(), port)).await?;
        let tls = self.tls.connect(ServerName::try_from(name)?, tcp).await?;
        let mut answer = exchange(tls, request).await?;
        let said = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|it| when(it, clock::now()));
        if !answer.status().is_success() {
            *self.told.rest_until.lock() = said;
        } else if is_get && said.is_none() {
            answer.headers_mut().insert(RETRY_AFTER, ASK_AGAIN);
        }
        Ok(answer)
    }
}

impl HttpClient for Caller {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let caller = self.clone();
        Box::pin(async move {
            let host = request
                .uri()
                .authority()
                .map(ToString::to_string)
                .unwrap_or_default();
            let called = timeout(CALL_TAKES_MAX, caller.call(request)).await;
            let what = match called {
                Ok(Ok(answer)) => return Ok(BytesResponse::from(answer)),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in 30 s".to_owned(),
            };
            Err(Error::Other(Box::new(Unreachable { host, what })))
        })
    }
}

/// One request on a connection of its own, and all of the answer. In clear only to who is asked
/// whether a name may be had.
pub(super) async fn exchange<B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    mut request: Request<B>,
) -> Result<Response<Full<Bytes>>, AnyError>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<AnyError>,
{
    let authority = request
        .uri()
        .authority()
        .map(ToString::to_string)
        .unwrap_or_default();
    let target = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let target: Uri = target.parse()?;
    *request.uri_mut() = target;
    request
        .headers_mut()
        .insert(HOST, HeaderValue::from_str(&authority)?);
    request.headers_mut().insert(USER_AGENT, AGENT);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await?;
    Ok(Response::from_parts(head, Full::new(body.to_bytes())))
}

/// RFC 9110 §10.2.3: a date, or a number of seconds.
fn when(value: &HeaderValue, now: SystemTime) -> Option<SystemTime> {
    let text = value.to_str().ok()?.trim();
    match text.parse::<u32>() {
        Ok(seconds) => Some(now + Duration::from_secs(seconds.into())),
        Err(_) => httpdate::parse_http_date(text).ok(),
    }
}
