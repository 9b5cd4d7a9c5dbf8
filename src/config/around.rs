//! Settings around a site or a route, which hold where that says nothing of its own.

use super::exchange_limits::ExchangeLimits;
use super::gate::Gate;
use super::https::Https;
use crate::lists::Lists;
use crate::semantics::path_form::PathRule;

/// What is handed from `[server]` to sites, and from those to their routes.
pub(super) struct Around<'a> {
    /// How much, and how long, requests may take.
    pub(super) limits: ExchangeLimits,
    /// How the spelling of paths is taken.
    pub(super) path_rule: PathRule,
    /// What is wanted of the scheme of requests.
    pub(super) https: Https,
    /// What stands before the action of a route.
    pub(super) gate: Gate,
    /// The lists and maps that may be named.
    pub(super) lists: &'a Lists,
}
