//! Health of an origin's servers, and what follows: which are asked, and how much.
//!
//! `probing.rs` and `agent.rs` ask, each server again and again, in the tasks of `tasks.rs`;
//! `probe.rs` is one such question. What comes of it for one server is in `server/`. `servers.rs` is
//! a pool's servers together: `outlier.rs` compares them, `weights.rs` makes weights of how they
//! stand, and `sickness.rs` tells the log of those that fail. `reachability.rs` is about the origin as a
//! whole.

mod agent;
mod outlier;
mod probe;
mod probing;
mod reachability;
mod servers;
mod sickness;
mod tasks;
mod weights;

pub(super) use agent::Agents;
pub(super) use probing::Probes;
pub(super) use reachability::Reachability;
pub(super) use servers::{Report, Servers};
