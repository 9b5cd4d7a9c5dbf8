//! User that this process runs as, and whether it may write into a folder.
//!
//! By the bits of the mode alone: access control lists are not asked.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::machine::read;

/// Who may do all.
const ROOT: u32 = 0;

/// A user with its groups.
pub(super) struct User {
    uid: u32,
    gids: Vec<u32>,
}

// === impl User ===

impl User {
    /// The one that this process runs as, if /proc tells.
    pub(super) fn here() -> Option<Self> {
        Self::of(&read(Path::new("/proc/self/status"))?)
    }

    fn of(status: &str) -> Option<Self> {
        let numbers = |name: &str| -> Vec<u32> {
            let line = status.lines().find_map(|it| it.strip_prefix(name));
            let words = line.unwrap_or_default().split_whitespace();
            words.filter_map(|it| it.parse().ok()).collect()
        };
        // proc_pid_status(5): "Real, effective, saved set, and filesystem UIDs".
        let uid = *numbers("Uid:").get(3)?;
        let gid = *numbers("Gid:").get(3)?;
        let mut gids = numbers("Groups:");
        gids.push(gid);
        Some(Self { uid, gids })
    }

    /// Whether it may make a file in this folder.
    pub(super) fn may_write(&self, folder: &Metadata) -> bool {
        self.has_write_bit(folder.uid(), folder.gid(), folder.mode())
    }

    fn has_write_bit(&self, owner: u32, group: u32, mode: u32) -> bool {
        let bit = match (self.uid == owner, self.gids.contains(&group)) {
            (true, _) => 0o200,
            (false, true) => 0o020,
            (false, false) => 0o002,
        };
        self.uid == ROOT || mode & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_the_nearest_class_count() {
        let user = User::of("Name:\tx\nUid:\t7\t7\t7\t7\nGid:\t8\t8\t8\t8\nGroups:\t9 10\n");
        let user = user.unwrap();
        for (owner, group, mode, may) in [
            (7, 1, 0o40_755, true),
            (7, 1, 0o40_577, false),
            (1, 8, 0o40_775, true),
            (1, 10, 0o40_775, true),
            (1, 10, 0o40_757, false),
            (1, 1, 0o40_777, true),
            (1, 1, 0o40_755, false),
        ] {
            assert_eq!(user.has_write_bit(owner, group, mode), may, "{mode:o}");
        }
        let root = User::of("Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\n").unwrap();
        assert!(root.has_write_bit(1, 1, 0o40_000));
        assert!(User::of("").is_none());
    }
}
