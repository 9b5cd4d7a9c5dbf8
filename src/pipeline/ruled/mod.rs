//! Rules at work: what those that are true make of a request, of its origin's answer and of what its
//! client gets.
//!
//! Which are true of a request is found once, when its route is known (`request.rs`). Those that hang on
//! a response are looked at when it comes (`response.rs`), and those that hang on how a client is served
//! when it is (`delivery.rs`). Conditions see a request as it came in: what one rule does, no other sees.

mod delivery;
mod request;
mod response;

pub(super) use delivery::deliver;
pub(super) use request::{KeyPart, Ruled, matched, note, rewritten, rewritten_of, with_parts};
pub(super) use response::{ResponseRules, Ruling};
