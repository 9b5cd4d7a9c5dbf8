//! Pipeline of a request through the cache: the machine in `flow.rs`, its steps in `step/`, and what they
//! work with.
//!
//! A [`Site`] is everything a request needs, built once from the configuration; [`Current`] is
//! the handle by which a reload swaps it. The pipeline knows no sockets and no configuration
//! files, and what HTTP means is asked of `semantics`.

mod flow;
mod step;

mod asking;
mod client;
mod error_page;
mod exchange;
mod gate;
mod login;
mod request_id;
mod route;
mod ruled;
mod site;
mod tunnel;
mod values;
mod wanted;

mod dispatch;
mod locate;
mod locator;
mod next;
mod purge_forms;
mod purging;
mod reasons;

mod answer;
mod explain;
mod fetch;

pub use client::{Client, Session};
pub use explain::{Forecast, RuleSeen};
pub use flow::{refuse, serve, tell};
pub use purging::Unpurgeable;
pub use route::{BadPath, Handler};
pub use site::{BadSite, Current, Site, SiteHandle};
pub use step::refusal::Refusal;
pub use tunnel::{Books, Tunnel, TunnelLimits};

pub use crate::origin::{Interim, Sink};
pub use crate::semantics::key::Scheme;
