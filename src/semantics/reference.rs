//! Resolution of a URI reference in a field (RFC 3986 §5.2), as far as it may lead to something that
//! we store, so only http and https.
//!
//! Nothing else is normalised: the result is compared with URIs as clients write them.

use std::fmt::{self, Display};

use http::Uri;

use super::key::{Scheme, normal_authority};

/// A URI that we may have stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The scheme.
    pub scheme: Scheme,
    /// Host and port, as [`normal_authority`] writes them.
    pub authority: String,
    /// Path and query, beginning with a slash.
    pub path_and_query: String,
}

/// Not an absolute http or https URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an absolute http or https URL")]
pub struct BadUrl;

// === impl Target ===

impl Target {
    /// What an absolute URL names.
    ///
    /// # Errors
    /// [`BadUrl`] when `url` is not an absolute http or https URL, or names no valid host.
    pub fn parse(url: &str) -> Result<Self, BadUrl> {
        let uri: Uri = url.parse().map_err(|_| BadUrl)?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(BadUrl),
        };
        let authority = uri.authority().ok_or(BadUrl)?;
        let authority = normal_authority(authority.as_str(), scheme).ok_or(BadUrl)?;
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            scheme,
            authority: authority.into_owned(),
            path_and_query: format!("{slash}{target}"),
        })
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        divide(&self.path_and_query).0
    }

    /// What `reference` points to from here; `None` for what is no http or https URI.
    pub fn resolve(&self, reference: &str) -> Option<Self> {
        // A fragment is the client's business.
        let reference = reference.split('#').next().unwrap_or_default().trim();
        if let Some((scheme, rest)) = absolute(reference) {
            return Self::of_hier_part(scheme?, rest.strip_prefix("//")?);
        }
        match reference.strip_prefix("//") {
            Some(rest) => Self::of_hier_part(self.scheme, rest),
            None => Some(Self {
                path_and_query: self.resolve_path(reference),
                ..self.clone()
            }),
        }
    }

    /// `rest` is what follows the two slashes.
    fn of_hier_part(scheme: Scheme, rest: &str) -> Option<Self> {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (path, query) = divide(target);
        Some(Self {
            scheme,
            authority: normal_authority(authority, scheme)?.into_owned(),
            path_and_query: join(&without_dots(path), query),
        })
    }

    /// RFC 3986 §5.2.2, the branches without a scheme and an authority.
    fn resolve_path(&self, reference: &str) -> String {
        let (base, base_query) = divide(&self.path_and_query);
        match divide(reference) {
            ("", None) => join(base, base_query),
            ("", query) => join(base, query),
            (path, query) if path.starts_with('/') => join(&without_dots(path), query),
            // §5.2.3: "all but the last segment of the base URI's path".
            (path, query) => {
                let folder = base.rfind('/').map_or("/", |end| &base[..=end]);
                join(&without_dots(&format!("{folder}{path}")), query)
            }
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scheme,
            authority,
            path_and_query,
        } = self;
        write!(f, "{}://{authority}{path_and_query}", scheme.as_str())
    }
}

/// The scheme of an absolute URI, `None` for one that we do not serve, and what follows its colon;
/// `None` for a relative reference.
fn absolute(reference: &str) -> Option<(Option<Scheme>, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let known = [Scheme::Http, Scheme::Https]
        .into_iter()
        .find(|known| scheme.eq_ignore_ascii_case(known.as_str()));
    is_scheme.then_some((known, rest))
}

fn divide(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

fn join(path: &str, query: Option<&str>) -> String {
    let path = if path.is_empty() { "/" } else { path };
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// RFC 3986 §5.2.4: `.` and `..` segments, taken out.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').peekable();
    // What stands before the first slash: nothing, in an absolute path.
    segments.next();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            // The folder itself, with its slash.
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base() -> Target {
        Target {
            scheme: Scheme::Http,
            authority: "a".to_owned(),
            path_and_query: "/b/c/d;p?q".to_owned(),
        }
    }

    #[test]
    fn references_are_resolved() {
        // RFC 3986 §5.4.1 and §5.4.2, without fragments and other schemes.
        let rows = [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            (";x", "http://a/b/c/;x"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("..g", "http://a/b/c/..g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g/../h", "http://a/b/c/h"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("HTTP://A:80/x", "http://a/x"),
            ("https://a:8443?x", "https://a:8443/?x"),
            ("a:b/c", ""),
            ("mailto:x", ""),
            ("http:g", ""),
            ("http://[/x", ""),
            ("http://u@a/x", ""),
        ];
        for (reference, expected) in rows {
            let found = base().resolve(reference);
            let found = found.as_ref().map(Target::to_string).unwrap_or_default();
            assert_eq!(found, expected, "{reference}");
        }
    }

    proptest! {
        #[test]
        fn no_reference_panics(reference in "[ -~]{0,24}", path in "(/[a-c.]{0,3}){0,4}") {
            let base = Target { path_and_query: format!("/{path}"), ..base() };
            if let Some(target) = base.resolve(&reference) {
                prop_assert!(target.path_and_query.starts_with('/'));
            }
        }
    }
}
