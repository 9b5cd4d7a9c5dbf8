//! Discarding a body that nobody wants, so that its connection can be used again.

use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::timeout;

use super::Body;

/// Rather than read a longer body to no end, its connection is given up.
const BYTES_MAX: usize = 64 * 1024;
const TIME_MAX: Duration = Duration::from_secs(1);

impl Body {
    /// Reads the rest in a task of its own; not if it is a long one or a slow one.
    pub fn discard(self) {
        if !self.is_empty() {
            tokio::spawn(timeout(TIME_MAX, read_to_end(self)));
        }
    }
}

async fn read_to_end(mut body: Body) {
    let mut left_bytes = BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, |data| data.len());
        match left_bytes.checked_sub(bytes) {
            Some(left) => left_bytes = left,
            None => return,
        }
    }
}
