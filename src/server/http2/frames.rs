//! Frames of an HTTP/2 client (RFC 9113 §4.1), followed beside h2: bytes in, frames out.
//!
//! h2 tells nobody which frames have come, nor that one has begun and does not end. It forwards nothing
//! and decides nothing; of payloads only as much is kept as somebody looks at.

/// How a connection begins (RFC 9113 §3.4).
const PREFACE_BYTES: u32 = 24;
const HEAD_BYTES: usize = 9;
/// As many settings as anybody has use for.
const SETTINGS_BYTES_MAX: u32 = 6 * 32;
/// A stream and a short field value (RFC 9218 §7.1).
const PRIORITY_UPDATE_BYTES_MAX: u32 = 4 + 64;
/// Of trailers more is looked at by nobody.
const TRAILERS_BYTES_MAX: u32 = 16 * 1024;

/// Types of frames (RFC 9113 §6, RFC 9218 §7.1).
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0x0;
    pub(in super::super) const HEADERS: u8 = 0x1;
    pub(in super::super) const PRIORITY: u8 = 0x2;
    pub(in super::super) const RST_STREAM: u8 = 0x3;
    pub(in super::super) const SETTINGS: u8 = 0x4;
    pub(in super::super) const PUSH_PROMISE: u8 = 0x5;
    pub(in super::super) const PING: u8 = 0x6;
    pub(in super::super) const GOAWAY: u8 = 0x7;
    pub(in super::super) const WINDOW_UPDATE: u8 = 0x8;
    pub(in super::super) const CONTINUATION: u8 = 0x9;
    pub(in super::super) const PRIORITY_UPDATE: u8 = 0x10;
}

/// Flags of frames (RFC 9113 §6).
pub(super) mod flag {
    pub(in super::super) const ACK: u8 = 0x1;
    pub(in super::super) const END_HEADERS: u8 = 0x4;
    pub(in super::super) const PADDED: u8 = 0x8;
    pub(in super::super) const PRIORITY: u8 = 0x20;
}

/// Follows one connection's bytes.
#[derive(Debug)]
pub(super) struct Frames {
    state: State,
    head: [u8; HEAD_BYTES],
    kept: Vec<u8>,
    /// The stream of the latest request; what has HEADERS again has trailers.
    latest: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Bytes of it to come.
    Preface(u32),
    /// Bytes of it that are here.
    Head(usize),
    Payload {
        left: u32,
        /// As much as is kept of it.
        keep: u32,
    },
}

/// A frame that has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// Of the whole payload.
    pub(super) length: u32,
    /// As much of the payload as is kept.
    pub(super) payload: &'a [u8],
    /// Whether it belongs to trailers: a request with this stream was there before.
    pub(super) is_of_trailers: bool,
}

// === impl Frames ===

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            state: State::Preface(PREFACE_BYTES),
            head: [0; HEAD_BYTES],
            kept: Vec::new(),
            latest: 0,
        }
    }

    /// Follows the next bytes of the connection, and hands on each frame that ends in them.
    pub(super) fn follow(&mut self, mut bytes: &[u8], mut take: impl FnMut(Frame<'_>)) {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Preface(left) => self.preface(left, bytes),
                State::Head(have) => self.head(have, bytes, &mut take),
                State::Payload { left, keep } => self.payload(left, keep, bytes, &mut take),
            };
        }
    }

    /// Whether a frame has begun and not ended that is none of DATA: those are their stream's to wait
    /// for.
    pub(super) fn is_within_frame(&self) -> bool {
        match self.state {
            State::Preface(_) | State::Head(0) => false,
            State::Head(have) => have < 4 || self.head[3] != kind::DATA,
            State::Payload { .. } => self.head[3] != kind::DATA,
        }
    }

    fn preface<'a>(&mut self, left: u32, bytes: &'a [u8]) -> &'a [u8] {
        let taken = (left as usize).min(bytes.len());
        self.state = match left - taken as u32 {
            0 => State::Head(0),
            left => State::Preface(left),
        };
        &bytes[taken..]
    }

    fn head<'a>(
        &mut self,
        have: usize,
        bytes: &'a [u8],
        take: &mut impl FnMut(Frame<'_>),
    ) -> &'a [u8] {
        let taken = (HEAD_BYTES - have).min(bytes.len());
        self.head[have..have + taken].copy_from_slice(&bytes[..taken]);
        let rest = &bytes[taken..];
        if have + taken < HEAD_BYTES {
            self.state = State::Head(have + taken);
            return rest;
        }
        let (left, keep) = (self.length(), self.keep());
        // Most payloads are here whole, and need not be copied.
        if let Some(payload) = rest.get(..left as usize) {
            self.end(&payload[..keep as usize], take);
            return &rest[left as usize..];
        }
        self.kept.clear();
        self.state = State::Payload { left, keep };
        rest
    }

    fn payload<'a>(
        &mut self,
        left: u32,
        keep: u32,
        bytes: &'a [u8],
        take: &mut impl FnMut(Frame<'_>),
    ) -> &'a [u8] {
        let taken = (left as usize).min(bytes.len());
        let missing = keep as usize - self.kept.len();
        self.kept.extend_from_slice(&bytes[..taken.min(missing)]);
        let left = left - taken as u32;
        if left > 0 {
            self.state = State::Payload { left, keep };
        } else {
            let kept = std::mem::take(&mut self.kept);
            self.end(&kept, take);
        }
        &bytes[taken..]
    }

    fn end(&mut self, payload: &[u8], take: &mut impl FnMut(Frame<'_>)) {
        let (kind, stream) = (self.head[3], self.stream());
        take(Frame {
            kind,
            flags: self.head[4],
            stream,
            length: self.length(),
            payload,
            is_of_trailers: self.is_of_trailers(),
        });
        if kind == kind::HEADERS {
            self.latest = self.latest.max(stream);
        }
        self.state = State::Head(0);
    }

    fn length(&self) -> u32 {
        u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]])
    }

    fn stream(&self) -> u32 {
        let [.., a, b, c, d] = self.head;
        u32::from_be_bytes([a & 0x7f, b, c, d])
    }

    /// CONTINUATION follows HEADERS at once, so the latest stream is its own unless that had trailers;
    /// who asks knows by the HEADERS.
    fn is_of_trailers(&self) -> bool {
        match self.head[3] {
            kind::HEADERS => self.stream() <= self.latest,
            kind::CONTINUATION => true,
            _ => false,
        }
    }

    fn keep(&self) -> u32 {
        let max = match self.head[3] {
            kind::DATA if self.head[4] & flag::PADDED != 0 => 1,
            kind::HEADERS | kind::CONTINUATION if self.is_of_trailers() => TRAILERS_BYTES_MAX,
            kind::SETTINGS => SETTINGS_BYTES_MAX,
            kind::WINDOW_UPDATE => 4,
            kind::PRIORITY_UPDATE => PRIORITY_UPDATE_BYTES_MAX,
            _ => 0,
        };
        self.length().min(max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = (u8, u8, u32, u32, Vec<u8>);

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("a short payload");
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// Follows bytes whole and one by one; both ways must come to the same.
    fn follow(bytes: &[u8]) -> (Vec<Seen>, bool) {
        let run = |size| {
            let mut frames = Frames::new();
            let mut seen = Vec::new();
            for bytes in bytes.chunks(size) {
                frames.follow(bytes, |it| {
                    let payload = it.payload.to_vec();
                    seen.push((it.kind, it.flags, it.stream, it.length, payload));
                });
            }
            (seen, frames.is_within_frame())
        };
        let whole = run(bytes.len());
        assert_eq!(whole, run(1));
        whole
    }

    #[test]
    fn frames_are_followed_however_they_come() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]));
        bytes.extend(frame(kind::HEADERS, 5, 1, b"abc"));
        bytes.extend(frame(kind::DATA, flag::PADDED, 1, b"\x02xyz"));
        bytes.extend(frame(kind::WINDOW_UPDATE, 0, 0x8000_0003, &[0, 0, 0, 9]));
        bytes.extend(frame(kind::HEADERS, 5, 1, b"trailer"));
        let (seen, is_within) = follow(&bytes);
        assert_eq!(
            seen,
            [
                (kind::SETTINGS, 0, 0, 6, vec![0, 4, 0, 0, 0, 1]),
                (kind::HEADERS, 5, 1, 3, vec![]),
                (kind::DATA, 8, 1, 4, vec![2]),
                (kind::WINDOW_UPDATE, 0, 3, 4, vec![0, 0, 0, 9]),
                (kind::HEADERS, 5, 1, 7, b"trailer".to_vec()),
            ]
        );
        assert!(!is_within);
    }

    #[test]
    fn what_does_not_end_is_known() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        for (rest, expected) in [
            (&b""[..], false),
            (&frame(kind::PING, 0, 0, &[0; 8])[..16], true),
            (&frame(kind::PING, 0, 0, &[0; 8])[..3], true),
            (&frame(kind::DATA, 0, 1, b"abc")[..11], false),
            (&frame(kind::DATA, 0, 1, b"abc")[..5], false),
            (&frame(kind::HEADERS, 0, 1, b"abc")[..11], true),
        ] {
            let bytes = [&preface[..], rest].concat();
            assert_eq!(follow(&bytes).1, expected, "{rest:?}");
        }
    }
}
