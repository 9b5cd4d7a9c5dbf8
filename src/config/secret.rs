//! Text that must not appear in logs, and what can be a token.
//!
//! Not its comparison.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::listen_address::ListenAddress;

/// The token of the example file, which everybody knows.
const TOKEN_OF_EXAMPLE: &str = "change-me";

/// A text that must not appear in logs: its `Debug` form is masked.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Arc<str>);

// === impl Secret ===

impl Secret {
    /// The text itself, for comparison only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// RFC 6750 §2.1: `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
pub(super) fn check_token(token: &str, address: &ListenAddress) -> Result<(), &'static str> {
    let stem = token.trim_end_matches('=');
    let is_token = |it: u8| it.is_ascii_alphanumeric() || b"-._~+/".contains(&it);
    if stem.is_empty() || !stem.bytes().all(is_token) {
        return Err("cannot be sent as a bearer token; use letters, digits and -._~+/ only");
    }
    if token == TOKEN_OF_EXAMPLE && !address.is_local() {
        return Err("is the token of the example, which everybody knows; choose one of your own");
    }
    Ok(())
}
