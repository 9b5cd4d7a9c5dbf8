//! The configuration as users write it, read by the library's public door: what whole files and
//! command lines give, and what is said about their mistakes and about what was surely meant otherwise.
//! Single values are tested beside the code that reads them.

// A test binary exports nothing: `pub` here only means "beyond this file".
#![allow(unreachable_pub)]

mod config {
    mod files;
    mod lists;
    mod mistakes;
    mod newcomers;
    mod parts;
}
