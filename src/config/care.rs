//! Care with which the files that a configuration names are looked into.

use std::time::SystemTime;

/// The files that are looked into when a configuration is read.
#[derive(Clone, Copy)]
pub enum Care<'a> {
    /// All that are needed for a start.
    Start,
    /// The same but for those that this knows, of which an old state can go on.
    Again(&'a dyn Fn(&str) -> bool),
    /// All, and what they hold is looked at closely: at this time, and for these hosts.
    Check(SystemTime),
}
