//! Access to the admin listener: who may ask for what, and how often.
//!
//! A token opens the parts that it was given. Where none is configured, everybody who reaches the
//! listener may do everything; but no web page in an operator's browser.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{
    AUTHORIZATION, HOST, HeaderMap, HeaderValue, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::uri::Authority;
use http::{StatusCode, Uri};
use parking_lot::{Mutex, RwLock};
use subtle::ConstantTimeEq;

use super::answer::{Answer, text};
use super::{CHALLENGE, NAME, NAME_REFUSED};
use crate::clock::{self, Instant};
use crate::config::{self, AdminToken, Rate, Scope, Secret};

/// Who it was, where there is no token; or the one that opens everything.
const NOBODY: &str = "-";
const OPERATOR: &str = "token";

/// What requests are admitted by. A reload changes it for open connections too.
pub(super) struct Access {
    /// Held for a look or a change.
    keys: RwLock<Keys>,
    bucket: Mutex<Bucket>,
}

struct Keys {
    /// It opens everything.
    token: Option<Secret>,
    tokens: Vec<AdminToken>,
    rate: Rate,
}

/// How many more calls there may be at a moment.
struct Bucket {
    left: f64,
    at: Instant,
}

// === impl Access ===

impl Access {
    pub(super) fn new(config: &config::Admin) -> Self {
        Self {
            bucket: Mutex::new(Bucket {
                left: f64::from(config.rate.count),
                at: clock::instant(),
            }),
            keys: RwLock::new(Keys::of(config)),
        }
    }

    pub(super) fn change(&self, config: &config::Admin) {
        *self.keys.write() = Keys::of(config);
    }

    /// Whose request it is, if it may ask for what is in this scope; or what it is told.
    pub(super) fn admit(
        &self,
        fields: &HeaderMap,
        uri: &Uri,
        scope: Scope,
    ) -> Result<Arc<str>, Box<Answer>> {
        let keys = self.keys.read();
        if is_from_another_site(fields, keys.are_wanted()) {
            return Err(text(StatusCode::FORBIDDEN, "not from another site\n").into());
        }
        let who = match keys.are_wanted() {
            false if is_asked_for_here(fields, uri) => NOBODY.into(),
            false => return Err(misdirected().into()),
            true => keys.who(fields.get(AUTHORIZATION), scope)?,
        };
        match self.bucket.lock().take(keys.rate) {
            true => Ok(who),
            false => Err(too_often().into()),
        }
    }
}

// === impl Keys ===

impl Keys {
    fn of(config: &config::Admin) -> Self {
        Self {
            token: config.token.clone(),
            tokens: config.tokens.clone(),
            rate: config.rate,
        }
    }

    fn are_wanted(&self) -> bool {
        self.token.is_some() || !self.tokens.is_empty()
    }

    fn who(&self, given: Option<&HeaderValue>, scope: Scope) -> Result<Arc<str>, Box<Answer>> {
        let given = given.and_then(|it| bearer(it.as_bytes()));
        let Some(given) = given else {
            return Err(challenged().into());
        };
        let is = |token: &Secret| given.ct_eq(token.expose().as_bytes()).into();
        if self.token.as_ref().is_some_and(is) {
            return Ok(OPERATOR.into());
        }
        // All are looked at, however early one is found.
        let found = self
            .tokens
            .iter()
            .fold(None, |found, it| match is(&it.token) {
                true => Some(it),
                false => found,
            });
        match found {
            Some(token) if token.scopes.contains(&scope) => Ok(Arc::clone(&token.name)),
            Some(_) => Err(beyond(scope).into()),
            None => Err(challenged().into()),
        }
    }
}

// === impl Bucket ===

impl Bucket {
    /// Whether one more call may be made. It holds as many as come in the rate's time.
    fn take(&mut self, rate: Rate) -> bool {
        let (now, max) = (clock::instant(), f64::from(rate.count));
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        let more = passed * max / rate.window.as_secs_f64();
        self.at = now;
        self.left = (self.left + more).min(max);
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

/// The credentials of RFC 6750 §2.1.
fn bearer(given: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = given.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(rest)
}

fn challenged() -> Answer {
    let mut refused = text(
        StatusCode::UNAUTHORIZED,
        "a bearer token is wanted; for people there is /dashboard\n",
    );
    let challenge = HeaderValue::from_static(CHALLENGE);
    refused.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    refused
}

/// RFC 6750 §3.1: "insufficient_scope: The request requires higher privileges than provided by the access
/// token. The resource server SHOULD respond with the HTTP 403 (Forbidden) status code and MAY include
/// the "scope" attribute with the scope necessary to access the protected resource."
fn beyond(scope: Scope) -> Answer {
    let scope = scope.as_str();
    let told = format!("this token has not the scope \"{scope}\"\n");
    let mut refused = text(StatusCode::FORBIDDEN, &told);
    let challenge = format!("{CHALLENGE}, error=\"insufficient_scope\", scope=\"{scope}\"");
    if let Ok(challenge) = HeaderValue::try_from(challenge) {
        refused.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    refused
}

fn too_often() -> Answer {
    let told = "more calls than `rate` of [admin] has; try again in a second\n";
    let mut refused = text(StatusCode::TOO_MANY_REQUESTS, told);
    let soon = HeaderValue::from_static("1");
    refused.headers_mut().insert(RETRY_AFTER, soon);
    refused
}

/// A page of some other site in the operator's browser must not reach through from its own origin.
/// Only browsers say whence they come, and they do for all that changes something. A name that is no
/// machine's own is good enough for the dashboard's requests where they carry a token: a site that has
/// led its name here does not know it.
fn is_from_another_site(fields: &HeaderMap, has_token: bool) -> bool {
    let Some(origin) = fields.get(ORIGIN) else {
        return false;
    };
    let from = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.parse::<Uri>().ok());
    let from = from.as_ref().and_then(Uri::authority);
    let is_here = from.is_some_and(|from| {
        let own = fields.get(HOST).map(HeaderValue::as_bytes);
        (has_token || is_local(from)) && own == Some(from.as_str().as_bytes())
    });
    !is_here
}

/// Nor may it under a name of its own that it has lead here (DNS rebinding): to the browser that is
/// the page's own site, and a GET does not say whence it comes. All browsers name a Host.
fn is_asked_for_here(fields: &HeaderMap, uri: &Uri) -> bool {
    let named = |host: &HeaderValue| {
        let authority = Authority::try_from(host.as_bytes());
        authority.is_ok_and(|it| is_local(&it))
    };
    let mut hosts = fields.get_all(HOST).iter();
    hosts.all(named) && uri.authority().is_none_or(is_local)
}

/// Whether nobody but this machine can have it lead here: an address, or localhost and the names
/// below it, which DNS is not asked for (RFC 6761 §6.3).
fn is_local(authority: &Authority) -> bool {
    let name = authority.host();
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let domain = name.rsplit('.').next().unwrap_or(name);
    name.parse::<IpAddr>().is_ok() || domain.eq_ignore_ascii_case("localhost")
}

/// RFC 9110 §15.5.20: the server "is unable or unwilling to produce an authoritative response for the
/// target URI".
fn misdirected() -> Answer {
    let told = format!("{NAME}: {NAME_REFUSED}\n");
    text(StatusCode::MISDIRECTED_REQUEST, &told)
}
