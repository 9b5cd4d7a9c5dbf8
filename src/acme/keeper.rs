//! Keeper of one name: it sees to it that there is always a certificate that is good for long enough.
//!
//! When that is, is the schedule's to say; what an order is, the order's.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use instant_acme::CertificateIdentifier;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::ask::ask;
use super::authority::Authority;
use super::disk::Kept;
use super::order::{Issued, Wanted};
use super::schedule::{self, Lifetime, Window};
use super::trouble::{Kind, Trouble};
use super::work::{Work, part};
use crate::clock;
use crate::config::{AcmeChallenge, AcmeName};
use crate::telemetry::AcmeStatus;

/// How often it is looked whether another process has written a certificate.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// While another process is at it.
const LOOK_SOON: Duration = Duration::from_secs(1);
/// A CA whose opinion could not be had.
const ASK_AGAIN: Duration = Duration::from_secs(3600);
/// Opinions about all names are asked for at a rate of one a second, and within this in any case.
const ASK_WITHIN: Duration = Duration::from_secs(600);

/// For a name that a client has asked for so often is tried, until one asks for it again.
const DEMANDED_TRIES: u32 = 3;

/// What is known of one name.
pub(super) struct Keeper {
    work: Arc<Work>,
    name: AcmeName,
    kept: Option<Kept>,
    window: Option<Window>,
    /// When the CA is asked for its window.
    ask_at: SystemTime,
    /// Where in the time that there is this certificate is renewed.
    part: f64,
    failures: u32,
    /// Not before then.
    wait_until: SystemTime,
    trouble: Option<String>,
    /// When a file was written that is no good: that is told once.
    bad: Option<SystemTime>,
}

// === impl Keeper ===

impl Keeper {
    pub(super) fn new(work: &Arc<Work>, name: &AcmeName, kept: Option<Kept>) -> Self {
        let spread = Duration::from_secs(work.config.names.len() as u64).min(ASK_WITHIN);
        Self {
            work: Arc::clone(work),
            name: name.clone(),
            kept,
            window: None,
            ask_at: clock::now() + spread.mul_f64(part()),
            part: part(),
            failures: 0,
            wait_until: SystemTime::UNIX_EPOCH,
            trouble: None,
            bad: None,
        }
    }

    /// Keeps it for as long as the task lives, or the name may be had.
    pub(super) async fn run(mut self) {
        loop {
            let now = clock::now();
            if self.kept.is_some() && now >= self.ask_at {
                self.ask_for_window().await;
            }
            self.tell();
            if self.next() <= now {
                if !self.renew().await {
                    return;
                }
                continue;
            }
            let due = self.next().min(if self.kept.is_some() {
                self.ask_at
            } else {
                self.next()
            });
            let wait = due.duration_since(now).unwrap_or_default();
            sleep(wait.min(LOOK_EVERY)).await;
            self.look().await;
        }
    }

    /// When a CA is to be asked for a certificate.
    fn next(&self) -> SystemTime {
        let due = self.kept.as_ref().map_or(SystemTime::UNIX_EPOCH, |kept| {
            let lifetime = lifetime(kept);
            // A CA that wants back whatever it has just given must not get orders without end.
            let rested = kept.written + lifetime.wait_max();
            lifetime.renewal(self.window, self.part).max(rested)
        });
        due.max(self.wait_until)
    }

    /// Takes up what another process has written.
    async fn look(&mut self) {
        let (disk, name) = (self.work.disk.clone(), self.name.clone());
        let (known, bad) = (self.kept.as_ref().map(|it| it.written), self.bad);
        let read = move || match disk.written(&name) {
            written if written == known || written == bad => Ok(None),
            written => disk.certificate(&name).map_err(|why| (written, why)),
        };
        match spawn_blocking(read).await {
            Ok(Ok(Some(kept))) => self.take(kept),
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err((written, why))) => {
                self.bad = written;
                warn!(name = %self.name, why, "the file of a certificate is no good");
            }
        }
    }

    /// Serves this from now on.
    fn take(&mut self, kept: Kept) {
        self.window = None;
        self.ask_at = clock::now();
        self.part = part();
        self.failures = 0;
        self.trouble = None;
        self.wait_until = SystemTime::UNIX_EPOCH;
        self.work.serve([(self.name.clone(), kept.clone())]);
        self.kept = Some(kept);
    }

    async fn ask_for_window(&mut self) {
        let Some(kept) = self.kept.clone() else {
            return;
        };
        let now = clock::now();
        let issuer = self
            .work
            .authorities
            .iter()
            .find(|it| *it.config.directory == *kept.issuer);
        // Of one that has expired nobody is to ask (RFC 9773 §4.3).
        let issuer = issuer.filter(|_| now < kept.pair.not_after);
        let (Some(issuer), Some(id)) = (issuer, identifier(&kept)) else {
            self.ask_at = now + schedule::ask_again(Duration::MAX);
            return;
        };
        match issuer.window(&id).await {
            Ok(Some((window, again))) => {
                debug!(name = %self.name, ?window, "the CA has said when it wants a renewal");
                self.window = Some(window);
                self.ask_at = now + schedule::ask_again(again);
            }
            Ok(None) => self.ask_at = now + schedule::ask_again(Duration::MAX),
            Err(trouble) => {
                debug!(name = %self.name, %trouble, "the CA has not said when it wants a renewal");
                self.ask_at = now + ASK_AGAIN.mul_f64(0.75 + part() / 2.0);
            }
        }
    }

    /// Gets a certificate, or takes up that of another process; false when the name may not be had
    /// any more.
    async fn renew(&mut self) -> bool {
        let work = Arc::clone(&self.work);
        // Never closed.
        let Ok(_turn) = work.orders.acquire().await else {
            return false;
        };
        let (disk, name) = (self.work.disk.clone(), self.name.to_string());
        let locked = spawn_blocking(move || {
            disk.can_keep()?;
            disk.lock(&name).map_err(|it| it.to_string())
        });
        let lock = match locked.await {
            Ok(Ok(Some(lock))) => lock,
            Ok(Ok(None)) => {
                self.wait_until = clock::now() + LOOK_SOON;
                return true;
            }
            Ok(Err(error)) => return self.failed(&Trouble::local(error)),
            Err(error) => return self.failed(&Trouble::local(error)),
        };
        self.look().await;
        if self.next() > clock::now() {
            return true;
        }
        if !self.may_be_had().await {
            info!(name = %self.name, "the name may not be had any more, and is served no more");
            self.work.leave(&self.name);
            return false;
        }
        self.order_from_each().await;
        drop(lock);
        let is_hopeless = self.kept.is_none() && self.failures >= DEMANDED_TRIES;
        if is_hopeless && !self.work.is_configured(&self.name) {
            info!(name = %self.name, "no CA gives a certificate for a name that a client has asked for");
            self.work.leave(&self.name);
            return false;
        }
        true
    }

    /// Whoever has been asked once for a name that clients bring is asked again.
    async fn may_be_had(&self) -> bool {
        let Some(rules) = &self.work.config.on_demand else {
            return true;
        };
        self.work.is_configured(&self.name)
            || self.kept.is_none()
            // Nobody who says no is no no.
            || ask(rules, &self.name, None).await != Some(false)
    }

    async fn order_from_each(&mut self) {
        let work = Arc::clone(&self.work);
        let mut last = Trouble::local("no CA is configured");
        // The CA that may be asked first says when.
        let mut rest_until = None;
        for (number, authority) in work.authorities.iter().enumerate() {
            let ca = authority.name();
            match self.order_from(authority).await {
                Ok(()) => {
                    work.telemetry.acme.ordered(ca, "issued");
                    let until = self.kept.as_ref().map(|it| it.pair.not_after);
                    let until = until.map(httpdate::fmt_http_date).unwrap_or_default();
                    info!(name = %self.name, ca, until, "a certificate was issued");
                    return;
                }
                Err(trouble) => {
                    work.telemetry.acme.ordered(ca, trouble.kind.as_str());
                    warn!(name = %self.name, ca, why = %trouble, "the CA gave no certificate");
                    rest_until = match number {
                        0 => trouble.rest_until,
                        _ => rest_until.min(trouble.rest_until),
                    };
                    last = trouble;
                }
            }
        }
        self.failed(&last.resting(rest_until));
    }

    /// Twice at most: an account that the CA has forgotten is made anew.
    async fn order_from(&mut self, authority: &Authority) -> Result<(), Trouble> {
        let issued = match self.try_order(authority).await {
            Err(trouble) if trouble.kind == Kind::Account => self.try_order(authority).await?,
            tried => tried?,
        };
        let (disk, name) = (self.work.disk.clone(), self.name.clone());
        let issuer = authority.config.directory.clone();
        let kept = spawn_blocking(move || {
            disk.keep(&name, &issuer, &issued.chain, &issued.key)
                .map_err(|it| it.to_string())?;
            disk.certificate(&name)
        });
        let kept = kept
            .await
            .map_err(Trouble::local)?
            .map_err(Trouble::local)?;
        let kept = kept.ok_or_else(|| Trouble::local("the certificate vanished from the disk"))?;
        self.take(kept);
        Ok(())
    }

    async fn try_order(&self, authority: &Authority) -> Result<Issued, Trouble> {
        let ordered = match authority.account().await {
            Ok(account) => {
                let challenges = self.challenges();
                let wanted = Wanted {
                    name: &self.name,
                    challenges: &challenges,
                    profile: authority.config.profile.as_deref(),
                    replaces: self.replaced(authority),
                };
                wanted.order(&account, &self.work.challenges).await
            }
            Err(trouble) if trouble.kind == Kind::RateLimited => return Err(trouble),
            Err(trouble) => Err(trouble),
        };
        match ordered {
            Ok(issued) => Ok(issued),
            Err(trouble) => {
                let trouble = authority.noted(trouble);
                authority
                    .forget_account(trouble.kind == Kind::Account)
                    .await;
                Err(trouble)
            }
        }
    }

    /// Another one first after each failure: it may be that one port alone is ours.
    fn challenges(&self) -> Vec<AcmeChallenge> {
        let mut all = self.work.config.challenges.clone();
        let count = all.len().max(1);
        all.rotate_left(self.failures as usize % count);
        all
    }

    fn replaced(&self, authority: &Authority) -> Option<CertificateIdentifier<'static>> {
        let kept = self.kept.as_ref()?;
        let is_theirs = *kept.issuer == *authority.config.directory;
        is_theirs.then(|| identifier(kept)).flatten()
    }

    /// Waits longer than the last time. True, for the name is kept.
    fn failed(&mut self, trouble: &Trouble) -> bool {
        self.failures = self.failures.saturating_add(1);
        let max = self.kept.as_ref().map(|it| lifetime(it).wait_max());
        let wait = schedule::wait(self.failures, self.work.config.retry, max, part());
        let now = clock::now();
        self.wait_until = trouble.rest_until.unwrap_or(now).max(now + wait);
        self.trouble = Some(trouble.to_string());
        self.work.note_failure(&self.name);
        let again = httpdate::fmt_http_date(self.wait_until);
        warn!(name = %self.name, failures = self.failures, again, "there is no new certificate");
        true
    }

    fn tell(&self) {
        let kept = self.kept.as_ref();
        let status = AcmeStatus {
            not_after: kept.map(|it| it.pair.not_after),
            issuer: kept.map(|it| it.issuer.clone()),
            next: Some(self.next().max(clock::now())),
            failures: self.failures,
            trouble: self.trouble.clone(),
        };
        self.work.telemetry.acme.set(&self.name.to_string(), status);
    }
}

fn lifetime(kept: &Kept) -> Lifetime {
    Lifetime {
        from: kept.pair.not_before,
        until: kept.pair.not_after,
    }
}

/// RFC 9773 §4.1.
fn identifier(kept: &Kept) -> Option<CertificateIdentifier<'static>> {
    let certificate = kept.pair.certified.cert.first()?;
    Some(
        CertificateIdentifier::try_from(certificate)
            .ok()?
            .into_owned(),
    )
}
