//! Rules of the RFCs on HTTP caching, as pure functions: the ground floor.
//!
//! Values come in, verdicts with their reasons go out. Nothing here does I/O, reads a clock (time
//! is an argument), knows the configuration or imports another floor. What a request meets on a hit
//! ([`key`], [`vary`], [`freshness`], [`conditional`]) allocates nothing.
//!
//! The modules stand in reading order: names of things first, then the fields, then the verdicts.

pub mod key;
pub mod path_form;
pub mod query;
pub mod reference;

pub mod globs;
mod list;
mod structured;

pub mod date;
pub mod directives;
pub mod no_vary_search;
pub mod tags;
pub mod targeted;

pub mod accept;
pub mod cookies;
pub mod facet;
pub mod fold;
pub mod forwarded;
pub mod headers;
pub mod hop;
pub mod mimicry;
mod normal;
pub mod priority;
pub mod proxy_facts;
pub mod proxy_protocol;
pub mod trace_context;
pub mod trailers;
pub mod upgrade;
pub mod vary;

pub mod client_cert;
pub mod combine;
pub mod conditional;
pub mod range;

mod judged;
mod lifetime;

pub mod bent;

pub mod windows;

pub mod freshness;
pub mod request_directives;
pub mod stale;
pub mod storable;

pub mod policy;

pub mod cache_status;

#[cfg(test)]
mod testing;
