//! Load balancing: which server gets the next request. One trait, one file per algorithm.
//!
//! A balancer picks an index out of [`Candidates`] and knows nothing of connections, retries or
//! health: who may not be asked has no weight. Picking waits for nothing and allocates nothing.

mod first;
mod least_requests;
mod random;
mod rendezvous;
mod resource;
mod round_robin;
mod two_choices;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::dice::Dice;
use super::server::{Gate, Load};
use crate::config::{self, TRIES_MAX};
pub(super) use rendezvous::digest;

/// A way to choose among servers.
pub(super) trait Balance: Send + Sync {
    /// The index of the server for a request; `None` if none is eligible.
    fn pick(&self, candidates: &Candidates, choice: &Choice) -> Option<usize>;
}

/// The servers as a balancer sees them.
#[derive(Debug)]
pub(super) struct Candidates(Box<[Candidate]>);

/// One server as a balancer sees it.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Stands for the server wherever it stands in the list.
    id: u64,
    /// Its share; with 0 it is not eligible.
    weight: AtomicU32,
    /// Its share when none of the others is left.
    in_reserve: AtomicU32,
    /// Whether it takes those who belong to it, new requests or not.
    keeps: AtomicBool,
    pub(super) load: Arc<Load>,
    pub(super) gate: Gate,
}

/// What a choice is made by, beside the servers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Choice {
    /// What requests of the same server have in common, for those who hash.
    pub(super) key: u64,
    tried: [Option<usize>; TRIES_MAX],
    /// Whether those in reserve are wanted.
    reserve: bool,
}

/// A candidate that may be chosen at this moment.
#[derive(Clone, Copy)]
struct Eligible<'a> {
    index: usize,
    weight: u64,
    candidate: &'a Candidate,
}

/// The balancer that the configuration names.
pub(super) fn of(config: &config::Balance) -> Box<dyn Balance> {
    match config {
        config::Balance::TwoChoices => Box::new(two_choices::TwoChoices::new(Dice::new())),
        config::Balance::RoundRobin => Box::new(round_robin::RoundRobin::default()),
        config::Balance::LeastRequests => Box::new(least_requests::LeastRequests::new(Dice::new())),
        config::Balance::Random => Box::new(random::Random::new(Dice::new())),
        config::Balance::First => Box::new(first::First),
        config::Balance::Hash { bounded_load, .. } => {
            Box::new(rendezvous::Rendezvous::new(*bounded_load))
        }
        config::Balance::Resource { .. } => Box::new(resource::Resource::new(Dice::new())),
    }
}

// === impl Candidates ===

impl Candidates {
    pub(super) fn new(candidates: impl Iterator<Item = Candidate>) -> Self {
        Self(candidates.collect())
    }

    /// All of them, by index.
    pub(super) fn all(&self) -> &[Candidate] {
        &self.0
    }

    /// The one at `index`.
    #[cfg(test)]
    pub(super) fn get(&self, index: usize) -> Option<&Candidate> {
        self.0.get(index)
    }

    fn eligible<'a>(&'a self, choice: &'a Choice) -> impl Iterator<Item = Eligible<'a>> {
        let candidates = self.0.iter().enumerate();
        candidates.filter_map(|(index, candidate)| {
            let weight = candidate.weight(choice.reserve).into();
            let is_eligible = choice.allows(index, candidate) && candidate.gate.has_room();
            is_eligible.then_some(Eligible {
                index,
                weight,
                candidate,
            })
        })
    }

    /// The eligible by their index, those without room included.
    pub(super) fn allowed(&self, choice: Choice) -> impl Iterator<Item = (usize, &Candidate)> {
        let candidates = self.0.iter().enumerate();
        candidates.filter(move |(index, candidate)| choice.allows(*index, candidate))
    }

    /// The sum of the weights of the eligible.
    fn weight(&self, choice: &Choice) -> u64 {
        self.eligible(choice).map(|it| it.weight).sum()
    }

    /// The eligible one at this place, where each takes up as many places as it has weight.
    fn at(&self, mut place: u64, choice: &Choice) -> Option<Eligible<'_>> {
        for (index, candidate) in self.0.iter().enumerate() {
            let weight = u64::from(candidate.weight(choice.reserve));
            if !choice.allows(index, candidate) || !candidate.gate.has_room() {
                continue;
            }
            if place < weight {
                return Some(Eligible {
                    index,
                    weight,
                    candidate,
                });
            }
            place -= weight;
        }
        None
    }

    /// One of the eligible, each as likely as its weight says.
    fn draw(&self, dice: &Dice, choice: &Choice) -> Option<Eligible<'_>> {
        let total = self.weight(choice);
        (total > 0).then(|| self.at(dice.below(total), choice))?
    }
}

// === impl Candidate ===

impl Candidate {
    /// A server, without weight as yet. The name stands for it among its siblings.
    pub(super) fn new(name: &str, gate: Gate) -> Self {
        Self {
            id: digest(name.as_bytes()),
            weight: AtomicU32::new(0),
            in_reserve: AtomicU32::new(0),
            keeps: AtomicBool::new(false),
            load: Arc::clone(gate.load()),
            gate,
        }
    }

    /// What stands for the server, wherever it stands in the list.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Sets its share, and its share when none of the others is left.
    pub(super) fn weigh(&self, weight: u32, in_reserve: u32) {
        self.weight.store(weight, Ordering::Relaxed);
        self.in_reserve.store(in_reserve, Ordering::Relaxed);
    }

    /// Sets whether it takes those who belong to it.
    pub(super) fn keep(&self, keeps: bool) {
        self.keeps.store(keeps, Ordering::Relaxed);
    }

    /// Whether it takes those who belong to it.
    pub(super) fn keeps(&self) -> bool {
        self.keeps.load(Ordering::Relaxed)
    }

    /// What requests are shared out by at this moment.
    pub(super) fn effective_weight(&self) -> u32 {
        self.weight(false)
    }

    fn weight(&self, reserve: bool) -> u32 {
        let weight = if reserve {
            &self.in_reserve
        } else {
            &self.weight
        };
        weight.load(Ordering::Relaxed)
    }
}

// === impl Choice ===

impl Choice {
    pub(super) fn by(key: u64) -> Self {
        Self {
            key,
            ..Self::default()
        }
    }

    /// From here on the server at `index` is not eligible.
    pub(super) fn has_tried(&mut self, index: usize) {
        if let Some(free) = self.tried.iter_mut().find(|it| it.is_none()) {
            *free = Some(index);
        }
    }

    /// Whether the server at `index` has weight and has not been tried.
    fn allows(&self, index: usize, candidate: &Candidate) -> bool {
        candidate.weight(self.reserve) > 0 && !self.tried.contains(&Some(index))
    }

    /// The same among other servers, where `place` tells of each that was tried where it stands.
    pub(super) fn translated(self, place: impl Fn(usize) -> Option<usize>) -> Self {
        let tried = self.tried.map(|it| it.and_then(&place));
        Self { tried, ..self }
    }

    /// Whether nobody has been tried.
    pub(super) fn is_first(&self) -> bool {
        self.tried.iter().all(Option::is_none)
    }

    /// From here on no server counts as tried.
    pub(super) fn forget_tried(&mut self) {
        self.tried = [None; TRIES_MAX];
    }

    /// The same choice among those in reserve.
    pub(super) fn in_reserve(&self) -> Self {
        Self {
            reserve: true,
            ..*self
        }
    }
}

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests {
    use super::testing::candidates_of_width;
    use super::*;

    /// Requests that never end: each server gets as many as it has room for, and then nobody any.
    #[test]
    fn a_full_server_is_no_candidate() {
        let hash = |bounded_load| config::Balance::Hash {
            on: config::HashOn::Url,
            bounded_load,
        };
        for by in [
            config::Balance::TwoChoices,
            config::Balance::RoundRobin,
            config::Balance::LeastRequests,
            config::Balance::Random,
            config::Balance::First,
            hash(1.25),
            hash(100.0),
            config::Balance::Resource {
                field: http::HeaderName::from_static("x-load"),
            },
        ] {
            let (balance, candidates) = (of(&by), candidates_of_width(&[5, 1, 2], 4));
            let mut flights = Vec::new();
            while let Some(index) = balance.pick(&candidates, &Choice::by(7)) {
                let flight = candidates.all()[index].gate.enter();
                flights.push(flight.unwrap_or_else(|| panic!("{by:?} chose one that is full")));
            }
            assert_eq!(flights.len(), 12, "{by:?}");
            drop(flights.pop());
            assert!(
                balance.pick(&candidates, &Choice::by(7)).is_some(),
                "{by:?}"
            );
        }
    }
}
