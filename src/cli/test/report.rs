//! Report on all cases: for people, and for what reads JUnit's XML.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::telemetry::Telemetry;

/// What has come of one case.
pub(super) struct Outcome {
    pub(super) line: usize,
    pub(super) name: String,
    /// What did not go as expected; empty if all did.
    pub(super) failed: Vec<String>,
}

/// What has come of all.
pub(super) struct Report {
    file: PathBuf,
    outcomes: Vec<Outcome>,
    /// The rules that were true in no case, where that was asked for.
    uncovered: Option<Vec<String>>,
}

// === impl Report ===

impl Report {
    pub(super) fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            outcomes: Vec::new(),
            uncovered: None,
        }
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    /// Looks which rules were never true.
    pub(super) fn cover(&mut self, config: &Config, telemetry: &Telemetry) {
        let counts = telemetry.rules.counts();
        let is_new = |name: &&str| counts.get(name).is_none_or(|it| *it == 0);
        let names = config.rules().map(|it| &*it.name).filter(is_new);
        self.uncovered = Some(names.map(str::to_owned).collect());
    }

    pub(super) fn is_good(&self) -> bool {
        self.failed() == 0
    }

    fn failed(&self) -> usize {
        let failed = self.outcomes.iter().filter(|it| !it.failed.is_empty());
        failed.count()
    }

    /// As JUnit writes it.
    pub(super) fn junit(&self) -> String {
        let (file, tests) = (self.file.display().to_string(), self.outcomes.len());
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        // Writing to a string does not fail.
        let _ = writeln!(
            xml,
            "<testsuite name=\"{}\" tests=\"{tests}\" failures=\"{}\">",
            escaped(&file),
            self.failed()
        );
        for outcome in &self.outcomes {
            let _ = write!(
                xml,
                "  <testcase classname=\"{}\" name=\"{}\" file=\"{0}\" line=\"{}\"",
                escaped(&file),
                escaped(&outcome.name),
                outcome.line
            );
            let _ = match outcome.failed.is_empty() {
                true => writeln!(xml, "/>"),
                false => {
                    let text = escaped(&outcome.failed.join("\n"));
                    writeln!(xml, ">\n    <failure>{text}</failure>\n  </testcase>")
                }
            };
        }
        xml.push_str("</testsuite>\n");
        xml
    }
}

/// What failed, one thing a line as `file:line: case: what`, and how many there were.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        for outcome in &self.outcomes {
            for what in &outcome.failed {
                writeln!(f, "{file}:{}: {}: {what}", outcome.line, outcome.name)?;
            }
        }
        for rule in self.uncovered.iter().flatten() {
            writeln!(f, "not covered: rule {rule}")?;
        }
        let (cases, failed) = (self.outcomes.len(), self.failed());
        write!(f, "{cases} cases, {failed} failed")
    }
}

/// XML 1.0 §2.4, and §2.2 for what no document may hold.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(char),
            _ if char.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_told_to_people_and_machines() {
        let mut report = Report::new(Path::new("cases.toml"));
        for (line, name, failed) in [
            (3, "good", vec![]),
            (9, "a < \"b\"", vec!["step 1: no & no"]),
        ] {
            report.add(Outcome {
                line,
                name: name.to_owned(),
                failed: failed.into_iter().map(str::to_owned).collect(),
            });
        }
        assert!(!report.is_good());
        assert_eq!(
            report.to_string(),
            "cases.toml:9: a < \"b\": step 1: no & no\n2 cases, 1 failed"
        );
        assert_eq!(
            report.junit(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuite name=\"cases.toml\" tests=\"2\" failures=\"1\">\n  \
             <testcase classname=\"cases.toml\" name=\"good\" file=\"cases.toml\" line=\"3\"/>\n  \
             <testcase classname=\"cases.toml\" name=\"a &lt; &quot;b&quot;\" file=\"cases.toml\" line=\"9\">\n    \
             <failure>step 1: no &amp; no</failure>\n  </testcase>\n</testsuite>\n"
        );
    }
}
