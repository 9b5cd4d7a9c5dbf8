//! Cache-Status member of this hop (RFC 9211).
//!
//! Only how it is written; what happened is told by the pipeline.

use std::fmt::{self, Display, Write};

use http::{HeaderValue, StatusCode};

use super::hop::Hop;
use super::list::is_tchar;

/// Why a request went forward (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fwd {
    /// The cache was configured not to handle this request.
    Bypass,
    /// The method's semantics need the origin.
    Method,
    /// Nothing was stored for the URI.
    UriMiss,
    /// What was stored for the URI fits other requests.
    VaryMiss,
    /// Nothing was stored, for a reason not told apart.
    Miss,
    /// A stored response was fresh, but the request's directives forbade it.
    Request,
    /// A stored response was stale.
    Stale,
    /// A stored response was only a part of what was asked for.
    Partial,
}

/// How this hop handled a request. The default is a plain hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// Why the request went forward; `None` for a hit (§2.1, §2.2).
    pub fwd: Option<Fwd>,
    /// The status the origin gave, where it isn't the response's own (§2.3).
    pub fwd_status: Option<StatusCode>,
    /// Whether the answer was stored (§2.5).
    pub stored: bool,
    /// Whether the request shared another one's fetch (§2.6).
    pub collapsed: bool,
    /// Remaining lifetime in seconds, negative once stale (§2.4).
    pub ttl: Option<i64>,
    /// More, for people (§2.8).
    pub detail: Option<&'static str>,
}

// === impl Fwd ===

impl Fwd {
    /// The reason as the token of RFC 9211 §2.2.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

// === impl CacheStatus ===

impl CacheStatus {
    /// The list member of `hop` as a field value, to be appended after those of earlier hops.
    pub fn to_value(&self, hop: &Hop) -> HeaderValue {
        // Most need no more. Writing to a string does not fail.
        let mut text = String::with_capacity(64);
        let _ = write!(text, "{}", self.of(hop));
        // The text is printable ASCII throughout: tokens, numbers, and a string without other
        // bytes.
        HeaderValue::try_from(text).unwrap_or_else(|_| hop.hit())
    }

    /// The list member of `hop`.
    pub fn of(&self, hop: &Hop) -> impl Display {
        fmt::from_fn(move |f| {
            f.write_str(hop.name())?;
            self.write_parameters(f)
        })
    }

    fn write_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fwd {
            None => f.write_str("; hit")?,
            Some(fwd) => write!(f, "; fwd={}", fwd.as_str())?,
        }
        if let Some(status) = self.fwd_status {
            write!(f, "; fwd-status={}", status.as_str())?;
        }
        if self.stored {
            f.write_str("; stored")?;
        }
        if self.collapsed {
            f.write_str("; collapsed")?;
        }
        if let Some(ttl) = self.ttl {
            write!(f, "; ttl={}", ttl.clamp(-INTEGER_MAX, INTEGER_MAX))?;
        }
        match self.detail {
            Some(detail) => write_detail(f, detail),
            None => Ok(()),
        }
    }
}

/// The greatest integer of a structured field (RFC 9651 §3.3.1).
const INTEGER_MAX: i64 = 999_999_999_999_999;

/// The member of an answer that `hop` made itself: neither a hit nor forwarded.
pub fn own(hop: &Hop, detail: &'static str) -> HeaderValue {
    let member = fmt::from_fn(|f| {
        f.write_str(hop.name())?;
        write_detail(f, detail)
    });
    // Printable ASCII, as above.
    HeaderValue::try_from(member.to_string()).unwrap_or_else(|_| hop.hit())
}

/// Writes the detail as a token if it is one, else as a string (RFC 9651 §3.3.3, §3.3.4).
fn write_detail(f: &mut fmt::Formatter<'_>, detail: &str) -> fmt::Result {
    if is_token(detail) {
        return write!(f, "; detail={detail}");
    }
    f.write_str("; detail=\"")?;
    for byte in detail.bytes().filter(|byte| matches!(byte, b' '..=b'~')) {
        if matches!(byte, b'"' | b'\\') {
            f.write_char('\\')?;
        }
        f.write_char(byte.into())?;
    }
    f.write_char('"')
}

/// RFC 9651 §4.2.6: a token begins with a letter or `*`, and may have `:` and `/` besides `tchar`.
fn is_token(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*')
        && text
            .bytes()
            .all(|byte| is_tchar(byte) || matches!(byte, b':' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_written_as_a_structured_field() {
        let miss = CacheStatus {
            fwd: Some(Fwd::UriMiss),
            ..CacheStatus::default()
        };
        // All rows: RFC 9211 §2.
        #[rustfmt::skip]
        let rows = [
            (CacheStatus::default(), "copal; hit"),
            (CacheStatus { ttl: Some(-5), ..CacheStatus::default() }, "copal; hit; ttl=-5"),
            (miss, "copal; fwd=uri-miss"),
            (
                CacheStatus {
                    fwd: Some(Fwd::Stale),
                    fwd_status: Some(StatusCode::NOT_MODIFIED),
                    stored: true,
                    collapsed: true,
                    ttl: Some(59),
                    detail: Some("revalidated"),
                },
                "copal; fwd=stale; fwd-status=304; stored; collapsed; ttl=59; detail=revalidated",
            ),
            (
                CacheStatus {
                    ttl: Some(i64::MAX),
                    ..miss
                },
                "copal; fwd=uri-miss; ttl=999999999999999",
            ),
            (
                CacheStatus {
                    ttl: Some(i64::MIN),
                    ..miss
                },
                "copal; fwd=uri-miss; ttl=-999999999999999",
            ),
            // RFC 9651 §3.3.3: a string escapes the quote and the backslash and is ASCII.
            (
                CacheStatus {
                    detail: Some("a \"b\" \\ ü\n"),
                    ..miss
                },
                r#"copal; fwd=uri-miss; detail="a \"b\" \\ ""#,
            ),
            (CacheStatus { detail: Some("5xx"), ..miss }, r#"copal; fwd=uri-miss; detail="5xx""#),
            (CacheStatus { detail: Some(""), ..miss }, r#"copal; fwd=uri-miss; detail="""#),
        ];
        for (status, expected) in rows {
            assert_eq!(status.to_value(&Hop::default()), expected);
        }
    }

    #[test]
    fn the_ready_made_hit_is_the_default() {
        for hop in [Hop::default(), Hop::new("edge-1")] {
            assert_eq!(hop.hit(), CacheStatus::default().to_value(&hop));
        }
    }

    #[test]
    fn every_reason_has_its_own_token() {
        use Fwd::{Bypass, Method, Miss, Partial, Request, Stale, UriMiss, VaryMiss};
        let tokens: std::collections::HashSet<_> = [
            Bypass, Method, UriMiss, VaryMiss, Miss, Request, Stale, Partial,
        ]
        .map(Fwd::as_str)
        .into_iter()
        .inspect(|token| assert!(is_token(token)))
        .collect();
        assert_eq!(tokens.len(), 8);
    }
}
