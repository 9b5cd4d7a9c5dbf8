//! The messages that all benches share: what a browser asks and what an ordinary origin answers.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The lifetime that the origin grants in [`response`].
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);

/// When the origin answered: the `Date` of [`response`].
pub(crate) fn answered_at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_327_200)
}

/// The fields of a browser's request.
pub(crate) fn request() -> HeaderMap {
    fields(&[
        ("host", "shop.example"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        ),
        (
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ),
        ("accept-language", "en-US,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
    ])
}

/// The fields of a page that may be kept for [`LIFETIME`].
pub(crate) fn response() -> HeaderMap {
    fields(&[
        ("server", "nginx"),
        ("date", "Sun, 22 Nov 2026 06:00:00 GMT"),
        ("content-type", "text/html; charset=utf-8"),
        ("last-modified", "Sat, 21 Nov 2026 12:00:00 GMT"),
        ("etag", "\"6560f1c0-400\""),
        ("cache-control", "public, max-age=3600"),
        ("vary", "Accept-Encoding"),
    ])
}

/// A header map of these lines.
pub(crate) fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect()
}
