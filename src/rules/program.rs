//! Program of a condition: its parts with their types, as they are evaluated.
//!
//! Evaluating recurses as deep as the text was nested, which is bounded, and allocates only to put text
//! in lower case that is not, or to decode a parameter that is encoded.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use http::HeaderName;
use ipnet::IpNet;
use memchr::memmem;

use super::facts::{Facts, Place, number};
use super::pattern::Pattern;
use crate::lists::{List, Map};
use crate::semantics::globs::Globs;

/// What is true or false.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Always(bool),
    Not(Box<Test>),
    All(Box<[Test]>),
    Any(Box<[Test]>),
    /// Both are true or both false.
    Same(Box<(Test, Test)>),
    IsBot,
    IsHealthy,
    Equal(Text, Text),
    Starts(Text, Text),
    Ends(Text, Text),
    Contains(Text, Text),
    Matches(Text, Pattern),
    /// The words are in order.
    OneOf(Text, Box<[Box<[u8]>]>),
    Listed(Text, Arc<List>),
    /// It is a key of the map.
    Mapped(Text, Arc<Map>),
    AddressOf(Box<[IpNet]>),
    AddressListed(Arc<List>),
    HasField(Place, HeaderName),
    Has(Place, Text),
    HasAny(Place, Globs),
    Compare(Number, Relation, Number),
}

/// What is text.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Literal(Box<[u8]>),
    Method,
    Scheme,
    Host,
    Path,
    Query,
    Target,
    Extension,
    Device,
    Type,
    Outcome,
    Header(HeaderName),
    ResponseHeader(HeaderName),
    Cookie(Box<[u8]>),
    Param(Box<[u8]>),
    Lower(Box<Text>),
    /// What follows a text, and all where that is not there.
    After(Box<Text>, Box<[u8]>),
    Before(Box<Text>, Box<[u8]>),
}

/// What is a number, where it is known.
#[derive(Clone, Debug)]
pub(super) enum Number {
    Literal(i64),
    Status,
    Length,
    Lifetime,
    Age,
    Hits,
    Bucket(Box<[u8]>),
    Of(Box<Text>),
}

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

// === impl Test ===

impl Test {
    pub(super) fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Always(truth) => *truth,
            Self::Not(test) => !test.holds(facts),
            Self::All(tests) => tests.iter().all(|it| it.holds(facts)),
            Self::Any(tests) => tests.iter().any(|it| it.holds(facts)),
            Self::Same(both) => both.0.holds(facts) == both.1.holds(facts),
            Self::IsBot => facts.device() == "bot",
            Self::IsHealthy => (facts.request.is_healthy)(),
            Self::Equal(left, right) => left.read(facts) == right.read(facts),
            Self::Starts(text, with) => text.read(facts).starts_with(&with.read(facts)),
            Self::Ends(text, with) => text.read(facts).ends_with(&with.read(facts)),
            Self::Contains(text, what) => {
                memmem::find(&text.read(facts), &what.read(facts)).is_some()
            }
            Self::Matches(text, pattern) => pattern.is_in(&text.read(facts)),
            Self::OneOf(text, words) => {
                let text = text.read(facts);
                words.binary_search_by(|it| (**it).cmp(&text)).is_ok()
            }
            Self::Listed(text, list) => is_text(&text.read(facts), |it| list.holds_word(it)),
            Self::Mapped(text, map) => is_text(&text.read(facts), |it| map.get(it).is_some()),
            Self::AddressOf(networks) => {
                let client = facts.request.client.to_canonical();
                networks.iter().any(|it| it.contains(&client))
            }
            Self::AddressListed(list) => list.holds_address(facts.request.client),
            Self::HasField(place, name) => facts.has_field(*place, name),
            Self::Has(place, name) => {
                let name = name.read(facts);
                facts.has(*place, |it| *it == *name)
            }
            Self::HasAny(place, globs) => facts.has(*place, |it| globs.have(it)),
            Self::Compare(left, relation, right) => {
                relation.holds(left.read(facts), right.read(facts))
            }
        }
    }

    /// The methods without which it is false, if it names some.
    pub(super) fn methods(&self) -> Option<Box<[Box<str>]>> {
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned().into_boxed_str();
        match self {
            Self::Equal(Text::Method, Text::Literal(method))
            | Self::Equal(Text::Literal(method), Text::Method) => Some(Box::new([text(method)])),
            Self::OneOf(Text::Method, methods) => Some(methods.iter().map(|it| text(it)).collect()),
            _ => None,
        }
    }
}

// === impl Text ===

impl Text {
    fn read<'v>(&'v self, facts: &'v Facts<'_>) -> Cow<'v, [u8]> {
        let text = match self {
            Self::Literal(text) => text,
            Self::Method => facts.request.method.as_bytes(),
            Self::Scheme => facts.request.scheme.as_bytes(),
            Self::Host => facts.request.host.as_bytes(),
            Self::Path => facts.path.as_bytes(),
            Self::Query => facts.query.as_bytes(),
            Self::Target => facts.request.target.as_bytes(),
            Self::Extension => return lower(Cow::Borrowed(facts.extension())),
            Self::Device => facts.device().as_bytes(),
            Self::Type => return lower(Cow::Borrowed(facts.media_type())),
            Self::Outcome => facts.delivery.map_or("", |it| it.outcome).as_bytes(),
            Self::Header(name) => facts.header(name),
            Self::ResponseHeader(name) => facts.response_header(name),
            Self::Cookie(name) => facts.cookie(name),
            Self::Param(name) => return facts.param(name),
            Self::Lower(text) => return lower(text.read(facts)),
            Self::After(text, what) => {
                let text = text.read(facts);
                return match memmem::find(&text, what) {
                    Some(at) => cut(text, |it| &it[at + what.len()..]),
                    None => text,
                };
            }
            Self::Before(text, what) => {
                let text = text.read(facts);
                return match memmem::find(&text, what) {
                    Some(at) => cut(text, |it| &it[..at]),
                    None => text,
                };
            }
        };
        Cow::Borrowed(text)
    }
}

/// Lists and maps hold text alone.
fn is_text(bytes: &[u8], holds: impl FnOnce(&str) -> bool) -> bool {
    std::str::from_utf8(bytes).is_ok_and(holds)
}

fn cut<'v>(text: Cow<'v, [u8]>, part: impl Fn(&[u8]) -> &[u8]) -> Cow<'v, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(part(text)),
        Cow::Owned(text) => Cow::Owned(part(&text).to_vec()),
    }
}

fn lower(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match text.iter().any(u8::is_ascii_uppercase) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => text,
    }
}

// === impl Number ===

impl Number {
    fn read(&self, facts: &Facts<'_>) -> Option<i64> {
        match self {
            Self::Literal(number) => Some(*number),
            Self::Status => facts.response.map(|it| i64::from(it.status)),
            Self::Length => facts.length(),
            Self::Lifetime => {
                let lifetime = (facts.response?.lifetime)()?;
                Some(i64::try_from(lifetime).unwrap_or(i64::MAX))
            }
            Self::Age => facts.age(),
            Self::Hits => facts.delivery.map(|it| i64::from(it.hits)),
            Self::Bucket(name) => Some(facts.bucket(name)),
            Self::Of(text) => number(&text.read(facts)),
        }
    }
}

// === impl Relation ===

impl Relation {
    pub(super) fn of(mark: &str) -> Option<Self> {
        Some(match mark {
            "==" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    /// What is not known is neither more nor less than anything, and unequal to all.
    fn holds(self, left: Option<i64>, right: Option<i64>) -> bool {
        let (Some(left), Some(right)) = (left, right) else {
            return self == Self::Unequal;
        };
        let order = left.cmp(&right);
        match self {
            Self::Equal => order == Ordering::Equal,
            Self::Unequal => order != Ordering::Equal,
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
        }
    }
}
