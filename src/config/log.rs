//! Table `[log]`: what is written about what happened, and where.
//!
//! Not the writing itself.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::report::{Given, Report};
use super::wording;

const NO_FILES: [&str; 3] = ["off", "stdout", "stderr"];

/// What is logged.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// The least grave events that still go to standard error.
    pub level: Level,
    /// Where the line about each request goes.
    pub access: Access,
    /// How that line looks.
    pub format: Format,
}

/// How grave an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something failed.
    Error,
    /// Something looks wrong, and goes on.
    Warn,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What helps to find a mistake.
    Debug,
    /// Each step.
    Trace,
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nowhere.
    Off,
    /// To standard output.
    Stdout,
    /// To standard error.
    Stderr,
    /// To the end of a file.
    File(PathBuf),
}

/// The form of a line of the access log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The Common Log Format of NCSA httpd.
    Common,
    /// The same with Referer and User-Agent.
    #[default]
    Combined,
    /// One JSON object a line.
    Json,
}

/// `[log]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLog {
    level: Level,
    access: Given<String>,
    format: Format,
}

// === impl RawLog ===

impl RawLog {
    pub(super) fn resolve(&self, report: &mut Report) -> Log {
        Log {
            level: self.level,
            access: self.resolve_access(report),
            format: self.format,
        }
    }

    fn resolve_access(&self, report: &mut Report) -> Access {
        match self.access.as_ref().map_or("off", |it| it.get_ref()) {
            "off" => Access::Off,
            "stdout" => Access::Stdout,
            "stderr" => Access::Stderr,
            path => {
                self.access.iter().for_each(|it| check_path(it, report));
                Access::File(path.into())
            }
        }
    }
}

/// A misspelt "stdout" must not become a file of that name.
fn check_path(path: &Spanned<String>, report: &mut Report) {
    let text = path.get_ref();
    if text.contains(['/', '.']) && !text.contains('\0') {
        return;
    }
    let complaint = match wording::closest(text, &NO_FILES) {
        Some(meant) => format!("is not known; did you mean \"{meant}\"?"),
        None => {
            "is not known; write \"off\", \"stdout\", \"stderr\" or a path, as \"./access.log\""
                .to_owned()
        }
    };
    report.at(path.span(), complaint);
}
