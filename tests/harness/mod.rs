//! What every journey stands on: an origin that does what its script says, the real binary, a
//! client that sees bytes, and the tools that let a test wait for a fact instead of a while.
//! Expectations of Copal are not here: they belong to the journeys.

mod answers;
mod ca;
mod ca_wire;
mod client;
mod dns;
pub mod frames;
mod http2;
mod http2_origin;
mod load;
mod origin;
mod proxy;
mod shown;
mod tls;
mod tls_client;
mod unix;
mod wire;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time;

pub use answers::{
    CHUNKED, FRESH, IN_GRACE, NO_STORE, PRIVATE, STALE, TAGGED, answer_old, by_number, holding,
    named, seen,
};
pub use ca::Ca;
pub use client::{Client, HOST, Response, all_wait, responses};
pub use dns::{Dns, Mood};
pub use frames::Frames;
pub use http2::Http2;
pub use http2_origin::{Exchange, Http2Origin};
pub use load::Load;
pub use origin::{Connection, Hole, Origin, Request, Reserved};
pub use proxy::{Proxy, Setup, command, with_cache};
pub use shown::leaf;
pub use tls::{Authority, Handshake, Issued, TlsDoor};
pub use tls_client::Greeting;
pub use unix::UnixDoor;
pub use wire::End;

/// Names and values, in the order in which they are sent.
pub type Fields<'a> = &'a [(&'a str, &'a str)];

/// A step that takes longer than this has failed. Far above anything expected, as the machine may
/// be busy with other tests.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How often a fact that cannot wake us is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Bytes of which no two stretches are alike; eight in each step, as tests are not optimised.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let high = state ^ (state >> 33);
        bytes.extend_from_slice(&high.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A place where a script waits until the test lets it go on, and the test until scripts got there.
#[derive(Clone)]
pub struct Gate(watch::Sender<Arrivals>);

#[derive(Clone, Copy, Default)]
struct Arrivals {
    count: usize,
    open: bool,
}

/// A folder of its own for one test, gone with it.
pub struct TempDir(PathBuf);

// === impl Gate ===

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(watch::Sender::default())
    }

    /// Arrives, and waits until the gate is open.
    pub async fn pass(&self) {
        let mut state = self.0.subscribe();
        self.0.send_modify(|it| it.count += 1);
        // The sender lives in `self`, so the wait can't fail.
        state
            .wait_for(|it| it.open)
            .await
            .expect("a gate that lives");
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.0.send_modify(|it| it.open = true);
    }

    /// Whether it has been opened.
    pub fn is_open(&self) -> bool {
        self.0.borrow().open
    }

    /// Waits until so many have arrived.
    pub async fn arrived(&self, count: usize) {
        let mut state = self.0.subscribe();
        let what = format!("{count} arrivals at a gate");
        within(&what, state.wait_for(|it| it.count >= count))
            .await
            .expect("a gate that lives");
    }
}

// === impl TempDir ===

impl TempDir {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("copal-journey-{}-{number}", process::id()));
        fs::create_dir_all(&path).expect("a folder under the temporary one");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file in our own folder");
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// The future's output, or a failed test that says what it waited for.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {DEADLINE:?} in vain for {what}"),
    }
}

/// Looks again and again until the fact holds.
pub async fn eventually(what: &str, mut fact: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !fact().await {
            time::sleep(POLL).await;
        }
    };
    within(what, wait).await;
}

/// Waits until a number has not changed for a while: whatever moved it has come to rest.
pub async fn settled(what: &str, number: impl Fn() -> u64) -> u64 {
    let rest = async {
        let mut last = number();
        loop {
            time::sleep(40 * POLL).await;
            let now = number();
            if now == last {
                return now;
            }
            last = now;
        }
    };
    within(what, rest).await
}

/// An HTTP-date so many seconds from now, negative for the past.
pub fn http_date(seconds: i64) -> String {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let now = SystemTime::now();
    httpdate::fmt_http_date(if seconds < 0 {
        now - distance
    } else {
        now + distance
    })
}
