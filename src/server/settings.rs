//! Settings of hyper's server for one connection: limits of heads and of buffers, and whose the timers are.

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config;

/// The largest buffer of one connection: two of the largest heads, and a bound on what a slow
/// client keeps in memory.
const BUFFER_BYTES_MIN: usize = 64 * 1024;
const STREAMS_MAX: u32 = 100;
const STREAM_BUFFER_BYTES: usize = 64 * 1024;

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

/// The same of HTTP/2.
pub(super) fn http2(config: &config::Server) -> http2::Builder<TokioExecutor> {
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .keep_alive_interval(config.idle_timeout)
        .max_concurrent_streams(STREAMS_MAX)
        .max_send_buf_size(STREAM_BUFFER_BYTES)
        .max_header_list_size(u32::try_from(config.header_bytes_max).unwrap_or(u32::MAX));
    http2
}
