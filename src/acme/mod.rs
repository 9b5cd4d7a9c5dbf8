//! Certificates from CAs by ACME (RFC 8555): ordered, proved, kept on disk, renewed in time.
//!
//! One [`Acme`] for the process. What is on disk is served at once, whatever a CA does meanwhile. Not
//! the choice of a certificate for a handshake, nor files that the operator brings.

mod caller;
mod disk;
mod schedule;
mod trouble;

mod challenges;

mod authority;
mod order;

mod ask;
mod work;

mod demand;
mod keeper;

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::{info, warn};

pub use caller::BadRoots;
pub use challenges::Challenges;
pub use demand::Demand;
pub use disk::NoStorage;
pub use work::Feed;

use crate::config::{self, AcmeName, Config};
use crate::telemetry::Telemetry;
use authority::Authority;
use demand::Desk;
use disk::{Disk, Kept};
use keeper::Keeper;
use work::Work;

/// What listeners ask of it: whoever accepts a connection holds it before there is an [`Acme`].
#[derive(Clone, Default)]
pub struct Hatch {
    /// What CAs are to see.
    pub challenges: Challenges,
    /// What clients want.
    pub demand: Demand,
}

/// Certificates of the configuration in force.
pub struct Acme {
    hatch: Hatch,
    telemetry: Arc<Telemetry>,
    feed: Feed,
    in_force: Mutex<Option<Arc<Work>>>,
}

/// How it will be: the folder is open, and what it holds is read.
pub struct Plan(Change);

enum Change {
    Nothing,
    /// No CA is asked for anything.
    Off,
    To(Box<Work>, Vec<(AcmeName, Kept)>),
}

/// What keeps certificates from being fetched at all.
#[derive(Debug, thiserror::Error)]
pub enum Impossible {
    /// There is nowhere to keep them.
    #[error(transparent)]
    NoStorage(#[from] NoStorage),
    /// None is to be trusted.
    #[error(transparent)]
    BadRoots(#[from] BadRoots),
}

// === impl Acme ===

impl Acme {
    /// Without a configuration as yet. Certificates are handed to `feed`, all of them each time.
    pub fn new(hatch: Hatch, telemetry: &Arc<Telemetry>, feed: Feed) -> Self {
        Self {
            hatch,
            telemetry: Arc::clone(telemetry),
            feed,
            in_force: Mutex::default(),
        }
    }

    /// Opens the folder and reads what it holds. For a thread that may wait.
    ///
    /// # Errors
    /// [`Impossible`]; nothing has changed then.
    pub fn plan(&self, config: &Config) -> Result<Plan, Impossible> {
        let in_force = self.in_force.lock();
        let known = in_force.as_ref().map(|it| &it.config);
        let change = match &config.acme {
            wanted if wanted.as_ref() == known => Change::Nothing,
            None => Change::Off,
            Some(wanted) => {
                let work = self.work(wanted)?;
                let kept = kept(&work);
                Change::To(Box::new(work), kept)
            }
        };
        Ok(Plan(change))
    }

    fn work(&self, wanted: &config::Acme) -> Result<Work, Impossible> {
        let disk = Disk::open(wanted.storage.as_deref())?;
        let email = wanted.email.as_deref();
        let authorities = wanted
            .authorities
            .iter()
            .map(|it| Authority::new(it, email, &disk));
        let authorities = authorities.collect::<Result<_, _>>()?;
        let challenges = self.hatch.challenges.clone();
        let feed = Arc::clone(&self.feed);
        Ok(Work::new(
            wanted.clone(),
            disk,
            authorities,
            challenges,
            &self.telemetry,
            feed,
        ))
    }

    /// Puts it in force. Within a runtime.
    pub fn carry_out(&self, plan: Plan) {
        let mut in_force = self.in_force.lock();
        let (work, kept) = match plan.0 {
            Change::Nothing => return,
            Change::Off => (None, Vec::new()),
            Change::To(work, kept) => (Some(Arc::new(*work)), kept),
        };
        if let Some(before) = in_force.take() {
            before.stop();
        }
        self.hatch
            .challenges
            .stand_in(work.as_ref().map(|it| it.disk.challenges()));
        match &work {
            Some(work) => self.begin(work, kept),
            None => {
                self.hatch.demand.decide_at(None);
                (self.feed)(Vec::new());
            }
        }
        *in_force = work;
    }

    fn begin(&self, work: &Arc<Work>, kept: Vec<(AcmeName, Kept)>) {
        let (folder, names) = (
            work.disk.root().display().to_string(),
            work.config.names.len(),
        );
        info!(
            folder,
            names,
            found = kept.len(),
            "certificates are kept by ACME"
        );
        let find = |name: &AcmeName| kept.iter().find(|it| it.0 == *name).map(|it| it.1.clone());
        work.serve(kept.iter().cloned());
        let found = kept
            .iter()
            .map(|it| &it.0)
            .filter(|it| !work.is_configured(it));
        for name in work.config.names.iter().chain(found) {
            let keeper = Keeper::new(work, name, find(name));
            work.keep(name, || keeper.run());
        }
        let desk = work
            .config
            .on_demand
            .as_ref()
            .map(|rules| Desk::new(work, rules));
        self.hatch.demand.decide_at(desk);
    }
}

/// What there is on disk for names that are wanted, or have been.
fn kept(work: &Work) -> Vec<(AcmeName, Kept)> {
    let mut names = work.config.names.clone();
    if let Some(rules) = &work.config.on_demand {
        let found = work.disk.names(rules.names_max);
        names.extend(found.into_iter().filter(|it| !work.is_configured(it)));
    }
    let kept = names
        .into_iter()
        .filter_map(|name| match work.disk.certificate(&name) {
            Ok(kept) => Some((name, kept?)),
            Err(why) => {
                warn!(%name, why, "the file of a certificate is no good; a new one is fetched");
                None
            }
        });
    kept.collect()
}
