//! Counters of the connections that TCP listeners carry. They have no requests, so no records.

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    In,
    /// To the client.
    Out,
}

/// How a connection through a TCP listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelEnd {
    /// Both sides have said all they wanted.
    Clean,
    /// No byte went either way within the idle timeout.
    Idle,
    /// One side broke off.
    Broken,
    /// It was cut at the end of a drain.
    Cut,
    /// No server accepted it.
    NoServer,
    /// It did not begin with the PROXY header that is expected.
    BadHeader,
}

// === impl Direction ===

impl Direction {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::In, Self::Out];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

// === impl TunnelEnd ===

impl TunnelEnd {
    /// Every end, in order.
    pub const ALL: [Self; 6] = [
        Self::Clean,
        Self::Idle,
        Self::Broken,
        Self::Cut,
        Self::NoServer,
        Self::BadHeader,
    ];

    /// The label's value, and a word for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Idle => "idle",
            Self::Broken => "broken",
            Self::Cut => "cut",
            Self::NoServer => "no-server",
            Self::BadHeader => "bad-header",
        }
    }
}
