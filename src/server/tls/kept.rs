//! Value of a file as it was when it was good last: a broken one changes nothing but what is told of it.
//!
//! A file is read again when its size, its times or its inode have changed, or when it could not be
//! used the time before.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// What some files hold, and what they held when they were good last.
pub(super) struct Kept<T> {
    pub(super) paths: Vec<Arc<str>>,
    stamps: Vec<Option<Stamp>>,
    pub(super) value: Option<Arc<T>>,
    trouble: Option<String>,
}

/// What can be asked of files whatever they hold.
pub(super) struct Known<'a> {
    pub(super) paths: &'a [Arc<str>],
    pub(super) is_good: bool,
    pub(super) trouble: Option<&'a str>,
}

/// What changes when a file does: size, times and inode.
type Stamp = (u64, i64, i64, i64, i64, u64);

// === impl Kept ===

impl<T> Kept<T> {
    /// What is known after a look; `known` is what was known before.
    pub(super) fn looked(
        known: Option<&Self>,
        paths: &[&Arc<str>],
        read: impl FnOnce() -> Result<T, String>,
    ) -> Self {
        let paths: Vec<_> = paths.iter().map(|it| Arc::clone(it)).collect();
        // Taken before it is read: what changes in between is read again.
        let stamps: Vec<_> = paths.iter().map(|it| stamp(it)).collect();
        let known = known.filter(|it| it.paths == paths);
        if let Some(known) = known
            && known.stamps == stamps
            && known.trouble.is_none()
        {
            return known.clone();
        }
        let before = known.and_then(|it| it.value.clone());
        let (value, trouble) = match read() {
            Ok(value) => (Some(Arc::new(value)), None),
            Err(why) => (before, Some(why)),
        };
        Self {
            paths,
            stamps,
            value,
            trouble,
        }
    }

    /// The same, whatever it holds.
    pub(super) fn known(&self) -> Known<'_> {
        Known {
            paths: &self.paths,
            is_good: self.value.is_some(),
            trouble: self.trouble.as_deref(),
        }
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self {
            paths: self.paths.clone(),
            stamps: self.stamps.clone(),
            value: self.value.clone(),
            trouble: self.trouble.clone(),
        }
    }
}

/// The same value, not an equal one.
impl<T> PartialEq for Kept<T> {
    fn eq(&self, other: &Self) -> bool {
        let is_same = match (&self.value, &other.value) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        is_same && self.paths == other.paths && self.trouble == other.trouble
    }
}

/// That of the file itself, where the path is a link.
fn stamp(path: &str) -> Option<Stamp> {
    let it = fs::metadata(path).ok()?;
    Some((
        it.len(),
        it.mtime(),
        it.mtime_nsec(),
        it.ctime(),
        it.ctime_nsec(),
        it.ino(),
    ))
}
