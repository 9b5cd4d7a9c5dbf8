//! `[server.http2]`: what one HTTP/2 connection of a client may hold and do.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::report::{Given, Report};
use super::units::{self, Count, Size};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const STREAMS: RangeInclusive<usize> = 1..=1000;
const STREAM_WINDOW: RangeInclusive<u64> = 16 * KIB..=16 * MIB;
/// It begins with one byte less (RFC 9113 §6.9.2) and never shrinks.
const CONNECTION_WINDOW: RangeInclusive<u64> = 64 * KIB..=256 * MIB;
const HEADER_TABLE: RangeInclusive<u64> = 0..=64 * KIB;
const HEADER_LIST: RangeInclusive<u64> = 8 * KIB..=2 * MIB;
const UNSENT: RangeInclusive<u64> = 16 * KIB..=16 * MIB;
const TOLERANCE: RangeInclusive<usize> = 1..=1000;
/// What RFC 9113 §10.5.1 adds for each field to its size.
const FIELD_OVERHEAD_BYTES: u64 = 32;

/// How HTTP/2 is spoken to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http2 {
    /// Requests at once on one connection (RFC 9113 §5.1.2).
    pub streams_max: u32,
    /// Bytes of one request body that a client may send ahead (RFC 9113 §6.9).
    pub stream_window: u32,
    /// The same for all requests of a connection.
    pub connection_window: u32,
    /// Bytes of the table by which clients compress fields (RFC 7541 §4.2).
    pub header_table_bytes: u32,
    /// A longer list of fields is refused (RFC 9113 §10.5.1).
    pub header_list_bytes_max: u32,
    /// Bytes of responses that a connection may hold for its client to take.
    pub unsent_bytes_max: usize,
    /// How many times as much is borne of what only costs us, before a connection is cut.
    pub abuse_tolerance: u32,
}

/// `[server.http2]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHttp2 {
    streams_max: Given<Count>,
    stream_window: Given<Size>,
    connection_window: Given<Size>,
    header_table: Given<Size>,
    header_list_bytes_max: Given<Size>,
    unsent_bytes_max: Given<Size>,
    abuse_tolerance: Given<Count>,
}

// === impl RawHttp2 ===

impl RawHttp2 {
    /// A head that is taken over HTTP/1 is taken here too, unless something else is said: it has up to
    /// `bytes` and so many `fields`.
    pub(super) fn resolve(&self, bytes: usize, fields: usize, report: &mut Report) -> Http2 {
        let list = bytes as u64 + FIELD_OVERHEAD_BYTES * fields as u64;
        let mut size = |given, default, limits| units::bytes(given, default, limits, report);
        let http2 = Http2 {
            stream_window: small(size(&self.stream_window, 256 * KIB, STREAM_WINDOW)),
            connection_window: small(size(&self.connection_window, MIB, CONNECTION_WINDOW)),
            header_table_bytes: small(size(&self.header_table, 4 * KIB, HEADER_TABLE)),
            header_list_bytes_max: small(size(&self.header_list_bytes_max, list, HEADER_LIST)),
            unsent_bytes_max: size(&self.unsent_bytes_max, 256 * KIB, UNSENT) as usize,
            streams_max: small(units::count(&self.streams_max, 100, STREAMS, report) as u64),
            abuse_tolerance: small(units::count(&self.abuse_tolerance, 1, TOLERANCE, report) as u64),
        };
        self.check_windows(&http2, report);
        http2
    }

    fn check_windows(&self, http2: &Http2, report: &mut Report) {
        if http2.stream_window <= http2.connection_window {
            return;
        }
        let place = self
            .stream_window
            .as_ref()
            .or(self.connection_window.as_ref());
        if let Some(given) = place {
            let text = "leaves `stream_window` larger than `connection_window`, which is never filled; \
                        change one of the two";
            report.at(given.span(), text);
        }
    }
}

/// The limits are far below the end.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
