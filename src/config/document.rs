//! Document of a configuration: what was written, with the defaults of the tables that there is one
//! of, for people to read.
//!
//! It is shown, and compared with another to tell what a reload has changed. Nothing is built from it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};
use toml::{Table, Value};

use super::{
    Access, Config, Flags, Format, Http2, Level, Log, Profile, Resolver, Server, Store, TcpFlags,
    include, path_form,
};
use crate::semantics::forwarded::Dialect;

/// What stands in place of a secret.
const MASK: &str = "***";

/// Keys and names of fields whose values are nobody's business, if these are in them.
const SECRETS: [&str; 6] = [
    "token",
    "secret",
    "password",
    "authorization",
    "api-key",
    "api_key",
];

/// The changes that are listed; of more than these nobody reads the rest.
const CHANGES_MAX: usize = 200;

/// A configuration as it is shown.
#[derive(Clone, Default)]
pub struct Document(Table);

/// One key whose value another configuration changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its path, as `origins.app.connect_timeout` or `site[0].hosts`.
    pub key: String,
    /// As TOML; `None` where it was not there. Secrets are masked.
    pub from: Option<String>,
    /// The same of the new one.
    pub to: Option<String>,
    /// Whether it takes effect at the next start of the process.
    pub at_next_start: bool,
}

// === impl Document ===

impl Document {
    /// What `text` says, and what `config`, which was made of it, has taken for the rest.
    pub(super) fn of_flags(flags: &Flags, config: &Config) -> Self {
        let text = |given: &Option<String>| given.clone().map(Value::from);
        let listen = flags
            .listen
            .iter()
            .map(|it| table([("address", Some(it.clone().into()))]));
        let with_tls = flags.https.iter().map(|it| {
            let address = Some(it.clone().into());
            table([("address", address), ("tls", Some(true.into()))])
        });
        let listen = listen.chain(with_tls);
        let has_domain = !flags.domains.is_empty();
        let written = [
            ("profile", text(&flags.profile)),
            ("acme", has_domain.then(|| only_acme(flags))),
            ("listen", Some(Value::Array(listen.collect()))),
            (
                "admin",
                flags
                    .admin
                    .as_ref()
                    .map(|_| table([("address", text(&flags.admin))])),
            ),
            (
                "store",
                flags
                    .memory
                    .as_ref()
                    .map(|_| table([("memory", text(&flags.memory))])),
            ),
            (
                "cache",
                flags
                    .default_ttl
                    .as_ref()
                    .map(|_| table([("default_ttl", text(&flags.default_ttl))])),
            ),
            ("origins", Some(only_origin(&flags.origins))),
            ("site", Some(Value::Array(vec![only_site(has_domain)]))),
        ];
        Self::of(entries(written), config)
    }

    pub(super) fn of_tcp_flags(flags: &TcpFlags, config: &Config) -> Self {
        let listen = table([
            ("address", Some(flags.listen.clone().into())),
            ("protocol", Some("tcp".into())),
            ("origin", Some("default".into())),
        ]);
        let written = [
            ("listen", Some(Value::Array(vec![listen]))),
            ("origins", Some(only_origin(&flags.backends))),
        ];
        Self::of(entries(written), config)
    }

    /// What stands in files, with what else is in force.
    pub(super) fn of(mut written: Table, config: &Config) -> Self {
        let profile = match config.profile {
            Profile::Cautious => "cautious",
            Profile::Rfc => "rfc",
        };
        written.insert("profile".to_owned(), profile.into());
        // What the files hold that it names stands here already.
        written.remove(include::KEY);
        let mut document = Self(written);
        document.fill_in("server", of_server(&config.server));
        document.default_to("server", of_gate());
        document.fill_in("log", of_log(&config.log));
        document.fill_in("resolver", of_resolver(&config.resolver));
        document.set_store(&config.store);
        document
    }

    /// Puts these sizes in place of what it has: those of the process's start stay in force.
    pub fn set_store(&mut self, store: &Store) {
        self.fill_in("store", of_store(store));
    }

    /// Puts what is in force in a table, over what was written: `"1GiB"` may be 1073741824 now.
    fn fill_in(&mut self, name: &str, values: Table) {
        let table = self.0.entry(name).or_insert_with(|| Table::new().into());
        if let Value::Table(table) = table {
            table.extend(values);
        }
    }

    /// Puts what holds where nothing is written into a table.
    fn default_to(&mut self, name: &str, values: Table) {
        if let Some(Value::Table(table)) = self.0.get_mut(name) {
            for (key, value) in values {
                table.entry(key).or_insert(value);
            }
        }
    }

    /// The same without its secrets.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mut masked = self.clone();
        for (key, value) in masked.0.iter_mut() {
            mask(key, value);
        }
        masked
    }

    /// As TOML, which could be a configuration file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // A table of tables, lists and plain values can be written.
        toml::to_string(&self.0).unwrap_or_default()
    }

    /// Which keys another document changes, in the order of their paths.
    #[must_use]
    pub fn changes(&self, next: &Self) -> Vec<Change> {
        let (before, after) = (self.leaves(), next.leaves());
        let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let differs = keys
            .into_iter()
            .filter(|key| before.get(*key) != after.get(*key));
        let shown = |key: &str, value: Option<&Value>| {
            let mut value = value.cloned()?;
            mask(key, &mut value);
            Some(value.to_string())
        };
        let change = |key: &String| Change {
            key: key.clone(),
            from: shown(key, before.get(key)),
            to: shown(key, after.get(key)),
            at_next_start: key.starts_with("store."),
        };
        differs.map(change).take(CHANGES_MAX).collect()
    }

    /// All that is no table, by its path.
    fn leaves(&self) -> BTreeMap<String, Value> {
        let mut leaves = BTreeMap::new();
        for (key, value) in &self.0 {
            gather(key.clone(), value, &mut leaves);
        }
        leaves
    }
}

/// How it was written makes no difference to what a configuration is.
impl PartialEq for Document {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked().to_toml())
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

fn gather(path: String, value: &Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Table(table) if !table.is_empty() => {
            for (key, value) in table {
                gather(format!("{path}.{key}"), value, leaves);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_table) => {
            for (index, value) in list.iter().enumerate() {
                gather(format!("{path}[{index}]"), value, leaves);
            }
        }
        _ => {
            leaves.insert(path, value.clone());
        }
    }
}

/// Masks what is secret in the value of `key`, which may be a path.
fn mask(key: &str, value: &mut Value) {
    let name = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    let is_secret =
        matches!(&*name, "cookie" | "set-cookie") || SECRETS.iter().any(|it| name.contains(it));
    match value {
        Value::Table(table) => table.iter_mut().for_each(|(key, value)| mask(key, value)),
        Value::Array(list) => list.iter_mut().for_each(|value| mask(key, value)),
        Value::String(text) if is_secret => *text = MASK.to_owned(),
        Value::String(text) => mask_userinfo(text),
        _ => {}
    }
}

/// `scheme://user:password@host` (RFC 3986 §3.2.1).
fn mask_userinfo(text: &mut String) {
    let Some((scheme, rest)) = text.split_once("://") else {
        return;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some(at) = authority.rfind('@') {
        *text = format!("{scheme}://{MASK}{}", &rest[at..]);
    }
}

fn of_server(server: &Server) -> Table {
    let forwarded = match server.forwarded {
        Dialect::XForwarded => "x-forwarded",
        Dialect::Rfc7239 => "rfc7239",
        Dialect::Both => "both",
    };
    let request_id = server.request_id.as_ref().map_or("off", |it| it.as_str());
    entries([
        ("connections_max", number(server.connections_max)),
        (
            "connections_per_client_max",
            number(server.connections_per_client_max),
        ),
        ("header_timeout", period(server.header_timeout)),
        ("idle_timeout", period(server.idle_timeout)),
        ("send_timeout", period(server.send_timeout)),
        ("body_timeout", period(server.body_timeout)),
        ("receive_rate_min", size(server.receive_rate_min)),
        ("send_rate_min", size(server.send_rate_min)),
        ("rate_window", period(server.rate_window)),
        (
            "connection_lifetime",
            period(server.connection_lifetime.unwrap_or_default()),
        ),
        (
            "requests_per_connection_max",
            number(server.requests_per_connection_max),
        ),
        ("header_bytes_max", size(server.header_bytes_max)),
        ("header_fields_max", number(server.header_fields_max)),
        ("target_bytes_max", size(server.target_bytes_max)),
        ("body_bytes_max", size(server.body_bytes_max)),
        ("linger_timeout", period(server.linger_timeout)),
        ("drain_delay", period(server.drain_delay)),
        ("drain_timeout", period(server.drain_timeout)),
        ("purge_from", list(&server.purge_from)),
        ("limit", list(&server.limits)),
        ("trusted_proxies", list(&server.trusted_proxies)),
        ("forwarded", Some(forwarded.into())),
        ("request_id", Some(request_id.into())),
        ("https_port", number(usize::from(server.https_port))),
        ("path_form", Some(path_form::in_words(server.path_rule))),
        ("allow_fields", list(&server.allow_fields)),
        ("tunnels_max", number(server.tunnels_max)),
        ("tunnel_idle_timeout", period(server.tunnel_idle_timeout)),
        (
            "tunnel_lifetime",
            period(server.tunnel_lifetime.unwrap_or_default()),
        ),
        ("http2", Some(of_http2(&server.http2).into())),
    ])
}

fn of_http2(http2: &Http2) -> Table {
    entries([
        ("streams_max", number(http2.streams_max as usize)),
        ("stream_window", size(http2.stream_window as usize)),
        ("connection_window", size(http2.connection_window as usize)),
        ("header_table", size(http2.header_table_bytes as usize)),
        (
            "header_list_bytes_max",
            size(http2.header_list_bytes_max as usize),
        ),
        ("unsent_bytes_max", size(http2.unsent_bytes_max)),
        ("abuse_tolerance", number(http2.abuse_tolerance as usize)),
    ])
}

/// What was written is shown as it stands; all else is this.
fn of_gate() -> Table {
    let none = || Some(Value::Array(Vec::new()));
    entries([
        ("deny", none()),
        ("maintenance", Some(false.into())),
        ("error_pages", Some(Table::new().into())),
        ("error_json", Some(false.into())),
        ("intercept", none()),
    ])
}

fn of_log(log: &Log) -> Table {
    let level = match log.level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    let access = match &log.access {
        Access::Off => "off".to_owned(),
        Access::Stdout => "stdout".to_owned(),
        Access::Stderr => "stderr".to_owned(),
        Access::File(path) => path.display().to_string(),
    };
    let format = match log.format {
        Format::Common => "common",
        Format::Combined => "combined",
        Format::Json => "json",
    };
    entries([
        ("level", Some(level.into())),
        ("access", Some(access.into())),
        ("format", Some(format.into())),
    ])
}

fn of_store(store: &Store) -> Table {
    entries([
        ("memory", size(store.memory_bytes)),
        ("object_max", size(store.object_bytes_max)),
        ("fill_memory", size(store.fill_bytes_max)),
        ("variants_max", number(store.variants_max)),
        ("followers_max", number(store.followers_max)),
        ("follower_timeout", period(store.follower_timeout)),
        ("hit_for_miss", period(store.hit_for_miss)),
        ("hit_for_miss_max", number(store.hit_for_miss_max)),
        ("finish_fill", Some(store.finish_fill.into())),
    ])
}

fn of_resolver(resolver: &Resolver) -> Table {
    let servers = (!resolver.servers.is_empty()).then(|| list(&resolver.servers));
    entries([
        ("servers", servers.flatten()),
        ("timeout", period(resolver.timeout)),
        ("attempts", number(resolver.attempts)),
        ("ttl_min", period(resolver.ttl_min)),
        ("ttl_max", period(resolver.ttl_max)),
        ("retry", period(resolver.retry)),
    ])
}

fn only_origin(urls: &[String]) -> Value {
    let servers = urls.iter().cloned().map(Value::from).collect();
    table([(
        "default",
        Some(table([("servers", Some(Value::Array(servers)))])),
    )])
}

fn only_site(has_https: bool) -> Value {
    let hosts = Value::Array(vec!["*".into()]);
    table([
        ("hosts", Some(hosts)),
        ("origin", Some("default".into())),
        ("https_only", has_https.then(|| true.into())),
    ])
}

fn only_acme(flags: &Flags) -> Value {
    let text = |given: &Option<String>| given.clone().map(Value::from);
    let domains = flags.domains.iter().map(|it| it.clone().into());
    table([
        ("domains", Some(Value::Array(domains.collect()))),
        ("email", text(&flags.email)),
        ("directory", text(&flags.acme_directory)),
        ("roots", text(&flags.acme_roots)),
        ("storage", text(&flags.storage)),
    ])
}

/// Those that have a value.
fn entries<const N: usize>(entries: [(&str, Option<Value>); N]) -> Table {
    let given = entries
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    given.collect()
}

fn table<const N: usize>(given: [(&str, Option<Value>); N]) -> Value {
    entries(given).into()
}

fn list<T: ToString>(items: &[T]) -> Option<Value> {
    let items = items.iter().map(|it| Value::from(it.to_string()));
    Some(Value::Array(items.collect()))
}

fn number<T: TryInto<i64>>(number: T) -> Option<Value> {
    Some(number.try_into().unwrap_or(i64::MAX).into())
}

/// In the largest unit that leaves a whole number.
fn size<T: TryInto<u64>>(bytes: T) -> Option<Value> {
    let bytes: u64 = bytes.try_into().unwrap_or(u64::MAX);
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let fits = |(shift, _): &(u32, &str)| bytes > 0 && bytes.trailing_zeros() >= *shift;
    Some(match units.into_iter().find(fits) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift).into(),
        None => return number(bytes),
    })
}

fn period(period: Duration) -> Option<Value> {
    Some(match period.subsec_millis() {
        0 => format!("{}s", period.as_secs()).into(),
        _ => format!("{}ms", period.as_millis()).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const LEAST: &str = "[[listen]]\naddress = \"127.0.0.1:0\"\n[origins.a]\nservers = [\"http://a\"]\n\
                         [[site]]\nhosts = [\"*\"]\norigin = \"a\"\n";

    fn document(more: &str) -> Document {
        let text = format!("{LEAST}{more}");
        config::parse(&text, "f").expect("a configuration").document
    }

    #[test]
    fn every_key_of_the_tables_that_are_filled_in_is_shown() {
        let example: Table = include_str!("../../config.toml.example").parse().unwrap();
        let shown = document("");
        for name in ["server", "log", "store", "resolver"] {
            for (key, _) in example[name].as_table().unwrap() {
                assert!(shown.0[name].get(key).is_some(), "[{name}] {key}");
            }
        }
        let text = shown.to_toml();
        assert!(text.contains("memory = \"256MiB\""), "{text}");
        assert!(text.contains("header_timeout = \"10s\""), "{text}");
    }

    #[test]
    fn what_is_shown_is_a_configuration_that_means_the_same() {
        let text = format!("{LEAST}[cache]\ndefault_ttl = \"90s\"\n[store]\nmemory = \"1GiB\"\n");
        let config = config::parse(&text, "f").unwrap();
        let again = config::parse(&config.document.to_toml(), "f").unwrap();
        assert_eq!(config, again);
    }

    #[test]
    fn secrets_are_masked() {
        let written = "[admin]\ntoken = \"s3cret\"\n[origins.b]\nservers = [\"http://b\"]\n\
                       sticky = { secret = \"s3cret-that-is-long-enough-for-anybody\" }\n";
        let document = document(written);
        for shown in [document.masked().to_toml(), format!("{document:?}")] {
            assert!(!shown.contains("s3cret") && shown.contains(MASK), "{shown}");
        }
        for (key, text, expected) in [
            ("X-Api-Key", "abc", MASK),
            ("Authorization", "Basic abc", MASK),
            ("cookie", "a=b", MASK),
            ("Set-Cookie", "a=b", MASK),
            ("cookies", "pass", "pass"),
            ("key", "shop.key", "shop.key"),
            ("servers", "http://me:pw@host/a@b", "http://***@host/a@b"),
            ("servers", "http://host/a@b", "http://host/a@b"),
        ] {
            let mut value = Value::from(text);
            mask(key, &mut value);
            assert_eq!(value.as_str(), Some(expected), "{key} {text}");
        }
    }

    #[test]
    fn changes_are_told_by_their_paths() {
        let before = document("[admin]\ntoken = \"one\"\n[cache]\ndefault_ttl = \"1s\"\n");
        let after = document("[admin]\ntoken = \"two\"\n[store]\nmemory = \"1MiB\"\n");
        let found: Vec<_> = before
            .changes(&after)
            .into_iter()
            .map(|it| (it.key, it.from, it.to, it.at_next_start))
            .collect();
        let text = |it: &str| Some(format!("\"{it}\""));
        let row = |key: &str, from, to, later| (key.to_owned(), from, to, later);
        let expected = [
            row("admin.token", text(MASK), text(MASK), false),
            row("cache.default_ttl", text("1s"), None, false),
            row("store.fill_memory", text("64MiB"), text("1MiB"), true),
            row("store.memory", text("256MiB"), text("1MiB"), true),
            row("store.object_max", text("32MiB"), text("128KiB"), true),
        ];
        assert_eq!(found, expected);
        assert_eq!(before.changes(&before), []);
    }
}
