//! Verdict on one server: whether it may be asked, and why not.
//!
//! Values only; it is given in `standing.rs`.

use std::fmt;
use std::time::Duration;

use super::advice::Downed;

/// All of the weight, in per cent.
pub(super) const WHOLE: u32 = 100;

/// How a server stands at this moment, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be asked, with so many per cent of its weight: fewer than 100 in a slow start.
    Usable(u32),
    /// It was told to drain.
    Draining,
    /// It was told to take nothing.
    InMaintenance,
    /// Its probes fail, the last like this.
    Down(Fault),
    /// Its agent says that it does not serve.
    DownByAgent(Downed),
    /// It failed its clients, and is left alone for so long.
    Ejected(Duration),
}

/// What was wrong with a server when it was probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It did not accept the connection.
    Refused,
    /// TLS with it failed.
    Tls,
    /// It did not answer in time.
    Slow,
    /// It broke off, or what it sent is not the protocol.
    Broken,
    /// It answered with this status.
    Status(u16),
    /// The body lacks the text.
    Text,
    /// By its own account it does not serve.
    NotServing,
}

// === impl Verdict ===

impl Verdict {
    /// Whether it may be asked.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Usable(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usable(WHOLE) => f.write_str("usable"),
            Self::Usable(percent) => write!(f, "slow start, {percent} % of its weight"),
            Self::Draining => f.write_str("drain"),
            Self::InMaintenance => f.write_str("maintenance"),
            Self::DownByAgent(downed) => write!(f, "down: its agent says {downed}"),
            Self::Down(fault) => write!(f, "down: {fault}"),
            Self::Ejected(left) => write!(f, "ejected for another {} s", left.as_secs()),
        }
    }
}

// === impl Fault ===

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("it accepts no connection"),
            Self::Tls => f.write_str("TLS with it fails"),
            Self::Slow => f.write_str("it does not answer in time"),
            Self::Broken => f.write_str("it breaks off"),
            Self::Status(status) => write!(f, "it answers with status {status}"),
            Self::Text => f.write_str("its answer lacks the text"),
            Self::NotServing => f.write_str("it says that it does not serve"),
        }
    }
}
