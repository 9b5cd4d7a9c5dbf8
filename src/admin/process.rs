//! Figures of the process as the kernel tells them, under the names that Prometheus's own clients use.
//!
//! Read from /proc at each scrape, on a thread that may wait; where there is no /proc there are none.

use std::fs;

use crate::telemetry::Family;

/// The unit of times in /proc/PID/stat. `USER_HZ` is 100 in all that Linux tells user space, whatever
/// its kernel was built with (proc(5), time(7)).
const TICKS_PER_SECOND: f64 = 100.0;

/// What the kernel knows of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    cpu_seconds: f64,
    /// After the machine's start.
    started_seconds: f64,
    threads: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

/// A family for each figure that can be had.
pub(super) fn families() -> Vec<Family> {
    let mut families = Vec::new();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(usage) = Usage::parse(&stat, &status) {
        families.extend(usage.families());
        let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
        if let Some(boot_seconds) = boot_seconds(&boot) {
            let help = "Start time of the process since the epoch in seconds.";
            let started = Family::gauge("process_start_time_seconds", help);
            families.push(started.value(boot_seconds + usage.started_seconds));
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is the one that reads this folder.
        let help = "Open file descriptors.";
        let open = open.count().saturating_sub(1) as f64;
        families.push(Family::gauge("process_open_fds", help).value(open));
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if let Some(max) = open_files_max(&limits) {
        let help = "As many file descriptors as may be open.";
        families.push(Family::gauge("process_max_fds", help).value(max));
    }
    families
}

/// `Max open files  SOFT  HARD  files`, of which the soft one is in force.
fn open_files_max(limits: &str) -> Option<f64> {
    let rest = limits
        .lines()
        .find_map(|it| it.strip_prefix("Max open files"))?;
    match rest.split_ascii_whitespace().next()? {
        "unlimited" => None,
        soft => soft.parse().ok(),
    }
}

/// When the machine was started, in seconds after the epoch.
fn boot_seconds(stat: &str) -> Option<f64> {
    let rest = stat.lines().find_map(|it| it.strip_prefix("btime "))?;
    rest.trim().parse().ok()
}

// === impl Usage ===

impl Usage {
    /// From /proc/PID/stat, and from /proc/PID/status, which unlike it needs no page size.
    fn parse(stat: &str, status: &str) -> Option<Self> {
        // The second field is the name of the program in parentheses, which may hold any of both.
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // proc_pid_stat(5) counts from 1, and two are gone.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let kibibytes = |name: &str| {
            let rest = status.lines().find_map(|it| it.strip_prefix(name))?;
            let number: f64 = rest.split_ascii_whitespace().next()?.parse().ok()?;
            Some(number * 1024.0)
        };
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / TICKS_PER_SECOND,
            threads: field(20)?,
            started_seconds: field(22)? / TICKS_PER_SECOND,
            virtual_bytes: kibibytes("VmSize:")?,
            resident_bytes: kibibytes("VmRSS:")?,
        })
    }

    fn families(&self) -> [Family; 4] {
        let gauge = |name, help, value| Family::gauge(name, help).value(value);
        let help = "User and system time that the process has used, in seconds.";
        [
            Family::counter("process_cpu_seconds", help).value(self.cpu_seconds),
            gauge("process_threads", "Threads of the process.", self.threads),
            gauge(
                "process_virtual_memory_bytes",
                "Virtual memory in bytes.",
                self.virtual_bytes,
            ),
            gauge(
                "process_resident_memory_bytes",
                "Resident memory in bytes.",
                self.resident_bytes,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 7 0 12345 99 5 0";
        let status = "Name:\ta\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t7\n";
        let usage = Usage {
            cpu_seconds: 2.0,
            started_seconds: 123.45,
            threads: 7.0,
            virtual_bytes: 2_097_152.0,
            resident_bytes: 1_048_576.0,
        };
        assert_eq!(Usage::parse(stat, status), Some(usage));
        for (stat, status) in [
            ("", ""),
            (stat, ""),
            ("42 (a", status),
            ("42 (a) S 1", status),
        ] {
            assert_eq!(Usage::parse(stat, status), None, "{stat} {status}");
        }
    }

    #[test]
    fn limits_and_boot_time_are_found() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax processes  1  2  processes\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(open_files_max(limits), Some(1024.0));
        assert_eq!(
            open_files_max("Max open files  unlimited  unlimited  files"),
            None
        );
        assert_eq!(open_files_max(""), None);
        assert_eq!(boot_seconds("cpu 1 2\nbtime 1700000000\n"), Some(1.7e9));
        assert_eq!(boot_seconds("cpu 1 2"), None);
    }
}
