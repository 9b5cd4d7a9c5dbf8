//! Settings of the server for one connection: limits of heads, of buffers and of bodies, and whose the
//! timers are.

use hyper::server::conn::http1;

use crate::body::{Limits, Pace, Progress};
use crate::config;

/// The largest buffer of one connection: two of the largest heads, and a bound on what a slow
/// client keeps in memory.
const BUFFER_BYTES_MIN: usize = 64 * 1024;

/// hyper's settings for one connection. They cost no more to make than to copy.
pub(super) fn http1(config: &config::Server) -> http1::Builder {
    let mut http1 = http1::Builder::new();
    http1
        // A client that has said all it wants may close its half and still be answered.
        .half_close(true)
        // The watch has one timer for all; hyper's would be set for every request.
        .header_read_timeout(None)
        .max_headers(config.header_fields_max)
        .max_header_size(config.header_bytes_max)
        .max_buf_size((2 * config.header_bytes_max).max(BUFFER_BYTES_MIN));
    http1
}

/// What the body of a request is held to, until its route says otherwise.
pub(super) fn limits(config: &config::Server, progress: Progress) -> Limits {
    Limits {
        bytes_max: config.body_bytes_max,
        silence_max: config.body_timeout,
        pace: Pace {
            rate_min: config.receive_rate_min,
            window: config.rate_window,
        },
        progress,
    }
}
