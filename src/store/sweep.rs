//! The sweep: memory of what a hard purge of everything has killed, given back in the background.
//!
//! moka's own way to drop everything is quick to ask for, but leaves the work to whoever reads next,
//! a tenth of a second at a time. Here one thread that nobody waits for takes a few objects at a
//! time, and those that are asked for meanwhile are found dead without it.

use std::thread;
use std::time::Duration;

use super::Store;
use super::stamps::Fate;

/// Objects that are taken out without a pause, which would keep moka's lock from others.
const BATCH: usize = 64;
/// What the pauses leave to others of one processor's time, at the least.
const PAUSE: Duration = Duration::from_micros(200);

// === impl Store ===

impl Store {
    /// Takes out all that is gone by a hard stamp, if there has been one since the last time.
    pub(super) fn sweep(&self) {
        let Some(upto) = self.stamps.unswept() else {
            return;
        };
        let mut taken = 0;
        for (key, shelf) in self.memory.shelves() {
            let mut objects = shelf.objects().iter();
            if objects.any(|object| self.stamps.fate(object.born()) == Some(Fate::Gone)) {
                self.shelf_in(&self.flights.shard((*key).as_ref()).lock(), (*key).as_ref());
                taken += 1;
                if taken % BATCH == 0 {
                    self.memory.settle();
                    thread::sleep(PAUSE);
                }
            }
        }
        self.stamps.note_swept(upto);
    }
}
