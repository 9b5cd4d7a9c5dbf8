//! Limits of one exchange, which a site and a route may set in place of the server and the origin:
//! the size of an upload, how long its client and its origin may be silent, and how long a tunnel lasts.
//!
//! Not those of connections, which carry requests for any route.

use std::time::Duration;

use toml::Spanned;

use super::listen::Server;
use super::report::{Given, Place, Report};
use super::units::{self, Period, Size};

/// How much, and how long, a request may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeLimits {
    /// A longer request body is answered with 413 (RFC 9110 §15.5.14).
    pub body_bytes_max: u64,
    /// How long a client may send no byte of its request body.
    pub body_timeout: Duration,
    /// How many bytes a second it must send of it, where it is waited for; zero for any number.
    pub receive_rate_min: u64,
    /// From the request sent to the whole response head received; `None` leaves it to the origin.
    pub first_byte_timeout: Option<Duration>,
    /// How long a response body may be silent; `None` leaves it to the origin.
    pub between_bytes_timeout: Option<Duration>,
    /// How long no byte may go either way through a tunnel.
    pub tunnel_idle_timeout: Duration,
    /// How long a tunnel may last in all; `None` for as long as it likes.
    pub tunnel_lifetime: Option<Duration>,
}

/// The keys as they stand in the table of a site or of a route.
pub(super) struct RawExchangeLimits<'a> {
    pub(super) body_bytes_max: &'a Given<Size>,
    pub(super) body_timeout: &'a Given<Period>,
    pub(super) receive_rate_min: &'a Given<Size>,
    pub(super) first_byte_timeout: &'a Given<Period>,
    pub(super) between_bytes_timeout: &'a Given<Period>,
    pub(super) tunnel_idle_timeout: &'a Given<Period>,
    pub(super) tunnel_lifetime: &'a Given<Period>,
}

// === impl ExchangeLimits ===

impl ExchangeLimits {
    /// Where neither site nor route says anything.
    pub(super) fn of_server(server: &Server) -> Self {
        Self {
            body_bytes_max: server.body_bytes_max,
            body_timeout: server.body_timeout,
            receive_rate_min: server.receive_rate_min,
            first_byte_timeout: None,
            between_bytes_timeout: None,
            tunnel_idle_timeout: server.tunnel_idle_timeout,
            tunnel_lifetime: server.tunnel_lifetime,
        }
    }
}

// === impl RawExchangeLimits ===

impl RawExchangeLimits<'_> {
    /// These, and those of `base` where nothing is written.
    pub(super) fn over(&self, base: &ExchangeLimits, report: &mut Report) -> ExchangeLimits {
        let all = 0..=u64::MAX;
        let mut time = |given: &Given<Period>, base: Option<Duration>| match given {
            // The default is never used: one is given.
            Some(_) => Some(units::timeout(given, 1, report)),
            None => base,
        };
        ExchangeLimits {
            body_timeout: time(self.body_timeout, None).unwrap_or(base.body_timeout),
            first_byte_timeout: time(self.first_byte_timeout, base.first_byte_timeout),
            between_bytes_timeout: time(self.between_bytes_timeout, base.between_bytes_timeout),
            tunnel_idle_timeout: time(self.tunnel_idle_timeout, None)
                .unwrap_or(base.tunnel_idle_timeout),
            tunnel_lifetime: match self.tunnel_lifetime {
                Some(_) => units::given_period(self.tunnel_lifetime).filter(|it| !it.is_zero()),
                None => base.tunnel_lifetime,
            },
            receive_rate_min: units::bytes(
                self.receive_rate_min,
                base.receive_rate_min,
                all.clone(),
                report,
            ),
            body_bytes_max: units::bytes(self.body_bytes_max, base.body_bytes_max, all, report),
        }
    }

    /// Where the keys stand that are written.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let times = [
            self.body_timeout,
            self.first_byte_timeout,
            self.between_bytes_timeout,
            self.tunnel_idle_timeout,
            self.tunnel_lifetime,
        ];
        let sizes = [self.body_bytes_max, self.receive_rate_min];
        let times = times.map(|it| it.as_ref().map(Spanned::span));
        let sizes = sizes.map(|it| it.as_ref().map(Spanned::span));
        times.into_iter().chain(sizes).flatten()
    }
}
