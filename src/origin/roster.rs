//! The servers of a pool at one moment, and the choice among them.
//!
//! A request keeps the roster that it began with, so that an index means the same server to its
//! end. Who is on the roster may change while requests are under way; what is known of a server is
//! in its vitals and goes along.

use std::sync::Arc;

use super::balance::{self, Balance, Choice, Crowd, Seat};
use super::peer::Peer;
use crate::config;

/// Servers, in their order, and how one of them is chosen.
pub(super) struct Roster {
    peers: Box<[Arc<Peer>]>,
    /// The same servers, as the balance sees them.
    crowd: Crowd,
    balance: Box<dyn Balance>,
}

// === impl Roster ===

impl Roster {
    /// Servers without weight as yet: see [`super::Pool::learn`].
    pub(super) fn new(peers: impl IntoIterator<Item = Arc<Peer>>, by: &config::Balance) -> Self {
        let peers: Box<[_]> = peers.into_iter().collect();
        let seats = peers
            .iter()
            .map(|peer| Seat::new(peer.authority(), Arc::clone(&peer.vitals.load)));
        Self {
            crowd: Crowd::new(seats),
            peers,
            balance: balance::of(by),
        }
    }

    /// The servers.
    pub(super) fn peers(&self) -> &[Arc<Peer>] {
        &self.peers
    }

    /// The servers and their seats.
    pub(super) fn seated(&self) -> impl Iterator<Item = (&Arc<Peer>, &Seat)> {
        self.peers.iter().zip(self.crowd.seats())
    }

    /// The server of this authority.
    pub(super) fn find(&self, authority: &str) -> Option<&Arc<Peer>> {
        self.peers.iter().find(|it| **it.authority() == *authority)
    }

    /// The index of the server with this [`Seat::id`], if it takes those who belong to it.
    pub(super) fn keeper(&self, id: u64) -> Option<usize> {
        let keeps = |seat: &Seat| seat.id() == id && seat.keeps();
        self.crowd.seats().iter().position(keeps)
    }

    /// The index of the server for a request.
    pub(super) fn choose(&self, choice: &Choice) -> Option<usize> {
        let picked = self.balance.pick(&self.crowd, choice);
        picked.or_else(|| self.balance.pick(&self.crowd, &choice.in_reserve()))
    }
}
