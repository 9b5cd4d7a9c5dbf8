//! Complaints about a configuration, one a line.
//!
//! Not the finding of mistakes: `report.rs` gathers them, the files of the tables make them.

use std::fmt;
use std::sync::Arc;

/// One mistake: where it stands, what it is and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The file's name as the user gave it; none for a mistake on the command line.
    pub file: Option<Arc<str>>,
    /// Counted from 1; none where no line is to blame.
    pub line: Option<usize>,
    /// The dotted path of the key, as `site[0].route[2].path`, or the flag, as `--origin`.
    pub key: Option<String>,
    /// What is wrong and how to mend it, on one line.
    pub text: String,
}

/// All mistakes of one configuration, in the order of their lines; there is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaints(Vec<Complaint>);

// === impl Complaint ===

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: ")?,
            (Some(file), None) => write!(f, "{file}: ")?,
            (None, _) => {}
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.text)
    }
}

// === impl Complaints ===

impl Complaints {
    /// A configuration that cannot be looked at in any detail.
    pub(super) fn one(file: &str, text: String) -> Self {
        Self(vec![Complaint {
            file: Some(file.into()),
            line: None,
            key: None,
            text,
        }])
    }

    /// `None` if there is nothing to complain about. The list is in order of its lines.
    pub(super) fn of(list: Vec<Complaint>) -> Option<Self> {
        (!list.is_empty()).then_some(Self(list))
    }

    /// The complaints in the order of their lines.
    pub fn iter(&self) -> std::slice::Iter<'_, Complaint> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Complaints {
    type Item = &'a Complaint;
    type IntoIter = std::slice::Iter<'a, Complaint>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One complaint a line, without a final line end.
impl fmt::Display for Complaints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, complaint) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{complaint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Complaints {}
