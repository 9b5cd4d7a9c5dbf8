//! What the scripted CA reads and writes: requests, signed messages, pages of proofs, times.

use std::net::Ipv4Addr;
use std::time::SystemTime;

use ::time::{Duration as Span, UtcDateTime};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Protected header and payload of a JWS (RFC 7515 §7.2.2).
pub(super) fn opened(body: &[u8]) -> Option<(Value, Value)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let payload = body["payload"].as_str()?;
    let payload = if payload.is_empty() {
        Value::Null
    } else {
        json_of(payload)?
    };
    Some((json_of(body["protected"].as_str()?)?, payload))
}

pub(super) fn json_of(text: &str) -> Option<Value> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

pub(super) fn rfc3339(seconds: i64) -> String {
    let at = UtcDateTime::from(SystemTime::now()) + Span::seconds(seconds);
    let (date, clock) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}

/// The content of a challenge's page (RFC 8555 §8.3).
pub(super) async fn page(port: u16, name: &str, token: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
    let request = format!(
        "GET /.well-known/acme-challenge/{token} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
}

pub(super) async fn read_request(
    stream: &mut TlsStream<TcpStream>,
) -> Option<(String, String, String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let (head, mut body) = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            let body = bytes.split_off(at + 4);
            break (String::from_utf8(bytes).ok()?, body);
        }
    };
    let field = |name: &str| {
        let lines = head.lines().skip(1).filter_map(|it| it.split_once(':'));
        let mut values = lines
            .filter(|it| it.0.eq_ignore_ascii_case(name))
            .map(|it| it.1.trim());
        values.next().map(str::to_owned)
    };
    let length: usize = field("content-length")
        .and_then(|it| it.parse().ok())
        .unwrap_or(0);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    let mut words = head.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    Some((method, path, field("user-agent").unwrap_or_default(), body))
}
