//! What is known of one server: its figures and its load, which outlive the pools that ask it.
//!
//! A reload builds pools anew, with connections of their own; what has been learnt of a server is
//! not unlearnt by it. Connections are in `peer.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::Kind;
use super::load::Load;

/// What is known of one server.
#[derive(Debug)]
pub(super) struct Vitals {
    /// `host:port`.
    pub(super) authority: Arc<str>,
    pub(super) load: Arc<Load>,
    pub(super) counters: Counters,
}

/// What happened with a server since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) connects: AtomicU64,
    pub(super) reused: AtomicU64,
    errors: [AtomicU64; Kind::ALL.len()],
}

// === impl Vitals ===

impl Vitals {
    pub(super) fn new(authority: Arc<str>) -> Self {
        Self {
            authority,
            load: Arc::default(),
            counters: Counters::default(),
        }
    }
}

// === impl Counters ===

impl Counters {
    pub(super) fn count_error(&self, kind: Kind) {
        let index = Kind::ALL.iter().position(|other| *other == kind);
        if let Some(counter) = index.and_then(|index| self.errors.get(index)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn errors(&self) -> [(Kind, u64); Kind::ALL.len()] {
        let mut errors = Kind::ALL.map(|kind| (kind, 0));
        for ((_, count), counter) in errors.iter_mut().zip(&self.errors) {
            *count = counter.load(Ordering::Relaxed);
        }
        errors
    }
}
