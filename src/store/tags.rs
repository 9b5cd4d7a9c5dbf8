//! Hash of a tag, which stands for it in stamps and in the index: a tag may be long, and there may be
//! millions.
//!
//! Two tags that share a hash are purged together. With 64 bits that takes four thousand million tags.

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

/// The hash of a tag, or of a tag within one origin. In halves, so that it needs no more room beside
/// four bytes than it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TagHash([u32; 2]);

/// Makes hashes; those of one process agree.
#[derive(Clone, Debug, Default)]
pub(super) struct TagHasher(foldhash::quality::RandomState);

/// For tables by [`TagHash`]: it is a good hash already.
#[derive(Default)]
pub(super) struct Ready(u64);

pub(super) type ByTag = BuildHasherDefault<Ready>;

// === impl TagHasher ===

impl TagHasher {
    pub(super) fn hash(&self, tag: &[u8]) -> TagHash {
        TagHash::of(self.0.hash_one(tag))
    }

    /// The hash of a tag as it counts for one origin alone, which is how keys begin: scheme, host and
    /// port.
    pub(super) fn within(&self, tag: TagHash, origin: &[u8]) -> TagHash {
        TagHash::of(self.0.hash_one((tag.bits(), origin)))
    }
}

// === impl TagHash ===

impl TagHash {
    fn of(bits: u64) -> Self {
        // Both casts take a half.
        Self([(bits >> 32) as u32, bits as u32])
    }

    fn bits(self) -> u64 {
        u64::from(self.0[0]) << 32 | u64::from(self.0[1])
    }
}

impl Hash for TagHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.bits());
    }
}

// === impl Ready ===

impl Hasher for Ready {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, bits: u64) {
        self.0 = bits;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
