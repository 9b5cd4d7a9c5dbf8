//! Notes on cookies that are taken off messages, but make them private all the same.

use http::HeaderName;
use http::header::{COOKIE, SET_COOKIE};

use super::{Notebook, of_route};
use crate::config::{Action, Config, CookieLists, Route};

pub(super) fn look(config: &Config, book: &mut Notebook) {
    for (site_at, site) in config.sites.iter().enumerate() {
        for (route_at, route) in site.routes.iter().enumerate() {
            let is_cached = matches!(route.action, Action::Origin(_)) && route.cache.enabled;
            if !is_cached {
                continue;
            }
            let at = |key: &str| of_route(site_at, route_at, key);
            if let Some(number) = removes_cookies_and_passes(route) {
                let text = "takes cookies off, and yet requests with cookies pass by the cache; \
                            add `cache = { cookies = \"ignore\" }`";
                book.at(&at(&format!("request_fields.remove[{number}]")), text);
            }
            if let Some(number) = position(&route.response_fields.remove, &SET_COOKIE)
                && !route.cache.rules.store_set_cookie
                && !route.cache.rules.drop_set_cookie
            {
                let text = "takes cookies off, and yet responses with Set-Cookie are not stored; \
                            write `cache = { set_cookie = \"drop\" }` in place of this";
                book.at(&at(&format!("response_fields.remove[{number}]")), text);
            }
        }
    }
}

fn removes_cookies_and_passes(route: &Route) -> Option<usize> {
    let number = position(&route.request_fields.remove, &COOKIE)?;
    (route.cache.cookies == CookieLists::default()).then_some(number)
}

fn position(names: &[HeaderName], name: &HeaderName) -> Option<usize> {
    names.iter().position(|it| it == name)
}
