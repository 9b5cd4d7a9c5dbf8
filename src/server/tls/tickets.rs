//! Session tickets (RFC 5077, RFC 8446 §4.6.1): sealed with keys that all terms share, so that a session
//! is resumed after a reload as before it.
//!
//! Keys of our own are made anew each six hours, and the one before still opens. Keys of a file are
//! the operator's to rotate, and other Copals may have the same. A ticket opens only under the terms
//! that it was sealed under: nobody gets round a certificate that is wanted by resuming a session in
//! which none was.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::{Mutex, RwLock};
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};
use sha2::Sha256;

use crate::clock::{self, Instant};

/// How long a key of our own seals; it opens for as long again.
const ROTATE_EVERY: Duration = Duration::from_secs(6 * 3600);
/// What clients are told: as long as a ticket may open.
const LIFETIME_SECS: u32 = 12 * 3600;
/// Sessions of clients that take no tickets.
const SESSIONS_MAX: usize = 1024;
/// By which a ticket tells its key.
const NAME_LEN: usize = 8;

type Secret = [u8; 32];
/// Hash of the terms that a ticket holds under.
pub(super) type Context = [u8; 32];

/// The secrets that keys are made of, and sessions of those without tickets.
pub(super) struct Tickets {
    /// The first seals.
    secrets: RwLock<Arc<Vec<Secret>>>,
    whose: Mutex<Whose>,
    sessions: Arc<ServerSessionMemoryCache>,
}

/// Who rotates the secrets.
enum Whose {
    /// The operator, in a file.
    File,
    /// We do; the last was made then. None is made before there are terms that want one: the first
    /// random bytes take a process some 50 ms of its time, since the library gathers noise for them.
    Ours(Option<Instant>),
}

/// Tickets of one set of terms.
pub(super) struct Ticketer {
    tickets: Arc<Tickets>,
    context: Context,
    keys: RwLock<Made>,
}

/// Keys, and the secrets that they were made of.
type Made = (Arc<Vec<Secret>>, Arc<[Key]>);

/// Sessions of one set of terms.
pub(super) struct Sessions {
    all: Arc<ServerSessionMemoryCache>,
    context: Context,
}

struct Key {
    name: [u8; NAME_LEN],
    key: LessSafeKey,
}

// === impl Tickets ===

impl Default for Tickets {
    fn default() -> Self {
        Self {
            secrets: RwLock::default(),
            whose: Mutex::new(Whose::Ours(None)),
            sessions: ServerSessionMemoryCache::new(SESSIONS_MAX),
        }
    }
}

impl Tickets {
    /// Has these secrets of a file be used, or again some of our own.
    pub(super) fn set(&self, of_file: Option<Arc<Vec<Secret>>>) {
        let mut whose = self.whose.lock();
        match (of_file, &*whose) {
            (Some(secrets), _) => {
                *self.secrets.write() = secrets;
                *whose = Whose::File;
            }
            (None, Whose::File) => {
                *self.secrets.write() = Arc::default();
                *whose = Whose::Ours(None);
            }
            (None, Whose::Ours(_)) => {}
        }
    }

    /// The secrets of this moment, rotated if it is time.
    fn secrets(&self) -> Arc<Vec<Secret>> {
        let mut whose = self.whose.lock();
        if let Whose::Ours(made) = &mut *whose
            && made.is_none_or(|it| it.elapsed() >= ROTATE_EVERY)
            && let Some(secret) = fresh()
        {
            let mut secrets = self.secrets.write();
            let before = secrets.first().copied();
            *secrets = Arc::new([Some(secret), before].into_iter().flatten().collect());
            *made = Some(clock::instant());
        }
        Arc::clone(&self.secrets.read())
    }

    /// Tickets for terms of this hash.
    pub(super) fn ticketer(self: &Arc<Self>, context: Context) -> Arc<Ticketer> {
        // Now rather than in the first handshake.
        self.secrets();
        Arc::new(Ticketer {
            tickets: Arc::clone(self),
            context,
            keys: RwLock::new((Arc::default(), Arc::new([]))),
        })
    }

    /// Sessions for terms of this hash.
    pub(super) fn sessions(&self, context: Context) -> Arc<Sessions> {
        Arc::new(Sessions {
            all: Arc::clone(&self.sessions),
            context,
        })
    }
}

/// `None` when the system has no random bytes: then there are no tickets.
fn fresh() -> Option<Secret> {
    let mut secret = [0; 32];
    rand::fill(&mut secret).ok()?;
    Some(secret)
}

// === impl Ticketer ===

impl Ticketer {
    fn keys(&self) -> Arc<[Key]> {
        let secrets = self.tickets.secrets();
        {
            let keys = self.keys.read();
            if Arc::ptr_eq(&keys.0, &secrets) {
                return Arc::clone(&keys.1);
            }
        }
        let made = secrets.iter().filter_map(|it| Key::new(it, &self.context));
        let made: Arc<[Key]> = made.collect();
        *self.keys.write() = (secrets, Arc::clone(&made));
        made
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_SECS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys().first()?.seal(plain)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, _) = ticket.split_first_chunk::<NAME_LEN>()?;
        self.keys().iter().find(|it| it.name == *name)?.open(ticket)
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticketer")
    }
}

// === impl Key ===

impl Key {
    fn new(secret: &Secret, context: &Context) -> Option<Self> {
        let name = derived(secret, b"copal ticket name", context)?;
        let key = derived(secret, b"copal ticket key", context)?;
        let key = UnboundKey::new(&AES_256_GCM, &key).ok()?;
        Some(Self {
            name: *name.first_chunk()?,
            key: LessSafeKey::new(key),
        })
    }

    /// Name, nonce, sealed text, tag. A random nonce is good for 2^32 tickets a key.
    fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut text = plain.to_vec();
        let (aad, sealed) = (Aad::from(self.name), Nonce::assume_unique_for_key(nonce));
        self.key
            .seal_in_place_append_tag(sealed, aad, &mut text)
            .ok()?;
        Some([&self.name[..], &nonce, &text].concat())
    }

    fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = ticket.get(NAME_LEN..)?.split_first_chunk::<NONCE_LEN>()?;
        let mut text = sealed.to_vec();
        let (aad, nonce) = (Aad::from(self.name), Nonce::assume_unique_for_key(*nonce));
        let length = self.key.open_in_place(nonce, aad, &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

fn derived(secret: &Secret, label: &[u8], context: &Context) -> Option<[u8; 32]> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).ok()?;
    mac.update(label);
    mac.update(context);
    Some(mac.finalize().into_bytes().into())
}

// === impl Sessions ===

impl Sessions {
    fn key(&self, id: &[u8]) -> Vec<u8> {
        [id, &self.context].concat()
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        self.all.put(self.key(&id), session)
    }

    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.all.get(&self.key(id))
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.all.take(&self.key(id))
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_file(secrets: &[u8]) -> Option<Arc<Vec<Secret>>> {
        Some(Arc::new(secrets.iter().map(|it| [*it; 32]).collect()))
    }

    #[test]
    fn a_ticket_opens_under_its_own_terms_alone() {
        let tickets = Arc::new(Tickets::default());
        tickets.set(None);
        let (one, other) = (tickets.ticketer([1; 32]), tickets.ticketer([2; 32]));
        let ticket = one.encrypt(b"session").unwrap();
        assert_eq!(one.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(
            tickets.ticketer([1; 32]).decrypt(&ticket).as_deref(),
            Some(&b"session"[..])
        );
        assert_eq!(other.decrypt(&ticket), None);
        for at in 0..ticket.len() {
            let mut forged = ticket.clone();
            forged[at] ^= 1;
            assert_eq!(one.decrypt(&forged), None, "{at}");
            assert_eq!(one.decrypt(&ticket[..at]), None, "{at}");
        }
    }

    #[test]
    fn all_keys_of_a_file_open_and_the_first_seals() {
        let (here, there) = (Arc::new(Tickets::default()), Arc::new(Tickets::default()));
        here.set(of_file(&[1]));
        there.set(of_file(&[2, 1]));
        let (here_ticketer, there_ticketer) = (here.ticketer([0; 32]), there.ticketer([0; 32]));
        let old = here_ticketer.encrypt(b"a").unwrap();
        assert_eq!(there_ticketer.decrypt(&old).as_deref(), Some(&b"a"[..]));
        let new = there_ticketer.encrypt(b"b").unwrap();
        assert_eq!(here_ticketer.decrypt(&new), None);
        here.set(of_file(&[2, 1]));
        assert_eq!(here_ticketer.decrypt(&new).as_deref(), Some(&b"b"[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_of_our_own_rotate_and_the_one_before_opens() {
        let tickets = Arc::new(Tickets::default());
        tickets.set(None);
        let ticketer = tickets.ticketer([0; 32]);
        let ticket = ticketer.encrypt(b"a").unwrap();
        tokio::time::advance(ROTATE_EVERY).await;
        tickets.set(None);
        assert!(ticketer.decrypt(&ticket).is_some());
        assert_ne!(
            ticketer.encrypt(b"a").unwrap()[..NAME_LEN],
            ticket[..NAME_LEN]
        );
        tokio::time::advance(ROTATE_EVERY).await;
        assert!(ticketer.decrypt(&ticket).is_none());
    }
}
