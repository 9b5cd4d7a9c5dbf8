//! Connections that carry bytes of any protocol: which way they went, and how it ended. Those of TCP
//! listeners have no requests, so no records; those that began as a request have one.

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    In,
    /// To the client.
    Out,
}

/// What went through a tunnel that began as a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Bytes from the client.
    pub received: u64,
    /// Bytes to the client.
    pub sent: u64,
    /// How it ended.
    pub end: TunnelEnd,
}

/// How such a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelEnd {
    /// Both sides have said all they wanted.
    Clean,
    /// No byte went either way within the idle timeout.
    Idle,
    /// It had lasted for as long as it may.
    Lifetime,
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
    pub const ALL: [Self; 7] = [
        Self::Clean,
        Self::Idle,
        Self::Lifetime,
        Self::Broken,
        Self::Cut,
        Self::NoServer,
        Self::BadHeader,
    ];

    /// Those of tunnels that began as a request.
    pub const OF_UPGRADES: [Self; 5] = [
        Self::Clean,
        Self::Idle,
        Self::Lifetime,
        Self::Broken,
        Self::Cut,
    ];

    /// Those of connections of TCP listeners that are none that both sides wanted.
    pub(super) const ERRORS_OF_TCP: [Self; 5] = [
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
            Self::Lifetime => "lifetime",
            Self::Broken => "broken",
            Self::Cut => "cut",
            Self::NoServer => "no-server",
            Self::BadHeader => "bad-header",
        }
    }
}
