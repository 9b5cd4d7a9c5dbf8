//! List of slices without a content, until they are taken out of memory.

use parking_lot::Mutex;

/// The number of a content and of one of its slices: a key that is no URI's, for it begins with
/// NUL.
#[derive(Clone, Copy)]
pub(super) struct SliceKey([u8; 17]);

/// Slices whose content has gone, to be taken out when there is time: the last who knew it may be
/// moka itself, in the middle of its maintenance, where it must not be called.
#[derive(Default)]
pub(super) struct Graves(Mutex<Vec<SliceKey>>);

// === impl SliceKey ===

impl SliceKey {
    pub(super) fn new(content: u64, index: u64) -> Self {
        let mut key = [0; 17];
        key[1..9].copy_from_slice(&content.to_be_bytes());
        key[9..].copy_from_slice(&index.to_be_bytes());
        Self(key)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

// === impl Graves ===

impl Graves {
    /// Notes slices that are to be taken out.
    pub(super) fn dig(&self, keys: impl Iterator<Item = SliceKey>) {
        self.0.lock().extend(keys);
    }

    /// All that are to be taken out at this moment.
    pub(super) fn take(&self) -> Vec<SliceKey> {
        std::mem::take(&mut *self.0.lock())
    }
}
