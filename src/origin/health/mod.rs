//! How the servers of an origin are, and what follows: who is asked, who says so, and who judges.
//!
//! `probing.rs` and `agent.rs` ask, each server again and again, by what `attend.rs` keeps going;
//! `probe.rs` and `agent_word.rs` are the question and the answer. `standing.rs` is what is known of
//! one server, `outlier.rs` compares them, and `triage.rs` makes weights of it. `sickness.rs` is about
//! the origin as a whole.

mod agent;
mod agent_word;
mod attend;
mod outlier;
mod probe;
mod probing;
mod sickness;
mod standing;
mod triage;

pub(super) use agent::{Advice, Agents};
pub use agent_word::Downed;
pub(super) use outlier::Record;
pub use probe::Fault;
pub(super) use probing::Probes;
pub(super) use sickness::Sickness;
pub(super) use standing::Standing;
pub use standing::{State, Verdict};
pub(super) use triage::Triage;
