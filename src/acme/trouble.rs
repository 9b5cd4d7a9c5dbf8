//! Trouble with an order: what happened, in words and as a label, and what follows.

use std::time::SystemTime;

use instant_acme::{Error, Problem};

use super::caller::Unreachable;

/// Why there is no certificate yet.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Trouble {
    pub(super) kind: Kind,
    text: String,
    /// Not before then again, as the CA has said.
    pub(super) rest_until: Option<SystemTime>,
}

/// What kind of trouble: the label of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The CA does not answer, or not as a CA.
    Unreachable,
    /// It has been asked too often.
    RateLimited,
    /// It does not know our account any more.
    Account,
    /// It could not see that the name is ours.
    Challenge,
    /// It will not have it, whoever asks.
    Refused,
    /// Ours: the disk, or the random numbers.
    Local,
}

const PREFIX: &str = "urn:ietf:params:acme:error:";

// === impl Kind ===

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::RateLimited => "rate-limited",
            Self::Account => "account",
            Self::Challenge => "challenge",
            Self::Refused => "refused",
            Self::Local => "local",
        }
    }
}

// === impl Trouble ===

impl Trouble {
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            rest_until: None,
        }
    }

    /// Something of this machine.
    pub(super) fn local(error: impl ToString) -> Self {
        Self::new(Kind::Local, error.to_string())
    }

    /// The same, if it cannot be about the account.
    pub(super) fn unless_of_account(mut self) -> Self {
        if self.kind == Kind::Account {
            self.kind = Kind::Refused;
        }
        self
    }

    /// The CA rests until then.
    pub(super) fn resting(mut self, until: Option<SystemTime>) -> Self {
        self.rest_until = until;
        self
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match &error {
            Error::Api(problem) => Self::new(kind(problem), in_words(problem)),
            Error::Other(inner) if inner.is::<Unreachable>() => {
                Self::new(Kind::Unreachable, inner.to_string())
            }
            // What is no JSON is the page of something that stands before the CA.
            Error::Json(_) => Self::new(Kind::Unreachable, format!("no answer of a CA: {error}")),
            Error::Timeout(_) => Self::new(Kind::Challenge, "the CA took too long to decide"),
            Error::Crypto | Error::KeyRejected => Self::new(Kind::Local, error.to_string()),
            _ => Self::new(Kind::Refused, error.to_string()),
        }
    }
}

/// RFC 8555 §6.7.
fn kind(problem: &Problem) -> Kind {
    let urn = problem.r#type.as_deref().unwrap_or_default();
    match urn.strip_prefix(PREFIX).unwrap_or_default() {
        "rateLimited" => Kind::RateLimited,
        "accountDoesNotExist" | "externalAccountRequired" => Kind::Account,
        "serverInternal" | "badNonce" => Kind::Unreachable,
        "caa" | "connection" | "dns" | "incorrectResponse" | "tls" => Kind::Challenge,
        // §7.3.6: what comes for an account that is deactivated has this, too.
        "unauthorized" => Kind::Account,
        _ if problem.status.is_some_and(|it| it >= 500) => Kind::Unreachable,
        _ => Kind::Refused,
    }
}

/// What the CA says, with what it says of single names.
pub(super) fn in_words(problem: &Problem) -> String {
    let text = problem
        .detail
        .clone()
        .unwrap_or_else(|| "no reason given".to_owned());
    let parts = problem
        .subproblems
        .iter()
        .filter_map(|it| it.detail.as_deref());
    let mut text = parts.fold(text, |text, part| format!("{text}; {part}"));
    if let Some(urn) = problem.r#type.as_deref() {
        text += &format!(" ({})", urn.strip_prefix(PREFIX).unwrap_or(urn));
    }
    // A CA is no reason for lines without end in the log.
    text.chars()
        .filter(|it| !it.is_control())
        .take(1000)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_of_a_ca() {
        for (name, status, expected) in [
            ("rateLimited", 429, "rate-limited"),
            ("accountDoesNotExist", 400, "account"),
            ("unauthorized", 403, "account"),
            ("serverInternal", 500, "unreachable"),
            ("connection", 400, "challenge"),
            ("rejectedIdentifier", 400, "refused"),
            ("somethingNew", 503, "unreachable"),
        ] {
            let problem = Problem {
                r#type: Some(format!("{PREFIX}{name}")),
                detail: Some("be\ncause".to_owned()),
                status: Some(status),
                subproblems: vec![],
            };
            let trouble = Trouble::from(Error::Api(problem));
            assert_eq!(trouble.kind.as_str(), expected, "{name}");
            assert_eq!(trouble.to_string(), format!("because ({name})"));
        }
    }
}
