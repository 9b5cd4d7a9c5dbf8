//! Memory that the machine has, and that the cgroup of this process allows.
//!
//! Read from /proc and /sys, where there are such; elsewhere nothing is known and nothing noted.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Files of the kernel about one number are short.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// A cgroup lies this deep at the most.
const DEPTH_MAX: usize = 64;

/// What there is to run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Machine {
    /// All of its memory, in bytes.
    pub(in crate::config) memory_bytes: Option<u64>,
    /// What the cgroup of this process, or one around it, allows, in bytes.
    pub(in crate::config) limit_bytes: Option<u64>,
}

// === impl Machine ===

impl Machine {
    /// The machine that this process runs on.
    pub(in crate::config) fn here() -> Self {
        let root = Path::new("/");
        Self {
            memory_bytes: read(&root.join("proc/meminfo")).and_then(|it| total(&it)),
            limit_bytes: limit(root),
        }
    }

    /// The tighter of the two, with the words for it.
    pub(super) fn least(&self) -> Option<(u64, &'static str)> {
        let memory = self.memory_bytes.map(|it| (it, "this machine has"));
        let limit = self
            .limit_bytes
            .map(|it| (it, "the cgroup of this process allows"));
        limit.into_iter().chain(memory).min_by_key(|it| it.0)
    }
}

/// `MemTotal` of /proc/meminfo, which counts in units of 1024 bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|it| it.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

/// The least limit of the cgroups that this process is in, of version 2 and of version 1.
fn limit(root: &Path) -> Option<u64> {
    let groups = read(&root.join("proc/self/cgroup"))?;
    let mounted = root.join("sys/fs/cgroup");
    let limits = groups.lines().filter_map(|line| {
        // `hierarchy-ID:controller-list:cgroup-path`, cgroups(7).
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        match controllers {
            "" => least_upwards(&mounted, path, "memory.max"),
            it if it.split(',').any(|it| it == "memory") => {
                least_upwards(&mounted.join("memory"), path, "memory.limit_in_bytes")
            }
            _ => None,
        }
    });
    limits.min()
}

/// The least number in the files of this name from the group at `path` up to the root. In a container
/// the path may be that of the host, which is not seen here; then the root is the container's own.
fn least_upwards(mounted: &Path, path: &str, name: &str) -> Option<u64> {
    let inner = Path::new(path.trim_start_matches('/'));
    let groups = inner.ancestors().take(DEPTH_MAX).map(|it| mounted.join(it));
    let is_below = |it: &PathBuf| !it.components().any(|part| part.as_os_str() == "..");
    let limits = groups
        .filter(is_below)
        .filter_map(|it| read(&it.join(name)));
    // "max" is no number, and so no limit.
    limits.filter_map(|it| it.trim().parse().ok()).min()
}

/// The text of a file of the kernel's.
pub(super) fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("copal-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn limits_of_both_versions_are_read_up_to_the_root() {
        let two = Folder::new("cgroup2");
        two.write("proc/self/cgroup", "0::/a/b\n");
        two.write("sys/fs/cgroup/a/memory.max", "2048\n");
        two.write("sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(limit(&two.0), Some(2048));
        two.write("sys/fs/cgroup/a/b/memory.max", "1024\n");
        assert_eq!(limit(&two.0), Some(1024));
        let one = Folder::new("cgroup1");
        one.write(
            "proc/self/cgroup",
            "5:cpu:/x\n4:memory,hugetlb:/docker/gone\n",
        );
        one.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "4096\n");
        assert_eq!(limit(&one.0), Some(4096));
        let none = Folder::new("cgroup0");
        assert_eq!(limit(&none.0), None);
    }

    #[test]
    fn the_total_of_meminfo() {
        let text = "MemTotal:       16384 kB\nMemFree: 1 kB\n";
        assert_eq!(total(text), Some(16 << 20));
        assert_eq!(total("MemFree: 1 kB"), None);
        assert_eq!(total("MemTotal: many"), None);
    }
}
