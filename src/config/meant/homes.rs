//! Tables and their keys, to tell where a key belongs that stands in another.

use serde::Deserialize;

use super::super::RawConfig;
use super::super::action::{RawAnswer, RawRedirect};
use super::super::admin::RawAdmin;
use super::super::agent::RawAgent;
use super::super::breaker::RawBreaker;
use super::super::cache::RawCacheRules;
use super::super::certificate::RawCertificate;
use super::super::ejection::RawEjection;
use super::super::fold::RawFold;
use super::super::gate::{RawBasicAuth, RawRedirects};
use super::super::health::RawHealth;
use super::super::hedge::RawHedge;
use super::super::https::RawHsts;
use super::super::key::RawCacheKey;
use super::super::limit::RawLimit;
use super::super::list::{RawList, RawMap};
use super::super::listen::{RawListen, RawServer};
use super::super::log::RawLog;
use super::super::origin::RawOrigin;
use super::super::origin_tls::RawTls;
use super::super::resolver::RawResolver;
use super::super::retry::RawRetry;
use super::super::route::RawRoute;
use super::super::rule::RawRule;
use super::super::server::RawServerTable;
use super::super::site::RawSite;
use super::super::sticky::RawSticky;
use super::super::store::RawStore;
use super::super::table::keys_of;
use super::super::tls::{RawTlsRules, RawTlsTable};
use super::super::wording;

/// More places than these are no help.
const HOMES_MAX: usize = 3;

/// A table: its scope, what it is called, and its keys.
type Home = (&'static str, &'static str, &'static [&'static str]);

/// What is said of a key that the table of this scope does not have, but others do.
pub(super) fn elsewhere(scope: &str, key: &str) -> Option<String> {
    let homes: Vec<Home> = all()
        .into_iter()
        .filter(|home| home.0 != scope && home.2.contains(&key))
        .collect();
    let family = |scope: &'static str| scope.split('.').next().unwrap_or_default();
    let own = scope.split('.').next().unwrap_or_default();
    let is_near = |home: &&Home| !own.is_empty() && family(home.0) == own;
    let near: Vec<&str> = homes.iter().filter(is_near).map(|it| it.1).collect();
    // What stands close by was meant sooner than what has a key of this name elsewhere.
    let homes: Vec<&str> = match near.is_empty() {
        true => homes.iter().map(|it| it.1).collect(),
        false => near,
    };
    if scope == "site.route" && homes.contains(&CACHE) {
        return Some(format!(
            "is a key of the route's `cache`; write `cache = {{ {key} = … }}`"
        ));
    }
    match &homes[..] {
        [] => None,
        [home] if *home == TOP => {
            Some(format!("is a key of {TOP}; move it above the first header"))
        }
        homes if homes.len() > HOMES_MAX => None,
        homes => Some(format!(
            "is a key of {}; move it there",
            wording::list(homes, "", "and")
        )),
    }
}

/// Whether `[origins.NAME]` has this key.
pub(super) fn is_key_of_origin(key: &str) -> bool {
    keys_of::<RawOrigin>().contains(&key)
}

const TOP: &str = "the top of the file";
const CACHE: &str = "[cache] and of a route's `cache`";

/// All tables. Read from the types, so that no key is forgotten here.
fn all() -> [Home; 34] {
    [
        home::<RawConfig>("", TOP),
        home::<RawListen>("listen", "[[listen]]"),
        home::<RawServer>("server", "[server]"),
        home::<RawAdmin>("admin", "[admin]"),
        home::<RawLog>("log", "[log]"),
        home::<RawStore>("store", "[store]"),
        home::<RawResolver>("resolver", "[resolver]"),
        home::<RawCacheRules>("cache", CACHE),
        home::<RawCacheKey>("cache.key", "`key` of [cache]"),
        home::<RawFold>("cache.fold", "`fold` of [cache]"),
        home::<RawLimit>("limit", "[[limit]]"),
        home::<RawList>("list.NAME", "[list.NAME]"),
        home::<RawMap>("map.NAME", "[map.NAME]"),
        home::<RawOrigin>("origins.NAME", "[origins.NAME]"),
        home::<RawServerTable>("origins.NAME.servers", "a server's table in `servers`"),
        home::<RawHealth>("origins.NAME.health", "`health` of [origins.NAME]"),
        home::<RawAgent>("origins.NAME.agent", "`agent` of [origins.NAME]"),
        home::<RawEjection>("origins.NAME.ejection", "`ejection` of [origins.NAME]"),
        home::<RawRetry>("origins.NAME.retry", "`retry` of [origins.NAME]"),
        home::<RawHedge>("origins.NAME.hedge", "`hedge` of [origins.NAME]"),
        home::<RawSticky>("origins.NAME.sticky", "`sticky` of [origins.NAME]"),
        home::<RawTls>("origins.NAME.tls", "`tls` of [origins.NAME]"),
        home::<RawBreaker>("origins.NAME.breaker", "`breaker` of [origins.NAME]"),
        home::<RawCertificate>("certificate", "[[certificate]]"),
        home::<RawTlsRules>("tls", "[tls]"),
        home::<RawTlsTable>("listen.tls", "`tls` of [[listen]]"),
        home::<RawHsts>("site.hsts", "`hsts` of [[site]]"),
        home::<RawBasicAuth>("site.basic_auth", "`basic_auth` of [[site]]"),
        home::<RawRedirects>("site.redirects", "`redirects` of [[site]]"),
        home::<RawRule>("rule", "[[rule]]"),
        home::<RawSite>("site", "[[site]]"),
        home::<RawRoute>("site.route", "[[site.route]]"),
        home::<RawRedirect>("site.route.redirect", "`redirect` of [[site.route]]"),
        home::<RawAnswer>("site.route.answer", "`answer` of [[site.route]]"),
    ]
}

fn home<'de, T: Deserialize<'de>>(scope: &'static str, name: &'static str) -> Home {
    (scope, name, keys_of::<T>())
}
