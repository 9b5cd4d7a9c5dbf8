//! One end of an HTTP/1.1 connection as bytes: heads, bodies by their framing, and how each ended.
//! Both the origin and the client stand on it. It is not a parser to learn HTTP from: it reads what
//! a strict peer would and calls everything else truncated.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const READ_BYTES: usize = 64 * 1024;
const WRITE_BYTES: usize = 64 * 1024;

/// A message head, verbatim up to and including the empty line.
#[derive(Clone, Debug)]
pub struct Head(String);

/// How many bytes of a body are still to come (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Framing {
    /// No body, or its last byte has been read.
    Done,
    /// So many bytes of a Content-Length.
    Length(u64),
    /// So many bytes of the chunk in progress; 0 = a size line comes next.
    Chunk(u64),
    /// All until the peer closes.
    Close,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// Its framing says it is whole.
    Clean,
    /// The connection ended first, or the framing broke.
    Truncated,
}

/// What one look at a body brought.
pub enum Part {
    Bytes(Vec<u8>),
    End(End),
}

/// A socket, with or without TLS.
pub enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A socket with the bytes that were read too far.
pub struct Wire {
    stream: Option<Stream>,
    unread: Vec<u8>,
    /// The peer reset the connection, as opposed to closing it.
    broken: bool,
}

// === impl Head ===

impl Head {
    /// The request line or status line.
    pub fn start_line(&self) -> &str {
        self.0.split("\r\n").next().unwrap_or_default()
    }

    /// The nth word of the start line; empty when there are fewer.
    pub fn word(&self, index: usize) -> &str {
        self.start_line().split(' ').nth(index).unwrap_or_default()
    }

    /// The status code of a response head; 0 when there is none.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_default()
    }

    /// The first line of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields(name).first().copied()
    }

    /// Every line of a field, in order.
    pub fn fields(&self, name: &str) -> Vec<&str> {
        let lines = self
            .0
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        lines
            .filter(|(it, _)| it.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// Whether the body of this message is chunked.
    fn chunked(&self) -> bool {
        self.fields("transfer-encoding")
            .iter()
            .any(|it| it.eq_ignore_ascii_case("chunked"))
    }

    fn content_length(&self) -> Option<u64> {
        self.field("content-length").and_then(|it| it.parse().ok())
    }

    /// The framing of the request body that follows.
    pub fn request_framing(&self) -> Framing {
        match self.content_length() {
            _ if self.chunked() => Framing::Chunk(0),
            None | Some(0) => Framing::Done,
            Some(length) => Framing::Length(length),
        }
    }

    /// The framing of the response body that follows; `to_head` if the request was a HEAD.
    pub fn response_framing(&self, to_head: bool) -> Framing {
        let bodiless = to_head || matches!(self.status(), 100..=199 | 204 | 304);
        match self.content_length() {
            _ if bodiless => Framing::Done,
            _ if self.chunked() => Framing::Chunk(0),
            Some(0) => Framing::Done,
            Some(length) => Framing::Length(length),
            None => Framing::Close,
        }
    }
}

impl Display for Head {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

// === impl Stream ===

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<TlsStream<TcpStream>> for Stream {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        Self::Tls(Box::new(stream))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

// === impl Wire ===

impl Wire {
    pub fn new(stream: impl Into<Stream>) -> Self {
        let stream = stream.into();
        stream.tcp().set_nodelay(true).ok();
        Self {
            stream: Some(stream),
            unread: Vec::new(),
            broken: false,
        }
    }

    /// Sends all bytes; false when the peer is gone, which is for the test to judge.
    pub async fn send(&mut self, bytes: &[u8], mut sent: impl FnMut(usize)) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        for piece in bytes.chunks(WRITE_BYTES) {
            if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
                return false;
            }
            sent(piece.len());
        }
        true
    }

    /// The next head; `None` when the peer ended before a whole one.
    pub async fn head(&mut self) -> Option<Head> {
        loop {
            if let Some(at) = self.unread.windows(4).position(|it| it == b"\r\n\r\n") {
                let head = self.take(at + 4);
                return Some(Head(String::from_utf8_lossy(&head).into_owned()));
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// The next bytes of a body, or how it ended. Keeps `framing` up to date.
    pub async fn part(&mut self, framing: &mut Framing) -> Part {
        match *framing {
            Framing::Done => Part::End(End::Clean),
            Framing::Close => self.until_close().await,
            Framing::Length(left) => {
                let Some(bytes) = self.some(left).await else {
                    return Part::End(End::Truncated);
                };
                let left = left - bytes.len() as u64;
                *framing = if left == 0 {
                    Framing::Done
                } else {
                    Framing::Length(left)
                };
                Part::Bytes(bytes)
            }
            Framing::Chunk(left) => match self.chunk(left, framing).await {
                Some(part) => part,
                None => Part::End(End::Truncated),
            },
        }
    }

    /// `None` when the chunk grammar or the connection broke.
    async fn chunk(&mut self, left: u64, framing: &mut Framing) -> Option<Part> {
        let left = if left == 0 {
            self.chunk_size().await?
        } else {
            left
        };
        if left == 0 {
            while !self.line().await?.is_empty() {}
            *framing = Framing::Done;
            return Some(Part::End(End::Clean));
        }
        let bytes = self.some(left).await?;
        let left = left - bytes.len() as u64;
        if left == 0 && !self.line().await?.is_empty() {
            return None;
        }
        *framing = Framing::Chunk(left);
        Some(Part::Bytes(bytes))
    }

    async fn chunk_size(&mut self) -> Option<u64> {
        let line = self.line().await?;
        u64::from_str_radix(line.split(';').next()?.trim(), 16).ok()
    }

    /// A line without its CRLF.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.unread.windows(2).position(|it| it == b"\r\n") {
                let line = self.take(at + 2);
                return Some(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// At least one byte and at most `most`.
    async fn some(&mut self, most: u64) -> Option<Vec<u8>> {
        if self.unread.is_empty() && !self.fill().await {
            return None;
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Some(self.take(most.min(self.unread.len())))
    }

    async fn until_close(&mut self) -> Part {
        match self.some(u64::MAX).await {
            Some(bytes) => Part::Bytes(bytes),
            None if self.broken => Part::End(End::Truncated),
            None => Part::End(End::Clean),
        }
    }

    /// Waits until the peer closes or resets; the bytes it sent before that.
    pub async fn until_gone(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.unread)
    }

    /// Waits for a byte or the end, and keeps what came. False at the end of the connection.
    pub async fn fill(&mut self) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        let mut more = vec![0; READ_BYTES];
        match stream.read(&mut more).await {
            Ok(0) => false,
            Ok(count) => {
                self.unread.extend_from_slice(&more[..count]);
                true
            }
            Err(_) => {
                self.broken = true;
                false
            }
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.unread.drain(..count).collect()
    }

    /// Whether the peer broke off instead of ending the connection in order.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    pub fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Ends the connection in order (FIN).
    pub fn close(&mut self) {
        self.stream = None;
    }

    /// Ends it by a reset (RST).
    pub fn reset(&mut self) {
        if let Some(stream) = self.stream.take() {
            SockRef::from(stream.tcp())
                .set_linger(Some(Duration::ZERO))
                .ok();
        }
    }

    /// Says that no more bytes will be sent, and goes on reading.
    pub async fn half_close(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.shutdown().await.ok();
        }
    }
}
