//! Step Purge: PURGE, BAN and their like from a client that may.
//!
//! Comes from Receive, which has checked the network and read what is wanted. Goes to Synth with the count,
//! or with why nothing was purged.

use http::StatusCode;

use super::synth::Synth;
use crate::pipeline::exchange::Exchange;
use crate::pipeline::flow::Step;
use crate::pipeline::purging::Unpurgeable;
use crate::store::Invalidation;

/// The right to invalidate something.
pub(in crate::pipeline) struct Purge {
    pub(in crate::pipeline) exchange: Box<Exchange>,
    pub(in crate::pipeline) wanted: Invalidation,
}

// === impl Purge ===

impl Purge {
    pub(in crate::pipeline) fn run(self) -> Step {
        let Self { exchange, wanted } = self;
        let purged = exchange.site().purge(&wanted);
        Step::Synth(match purged {
            Ok(count) => Synth::purged(exchange, &wanted, count),
            Err(Unpurgeable::Host(_)) => Synth::no_route(exchange),
            Err(why @ Unpurgeable::Pattern) => {
                Synth::not_purged(exchange, StatusCode::BAD_REQUEST, &why.to_string())
            }
        })
    }
}
