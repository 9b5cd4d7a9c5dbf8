//! Conversion of a request from HTTP/1.1 to HTTP/2 and back: the same message, in which another
//! protocol says who is asked and what belongs to one connection.
//!
//! How it is sent is in `http1.rs` and `http2.rs`.

use http::header::{CONNECTION, HOST, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Request, Uri};

/// The request for a server that is spoken to by this scheme.
pub(super) fn to_http2<B>(mut request: Request<B>, scheme: &Scheme) -> Request<B> {
    let target = request.uri().path_and_query().cloned();
    let fields = request.headers_mut();
    // "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header
    // fields." (RFC 9113 §8.2.2) TE may stay, and says `trailers` if anything.
    fields.remove(CONNECTION);
    if let Some(uri) = absolute(fields, scheme, target) {
        fields.remove(HOST);
        *request.uri_mut() = uri;
    }
    request
}

/// "An intermediary that forwards a request over HTTP/2 MUST construct an ":authority"
/// pseudo-header field using the authority information from the control data of the original
/// request" (RFC 9113 §8.3.1). What is no authority stays a Host field.
fn absolute(fields: &HeaderMap, scheme: &Scheme, target: Option<PathAndQuery>) -> Option<Uri> {
    let authority = Authority::try_from(fields.get(HOST)?.as_bytes()).ok()?;
    Uri::builder()
        .scheme(scheme.clone())
        .authority(authority)
        .path_and_query(target.unwrap_or(PathAndQuery::from_static("/")))
        .build()
        .ok()
}

/// The request as it was before [`to_http2`], for another connection.
pub(super) fn to_http1<B>(mut request: Request<B>) -> Request<B> {
    let uri = std::mem::take(request.uri_mut());
    let host = uri
        .authority()
        .and_then(|it| HeaderValue::from_str(it.as_str()).ok());
    let target = uri.path_and_query().cloned();
    *request.uri_mut() = target.map_or(uri, Uri::from);
    let fields = request.headers_mut();
    if let Some(host) = host {
        fields.insert(HOST, host);
    }
    if fields.contains_key(TE) {
        fields.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_can_be_turned_back() {
        // RFC 9113 §8.3.1.
        for (host, authority) in [
            ("example.test", Some("example.test")),
            ("example.test:8080", Some("example.test:8080")),
            ("[::1]:8080", Some("[::1]:8080")),
            ("", None),
            ("a b", None),
        ] {
            let mut request = Request::new(());
            *request.uri_mut() = Uri::from_static("/a?b");
            let host = HeaderValue::from_static(host);
            request.headers_mut().insert(HOST, host.clone());
            let request = to_http2(request, &Scheme::HTTPS);
            let found = request.uri().authority().map(Authority::as_str);
            assert_eq!(found, authority, "{host:?}");
            let request = to_http1(request);
            assert_eq!(request.uri(), "/a?b");
            assert_eq!(request.headers()[HOST], host);
        }
    }
}
