//! Content of an object: all here, still growing, or in slices.

use std::sync::Arc;

use super::growing::Growing;
use super::joined::Joined;
use super::reader::Reader;
use super::slices::Slices;
use super::whole::Whole;
use crate::body::Body;
use crate::semantics::range::Length;

/// Where an object's bytes are.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Whole(Whole),
    Growing(Arc<Growing>),
    /// In parts that are entries of their own; not all of them need be here.
    Sliced(Arc<Slices>),
}

// === impl Content ===

impl Content {
    /// A reader from the first byte.
    pub(super) fn body(&self) -> Body {
        match self {
            Self::Whole(whole) => whole.body(),
            Self::Growing(growing) => Body::stream(Reader::new(growing)),
            Self::Sliced(slices) => Body::seekable(Joined::new(slices)),
        }
    }

    /// The same, unless the first byte is gone.
    pub(super) fn join(&self) -> Option<Body> {
        match self {
            Self::Growing(growing) => Reader::join(growing).map(Body::stream),
            Self::Whole(_) | Self::Sliced(_) => Some(self.body()),
        }
    }

    pub(super) fn length(&self) -> Length {
        match self {
            Self::Whole(whole) => Length::Exact(whole.len_bytes()),
            Self::Growing(growing) => growing.length(),
            Self::Sliced(slices) => Length::Exact(slices.about.complete),
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Growing(growing) => growing.is_whole(),
            Self::Whole(_) | Self::Sliced(_) => true,
        }
    }

    /// Whether its first byte can be had no more.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Growing(growing) if !growing.held().has_begin())
    }

    pub(super) fn slices(&self) -> Option<&Arc<Slices>> {
        match self {
            Self::Sliced(slices) => Some(slices),
            Self::Whole(_) | Self::Growing(_) => None,
        }
    }

    /// Bytes of heap it keeps alive.
    pub(super) fn weight_bytes(&self) -> usize {
        match self {
            Self::Whole(whole) => whole.weight_bytes(),
            // Charged to the fill budget until it is complete.
            Self::Growing(_) => 0,
            Self::Sliced(slices) => slices.weight_bytes(),
        }
    }
}
