//! A configuration without a file: the flags of `copal run`, or the arguments of `copal tcp`, as
//! the tables they stand for.
//!
//! Not the parsing of arguments, nor the checks, which are those of a file.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error, StrDeserializer};
use toml::Spanned;

use super::acme::RawAcme;
use super::admin::RawAdmin;
use super::listen::{RawListen, RawProtocol};
use super::origin::RawOrigin;
use super::report::{Given, Report};
use super::site::RawSite;
use super::table::Written;
use super::text_or::TextOr;
use super::tls::RawListenTls;
use super::units::{Period, Size};
use super::{Profile, RawConfig, wording};

/// The name of the only origin.
const ORIGIN: &str = "default";

/// What can be said on the command line, as typed.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--listen ADDR`, one at least.
    pub listen: Vec<String>,
    /// `--origin URL`, one at least: the servers of the only origin.
    pub origins: Vec<String>,
    /// `--admin ADDR`.
    pub admin: Option<String>,
    /// `--memory SIZE`.
    pub memory: Option<String>,
    /// `--profile cautious|rfc`.
    pub profile: Option<String>,
    /// `--default-ttl DURATION`.
    pub default_ttl: Option<String>,
    /// `--domain NAME`: certificates of a CA, and listeners that show them.
    pub domains: Vec<String>,
    /// `--email ADDR`, with a domain.
    pub email: Option<String>,
    /// `--https ADDR`, with a domain one at least.
    pub https: Vec<String>,
    /// `--acme-directory URL`.
    pub acme_directory: Option<String>,
    /// `--acme-roots FILE`.
    pub acme_roots: Option<String>,
    /// `--storage DIR`.
    pub storage: Option<String>,
}

/// What `copal tcp` is told, as typed.
#[derive(Clone, Debug, Default)]
pub struct TcpFlags {
    /// `LISTEN`.
    pub listen: String,
    /// `BACKEND`, one at least: `host:port`.
    pub backends: Vec<String>,
}

/// A flag. Its number is the place of its values.
#[derive(Clone, Copy)]
enum Flag {
    Listen,
    Origin,
    Admin,
    Memory,
    Profile,
    DefaultTtl,
    Domain,
    Email,
    Https,
    AcmeDirectory,
    AcmeRoots,
    Storage,
}

/// In the order of `Flag`.
const NAMES: [&str; 12] = [
    "--listen",
    "--origin",
    "--admin",
    "--memory",
    "--profile",
    "--default-ttl",
    "--domain",
    "--email",
    "--https",
    "--acme-directory",
    "--acme-roots",
    "--storage",
];

/// The tables that `flags` stand for, and the complaints about values that could not be read.
pub(super) fn read(flags: &Flags) -> (RawConfig, Report) {
    let mut report = Report::on_flags(&NAMES);
    check_required(flags, &mut report);
    let mut raw = RawConfig {
        profile: read_profile(flags, &mut report).unwrap_or_default(),
        listen: listeners(flags),
        acme: (!flags.domains.is_empty()).then(|| acme(flags)),
        admin: flags.admin.as_deref().map(admin_at),
        origins: only_origin(&flags.origins),
        site: vec![only_site(!flags.domains.is_empty())],
        ..RawConfig::default()
    };
    raw.store.memory = read_value(Flag::Memory, &flags.memory, Size::parse, &mut report);
    raw.cache.default_ttl = read_value(
        Flag::DefaultTtl,
        &flags.default_ttl,
        Period::parse,
        &mut report,
    );
    (raw, report)
}

/// The tables that the arguments of `copal tcp` stand for.
pub(super) fn read_tcp(flags: &TcpFlags) -> (RawConfig, Report) {
    // In the order of `Flag`: the listener first, then the servers.
    let report = Report::on_flags(&["LISTEN", "BACKEND"]);
    let listen = RawListen {
        address: Some(Flag::Listen.of(flags.listen.clone())),
        protocol: RawProtocol::Tcp,
        origin: Some(Flag::Origin.of(ORIGIN.to_owned())),
        ..RawListen::default()
    };
    let url = |backend: &String| format!("tcp://{}", backend.trim_start_matches("tcp://"));
    let urls: Vec<String> = flags.backends.iter().map(url).collect();
    let raw = RawConfig {
        listen: vec![Flag::Listen.table(listen)],
        origins: only_origin(&urls),
        ..RawConfig::default()
    };
    (raw, report)
}

fn check_required(flags: &Flags, report: &mut Report) {
    if flags.listen.is_empty() {
        report.at(
            Flag::Listen.of(()).span(),
            "is missing; add `--listen 127.0.0.1:8080`",
        );
        report.lose("listen".to_owned());
    }
    if flags.origins.is_empty() {
        report.at(
            Flag::Origin.of(()).span(),
            "is missing; add `--origin http://127.0.0.1:8081`",
        );
        report.lose("origins".to_owned());
    }
    if !flags.domains.is_empty() && flags.email.is_none() {
        let text = "is missing; add `--email ops@shop.example`, where the CA may write to, or \
                    `--email \"\"` for none: either says that you agree to its terms";
        report.at(Flag::Email.of(()).span(), text);
        report.lose("--domain.email".to_owned());
    }
}

fn read_profile(flags: &Flags, report: &mut Report) -> Option<Profile> {
    let parse = |text: &str| {
        let deserializer: StrDeserializer<'_, Error> = text.into_deserializer();
        Profile::deserialize(deserializer).map_err(|error| wording::of_value(&error.to_string()))
    };
    read_value(Flag::Profile, &flags.profile, parse, report).map(Spanned::into_inner)
}

fn read_value<T>(
    flag: Flag,
    text: &Option<String>,
    parse: impl Fn(&str) -> Result<T, String>,
    report: &mut Report,
) -> Given<T> {
    match parse(text.as_ref()?) {
        Ok(value) => Some(flag.of(value)),
        Err(complaint) => {
            report.at(flag.of(()).span(), complaint);
            None
        }
    }
}

fn listeners(flags: &Flags) -> Vec<Written<RawListen>> {
    let in_clear = flags.listen.iter().map(|text| listen_on(text));
    let with_tls = flags.https.iter().map(|text| {
        let tls = Flag::Https.of(RawListenTls::Is(true));
        Flag::Https.table(RawListen {
            address: Some(Flag::Https.of(text.clone())),
            tls: Some(tls),
            ..RawListen::default()
        })
    });
    in_clear.chain(with_tls).collect()
}

fn acme(flags: &Flags) -> Written<RawAcme> {
    let one = |flag: Flag, text: &Option<String>| text.clone().map(|it| flag.of(it));
    let domains = flags.domains.iter().map(|it| Flag::Domain.of(it.clone()));
    Flag::Domain.table(RawAcme {
        domains: Some(Flag::Domain.of(domains.collect())),
        email: one(Flag::Email, &flags.email),
        directory: one(Flag::AcmeDirectory, &flags.acme_directory),
        roots: one(Flag::AcmeRoots, &flags.acme_roots),
        storage: one(Flag::Storage, &flags.storage),
        ..RawAcme::default()
    })
}

fn listen_on(address: &str) -> Written<RawListen> {
    let address = Some(Flag::Listen.of(address.to_owned()));
    Flag::Listen.table(RawListen {
        address,
        ..RawListen::default()
    })
}

fn admin_at(address: &str) -> Written<RawAdmin> {
    Flag::Admin.table(RawAdmin::at(Flag::Admin.of(address.to_owned())))
}

fn only_origin(urls: &[String]) -> BTreeMap<Spanned<String>, Written<RawOrigin>> {
    if urls.is_empty() {
        return BTreeMap::new();
    }
    let servers = urls
        .iter()
        .map(|url| Flag::Origin.of(TextOr::Text(url.clone())))
        .collect();
    let origin = RawOrigin::of_servers(Flag::Origin.of(servers));
    let origin = Flag::Origin.table(origin);
    BTreeMap::from([(Flag::Origin.of(ORIGIN.to_owned()), origin)])
}

fn only_site(has_https: bool) -> Written<RawSite> {
    let hosts = Some(Flag::Origin.of(vec![Flag::Origin.of("*".to_owned())]));
    let origin = Some(Flag::Origin.of(ORIGIN.to_owned()));
    Flag::Origin.table(RawSite {
        hosts,
        origin,
        https_only: Some(has_https),
        ..RawSite::default()
    })
}

// === impl Flag ===

impl Flag {
    /// `value` as given to this flag.
    fn of<T>(self, value: T) -> Spanned<T> {
        let number = self as usize;
        Spanned::new(number..number + 1, value)
    }

    /// A table of which this flag has a part.
    fn table<T>(self, keys: T) -> Written<T> {
        self.of(keys.into())
    }
}
