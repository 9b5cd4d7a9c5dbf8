//! TLS of clients: the certificates they are shown, those they must show, and the handshake.
//!
//! One [`Tls`] for the whole process, which outlives every reload, so that sessions are resumed
//! after it as before. A listener has an [`Acceptor`], whose terms are put in the place of others
//! when the configuration or a file has changed. Whoever has certificates from elsewhere hands them
//! to [`Tls::feed`].

mod crowd;
mod policies;
mod shown;
mod tickets;

mod stream;

mod kept;

mod files;
mod terms;

mod challenge;

mod handshake;
mod notice;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tracing::error;

pub use handshake::Acceptor;
pub use stream::Secured;

use crate::acme::Hatch;
use crate::config::{self, Config, ListenTls, Pair};
use crate::telemetry::Telemetry;
use crowd::Crowd;
use files::Files;
use policies::SitePolicies;
use shown::Shown;
pub use terms::BadTerms;
use terms::Terms;
use tickets::Tickets;

/// TLS of the whole process.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

/// What all listeners use.
struct Shared {
    telemetry: Arc<Telemetry>,
    /// Of CAs, and of clients that want what there is not yet.
    hatch: Hatch,
    shown: Arc<Shown>,
    tickets: Arc<Tickets>,
    crowd: Crowd,
    handshake_timeout: Mutex<Duration>,
    state: Mutex<State>,
    /// Other files than before are to be looked after.
    changed: Notify,
}

/// The configuration in force, what its files hold, and what came of it.
#[derive(Default)]
struct State {
    wanted: Wanted,
    files: Files,
    acceptors: Vec<(Kind, Arc<Acceptor>)>,
    /// Why nothing came of the latest look, once that has been said.
    told: Option<String>,
    /// From elsewhere, by whoever feeds them.
    fed: BTreeMap<&'static str, Vec<FromPlace>>,
}

/// A certificate, and the place that it is from.
type FromPlace = (Arc<str>, Arc<Pair>);

/// What the configuration wants.
#[derive(Clone, Default)]
struct Wanted {
    certificates: Vec<config::Certificate>,
    rules: Option<config::TlsRules>,
    kinds: Vec<Kind>,
    sites: SitePolicies,
}

/// What tells listeners apart as far as TLS goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    tls: ListenTls,
    speaks: Speaks,
}

/// What is spoken after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/2 or HTTP/1.1, by ALPN.
    Http,
    /// HTTP/1.1 alone.
    Http1,
    /// Nobody knows.
    Anything,
}

/// TLS as it will be: all files read, all terms made.
pub struct TlsPlan {
    wanted: Wanted,
    files: Files,
    terms: Vec<(Kind, Terms)>,
}

// === impl Tls ===

impl Tls {
    /// Without a certificate and a listener as yet.
    pub fn new(telemetry: &Arc<Telemetry>, hatch: &Hatch) -> Self {
        Self(Arc::new(Shared {
            telemetry: Arc::clone(telemetry),
            hatch: hatch.clone(),
            shown: Arc::default(),
            tickets: Arc::default(),
            crowd: Crowd::default(),
            handshake_timeout: Mutex::new(Duration::from_secs(10)),
            state: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Reads the files of `config` that have changed, and makes terms of them. For a thread that may
    /// wait.
    ///
    /// # Errors
    /// [`BadTerms`]; nothing has changed then.
    pub fn plan(&self, config: &Config) -> Result<TlsPlan, BadTerms> {
        let files = self.0.state.lock().files.clone();
        self.0.plan(Wanted::of(config), &files)
    }

    /// Whether the file at this path has been good before, so that its old state can go on.
    pub fn knows(&self, path: &str) -> bool {
        self.0.state.lock().files.knows(path)
    }

    /// Puts it in force.
    pub fn carry_out(&self, plan: TlsPlan) {
        let mut state = self.0.state.lock();
        self.0.carry_out(plan, &mut state);
        drop(state);
        self.0.changed.notify_one();
    }

    /// Looks at all files, and puts in force what has changed. For a thread that may wait.
    fn look(&self) {
        let mut state = self.0.state.lock();
        match self.0.plan(state.wanted.clone(), &state.files) {
            Ok(plan) if plan.files == state.files => {}
            Ok(plan) => self.0.carry_out(plan, &mut state),
            Err(error) => {
                let told = error.to_string();
                if state.told.as_ref() != Some(&told) {
                    error!(error = told, "what was known of TLS goes on");
                    state.told = Some(told);
                }
            }
        }
    }

    /// Serves certificates from elsewhere beside those of files, each with the place that it is from,
    /// instead of what `source` has fed before.
    pub fn feed(&self, source: &'static str, pairs: Vec<FromPlace>) {
        let mut state = self.0.state.lock();
        state.fed.insert(source, pairs);
        self.0.show(&state);
    }

    /// What accepts the connections of a listener with these settings; they are in force.
    pub fn acceptor(&self, tls: &ListenTls, speaks: Speaks) -> Option<Arc<Acceptor>> {
        let state = self.0.state.lock();
        let is_it = |kind: &Kind| kind.tls == *tls && kind.speaks == speaks;
        let found = state.acceptors.iter().find(|it| is_it(&it.0));
        found.map(|it| Arc::clone(&it.1))
    }
}

// === impl Shared ===

impl Shared {
    fn plan(&self, wanted: Wanted, files: &Files) -> Result<TlsPlan, BadTerms> {
        let files = files.looked(&wanted);
        let build = |kind: &Kind| {
            let terms = Terms::build(kind, &wanted.sites, &files, &self.shown, &self.tickets)?;
            Ok::<_, BadTerms>((kind.clone(), terms))
        };
        let terms = wanted.kinds.iter().map(build).collect::<Result<_, _>>()?;
        Ok(TlsPlan {
            wanted,
            files,
            terms,
        })
    }

    fn carry_out(self: &Arc<Self>, plan: TlsPlan, state: &mut State) {
        plan.files.log_changes(&state.files);
        let mut acceptors = std::mem::take(&mut state.acceptors);
        for (kind, terms) in plan.terms {
            let known = acceptors.iter().position(|it| it.0 == kind);
            let acceptor = match known.map(|at| acceptors.swap_remove(at).1) {
                Some(acceptor) => acceptor.with(terms),
                None => Arc::new(Acceptor::new(self, terms)),
            };
            state.acceptors.push((kind, acceptor));
        }
        if let Some(rules) = &plan.wanted.rules {
            *self.handshake_timeout.lock() = rules.handshake_timeout;
            self.crowd.limit(rules.handshakes_max);
        }
        self.tickets.set(plan.files.ticket_keys());
        state.wanted = plan.wanted;
        state.files = plan.files;
        state.told = None;
        self.show(state);
    }

    /// Has the certificates of this state be shown, and told of.
    fn show(&self, state: &State) {
        let mut pairs = state.files.pairs();
        pairs.extend(state.fed.values().flatten().cloned());
        self.shown.set(pairs.iter().map(|it| &it.1));
        let told = files::told(&pairs, &state.files);
        self.telemetry.tls.set_certificates(told);
    }
}

// === impl Wanted ===

impl Wanted {
    fn of(config: &Config) -> Self {
        let listeners = config.listen.iter().filter_map(|it| {
            let speaks = match it.protocol {
                config::Protocol::Http => Speaks::Http,
                config::Protocol::Tcp(_) => Speaks::Anything,
            };
            Some((it.tls.clone()?, speaks))
        });
        let admin = config.admin.as_ref().and_then(|it| it.tls.clone());
        let admin = admin.map(|it| (it, Speaks::Http1));
        let mut kinds: Vec<Kind> = Vec::new();
        for (tls, speaks) in listeners.chain(admin) {
            let kind = Kind { tls, speaks };
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        Self {
            certificates: config.certificates.clone(),
            rules: Some(config.tls.clone()),
            kinds,
            sites: SitePolicies::of(&config.sites),
        }
    }
}

/// Terms that are read at each handshake and seldom changed.
type InForce = RwLock<Arc<Terms>>;
