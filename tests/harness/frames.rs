//! An HTTP/2 client that sends what a test wants, frame by frame, and sees every frame that comes
//! (RFC 9113 §4.1). Nothing is answered by itself, neither SETTINGS nor windows.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time;

use super::client::HOST;
use super::{Fields, POLL, within};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const PRIORITY_UPDATE: u8 = 16;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;

pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// Codes of errors (RFC 9113 §7).
pub const NO_ERROR: u32 = 0;
pub const PROTOCOL_ERROR: u32 = 1;
pub const SETTINGS_TIMEOUT: u32 = 4;
pub const ENHANCE_YOUR_CALM: u32 = 11;

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A client that knows no rules.
pub struct Frames {
    wire: Box<dyn Wire>,
    unread: Vec<u8>,
}

/// A frame that came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

// === impl Frames ===

impl Frames {
    /// A connection on which nothing has been said.
    pub async fn silent(address: SocketAddr) -> Self {
        let wire = within("a connection to the proxy", TcpStream::connect(address)).await;
        let wire = wire.expect("a listener that accepts");
        wire.set_nodelay(true).ok();
        Self::over(wire)
    }

    pub fn over(wire: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self {
            wire: Box::new(wire),
            unread: Vec::new(),
        }
    }

    /// A connection that is set up, with these settings of the client's.
    pub async fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut client = Self::silent(address).await;
        client.set_up(settings).await;
        client
    }

    /// Says what a connection begins with.
    pub async fn set_up(&mut self, settings: &[(u16, u32)]) {
        let begin = [
            PREFACE,
            &settings_frame(settings),
            &frame(SETTINGS, ACK, 0, &[]),
        ];
        assert!(
            self.send(&begin.concat()).await,
            "the proxy has left at once"
        );
    }

    /// Sends bytes; false if the proxy takes no more.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = within("room for bytes", self.wire.write_all(bytes)).await;
        sent.is_ok()
    }

    /// The same, unless there is no room for them at this moment.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        let sent = time::timeout(50 * POLL, self.wire.write_all(bytes)).await;
        matches!(sent, Ok(Ok(())))
    }

    pub async fn send_frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.send(&frame(kind, flags, stream, payload)).await
    }

    /// A GET that is whole.
    pub async fn get(&mut self, stream: u32, path: &str) -> bool {
        self.send(&get(stream, path)).await
    }

    /// The next frame; `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        within("a frame", self.read()).await
    }

    /// The same, and whatever comes before it that is of no interest here.
    pub async fn find(&mut self, mut is_it: impl FnMut(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if is_it(&frame) {
                return Some(frame);
            }
        }
    }

    /// The first status of this stream's.
    pub async fn status(&mut self, stream: u32) -> Option<u16> {
        let head = self
            .find(|it| it.kind == HEADERS && it.stream == stream)
            .await?;
        Some(head.status())
    }

    /// With which code the connection ends: that of its last GOAWAY, if there was one before the end.
    pub async fn end(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                code = Some(frame.code(4));
            }
        }
        code
    }

    /// How this stream ends: with the code of its reset, or `None` if it has come to its end.
    pub async fn reset(&mut self, stream: u32) -> Option<u32> {
        let ended = |it: &Frame| {
            let is_end = matches!(it.kind, DATA | HEADERS) && it.flags & END_STREAM != 0;
            it.stream == stream && (it.kind == RST_STREAM || is_end)
        };
        let last = self.find(ended).await.expect("the end of a stream");
        (last.kind == RST_STREAM).then(|| last.code(0))
    }

    async fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let mut bytes = [0; 16 * 1024];
            match self.wire.read(&mut bytes).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.unread.extend_from_slice(&bytes[..count]),
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let head: [u8; 9] = self.unread.get(..9)?.try_into().ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let payload = self.unread.get(9..9 + length)?.to_vec();
        self.unread.drain(..9 + length);
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
            payload,
        })
    }
}

// === impl Frame ===

impl Frame {
    /// The four bytes of its payload from `at` on.
    pub fn code(&self, at: usize) -> u32 {
        let bytes = self.payload[at..at + 4].try_into().expect("four bytes");
        u32::from_be_bytes(bytes)
    }

    /// The status that a block of fields begins with, as far as it is in the static table or spelt out
    /// (RFC 7541 Appendix A and B).
    pub fn status(&self) -> u16 {
        match self.payload[..] {
            [index @ 0x88..=0x8e, ..] => {
                [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)]
            }
            [0x08 | 0x48, 3, ref digits @ ..] => {
                let digits = std::str::from_utf8(&digits[..3]).expect("digits");
                digits.parse().expect("a status")
            }
            [0x08 | 0x48, length, ref code @ ..] if length & 0x80 != 0 => {
                digits(&code[..usize::from(length & 0x7f)])
            }
            ref other => panic!("no status that this test can read: {other:?}"),
        }
    }
}

/// Three digits in Huffman's code: 0 to 2 have five bits, the others six.
fn digits(code: &[u8]) -> u16 {
    let bits: Vec<u8> = code
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1))
        .collect();
    let mut bits = &bits[..];
    let mut number = 0;
    for _ in 0..3 {
        let value = |bits: &[u8]| bits.iter().fold(0, |sum, bit| sum * 2 + u16::from(*bit));
        let (digit, length) = match value(&bits[..5]) {
            short @ 0..=2 => (short, 5),
            _ => (value(&bits[..6]) - 0b01_1001 + 3, 6),
        };
        number = number * 10 + digit;
        bits = &bits[length..];
    }
    number
}

/// A frame as bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a payload");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub fn settings_frame(settings: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = settings
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame(SETTINGS, 0, 0, &payload)
}

/// A block of fields, each spelt out (RFC 7541 §6.2.2).
pub fn block(fields: Fields<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            string(&mut bytes, text.as_bytes());
        }
    }
    bytes
}

/// RFC 7541 §5.2, without Huffman's code.
fn string(bytes: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(length @ ..0x7f) => bytes.push(length),
        _ => {
            bytes.push(0x7f);
            let mut rest = text.len() - 0x7f;
            while rest >= 0x80 {
                bytes.push((rest & 0x7f) as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
    }
    bytes.extend(text);
}

/// What every request has.
pub fn pseudo<'a>(method: &'a str, path: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", method),
        (":scheme", "http"),
        (":authority", HOST),
        (":path", path),
    ]
}

/// A whole GET.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    get_with(stream, path, &[])
}

pub fn get_with(stream: u32, path: &str, fields: Fields<'_>) -> Vec<u8> {
    let fields = [&pseudo("GET", path), fields].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&fields))
}

/// The head of a POST whose body follows.
pub fn post(stream: u32, path: &str, fields: Fields<'_>) -> Vec<u8> {
    let fields = [&pseudo("POST", path), fields].concat();
    frame(HEADERS, END_HEADERS, stream, &block(&fields))
}
