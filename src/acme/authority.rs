//! A CA: our account with it, and the time for which it wants to be left alone.

use std::time::{Duration, SystemTime};

use instant_acme::{
    Account, AccountCredentials, CertificateIdentifier, Error, ExternalAccountKey, NewAccount,
};
use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{info, warn};

use super::caller::{BadRoots, Caller};
use super::disk::{AccountFile, Disk};
use super::schedule::Window;
use super::trouble::{Kind, Trouble};
use crate::clock;
use crate::config::AcmeAuthority;

/// Another process that makes the account is waited for, so often and so long.
const LOCK_TRIES: u32 = 150;
const LOCK_WAIT: Duration = Duration::from_millis(200);
/// A CA that says "too often" and not until when.
const REST: Duration = Duration::from_secs(3600);
/// None rests longer, whatever it says.
const REST_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// One CA.
pub(super) struct Authority {
    pub(super) config: AcmeAuthority,
    email: Option<String>,
    disk: Disk,
    caller: Caller,
    /// Once it has been asked for; dropped after trouble, for the directory is read with it.
    account: tokio::sync::Mutex<Option<Account>>,
    rest_until: Mutex<Option<SystemTime>>,
}

// === impl Authority ===

impl Authority {
    pub(super) fn new(
        config: &AcmeAuthority,
        email: Option<&str>,
        disk: &Disk,
    ) -> Result<Self, BadRoots> {
        Ok(Self {
            caller: Caller::trusting(&config.roots)?,
            config: config.clone(),
            email: email.map(str::to_owned),
            disk: disk.clone(),
            account: tokio::sync::Mutex::default(),
            rest_until: Mutex::default(),
        })
    }

    /// The name that it is known by: the host of its directory, with its port.
    pub(super) fn name(&self) -> &str {
        let url = self.config.directory.strip_prefix("https://");
        let url = url.unwrap_or(&self.config.directory);
        url.split('/').next().unwrap_or(url)
    }

    /// Our account, which is made where there is none.
    ///
    /// # Errors
    /// When it rests, or does not give one.
    pub(super) async fn account(&self) -> Result<Account, Trouble> {
        self.may_be_asked()?;
        let mut account = self.account.lock().await;
        if let Some(account) = &*account {
            return Ok(account.clone());
        }
        let opened = self.open_account().await.map_err(|it| self.noted(it))?;
        Ok(account.insert(opened).clone())
    }

    fn may_be_asked(&self) -> Result<(), Trouble> {
        let until = *self.rest_until.lock();
        match until.filter(|it| *it > clock::now()) {
            None => Ok(()),
            until => {
                let text = format!("{} has said that it is asked too often", self.name());
                Err(Trouble::new(Kind::RateLimited, text).resting(until))
            }
        }
    }

    /// What follows from trouble: whom it does not know is put aside, and its rest is kept.
    pub(super) fn noted(&self, trouble: Trouble) -> Trouble {
        let said = self.caller.take_rest();
        if trouble.kind != Kind::RateLimited {
            return trouble;
        }
        let now = clock::now();
        let until = said.unwrap_or(now + REST).clamp(now, now + REST_MAX);
        *self.rest_until.lock() = Some(until);
        trouble.resting(Some(until))
    }

    /// Forgets the account of this moment; with `is_gone` that on disk, too.
    pub(super) async fn forget_account(&self, is_gone: bool) {
        *self.account.lock().await = None;
        if is_gone {
            warn!(
                ca = self.name(),
                "the CA does not know our account any more; a new one is made"
            );
            let (disk, directory) = (self.disk.clone(), self.config.directory.clone());
            // Nothing of it is left to fail.
            let _ = spawn_blocking(move || disk.set_account_aside(&directory)).await;
        }
    }

    async fn open_account(&self) -> Result<Account, Trouble> {
        let _lock = self.lock().await?;
        let (disk, directory) = (self.disk.clone(), self.config.directory.clone());
        let known = spawn_blocking(move || disk.account(&directory))
            .await
            .map_err(Trouble::local)?;
        let builder = Account::builder_with_http(Box::new(self.caller.clone()));
        let Some(file) = known else {
            return self.create_account().await;
        };
        let copy = copied(&file.credentials);
        let account = builder.from_credentials(file.credentials).await?;
        if file.email != self.email {
            let contacts = self.contacts();
            let contacts: Vec<_> = contacts.iter().map(|it| &**it).collect();
            account.update_contacts(&contacts).await?;
            self.keep(copy?).await?;
        }
        Ok(account)
    }

    async fn create_account(&self) -> Result<Account, Trouble> {
        let builder = Account::builder_with_http(Box::new(self.caller.clone()));
        let contact = self.contacts();
        let contact: Vec<_> = contact.iter().map(|it| &**it).collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let eab = self.config.eab.as_ref();
        let eab = eab.map(|it| ExternalAccountKey::new(it.id.to_string(), &it.key()));
        let directory = self.config.directory.to_string();
        let (account, credentials) = builder.create(&new, directory, eab.as_ref()).await?;
        self.keep(credentials).await?;
        info!(ca = self.name(), "an account was made with the CA");
        Ok(account)
    }

    /// RFC 8555 §7.3: URLs "that the server can use to contact the client".
    fn contacts(&self) -> Vec<String> {
        self.email.iter().map(|it| format!("mailto:{it}")).collect()
    }

    async fn keep(&self, credentials: AccountCredentials) -> Result<(), Trouble> {
        let file = AccountFile {
            email: self.email.clone(),
            credentials,
        };
        let (disk, directory) = (self.disk.clone(), self.config.directory.clone());
        let kept = spawn_blocking(move || disk.keep_account(&directory, &file)).await;
        kept.map_err(Trouble::local)?.map_err(Trouble::local)
    }

    /// So that several processes make one account.
    async fn lock(&self) -> Result<std::fs::File, Trouble> {
        for _ in 0..LOCK_TRIES {
            let (disk, directory) = (self.disk.clone(), self.config.directory.clone());
            let locked = spawn_blocking(move || disk.lock(&directory)).await;
            if let Some(lock) = locked.map_err(Trouble::local)?.map_err(Trouble::local)? {
                return Ok(lock);
            }
            sleep(LOCK_WAIT).await;
        }
        Err(Trouble::local(
            "another process has been making the account for too long",
        ))
    }

    /// When it wants this certificate to be renewed, and when it is to be asked again; `None` where it
    /// has no opinion (RFC 9773).
    pub(super) async fn window(
        &self,
        id: &CertificateIdentifier<'_>,
    ) -> Result<Option<(Window, Duration)>, Trouble> {
        let account = self.account().await?;
        match account.renewal_info(id).await {
            Ok((info, again)) => {
                let window = Window {
                    start: info.suggested_window.start.into(),
                    end: info.suggested_window.end.into(),
                };
                if let Some(url) = info.explanation_url {
                    info!(
                        ca = self.name(),
                        url, "the CA explains when it wants a renewal"
                    );
                }
                Ok(Some((window, again)))
            }
            Err(Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(self.noted(error.into())),
        }
    }
}

/// The library has no other way.
fn copied(credentials: &AccountCredentials) -> Result<AccountCredentials, Trouble> {
    let text = serde_json::to_string(credentials).map_err(Trouble::local)?;
    serde_json::from_str(&text).map_err(Trouble::local)
}
