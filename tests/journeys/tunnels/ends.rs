//! Both ends of a tunnel, as bytes: a server that has been asked to switch protocols, and a client that
//! asks.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::harness::within;

/// What a browser sends, but for its head's first line.
pub const HANDSHAKE: &str = "Host: example.test\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

/// What a server answers.
pub const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    Sec-WebSocket-Protocol: chat\r\n\r\n";

/// Any byte stream.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// One end of a tunnel, or of what is to become one, and what was read too far.
pub struct End {
    pub head: String,
    stream: Box<dyn Io>,
    unread: Vec<u8>,
}

/// A server that hands its connections to the test, each with the head that was sent on it.
pub struct Server {
    pub address: SocketAddr,
    arrived: UnboundedReceiver<End>,
    _accepting: JoinSet<()>,
}

// === impl End ===

impl End {
    /// Reads a head and keeps what comes behind it.
    pub async fn over(stream: impl Io + 'static) -> Self {
        let mut end = Self {
            head: String::new(),
            stream: Box::new(stream),
            unread: Vec::new(),
        };
        end.read_head().await;
        end
    }

    /// Sends a request by HTTP/1.1 that wants WebSocket, with these bytes behind it, and reads the head
    /// of the answer.
    pub async fn ask(address: SocketAddr, path: &str, behind: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a listener");
        Self::ask_over(stream, path, behind).await
    }

    pub async fn ask_over(mut stream: impl Io + 'static, path: &str, behind: &str) -> Self {
        let head = format!("GET {path} HTTP/1.1\r\n{HANDSHAKE}\r\n{behind}");
        stream.write_all(head.as_bytes()).await.expect("a reader");
        within("an answer", Self::over(stream)).await
    }

    async fn read_head(&mut self) {
        let mut bytes = Vec::new();
        loop {
            let end = bytes.windows(4).position(|it| it == b"\r\n\r\n");
            if let Some(end) = end {
                self.unread = bytes.split_off(end + 4);
                break;
            }
            let read = self.stream.read_buf(&mut bytes).await.unwrap_or_default();
            if read == 0 {
                break;
            }
        }
        self.head = String::from_utf8(bytes).expect("text");
    }

    pub fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|it| it.split_once(": "));
        let mut found = lines.filter(|(it, _)| it.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.stream.write_all(bytes.as_ref());
        within("bytes to be taken", sent).await.expect("a reader");
        self.stream.flush().await.expect("a reader");
    }

    /// As many bytes as this, which must be these.
    pub async fn hears(&mut self, expected: &str) {
        let mut bytes = std::mem::take(&mut self.unread);
        while bytes.len() < expected.len() {
            let read = within(expected, self.stream.read_buf(&mut bytes)).await;
            assert_ne!(read.expect("an open end"), 0, "it ended before {expected}");
        }
        self.unread = bytes.split_off(expected.len());
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }

    /// Whether this goes through both ways.
    pub async fn is_one_with(&mut self, other: &mut Self) {
        self.send("ping").await;
        other.hears("ping").await;
        other.send("pong").await;
        self.hears("pong").await;
    }

    /// What else has come by now; nothing must be under way.
    pub fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Whether nothing comes for so long.
    pub async fn is_silent_for(&mut self, millis: u64) -> bool {
        let time = std::time::Duration::from_millis(millis);
        let read = self.stream.read_buf(&mut self.unread);
        tokio::time::timeout(time, read).await.is_err() && self.unread.is_empty()
    }

    /// All that comes until the end, in order or not.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.unread);
        let end = self.stream.read_to_end(&mut bytes);
        within("the end", end).await.ok();
        bytes
    }

    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.expect("an open end");
    }

    /// Sends so many bytes of a pattern and half closes, and reads all that comes meanwhile: how much that
    /// is, and whether it was the pattern.
    pub async fn exchange(self, count: usize) -> (usize, bool) {
        let (mut reader, mut writer) = tokio::io::split(self.stream);
        let write = async move {
            let piece: Vec<u8> = (0..65_536).map(pattern).collect();
            for _ in 0..count / piece.len() {
                writer.write_all(&piece).await.expect("a reader");
            }
            writer.shutdown().await.expect("an open end");
        };
        let read = async move {
            let (mut seen, mut is_right) = (0, true);
            let mut buffer = vec![0; 65_536];
            while let Ok(read @ 1..) = reader.read(&mut buffer).await {
                let right = buffer[..read].iter().enumerate();
                is_right &= right
                    .into_iter()
                    .all(|(at, byte)| *byte == pattern(seen + at));
                seen += read;
            }
            (seen, is_right)
        };
        tokio::join!(write, read).1
    }
}

/// The byte at a place; the pattern begins anew at each 64 KiB.
fn pattern(at: usize) -> u8 {
    let at = at % 65_536;
    u8::try_from((at * 31 + at / 251) % 256).expect("a byte")
}

// === impl Server ===

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a bound socket");
        let (sender, arrived) = unbounded_channel();
        let sender = Arc::new(sender);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = Arc::clone(&sender);
                tokio::spawn(async move { sender.send(End::over(stream).await) });
            }
        });
        Self {
            address,
            arrived,
            _accepting: accepting,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next connection on which a head has come.
    pub async fn next(&mut self) -> End {
        let arrived = within("a request to arrive", self.arrived.recv()).await;
        arrived.expect("a server that runs")
    }

    /// The same, which has switched protocols.
    pub async fn switch(&mut self) -> End {
        let mut end = self.next().await;
        end.send(SWITCHING).await;
        end
    }
}
