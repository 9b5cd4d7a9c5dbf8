//! Door to moka, the only one: objects, marks and notes, each in a bounded cache of its own.

mod marks;
mod memory;
mod notes;

pub(super) use marks::{Mark, Marked, Marks};
pub(super) use memory::Memory;
pub(super) use notes::Notes;

/// moka's weights are `u32`: weighing in units of 64 bytes lets a cache hold 256 GiB.
const UNIT_BYTES: u64 = 64;

/// What moka and the allocator spend on a small entry.
const OVERHEAD_BYTES: usize = 256;

pub(super) type Hasher = foldhash::quality::RandomState;

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}
