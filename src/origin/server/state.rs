//! State that a server is to be in: ready, drain or maintenance.
//!
//! Its operator says so, or else its agent. What follows is in `standing.rs`.

/// What the operator wants of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It takes requests.
    #[default]
    Ready,
    /// It takes none but those of clients that belong to it.
    Drain,
    /// It takes none.
    Maintenance,
}

// === impl State ===

impl State {
    /// A word for the API and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maintenance => "maintenance",
        }
    }
}
