//! An HTTP/2 client that sends what no library would: one request in one HEADERS frame, field by field
//! as it stands.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::within;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// A connection with one stream.
pub struct Frames(TcpStream);

// === impl Frames ===

impl Frames {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = within("a connection to the proxy", TcpStream::connect(address)).await;
        Self(stream.expect("a listener that accepts"))
    }

    /// The status of a GET by http with these fields; a stream that is reset counts as 400.
    pub async fn get(&mut self, fields: &[(&str, &str)]) -> u16 {
        let first = [(":method", "GET"), (":scheme", "http")];
        let block: Vec<u8> = first.iter().chain(fields).flat_map(literal).collect();
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        // END_STREAM and END_HEADERS.
        bytes.extend(frame(HEADERS, 0x5, 1, &block));
        self.0.write_all(&bytes).await.expect("an open connection");
        loop {
            let (kind, payload) = within("a frame", self.next()).await;
            match (kind, payload.first()) {
                // Of the static table (RFC 7541 appendix A).
                (HEADERS, Some(0x88)) => return 200,
                (HEADERS, Some(0x8c)) | (RST_STREAM | GOAWAY, _) => return 400,
                (HEADERS, other) => panic!("another status: {other:?}"),
                _ => {}
            }
        }
    }

    async fn next(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.expect("a frame's head");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.expect("a frame");
        (head[3], payload)
    }
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a short frame");
    let [high, low] = length.to_be_bytes();
    let head = [0, high, low, kind, flags, 0, 0, 0, stream];
    [&head, payload].concat()
}

/// A literal field without indexing (RFC 7541 §6.2.2), not compressed.
fn literal((name, value): &(&str, &str)) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        let length = u8::try_from(text.len()).ok().filter(|it| *it < 127);
        bytes.push(length.expect("a short text"));
        bytes.extend(text.as_bytes());
    }
    bytes
}
