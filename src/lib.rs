//! Copal, a caching HTTP reverse proxy: the journey of one request, in prose.
//!
//! A client connects to a listener ([`server`]). hyper parses what it sends, and each request
//! enters the [`pipeline`], a small machine whose steps stand in one enum. *Receive* checks the
//! request and finds its route; *Lookup* asks the [`store`] for a response under the request's
//! key. A fresh one goes straight to *Deliver*. Without one, the first request for the key gets
//! the permit to *Fetch* from an [`origin`]; others that come meanwhile *Wait* and read the same
//! object while it arrives. What must not be shared goes by *Pass*. What an answer is worth, and
//! for how long, is said by [`semantics`], which is RFC 9110 and 9111 as pure functions.
//!
//! A client is always a reader of an object, whether it is complete or still filling, and a fetch
//! is always the writer of one object. The two meet only at the object.
//!
//! Modules stand here from the ground up, and import only those above them in this list. What
//! each is and is not stands at the top of its file; docs/architecture.md has the reasons.

pub mod clock;
pub mod semantics;

pub mod lists;

pub mod rules;

pub mod config;
pub mod telemetry;

pub mod acme;

pub mod body;

pub mod origin;
pub mod store;

pub mod pipeline;

pub mod admin;
pub mod server;

pub mod app;
pub mod cli;
