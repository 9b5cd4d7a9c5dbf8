//! Types of a condition: from a tree to a program, or to what is wrong with it and how to mend it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use http::HeaderName;
use ipnet::IpNet;

use super::facts::Place;
use super::fields::{self, Field};
use super::lexer::Unit;
use super::pattern::Pattern;
use super::program::{Number, Relation, Test, Text};
use super::reads::Read;
use super::sense::{can_be, units_agree};
use super::syntax::{Expr, Node};
use crate::lists::{Kind, Lists};
use crate::semantics::globs::Globs;

/// As many entries may stand in a list within a condition; more belong into one of its own.
const ENTRIES_MAX: usize = 1_000;

/// What a part of a condition is.
enum Typed {
    Test(Test),
    Text(Text),
    Number(Number, Unit),
    Address,
    Place(Place),
    /// Entries that stand there.
    List(Vec<Typed>),
    /// A list of its own, by its name.
    Named(String),
    /// A map, by its name.
    Map(String),
}

/// A condition in the making.
pub(super) struct Checker<'a> {
    pub(super) lists: &'a Lists,
    /// What it has been seen to read.
    pub(super) reads: BTreeSet<Read>,
}

type Result<T> = std::result::Result<T, String>;

// === impl Checker ===

impl Checker<'_> {
    /// The program of what has to be true or false.
    pub(super) fn test(&mut self, node: &Node<'_>) -> Result<Test> {
        match &node.expr {
            Expr::Not(inner) => Ok(Test::Not(Box::new(self.test(inner)?))),
            Expr::All(parts) => Ok(Test::All(self.tests(parts)?)),
            Expr::Any(parts) => Ok(Test::Any(self.tests(parts)?)),
            Expr::Relation("in", left, right) => self.is_in(left, right),
            Expr::Relation(relation, left, right) => self.relation(relation, left, right),
            _ => match self.typed(node)? {
                Typed::Test(test) => Ok(test),
                Typed::Place(_) => Err(format!(
                    "`{}` is neither true nor false; ask for one, as `\"name\" in {0}`",
                    name_of(node).unwrap_or_default()
                )),
                other => Err(format!(
                    "`{}` is {} and stands where true or false is wanted; compare it, as `… == …`",
                    shown(node),
                    other.in_words()
                )),
            },
        }
    }

    fn tests(&mut self, parts: &[Node<'_>]) -> Result<Box<[Test]>> {
        parts.iter().map(|it| self.test(it)).collect()
    }

    fn typed(&mut self, node: &Node<'_>) -> Result<Typed> {
        match &node.expr {
            Expr::Text(text) => Ok(Typed::Text(Text::Literal(text.as_bytes().into()))),
            Expr::Number(number, unit) => Ok(Typed::Number(Number::Literal(*number), *unit)),
            Expr::Truth(truth) => Ok(Typed::Test(Test::Always(*truth))),
            Expr::List(items) if items.len() > ENTRIES_MAX => Err(format!(
                "has a list of more than {ENTRIES_MAX}; make a [list.NAME] of it"
            )),
            Expr::List(items) => {
                let items = items.iter().map(|it| self.typed(it));
                items.collect::<Result<_>>().map(Typed::List)
            }
            Expr::Index(of, index) => self.index(of, index),
            Expr::Call(None, name, items) => self.function(name, items),
            Expr::Call(Some(of), name, items) => self.method(of, name, items),
            Expr::Member(of, name) if is_name(of, "list") => Ok(Typed::Named((*name).to_owned())),
            Expr::Member(of, name) if is_name(of, "map") => Ok(Typed::Map((*name).to_owned())),
            Expr::Name(_) | Expr::Member(..) => self.field(node),
            Expr::Not(_) | Expr::All(_) | Expr::Any(_) | Expr::Relation(..) => {
                self.test(node).map(Typed::Test)
            }
        }
    }

    fn field(&mut self, node: &Node<'_>) -> Result<Typed> {
        let Some(name) = name_of(node) else {
            return Err(format!("`{}` has no parts", shown(node)));
        };
        let (field, read) = fields::of(&name).ok_or_else(|| fields::unknown(&name))?;
        self.reads.extend(read);
        Ok(match field {
            Field::Text(text) => Typed::Text(text),
            Field::Number(number, unit) => Typed::Number(number, unit),
            Field::Test(test) => Typed::Test(test),
            Field::Address => Typed::Address,
            Field::Place(place) => Typed::Place(place),
        })
    }

    /// `header["x"]` and its like.
    fn index(&mut self, of: &Node<'_>, index: &Node<'_>) -> Result<Typed> {
        let name =
            literal(index).ok_or("has `[…]` without a text in quotes, as `header[\"x\"]`")?;
        if is_name(of, "list") {
            return Ok(Typed::Named(name.to_owned()));
        }
        if is_name(of, "map") {
            return Ok(Typed::Map(name.to_owned()));
        }
        let Typed::Place(place) = self.typed(of)? else {
            return Err(format!(
                "`{}` has no parts; `header`, `cookie`, `param` and `response.header` have",
                shown(of)
            ));
        };
        self.read_of(place, name);
        Ok(Typed::Text(match place {
            Place::Header => Text::Header(field_name(name)?),
            Place::ResponseHeader => Text::ResponseHeader(field_name(name)?),
            Place::Cookie => Text::Cookie(name.as_bytes().into()),
            Place::Param => Text::Param(name.as_bytes().into()),
        }))
    }

    fn read_of(&mut self, place: Place, name: &str) {
        self.reads.insert(match place {
            Place::Header => Read::Header(name.to_ascii_lowercase().into()),
            Place::ResponseHeader => Read::Response,
            Place::Cookie => Read::Cookie(name.into()),
            Place::Param => Read::Param(name.into()),
        });
    }

    fn function(&mut self, name: &str, items: &[Node<'_>]) -> Result<Typed> {
        match (name, items) {
            ("list", [item]) => {
                let name = literal(item).ok_or("`list` takes the name of a list in quotes")?;
                Ok(Typed::Named(name.to_owned()))
            }
            ("bucket", [item]) => {
                let name = literal(item).ok_or("`bucket` takes a name in quotes")?;
                self.reads.insert(Read::Bucket);
                let number = Number::Bucket(name.as_bytes().into());
                Ok(Typed::Number(number, Unit::Plain))
            }
            ("int", [item]) => match self.typed(item)? {
                Typed::Text(text) => Ok(Typed::Number(Number::Of(Box::new(text)), Unit::Plain)),
                other => Err(format!(
                    "`int` takes a text, and this is {}",
                    other.in_words()
                )),
            },
            ("list" | "bucket" | "int", _) => Err(format!("`{name}` takes one text")),
            _ => Err(unknown_function(name, &["list", "bucket", "int"])),
        }
    }

    fn method(&mut self, of: &Node<'_>, name: &str, items: &[Node<'_>]) -> Result<Typed> {
        match self.typed(of)? {
            Typed::Text(text) => self.of_text(text, name, items),
            Typed::Place(place) if name == "any" => self.any(place, items).map(Typed::Test),
            Typed::Place(_) => Err(unknown_function(name, &["any"])),
            other => Err(format!(
                "`{}` is {} and has no `{name}`",
                shown(of),
                other.in_words()
            )),
        }
    }

    /// `cookie.any("a_*", "b")`
    fn any(&mut self, place: Place, items: &[Node<'_>]) -> Result<Test> {
        const WANTED: &str = "`any` takes names in quotes, as `any(\"wordpress_logged_in_*\")`";
        let names: Option<Vec<&str>> = items.iter().map(literal).collect();
        let names = names.filter(|it| !it.is_empty()).ok_or(WANTED)?;
        let lower = |it: &&str| match place {
            Place::Header | Place::ResponseHeader => it.to_ascii_lowercase(),
            Place::Cookie | Place::Param => (*it).to_owned(),
        };
        let names: Vec<String> = names.iter().map(lower).collect();
        for name in &names {
            self.read_of(place, name);
        }
        Ok(Test::HasAny(place, Globs::new(&names)))
    }

    fn of_text(&mut self, text: Text, name: &str, items: &[Node<'_>]) -> Result<Typed> {
        const KNOWN: [&str; 7] = [
            "startsWith",
            "endsWith",
            "contains",
            "matches",
            "lower",
            "after",
            "before",
        ];
        if !KNOWN.contains(&name) {
            return Err(unknown_function(name, &KNOWN));
        }
        if name == "lower" {
            return match items {
                [] => Ok(Typed::Text(Text::Lower(Box::new(text)))),
                _ => Err("`lower` takes nothing, as `lower()`".to_owned()),
            };
        }
        let wanted = || format!("`{name}` takes one text, as `{name}(\"…\")`");
        let [item] = items else {
            return Err(wanted());
        };
        let Typed::Text(with) = self.typed(item)? else {
            return Err(wanted());
        };
        let test = match (name, with) {
            ("startsWith", with) => Test::Starts(text, with),
            ("endsWith", with) => Test::Ends(text, with),
            ("contains", with) => Test::Contains(text, with),
            ("matches", Text::Literal(with)) => {
                Test::Matches(text, Pattern::parse(&String::from_utf8_lossy(&with))?)
            }
            ("after", Text::Literal(what)) => {
                return Ok(Typed::Text(Text::After(Box::new(text), what)));
            }
            ("before", Text::Literal(what)) => {
                return Ok(Typed::Text(Text::Before(Box::new(text), what)));
            }
            _ => return Err(format!("`{name}` takes a text in quotes")),
        };
        Ok(Typed::Test(test))
    }

    fn relation(&mut self, mark: &str, left: &Node<'_>, right: &Node<'_>) -> Result<Test> {
        let relation = Relation::of(mark).ok_or("compares in an unknown way")?;
        let equality = match relation {
            Relation::Equal => Some(true),
            Relation::Unequal => Some(false),
            _ => None,
        };
        let test = match (self.typed(left)?, self.typed(right)?, equality) {
            (Typed::Text(left), Typed::Text(right), Some(_)) => {
                can_be(&left, &right).and_then(|()| can_be(&right, &left))?;
                Test::Equal(left, right)
            }
            (Typed::Test(left), Typed::Test(right), Some(_)) => Test::Same(Box::new((left, right))),
            (Typed::Address, Typed::Text(Text::Literal(text)), Some(_))
            | (Typed::Text(Text::Literal(text)), Typed::Address, Some(_)) => {
                Test::AddressOf(Box::new([network(&text)?]))
            }
            (Typed::Number(left, left_unit), Typed::Number(right, right_unit), _) => {
                units_agree((&left, left_unit), (&right, right_unit))?;
                return Ok(Test::Compare(left, relation, right));
            }
            (left_type, right_type, _) => {
                return Err(format!(
                    "`{}` is {} and `{}` is {}: these are not compared by `{mark}`",
                    shown(left),
                    left_type.in_words(),
                    shown(right),
                    right_type.in_words()
                ));
            }
        };
        match equality {
            Some(false) => Ok(Test::Not(Box::new(test))),
            _ => Ok(test),
        }
    }

    fn is_in(&mut self, left: &Node<'_>, right: &Node<'_>) -> Result<Test> {
        match (self.typed(left)?, self.typed(right)?) {
            (Typed::Text(Text::Literal(name)), Typed::Place(place)) => {
                let name = String::from_utf8_lossy(&name).into_owned();
                self.read_of(place, &name);
                match place {
                    Place::Header | Place::ResponseHeader => {
                        Ok(Test::HasField(place, field_name(&name)?))
                    }
                    Place::Cookie | Place::Param => {
                        Ok(Test::Has(place, Text::Literal(name.into_bytes().into())))
                    }
                }
            }
            (_, Typed::Place(_)) => Err(format!(
                "`in {}` wants a name in quotes before it",
                name_of(right).unwrap_or_default()
            )),
            (left, Typed::List(items)) => in_list(left, items),
            (left, Typed::Named(name)) => self.in_named(left, &name),
            (Typed::Text(text), Typed::Map(name)) => match self.lists.map(&name) {
                Some(map) => Ok(Test::Mapped(text, map)),
                None => Err(format!("unknown map `{name}`; add [map.{name}]")),
            },
            (_, other) => Err(format!(
                "`in` wants a list behind it, as [\"a\", \"b\"], and `{}` is {}",
                shown(right),
                other.in_words()
            )),
        }
    }

    fn in_named(&self, left: Typed, name: &str) -> Result<Test> {
        let Some(list) = self.lists.list(name) else {
            return Err(unknown_list(name, &self.lists.list_names()));
        };
        match (left, list.kind() == Kind::Networks) {
            (Typed::Address, true) => Ok(Test::AddressListed(list)),
            (Typed::Text(text), false) => Ok(Test::Listed(text, list)),
            (Typed::Address, false) => Err(format!(
                "`list.{name}` is of texts, and `ip` is an address; let it have networks"
            )),
            (left, _) => Err(format!(
                "`list.{name}` does not hold {}; `ip` is looked for in addresses, texts in words",
                left.in_words()
            )),
        }
    }
}

/// A value among the entries of a list.
fn in_list(left: Typed, items: Vec<Typed>) -> Result<Test> {
    const MIXED: &str = "has a list with entries of another kind than what is looked for in it";
    let text = |it: &Typed| match it {
        Typed::Text(Text::Literal(text)) => Some(text.clone()),
        _ => None,
    };
    match left {
        Typed::Address => {
            let networks = items.iter().map(|it| network(&text(it).ok_or(MIXED)?));
            Ok(Test::AddressOf(networks.collect::<Result<_>>()?))
        }
        Typed::Text(left) => {
            let words: Option<Vec<_>> = items.iter().map(text).collect();
            let mut words = words.ok_or(MIXED)?;
            for word in &words {
                can_be(&left, &Text::Literal(word.clone()))?;
            }
            words.sort_unstable();
            Ok(Test::OneOf(left, words.into()))
        }
        Typed::Number(left, unit) => {
            let mut tests = Vec::with_capacity(items.len());
            for item in items {
                let Typed::Number(right, other) = item else {
                    return Err(MIXED.to_owned());
                };
                units_agree((&left, unit), (&right, other))?;
                tests.push(Test::Compare(left.clone(), Relation::Equal, right));
            }
            Ok(Test::Any(tests.into()))
        }
        other => Err(format!("{} is in no list", other.in_words())),
    }
}

fn network(text: &[u8]) -> Result<IpNet> {
    let text = String::from_utf8_lossy(text);
    let address = text.parse::<IpAddr>().ok().map(IpNet::from);
    let network = address.or_else(|| text.parse::<IpNet>().ok());
    let network = network.filter(|it| it.trunc() == *it);
    network.ok_or_else(|| {
        format!("`{text}` is no network; write \"10.0.0.0/8\", with zeros behind its prefix, or \"10.0.0.1\"")
    })
}

fn field_name(name: &str) -> Result<HeaderName> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("`{name}` is not the name of a field (RFC 9110 §5.1)"))
}

fn unknown_function(name: &str, known: &[&str]) -> String {
    let meant = fields::closest(name, known).or(match name {
        "starts_with" | "hasPrefix" | "has_prefix" => Some("startsWith"),
        "ends_with" | "hasSuffix" | "has_suffix" => Some("endsWith"),
        "match" | "regex" => Some("matches"),
        "exists" | "has" | "all" => Some("any"),
        "lowerAscii" | "toLower" | "tolower" => Some("lower"),
        _ => None,
    });
    match meant.filter(|it| known.contains(it)) {
        Some(meant) => format!("unknown function `{name}`; did you mean `{meant}`?"),
        None => format!(
            "unknown function `{name}`; known here are {}",
            known.join(", ")
        ),
    }
}

fn unknown_list(name: &str, known: &[&str]) -> String {
    match fields::closest(name, known) {
        Some(meant) => format!("unknown list `{name}`; did you mean `{meant}`?"),
        None => format!("unknown list `{name}`; add [list.{name}]"),
    }
}

/// Text that stands there.
fn literal<'a>(node: &'a Node<'_>) -> Option<&'a str> {
    match &node.expr {
        Expr::Text(text) => Some(text),
        _ => None,
    }
}

fn is_name(node: &Node<'_>, name: &str) -> bool {
    node.expr == Expr::Name(name)
}

/// A name, or two with a dot between.
fn name_of(node: &Node<'_>) -> Option<String> {
    match &node.expr {
        Expr::Name(name) => Some((*name).to_owned()),
        Expr::Member(of, name) => Some(format!("{}.{name}", name_of(of)?)),
        _ => None,
    }
}

/// A part for people to read.
fn shown(node: &Node<'_>) -> String {
    match &node.expr {
        Expr::Text(text) => format!("\"{text}\""),
        Expr::Number(number, _) => number.to_string(),
        Expr::Truth(truth) => truth.to_string(),
        Expr::Index(of, at) => format!("{}[{}]", shown(of), shown(at)),
        Expr::Call(Some(of), name, _) => format!("{}.{name}(…)", shown(of)),
        Expr::Call(None, name, _) => format!("{name}(…)"),
        Expr::List(_) => "[…]".to_owned(),
        _ => name_of(node).unwrap_or_else(|| "(…)".to_owned()),
    }
}

// === impl Typed ===

impl Typed {
    fn in_words(&self) -> &'static str {
        match self {
            Self::Test(_) => "true or false",
            Self::Text(_) => "a text",
            Self::Number(_, Unit::Plain) => "a number",
            Self::Number(_, Unit::Bytes) => "a size",
            Self::Number(_, Unit::Seconds) => "a time",
            Self::Address => "an address",
            Self::Place(_) => "a table",
            Self::List(_) | Self::Named(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}
