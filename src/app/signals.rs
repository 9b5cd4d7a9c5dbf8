//! Signals of the process as events: what the operator wants, and what is not to end us by accident.
//!
//! Whoever comes from nginx or its log rotation sends SIGUSR1, SIGQUIT and SIGUSR2; by default these,
//! and more of their like, kill a process at once. SIGPIPE is ignored by Rust's own runtime.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that nobody sends on purpose and that kill by default.
const STRAY: [(Number, &str); 6] = [
    (Number::ALARM, "SIGALRM"),
    (Number::VTALARM, "SIGVTALRM"),
    (Number::PROF, "SIGPROF"),
    (Number::XCPU, "SIGXCPU"),
    // A log that has grown as long as it may is an error of its own, and no reason to end.
    (Number::XFSZ, "SIGXFSZ"),
    (Number::IO, "SIGIO"),
];
#[cfg(target_os = "linux")]
const STRAY_ON_LINUX: [(Number, &str); 2] =
    [(Number::STKFLT, "SIGSTKFLT"), (Number::POWER, "SIGPWR")];
#[cfg(not(target_os = "linux"))]
const STRAY_ON_LINUX: [(Number, &str); 0] = [];

/// What the operator wants of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Read the configuration again.
    Reload,
    /// Open the logs again.
    Reopen,
    /// Answer what has been accepted, and end; the second time: end.
    Shutdown,
    /// Hand over to another binary, which we cannot as yet.
    Upgrade,
    /// Nothing: a signal of this name has come.
    Nothing(&'static str),
}

/// The process's signals.
pub(super) struct Signals(Vec<(Signal, Event)>);

// === impl Signals ===

impl Signals {
    pub(super) fn watch() -> io::Result<Self> {
        let wanted = [
            (SignalKind::hangup(), Event::Reload),
            (SignalKind::user_defined1(), Event::Reopen),
            (SignalKind::terminate(), Event::Shutdown),
            (SignalKind::interrupt(), Event::Shutdown),
            (SignalKind::quit(), Event::Shutdown),
            (SignalKind::user_defined2(), Event::Upgrade),
        ];
        let stray = STRAY.iter().chain(&STRAY_ON_LINUX).map(|(number, name)| {
            let kind = SignalKind::from_raw(number.as_raw());
            (kind, Event::Nothing(name))
        });
        let watched = wanted.into_iter().chain(stray);
        let watched = watched.map(|(kind, event)| Ok((signal(kind)?, event)));
        watched.collect::<io::Result<_>>().map(Self)
    }

    pub(super) async fn next(&mut self) -> Event {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        for (signal, event) in &mut self.0 {
            if signal.poll_recv(cx).is_ready() {
                return Poll::Ready(*event);
            }
        }
        Poll::Pending
    }
}
