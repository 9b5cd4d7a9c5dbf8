//! Roster of a pool: its servers at one moment, and the choice among them.
//!
//! A request keeps the roster that it began with, so that an index means the same server to its
//! end. Who is on the roster may change while requests are under way; what is known of a server is
//! in its vitals and goes along.

use std::sync::Arc;

use super::balance::{self, Balance, Candidate, Candidates, Choice};
use super::peer::Peer;
use super::server::Flight;
use crate::config;

/// Servers, in their order, and how one of them is chosen.
pub(super) struct Roster {
    peers: Box<[Arc<Peer>]>,
    /// The same servers, as the balance sees them.
    candidates: Candidates,
    balance: Box<dyn Balance>,
}

/// What comes of looking for a server.
#[derive(Debug)]
pub(super) enum Entry {
    /// The index of one, at which the request is in flight from now on.
    In(usize, Flight),
    /// There are some, but none has room.
    Full,
    /// There is none.
    Nobody,
}

// === impl Roster ===

impl Roster {
    /// Servers without weight as yet: see [`super::health::Servers`].
    pub(super) fn new(peers: impl IntoIterator<Item = Arc<Peer>>, by: &config::Balance) -> Self {
        let peers: Box<[_]> = peers.into_iter().collect();
        let candidates = peers
            .iter()
            .map(|peer| Candidate::new(peer.authority(), peer.gate.clone()));
        Self {
            candidates: Candidates::new(candidates),
            peers,
            balance: balance::of(by),
        }
    }

    /// The servers.
    pub(super) fn peers(&self) -> &[Arc<Peer>] {
        &self.peers
    }

    /// The servers, each with itself as a candidate.
    pub(super) fn candidates(&self) -> impl Iterator<Item = (&Arc<Peer>, &Candidate)> {
        self.peers.iter().zip(self.candidates.all())
    }

    /// The server of this authority.
    pub(super) fn find(&self, authority: &str) -> Option<&Arc<Peer>> {
        self.peers.iter().find(|it| **it.authority() == *authority)
    }

    /// The index of the server with this [`Candidate::id`], if it takes those who belong to it.
    fn keeper(&self, id: u64) -> Option<usize> {
        let keeps = |candidate: &Candidate| candidate.id() == id && candidate.keeps();
        self.candidates.all().iter().position(keeps)
    }

    /// Lets a request in at the server that is chosen for it, or at the one with the [`Candidate::id`]
    /// that it belongs to. A server without room is passed over while another has some.
    pub(super) fn enter(&self, choice: &Choice, belongs: Option<u64>) -> Entry {
        let its_own = belongs.and_then(|id| self.enter_at(self.keeper(id)?));
        its_own
            .or_else(|| self.enter_at(self.choose(choice)?))
            .unwrap_or_else(|| self.enter_anywhere(*choice))
    }

    /// Whether the server at `index` is the one with this [`Candidate::id`].
    pub(super) fn is_at(&self, index: usize, id: u64) -> bool {
        let candidate = self.candidates.all().get(index);
        candidate.is_some_and(|candidate| candidate.id() == id)
    }

    fn enter_at(&self, index: usize) -> Option<Entry> {
        let flight = self.candidates.all().get(index)?.gate.enter()?;
        Some(Entry::In(index, flight))
    }

    /// When the choice has failed: there is no room, or another was quicker to take the last.
    fn enter_anywhere(&self, choice: Choice) -> Entry {
        let mut entry = Entry::Nobody;
        for choice in [choice, choice.in_reserve()] {
            for (index, _) in self.candidates.allowed(choice) {
                match self.enter_at(index) {
                    Some(entered) => return entered,
                    None => entry = Entry::Full,
                }
            }
        }
        entry
    }

    /// The index of the server for a request, among those that have room.
    fn choose(&self, choice: &Choice) -> Option<usize> {
        let picked = self.balance.pick(&self.candidates, choice);
        picked.or_else(|| self.balance.pick(&self.candidates, &choice.in_reserve()))
    }
}

/// Another server that has room for a request which has tried some. Where none is left on the
/// roster it began with, it moves on to those who have come since, which are `in_force`, and passes
/// over those whom it has tried.
pub(super) fn enter_another(
    roster: &mut Arc<Roster>,
    choice: &mut Choice,
    in_force: impl Fn() -> Arc<Roster>,
) -> Entry {
    loop {
        let entry = roster.enter(choice, None);
        let now = in_force();
        // It ends here at the latest: servers do not come and go as fast as this.
        if matches!(entry, Entry::In(..)) || Arc::ptr_eq(&now, roster) {
            return entry;
        }
        let authority = |index: usize| roster.peers().get(index).map(|it| it.authority());
        *choice = choice.translated(|tried| {
            let tried = authority(tried)?;
            now.peers().iter().position(|it| it.authority() == tried)
        });
        *roster = now;
    }
}
