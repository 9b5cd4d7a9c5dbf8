//! First decision on a request that a route leads to an origin: through the cache or past it.
//!
//! Pure: Receive acts on it, an explanation tells it. What is done by what is stored is decided in
//! `next.rs`.

use http::header::COOKIE;
use http::{HeaderMap, Method};

use super::next::wants_stored_only;
use super::reasons::Bypass;
use super::route::caching::Caching;
use super::ruled::Ruled;
use crate::config::RequestCookies;
use crate::semantics::headers;

/// What is to be done first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dispatch {
    /// Look into the store.
    Lookup,
    /// Read the content, which is part of the key, then look.
    Query,
    /// Hand the request on as it is.
    Pass(Bypass),
    /// Refuse it: it wants nothing that is not stored.
    OnlyIfCached,
}

// === impl Dispatch ===

impl Dispatch {
    /// What is to be done with a request of this method, with these fields and perhaps content.
    pub(super) fn of(
        caching: &Caching,
        method: &Method,
        fields: &HeaderMap,
        has_content: bool,
        ruled: Ruled<'_>,
    ) -> Self {
        match bypass(caching, method, fields, has_content, ruled) {
            Some(why) if why != Bypass::Method && wants_stored_only(fields) => Self::OnlyIfCached,
            Some(why) => Self::Pass(why),
            None if headers::is_query(method) => Self::Query,
            None => Self::Lookup,
        }
    }
}

/// Why a request must not be answered from the cache, if there is a reason.
fn bypass(
    caching: &Caching,
    method: &Method,
    fields: &HeaderMap,
    has_content: bool,
    ruled: Ruled<'_>,
) -> Option<Bypass> {
    if !caching.enabled {
        return Some(Bypass::Disabled);
    }
    if let Some(rule) = ruled.passes() {
        return Some(Bypass::Rule(rule));
    }
    let is_query = headers::is_query(method) && caching.query_content_bytes_max > 0;
    let is_read = method == Method::GET || method == Method::HEAD;
    if !is_read && !is_query {
        return Some(Bypass::Method);
    }
    if !is_query && has_content {
        return Some(Bypass::RequestBody);
    }
    let is_personal = match ruled.cookies() {
        Some(RequestCookies::Ignore) => false,
        Some(RequestCookies::Pass) => fields.contains_key(COOKIE),
        None => caching.personal(fields).is_some(),
    };
    is_personal.then_some(Bypass::Cookie)
}

#[cfg(test)]
mod tests {
    use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};

    use super::*;
    use crate::config;

    const FILE: &str = "listen = [{ address = '127.0.0.1:0' }]\n\
                        site = [{ hosts = ['*'], origin = 'app' }]\n\
                        [origins.app]\nservers = ['http://127.0.0.1:1']";

    fn dispatch(
        method: &str,
        field: Option<(HeaderName, &'static str)>,
        content: bool,
    ) -> Dispatch {
        let config = config::parse(FILE, "test").unwrap();
        let caching = Caching::new(&config.sites[0].routes[0].cache);
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let field = field.map(|(name, value)| (name, HeaderValue::from_static(value)));
        let fields = field.into_iter().collect();
        Dispatch::of(&caching, &method, &fields, content, Ruled::new(None, &[]))
    }

    #[test]
    fn the_cache_is_asked_for_what_it_may_answer() {
        let cookie = Some((COOKIE, "session=1"));
        let stored_only = Some((CACHE_CONTROL, "only-if-cached"));
        for (method, field, content, expected) in [
            ("GET", None, false, Dispatch::Lookup),
            ("HEAD", None, false, Dispatch::Lookup),
            ("QUERY", None, true, Dispatch::Query),
            ("GET", None, true, Dispatch::Pass(Bypass::RequestBody)),
            ("POST", None, true, Dispatch::Pass(Bypass::Method)),
            ("DELETE", None, false, Dispatch::Pass(Bypass::Method)),
            ("GET", cookie.clone(), false, Dispatch::Pass(Bypass::Cookie)),
            // RFC 9111 §5.2.1.7: what would pass can't be answered from the store.
            ("GET", stored_only.clone(), false, Dispatch::Lookup),
            ("GET", stored_only.clone(), true, Dispatch::OnlyIfCached),
            ("POST", stored_only, true, Dispatch::Pass(Bypass::Method)),
        ] {
            let found = dispatch(method, field, content);
            assert_eq!(found, expected, "{method}, content: {content}");
        }
    }
}
