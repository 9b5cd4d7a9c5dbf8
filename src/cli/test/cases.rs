//! File of `copal test`: cases, each of which is a few requests in turn, what the origin would answer to
//! them, and what is expected of it all.
//!
//! Not the running of cases.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::rules::quantity;

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCases {
    config: Option<PathBuf>,
    #[serde(default)]
    case: Vec<Spanned<Case>>,
}

/// Cases, and the configuration that they are about.
#[derive(Debug)]
pub(super) struct Cases {
    /// The configuration, if the file names one; as seen from where it is read.
    pub(super) config: Option<PathBuf>,
    /// The cases with their lines, counted from 1.
    pub(super) cases: Vec<(usize, Case)>,
}

/// Requests in turn, on a proxy that has stored nothing before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// What it is a case of.
    pub(super) name: String,
    /// What origins answer, where a step says nothing else.
    #[serde(default)]
    pub(super) origin: Scripted,
    /// The requests.
    pub(super) step: Vec<Step>,
}

/// One request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// How much time passes before.
    #[serde(default)]
    after: Option<Length>,
    /// Its method; GET without one.
    pub(super) method: Option<String>,
    /// Its URL, as `https://shop.example/a`.
    pub(super) url: String,
    /// Its fields.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Its content.
    pub(super) body: Option<String>,
    /// The address of its client; 192.0.2.1 without one.
    pub(super) client: Option<std::net::IpAddr>,
    /// What the origin answers, if it is asked.
    pub(super) origin: Option<Scripted>,
    /// What comes of it.
    #[serde(default)]
    pub(super) expect: Expected,
    /// What the origin sees of it.
    pub(super) asked: Option<Asked>,
}

/// What an origin answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Scripted {
    /// Its status; 200 without one.
    pub(super) status: u16,
    /// Its fields; without any it may be kept for a minute.
    pub(super) headers: BTreeMap<String, String>,
    /// Its content.
    pub(super) body: String,
    /// How long it takes.
    delay: Option<Length>,
    /// That it does not answer at all.
    pub(super) fails: Option<Failing>,
}

/// How an origin fails to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Failing {
    /// It takes no connections.
    Refused,
    /// It closes the connection in place of an answer.
    Closed,
}

/// What is expected; only what is written is compared.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expected {
    /// The status.
    pub(super) status: Option<u16>,
    /// How it is served, in the words of the access log: `hit`, `miss`, `pass` and so on.
    pub(super) outcome: Option<String>,
    /// Fields that the client gets, with their values.
    pub(super) headers: BTreeMap<String, String>,
    /// Fields that it does not get.
    pub(super) without: Vec<String>,
    /// The content.
    pub(super) body: Option<String>,
    /// Parameters of Cache-Status, as `fwd=uri-miss` and `detail=rule-NAME`.
    pub(super) cache_status: Vec<String>,
    /// The names of the rules that are true, in any order.
    pub(super) rules: Option<Vec<String>>,
    /// How often origins are asked by it.
    pub(super) fetches: Option<usize>,
}

/// What an origin sees of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    /// The name of the origin.
    pub(super) origin: Option<String>,
    /// The method.
    pub(super) method: Option<String>,
    /// The path and query.
    pub(super) target: Option<String>,
    /// Fields with their values.
    pub(super) headers: BTreeMap<String, String>,
    /// Fields that are not there.
    pub(super) without: Vec<String>,
}

/// A length of time as configurations have it.
#[derive(Clone, Debug)]
struct Length(Duration);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let secs = quantity(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is no time; write it as 60s, 5m, 1h or 7d"
            ))
        })?;
        Ok(Self(Duration::from_secs(secs)))
    }
}

// === impl Cases ===

impl Cases {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// What is wrong with it, as `file:line: what`.
    pub(super) fn load(path: &Path) -> Result<Self, String> {
        let file = path.display();
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| format!("{file}: cannot be read: {error}"))?;
        let mut cases = Self::parse(&text).map_err(|(line, wrong)| match line {
            Some(line) => format!("{file}:{line}: {wrong}"),
            None => format!("{file}: {wrong}"),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        cases.config = cases.config.map(|it| folder.join(it));
        Ok(cases)
    }

    fn parse(text: &str) -> Result<Self, (Option<usize>, String)> {
        let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let raw: RawCases = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|it| line_of(it.start));
            (line, error.message().replace('\n', " "))
        })?;
        let lines = raw.case.iter().map(|it| line_of(it.span().start));
        let lines: Vec<usize> = lines.collect();
        let cases = lines
            .into_iter()
            .zip(raw.case.into_iter().map(Spanned::into_inner));
        let cases: Vec<_> = cases.collect();
        if cases.is_empty() {
            return Err((None, "has no cases; add a [[case]]".to_owned()));
        }
        if let Some((line, _)) = cases.iter().find(|it| it.1.step.is_empty()) {
            return Err((
                Some(*line),
                "asks for nothing; add a [[case.step]]".to_owned(),
            ));
        }
        Ok(Self {
            config: raw.config,
            cases,
        })
    }
}

// === impl Step ===

impl Step {
    /// How much time passes before.
    pub(super) fn after(&self) -> Duration {
        self.after.as_ref().map_or(Duration::ZERO, |it| it.0)
    }
}

// === impl Scripted ===

impl Scripted {
    /// How long the answer takes.
    pub(super) fn delay(&self) -> Duration {
        self.delay.as_ref().map_or(Duration::ZERO, |it| it.0)
    }
}

impl Default for Scripted {
    fn default() -> Self {
        let headers = [("cache-control".to_owned(), "max-age=60".to_owned())];
        Self {
            status: 200,
            headers: headers.into(),
            body: String::new(),
            delay: None,
            fails: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cases_or_is_complained_of() {
        let text = "config = \"c.toml\"\n\n[[case]]\nname = \"a\"\norigin = { status = 404 }\n\
                    [[case.step]]\nurl = \"http://a/\"\nafter = \"2m\"\nexpect = { status = 404 }\n";
        let cases = Cases::parse(text).unwrap();
        let (line, case) = &cases.cases[0];
        assert_eq!((*line, case.name.as_str()), (3, "a"));
        assert_eq!(case.step[0].after(), Duration::from_secs(120));
        assert_eq!((case.origin.status, case.origin.headers.len()), (404, 1));
        for (text, line, said) in [
            ("", None, "has no cases"),
            (
                "[[case]]\nname = \"a\"\nstep = []",
                Some(1),
                "asks for nothing",
            ),
            (
                "[[case]]\nname = \"a\"\n[[case.step]]\nurl = \"/\"\nexpct = 1",
                Some(5),
                "expct",
            ),
            ("[[case]]\nname = 1", Some(2), "string"),
            ("[[case]\n", Some(1), ""),
        ] {
            let (found, wrong) = Cases::parse(text).unwrap_err();
            assert_eq!(found, line, "{text}: {wrong}");
            assert!(wrong.contains(said), "{text}: {wrong}");
        }
    }
}
