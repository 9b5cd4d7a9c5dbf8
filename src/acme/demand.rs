//! Demand for names that nobody has configured: whether one may be had is asked, and all is bounded.
//!
//! Without the bounds anybody who can open a connection could have a CA refuse us for a week.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::ask::ask;
use super::keeper::Keeper;
use super::work::Work;
use crate::clock::{self, Instant};
use crate::config::{AcmeName, OnDemand};

/// Questions under way at once.
const ASKS_AT_ONCE: usize = 16;
/// Names, and clients, that are remembered.
const MEMORY_MAX: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What clients want that nobody has configured.
#[derive(Clone, Default)]
pub struct Demand(Arc<RwLock<Option<Arc<Desk>>>>);

/// Where it is decided.
pub(super) struct Desk {
    work: Arc<Work>,
    rules: OnDemand,
    asks: Semaphore,
    /// Names that may not be had.
    refused: Mutex<Memory<AcmeName>>,
    clients: Mutex<HashMap<IpAddr, (Instant, usize)>>,
    /// When the orders of the last hour began.
    begun: Mutex<VecDeque<Instant>>,
}

/// What is so until an instant; bounded.
struct Memory<T>(HashMap<T, Instant>);

// === impl Demand ===

impl Demand {
    /// From here on names are decided there, or nowhere.
    pub(super) fn decide_at(&self, desk: Option<Desk>) {
        *self.0.write() = desk.map(Arc::new);
    }

    /// Whether there is any use in wanting a name.
    pub fn is_heard(&self) -> bool {
        self.0.read().is_some()
    }

    /// Waits until there is a certificate for `name`, which `client` asks for, or it is known that
    /// there will be none. It takes as long as a CA does: bounded by whoever waits.
    pub async fn want(&self, name: &str, client: IpAddr) {
        let desk = self.0.read().clone();
        if let (Some(desk), Ok(name @ AcmeName::Dns(_))) = (desk, AcmeName::parse(name)) {
            desk.want(&name, client).await;
        }
    }
}

// === impl Desk ===

impl Desk {
    pub(super) fn new(work: &Arc<Work>, rules: &OnDemand) -> Self {
        Self {
            work: Arc::clone(work),
            rules: rules.clone(),
            asks: Semaphore::new(ASKS_AT_ONCE),
            refused: Mutex::new(Memory(HashMap::new())),
            clients: Mutex::default(),
            begun: Mutex::default(),
        }
    }

    async fn want(&self, name: &AcmeName, client: IpAddr) {
        if !self.work.is_configured(name) && !self.work.is_kept(name) {
            match self.may_be_ordered(name, client).await {
                Ok(()) => {
                    let (work, name) = (Arc::clone(&self.work), name.clone());
                    let keeper = Keeper::new(&work, &name, None);
                    work.keep(&name, || keeper.run());
                }
                Err(why) => {
                    debug!(%name, %client, why, "no certificate is fetched for a name");
                    return;
                }
            }
        }
        loop {
            let changed = self.work.changed.notified();
            if self.work.is_decided(name) {
                return;
            }
            changed.await;
        }
    }

    async fn may_be_ordered(&self, name: &AcmeName, client: IpAddr) -> Result<(), &'static str> {
        let now = clock::instant();
        if name.not_public().is_some() && self.work.config.is_public() {
            return Err("no public CA gives one");
        }
        if self.refused.lock().has(name, now) {
            return Err("it was refused a while ago");
        }
        if !self.counts(client, now) {
            return Err("the client has asked for too many names");
        }
        if self.work.count() >= self.rules.names_max {
            warn!(
                max = self.rules.names_max,
                "no more names are served on demand: `names_max`"
            );
            return Err("there are too many names");
        }
        let asked = match self.asks.try_acquire() {
            Ok(_place) => ask(&self.rules, name, Some(client)).await,
            Err(_) => return Err("too many names are being asked about"),
        };
        match asked {
            Some(true) if self.begins(clock::instant()) => Ok(()),
            Some(true) => Err("too many orders were begun within an hour"),
            Some(false) => {
                self.refused
                    .lock()
                    .add(name.clone(), now, self.rules.remember_no);
                Err("it is none of ours")
            }
            None => Err("whoever knows our names has not answered"),
        }
    }

    /// Whether a client may ask for one more.
    fn counts(&self, client: IpAddr, now: Instant) -> bool {
        let mut clients = self.clients.lock();
        if clients.len() >= MEMORY_MAX && !clients.contains_key(&client) {
            clients.retain(|_, (since, _)| now - *since < MINUTE);
            if clients.len() >= MEMORY_MAX {
                return false;
            }
        }
        let (since, count) = clients.entry(client).or_insert((now, 0));
        if now - *since >= MINUTE {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= self.rules.asks_per_client
    }

    /// Whether one more order may begin.
    fn begins(&self, now: Instant) -> bool {
        let mut begun = self.begun.lock();
        while begun.front().is_some_and(|it| now - *it >= HOUR) {
            begun.pop_front();
        }
        let may = begun.len() < self.rules.orders_per_hour;
        if may {
            begun.push_back(now);
        }
        may
    }
}

// === impl Memory ===

impl<T: Eq + Hash> Memory<T> {
    fn has(&self, it: &T, now: Instant) -> bool {
        self.0.get(it).is_some_and(|until| *until > now)
    }

    fn add(&mut self, it: T, now: Instant, time: Duration) {
        if self.0.len() >= MEMORY_MAX {
            self.0.retain(|_, until| *until > now);
        }
        // What finds no room is asked about again, and that is bounded, too.
        if self.0.len() < MEMORY_MAX {
            self.0.insert(it, now + time);
        }
    }
}
