//! Heads of requests that hyper refuses by itself: what the access log says of them.
//!
//! hyper has answered already, and closes the connection. It tells what was wrong by the kind of its
//! error, and what it could not read is still in its buffer.

use std::net::IpAddr;

use crate::clock;
use crate::telemetry::{Outcome, Record};

/// Of a head that is no HTTP only so much is looked at for its first line.
const LINE_BYTES_MAX: usize = 1024;

/// Why a head was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is no HTTP.
    Malformed,
    /// It is longer than `header_bytes_max`, or has too many fields.
    HeadTooLong,
    /// Its target is longer than hyper takes.
    TargetTooLong,
}

// === impl Unread ===

impl Unread {
    /// What hyper's error stands for; `None` where it is about something else than a head.
    pub(super) fn of(error: &hyper::Error) -> Option<Self> {
        // hyper tells the two that are too long apart by nothing but their words.
        let is_about_target = || error.to_string().contains("URI");
        match (error.is_parse_too_large(), error.is_parse()) {
            (true, _) if is_about_target() => Some(Self::TargetTooLong),
            (true, _) => Some(Self::HeadTooLong),
            (false, true) => Some(Self::Malformed),
            (false, false) => None,
        }
    }

    /// What hyper has answered.
    fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::HeadTooLong => 431,
            Self::TargetTooLong => 414,
        }
    }

    /// The words that Copal's own refusals have for it, where there are some.
    fn detail(self) -> &'static str {
        match self {
            Self::Malformed => "unparsable",
            Self::HeadTooLong => "head-too-long",
            Self::TargetTooLong => "target-too-long",
        }
    }

    /// The line of the log for it; `read` is what hyper had of the head.
    pub(super) fn record(self, client: IpAddr, read: &[u8]) -> Record {
        let line = read.split(|byte| matches!(byte, b'\r' | b'\n')).next();
        let line = line.unwrap_or_default();
        Record {
            outcome: Outcome::Synth,
            status: self.status(),
            detail: Some(self.detail()),
            complete: true,
            unread: Some(line[..line.len().min(LINE_BYTES_MAX)].into()),
            ..Record::new(client, clock::now())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_shown_as_far_as_it_goes() {
        let long = [b'a'; 2 * LINE_BYTES_MAX];
        let rows: [(&[u8], &[u8]); 5] = [
            (b"GET /a b HTTP/1.1\r\nHost: x\r\n", b"GET /a b HTTP/1.1"),
            (b"\x16\x03\x01", b"\x16\x03\x01"),
            (b"\n", b""),
            (b"", b""),
            (&long, &long[..LINE_BYTES_MAX]),
        ];
        for (read, line) in rows {
            let record = Unread::Malformed.record([192, 0, 2, 1].into(), read);
            assert_eq!(record.unread.as_deref(), Some(line), "{read:?}");
            assert_eq!((record.status, record.detail), (400, Some("unparsable")));
        }
    }
}
