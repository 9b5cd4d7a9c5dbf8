//! `[[limit]]`: how often one client, one key of an API or one route may be asked for.
//!
//! Not where a limit holds: `[server]`, sites and routes refer to it by its name. Nor the limits of
//! bytes and time (`listen.rs`).

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, StatusCode};
use ipnet::IpNet;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use toml::Spanned;

use super::names;
use super::networks;
use super::report::{Given, Report};
use super::table::{Table, Written};
use super::units::{self, Count};

/// At most a million requests in a window, so that its billion nanoseconds can be shared out.
const COUNT: RangeInclusive<u32> = 1..=1_000_000;
const BURST: RangeInclusive<usize> = 1..=1_000_000;
/// 24 bytes each.
const KEYS: RangeInclusive<usize> = 64..=1 << 22;
const KEYS_DEFAULT: usize = 65_536;
const IPV6_PREFIX: RangeInclusive<usize> = 1..=128;
/// The network of one IPv6 customer: whoever has an address has all those of its /64.
const IPV6_PREFIX_DEFAULT: usize = 64;

/// How often may be asked, and who counts as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// By what routes refer to it; in metrics and answers.
    pub name: Arc<str>,
    /// How fast requests may come on and on.
    pub rate: Rate,
    /// How many may come at once after a rest.
    pub burst: u32,
    /// Who counts as one.
    pub key: LimitKey,
    /// The bits of an IPv4 address that tell clients apart.
    pub ipv4_prefix: u8,
    /// The bits of an IPv6 address that tell clients apart.
    pub ipv6_prefix: u8,
    /// How many keys are remembered.
    pub keys_max: usize,
    /// Clients in these networks are not limited.
    pub allow: Vec<IpNet>,
    /// The status of a refusal.
    pub status: StatusCode,
}

/// So many requests in such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests.
    pub count: u32,
    /// In which time: a second, a minute or an hour.
    pub window: Duration,
}

/// Who counts as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitKey {
    /// Who has one address, or the addresses of one network.
    Address,
    /// Who sends one value of this field; without the field, who has one address.
    Field(HeaderName),
    /// All who ask for one route.
    Route,
}

/// One `[[limit]]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimit {
    pub(super) name: Given<String>,
    rate: Given<String>,
    burst: Given<Count>,
    key: Given<RawKey>,
    ipv6_prefix: Given<Count>,
    keys_max: Given<Count>,
    allow: Vec<Spanned<String>>,
    status: Given<Count>,
}

/// `key` as written: a word, or a table with the name of a field.
enum RawKey {
    Word(String),
    Table(Table<RawFieldKey>),
}

/// A field that tells clients apart.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawFieldKey {
    header: Given<String>,
}

// === impl Rate ===

impl Rate {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const WANTED: &str = "is not a rate; write \"100/s\", \"600/m\" or \"10/h\"";
        let (count, unit) = text.split_once('/').ok_or(WANTED)?;
        let secs = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return Err(WANTED),
        };
        // `parse` would take a plus sign too.
        if !count.bytes().all(|it| it.is_ascii_digit()) || count.is_empty() {
            return Err(WANTED);
        }
        match count.parse() {
            Ok(count) if COUNT.contains(&count) => Ok(Self {
                count,
                window: Duration::from_secs(secs),
            }),
            _ => Err("is out of limits; write 1 to 1000000 requests"),
        }
    }
}

// === impl RawLimit ===

impl RawLimit {
    /// `None` after a complaint about what has no default.
    pub(super) fn resolve(raw: &Written<Self>, report: &mut Report) -> Option<Limit> {
        let place = raw.span();
        let raw = raw.get_ref();
        let Some(name) = &raw.name else {
            report.missing(place, "name", "is missing; routes refer to the limit by it");
            return None;
        };
        names::check_label(name, "limits", report);
        let rate = raw.rate.as_ref();
        if rate.is_none() {
            report.missing(place, "rate", "is missing; write `rate = \"100/s\"`");
        }
        let parsed = rate.map(|it| (it.span(), Rate::parse(it.get_ref())));
        let rate = parsed.and_then(|(place, parsed)| {
            let complain = |complaint| report.at(place, complaint);
            parsed.map_err(complain).ok()
        });
        let (key, ipv4_prefix) = raw.resolve_key(report);
        let ipv6_prefix = units::count(&raw.ipv6_prefix, IPV6_PREFIX_DEFAULT, IPV6_PREFIX, report);
        let burst = rate.map_or(1, |rate| rate.count as usize);
        let burst = units::count(&raw.burst, burst, BURST, report);
        let limit = Limit {
            name: name.get_ref().as_str().into(),
            rate: rate?,
            // Both limits are far below the ends of these types.
            burst: u32::try_from(burst).unwrap_or(u32::MAX),
            key,
            ipv4_prefix,
            ipv6_prefix: u8::try_from(ipv6_prefix).unwrap_or(u8::MAX),
            keys_max: units::count(&raw.keys_max, KEYS_DEFAULT, KEYS, report),
            allow: networks::resolve(&raw.allow, report),
            status: raw.resolve_status(report),
        };
        Some(limit)
    }

    /// Who counts as one, and the bits of an IPv4 address that matter.
    fn resolve_key(&self, report: &mut Report) -> (LimitKey, u8) {
        let address = (LimitKey::Address, 32);
        let Some(key) = &self.key else {
            return address;
        };
        let parsed = match key.get_ref() {
            RawKey::Word(word) => parse_word(word),
            RawKey::Table(table) => match &table.header {
                Some(name) => names::field(name.get_ref()).map(|name| (LimitKey::Field(name), 32)),
                None => Err("names no field; write { header = \"x-api-key\" }"),
            },
        };
        parsed.unwrap_or_else(|complaint| {
            report.at(key.span(), complaint);
            address
        })
    }

    fn resolve_status(&self, report: &mut Report) -> StatusCode {
        let Some(given) = &self.status else {
            return StatusCode::TOO_MANY_REQUESTS;
        };
        let status = u16::try_from(given.get_ref().0)
            .ok()
            .and_then(|it| StatusCode::from_u16(it).ok())
            .filter(|it| it.is_client_error() || it.is_server_error());
        status.unwrap_or_else(|| {
            report.at(given.span(), "is no status of an error; write 400 to 599");
            StatusCode::TOO_MANY_REQUESTS
        })
    }
}

/// The limits referred to; whether they are known is checked in `check.rs`.
pub(super) fn names(list: &[Spanned<String>]) -> Vec<Arc<str>> {
    list.iter().map(|it| it.get_ref().as_str().into()).collect()
}

fn parse_word(word: &str) -> Result<(LimitKey, u8), &'static str> {
    const WANTED: &str =
        "is not known; write \"ip\", \"ip/24\", \"route\" or { header = \"name\" }";
    match word {
        "ip" => Ok((LimitKey::Address, 32)),
        "route" => Ok((LimitKey::Route, 32)),
        _ => {
            let prefix = word.strip_prefix("ip/").ok_or(WANTED)?;
            let bits = prefix.parse().ok().filter(|it| (1..=32).contains(it));
            let bits = bits.filter(|_| !prefix.starts_with('+'));
            bits.map(|bits| (LimitKey::Address, bits))
                .ok_or("has no prefix of an IPv4 network; write \"ip/1\" to \"ip/32\"")
        }
    }
}

// === impl RawKey ===

impl<'de> Deserialize<'de> for RawKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrTable;
        impl<'de> Visitor<'de> for WordOrTable {
            type Value = RawKey;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"ip\", \"route\" or a table with `header`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<RawKey, E> {
                Ok(RawKey::Word(word.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawKey, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map)).map(RawKey::Table)
            }
        }
        deserializer.deserialize_any(WordOrTable)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates() {
        let rate = |count, secs| {
            let window = Duration::from_secs(secs);
            Some(Rate { count, window })
        };
        for (text, expected) in [
            ("100/s", rate(100, 1)),
            ("600/m", rate(600, 60)),
            ("10/h", rate(10, 3_600)),
            ("1000000/s", rate(1_000_000, 1)),
            ("1000001/s", None),
            ("0/s", None),
            ("+1/s", None),
            ("-1/s", None),
            ("1/d", None),
            ("1/", None),
            ("/s", None),
            ("1", None),
            ("1 /s", None),
            ("1/s/s", None),
            ("99999999999999999999/s", None),
            ("", None),
        ] {
            assert_eq!(Rate::parse(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn words_for_keys() {
        for (word, expected) in [
            ("ip", Some((LimitKey::Address, 32))),
            ("ip/24", Some((LimitKey::Address, 24))),
            ("ip/32", Some((LimitKey::Address, 32))),
            ("route", Some((LimitKey::Route, 32))),
            ("ip/0", None),
            ("ip/33", None),
            ("ip/+8", None),
            ("ip/", None),
            ("ip/64", None),
            ("IP", None),
            ("header", None),
            ("", None),
        ] {
            assert_eq!(parse_word(word).ok(), expected, "{word:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_rate_or_complained_of(text in any::<String>()) {
            if let Ok(rate) = Rate::parse(&text) {
                prop_assert!(COUNT.contains(&rate.count) && !rate.window.is_zero());
            }
            let _ = parse_word(&text);
        }
    }
}
