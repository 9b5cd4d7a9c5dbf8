//! Step Login: is a name's password right?
//!
//! Comes from Receive, for a password that is not known to be right. Goes to where Receive would have
//! gone on, or to Synth.

use super::receive;
use super::synth::Synth;
use crate::pipeline::exchange::Exchange;
use crate::pipeline::flow::Step;
use crate::pipeline::login::Attempt;
use crate::pipeline::route::Destination;
use crate::semantics::key::KeyBuf;

/// A request whose password has to be proved.
pub(in crate::pipeline) struct Login {
    pub(in crate::pipeline) exchange: Box<Exchange>,
    pub(in crate::pipeline) key: KeyBuf,
    pub(in crate::pipeline) destination: Option<Destination>,
    pub(in crate::pipeline) attempt: Attempt,
}

// === impl Login ===

impl Login {
    pub(in crate::pipeline) async fn run(self) -> Step {
        let Self {
            mut exchange,
            key,
            destination,
            attempt,
        } = self;
        let proved = exchange.site().logins.prove(attempt).await;
        match proved {
            Ok(user) => {
                receive::let_in(&mut exchange, destination.as_ref(), user);
                receive::go_on(exchange, key, destination)
            }
            Err(denial) => Step::Synth(Synth::turned_away(exchange, denial)),
        }
    }
}
