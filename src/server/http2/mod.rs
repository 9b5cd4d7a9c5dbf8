//! HTTP/2 towards clients (RFC 9113), on the h2 crate: one task drives a connection with all its streams.
//!
//! h2 knows frames, fields and windows. What it leaves open is here: how much a connection may have
//! unsent and in which order it goes out, deadlines, budgets of what only costs, and the way into the
//! pipeline. The door to h2's server.

mod bell;
mod budget;
mod connection;
mod frames;
mod io;
mod ledger;
mod outflow;
mod piece;
mod request;
mod stream;
mod trailers;
mod turns;
mod upload;

use std::sync::Arc;

use bytes::Bytes;
use h2::Reason;
use h2::server::Builder;
use parking_lot::Mutex;
use tokio::time::timeout;
use tracing::info;

use self::connection::{Connection, End};
use self::io::{Io, Returned};
use self::ledger::Ledger;
use super::Service;
use super::answers::Answers;
use super::linger;
use super::socket::{LAST_WORD, Socket};
use crate::clock;
use crate::config;
use crate::pipeline::Client;
use crate::telemetry::Http2Cut;

/// Streams that we reset for what their client did, in all the time of a connection.
const PROVOKED_RESETS_MAX: usize = 1000;
/// Requests that were taken back before they were looked at.
const EARLY_RESETS_MAX: usize = 100;
/// h2's own bound on small DATA frames that nobody has read. Here they are read as they come, so that
/// it is never met: far more than can come at once.
const DATA_BUDGET: usize = 8 * 1024 * 1024;

/// Drives an HTTP/2 connection until it ends. `first` has been read of it already.
pub(super) async fn drive(socket: Socket, first: Bytes, client: Client, service: Arc<Service>) {
    let site = service.shared.current.handle();
    let answers = Arc::new(Answers::new(service, client, site));
    // Boxed, and gone afterwards: an idle connection carries nothing along of how it began.
    let set_up = Box::pin(set_up(socket, first, Arc::clone(&answers)));
    let Some((mut connection, returned)) = set_up.await else {
        return;
    };
    let end = connection.run().await;
    let is_told = part(&mut connection, end, &answers).await;
    drop(connection);
    if let (true, Some(socket)) = (is_told, returned.take()) {
        Box::pin(linger::hear_out(socket, &answers.service)).await;
    }
}

/// Reads the preface; `None` if it does not come, or is none.
async fn set_up(
    socket: Socket,
    first: Bytes,
    answers: Arc<Answers>,
) -> Option<(Box<Connection>, Returned)> {
    let site = answers.site();
    let config = &site.server().http2;
    let ledger = Ledger::new(config.abuse_tolerance, clock::instant());
    let ledger = Arc::new(Mutex::new(ledger));
    let io = Io::new(socket, first, Arc::clone(&ledger));
    let returned = io.returned();
    let handshake = builder(config).handshake(io);
    let h2 = timeout(site.server().header_timeout, handshake).await;
    let h2 = h2.ok()?.ok()?;
    let connection = Connection::new(h2, answers, ledger, config);
    Some((Box::new(connection), returned))
}

/// What h2 is told of a connection.
fn builder(config: &config::Http2) -> Builder {
    let tolerance = config.abuse_tolerance as usize;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(config.streams_max)
        .initial_window_size(config.stream_window)
        .initial_connection_window_size(config.connection_window)
        .header_table_size(config.header_table_bytes)
        .max_header_list_size(config.header_list_bytes_max)
        .max_send_buffer_size(config.unsent_bytes_max)
        .max_local_error_reset_streams(Some(PROVOKED_RESETS_MAX.saturating_mul(tolerance)))
        .max_pending_accept_reset_streams(EARLY_RESETS_MAX)
        .data_frame_budget(DATA_BUDGET);
    builder
}

/// Says the last of a connection that ends. Whether the client has been told that something is wrong,
/// and may still be talking.
async fn part(connection: &mut Connection, end: End, answers: &Answers) -> bool {
    let reason = match end {
        End::Closed | End::Drained => return false,
        End::Failed(why) => {
            why.into_iter().for_each(|why| tell(why, answers));
            return true;
        }
        End::Idle => None,
        End::Malformed => Some(Reason::PROTOCOL_ERROR),
        End::Cut(why) => {
            tell(why, answers);
            match why {
                // Who takes no byte takes no word.
                Http2Cut::SendTimeout => return false,
                Http2Cut::SettingsTimeout => Some(Reason::SETTINGS_TIMEOUT),
                _ => Some(Reason::ENHANCE_YOUR_CALM),
            }
        }
    };
    let _ = timeout(LAST_WORD, connection.part(reason)).await;
    reason.is_some()
}

fn tell(why: Http2Cut, answers: &Answers) {
    let (http2, why_told) = (&answers.service.shared.telemetry.http2, why.as_str());
    if http2.cut(why, clock::uptime()) {
        let client = answers.client.address.ip();
        info!(%client, why = why_told, "an HTTP/2 connection was cut");
    }
}

/// Which of its own bounds h2 has seen broken. It tells them apart by nothing but the words that it has
/// for the client.
fn why_cut(error: &h2::Error, last_words: &[u8]) -> Option<Http2Cut> {
    if error.reason() != Some(Reason::ENHANCE_YOUR_CALM) || !error.is_library() {
        return None;
    }
    let words = String::from_utf8_lossy(last_words);
    let kinds = [
        ("too_many_resets", Http2Cut::Resets),
        ("too_many_internal_resets", Http2Cut::ProvokedResets),
        ("too_many_data_frames", Http2Cut::EmptyData),
        ("too_many_continuations", Http2Cut::Continuations),
        ("header_list_way_too_large", Http2Cut::HeaderList),
    ];
    let kind = kinds.iter().find(|(word, _)| words.contains(word));
    kind.map(|(_, why)| *why)
}
