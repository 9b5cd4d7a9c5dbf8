//! Framing of a client's requests, followed beside hyper: bytes in, verdicts out.
//!
//! hyper resolves some ambiguous messages instead of refusing them: Content-Length together with
//! Transfer-Encoding, a list of transfer codings that ends in chunked, bare line feeds. Two
//! proxies that resolve them differently disagree about where a request ends, and that is
//! request smuggling (RFC 9112 §11.2). This machine follows the framing of what the client
//! sends and names the first request that must be refused. It forwards nothing: were it to err,
//! the worst is a 400.

use memchr::memchr;

/// Heads longer than this are hyper's to refuse, whatever the configured limit.
const HEAD_BYTES_MAX: usize = 1024 * 1024;
/// As many hex digits as a chunk size may have.
const SIZE_DIGITS_MAX: u8 = 15;

/// Follows one connection's bytes.
#[derive(Debug, Default)]
pub(super) struct Framing {
    state: State,
    /// The head so far, when it came in several pieces.
    partial: Vec<u8>,
    heads: u32,
    refused: Option<(u32, Ambiguity)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// Content of known length: bytes to come.
    Content(u64),
    ChunkSize {
        size: u64,
        digits: u8,
    },
    /// The rest of a chunk's first line.
    ChunkLine {
        size: u64,
        after_cr: bool,
    },
    /// Data with the line end behind it.
    ChunkData(u64),
    /// The trailer section; `line` counts the bytes of the line so far, without its end.
    Trailers {
        line: u32,
        after_cr: bool,
    },
    /// Nothing more is followed: the connection ends with what was refused.
    Blind,
}

/// What two parsers could read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ambiguity {
    /// A line that ends with LF alone.
    BareLineFeed,
    /// More than one Content-Length, or one that is not digits.
    ContentLength,
    /// Transfer-Encoding other than one "chunked".
    TransferCoding,
    /// Both framings in one message.
    TwoFramings,
    /// A chunk's line that is none.
    Chunk,
    /// A target with a `#`, which hyper cuts off.
    Fragment,
}

// === impl Framing ===

impl Framing {
    /// Follows the next bytes of the connection.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.state != State::Blind {
            bytes = match self.state {
                State::Head => self.head(bytes),
                State::Content(left) => self.content(bytes, left),
                _ => self.chunked(bytes),
            };
        }
    }

    /// Whether a request's head has begun and not ended.
    pub(super) fn is_within_head(&self) -> bool {
        self.state == State::Head && !self.partial.is_empty()
    }

    /// Whether one request has come to its end and the next has not begun.
    pub(super) fn is_between_requests(&self) -> bool {
        self.state == State::Head && self.partial.is_empty()
    }

    /// From which request on, counted from one, nothing may be answered, and why.
    pub(super) fn refused(&self) -> Option<(u32, Ambiguity)> {
        self.refused
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.partial.is_empty() {
            return match head_end(bytes) {
                Some(end) => self.end_of_head(&bytes[..end], &bytes[end..]),
                None => self.gather(bytes),
            };
        }
        let known = self.partial.len();
        self.gather(bytes);
        let Some(end) = head_end(&self.partial) else {
            return &[];
        };
        let head = std::mem::take(&mut self.partial);
        // The end lies in the new bytes, or it would have been found before.
        self.end_of_head(&head[..end], &bytes[end.saturating_sub(known)..])
    }

    fn gather<'a>(&mut self, bytes: &[u8]) -> &'a [u8] {
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > HEAD_BYTES_MAX {
            (self.partial, self.state) = (Vec::new(), State::Blind);
        }
        &[]
    }

    fn end_of_head<'a>(&mut self, head: &[u8], rest: &'a [u8]) -> &'a [u8] {
        self.heads = self.heads.saturating_add(1);
        match examine(head) {
            Ok(state) => self.state = state,
            Err(ambiguity) => self.refuse(ambiguity),
        }
        rest
    }

    fn refuse(&mut self, ambiguity: Ambiguity) {
        self.refused.get_or_insert((self.heads, ambiguity));
        self.state = State::Blind;
    }

    fn content<'a>(&mut self, bytes: &'a [u8], left: u64) -> &'a [u8] {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - taken as u64;
        self.state = if left == 0 {
            State::Head
        } else {
            State::Content(left)
        };
        &bytes[taken..]
    }

    fn chunked<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if let State::ChunkData(left) = self.state {
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let left = left - taken as u64;
            let next = State::ChunkSize { size: 0, digits: 0 };
            self.state = if left == 0 {
                next
            } else {
                State::ChunkData(left)
            };
            return &bytes[taken..];
        }
        match bytes.split_first() {
            Some((byte, rest)) => {
                self.chunk_line(*byte);
                rest
            }
            None => bytes,
        }
    }

    /// One byte of a chunk's line or of the trailer section (RFC 9112 §7.1).
    fn chunk_line(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::ChunkSize { size, digits }, _) => match hex(byte) {
                Some(digit) if digits < SIZE_DIGITS_MAX => State::ChunkSize {
                    size: size * 16 + u64::from(digit),
                    digits: digits + 1,
                },
                None if digits > 0 && byte != b'\n' => State::ChunkLine {
                    size,
                    after_cr: byte == b'\r',
                },
                _ => return self.refuse(Ambiguity::Chunk),
            },
            (
                State::ChunkLine {
                    size: 0,
                    after_cr: true,
                },
                b'\n',
            ) => State::Trailers {
                line: 0,
                after_cr: false,
            },
            (
                State::ChunkLine {
                    size,
                    after_cr: true,
                },
                b'\n',
            ) => State::ChunkData(size + 2),
            (
                State::Trailers {
                    line: 0,
                    after_cr: true,
                },
                b'\n',
            ) => State::Head,
            (State::Trailers { after_cr: true, .. }, b'\n') => State::Trailers {
                line: 0,
                after_cr: false,
            },
            (State::ChunkLine { .. } | State::Trailers { .. }, b'\n') => {
                return self.refuse(Ambiguity::BareLineFeed);
            }
            (State::ChunkLine { size, .. }, byte) => State::ChunkLine {
                size,
                after_cr: byte == b'\r',
            },
            (State::Trailers { line, .. }, b'\r') => State::Trailers {
                line,
                after_cr: true,
            },
            (State::Trailers { line, .. }, _) => State::Trailers {
                line: line.saturating_add(1),
                after_cr: false,
            },
            (state, _) => state,
        };
    }
}

/// Where the first head in `bytes` ends: behind its empty line. Line ends are CRLF or LF here;
/// those that are not CRLF are refused afterwards. Empty lines before a request do not count.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut begun = false;
    while let Some(len) = memchr(b'\n', &bytes[at..]) {
        let line = &bytes[at..at + len];
        at += len + 1;
        if !matches!(line, b"" | b"\r") {
            begun = true;
        } else if begun {
            return Some(at);
        }
    }
    None
}

/// The framing that a head announces.
fn examine(head: &[u8]) -> Result<State, Ambiguity> {
    let (mut length, mut chunked) = (None, false);
    // "request-target = origin-form / absolute-form / authority-form / asterisk-form" (RFC 9112 §3.2),
    // none of which has a fragment.
    if memchr(b'#', request_line(head)).is_some() {
        return Err(Ambiguity::Fragment);
    }
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err(Ambiguity::BareLineFeed);
        };
        if let Some(value) = value_of(line, b"content-length") {
            if length.is_some() {
                return Err(Ambiguity::ContentLength);
            }
            length = Some(digits(value).ok_or(Ambiguity::ContentLength)?);
        } else if let Some(value) = value_of(line, b"transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Ambiguity::TransferCoding);
            }
            chunked = true;
        }
    }
    match (length, chunked) {
        (Some(_), true) => Err(Ambiguity::TwoFramings),
        (None, true) => Ok(State::ChunkSize { size: 0, digits: 0 }),
        (None | Some(0), false) => Ok(State::Head),
        (Some(length), false) => Ok(State::Content(length)),
    }
}

/// The first line that is not empty.
fn request_line(head: &[u8]) -> &[u8] {
    let start = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let line = &head[start.unwrap_or(head.len())..];
    &line[..memchr(b'\n', line).unwrap_or(line.len())]
}

/// The value of a field line, if it is this field's.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.get(name.len()..)?.strip_prefix(b":")?;
    line[..name.len()]
        .eq_ignore_ascii_case(name)
        .then(|| value.trim_ascii())
}

fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn hex(byte: u8) -> Option<u8> {
    // A hexadecimal digit is at most 15, so the cast cannot cut.
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

// === impl Ambiguity ===

impl Ambiguity {
    /// A token for `Cache-Status` and the log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::BareLineFeed => "bare-line-feed",
            Self::ContentLength => "content-length",
            Self::TransferCoding => "transfer-coding",
            Self::TwoFramings => "two-framings",
            Self::Chunk => "chunk",
            Self::Fragment => "fragment",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// Follows `text` whole and byte by byte; both ways must come to the same.
    fn follow(text: &str) -> Framing {
        let (mut whole, mut dripped) = (Framing::default(), Framing::default());
        whole.follow(text.as_bytes());
        text.as_bytes()
            .iter()
            .for_each(|byte| dripped.follow(&[*byte]));
        assert_eq!(
            (whole.state, whole.refused),
            (dripped.state, dripped.refused),
            "{text:?}"
        );
        whole
    }

    fn head(fields: &str) -> String {
        format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
    }

    #[test]
    fn what_is_clear_is_followed_to_its_end() {
        for (section, text, heads) in [
            ("RFC 9112 §2.2", format!("\r\n{GET}{GET}"), 2),
            (
                "RFC 9112 §6.2",
                head("Content-Length: 3\r\n") + "abc" + GET,
                2,
            ),
            ("RFC 9112 §6.2", head("content-length:0\r\n") + GET, 2),
            (
                "RFC 9112 §7.1",
                head("Transfer-Encoding: Chunked\r\n") + "3\r\nabc\r\n0\r\n\r\n" + GET,
                2,
            ),
            (
                "RFC 9112 §7.1.1",
                head("Transfer-Encoding: chunked\r\n") + "1;a=b\r\nx\r\n0\r\n\r\n",
                1,
            ),
            (
                "RFC 9112 §7.1.2",
                head("Transfer-Encoding: chunked\r\n") + "0\r\na: b\r\n\r\n" + GET,
                2,
            ),
        ] {
            let framing = follow(&text);
            assert_eq!(framing.refused, None, "{section}: {text:?}");
            assert_eq!(
                (framing.state, framing.heads),
                (State::Head, heads),
                "{section}: {text:?}"
            );
            assert!(!framing.is_within_head());
        }
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        use Ambiguity::{
            BareLineFeed, Chunk, ContentLength, Fragment, TransferCoding, TwoFramings,
        };
        let chunked = head("Transfer-Encoding: chunked\r\n");
        for (section, text, expected) in [
            (
                "RFC 9112 §2.2",
                "GET / HTTP/1.1\nHost: a\n\n".into(),
                BareLineFeed,
            ),
            (
                "RFC 9112 §3.2",
                "\r\nGET /#a HTTP/1.1\r\nHost: a\r\n\r\n".into(),
                Fragment,
            ),
            (
                "RFC 9112 §6.3",
                head("Content-Length: 1\r\nContent-Length: 1\r\n"),
                ContentLength,
            ),
            (
                "RFC 9112 §6.3",
                head("Content-Length: 1, 1\r\n"),
                ContentLength,
            ),
            (
                "RFC 9112 §6.3",
                head("Content-Length: +1\r\n"),
                ContentLength,
            ),
            (
                "RFC 9112 §6.3",
                head("Content-Length: 18446744073709551616\r\n"),
                ContentLength,
            ),
            (
                "RFC 9112 §6.1",
                head("Transfer-Encoding: chunked, chunked\r\n"),
                TransferCoding,
            ),
            (
                "RFC 9112 §6.1",
                head("Transfer-Encoding: gzip, chunked\r\n"),
                TransferCoding,
            ),
            (
                "RFC 9112 §6.1",
                head("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n"),
                TransferCoding,
            ),
            (
                "RFC 9112 §6.3",
                head("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
                TwoFramings,
            ),
            (
                "RFC 9112 §6.3",
                head("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"),
                TwoFramings,
            ),
            ("RFC 9112 §7.1", chunked.clone() + "x\r\n", Chunk),
            (
                "RFC 9112 §7.1",
                chunked.clone() + "1111111111111111\r\n",
                Chunk,
            ),
            ("RFC 9112 §7.1", chunked.clone() + "3;a\nabc", BareLineFeed),
            ("RFC 9112 §7.1.2", chunked + "0\r\n\n", BareLineFeed),
        ] {
            assert_eq!(
                follow(&text).refused,
                Some((1, expected)),
                "{section}: {text:?}"
            );
        }
    }

    #[test]
    fn a_later_request_does_not_condemn_an_earlier_one() {
        let text = format!("{GET}{}", head("Content-Length: x\r\n"));
        assert_eq!(follow(&text).refused, Some((2, Ambiguity::ContentLength)));
    }

    #[test]
    fn a_head_in_pieces_is_known_to_be_under_way() {
        let mut framing = Framing::default();
        framing.follow(b"GET / HT");
        assert!(framing.is_within_head());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at: usize) {
            let (first, second) = bytes.split_at(at % (bytes.len() + 1));
            let mut framing = Framing::default();
            framing.follow(first);
            framing.follow(second);
        }
    }
}
