//! The only reader of the clock: wall time that never jumps, and instants for timeouts.
//!
//! Wall time is the system's at the first call plus the monotonic time since. An administrator who
//! sets the clock back an hour therefore makes no object an hour younger, and under test both
//! follow tokio's paused time. It is not a scheduler: whoever wants to be woken sleeps on tokio.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

pub use tokio::time::Instant;

/// The wall time and the instant that were one and the same moment.
static START: OnceLock<(SystemTime, Instant)> = OnceLock::new();

/// Wall time for freshness, `Date` and the log.
pub fn now() -> SystemTime {
    wall(instant())
}

/// Monotonic time for latencies and deadlines.
pub fn instant() -> Instant {
    Instant::now()
}

/// The wall time at `instant`, so that one reading of the clock serves both.
pub fn wall(instant: Instant) -> SystemTime {
    let (wall, start) = start();
    wall + instant.saturating_duration_since(start)
}

/// How long this process has been running.
pub fn uptime() -> Duration {
    since_start(instant())
}

/// The time from the process's start to `instant`: small enough to keep in an atomic.
pub fn since_start(instant: Instant) -> Duration {
    instant.saturating_duration_since(start().1)
}

fn start() -> (SystemTime, Instant) {
    *START.get_or_init(|| (SystemTime::now(), Instant::now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn wall_time_follows_the_monotonic_clock() {
        let before = now();
        tokio::time::advance(Duration::from_secs(3600)).await;
        let passed = now().duration_since(before).unwrap();
        assert!(passed >= Duration::from_secs(3600) && passed < Duration::from_secs(3605));
    }
}
