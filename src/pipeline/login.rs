//! Logins by name and password (RFC 7617): what a request says, whether it is right, and for how long
//! that is remembered.
//!
//! A proof takes a processor a tenth of a second, by design. So few are under way at once and few wait,
//! all beyond the runtime's threads, and a client that is wrong too often has to wait. What was proved is
//! remembered under a keyed hash: neither the name nor the password is kept.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use parking_lot::RwLock;
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::gate::{Denial, TurnedAway};
use super::route::buckets::{Buckets, Key};
use crate::clock::{self, Instant};
use crate::config::{BasicAuth, Rate};

/// Passwords that are known to be right, 48 bytes each.
const KNOWN_MAX: usize = 65_536;
/// Logins that wait for their proof; with one a tenth of a second, so many seconds.
const WAITING_MAX: usize = 64;
/// Clients that have been wrong, 24 bytes each.
const CLIENTS_MAX: usize = 65_536;

/// What is known of passwords and of those who were wrong. It outlives sites.
pub(super) struct Logins {
    /// Of a key of its own, which nobody else knows; without one nothing is remembered.
    hasher: Option<Hmac<Sha256>>,
    /// What was right, until when.
    known: RwLock<HashMap<Proof, Instant>>,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    failures: Buckets,
    began: Instant,
}

/// The keyed hash of a name, its password and the hash that this was proved against.
type Proof = [u8; 32];

/// What a look at a request has shown.
pub(super) enum Look {
    /// This user's password is known to be right.
    Known(String),
    /// It is not known, and has to be proved.
    Unknown(Attempt),
}

/// A name with a password that is not known to be right.
pub(super) struct Attempt {
    auth: Arc<BasicAuth>,
    client: IpAddr,
    credentials: Credentials,
    proof: Option<Proof>,
}

struct Credentials {
    user: String,
    password: String,
}

/// Somebody who waits for a proof.
struct Waiting<'a>(&'a AtomicUsize);

// === impl Logins ===

impl Default for Logins {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self {
            hasher: hasher(),
            known: RwLock::default(),
            turns: Arc::new(Semaphore::new((threads / 2).max(1))),
            waiting: AtomicUsize::new(0),
            failures: Buckets::new(CLIENTS_MAX),
            began: clock::instant(),
        }
    }
}

/// `None` when the system has no random bytes.
fn hasher() -> Option<Hmac<Sha256>> {
    let mut key = [0; 32];
    rand::fill(&mut key).ok()?;
    Hmac::new_from_slice(&key).ok()
}

impl Logins {
    /// Lets a request in whose password is known to be right, and tells its user; gives what has to be
    /// proved first of one that is not.
    pub(super) fn look(
        &self,
        auth: &Arc<BasicAuth>,
        fields: &HeaderMap,
        client: IpAddr,
    ) -> Result<Look, Denial> {
        let Some(credentials) = Credentials::of(fields) else {
            return Err(Denial::by(TurnedAway::NoCredentials).asking(&auth.challenge));
        };
        let (hash, _) = auth.hash_of(&credentials.user);
        let proof = self.proof(&credentials, hash);
        if proof.is_some_and(|it| self.knows(&it)) {
            return Ok(Look::Known(credentials.user));
        }
        Ok(Look::Unknown(Attempt {
            auth: Arc::clone(auth),
            client,
            credentials,
            proof,
        }))
    }

    /// Proves a password, and tells its user.
    pub(super) async fn prove(&self, attempt: Attempt) -> Result<String, Denial> {
        let rate = attempt.auth.failures;
        let key = key_of(attempt.client);
        // Beforehand, or many wrong ones at once would all be heard.
        self.charge(&key, rate)?;
        let user = attempt.credentials.user.clone();
        let (auth, proof) = (Arc::clone(&attempt.auth), attempt.proof);
        match self.is_right(attempt).await {
            Ok(true) => {
                self.refund(&key, rate);
                if let Some(proof) = proof {
                    self.remember(proof, auth.remember);
                }
                Ok(user)
            }
            Ok(false) => Err(Denial::by(TurnedAway::WrongCredentials).asking(&auth.challenge)),
            Err(denial) => {
                self.refund(&key, rate);
                Err(denial)
            }
        }
    }

    async fn is_right(&self, attempt: Attempt) -> Result<bool, Denial> {
        let busy = || Denial::by(TurnedAway::LoginsBusy).until(Duration::from_secs(1));
        let waiting = Waiting::among(&self.waiting).ok_or_else(busy)?;
        // It is never closed.
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        drop(waiting);
        // Several requests of one browser come at once.
        if attempt.proof.is_some_and(|it| self.knows(&it)) {
            return Ok(true);
        }
        let proved = spawn_blocking(move || {
            let _turn = turn;
            attempt.is_right()
        });
        Ok(proved.await.unwrap_or(false))
    }

    fn proof(&self, credentials: &Credentials, hash: &str) -> Option<Proof> {
        let mut hasher = self.hasher.clone()?;
        // No name has a colon in it, and no hash a zero.
        for part in [&*credentials.user, ":", &*credentials.password, "\0", hash] {
            hasher.update(part.as_bytes());
        }
        Some(hasher.finalize().into_bytes().into())
    }

    fn knows(&self, proof: &Proof) -> bool {
        let until = self.known.read().get(proof).copied();
        until.is_some_and(|until| clock::instant() < until)
    }

    fn remember(&self, proof: Proof, long: Duration) {
        let now = clock::instant();
        let mut known = self.known.write();
        if known.len() >= KNOWN_MAX {
            known.retain(|_, until| now < *until);
        }
        if known.len() < KNOWN_MAX {
            known.insert(proof, now + long);
        }
    }

    /// Counts a failure to be, if the client may have another one.
    fn charge(&self, client: &Key, rate: Rate) -> Result<(), Denial> {
        let (now, one, window) = (self.now(), nanos_of_one(rate), nanos(rate.window));
        let charged = self.failures.update(client, |full_at| {
            let next = full_at.max(now).saturating_add(one);
            match next - now <= window {
                true => Ok(next),
                false => Err(next - now - window),
            }
        });
        let too_many = |wait| Denial::by(TurnedAway::TooManyFailures).until(wait);
        charged.map_err(|wait| too_many(Duration::from_nanos(wait)))
    }

    /// It was none.
    fn refund(&self, client: &Key, rate: Rate) {
        let one = nanos_of_one(rate);
        let refunded: Result<(), Infallible> = self
            .failures
            .update(client, |full_at| Ok(full_at.saturating_sub(one)));
        // It cannot fail.
        refunded.unwrap_or_default();
    }

    fn now(&self) -> u64 {
        nanos(clock::instant().saturating_duration_since(self.began))
    }
}

/// In 584 years it would stand still.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn nanos_of_one(rate: Rate) -> u64 {
    nanos(rate.window / rate.count.max(1))
}

/// An address, or the network of one IPv6 customer.
fn key_of(client: IpAddr) -> Key {
    Key::from(match client.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() & !u128::from(u64::MAX),
    })
}

// === impl Credentials ===

impl Credentials {
    /// RFC 7617 §2: `Basic` and the base64 of name, colon and password. Of several fields none is taken,
    /// for the origin may go by another one.
    fn of(fields: &HeaderMap) -> Option<Self> {
        let mut lines = fields.get_all(AUTHORIZATION).iter();
        let (line, another) = (lines.next()?, lines.next());
        let (scheme, encoded) = line.to_str().ok()?.split_once(' ')?;
        if another.is_some() || !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = STANDARD.decode(encoded.trim_matches(' ')).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Self {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }
}

// === impl Attempt ===

impl Attempt {
    /// Takes as long for a name that nobody has.
    fn is_right(&self) -> bool {
        let (hash, is_known) = self.auth.hash_of(&self.credentials.user);
        let is_its = bcrypt::verify(&self.credentials.password, hash).unwrap_or(false);
        is_its & is_known
    }
}

// === impl Waiting ===

impl<'a> Waiting<'a> {
    /// `None` if too many wait.
    fn among(count: &'a AtomicUsize) -> Option<Self> {
        let waiting = Self(count);
        (count.fetch_add(1, Relaxed) < WAITING_MAX).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn credentials_are_read_or_are_none() {
        let read = |values: &[&str]| {
            let lines = values
                .iter()
                .map(|it| (AUTHORIZATION, HeaderValue::from_str(it).unwrap()));
            Credentials::of(&lines.collect()).map(|it| (it.user, it.password))
        };
        let both = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (value, found) in [
            ("Basic YTpi", both("a", "b")),
            ("bAsIc   YTpi", both("a", "b")),
            ("Basic YTpiOmM=", both("a", "b:c")),
            ("Basic Og==", both("", "")),
            ("Basic YQ==", None),
            ("Basic", None),
            ("Basic !", None),
            ("Basic /zov", None),
            ("Bearer YTpi", None),
            ("", None),
        ] {
            assert_eq!(read(&[value]), found, "{value}");
        }
        assert_eq!(read(&["Basic YTpi", "Basic YTpi"]), None);
        assert_eq!(read(&[]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_may_be_wrong_so_often() {
        let logins = Logins::default();
        let rate = Rate {
            count: 3,
            window: Duration::from_secs(60),
        };
        let key = key_of("192.0.2.1".parse().unwrap());
        for _ in 0..3 {
            assert!(logins.charge(&key, rate).is_ok());
        }
        let denial = logins.charge(&key, rate).unwrap_err();
        assert_eq!(denial.why, TurnedAway::TooManyFailures);
        assert_eq!(denial.retry_after, Some(Duration::from_secs(20)));
        let other = key_of("192.0.2.2".parse().unwrap());
        assert!(logins.charge(&other, rate).is_ok());
        logins.refund(&key, rate);
        assert!(logins.charge(&key, rate).is_ok());
        tokio::time::advance(Duration::from_secs(21)).await;
        assert!(logins.charge(&key, rate).is_ok());
        assert!(logins.charge(&key, rate).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_right_is_known_for_its_time() {
        let logins = Logins::default();
        let credentials = Credentials {
            user: "a".to_owned(),
            password: "b".to_owned(),
        };
        let proof = logins.proof(&credentials, "hash").unwrap();
        assert!(!logins.knows(&proof));
        logins.remember(proof, Duration::from_secs(60));
        assert!(logins.knows(&proof));
        assert_ne!(logins.proof(&credentials, "another").unwrap(), proof);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(!logins.knows(&proof));
    }

    #[test]
    fn few_wait() {
        let count = AtomicUsize::new(0);
        let all: Vec<_> = (0..WAITING_MAX)
            .map(|_| Waiting::among(&count).unwrap())
            .collect();
        assert!(Waiting::among(&count).is_none());
        drop(all);
        assert_eq!(count.load(Relaxed), 0);
    }
}
