//! The steps of the request machine, in order of travel: each owns what is known by then, and gives
//! the next one.
//!
//! They hand requests on to one another, and so import one another; nothing else does.

pub(super) mod deliver;
pub(super) mod fetch;
pub(super) mod login;
pub(super) mod lookup;
pub(super) mod pass;
pub(super) mod purge;
pub(super) mod query;
pub(super) mod receive;
pub(super) mod refusal;
pub(super) mod synth;
pub(super) mod wait;
