//! Step Lookup: is there a stored response for this request, and may it be used?
//!
//! Comes from Receive and Query, and from Wait when what was waited for did not suit. Goes to
//! Deliver on a hit, fresh or in its grace; else to Wait, Fetch or Pass. What is to be done is
//! decided in `next.rs`. This is the hit path: nothing here allocates for a hit.

use std::sync::Arc;
use std::time::SystemTime;

use super::deliver::Deliver;
use super::fetch::{Audience, Fetch};
use super::pass::Pass;
use super::synth::Synth;
use super::wait::Wait;
use crate::pipeline::answer::How;
use crate::pipeline::fetch::refresh::Refresh;
use crate::pipeline::flow::Step;
use crate::pipeline::next::Next;
use crate::pipeline::reasons::{Bypass, Excuse};
use crate::pipeline::wanted::Wanted;
use crate::semantics::cache_status::Fwd;
use crate::store::{Claim, Leader, Object};

/// A cacheable request.
pub(in crate::pipeline) struct Lookup {
    pub(in crate::pipeline) wanted: Wanted,
    /// How often it has waited in vain.
    pub(in crate::pipeline) waited: u8,
}

// === impl Lookup ===

impl Lookup {
    pub(in crate::pipeline) fn run(mut self) -> Step {
        let found = self.wanted.find();
        let wanted = &self.wanted;
        match wanted.asker().decide(found, || wanted.is_sick()) {
            Next::Hit(object) => Step::Deliver(Deliver::stored(self.wanted, object, How::Hit)),
            Next::Stale(object, excuse) => self.deliver_stale(object, excuse),
            Next::Ask { fwd, stale } => self.ask(fwd, stale),
            Next::AskAlone { fwd, stale } => ask_alone(self.wanted, fwd, stale),
            Next::OnlyIfCached => Step::Synth(Synth::only_if_cached(self.wanted.exchange)),
            Next::Pass { why, stored } => pass(self.wanted, why, stored),
            Next::Replace(object) => {
                let key = self.wanted.key().to_key();
                self.wanted.store().forget(&key, &object);
                Step::Lookup(self)
            }
        }
    }

    /// Serves it at once. Unless the client itself has asked for such a one it is refreshed
    /// meanwhile, by a task that no client waits for and one at a time.
    fn deliver_stale(self, object: Arc<Object>, excuse: Excuse) -> Step {
        let wanted = self.wanted;
        if excuse.refreshes()
            && !wanted.asker().forbids_storing()
            && let Some(leave) = wanted.pool().leave_to_refresh()
            && let Claim::Leader(leader) = claim(&wanted, |it, now| it.term().is_fresh(now))
        {
            let refresh = Refresh::new(&wanted, leader, Arc::clone(&object), leave);
            tokio::spawn(refresh.run());
        }
        Step::Deliver(Deliver::stored(wanted, object, How::Stale(excuse)))
    }

    fn ask(self, fwd: Fwd, stale: Option<Arc<Object>>) -> Step {
        let deliver = |wanted, object, how| Step::Deliver(Deliver::stored(wanted, object, how));
        match claim(&self.wanted, |it, now| it.term().is_servable(now)) {
            Claim::Landed(object) if object.is_whole() => deliver(self.wanted, object, How::Hit),
            Claim::Landed(object) => match How::collapsed(fwd, &object) {
                Some(how) => deliver(self.wanted, object, how),
                // It has begun to go since it was met.
                None => ask_alone(self.wanted, fwd, stale),
            },
            Claim::Follower(follower) => Step::Wait(Wait {
                lookup: self,
                fwd,
                stale,
                follower,
            }),
            Claim::Leader(leader) => fetch(self.wanted, leader, fwd, stale, Audience::All),
            Claim::Crowded(leader) => fetch(self.wanted, leader, fwd, stale, Audience::Crowd),
        }
    }
}

/// Asks the origin without company.
pub(super) fn ask_alone(wanted: Wanted, fwd: Fwd, stale: Option<Arc<Object>>) -> Step {
    if wanted.asker().is_head() {
        let why = Bypass::Head {
            stale: stale.is_some(),
        };
        return pass(wanted, why, stale);
    }
    let leader = wanted.store().alone(&wanted.key().to_key());
    fetch(wanted, leader, fwd, stale, Audience::Client)
}

fn claim(wanted: &Wanted, usable: impl Fn(&Object, SystemTime) -> bool) -> Claim {
    let now = wanted.exchange.now;
    let (key, selecting) = (wanted.key().to_key(), wanted.selecting());
    wanted
        .store()
        .claim(&key, &selecting, |it| usable(it, now) && wanted.suits(it))
}

fn fetch(
    wanted: Wanted,
    leader: Leader,
    fwd: Fwd,
    stale: Option<Arc<Object>>,
    audience: Audience,
) -> Step {
    Step::Fetch(Fetch {
        wanted,
        leader,
        fwd,
        stale,
        audience,
    })
}

fn pass(wanted: Wanted, why: Bypass, stored: Option<Arc<Object>>) -> Step {
    Step::Pass(Pass {
        wanted,
        why,
        stored,
    })
}
