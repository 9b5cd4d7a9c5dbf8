//! Step Purge: PURGE and SOFTPURGE from a client that may, for all variants of the URL it was sent to.
//!
//! Comes from Receive, which has checked the network. Goes to Synth with the count,
//! or with why nothing was purged.

use super::synth::{Refusal, Synth};
use crate::pipeline::exchange::Exchange;
use crate::pipeline::flow::Step;
use crate::pipeline::purging::Unpurgeable;
use crate::semantics::key::KeyBuf;
use crate::semantics::reference::Target;
use crate::store::{How, Invalidation, What};

/// The right to invalidate one key.
pub(in crate::pipeline) struct Purge {
    pub(in crate::pipeline) exchange: Box<Exchange>,
    pub(in crate::pipeline) key: KeyBuf,
    pub(in crate::pipeline) how: How,
}

// === impl Purge ===

impl Purge {
    pub(in crate::pipeline) fn run(self) -> Step {
        let Self { exchange, key, how } = self;
        let what = What::Url(Target {
            scheme: exchange.client.scheme,
            authority: key.authority().to_owned(),
            path_and_query: exchange.target().into_owned(),
        });
        let purged = exchange.site().purge(&Invalidation { what, how });
        Step::Synth(match purged {
            Ok(count) => Synth::purged(exchange, count),
            Err(Unpurgeable::Host(_)) => Synth::no_route(exchange),
            Err(Unpurgeable::Pattern) => Synth::refusal(exchange, Refusal::PurgeUnknown),
        })
    }
}
