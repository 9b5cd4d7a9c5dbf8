//! Access-log line of a finished request: Apache's common and combined formats, or JSON. Where lines
//! go stands in `access_log`.
//!
//! What a client wrote is hostile until escaped: no field can end its line, close its quotes or
//! reach a terminal as a control sequence.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderValue, Uri};
use time::UtcDateTime;

use super::record::{Asked, Record, TlsFacts};
use super::tunnel::Carried;
use crate::config::Format;
use crate::semantics::proxy_facts::ProxyFacts;
use crate::semantics::trace_context::trace_id;

/// Of a longer field only the beginning is shown, followed by `...`.
const FIELD_BYTES_MAX: usize = 1024;

/// `22/Nov/2026:06:05:15 +0000`, as Apache writes `%t`; always in UTC.
struct ApacheTime(SystemTime);

/// `2026-11-22T06:05:15.042Z` (RFC 3339 §5.6).
struct Rfc3339(SystemTime);

// === impl ApacheTime ===

impl fmt::Display for ApacheTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = utc(since_epoch(self.0));
        write!(f, "{:02}/{:.3}/{:04}:", at.day(), at.month(), at.year())?;
        let (hour, minute, second) = at.as_hms();
        write!(f, "{hour:02}:{minute:02}:{second:02} +0000")
    }
}

// === impl Rfc3339 ===

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = since_epoch(self.0);
        let (at, millis) = (utc(since), since.subsec_millis());
        let (year, month, day) = at.to_calendar_date();
        write!(f, "{year:04}-{:02}-{day:02}T", u8::from(month))?;
        let (hour, minute, second) = at.as_hms();
        write!(f, "{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// A time before 1970 shows as 1970.
fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// So does one behind the year 9999.
fn utc(since_epoch: Duration) -> UtcDateTime {
    let seconds = i64::try_from(since_epoch.as_secs()).ok();
    let at = seconds.and_then(|it| UtcDateTime::from_unix_timestamp(it).ok());
    at.unwrap_or(UtcDateTime::UNIX_EPOCH)
}

/// Appends the line of a record, with its line feed.
///
/// # Errors
/// Only those of `out`: none for a `Vec`.
pub(super) fn write(out: &mut Vec<u8>, format: Format, record: &Record) -> io::Result<()> {
    match format {
        Format::Common => common(out, record)?,
        Format::Combined => combined(out, record)?,
        Format::Json => json(out, record)?,
    }
    out.write_all(b"\n")
}

/// `%h %l %u %t "%r" %>s %b`: identd is never asked.
fn common(out: &mut Vec<u8>, record: &Record) -> io::Result<()> {
    let client = record.client.to_canonical();
    write!(out, "{client} - ")?;
    let user = record.asked.as_ref().and_then(|it| it.user.as_deref());
    apache_escaped(out, user.unwrap_or("-").as_bytes())?;
    write!(out, " [{}] ", ApacheTime(record.received))?;
    request_line(out, record)?;
    for number in [u64::from(record.status), record.body_bytes] {
        match number {
            0 => out.write_all(b" -")?,
            _ => write!(out, " {number}")?,
        }
    }
    Ok(())
}

/// The common format, then `"%{Referer}i" "%{User-Agent}i"`.
fn combined(out: &mut Vec<u8>, record: &Record) -> io::Result<()> {
    common(out, record)?;
    let asked = record.asked.as_deref();
    for value in [
        asked.and_then(|it| it.referer.as_ref()),
        asked.and_then(|it| it.user_agent.as_ref()),
    ] {
        out.write_all(b" \"")?;
        apache_escaped(out, value.map_or(b"-", HeaderValue::as_bytes))?;
        out.push(b'"');
    }
    Ok(())
}

fn request_line(out: &mut Vec<u8>, record: &Record) -> io::Result<()> {
    out.push(b'"');
    let Some(asked) = record.asked.as_deref() else {
        let unread = record.unread.as_deref().filter(|it| !it.is_empty());
        apache_escaped(out, unread.unwrap_or(b"-"))?;
        return out.write_all(b"\"");
    };
    apache_escaped(out, asked.method.as_str().as_bytes())?;
    out.push(b' ');
    apache_escaped(out, target(&asked.target))?;
    write!(out, " {:?}\"", asked.version)
}

/// One object a line; every key is always there, `null` where nothing is known.
fn json(out: &mut Vec<u8>, record: &Record) -> io::Result<()> {
    let client = record.client.to_canonical();
    write!(
        out,
        r#"{{"time":"{}","client":"{client}""#,
        Rfc3339(record.received)
    )?;
    json_request(out, record)?;
    write!(
        out,
        r#","status":{},"bytes":{}"#,
        record.status, record.body_bytes
    )?;
    json_millis(out, "duration_ms", Some(record.duration))?;
    json_millis(out, "ttfb_ms", record.first_byte)?;
    write!(out, r#","outcome":"{}""#, record.outcome.as_str())?;
    json_text(out, "detail", record.detail.map(str::as_bytes))?;
    json_rules(out, record.asked.as_deref().map_or(&[], |it| &it.rules))?;
    let fetched = record.fetched.as_ref();
    let server = fetched.and_then(|it| it.server.as_ref());
    json_text(out, "origin", fetched.map(|it| it.origin.as_bytes()))?;
    json_text(out, "server", server.map(|it| it.as_bytes()))?;
    json_millis(out, "origin_ms", fetched.map(|it| it.duration))?;
    json_tunnel(out, record.tunnel.as_deref())?;
    write!(out, r#","complete":{}}}"#, record.complete)
}

fn json_tunnel(out: &mut Vec<u8>, tunnel: Option<&Carried>) -> io::Result<()> {
    match tunnel {
        Some(carried) => write!(out, r#","received":{}"#, carried.received)?,
        None => out.write_all(br#","received":null"#)?,
    }
    json_text(
        out,
        "tunnel_end",
        tunnel.map(|it| it.end.as_str().as_bytes()),
    )
}

fn json_request(out: &mut Vec<u8>, record: &Record) -> io::Result<()> {
    let asked = record.asked.as_deref();
    let field = |pick: fn(&Asked) -> &Option<HeaderValue>| {
        asked
            .and_then(|it| pick(it).as_ref())
            .map(HeaderValue::as_bytes)
    };
    let version = asked.map(|it| format!("{:?}", it.version));
    json_text(out, "method", asked.map(|it| it.method.as_str().as_bytes()))?;
    let target = asked.map(|it| target(&it.target));
    json_text(out, "target", target.or(record.unread.as_deref()))?;
    let normal = asked.and_then(|it| it.normal_target.as_deref());
    json_text(out, "normal_target", normal.map(str::as_bytes))?;
    json_text(out, "protocol", version.as_deref().map(str::as_bytes))?;
    json_text(out, "host", field(|it| &it.host))?;
    json_text(out, "referer", field(|it| &it.referer))?;
    json_text(out, "user_agent", field(|it| &it.user_agent))?;
    let user = asked.and_then(|it| it.user.as_deref());
    json_text(out, "user", user.map(str::as_bytes))?;
    json_text(out, "request_id", field(|it| &it.request_id))?;
    let trace = field(|it| &it.traceparent).and_then(trace_id);
    json_text(out, "trace_id", trace.map(str::as_bytes))?;
    json_tls(out, asked.and_then(|it| it.tls.as_deref()))?;
    json_proxy(out, asked.and_then(|it| it.proxy.as_deref()))
}

/// A list, which most often is empty. Names of rules need no escapes.
fn json_rules(out: &mut Vec<u8>, rules: &[&str]) -> io::Result<()> {
    out.write_all(br#","rules":["#)?;
    for (at, name) in rules.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(out, r#"{comma}"{name}""#)?;
    }
    out.write_all(b"]")
}

fn json_tls(out: &mut Vec<u8>, tls: Option<&TlsFacts>) -> io::Result<()> {
    json_text(out, "tls_version", tls.map(|it| it.version.as_bytes()))?;
    json_text(out, "tls_suite", tls.map(|it| it.suite.as_bytes()))?;
    let group = tls.and_then(|it| it.group);
    json_text(out, "tls_group", group.map(str::as_bytes))?;
    let name = tls.and_then(|it| it.name.as_deref());
    json_text(out, "sni", name.map(str::as_bytes))
}

fn json_proxy(out: &mut Vec<u8>, proxy: Option<&ProxyFacts>) -> io::Result<()> {
    let mut text = |key, pick: fn(&ProxyFacts) -> &Option<Box<str>>| {
        let value = proxy.and_then(|it| pick(it).as_deref());
        json_text(out, key, value.map(str::as_bytes))
    };
    text("proxy_authority", |it| &it.authority)?;
    text("proxy_alpn", |it| &it.alpn)?;
    text("proxy_tls_version", |it| &it.tls_version)?;
    text("proxy_unique_id", |it| &it.unique_id)
}

fn json_text(out: &mut Vec<u8>, key: &str, value: Option<&[u8]>) -> io::Result<()> {
    let Some(value) = value else {
        return write!(out, r#","{key}":null"#);
    };
    write!(out, r#","{key}":""#)?;
    json_escaped(out, value)?;
    out.write_all(b"\"")
}

/// Milliseconds with the microseconds as decimals.
fn json_millis(out: &mut Vec<u8>, key: &str, value: Option<Duration>) -> io::Result<()> {
    let Some(value) = value else {
        return write!(out, r#","{key}":null"#);
    };
    let micros = value.as_micros();
    write!(out, r#","{key}":{}.{:03}"#, micros / 1000, micros % 1000)
}

/// The target in origin form, whatever form it came in (RFC 9112 §3.2); a CONNECT names only an
/// authority.
fn target(uri: &Uri) -> &[u8] {
    let origin_form = uri.path_and_query().map(|it| it.as_str());
    let shown = origin_form.or_else(|| uri.authority().map(|it| it.as_str()));
    shown.unwrap_or("-").as_bytes()
}

/// Quotes and backslashes get a backslash, as in Apache; everything else that isn't printable
/// ASCII becomes `\xhh`.
fn apache_escaped(out: &mut Vec<u8>, field: &[u8]) -> io::Result<()> {
    let (shown, ending) = cut(field);
    for &byte in shown {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            _ => write!(out, "\\x{byte:02x}")?,
        }
    }
    out.write_all(ending)
}

/// "the characters that MUST be escaped: quotation mark, reverse solidus, and the control
/// characters" (RFC 8259 §7); here also those of Unicode, which terminals obey. What isn't UTF-8
/// shows as U+FFFD.
fn json_escaped(out: &mut Vec<u8>, field: &[u8]) -> io::Result<()> {
    let (shown, ending) = cut(field);
    for chunk in shown.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => write!(out, "\\{c}")?,
                _ if c.is_control() => write!(out, "\\u{:04x}", u32::from(c))?,
                _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            write!(out, "{}", char::REPLACEMENT_CHARACTER)?;
        }
    }
    out.write_all(ending)
}

fn cut(field: &[u8]) -> (&[u8], &'static [u8]) {
    match field.get(..FIELD_BYTES_MAX) {
        Some(head) if head.len() < field.len() => (head, b"..."),
        _ => (field, b""),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use http::{Method, Version};
    use proptest::prelude::*;

    use super::super::record::{Fetched, Outcome};
    use super::super::tunnel::TunnelEnd;
    use super::*;

    fn line(format: Format, record: &Record) -> String {
        let mut out = Vec::new();
        write(&mut out, format, record).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn at(seconds: u64, millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis)
    }

    fn escaped(by: fn(&mut Vec<u8>, &[u8]) -> io::Result<()>, field: &[u8]) -> String {
        let mut out = Vec::new();
        by(&mut out, field).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn bare() -> Record {
        Record::new(IpAddr::from([192, 0, 2, 1]), at(1_795_327_515, 42))
    }

    fn full() -> Record {
        Record {
            outcome: Outcome::Miss,
            status: 200,
            duration: Duration::from_micros(12_345),
            first_byte: Some(Duration::from_micros(9_007)),
            fetched: Some(Fetched {
                origin: Arc::from("shop"),
                server: Some(Arc::from("10.0.0.1:80")),
                duration: Duration::from_millis(9),
            }),
            body_bytes: 512,
            complete: true,
            tunnel: Some(Box::new(Carried {
                received: 3,
                sent: 512,
                end: TunnelEnd::Idle,
            })),
            detail: Some("no-store"),
            asked: Some(Box::new(Asked {
                method: Method::GET,
                target: Uri::from_static("/a?b=1"),
                normal_target: Some("/\"".into()),
                version: Version::HTTP_11,
                host: Some(HeaderValue::from_static("shop.example")),
                referer: None,
                user_agent: Some(HeaderValue::from_static("say \"hi\"\\")),
                rules: vec!["logged-in", "css"],
                request_id: Some(HeaderValue::from_static("a1")),
                traceparent: Some(HeaderValue::from_static(
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                )),
                user: Some("anna".into()),
                tls: Some(Arc::new(TlsFacts {
                    version: "TLSv1.3",
                    suite: "TLS_AES_128_GCM_SHA256",
                    group: Some("X25519MLKEM768"),
                    name: Some("shop.example".into()),
                    is_resumed: false,
                })),
                proxy: Some(Arc::new(ProxyFacts {
                    authority: Some("shop.example".into()),
                    unique_id: Some("id\"".into()),
                    ..ProxyFacts::default()
                })),
            })),
            ..bare()
        }
    }

    #[test]
    fn formats() {
        let absolute = Record {
            client: "::ffff:192.0.2.9".parse().unwrap(),
            asked: Some(Box::new(Asked {
                target: Uri::from_static("http://shop.example/x"),
                version: Version::HTTP_2,
                ..*full().asked.unwrap()
            })),
            ..full()
        };
        for (name, format, record, expected) in [
            (
                "common",
                Format::Common,
                full(),
                r#"192.0.2.1 - anna [22/Nov/2026:06:05:15 +0000] "GET /a?b=1 HTTP/1.1" 200 512"#,
            ),
            (
                "combined",
                Format::Combined,
                full(),
                concat!(
                    r#"192.0.2.1 - anna [22/Nov/2026:06:05:15 +0000] "GET /a?b=1 HTTP/1.1" 200 512"#,
                    r#" "-" "say \"hi\"\\""#,
                ),
            ),
            (
                "absolute form and a mapped address",
                Format::Common,
                absolute,
                r#"192.0.2.9 - anna [22/Nov/2026:06:05:15 +0000] "GET /x HTTP/2.0" 200 512"#,
            ),
            (
                "nothing known",
                Format::Combined,
                bare(),
                r#"192.0.2.1 - - [22/Nov/2026:06:05:15 +0000] "-" - - "-" "-""#,
            ),
            (
                "json",
                Format::Json,
                full(),
                concat!(
                    r#"{"time":"2026-11-22T06:05:15.042Z","client":"192.0.2.1","method":"GET","#,
                    r#""target":"/a?b=1","normal_target":"/\"","protocol":"HTTP/1.1","host":"shop.example","#,
                    r#""referer":null,"user_agent":"say \"hi\"\\","user":"anna","request_id":"a1","#,
                    r#""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","tls_version":"TLSv1.3","#,
                    r#""tls_suite":"TLS_AES_128_GCM_SHA256","tls_group":"X25519MLKEM768","#,
                    r#""sni":"shop.example","proxy_authority":"shop.example","proxy_alpn":null,"#,
                    r#""proxy_tls_version":null,"proxy_unique_id":"id\"","status":200,"bytes":512,"#,
                    r#""duration_ms":12.345,"ttfb_ms":9.007,"outcome":"miss","#,
                    r#""detail":"no-store","rules":["logged-in","css"],"#,
                    r#""origin":"shop","server":"10.0.0.1:80","#,
                    r#""origin_ms":9.000,"received":3,"tunnel_end":"idle","complete":true}"#,
                ),
            ),
            (
                "json, nothing known",
                Format::Json,
                bare(),
                concat!(
                    r#"{"time":"2026-11-22T06:05:15.042Z","client":"192.0.2.1","method":null,"#,
                    r#""target":null,"normal_target":null,"protocol":null,"host":null,"referer":null,"#,
                    r#""user_agent":null,"user":null,"request_id":null,"trace_id":null,"#,
                    r#""tls_version":null,"tls_suite":null,"tls_group":null,"#,
                    r#""sni":null,"proxy_authority":null,"proxy_alpn":null,"#,
                    r#""proxy_tls_version":null,"proxy_unique_id":null,"status":0,"bytes":0,"duration_ms":0.000,"#,
                    r#""ttfb_ms":null,"outcome":"error","detail":null,"rules":[],"origin":null,"#,
                    r#""server":null,"origin_ms":null,"received":null,"tunnel_end":null,"#,
                    r#""complete":false}"#,
                ),
            ),
        ] {
            assert_eq!(line(format, &record), format!("{expected}\n"), "{name}");
        }
    }

    #[test]
    fn escapes() {
        for (field, apache, json) in [
            (&b"plain 'text'"[..], "plain 'text'", "plain 'text'"),
            (
                b"a\r\nb\tc",
                "a\\x0d\\x0ab\\x09c",
                "a\\u000d\\u000ab\\u0009c",
            ),
            (b"\"\\", "\\\"\\\\", "\\\"\\\\"),
            (b"\x1b[31m\x7f", "\\x1b[31m\\x7f", "\\u001b[31m\\u007f"),
            ("é".as_bytes(), "\\xc3\\xa9", "é"),
            ("\u{9b}".as_bytes(), "\\xc2\\x9b", "\\u009b"),
            (b"a\xffb", "a\\xffb", "a\u{fffd}b"),
        ] {
            assert_eq!(escaped(apache_escaped, field), apache, "{field:?}");
            assert_eq!(escaped(json_escaped, field), json, "RFC 8259 §7: {field:?}");
        }
    }

    #[test]
    fn long_fields_are_cut() {
        for (length, expected, ending) in [
            (FIELD_BYTES_MAX - 1, FIELD_BYTES_MAX - 1, "x"),
            (FIELD_BYTES_MAX, FIELD_BYTES_MAX, "x"),
            (FIELD_BYTES_MAX + 1, FIELD_BYTES_MAX + 3, "x..."),
        ] {
            for by in [apache_escaped, json_escaped] {
                let shown = escaped(by, "x".repeat(length).as_bytes());
                assert_eq!(shown.len(), expected, "{length}");
                assert!(shown.ends_with(ending), "{length}");
            }
        }
    }

    #[test]
    fn times() {
        for (time, apache, rfc3339) in [
            (
                at(0, 0),
                "01/Jan/1970:00:00:00 +0000",
                "1970-01-01T00:00:00.000Z",
            ),
            (
                at(784_111_777, 0),
                "06/Nov/1994:08:49:37 +0000",
                "1994-11-06T08:49:37.000Z",
            ),
            (
                at(951_782_400, 0),
                "29/Feb/2000:00:00:00 +0000",
                "2000-02-29T00:00:00.000Z",
            ),
            (
                at(951_868_800, 0),
                "01/Mar/2000:00:00:00 +0000",
                "2000-03-01T00:00:00.000Z",
            ),
            (
                at(4_107_542_399, 999),
                "28/Feb/2100:23:59:59 +0000",
                "2100-02-28T23:59:59.999Z",
            ),
            (
                at(4_107_542_400, 0),
                "01/Mar/2100:00:00:00 +0000",
                "2100-03-01T00:00:00.000Z",
            ),
            (
                UNIX_EPOCH - Duration::from_secs(1),
                "01/Jan/1970:00:00:00 +0000",
                "1970-01-01T00:00:00.000Z",
            ),
        ] {
            assert_eq!(ApacheTime(time).to_string(), apache);
            assert_eq!(Rfc3339(time).to_string(), rfc3339, "RFC 3339 §5.6");
        }
    }

    proptest! {
        /// Two implementations agree on every second that an HTTP-date can name.
        #[test]
        fn times_agree_with_httpdate(seconds in 0_u64..253_402_300_800) {
            let expected = httpdate::fmt_http_date(at(seconds, 0));
            let shown = ApacheTime(at(seconds, 0)).to_string();
            let (date, time) = shown.trim_end_matches(" +0000").split_once(':').unwrap();
            let ours = format!("{} {time} GMT", date.replace('/', " "));
            prop_assert_eq!(Some(ours.as_str()), expected.split_once(", ").map(|it| it.1));
        }

        #[test]
        fn no_field_leaves_its_quotes(field in prop::collection::vec(any::<u8>(), 0..64)) {
            for by in [apache_escaped, json_escaped] {
                let shown = escaped(by, &field);
                prop_assert!(!shown.chars().any(char::is_control));
                let unpaired = shown.replace("\\\\", "").replace("\\\"", "");
                prop_assert!(!unpaired.contains('"'), "{}", shown);
            }
        }
    }
}
