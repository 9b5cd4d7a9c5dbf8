//! Complete body in memory, in the shape it is stored in.

use std::sync::Arc;

use bytes::Bytes;

use crate::body::Body;

/// Segments of a finished body up to this long are joined into one block, so that a hit is one
/// write.
const JOIN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// All bytes of an object or of a slice.
#[derive(Clone, Debug)]
pub(super) enum Whole {
    Empty,
    One(Bytes),
    Many(Arc<[Bytes]>),
}

// === impl Whole ===

impl Whole {
    /// All segments, joined into one where that is cheap.
    pub(super) fn new(segments: Vec<Bytes>) -> Self {
        let len: usize = segments.iter().map(Bytes::len).sum();
        match segments.as_slice() {
            [] => Self::Empty,
            [only] => Self::One(only.clone()),
            many if len <= JOIN_BYTES_MAX => {
                Self::One(Bytes::from(many.concat().into_boxed_slice()))
            }
            _ => Self::Many(segments.into()),
        }
    }

    /// A reader from the first byte.
    pub(super) fn body(&self) -> Body {
        match self {
            Self::Empty => Body::empty(),
            Self::One(bytes) => Body::full(bytes.clone()),
            Self::Many(parts) => Body::pieces(Arc::clone(parts)),
        }
    }

    pub(super) fn len_bytes(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::One(bytes) => bytes.len() as u64,
            Self::Many(parts) => parts.iter().map(|part| part.len() as u64).sum(),
        }
    }

    /// Bytes of heap it keeps alive.
    pub(super) fn weight_bytes(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One(bytes) => bytes.len(),
            Self::Many(parts) => parts
                .iter()
                .map(|part| part.len() + size_of::<Bytes>())
                .sum(),
        }
    }
}
