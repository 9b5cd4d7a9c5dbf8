//! Configuration: what the user wrote, and what it means.
//!
//! A file is loaded, parsed into raw tables that hold just what was typed, checked, and resolved
//! into [`Config`], where every default is filled in and every value has the type it is used as.
//! All mistakes are told at once, each with its line and its key. Nothing is built here: no socket
//! is bound and no host is looked up. Only constructors of the floors above see these types.

mod accept_proxy;
mod acme;
mod acme_name;
mod action;
mod admin;
mod admin_token;
mod agent;
mod around;
mod authority;
mod balance;
mod breaker;
mod cache;
mod care;
mod certificate;
mod check;
mod complaint;
mod cookie_sets;
mod cookies;
mod document;
mod ejection;
mod env;
mod exchange_limits;
mod fields;
mod file;
mod flags;
mod fold;
mod gate;
mod health;
mod hedge;
mod host;
mod http2;
mod https;
mod include;
mod key;
mod limit;
mod list;
mod listen;
mod listen_address;
mod log;
mod meant;
mod names;
mod networks;
mod notes;
mod on_demand;
mod origin;
mod origin_tls;
mod overload;
mod pair;
mod path;
mod path_form;
mod pem;
mod recover;
mod report;
mod resolver;
mod retry;
mod route;
mod rule;
mod rules;
mod secret;
mod server;
mod site;
mod socket_options;
mod status_ttl;
mod sticky;
mod store;
mod table;
mod tags;
mod template;
mod text_or;
mod ticket_keys;
mod tls;
mod tls_names;
mod units;
mod upgrade;
mod whole;
mod wire;
mod wording;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

pub use self::accept_proxy::AcceptProxy;
pub use self::acme::{Acme, AcmeChallenge};
pub use self::acme_name::AcmeName;
pub use self::action::{Action, Answer, Redirect};
pub use self::admin::Admin;
pub use self::admin_token::{AdminToken, Scope};
pub use self::agent::Agent;
pub use self::authority::{AcmeAuthority, Eab};
pub use self::balance::{Balance, HashOn};
pub use self::breaker::Breaker;
pub use self::cache::{CacheRules, RangeMiss};
pub use self::care::Care;
pub use self::certificate::Certificate;
pub use self::complaint::{Complaint, Complaints};
pub use self::cookies::CookieLists;
pub use self::document::{Change, Document};
pub use self::ejection::Ejection;
pub use self::exchange_limits::ExchangeLimits;
pub use self::fields::Edits;
pub use self::flags::{Flags, TcpFlags};
pub use self::fold::Fold;
pub use self::gate::{BasicAuth, ErrorPages, Gate, Maintenance, Media, Page, Redirects};
pub use self::health::{Health, Question};
pub use self::hedge::{Hedge, HedgeAfter};
pub use self::http2::Http2;
pub use self::https::Https;
pub use self::key::CacheKey;
pub use self::limit::{Limit, LimitKey, Rate};
pub use self::listen::{Listen, Protocol, ProxyVersion, Server, Tunnel};
pub use self::listen_address::{ListenAddress, UnixAddress};
pub use self::log::{Access, Format, Level, Log};
pub use self::notes::Note;
pub use self::on_demand::OnDemand;
pub use self::origin::Origin;
pub use self::origin_tls::{Identity, Tls};
pub use self::overload::RequestsMax;
pub use self::pair::{BadPair, Pair, PairPaths};
pub use self::path::PathPattern;
pub use self::pem::{revocation_lists, roots};
pub use self::resolver::Resolver;
pub use self::retry::{Retry, RetryOn, TRIES_MAX};
pub use self::route::Route;
pub use self::rule::{End, Lifetime, RequestCookies, RequestEffects, ResponseEffects, Rule};
pub use self::secret::Secret;
pub use self::server::{Resolve, Server as OriginServer, ServerUrl, service_domain};
pub use self::site::{HostPattern, Site};
pub use self::socket_options::SocketOptions;
pub use self::sticky::Sticky;
pub use self::store::Store;
pub use self::template::{Cut, Form, Part, Template, Value};
pub use self::ticket_keys::ticket_keys;
pub use self::tls::{ClientAuth, ClientAuthMode, ListenTls, TlsRules, TlsVersion};
pub use self::tls_names::suite_name;
pub use self::wire::{HttpVersion, Wire};

use self::acme::RawAcme;
use self::admin::RawAdmin;
use self::around::Around;
use self::cache::{CacheBase, RawCacheRules};
use self::certificate::RawCertificate;
use self::limit::RawLimit;
use self::list::{RawLists, RawMaps};
use self::listen::{RawListen, RawServer};
use self::log::RawLog;
use self::notes::Machine;
use self::origin::RawOrigin;
use self::report::{Given, Report};
use self::resolver::RawResolver;
use self::rule::RawRules;
use self::site::RawSite;
use self::store::RawStore;
use self::table::{Table, Written};
use self::tls::RawTlsRules;
use crate::lists::Lists;
use crate::semantics::hop::{self, Hop};

/// A whole configuration, checked, with all defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Which defaults hold where nothing is written; already applied to the rest.
    pub profile: Profile,
    /// The name of this hop in Via and Cache-Status.
    pub name: Arc<str>,
    /// The paths, as `include[0]`, of patterns that name no file: legal, and perhaps meant otherwise.
    pub unmatched_includes: Vec<String>,
    /// Where clients come in; one at least.
    pub listen: Vec<Listen>,
    /// What clients that speak TLS may be shown; the first is for those who ask for nothing known.
    pub certificates: Vec<Certificate>,
    /// Handshakes and tickets.
    pub tls: TlsRules,
    /// Certificates that CAs are asked for.
    pub acme: Option<Acme>,
    /// What clients may ask of us.
    pub server: Server,
    /// The operator's door, if there is one.
    pub admin: Option<Admin>,
    /// What is logged.
    pub log: Log,
    /// How much is kept.
    pub store: Store,
    /// How servers that are names are looked up.
    pub resolver: Resolver,
    /// How often may be asked, by name; they hold where they are referred to.
    pub limits: Vec<Limit>,
    /// What much is compared with, by name.
    pub lists: Lists,
    /// Where responses come from, by name.
    pub origins: BTreeMap<Arc<str>, Origin>,
    /// Which hosts and paths lead where; one at least, unless all listeners are for TCP.
    pub sites: Vec<Site>,
    /// What is done where conditions hold, on all sites.
    pub rules: Vec<Rule>,
    /// How it was written, for people; no part of what it is.
    pub document: Document,
    /// What is legal and was surely meant otherwise.
    pub notes: Vec<Note>,
}

/// Which defaults hold where nothing is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Never shares a page that may be somebody's own.
    #[default]
    Cautious,
    /// Stores all that RFC 9111 lets a shared cache store.
    Rfc,
}

/// A whole file as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawConfig {
    include: Given<Vec<Spanned<String>>>,
    profile: Profile,
    name: Given<String>,
    listen: Vec<Written<RawListen>>,
    certificate: Vec<Written<RawCertificate>>,
    tls: Table<RawTlsRules>,
    acme: Option<Written<RawAcme>>,
    server: Table<RawServer>,
    admin: Option<Written<RawAdmin>>,
    log: Table<RawLog>,
    store: Table<RawStore>,
    resolver: Table<RawResolver>,
    cache: Table<RawCacheRules>,
    limit: Vec<Written<RawLimit>>,
    list: RawLists,
    map: RawMaps,
    origins: BTreeMap<Spanned<String>, Written<RawOrigin>>,
    site: Vec<Written<RawSite>>,
    rule: RawRules,
}

/// Reads, parses and checks the file at `path`, and the certificates that it names.
///
/// # Errors
/// All mistakes at once; a file that cannot be read is one.
pub fn load(path: &Path) -> Result<Config, Complaints> {
    load_with(path, Care::Start)
}

/// The same, and looks into the certificates as closely as `care` says.
///
/// # Errors
/// All mistakes at once; a file that cannot be read is one.
pub fn load_with(path: &Path, care: Care<'_>) -> Result<Config, Complaints> {
    let file = path.display().to_string();
    match include::read_bounded(path) {
        Ok(text) => parse_on(&text, &file, care, Some(&Machine::here())),
        Err(error) => Err(Complaints::one(&file, include::unreadable(&error))),
    }
}

/// Parses and checks the text of a file that complaints call `file`.
///
/// # Errors
/// All mistakes at once.
pub fn parse(text: &str, file: &str) -> Result<Config, Complaints> {
    parse_on(text, file, Care::Start, None)
}

/// The same, with notes on what the machine does not have.
fn parse_on(
    text: &str,
    file: &str,
    care: Care<'_>,
    machine: Option<&Machine>,
) -> Result<Config, Complaints> {
    let (raw, written, mut report) = recover::read(text, file);
    let config = raw.map(|raw| noted(settle(raw, care, &mut report), &report, machine));
    report.finish()?;
    let mut config =
        config.ok_or_else(|| Complaints::one(file, "cannot be understood".to_owned()))?;
    config.document = Document::of(written, &config);
    Ok(config)
}

/// The configuration with the notes on it.
fn noted(config: Config, report: &Report, machine: Option<&Machine>) -> Config {
    Config {
        notes: notes::of(&config, report, machine),
        ..config
    }
}

/// Checks what was written and fills in the rest.
fn settle(mut raw: RawConfig, care: Care<'_>, report: &mut Report) -> Config {
    raw.site
        .iter_mut()
        .for_each(|site| site.get_mut().write_out(report));
    check::check(&raw, report);
    let config = raw.resolve(care, report);
    whole::check(&raw, &config, care, report);
    config
}

// === impl Config ===

impl Config {
    /// The configuration that a file with the same content would give: one origin, `default`,
    /// and one site for any host.
    ///
    /// # Errors
    /// All mistakes at once, each with the name of its flag.
    pub fn from_flags(flags: &Flags) -> Result<Self, Complaints> {
        let (raw, mut report) = flags::read(flags);
        let settled = settle(raw, Care::Start, &mut report);
        let mut config = noted(settled, &report, Some(&Machine::here()));
        config.document = Document::of_flags(flags, &config);
        report.finish().map(|()| config)
    }

    /// The configuration that a file with one TCP listener before one origin, `default`, would
    /// give.
    ///
    /// # Errors
    /// All mistakes at once, each with the name of its argument.
    pub fn from_tcp_flags(flags: &TcpFlags) -> Result<Self, Complaints> {
        let (raw, mut report) = flags::read_tcp(flags);
        let settled = settle(raw, Care::Start, &mut report);
        let mut config = noted(settled, &report, Some(&Machine::here()));
        config.document = Document::of_tcp_flags(flags, &config);
        report.finish().map(|()| config)
    }
}

// === impl RawConfig ===

impl RawConfig {
    fn resolve(&self, care: Care<'_>, report: &mut Report) -> Config {
        let base = CacheBase::of_profile(self.profile);
        let base = self.cache.over(&base, report);
        let admin = self.admin.as_ref();
        let lists = self.resolve_lists(report);
        let server = self.server.resolve(&lists, report);
        let around = Around {
            path_rule: server.path_rule,
            limits: ExchangeLimits::of_server(&server),
            https: Https::default(),
            gate: server.gate.clone(),
            lists: &lists,
        };
        self.check_include(report);
        let listen: Vec<_> = self
            .listen
            .iter()
            .filter_map(|it| RawListen::resolve(it, care, report))
            .collect();
        let acme = self.acme.as_ref();
        let mut sites: Vec<_> = self
            .site
            .iter()
            .map(|it| RawSite::resolve(it, &base, &around, care, report))
            .collect();
        let rules = rules::resolve((&self.rule, &self.site), &mut sites, &lists, report);
        Config {
            profile: self.profile,
            acme: acme.map(|it| it.get_ref().resolve(it.span(), &listen, report)),
            name: self.resolve_name(report),
            unmatched_includes: report.unmatched().to_vec(),
            listen,
            certificates: self
                .certificate
                .iter()
                .filter_map(|it| RawCertificate::resolve(it, report))
                .collect(),
            tls: self.tls.resolve(care, report),
            server,
            admin: admin.and_then(|it| it.get_ref().resolve(it.span(), care, report)),
            log: self.log.resolve(report),
            store: self.store.resolve(report),
            resolver: self.resolver.resolve(report),
            limits: self
                .limit
                .iter()
                .filter_map(|it| RawLimit::resolve(it, report))
                .collect(),
            lists: lists.clone(),
            origins: self.resolve_origins(report),
            sites,
            rules,
            document: Document::default(),
            notes: Vec::new(),
        }
    }

    fn resolve_lists(&self, report: &mut Report) -> Lists {
        let sites = || self.site.iter().map(|it| it.get_ref());
        let routes = sites().flat_map(|it| it.route.iter().map(|it| it.get_ref()));
        let of_routes = routes.filter_map(|it| it.redirects.as_ref());
        let redirects = sites().filter_map(|it| it.redirects.as_ref());
        let used = gate::maps_used(redirects.chain(of_routes));
        let unfit = |name: &str| {
            used.contains(name)
                .then_some(&gate::unfit as list::Unfit<'_>)
        };
        list::resolve(&self.list, &self.map, unfit, report)
    }

    /// What it names was put to the rest before.
    fn check_include(&self, report: &mut Report) {
        if let Some(list) = self.include.as_ref().filter(|it| it.get_ref().is_empty()) {
            report.at(list.span(), "is empty; name files, or leave it out");
        }
    }

    fn resolve_name(&self, report: &mut Report) -> Arc<str> {
        let Some(name) = &self.name else {
            return Hop::default().name().into();
        };
        if !hop::is_name(name.get_ref()) {
            let text = "names no hop; write 1 to 64 letters, digits and hyphens, a letter first";
            report.at(name.span(), text);
        }
        name.get_ref().as_str().into()
    }

    fn resolve_origins(&self, report: &mut Report) -> BTreeMap<Arc<str>, Origin> {
        let mut origins = BTreeMap::new();
        for (name, raw) in &self.origins {
            origin::check_name(name, report);
            let name = name.get_ref();
            let origin = raw
                .get_ref()
                .resolve(name, raw.span(), self.profile, report);
            origins.insert(Arc::clone(&origin.name), origin);
        }
        origins
    }
}
