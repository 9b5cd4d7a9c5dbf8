//! Probe of a server: is a connection accepted, and is the answer as expected?
//!
//! On a connection of its own, which is closed afterwards: that one can be made is part of the
//! question. When it is asked, and what follows, is in `probing.rs`.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, TE, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::body::Body;
use crate::config::{Health, Question};
use crate::origin::dial::tls::Protocol;
use crate::origin::dial::{Dial, Stream};
use crate::origin::error::{Error, Kind};
use crate::origin::server::Fault;

const AGENT: HeaderValue = HeaderValue::from_static("copal-probe");
/// As much of an answer's body as is read.
const BODY_BYTES_MAX: usize = 64 * 1024;
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// A gRPC message without content: not compressed, of length zero. It asks about the server as a
/// whole (grpc.health.v1.HealthCheckRequest without a service).
const GRPC_REQUEST: [u8; 5] = [0; 5];
/// `HealthCheckResponse.status` is field 1, a varint; 1 is SERVING.
const GRPC_SERVING: [u8; 2] = [0x08, 1];

/// Where a probe goes.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) dial: Dial,
    /// The Host field, unless the question has one.
    pub(super) host_field: HeaderValue,
    /// What is offered where the question is asked by HTTP.
    pub(super) protocol: Protocol,
    /// What is written before all else.
    pub(super) header: Vec<u8>,
}

/// Asks once. `None` where that cannot be done for want of what is ours.
pub(super) async fn ask(target: &Target, health: &Health) -> Option<Result<(), Fault>> {
    let asked = ask_within(health.timeout, target, &health.question);
    let asked = timeout(health.timeout, asked);
    asked.await.unwrap_or(Some(Err(Fault::Slow)))
}

async fn ask_within(
    time_max: Duration,
    target: &Target,
    question: &Question,
) -> Option<Result<(), Fault>> {
    let protocol = match question {
        Question::Grpc => Protocol::Http2,
        Question::Tcp => Protocol::Http1,
        Question::Http { .. } => target.protocol,
    };
    let opened = target.dial.open(time_max, protocol, &target.header).await;
    match opened {
        Ok((stream, spoken)) => Some(ask_on(TokioIo::new(stream), spoken, target, question).await),
        Err(error) if error.kind == Kind::Descriptors => None,
        Err(error) => Some(Err(fault(&error))),
    }
}

async fn ask_on(
    stream: TokioIo<Stream>,
    spoken: Protocol,
    target: &Target,
    question: &Question,
) -> Result<(), Fault> {
    match question {
        Question::Tcp => Ok(()),
        Question::Grpc => grpc(stream, target).await,
        Question::Http {
            method,
            path,
            host,
            statuses,
            body,
        } => {
            let host = host.as_ref().unwrap_or(&target.host_field);
            let (status, content) = match spoken {
                Protocol::Http2 => http2(stream, request_http2(method, path, host)?).await?,
                _ => http(stream, request(method, Uri::from(path.clone()), host)).await?,
            };
            if !statuses.iter().any(|range| range.contains(&status)) {
                return Err(Fault::Status(status));
            }
            match body {
                Some(text) if !contains(&content, text.as_bytes()) => Err(Fault::Text),
                _ => Ok(()),
            }
        }
    }
}

fn request(method: &Method, uri: Uri, host: &HeaderValue) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri;
    let fields = request.headers_mut();
    fields.insert(HOST, host.clone());
    fields.insert(USER_AGENT, AGENT);
    fields.insert(CONNECTION, HeaderValue::from_static("close"));
    request
}

/// The status, and the beginning of the body.
async fn http(stream: TokioIo<Stream>, request: Request<Body>) -> Result<(u16, Vec<u8>), Fault> {
    let handshake = http1::Builder::new()
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(2 * HEAD_BYTES_MAX)
        .handshake(stream);
    let (mut sender, driver) = handshake.await.map_err(|_| Fault::Broken)?;
    let _driving = drive(driver);
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|_| Fault::Broken)?;
    Ok((answer.status().as_u16(), beginning(answer).await?))
}

fn request_http2(
    method: &Method,
    path: &PathAndQuery,
    host: &HeaderValue,
) -> Result<Request<Body>, Fault> {
    let uri = Uri::builder()
        .scheme("http")
        .authority(host.as_bytes())
        .path_and_query(path.clone());
    let request = Request::builder()
        .method(method)
        .uri(uri.build().map_err(|_| Fault::Broken)?)
        .header(USER_AGENT, AGENT)
        .body(Body::empty());
    request.map_err(|_| Fault::Broken)
}

/// The same by HTTP/2.
async fn http2(stream: TokioIo<Stream>, request: Request<Body>) -> Result<(u16, Vec<u8>), Fault> {
    let handshake = http2::Builder::new(TokioExecutor::new()).handshake(stream);
    let (mut sender, driver) = handshake.await.map_err(|_| Fault::Broken)?;
    let _driving = drive(driver);
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|_| Fault::Broken)?;
    Ok((answer.status().as_u16(), beginning(answer).await?))
}

/// Runs a connection until what is returned is dropped.
fn drive<E: Send + 'static>(
    connection: impl Future<Output = Result<(), E>> + Send + 'static,
) -> JoinSet<()> {
    let mut driving = JoinSet::new();
    driving.spawn(async move {
        // An error here is also the error of the exchange.
        let _ = connection.await;
    });
    driving
}

async fn beginning(answer: Response<Incoming>) -> Result<Vec<u8>, Fault> {
    let (mut content, mut body) = (Vec::new(), answer.into_body());
    while content.len() < BODY_BYTES_MAX
        && let Some(frame) = body.frame().await
    {
        if let Some(data) = frame.map_err(|_| Fault::Broken)?.data_ref() {
            let room = BODY_BYTES_MAX - content.len();
            content.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(content)
}

fn contains(content: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(content, text).is_some()
}

/// The gRPC Health Checking Protocol, `grpc.health.v1.Health/Check`.
async fn grpc(stream: TokioIo<Stream>, target: &Target) -> Result<(), Fault> {
    let (status, content) = http2(stream, grpc_request(target)?).await?;
    if !(200..300).contains(&status) {
        return Err(Fault::Status(status));
    }
    match is_serving(&content) {
        true => Ok(()),
        false => Err(Fault::NotServing),
    }
}

fn grpc_request(target: &Target) -> Result<Request<Body>, Fault> {
    let authority = target.host_field.to_str().map_err(|_| Fault::Broken)?;
    let request = Request::post(format!("http://{authority}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, AGENT)
        .body(Body::full(Bytes::from_static(&GRPC_REQUEST)));
    request.map_err(|_| Fault::Broken)
}

/// Whether this is one message that begins with the status SERVING. A server that has nothing to
/// say of itself sends only trailers, with an error.
fn is_serving(content: &[u8]) -> bool {
    let Some(([compressed, a, b, c, d], message)) = content.split_first_chunk() else {
        return false;
    };
    let length = u32::from_be_bytes([*a, *b, *c, *d]);
    *compressed == 0
        && usize::try_from(length).is_ok_and(|length| length <= message.len())
        && message.starts_with(&GRPC_SERVING)
}

/// What it says of a server that it could not be connected to.
fn fault(error: &Error) -> Fault {
    match error.kind {
        Kind::Timeout => Fault::Slow,
        Kind::Tls => Fault::Tls,
        _ => Fault::Refused,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn serving_is_told_from_all_else() {
        for (content, serving) in [
            (&b"\0\0\0\0\x02\x08\x01"[..], true),
            // NOT_SERVING, UNKNOWN (spelt out, and by default).
            (b"\0\0\0\0\x02\x08\x02", false),
            (b"\0\0\0\0\x02\x08\x00", false),
            (b"\0\0\0\0\0", false),
            // Compressed, cut off, nothing.
            (b"\x01\0\0\0\x02\x08\x01", false),
            (b"\0\0\0\0\x03\x08\x01", false),
            (b"\0\0\0", false),
            (b"", false),
        ] {
            assert_eq!(is_serving(content), serving, "{content:?}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read(content in prop::collection::vec(any::<u8>(), 0..16)) {
            prop_assert!(!is_serving(&content) || content.len() >= 7);
        }
    }
}
