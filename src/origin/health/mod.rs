//! How the servers of an origin are, and what follows: who is asked, who says so, and who judges.
//!
//! `probing.rs` and `agent.rs` ask, each server again and again, in the tasks of `tasks.rs`;
//! `probe.rs` is a question. What comes of it for one server is in `server/`; `outlier.rs` compares them,
//! and `servers.rs` has those of a pool in force, of which `weights.rs` makes weights. `reachability.rs` is
//! about the origin as a whole.

mod agent;
mod outlier;
mod probe;
mod probing;
mod reachability;
mod servers;
mod tasks;
mod weights;

pub(super) use agent::Agents;
pub(super) use probing::Probes;
pub(super) use reachability::Reachability;
pub(super) use servers::{Report, Servers};
