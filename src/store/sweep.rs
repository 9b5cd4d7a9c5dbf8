//! Background sweep of what hard purges have killed, to give its memory back.
//!
//! moka's own way to drop everything is quick to ask for, but leaves the work to whoever reads next,
//! a tenth of a second at a time. Here one thread that nobody waits for takes a few objects at a
//! time, and those that are asked for meanwhile are found dead without it.

use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::Store;
use super::stamps::Fate;
use crate::clock::{self, Instant};
use crate::semantics::key::Key;

/// Objects that are taken out without a pause, which would keep moka's lock from others.
const BATCH: usize = 64;
/// What the pauses leave to others of one processor's time, at the least.
const PAUSE: Duration = Duration::from_micros(200);
/// How much longer it rests than it has worked: a purge a second must not keep a processor busy.
const REST: u32 = 20;

/// When there may be another sweep.
#[derive(Debug, Default)]
pub(super) struct Rest(Mutex<Option<Instant>>);

// === impl Store ===

impl Store {
    /// Takes out all that is gone by a hard stamp, if there has been one since the last time.
    pub(super) fn sweep(&self) {
        let began = clock::instant();
        let rests = self.rest.0.lock().is_some_and(|until| began < until);
        let Some(upto) = self.stamps.unswept().filter(|_| !rests) else {
            return;
        };
        let over = |born, key: &Key| self.stamps.fate(born, key.as_ref());
        self.flights
            .doom_where(|born, key| over(born, key).is_some());
        let mut taken = 0;
        for (key, shelf) in self.memory.shelves() {
            let mut objects = shelf.objects().iter();
            if objects.any(|object| over(object.born(), &key) == Some(Fate::Gone)) {
                self.shelf_in(&self.flights.shard((*key).as_ref()).lock(), (*key).as_ref());
                taken += 1;
                if taken % BATCH == 0 {
                    self.memory.settle();
                    thread::sleep(PAUSE);
                }
            }
        }
        self.stamps.note_swept(upto);
        *self.rest.0.lock() = Some(clock::instant() + began.elapsed() * REST);
    }
}
