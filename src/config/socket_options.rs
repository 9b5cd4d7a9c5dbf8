//! `backlog`, `tcp_user_timeout` and `notsent_lowat` of a listener: what the kernel is told of its
//! sockets.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::report::{Given, Report};
use super::units::{self, Count, Period, Size};

/// The kernel takes a number of 32 bits, but bounds it by `net.core.somaxconn` anyway.
const BACKLOG: RangeInclusive<usize> = 1..=1 << 20;
const BACKLOG_DEFAULT: u32 = 4096;
/// The kernel counts milliseconds in 31 bits.
const USER_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 86_400);
const NOTSENT_LOWAT: RangeInclusive<u64> = 1..=1 << 30;

/// What the kernel is told of a listener's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Clients that it keeps waiting while none is accepted.
    pub backlog: u32,
    /// How long bytes may be on their way without an acknowledgement (RFC 5482), before it gives a
    /// connection up; `None` for as long as it likes.
    pub user_timeout: Option<Duration>,
    /// How many bytes it holds that it has not sent yet, before it wants no more; `None` for as many
    /// as its buffer takes.
    pub notsent_lowat: Option<u32>,
}

/// What the keys of a listener mean.
pub(super) fn resolve(
    backlog: &Given<Count>,
    user_timeout: &Given<Period>,
    notsent_lowat: &Given<Size>,
    report: &mut Report,
) -> SocketOptions {
    let default = SocketOptions::default();
    let backlog = units::count(backlog, BACKLOG_DEFAULT as usize, BACKLOG, report);
    let lowat = notsent_lowat
        .as_ref()
        .map(|_| units::bytes(notsent_lowat, 1, NOTSENT_LOWAT, report));
    if let Some(time) = user_timeout
        && !(Duration::from_millis(1)..=USER_TIMEOUT_MAX).contains(&time.get_ref().0)
    {
        report.at(time.span(), "is out of limits; write \"1ms\" to \"24d\"");
    }
    SocketOptions {
        backlog: u32::try_from(backlog).unwrap_or(default.backlog),
        user_timeout: units::given_period(user_timeout),
        notsent_lowat: lowat.and_then(|it| u32::try_from(it).ok()),
    }
}

// === impl SocketOptions ===

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            backlog: BACKLOG_DEFAULT,
            user_timeout: None,
            notsent_lowat: None,
        }
    }
}
