//! Figures of HTTP/2 towards clients: connections that were cut, and why; streams that were given up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::exposition::Family;

const WHYS: usize = Http2Cut::ALL.len();

/// Events of cut connections come no more often: who cuts itself off in a storm is only counted.
const TELL_EVERY_MS: u64 = 1000;

/// Why a connection was cut: the label of its counter, and a word for the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http2Cut {
    /// It took requests back (CVE-2023-44487).
    Resets,
    /// It had us reset streams (CVE-2025-8671).
    ProvokedResets,
    /// Too many SETTINGS (CVE-2019-9515).
    Settings,
    /// Too many PINGs (CVE-2019-9512).
    Pings,
    /// Too many PRIORITY or PRIORITY_UPDATE frames (CVE-2019-9513).
    Priorities,
    /// Too many WINDOW_UPDATEs.
    WindowUpdates,
    /// Too many empty DATA frames (CVE-2019-9518).
    EmptyData,
    /// Too many DATA frames that are nearly all padding.
    Padding,
    /// Too many frames of types that nobody knows.
    Unknown,
    /// Too many GOAWAYs.
    GoAways,
    /// Too many CONTINUATIONs of one head (CVE-2024-27316).
    Continuations,
    /// A head that is too long by far.
    HeaderList,
    /// Its SETTINGS did not come in time, or it did not acknowledge ours.
    SettingsTimeout,
    /// A head, or another frame, did not come to its end in time.
    HeaderTimeout,
    /// It took no byte for too long.
    SendTimeout,
    /// It answered no PING amidst a request.
    PingTimeout,
}

/// All that is told of HTTP/2.
#[derive(Debug, Default)]
pub struct Http2 {
    cut: [AtomicU64; WHYS],
    stalled: AtomicU64,
    told_at_ms: AtomicU64,
}

// === impl Http2Cut ===

impl Http2Cut {
    /// Each of them, in order.
    pub const ALL: [Self; 16] = [
        Self::Resets,
        Self::ProvokedResets,
        Self::Settings,
        Self::Pings,
        Self::Priorities,
        Self::WindowUpdates,
        Self::EmptyData,
        Self::Padding,
        Self::Unknown,
        Self::GoAways,
        Self::Continuations,
        Self::HeaderList,
        Self::SettingsTimeout,
        Self::HeaderTimeout,
        Self::SendTimeout,
        Self::PingTimeout,
    ];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resets => "resets",
            Self::ProvokedResets => "provoked-resets",
            Self::Settings => "settings",
            Self::Pings => "pings",
            Self::Priorities => "priorities",
            Self::WindowUpdates => "window-updates",
            Self::EmptyData => "empty-data",
            Self::Padding => "padding",
            Self::Unknown => "unknown",
            Self::GoAways => "goaways",
            Self::Continuations => "continuations",
            Self::HeaderList => "header-list",
            Self::SettingsTimeout => "settings-timeout",
            Self::HeaderTimeout => "header-timeout",
            Self::SendTimeout => "send-timeout",
            Self::PingTimeout => "ping-timeout",
        }
    }
}

// === impl Http2 ===

impl Http2 {
    /// Counts a connection that was cut, with the time since the process's start. Whether it is time
    /// to tell of one.
    #[must_use]
    pub fn cut(&self, why: Http2Cut, uptime: Duration) -> bool {
        self.cut[why as usize].fetch_add(1, Relaxed);
        let now_ms = u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX).max(1);
        let told_ms = self.told_at_ms.load(Relaxed);
        let is_due = told_ms == 0 || now_ms.saturating_sub(told_ms) >= TELL_EVERY_MS;
        let told_at = &self.told_at_ms;
        is_due
            && told_at
                .compare_exchange(told_ms, now_ms, Relaxed, Relaxed)
                .is_ok()
    }

    /// Counts a response that was given up, for its client made no room for it.
    pub fn stalled(&self) {
        self.stalled.fetch_add(1, Relaxed);
    }

    /// All figures, for a scrape.
    pub fn families(&self) -> Vec<Family> {
        let cut = Family::counter("copal_http2_cut", "HTTP/2 connections that were cut.");
        let cut = Http2Cut::ALL
            .iter()
            .zip(&self.cut)
            .fold(cut, |family, (why, count)| {
                let labels = vec![("why", why.as_str().to_owned())];
                family.labelled(labels, count.load(Relaxed) as f64)
            });
        let stalled = Family::counter(
            "copal_http2_stalled",
            "HTTP/2 responses given up, since their client made no room for them.",
        );
        vec![cut, stalled.value(self.stalled.load(Relaxed) as f64)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_and_one_is_told_of() {
        let http2 = Http2::default();
        let at = Duration::from_millis;
        assert!(http2.cut(Http2Cut::Pings, at(0)));
        assert!(!http2.cut(Http2Cut::Pings, at(999)));
        assert!(http2.cut(Http2Cut::Resets, at(1001)));
        let count = |why| http2.cut[why as usize].load(Relaxed);
        assert_eq!((count(Http2Cut::Pings), count(Http2Cut::Resets)), (2, 1));
    }

    #[test]
    fn every_cut_is_in_the_docs() {
        let docs = include_str!("../../docs/config.md");
        for why in Http2Cut::ALL {
            assert!(docs.contains(&format!("`{}`", why.as_str())), "{why:?}");
        }
    }
}
