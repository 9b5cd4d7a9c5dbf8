//! `basic_auth`: users by their passwords (RFC 7617), from a file as htpasswd writes it.
//!
//! Not the proof of a password, which takes a tenth of a second and is the pipeline's.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use foldhash::quality::RandomState;
use http::HeaderValue;
use serde::Deserialize;
use toml::Spanned;

use crate::config::file;
use crate::config::limit::Rate;
use crate::config::report::{Given, Report};
use crate::config::text_or::TextOr;
use crate::config::units::{self, MIB, Period};
use crate::lists;

/// A hundred thousand users have so much.
const FILE_BYTES_MAX: u64 = 8 * MIB;

/// Each step doubles the work: this one takes some seconds of a processor for each login.
const COST_MAX: u32 = 15;

/// So many bad lines are told.
const LINES_TOLD_MAX: usize = 10;

/// Who may come in by a name and a password.
#[derive(Clone, PartialEq)]
pub struct BasicAuth {
    realm: Box<str>,
    /// What is asked of who has none: the value of WWW-Authenticate.
    pub challenge: HeaderValue,
    users: Users,
    /// The hash of one of them, which names that are not known are proved against.
    decoy: Box<str>,
    /// Whether the origin is told the credentials.
    pub forward: bool,
    /// How long a password that was right is taken for right without another proof.
    pub remember: Duration,
    /// How often one client may be wrong.
    pub failures: Rate,
}

/// Hashes by names.
type Users = HashMap<Box<str>, Box<str>, RandomState>;

/// `basic_auth` as a table.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawBasicAuth {
    users: Given<String>,
    realm: Given<String>,
    forward: bool,
    remember: Given<Period>,
    failures: Given<String>,
}

// === impl BasicAuth ===

impl BasicAuth {
    /// The hash that a user's password must have, and whether there is such a user: of another's name
    /// it is some hash as good as any, so that its proof takes as long.
    pub fn hash_of(&self, user: &str) -> (&str, bool) {
        let known = self.users.get(user);
        (known.unwrap_or(&self.decoy), known.is_some())
    }

    pub(super) fn in_words(&self) -> String {
        format!("realm {:?}, {} users", self.realm, self.users.len())
    }
}

/// Without the hashes.
impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words())
    }
}

/// What is written, or `base`.
pub(super) fn over(
    given: &Given<TextOr<RawBasicAuth>>,
    base: &Option<Arc<BasicAuth>>,
    report: &mut Report,
) -> Option<Arc<BasicAuth>> {
    let Some(written) = given else {
        return base.clone();
    };
    match written.get_ref() {
        TextOr::Text(text) if text == "off" => None,
        TextOr::Text(_) => {
            let text = "is a table, as { users = \"staff.htpasswd\" }, or \"off\"";
            report.at(written.span(), text);
            None
        }
        TextOr::Table(table) => match &table.users {
            Some(users) => table.resolve(users, report).map(Arc::new),
            None => {
                let text = "is missing; write the path of a file that `htpasswd -B` has made";
                report.missing(written.span(), "users", text);
                None
            }
        },
    }
}

// === impl RawBasicAuth ===

impl RawBasicAuth {
    /// `None` after a complaint.
    fn resolve(&self, path: &Spanned<String>, report: &mut Report) -> Option<BasicAuth> {
        let realm = self.realm.as_ref().map_or("restricted", |it| it.get_ref());
        let challenge = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
        let is_plain = |it: u8| (it.is_ascii_graphic() || it == b' ') && !b"\"\\".contains(&it);
        let challenge = HeaderValue::try_from(challenge).ok();
        let challenge = challenge.filter(|_| realm.bytes().all(is_plain));
        if let Some(realm) = self.realm.as_ref().filter(|_| challenge.is_none()) {
            let text = "is shown to people; write visible ASCII without `\"` and `\\`";
            report.at(realm.span(), text);
        }
        let failures = self.resolve_failures(report);
        let (users, decoy) = read_users(path, report)?;
        Some(BasicAuth {
            realm: realm.into(),
            challenge: challenge?,
            users,
            decoy,
            forward: self.forward,
            remember: units::period(&self.remember, Duration::from_secs(300)),
            failures,
        })
    }

    fn resolve_failures(&self, report: &mut Report) -> Rate {
        let base = Rate {
            count: 10,
            window: Duration::from_secs(60),
        };
        let Some(text) = &self.failures else {
            return base;
        };
        let complain = |complaint| report.at(text.span(), complaint);
        Rate::parse(text.get_ref())
            .map_err(complain)
            .unwrap_or(base)
    }
}

/// The users of a file, and a hash that takes as long to prove as any of theirs. `None` after a
/// complaint.
fn read_users(path: &Spanned<String>, report: &mut Report) -> Option<(Users, Box<str>)> {
    let text = match file::read_text(path.get_ref(), FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(complaint) => {
            report.at(path.span(), complaint);
            return None;
        }
    };
    let (mut users, mut slowest, mut bad) = (Users::default(), None, 0);
    for (line, entry) in lists::entries(&text) {
        match parse(entry) {
            Ok((user, hash, cost)) => {
                slowest = slowest.max(Some((cost, hash)));
                users.insert(user.into(), hash.into());
            }
            Err(complaint) if bad < LINES_TOLD_MAX => {
                bad += 1;
                report.in_file(&path.span(), path.get_ref(), line, complaint);
            }
            Err(_) => bad += 1,
        }
    }
    if users.is_empty() && bad == 0 {
        report.at(path.span(), "holds no user; add one with `htpasswd -B`");
    }
    slowest.map(|(_, hash)| (users, hash.into()))
}

/// Name, hash and its cost.
fn parse(entry: &str) -> Result<(&str, &str, u32), String> {
    let (user, hash) = entry
        .split_once(':')
        .ok_or("has no `:`; a line is `name:hash`, as `htpasswd -B` writes it")?;
    match hash.parse::<bcrypt::HashParts>() {
        Ok(parts) if parts.get_cost() > COST_MAX => Err(format!(
            "has a cost of {}, which takes seconds for each login; write {COST_MAX} at most, as \
             `htpasswd -B -C 10`",
            parts.get_cost()
        )),
        Ok(parts) if !user.is_empty() => Ok((user, hash, parts.get_cost())),
        Ok(_) => Err("has no name before its `:`".to_owned()),
        Err(_) => Err(
            "is no hash of bcrypt, the only kind that is taken; write it with `htpasswd -B`"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_and_a_hash() {
        let hash = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC";
        let line = format!("anna:{hash}");
        assert_eq!(parse(&line).unwrap(), ("anna", hash, 5));
        let slow = line.replace("$05$", "$16$");
        for bad in [
            "anna",
            ":",
            "anna:secret",
            "anna:$apr1$aaaaaaaa$bbbbbbbbbbbbbbbbbbbbbb",
            "anna:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=",
            &line[4..],
            &slow,
            &line[..40],
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
