//! Responses made of stored objects: how an object came to its client, the client's conditions, its
//! ranges.

mod how;
mod partial;
mod stored;

pub(super) use how::{CACHE_STATUS, How};
pub(super) use stored::respond;
