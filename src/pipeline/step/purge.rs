//! PURGE and SOFTPURGE from a client that may: all variants of the URL it was sent to.
//!
//! Comes from Receive, which has checked the network. Goes to Synth with the count.

use super::synth::Synth;
use crate::pipeline::exchange::Exchange;
use crate::pipeline::flow::Step;
use crate::semantics::key::KeyBuf;
use crate::store;

/// The right to invalidate one key.
pub(in crate::pipeline) struct Purge {
    pub(in crate::pipeline) exchange: Box<Exchange>,
    pub(in crate::pipeline) key: KeyBuf,
    pub(in crate::pipeline) how: store::Purge,
}

// === impl Purge ===

impl Purge {
    pub(in crate::pipeline) fn run(self) -> Step {
        let Self { exchange, key, how } = self;
        let site = exchange.site();
        let count = site.purge_page(key.authority(), &exchange.target(), how);
        // The host was valid enough to make a key of.
        let count = count.unwrap_or_default();
        Step::Synth(Synth::purged(exchange, count))
    }
}
