//! Ledger of an HTTP/2 connection: what its socket's wrapper has seen, for the connection's task to act on.

use std::time::Duration;

use super::budget::{self, Budgets};
use super::frames::{Frame, Frames, flag, kind};
use super::trailers;
use crate::clock::Instant;
use crate::semantics::priority::Priority;
use crate::telemetry::Http2Cut;

/// Priorities that were told and not acted on yet; of more the first are forgotten.
const UPDATES_MAX: usize = 100;
/// As much is read before what has come is looked at: h2 holds each frame for itself, and small ones
/// take far more room there than on their way.
pub(super) const READ_BYTES_MAX: usize = 32 * 1024;
/// A GOAWAY with one of h2's reasons.
const LAST_WORDS_BYTES_MAX: usize = 64;
/// Trailers longer than that were read by nobody; h2 has a bound of its own.
const TRAILERS_BYTES_MAX: usize = 16 * 1024;

/// What is known of one connection's bytes.
#[derive(Debug)]
pub(super) struct Ledger {
    frames: Frames,
    pub(super) budgets: Budgets,
    began: Instant,
    /// When anything was last read.
    pub(super) read_at: Instant,
    settings: Settings,
    is_acknowledged: bool,
    /// Whether a block of fields has begun that its last frame has not ended (RFC 9113 §4.3).
    is_within_block: bool,
    unfinished_since: Option<Instant>,
    /// Since when the socket takes nothing.
    stalled_since: Option<Instant>,
    /// What the client has added to the connection's window.
    pub(super) credit: u64,
    /// The end of what was written last: in its GOAWAY h2 tells clients more than us.
    last_words: Vec<u8>,
    /// As much may be read before the connection's task looks at what has come.
    pub(super) readable_bytes: usize,
    updates: Vec<(u32, Priority)>,
    /// Trailers under way: their stream and the block so far.
    block: Option<(u32, Vec<u8>)>,
    /// Streams whose trailers are malformed.
    bad_trailers: Vec<u32>,
}

/// "This sequence MUST be followed by a SETTINGS frame" (RFC 9113 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settings {
    Awaited,
    Come,
    /// Something else has come.
    Missing,
}

/// What is to become of the connection, by its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing, for that long at least.
    In(Duration),
    /// It is to be cut.
    Cut(Http2Cut),
    /// It does not begin as it must.
    NoSettings,
}

// === impl Ledger ===

impl Ledger {
    pub(super) fn new(tolerance: u32, now: Instant) -> Self {
        Self {
            frames: Frames::new(),
            budgets: Budgets::new(tolerance, now),
            began: now,
            read_at: now,
            settings: Settings::Awaited,
            is_acknowledged: false,
            is_within_block: false,
            unfinished_since: None,
            stalled_since: None,
            credit: 0,
            last_words: Vec::new(),
            readable_bytes: READ_BYTES_MAX,
            updates: Vec::new(),
            block: None,
            bad_trailers: Vec::new(),
        }
    }

    /// Notes what was read.
    pub(super) fn read(&mut self, bytes: &[u8], now: Instant) {
        self.read_at = now;
        self.readable_bytes = self.readable_bytes.saturating_sub(bytes.len());
        let mut frames = std::mem::replace(&mut self.frames, Frames::new());
        frames.follow(bytes, |frame| self.note(frame, now));
        self.frames = frames;
        let is_unfinished = self.is_within_block || self.frames.is_within_frame();
        self.unfinished_since = match is_unfinished {
            true => self.unfinished_since.or(Some(now)),
            false => None,
        };
    }

    /// Notes an attempt to write.
    pub(super) fn wrote(&mut self, is_stalled: bool, now: impl FnOnce() -> Instant) {
        self.stalled_since = match is_stalled {
            true => self.stalled_since.or_else(|| Some(now())),
            false => None,
        };
    }

    /// Keeps the end of what is written.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        self.last_words.clear();
        let end = bytes.len().saturating_sub(LAST_WORDS_BYTES_MAX);
        self.last_words.extend_from_slice(&bytes[end..]);
    }

    /// The end of what was written last.
    pub(super) fn last_words(&self) -> &[u8] {
        &self.last_words
    }

    /// Whether something is owed that has a deadline.
    pub(super) fn is_owed(&self) -> bool {
        !self.is_settled() || self.unfinished_since.is_some() || self.stalled_since.is_some()
    }

    fn is_settled(&self) -> bool {
        self.settings == Settings::Come && self.is_acknowledged
    }

    /// What is due at this moment.
    pub(super) fn due(
        &self,
        header_timeout: Duration,
        send_timeout: Duration,
        now: Instant,
    ) -> Due {
        if let Some(what) = self.budgets.overdrawn() {
            return Due::Cut(what);
        }
        if self.settings == Settings::Missing {
            return Due::NoSettings;
        }
        let settling = (!self.is_settled()).then_some(self.began);
        let deadlines = [
            (settling, header_timeout, Http2Cut::SettingsTimeout),
            (
                self.unfinished_since,
                header_timeout,
                Http2Cut::HeaderTimeout,
            ),
            (self.stalled_since, send_timeout, Http2Cut::SendTimeout),
        ];
        let mut soonest = Duration::MAX;
        for (since, limit, why) in deadlines {
            let Some(since) = since else { continue };
            match limit.checked_sub(now.saturating_duration_since(since)) {
                None | Some(Duration::ZERO) => return Due::Cut(why),
                Some(left) => soonest = soonest.min(left),
            }
        }
        Due::In(soonest)
    }

    /// Priorities that have been told since the last look (RFC 9218 §7.1).
    pub(super) fn take_updates(&mut self) -> Vec<(u32, Priority)> {
        std::mem::take(&mut self.updates)
    }

    /// Streams whose trailers have turned out malformed since the last look.
    pub(super) fn take_bad_trailers(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.bad_trailers)
    }

    fn note(&mut self, frame: Frame<'_>, now: Instant) {
        if self.settings == Settings::Awaited {
            let is_settings = frame.kind == kind::SETTINGS && frame.flags & flag::ACK == 0;
            self.settings = match is_settings {
                true => Settings::Come,
                false => Settings::Missing,
            };
        }
        match frame.kind {
            kind::SETTINGS | kind::PING if frame.flags & flag::ACK != 0 => {
                self.is_acknowledged |= frame.kind == kind::SETTINGS;
                return;
            }
            kind::HEADERS | kind::CONTINUATION => {
                self.is_within_block = frame.flags & flag::END_HEADERS == 0;
                self.note_block(&frame);
            }
            kind::DATA => self.note_data(&frame, now),
            kind::WINDOW_UPDATE if frame.stream == 0 => self.note_credit(frame.payload),
            kind::PRIORITY_UPDATE => self.note_update(frame.payload),
            _ => {}
        }
        if let Some(what) = budget::of_kind(frame.kind) {
            self.budgets.spend(what, now);
        }
    }

    /// A frame with more padding than content is a way to make us work for nothing.
    fn note_data(&mut self, frame: &Frame<'_>, now: Instant) {
        if let (true, [padding]) = (frame.flags & flag::PADDED != 0, frame.payload) {
            let padding = u32::from(*padding) + 1;
            if padding > frame.length.saturating_sub(padding) {
                self.budgets.spend(Http2Cut::Padding, now);
            }
        }
    }

    fn note_credit(&mut self, payload: &[u8]) {
        if let [a, b, c, d] = *payload {
            let more = u32::from_be_bytes([a & 0x7f, b, c, d]);
            self.credit = self.credit.saturating_add(more.into());
        }
    }

    fn note_update(&mut self, payload: &[u8]) {
        if let Some(([a, b, c, d], value)) = payload.split_first_chunk()
            && let Some(priority) = Priority::of_update(value)
        {
            if self.updates.len() == UPDATES_MAX {
                self.updates.remove(0);
            }
            let stream = u32::from_be_bytes([a & 0x7f, *b, *c, *d]);
            self.updates.push((stream, priority));
        }
    }

    /// Gathers the block of trailers, and looks at it when it is whole.
    fn note_block(&mut self, frame: &Frame<'_>) {
        match frame.kind {
            kind::HEADERS if frame.is_of_trailers => {
                self.block = Some((frame.stream, fragment(frame).to_vec()));
            }
            kind::HEADERS => self.block = None,
            _ => {
                if let Some((_, block)) = &mut self.block {
                    let room = TRAILERS_BYTES_MAX.saturating_sub(block.len());
                    block.extend_from_slice(&frame.payload[..frame.payload.len().min(room)]);
                }
            }
        }
        if !self.is_within_block
            && let Some((stream, block)) = self.block.take()
            && trailers::have_pseudo_fields(&block)
        {
            self.bad_trailers.push(stream);
        }
    }
}

/// What HEADERS have of a block, between their own fields and their padding (RFC 9113 §6.2).
fn fragment<'a>(frame: &Frame<'a>) -> &'a [u8] {
    let mut payload = frame.payload;
    if frame.flags & flag::PADDED != 0 {
        let Some((padding, rest)) = payload.split_first() else {
            return &[];
        };
        let len = rest.len().saturating_sub(usize::from(*padding));
        payload = &rest[..len];
    }
    match frame.flags & flag::PRIORITY {
        0 => payload,
        _ => payload.get(5..).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Duration = Duration::from_secs(2);
    const SEND: Duration = Duration::from_secs(3);
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("a short payload");
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// A ledger after a preface and these frames, and the time.
    fn after(frames: &[Vec<u8>]) -> (Ledger, Instant) {
        let now = Instant::now();
        let mut ledger = Ledger::new(1, now);
        ledger.read(PREFACE, now);
        frames.iter().for_each(|it| ledger.read(it, now));
        (ledger, now)
    }

    fn settled() -> [Vec<u8>; 2] {
        [
            frame(kind::SETTINGS, 0, 0, &[]),
            frame(kind::SETTINGS, flag::ACK, 0, &[]),
        ]
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_owed_has_a_deadline() {
        let [settings, ack] = settled();
        let open = frame(kind::HEADERS, 0, 1, b"x");
        let half = frame(kind::HEADERS, flag::END_HEADERS, 1, b"x")[..9].to_vec();
        let data = frame(kind::DATA, 0, 1, b"x")[..9].to_vec();
        let settings_timeout = Some(Http2Cut::SettingsTimeout);
        for (what, frames, expected) in [
            ("no SETTINGS", vec![], settings_timeout),
            (
                "no acknowledgement",
                vec![settings.clone()],
                settings_timeout,
            ),
            (
                "an open block",
                vec![settings.clone(), ack.clone(), open],
                Some(Http2Cut::HeaderTimeout),
            ),
            (
                "half a frame",
                vec![settings.clone(), ack.clone(), half],
                Some(Http2Cut::HeaderTimeout),
            ),
            (
                "half a body",
                vec![settings.clone(), ack.clone(), data],
                None,
            ),
            ("nothing", vec![settings, ack], None),
        ] {
            let (ledger, now) = after(&frames);
            assert!(
                matches!(ledger.due(HEADER, SEND, now), Due::In(_)),
                "{what}"
            );
            let due = ledger.due(HEADER, SEND, now + HEADER);
            assert_eq!(
                due,
                expected.map_or(Due::In(Duration::MAX), Due::Cut),
                "{what}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn settings_come_first() {
        let (ledger, now) = after(&[frame(kind::PING, 0, 0, &[0; 8])]);
        assert_eq!(ledger.due(HEADER, SEND, now), Due::NoSettings);
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_takes_nothing_is_cut() {
        let (mut ledger, now) = after(&settled());
        ledger.wrote(true, || now);
        ledger.wrote(true, || now + SEND);
        assert_eq!(
            ledger.due(HEADER, SEND, now + SEND),
            Due::Cut(Http2Cut::SendTimeout)
        );
        ledger.wrote(false, || now);
        assert_eq!(ledger.due(HEADER, SEND, now + SEND), Due::In(Duration::MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn windows_priorities_and_trailers_are_noted() {
        let [settings, ack] = settled();
        let (mut ledger, _) = after(&[
            settings,
            ack,
            frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]),
            frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 2, 0]),
            frame(kind::PRIORITY_UPDATE, 0, 0, b"\0\0\0\x03u=0, i"),
            frame(kind::HEADERS, flag::END_HEADERS, 1, b"\x82"),
            frame(kind::HEADERS, 0x28, 1, b"\x01\0\0\0\0\0\x40\x05:pa\0"),
            frame(kind::CONTINUATION, flag::END_HEADERS, 1, b"th\x01/"),
            frame(kind::HEADERS, flag::END_HEADERS, 3, b"\x82"),
            frame(kind::HEADERS, flag::END_HEADERS, 3, b"\x00\x01x\x011"),
        ]);
        assert_eq!(ledger.credit, 256);
        let urgent = Priority {
            urgency: 0,
            is_incremental: true,
        };
        assert_eq!(ledger.take_updates(), [(3, urgent)]);
        assert_eq!(ledger.take_bad_trailers(), [1]);
    }
}
