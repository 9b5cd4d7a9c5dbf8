//! How the servers of an origin are, and what follows: who is asked, who says so, and who judges.
//!
//! `probing.rs` and `agent.rs` ask, each server again and again, by what `attend.rs` keeps going;
//! `probe.rs` is a question. What comes of it for one server is in `server/`; `outlier.rs` compares them,
//! and `triage.rs` makes weights of it. `sickness.rs` is about the origin as a whole.

mod agent;
mod attend;
mod outlier;
mod probe;
mod probing;
mod sickness;
mod triage;

pub(super) use agent::Agents;
pub(super) use probing::Probes;
pub(super) use sickness::Sickness;
pub(super) use triage::Triage;
