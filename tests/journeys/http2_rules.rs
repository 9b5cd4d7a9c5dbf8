//! Rules of HTTP/2 and HPACK towards a client that breaks them, one row each, by sections of RFC 9113 and
//! RFC 7541: the cases of h2spec, whose list this follows, and what must not be an error.

use crate::harness::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE,
    PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame, get, get_with, post,
    pseudo, settings_frame,
};
use crate::harness::{Authority, TempDir};
use crate::harness::{FRESH, Fields, Frames, Greeting, NO_STORE, Origin, Proxy, Setup};

const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const REFUSED: u32 = 7;
const COMPRESSION: u32 = 9;

/// What becomes of a connection after a row's bytes.
#[derive(Clone, Copy)]
enum Then {
    /// It goes on, and every request in it is answered.
    On,
    /// It goes on, and some stream is reset with one of these codes, or it ends with one of them.
    Reset(&'static [u32]),
    /// It ends with one of these codes. h2 says PROTOCOL_ERROR of all that it cannot read; h2spec as well
    /// takes any end for good, since "an endpoint MAY choose to treat a stream error as a connection
    /// error" and codes are for people (RFC 9113 §5.4).
    End(&'static [u32]),
}
use Then::{End, On, Reset};

type Row = (&'static str, Vec<u8>, Then);

fn all(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn update(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

fn rst(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

fn head(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, flags, stream, block)
}

/// A whole GET whose block is this.
fn raw(block: &[u8]) -> Vec<u8> {
    head(END_HEADERS | END_STREAM, 1, block)
}

/// A whole GET of these fields alone.
fn fields(fields: Fields<'_>) -> Vec<u8> {
    raw(&block(fields))
}

/// A whole GET, and these bytes behind its block.
fn behind(bytes: &[u8]) -> Vec<u8> {
    raw(&[&block(&pseudo("GET", "/")), bytes].concat())
}

fn ping() -> Vec<u8> {
    frame(PING, 0, 0, b"12345678")
}

fn priority(stream: u32, on: u32) -> Vec<u8> {
    frame(
        PRIORITY,
        0,
        stream,
        &[&on.to_be_bytes()[..], &[15]].concat(),
    )
}

fn data(flags: u8, stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, bytes)
}

/// What is in order.
#[rustfmt::skip]
fn rows_in_order() -> Vec<Row> {
    let whole = block(&pseudo("GET", "/"));
    let (one, two) = whole.split_at(whole.len() / 2);
    let padded = [&[3][..], &whole, &[0; 3]].concat();
    let with_priority = [&[0, 0, 0, 0, 15][..], &whole].concat();
    let huffman = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
    vec![
        ("RFC 9113 §3.4: a request", get(1, "/"), On),
        ("RFC 9113 §4.1: a frame of an unknown type", all(&[&frame(0x16, 0, 0, b"x"), &get(1, "/")]), On),
        ("RFC 9113 §4.1: unknown flags", all(&[&frame(PING, 0x16, 0, &[0; 8]), &get(1, "/")]), On),
        ("RFC 9113 §4.1: a reserved bit", all(&[&frame(PING, 0, 1 << 31, &[0; 8]), &get(1, "/")]), On),
        ("RFC 9113 §4.2: DATA as large as may be", all(&[&post(1, "/", &[]), &data(END_STREAM, 1, &[0; 16_384])]), On),
        ("RFC 9113 §5.1: PRIORITY of an idle stream", all(&[&priority(1, 0), &get(1, "/")]), On),
        ("RFC 9113 §5.1: WINDOW_UPDATE when half closed", all(&[&get(1, "/"), &update(1, 100)]), On),
        ("RFC 9113 §5.1: PRIORITY when half closed", all(&[&get(1, "/"), &priority(1, 0)]), On),
        ("RFC 9113 §5.1: RST_STREAM of what is answered", all(&[&get(1, "/"), &rst(1), &get(3, "/")]), On),
        ("RFC 9113 §5.5: an extension on a stream", all(&[&get(1, "/"), &frame(0x42, 0, 1, b"x")]), On),
        ("RFC 9113 §6.1: DATA in pieces", all(&[&post(1, "/", &[]), &data(0, 1, b"a"), &data(END_STREAM, 1, b"b")]), On),
        ("RFC 9113 §6.1: DATA with padding", all(&[&post(1, "/", &[]), &data(PADDED | END_STREAM, 1, b"\x02ab\0\0")]), On),
        ("RFC 9113 §6.1: an empty end", all(&[&post(1, "/", &[]), &data(END_STREAM, 1, b"")]), On),
        ("RFC 9113 §6.2: HEADERS with padding", head(END_HEADERS | END_STREAM | PADDED, 1, &padded), On),
        ("RFC 9113 §6.2: HEADERS with a priority", head(0x20 | END_HEADERS | END_STREAM, 1, &with_priority), On),
        ("RFC 9113 §6.5: empty SETTINGS", all(&[&settings_frame(&[]), &get(1, "/")]), On),
        ("RFC 9113 §6.5.2: unknown settings", all(&[&settings_frame(&[(0xff, 1)]), &get(1, "/")]), On),
        ("RFC 9113 §6.5.2: all that are known", all(&[&settings_frame(&[(1, 0), (2, 0), (3, 1), (4, 9000), (5, 20_000), (6, 20_000)]), &get(1, "/")]), On),
        ("RFC 9113 §6.7: an answer to no PING", all(&[&frame(PING, ACK, 0, &[0; 8]), &get(1, "/")]), On),
        ("RFC 9113 §6.9.2: a window that grows", all(&[&settings_frame(&[(4, 1)]), &get(1, "/"), &settings_frame(&[(4, 9000)])]), On),
        ("RFC 9113 §6.9.2: a window below zero", all(&[&get(1, "/large"), &settings_frame(&[(4, 0)]), &settings_frame(&[(4, 1 << 20)]), &update(0, 1 << 20)]), On),
        ("RFC 9113 §6.10: a block in pieces", all(&[&head(END_STREAM, 1, one), &frame(CONTINUATION, 0, 1, b""), &frame(CONTINUATION, END_HEADERS, 1, two)]), On),
        ("RFC 9113 §7: a reset with an unknown code", all(&[&post(1, "/", &[]), &frame(RST_STREAM, 0, 1, &[0xff; 4]), &get(3, "/")]), On),
        ("RFC 9113 §8.1: trailers", all(&[&post(1, "/", &[]), &data(0, 1, b"a"), &head(END_HEADERS | END_STREAM, 1, &block(&[("x", "1")]))]), On),
        ("RFC 9113 §8.1: HEAD", raw(&block(&pseudo("HEAD", "/"))), On),
        ("RFC 9113 §8.2.2: TE: trailers", get_with(1, "/", &[("te", "trailers")]), On),
        ("RFC 9113 §8.3.1: OPTIONS *", raw(&block(&pseudo("OPTIONS", "*"))), On),
        ("RFC 7541 §6.1: indexed fields", raw(&[&b"\x82\x86\x84"[..], &block(&[(":authority", "example.test")])] .concat()), On),
        ("RFC 7541 §6.2.1: with indexing", all(&[&raw(b"\x82\x86\x84\x41\x0cexample.test"), &head(5, 3, b"\x82\x86\x84\xbe")]), On),
        ("RFC 7541 §6.2.2: without indexing", raw(b"\x82\x86\x84\x01\x0cexample.test"), On),
        ("RFC 7541 §6.2.3: never indexed", raw(b"\x82\x86\x84\x11\x0cexample.test"), On),
        ("RFC 7541 §5.2: Huffman's code", raw(huffman), On),
        ("RFC 7541 §4.2: two sizes of the table", raw(b"\x20\x3f\x61\x82\x86\x84\x01\x0cexample.test"), On),
    ]
}

/// What is wrong with a stream.
#[rustfmt::skip]
fn rows_of_streams() -> Vec<Row> {
    const MALFORMED: Then = Reset(&[PROTOCOL]);
    const CLOSED: Then = Reset(&[STREAM_CLOSED, PROTOCOL]);
    let with = |more: Fields<'static>| fields(&[&pseudo("GET", "/"), more].concat());
    let without = |name: &str| {
        let left: Vec<_> = pseudo("GET", "/")
            .into_iter()
            .filter(|it| it.0 != name)
            .collect();
        fields(&left)
    };
    let length = |bytes: &str, parts: &[&[u8]]| {
        let mut request = post(1, "/", &[("content-length", bytes)]);
        for (number, part) in parts.iter().enumerate() {
            let flags = if number + 1 == parts.len() {
                END_STREAM
            } else {
                0
            };
            request.extend(data(flags, 1, part));
        }
        request
    };
    vec![
        ("RFC 9113 §5.1: DATA when half closed", all(&[&get(1, "/held"), &data(END_STREAM, 1, b"x")]), CLOSED),
        ("RFC 9113 §5.1: HEADERS when half closed", all(&[&get(1, "/held"), &get(1, "/")]), CLOSED),
        ("RFC 9113 §5.1: DATA after a reset", all(&[&post(1, "/held", &[]), &rst(1), &data(0, 1, b"x")]), CLOSED),
        ("RFC 9113 §5.1: HEADERS after a reset", all(&[&post(1, "/held", &[]), &rst(1), &get(1, "/")]), CLOSED),
        ("RFC 9113 §5.3.1: HEADERS that depend on themselves", head(0x25, 1, &[&[0, 0, 0, 1, 15][..], &block(&pseudo("GET", "/"))].concat()), MALFORMED),
        ("RFC 9113 §5.3.1: PRIORITY that depends on itself", all(&[&post(1, "/held", &[]), &priority(1, 1)]), MALFORMED),
        ("RFC 9113 §6.9: WINDOW_UPDATE by nothing", all(&[&get(1, "/held"), &update(1, 0)]), MALFORMED),
        ("RFC 9113 §6.9.1: a window that is too large", all(&[&get(1, "/held"), &update(1, i32::MAX as u32), &update(1, i32::MAX as u32)]), Reset(&[FLOW_CONTROL])),
        ("RFC 9113 §8.1: trailers that are not the end", all(&[&post(1, "/held", &[]), &head(END_HEADERS, 1, &block(&[("x", "1")]))]), MALFORMED),
        ("RFC 9113 §8.1: pseudo-fields in trailers", all(&[&post(1, "/held", &[]), &head(5, 1, &block(&[(":method", "GET")]))]), MALFORMED),
        ("RFC 9113 §8.2.1: a name in capitals", with(&[("X-Test", "1")]), MALFORMED),
        ("RFC 9113 §8.2.1: a name with a space", with(&[("x test", "1")]), MALFORMED),
        ("RFC 9113 §8.2.1: an empty name", with(&[("", "1")]), Reset(&[PROTOCOL, COMPRESSION])),
        ("RFC 9113 §8.2.1: a line feed in a value", with(&[("x", "a\nb")]), Reset(&[PROTOCOL, COMPRESSION])),
        ("RFC 9113 §8.2.2: Connection", with(&[("connection", "keep-alive")]), MALFORMED),
        ("RFC 9113 §8.2.2: Transfer-Encoding", with(&[("transfer-encoding", "chunked")]), MALFORMED),
        ("RFC 9113 §8.2.2: Upgrade", with(&[("upgrade", "h2c")]), MALFORMED),
        ("RFC 9113 §8.2.2: TE other than trailers", with(&[("te", "trailers, deflate")]), MALFORMED),
        ("RFC 9113 §8.3: an unknown pseudo-field", with(&[(":test", "1")]), MALFORMED),
        ("RFC 9113 §8.3: one of responses", with(&[(":status", "200")]), MALFORMED),
        ("RFC 9113 §8.3: one behind other fields", fields(&[&[("x", "1")], &pseudo("GET", "/")[..]].concat()), MALFORMED),
        ("RFC 9113 §8.3.1: an empty :path", fields(&pseudo("GET", "")), MALFORMED),
        ("RFC 9113 §8.3.1: no :method", without(":method"), MALFORMED),
        ("RFC 9113 §8.3.1: no :scheme", without(":scheme"), MALFORMED),
        ("RFC 9113 §8.3.1: no :path", without(":path"), MALFORMED),
        ("RFC 9113 §8.3.1: two :method", with(&[(":method", "GET")]), MALFORMED),
        ("RFC 9113 §8.3.1: two :scheme", with(&[(":scheme", "http")]), MALFORMED),
        ("RFC 9113 §8.3.1: two :path", with(&[(":path", "/")]), MALFORMED),
        ("RFC 9113 §8.3.1: two :authority", with(&[(":authority", "example.test")]), MALFORMED),
        ("RFC 8441 §3: :protocol that nobody offered", fields(&[&pseudo("CONNECT", "/")[..], &[(":protocol", "websocket")]].concat()), MALFORMED),
        ("RFC 9113 §8.1.1: less than Content-Length", length("5", &[b"abc"]), MALFORMED),
        ("RFC 9113 §8.1.1: more than Content-Length", length("1", &[b"abc"]), MALFORMED),
        ("RFC 9113 §8.1.1: more in several pieces", length("4", &[b"abc", b"def"]), MALFORMED),
        ("RFC 9113 §8.1.1: two lengths", post(1, "/held", &[("content-length", "1"), ("content-length", "2")]), MALFORMED),
        ("RFC 9113 §8.1.1: no length", post(1, "/held", &[("content-length", "x")]), MALFORMED),
    ]
}

/// What is wrong with a connection.
#[rustfmt::skip]
fn rows_of_connections() -> Vec<Row> {
    const BROKEN: Then = End(&[PROTOCOL]);
    const SIZE: Then = End(&[FRAME_SIZE, PROTOCOL]);
    const CODE: Then = End(&[COMPRESSION, PROTOCOL]);
    let whole = block(&pseudo("GET", "/"));
    let open = head(END_STREAM, 1, &whole);
    vec![
        ("RFC 9113 §4.2: DATA that is too large", all(&[&post(1, "/held", &[]), &data(0, 1, &[0; 16_385])]), SIZE),
        ("RFC 9113 §4.2: HEADERS that are too large", head(5, 1, &[0x82; 16_385]), SIZE),
        ("RFC 9113 §4.3: a block that is none", raw(b"\x82\x86\x84\x41\x0c"), CODE),
        ("RFC 9113 §4.3: PRIORITY amidst a block", all(&[&open, &priority(1, 0)]), BROKEN),
        ("RFC 9113 §4.3: HEADERS amidst a block", all(&[&open, &get(3, "/")]), BROKEN),
        ("RFC 9113 §4.3: DATA amidst a block", all(&[&open, &data(0, 1, b"x")]), BROKEN),
        ("RFC 9113 §5.1: DATA of an idle stream", data(0, 1, b"x"), BROKEN),
        ("RFC 9113 §5.1: RST_STREAM of an idle stream", rst(1), BROKEN),
        ("RFC 9113 §5.1: WINDOW_UPDATE of an idle stream", update(1, 1), BROKEN),
        ("RFC 9113 §5.1: CONTINUATION of an idle stream", frame(CONTINUATION, END_HEADERS, 1, &whole), BROKEN),
        ("RFC 9113 §5.1: CONTINUATION when half closed", all(&[&get(1, "/held"), &frame(CONTINUATION, END_HEADERS, 1, &whole)]), BROKEN),
        ("RFC 9113 §5.1.1: an even stream", get(2, "/"), BROKEN),
        ("RFC 9113 §5.1.1: a stream below the latest", all(&[&get(5, "/held"), &get(3, "/")]), End(&[PROTOCOL, STREAM_CLOSED])),
        ("RFC 9113 §5.5: an extension amidst a block", all(&[&open, &frame(0x42, 0, 1, b"x")]), BROKEN),
        ("RFC 9113 §6.1: DATA of no stream", data(0, 0, b"x"), BROKEN),
        ("RFC 9113 §6.1: more padding than payload", all(&[&post(1, "/held", &[]), &data(PADDED, 1, b"\x05abc")]), BROKEN),
        ("RFC 9113 §6.1: padding without its length", all(&[&post(1, "/held", &[]), &data(PADDED, 1, b"")]), SIZE),
        ("RFC 9113 §6.2: HEADERS of no stream", head(5, 0, &whole), BROKEN),
        ("RFC 9113 §6.2: more padding than payload", head(5 | PADDED, 1, b"\x09\x82\x86"), BROKEN),
        ("RFC 9113 §6.3: PRIORITY of no stream", priority(0, 1), BROKEN),
        ("RFC 9113 §6.3: PRIORITY of four bytes", all(&[&post(1, "/held", &[]), &frame(PRIORITY, 0, 1, &[0; 4])]), SIZE),
        ("RFC 9113 §6.4: RST_STREAM of no stream", rst(0), BROKEN),
        ("RFC 9113 §6.4: RST_STREAM of three bytes", all(&[&post(1, "/held", &[]), &frame(RST_STREAM, 0, 1, &[0; 3])]), SIZE),
        ("RFC 9113 §6.5: an acknowledgement with settings", frame(SETTINGS, ACK, 0, &[0; 6]), SIZE),
        ("RFC 9113 §6.5: SETTINGS of a stream", frame(SETTINGS, 0, 1, &[]), BROKEN),
        ("RFC 9113 §6.5: SETTINGS of three bytes", frame(SETTINGS, 0, 0, &[0; 3]), SIZE),
        ("RFC 9113 §6.5.2: ENABLE_PUSH of 2", settings_frame(&[(2, 2)]), BROKEN),
        ("RFC 9113 §6.5.2: a window that is too large", settings_frame(&[(4, 1 << 31)]), End(&[FLOW_CONTROL, PROTOCOL])),
        ("RFC 9113 §6.5.2: frames that are too small", settings_frame(&[(5, 16_383)]), BROKEN),
        ("RFC 9113 §6.5.2: frames that are too large", settings_frame(&[(5, 1 << 24)]), BROKEN),
        ("RFC 9113 §6.7: PING of a stream", frame(PING, 0, 1, &[0; 8]), BROKEN),
        ("RFC 9113 §6.7: PING of six bytes", frame(PING, 0, 0, &[0; 6]), SIZE),
        ("RFC 9113 §6.8: GOAWAY of a stream", frame(GOAWAY, 0, 1, &[0; 8]), BROKEN),
        ("RFC 9113 §6.8: GOAWAY of six bytes", frame(GOAWAY, 0, 0, &[0; 6]), SIZE),
        ("RFC 9113 §6.9: WINDOW_UPDATE by nothing", update(0, 0), BROKEN),
        ("RFC 9113 §6.9: WINDOW_UPDATE of three bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), SIZE),
        ("RFC 9113 §6.9.1: a window that is too large", all(&[&update(0, i32::MAX as u32), &update(0, i32::MAX as u32)]), End(&[FLOW_CONTROL])),
        ("RFC 9113 §6.10: CONTINUATION of no stream", all(&[&open, &frame(CONTINUATION, END_HEADERS, 0, b"")]), BROKEN),
        ("RFC 9113 §6.10: CONTINUATION of another stream", all(&[&open, &frame(CONTINUATION, END_HEADERS, 3, b"")]), BROKEN),
        ("RFC 9113 §6.10: CONTINUATION after the end", all(&[&open, &frame(CONTINUATION, END_HEADERS, 1, b""), &frame(CONTINUATION, END_HEADERS, 1, b"")]), BROKEN),
        ("RFC 9113 §6.10: CONTINUATION after DATA", all(&[&post(1, "/held", &[]), &data(0, 1, b"x"), &frame(CONTINUATION, END_HEADERS, 1, b"")]), BROKEN),
        ("RFC 9113 §8.4: PUSH_PROMISE of a client", all(&[&post(1, "/held", &[]), &frame(PUSH_PROMISE, END_HEADERS, 1, &[&2_u32.to_be_bytes()[..], &whole].concat())]), BROKEN),
        ("RFC 7541 §2.3.3: an index beyond the table", raw(b"\x82\x86\x84\xc6"), CODE),
        ("RFC 7541 §2.3.3: a name beyond the table", raw(b"\x82\x86\x84\x7f\x07\x011"), CODE),
        ("RFC 7541 §4.2: a size behind the fields", behind(b"\x20"), CODE),
        ("RFC 7541 §5.1: an integer without end", behind(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), CODE),
        ("RFC 7541 §5.2: padding of more than 7 bits", behind(b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"), CODE),
        ("RFC 7541 §5.2: padding of zeros", behind(b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90"), CODE),
        ("RFC 7541 §5.2: the end of a string", behind(b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\xff\xff\xff\xff"), CODE),
        ("RFC 7541 §6.1: an index of nothing", raw(b"\x80"), CODE),
        ("RFC 7541 §6.3: a table that is too large", raw(&[&b"\x3f\xe2\x1f"[..], &whole].concat()), CODE),
    ]
}

/// An origin that answers at once, but for what it holds back for ever.
fn origin() -> Origin {
    Origin::start(async |request, connection| match &*request.path {
        "/held" => connection.peer_gone().await,
        "/large" => connection.respond(200, FRESH, vec![b'x'; 100_000]).await,
        _ => {
            connection.request_body().await;
            connection.respond(200, NO_STORE, "hello").await;
        }
    })
}

/// Sends a row's bytes and says what is wrong with what comes.
async fn judge(client: &mut Frames, row: &Row) -> Result<(), String> {
    let (_, bytes, then) = row;
    client.set_up(&[]).await;
    client.send(bytes).await;
    client.send(&ping()).await;
    let (mut is_on, mut resets, mut answered, mut goaway) = (false, Vec::new(), 0, None);
    let wanted = bytes_of_streams(bytes);
    loop {
        let is_done = match then {
            On => is_on && answered == wanted,
            Reset(_) => !resets.is_empty(),
            End(_) => false,
        };
        if is_done {
            break;
        }
        let Some(frame) = client.next().await else {
            break;
        };
        match frame.kind {
            PING if frame.flags & ACK != 0 && frame.payload == b"12345678" => is_on = true,
            RST_STREAM => resets.push(frame.code(0)),
            GOAWAY => goaway = Some(frame.code(4)),
            HEADERS | DATA if frame.flags & END_STREAM != 0 => answered += 1,
            _ => {}
        }
    }
    let seen = format!("resets {resets:?}, goaway {goaway:?}, answered {answered}");
    let is_good = match then {
        On => is_on && answered == wanted && goaway.is_none(),
        Reset(codes) => {
            let code = resets.first().copied().or(goaway);
            code.is_some_and(|it| codes.contains(&it))
        }
        End(codes) => goaway.is_some_and(|it| codes.contains(&it)),
    };
    is_good.then_some(()).ok_or(seen)
}

/// How many requests in these bytes are to be answered: all that their client has not taken back.
fn bytes_of_streams(mut bytes: &[u8]) -> usize {
    let mut open = std::collections::BTreeSet::new();
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match head[3] {
            HEADERS => _ = open.insert(stream),
            RST_STREAM => _ = open.remove(&stream),
            _ => {}
        }
        bytes = &rest[length.min(rest.len())..];
    }
    open.len()
}

async fn judge_all(rows: &[Row], mut connect: impl AsyncFnMut() -> Frames) {
    let mut wrong = Vec::new();
    for row in rows {
        let mut client = connect().await;
        if let Err(seen) = judge(&mut client, row).await {
            wrong.push(format!("{}: {seen}", row.0));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_is_in_order_is_answered() {
    let origin = origin();
    let proxy = Proxy::start(&origin).await;
    let rows = rows_in_order();
    // A stream that was answered and one that was taken back look alike from here.
    let rows: Vec<_> = rows
        .into_iter()
        .filter(|it| !it.0.contains("of what is answered"))
        .collect();
    judge_all(&rows, async || Frames::silent(proxy.address()).await).await;
}

#[tokio::test]
async fn errors_of_a_stream_are_its_own() {
    let origin = origin();
    let proxy = Proxy::start(&origin).await;
    judge_all(&rows_of_streams(), async || {
        Frames::silent(proxy.address()).await
    })
    .await;
}

#[tokio::test]
async fn errors_of_a_connection_end_it() {
    let origin = origin();
    let proxy = Proxy::start(&origin).await;
    judge_all(&rows_of_connections(), async || {
        Frames::silent(proxy.address()).await
    })
    .await;
    is_refused(&proxy).await;
}

/// RFC 9113 §5.1.2: requests beyond those that may be at once are refused, and nothing else happens.
async fn is_refused(proxy: &Proxy) {
    let mut client = Frames::connect(proxy.address(), &[]).await;
    for number in 0..101 {
        client.send(&post(2 * number + 1, "/held", &[])).await;
    }
    let reset = client
        .find(|it| it.kind == RST_STREAM)
        .await
        .expect("a reset");
    assert_eq!((reset.stream, reset.code(0)), (201, REFUSED));
}

/// RFC 9113 §3.4: what is no preface is no HTTP/2; and SETTINGS come first.
#[tokio::test]
async fn a_connection_begins_as_it_must() {
    let origin = origin();
    let proxy = Proxy::start(&origin).await;
    let mut client = Frames::silent(proxy.address()).await;
    client.send(&[PREFACE, &ping()].concat()).await;
    assert_eq!(client.end().await, Some(PROTOCOL));
    let mut client = Frames::silent(proxy.address()).await;
    client.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await;
    while client.next().await.is_some() {}
}

/// The same over TLS, where the same code runs on other sockets.
#[tokio::test]
async fn the_rules_are_the_same_over_tls() {
    let (origin, authority, folder) = (origin(), Authority::new(), TempDir::new());
    let issued = authority.issue(&["example.test"]);
    let proxy = over_tls(Proxy::before(&origin), &issued.lines(&folder, "a"))
        .start()
        .await;
    let greeting = Greeting::to("example.test", &authority).offering(&["h2"]);
    let sample = |rows: Vec<Row>| rows.into_iter().step_by(5);
    let rows: Vec<_> = sample(rows_of_streams())
        .chain(sample(rows_of_connections()))
        .collect();
    let connect = async || Frames::over(greeting.shake(proxy.address()).await);
    judge_all(&rows, connect).await;
}

fn over_tls(setup: Setup, certificate: &str) -> Setup {
    let sites =
        format!("[[certificate]]\n{certificate}\n[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n");
    setup.table("[listen]", "tls = true").sites(&sites)
}
