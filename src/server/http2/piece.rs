//! Piece of a body on its way to the socket, and the count of what a connection has unsent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::{Buf, Bytes};

/// What h2 holds of a connection's bodies.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    bytes: AtomicUsize,
    /// What was dropped instead of sent, since its stream was reset: h2 gives its share of the
    /// connection's window back.
    dropped: AtomicU64,
}

/// Bytes that are counted until they are sent, or dropped.
pub(super) struct Piece {
    bytes: Bytes,
    unsent: Arc<Unsent>,
}

// === impl Unsent ===

impl Unsent {
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

// === impl Piece ===

impl Piece {
    pub(super) fn new(bytes: Bytes, unsent: &Arc<Unsent>) -> Self {
        unsent.bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        Self {
            bytes,
            unsent: Arc::clone(unsent),
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.unsent.bytes.fetch_sub(count, Ordering::Relaxed);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let left = self.bytes.len();
        if left > 0 {
            self.unsent.bytes.fetch_sub(left, Ordering::Relaxed);
            self.unsent
                .dropped
                .fetch_add(left as u64, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_or_dropped_is_unsent_no_more() {
        let unsent = Arc::default();
        let mut piece = Piece::new(Bytes::from_static(b"hello"), &unsent);
        piece.advance(2);
        assert_eq!((unsent.bytes(), unsent.dropped()), (3, 0));
        drop(piece);
        assert_eq!((unsent.bytes(), unsent.dropped()), (0, 3));
    }
}
