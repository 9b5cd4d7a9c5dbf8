//! Fetches from the origin: the request it gets to see, the errand that sends it, the settlement of its
//! answer.
//!
//! Which step asks, and what its client gets to see of the answer, is told in `step/`.

pub(super) mod errand;
pub(super) mod outbound;
pub(super) mod refresh;
pub(super) mod resume;
pub(super) mod settle;
pub(super) mod slices;
