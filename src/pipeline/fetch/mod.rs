//! Asking the origin: the request it gets to see, the errand that sends it, and what becomes of the
//! answer.
//!
//! Which step asks, and what its client gets to see of the answer, is told in `step/`.

pub(super) mod errand;
pub(super) mod outbound;
pub(super) mod refresh;
pub(super) mod settle;
pub(super) mod slices;
