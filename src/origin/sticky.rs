//! Sticky-session cookie, by which a client comes back to its server: what it says, and how it is
//! signed.
//!
//! `SERVER.EXPIRY.SIGNATURE`, all of it hexadecimal. The server stands there by a name that tells
//! nothing of its address; a cookie that we have not signed, or that is too old, is no cookie. It
//! is between the client and us: taken out of requests, and only put into responses that are passed
//! to one client and not stored.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use http::header::HeaderValue;
use sha2::Sha256;

use super::hint::Belongs;
use super::peer::Peer;
use super::roster::Roster;
use crate::config;
use crate::semantics::cookies;

/// Letters of a server's name, and of a signature: 64 and 128 bits.
const NAME_LETTERS: usize = 16;
const SIGNATURE_LETTERS: usize = 32;

/// How a pool's cookies are made.
pub(super) struct Sticky {
    /// Its name.
    cookie: String,
    signer: Hmac<Sha256>,
    ttl: Duration,
    origin: String,
}

/// What a good cookie says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said<'a> {
    name: &'a str,
    is_old: bool,
}

// === impl Sticky ===

impl Sticky {
    /// `None` where none is configured.
    pub(super) fn new(origin: &config::Origin) -> Option<Self> {
        let config = origin.sticky.as_ref()?;
        // A key of any length is one (RFC 2104 §2).
        let signer = Hmac::new_from_slice(config.secret.expose().as_bytes()).ok()?;
        Some(Self {
            cookie: config.cookie.clone(),
            signer,
            ttl: config.ttl,
            origin: origin.name.to_string(),
        })
    }

    /// What a server is called in cookies.
    pub(super) fn nickname(&self, authority: &str) -> Box<str> {
        let mut name = self.sign("server", authority);
        name.truncate(NAME_LETTERS);
        name.into()
    }

    /// Takes our cookie out of a request's fields; the server that it names, if it is good.
    pub(super) fn take(
        &self,
        roster: impl FnOnce() -> Arc<Roster>,
        fields: &mut HeaderMap,
        now: SystemTime,
    ) -> Option<Belongs> {
        let cookie = cookies::named(fields, &self.cookie).next()?;
        let said = std::str::from_utf8(cookie.1)
            .ok()
            .and_then(|value| self.read(value, now));
        let belongs = said.and_then(|it| named(&roster(), &it));
        cookies::remove(fields, &self.cookie);
        belongs
    }

    /// The `Set-Cookie` for a client that `server` has answered, if it needs one.
    pub(super) fn cookie(
        &self,
        roster: &Roster,
        server: &str,
        had: Option<Belongs>,
        now: SystemTime,
        is_secure: bool,
    ) -> Option<HeaderValue> {
        let is_it = |peer: &Peer| **peer.authority() == *server;
        let (peer, candidate) = roster.candidates().find(|(peer, _)| is_it(peer))?;
        if had.is_some_and(|it| it.id == candidate.id() && !it.is_old) {
            return None;
        }
        let value = self.write(peer.nickname.as_deref()?, now)?;
        let name = &self.cookie;
        let (ttl, secure) = (self.ttl.as_secs(), if is_secure { "; Secure" } else { "" });
        let text = format!("{name}={value}; Path=/; Max-Age={ttl}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::try_from(text).ok()
    }

    /// The signature of a text that is there for some purpose.
    fn sign(&self, purpose: &str, text: &str) -> String {
        let signature = self.signed(purpose, text).finalize().into_bytes();
        let mut letters = String::with_capacity(2 * signature.len());
        for byte in signature {
            // Writing to a string does not fail.
            let _ = write!(letters, "{byte:02x}");
        }
        letters.truncate(SIGNATURE_LETTERS);
        letters
    }

    fn signed(&self, purpose: &str, text: &str) -> Hmac<Sha256> {
        let mut signer = self.signer.clone();
        // None of the parts holds a line end.
        for part in [purpose, "\n", &self.origin, "\n", text] {
            signer.update(part.as_bytes());
        }
        signer
    }

    fn write(&self, nickname: &str, now: SystemTime) -> Option<String> {
        let ends = now.checked_add(self.ttl)?.duration_since(UNIX_EPOCH).ok()?;
        let said = format!("{nickname}.{:x}", ends.as_secs());
        let signature = self.sign("cookie", &said);
        Some(format!("{said}.{signature}"))
    }

    fn read<'a>(&self, value: &'a str, now: SystemTime) -> Option<Said<'a>> {
        let (said, signature) = value.rsplit_once('.')?;
        let signature = bytes_of(signature)?;
        let checked = self.signed("cookie", said);
        // In constant time.
        checked.verify_truncated_left(&signature).ok()?;
        let (name, ends) = said.split_once('.')?;
        let ends =
            UNIX_EPOCH.checked_add(Duration::from_secs(u64::from_str_radix(ends, 16).ok()?))?;
        let left = ends.duration_since(now).ok()?;
        Some(Said {
            name,
            is_old: left < self.ttl / 2,
        })
    }
}

fn named(roster: &Roster, said: &Said<'_>) -> Option<Belongs> {
    let is_it = |peer: &Peer| peer.nickname.as_deref() == Some(said.name);
    let (_, candidate) = roster.candidates().find(|(peer, _)| is_it(peer))?;
    Some(Belongs {
        id: candidate.id(),
        is_old: said.is_old,
    })
}

/// A whole signature's bytes: a shorter one would be easier to guess.
fn bytes_of(letters: &str) -> Option<Vec<u8>> {
    let is_letter = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    if letters.len() != SIGNATURE_LETTERS || !letters.bytes().all(is_letter) {
        return None;
    }
    let pairs = (0..SIGNATURE_LETTERS).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(letters.get(at..at + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sticky(secret: &str) -> Sticky {
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:0\"\n[origins.x]\n\
             servers = [\"http://a\", \"http://b\"]\n\
             sticky = {{ secret = \"{secret}\", ttl = \"100s\" }}\n\
             [[site]]\nhosts = [\"*\"]\norigin = \"x\"\n"
        );
        let config = config::parse(&text, "f").expect("a configuration");
        Sticky::new(&config.origins["x"]).expect("a sticky origin")
    }

    fn at(secs: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + secs)
    }

    #[test]
    fn a_cookie_names_its_server_until_it_is_too_old() {
        let sticky = sticky("a secret nobody knows");
        let name = sticky.nickname("b:80");
        let value = sticky.write(&name, at(0)).unwrap();
        assert!(!value.contains("b:80"));
        for (secs, found) in [
            (0, Some(false)),
            (50, Some(false)),
            (51, Some(true)),
            (101, None),
        ] {
            let name = &*name;
            let said = found.map(|is_old| Said { name, is_old });
            assert_eq!(sticky.read(&value, at(secs)), said, "after {secs} s");
        }
    }

    #[test]
    fn what_we_have_not_signed_is_no_cookie() {
        let sticky = sticky("a secret nobody knows");
        let other = super::tests::sticky("another that they know");
        let value = sticky.write("a", at(0)).unwrap();
        let (said, signature) = value.rsplit_once('.').unwrap();
        let longer = said.replace('.', ".f");
        for forged in [
            String::new(),
            "..".to_owned(),
            other.write("a", at(0)).unwrap(),
            format!("{longer}.{signature}"),
            format!("{said}.{}", &signature[..30]),
            format!("{said}."),
            format!("{said}.{}", "0".repeat(32)),
            format!("{said}.{}", "é".repeat(16)),
            value.to_uppercase(),
        ] {
            assert_eq!(sticky.read(&forged, at(0)), None, "{forged}");
        }
        assert!(sticky.read(&value, at(0)).is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,60}") {
            prop_assert_eq!(sticky("a secret nobody knows").read(&text, at(0)), None);
        }
    }
}
