//! State and timeouts of a connection: what it is doing, and whether it has done it for too long.
//!
//! The socket's wrapper and the service note facts; the connection's driver looks at them when
//! its alarm rings. So all timeouts of a connection together cost one timer that is seldom set,
//! and a request on the hot path costs none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::framing::Ambiguity;
use crate::clock;
use crate::config;
use crate::telemetry::Ending;

/// An idle connection gives its buffers back after this time.
const PARK_AFTER: Duration = Duration::from_secs(1);
/// While draining, a client gets this long to send one more request, which is answered with
/// `Connection: close`. Closing at once would cut the request that is already on its way.
pub(super) const DRAIN_LINGER: Duration = Duration::from_millis(500);

/// How long a connection may do what.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionTimeouts {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) send: Duration,
    /// How many bytes a second a client must take of what waits for it; zero for any number.
    pub(super) send_rate_min: u64,
    /// Over how long that is measured.
    pub(super) rate_window: Duration,
}

/// Facts about one connection. That it is idle is noted when it is first seen to be, so that the
/// end of a request need not read the clock. Times are milliseconds since the process's start, zero for "not".
#[derive(Debug)]
pub(super) struct Watch {
    in_progress: AtomicU32,
    idle_since: AtomicU64,
    head_since: AtomicU64,
    stalled_since: AtomicU64,
    unflushed: AtomicBool,
    /// Bytes that clients have taken.
    sent_bytes: AtomicU64,
    /// Since when the client has had to be waited for whenever it was looked, and what it had taken
    /// before; for the driver alone.
    slow_since: AtomicU64,
    slow_from_bytes: AtomicU64,
    /// Why it must end, once it must.
    ending: Mutex<Option<Ending>>,
    /// hyper has said all and closed its half.
    half_closed: AtomicBool,
    /// Only the end of the connection tells the end of the response under way.
    endless: AtomicBool,
    probe: AtomicBool,
    begun: AtomicU32,
    refused_from: AtomicU32,
    /// Written once, by the wrapper, before `refused_from`.
    refused_why: Mutex<Option<Ambiguity>>,
}

/// One request in progress, from its head to its response's last byte.
#[derive(Debug)]
pub(super) struct InProgress(Arc<Watch>);

/// What the driver should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again after this time.
    GoOn(Duration),
    /// Nothing is happening: give the buffers back.
    Park,
    /// It has taken too long.
    Close,
    /// It is over already.
    Ended,
}

// === impl Watch ===

impl Watch {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            in_progress: AtomicU32::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            stalled_since: AtomicU64::new(0),
            unflushed: AtomicBool::new(false),
            sent_bytes: AtomicU64::new(0),
            slow_since: AtomicU64::new(0),
            slow_from_bytes: AtomicU64::new(0),
            ending: Mutex::default(),
            half_closed: AtomicBool::new(false),
            endless: AtomicBool::new(false),
            probe: AtomicBool::new(false),
            begun: AtomicU32::new(0),
            refused_from: AtomicU32::new(u32::MAX),
            refused_why: Mutex::new(None),
        })
    }

    /// Asks the wrapper to look for an error of the socket.
    pub(super) fn ask_for_probe(&self) {
        self.probe.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to, once.
    pub(super) fn wants_probe(&self) -> bool {
        self.probe.load(Ordering::Relaxed) && self.probe.swap(false, Ordering::Relaxed)
    }

    /// Keeps the connection busy as long as what is returned lives.
    pub(super) fn hold(self: &Arc<Self>) -> InProgress {
        self.in_progress.fetch_add(1, Ordering::Relaxed);
        InProgress(Arc::clone(self))
    }

    /// A request's head is whole. Tells whether the request must be refused instead of served.
    pub(super) fn begin(self: &Arc<Self>) -> (InProgress, Option<Ambiguity>) {
        let number = self.begun.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let refused = number >= self.refused_from.load(Ordering::Acquire);
        let why = refused.then(|| *self.refused_why.lock()).flatten();
        (self.hold(), why)
    }

    /// From the request with this number on, nothing is to be served.
    pub(super) fn refuse(&self, number: u32, why: Ambiguity) {
        *self.refused_why.lock() = Some(why);
        self.refused_from.store(number, Ordering::Release);
    }

    pub(super) fn note_head(&self, under_way: bool) {
        if !under_way {
            self.head_since.store(0, Ordering::Relaxed);
        } else if self.head_since.load(Ordering::Relaxed) == 0 {
            self.head_since.store(millis(), Ordering::Relaxed);
        }
    }

    pub(super) fn note_write(&self, stalled: bool) {
        self.unflushed.store(true, Ordering::Relaxed);
        if !stalled {
            self.stalled_since.store(0, Ordering::Relaxed);
        } else if self.stalled_since.load(Ordering::Relaxed) == 0 {
            self.stalled_since.store(millis(), Ordering::Relaxed);
        }
    }

    /// So many bytes went out. Only one thread at a time writes.
    pub(super) fn note_sent(&self, bytes: u64) {
        let before = self.sent_bytes.load(Ordering::Relaxed);
        let sent = before.wrapping_add(bytes);
        self.sent_bytes.store(sent, Ordering::Relaxed);
    }

    /// Why the last verdict was that it must end, if it was for something that its client does.
    pub(super) fn take_ending(&self) -> Option<Ending> {
        self.ending.lock().take()
    }

    pub(super) fn note_flush(&self) {
        self.unflushed.store(false, Ordering::Relaxed);
        self.stalled_since.store(0, Ordering::Relaxed);
    }

    /// All has been said, and the connection is shut from our side.
    pub(super) fn note_half_close(&self) {
        self.half_closed.store(true, Ordering::Relaxed);
    }

    /// A response begins; `endless` if no length and no last chunk tells its end.
    pub(super) fn note_response(&self, endless: bool) {
        self.endless.store(endless, Ordering::Relaxed);
    }

    /// Whether all that is to be said has been, so that the client may be heard out.
    pub(super) fn has_parted(&self) -> bool {
        self.half_closed.load(Ordering::Relaxed) || self.is_refused()
    }

    /// Whether an end of the connection at this moment would pass for that of the response, although
    /// it is not whole.
    pub(super) fn would_feign_an_end(&self) -> bool {
        self.endless.load(Ordering::Relaxed) && !self.half_closed.load(Ordering::Relaxed)
    }

    /// Whether all that was written has gone out.
    pub(super) fn is_flushed(&self) -> bool {
        !self.unflushed.load(Ordering::Relaxed)
    }

    /// Whether the answer is out, and nothing keeps the connection busy but what is left of the
    /// request.
    pub(super) fn is_answered(&self) -> bool {
        self.in_progress.load(Ordering::Relaxed) <= 1 && !self.unflushed.load(Ordering::Relaxed)
    }

    fn is_refused(&self) -> bool {
        self.refused_from.load(Ordering::Relaxed) != u32::MAX
    }

    /// Whether one request has been answered to its end and the next has not begun.
    pub(super) fn is_between_requests(&self) -> bool {
        self.in_progress.load(Ordering::Relaxed) == 0
            && !self.unflushed.load(Ordering::Relaxed)
            && self.head_since.load(Ordering::Relaxed) == 0
            && !self.is_refused()
    }

    /// Judges the connection at this moment.
    pub(super) fn verdict(&self, timeouts: &ConnectionTimeouts, draining: bool) -> Verdict {
        let now = millis();
        let since = |time: &AtomicU64| match time.load(Ordering::Relaxed) {
            0 => None,
            at => Some(Duration::from_millis(now.saturating_sub(at))),
        };
        let look = timeouts.shortest();
        if let Some(stalled) = since(&self.stalled_since) {
            if self.is_too_slow(timeouts, now) {
                return self.end(Ending::SendRate);
            }
            let verdict = go_on_until(timeouts.send, stalled).at_most(look);
            return self.or_end(verdict, Ending::Send);
        }
        self.slow_since.store(0, Ordering::Relaxed);
        if self.in_progress.load(Ordering::Relaxed) > 0 || self.unflushed.load(Ordering::Relaxed) {
            return Verdict::GoOn(look);
        }
        // hyper reads no head while it answers another, so this time counts only now.
        if let Some(reading) = since(&self.head_since) {
            let verdict = go_on_until(timeouts.header, reading).at_most(look);
            return self.or_end(verdict, Ending::Header);
        }
        if self.is_refused() {
            return Verdict::Close;
        }
        self.verdict_idle(timeouts, draining, now)
    }

    /// Whether a client that has been waited for at each look has taken too little of its response in
    /// all that time. Kernels make room in large steps, so nothing is said of a time in which there was
    /// none: that is for the stall.
    fn is_too_slow(&self, timeouts: &ConnectionTimeouts, now: u64) -> bool {
        let sent = self.sent_bytes.load(Ordering::Relaxed);
        let since = self.slow_since.load(Ordering::Relaxed);
        let taken = sent.wrapping_sub(self.slow_from_bytes.load(Ordering::Relaxed));
        let waited = Duration::from_millis(now.saturating_sub(since));
        if since != 0 && (waited < timeouts.rate_window || taken == 0) {
            return false;
        }
        self.slow_since.store(now, Ordering::Relaxed);
        self.slow_from_bytes.store(sent, Ordering::Relaxed);
        let wanted = u128::from(timeouts.send_rate_min) * waited.as_millis() / 1000;
        since != 0 && u128::from(taken) < wanted
    }

    fn or_end(&self, verdict: Verdict, ending: Ending) -> Verdict {
        match verdict {
            Verdict::Close => self.end(ending),
            verdict => verdict,
        }
    }

    fn end(&self, ending: Ending) -> Verdict {
        *self.ending.lock() = Some(ending);
        Verdict::Close
    }

    fn verdict_idle(&self, timeouts: &ConnectionTimeouts, draining: bool, now: u64) -> Verdict {
        let since = &self.idle_since;
        let first_seen = since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        let passed = Duration::from_millis(now.saturating_sub(first_seen.err().unwrap_or(now)));
        if draining {
            return go_on_until(DRAIN_LINGER, passed);
        }
        match go_on_until(timeouts.idle, passed) {
            Verdict::GoOn(_) if passed >= PARK_AFTER => Verdict::Park,
            verdict => verdict.at_most(PARK_AFTER),
        }
    }
}

fn go_on_until(limit: Duration, passed: Duration) -> Verdict {
    match limit.checked_sub(passed) {
        None | Some(Duration::ZERO) => Verdict::Close,
        Some(left) => Verdict::GoOn(left),
    }
}

/// Milliseconds since the process's start; never zero, which means "not".
fn millis() -> u64 {
    u64::try_from(clock::uptime().as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

// === impl ConnectionTimeouts ===

impl ConnectionTimeouts {
    pub(super) fn new(config: &config::Server) -> Self {
        Self {
            header: config.header_timeout,
            idle: config.idle_timeout,
            send: config.send_timeout,
            send_rate_min: config.send_rate_min,
            rate_window: config.rate_window,
        }
    }

    /// How often a busy connection is looked at: often enough for the shortest limit.
    pub(super) fn shortest(&self) -> Duration {
        let shortest = self.header.min(self.idle).min(self.send).min(PARK_AFTER);
        shortest.max(Duration::from_millis(10))
    }

    /// How long a connection that is already parked may stay so.
    pub(super) fn parked(&self, draining: bool) -> Duration {
        if draining {
            DRAIN_LINGER
        } else {
            self.idle.saturating_sub(PARK_AFTER)
        }
    }
}

// === impl Verdict ===

impl Verdict {
    /// Looks again after `time` at the latest, since by then all may be different.
    fn at_most(self, time: Duration) -> Self {
        match self {
            Self::GoOn(left) => Self::GoOn(left.min(time)),
            verdict => verdict,
        }
    }
}

// === impl InProgress ===

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.idle_since.store(0, Ordering::Relaxed);
        if self.0.head_since.load(Ordering::Relaxed) != 0 {
            // The head that came behind this request is read from now on.
            self.0.head_since.store(millis(), Ordering::Relaxed);
        }
        self.0.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: ConnectionTimeouts = ConnectionTimeouts {
        header: Duration::from_secs(2),
        idle: Duration::from_secs(60),
        send: Duration::from_secs(3),
        send_rate_min: 100,
        rate_window: Duration::from_secs(10),
    };

    /// Begins a second late: the process may have started a moment after the clock of this test was
    /// stopped, by another test.
    async fn a_watch() -> Arc<Watch> {
        tokio::time::advance(Duration::from_secs(1)).await;
        Watch::new()
    }

    async fn after(watch: &Watch, secs: u64) -> Verdict {
        tokio::time::advance(Duration::from_secs(secs)).await;
        watch.verdict(&TIMEOUTS, false)
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_parked() {
        let watch = a_watch().await;
        assert_eq!(after(&watch, 0).await, Verdict::GoOn(PARK_AFTER));
        assert_eq!(after(&watch, 1).await, Verdict::Park);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_never_ends_is_cut() {
        let watch = a_watch().await;
        watch.note_head(true);
        assert!(matches!(after(&watch, 1).await, Verdict::GoOn(_)));
        watch.note_head(true);
        assert_eq!(after(&watch, 1).await, Verdict::Close);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut() {
        let watch = a_watch().await;
        let (_request, _) = watch.begin();
        watch.note_write(true);
        assert_eq!(after(&watch, 3).await, Verdict::Close);
        watch.note_write(false);
        assert!(matches!(after(&watch, 3).await, Verdict::GoOn(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_too_little_is_cut_and_one_that_takes_enough_is_not() {
        for (bytes, is_enough) in [(200, true), (199, false)] {
            let watch = a_watch().await;
            let (_request, _) = watch.begin();
            let mut verdict = Verdict::GoOn(Duration::ZERO);
            for _ in 0..20 {
                // It takes some each two seconds, and is waited for again at once.
                watch.note_write(false);
                watch.note_write(true);
                watch.note_sent(bytes);
                verdict = after(&watch, 2).await;
                if verdict == Verdict::Close {
                    break;
                }
            }
            assert_eq!(verdict != Verdict::Close, is_enough, "{bytes}");
            let ending = (!is_enough).then_some(Ending::SendRate);
            assert_eq!(watch.take_ending(), ending);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_progress_may_take_its_time() {
        let watch = a_watch().await;
        let (request, refused) = watch.begin();
        assert_eq!(refused, None);
        assert!(matches!(after(&watch, 3600).await, Verdict::GoOn(_)));
        drop(request);
        assert!(matches!(after(&watch, 60).await, Verdict::GoOn(_)));
        assert_eq!(after(&watch, 60).await, Verdict::Close);
    }

    #[test]
    fn requests_are_refused_from_a_number_on() {
        let watch = Watch::new();
        watch.refuse(2, Ambiguity::TwoFramings);
        assert_eq!(watch.begin().1, None);
        assert_eq!(watch.begin().1, Some(Ambiguity::TwoFramings));
    }
}
