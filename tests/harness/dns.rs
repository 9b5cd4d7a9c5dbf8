//! A DNS server that says what its script says, by UDP and by TCP: answers that change in the middle
//! of a story, failures, silence, answers too large for a datagram. It remembers what it was asked.
//! It knows no more of DNS than RFC 1035 §4 and RFC 2782 have on one page each.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime;
use tokio::sync::oneshot;

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;
/// The class of the internet.
const IN: u16 = 1;

const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// A running DNS server. It knows no name until told, and ends when dropped.
pub struct Dns {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    _stop: oneshot::Sender<()>,
}

/// How a name is answered for, if not with its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Helpful,
    /// There is no such name.
    Denies,
    /// SERVFAIL.
    Fails,
    Silent,
    /// No answer to questions for AAAA.
    KnowsNoIpv6,
}

/// Who serves: priority, weight, port, target.
pub type Service<'a> = (u16, u16, u16, &'a str);

#[derive(Default)]
struct Script {
    names: BTreeMap<String, Entry>,
    /// Answers do not fit into a datagram.
    truncates: bool,
    asked: Vec<Asked>,
}

#[derive(Clone)]
struct Entry {
    mood: Mood,
    ttl: u32,
    /// Types and what the records hold.
    records: Vec<(u16, Vec<u8>)>,
}

struct Asked {
    name: String,
    kind: u16,
    by_tcp: bool,
}

/// The one question of a message.
struct Question {
    id: [u8; 2],
    name: String,
    kind: u16,
    /// As it was written.
    bytes: Vec<u8>,
}

// === impl Dns ===

impl Dns {
    pub async fn start() -> Self {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().expect("a bound socket");
        let (udp, tcp) = (udp.into_std(), tcp.into_std());
        let (udp, tcp) = (udp.expect("a socket"), tcp.expect("a listener"));
        let script = Arc::<Mutex<Script>>::default();
        let (stop, stopped) = oneshot::channel();
        let kept = Arc::clone(&script);
        // On a thread of its own, like an origin.
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let udp = UdpSocket::from_std(udp).expect("a socket");
                let tcp = TcpListener::from_std(tcp).expect("a listener");
                tokio::select! {
                    () = by_udp(&udp, &kept) => {}
                    () = by_tcp(&tcp, &kept) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            script,
            _stop: stop,
        }
    }

    /// Lines of `[resolver]` that have names looked up here, as often as their TTL says and at least
    /// every 50 ms.
    pub fn table(&self) -> String {
        format!(
            "servers = [\"{}\"]\ntimeout = \"300ms\"\nattempts = 1\nttl_min = \"50ms\"\n\
             retry = \"50ms\"",
            self.address
        )
    }

    /// From now on a name has these addresses.
    pub fn addresses(&self, name: &str, ttl: u32, addresses: &[&str]) {
        let record = |address: &&str| match address.parse().expect("an address") {
            IpAddr::V4(it) => (A, it.octets().to_vec()),
            IpAddr::V6(it) => (AAAA, it.octets().to_vec()),
        };
        self.set(name, ttl, addresses.iter().map(record).collect());
    }

    /// From now on a service is offered by these.
    pub fn services(&self, name: &str, ttl: u32, services: &[Service<'_>]) {
        let record = |(priority, weight, port, target): &Service<'_>| {
            let numbers = [priority, weight, port].map(|it| it.to_be_bytes());
            let mut data = numbers.concat();
            data.extend(encoded(target));
            (SRV, data)
        };
        self.set(name, ttl, services.iter().map(record).collect());
    }

    fn set(&self, name: &str, ttl: u32, records: Vec<(u16, Vec<u8>)>) {
        let entry = Entry {
            mood: Mood::Helpful,
            ttl,
            records,
        };
        lock(&self.script).names.insert(name.to_owned(), entry);
    }

    /// From now on a known name is answered for like this.
    pub fn mood(&self, name: &str, mood: Mood) {
        let mut script = lock(&self.script);
        script.names.get_mut(name).expect("a known name").mood = mood;
    }

    /// From now on no answer fits into a datagram.
    pub fn truncates(&self) {
        lock(&self.script).truncates = true;
    }

    /// How often a name was asked for, AAAA aside.
    pub fn asked(&self, name: &str) -> usize {
        let script = lock(&self.script);
        let is_it = |it: &&Asked| it.name == name && it.kind != AAAA;
        script.asked.iter().filter(is_it).count()
    }

    /// Whether anybody has asked by TCP.
    pub fn was_asked_by_tcp(&self) -> bool {
        lock(&self.script).asked.iter().any(|it| it.by_tcp)
    }
}

/// The same port by both protocols.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let tcp = TcpListener::bind(local).await.expect("a free port");
        let address = tcp.local_addr().expect("a bound socket");
        if let Ok(udp) = UdpSocket::bind(address).await {
            return (udp, tcp);
        }
    }
}

async fn by_udp(socket: &UdpSocket, script: &Mutex<Script>) {
    let mut buffer = [0; 4096];
    while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
        if let Some(answer) = answer(&buffer[..count], false, script) {
            socket.send_to(&answer, from).await.ok();
        }
    }
}

async fn by_tcp(listener: &TcpListener, script: &Arc<Mutex<Script>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let script = Arc::clone(script);
        tokio::spawn(async move { serve(stream, &script).await });
    }
}

/// RFC 1035 §4.2.2: "The message is prefixed with a two byte length field".
async fn serve(mut stream: TcpStream, script: &Mutex<Script>) -> Option<()> {
    loop {
        let length = stream.read_u16().await.ok()?;
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await.ok()?;
        if let Some(answer) = answer(&message, true, script) {
            let length = u16::try_from(answer.len()).expect("a short answer");
            stream.write_u16(length).await.ok()?;
            stream.write_all(&answer).await.ok()?;
        }
    }
}

/// The answer to a message; `None` for silence.
fn answer(message: &[u8], by_tcp: bool, script: &Mutex<Script>) -> Option<Vec<u8>> {
    let question = Question::read(message)?;
    let mut script = lock(script);
    script.asked.push(Asked {
        name: question.name.clone(),
        kind: question.kind,
        by_tcp,
    });
    let Some(entry) = script.names.get(&question.name) else {
        return Some(question.reply(NXDOMAIN, false, 0, &[]));
    };
    let its = entry.records.iter().filter(|it| it.0 == question.kind);
    let its: Vec<_> = its.map(|it| it.1.clone()).collect();
    match entry.mood {
        Mood::Helpful if script.truncates && !by_tcp => Some(question.reply(0, true, 0, &[])),
        Mood::KnowsNoIpv6 if question.kind == AAAA => None,
        Mood::Helpful | Mood::KnowsNoIpv6 => Some(question.reply(0, false, entry.ttl, &its)),
        Mood::Denies => Some(question.reply(NXDOMAIN, false, 0, &[])),
        Mood::Fails => Some(question.reply(SERVFAIL, false, 0, &[])),
        Mood::Silent => None,
    }
}

// === impl Question ===

impl Question {
    fn read(message: &[u8]) -> Option<Self> {
        let mut labels = Vec::new();
        let mut at = 12;
        while let length @ 1.. = usize::from(*message.get(at)?) {
            let label = message.get(at + 1..at + 1 + length)?;
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            at += 1 + length;
        }
        let kind = message.get(at + 1..at + 3)?.try_into().ok()?;
        Some(Self {
            id: message.get(..2)?.try_into().ok()?,
            name: labels.join("."),
            kind: u16::from_be_bytes(kind),
            bytes: message.get(12..at + 5)?.to_vec(),
        })
    }

    fn reply(&self, code: u8, truncated: bool, ttl: u32, records: &[Vec<u8>]) -> Vec<u8> {
        // QR, AA, TC, RD; RA and the code (RFC 1035 §4.1.1).
        let flags = [0x85 | u8::from(truncated) << 1, 0x80 | code];
        let count = u16::try_from(records.len()).expect("a short answer");
        let mut message = [self.id, flags, [0, 1], count.to_be_bytes(), [0, 0], [0, 0]].concat();
        message.extend(&self.bytes);
        for data in records {
            // A pointer to the name in the question (RFC 1035 §4.1.4).
            message.extend([0xc0, 12]);
            message.extend([self.kind, IN].map(u16::to_be_bytes).concat());
            message.extend(ttl.to_be_bytes());
            let length = u16::try_from(data.len()).expect("a short record");
            message.extend(length.to_be_bytes());
            message.extend(data);
        }
        message
    }
}

fn encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).expect("a short label"));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}
