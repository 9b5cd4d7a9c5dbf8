//! Language of conditions, the `when` of rules: a subset of CEL, read and checked when the configuration
//! is, and evaluated over the facts of a request without allocating.
//!
//! A text goes from tokens (`lexer.rs`) to a tree (`syntax.rs`) to a program in which each part has its
//! type (`types.rs`, `program.rs`); only the last is kept. There are no loops, no variables and no
//! functions of the user's, and regular expressions run in linear time: a condition ends in time linear
//! in what it looks at. What follows when one is true is not known here.

mod lexer;
mod syntax;

mod fields;
mod reads;

mod facts;
mod pattern;
mod program;
mod sense;
mod types;

mod condition;
mod guard;

pub use condition::Condition;
pub use facts::{Delivery, Facts, Request, Response, extension, parameter};
pub use guard::{Guard, PathGuard};
pub use lexer::quantity;
pub use pattern::Pattern;
pub use reads::{Phase, Read};
