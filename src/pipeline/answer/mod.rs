//! Responses made of stored objects.

pub(super) mod partial;
