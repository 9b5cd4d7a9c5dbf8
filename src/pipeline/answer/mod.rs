//! Responses made of stored objects: how an object came to its client, the client's conditions, its
//! ranges.

mod how;
mod partial;
mod stored;
mod unstored;

pub(super) use how::{CACHE_STATUS, How};
pub(super) use stored::respond;
pub(super) use unstored::{is_for_a_part, under_conditions};
