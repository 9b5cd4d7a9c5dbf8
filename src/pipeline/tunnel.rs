//! Tunnel: what an exchange becomes when a server has switched protocols. Bytes both ways, with limits of
//! their own, and one line of the log at their end.
//!
//! Who wants one needs a leave before the origin is asked. A tunnel belongs to its client's connection and
//! holds nothing of the site that it began under, so no reload ends it. The bytes are carried by whoever
//! has the client's end: a connection of HTTP/1.1, or a stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use http::{HeaderValue, Response};
use parking_lot::Mutex;

use crate::body::Body;
use crate::clock::Instant;
use crate::config::ExchangeLimits;
use crate::origin::Switched;
use crate::telemetry::{Carried, Direction, Family, Record, Telemetry, TunnelEnd};

/// All tunnels there are and have been; they outlive sites.
#[derive(Clone, Debug, Default)]
pub(super) struct Tunnels(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    open: AtomicUsize,
    opened: AtomicU64,
    refused: AtomicU64,
    ended: [AtomicU64; TunnelEnd::ALL.len()],
    bytes: [AtomicU64; Direction::ALL.len()],
}

/// A request's wish to go on with another protocol, and the right to.
#[derive(Debug)]
pub(super) struct Wish {
    /// Those that it wants and its route allows.
    pub(super) protocols: HeaderValue,
    pub(super) limits: TunnelLimits,
    leave: Leave,
}

/// The right to have one tunnel, counted as long as this lives.
#[derive(Debug)]
struct Leave(Tunnels);

/// How long a tunnel may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelLimits {
    /// How long no byte may go either way.
    pub idle: Duration,
    /// How long it may last in all; `None` for as long as it likes.
    pub lifetime: Option<Duration>,
}

/// A tunnel that is to be carried: its server's end, and the books that are kept of it.
pub struct Tunnel {
    /// Where the client's bytes go.
    pub server: Switched,
    /// What is counted of it.
    pub books: Books,
}

/// The entry of the request that it began as, without the site.
pub(super) struct Entry {
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) record: Record,
    pub(super) arrived: Instant,
}

/// What is counted of one tunnel, and written down at its end.
pub struct Books {
    entry: Entry,
    limits: TunnelLimits,
    leave: Leave,
    bytes: [AtomicU64; Direction::ALL.len()],
    end: TunnelEnd,
    /// The route's permit, among other things. Never locked: a body alone is no thread's but its own.
    _held: Mutex<Body>,
}

/// How it travels with the head of the response: whoever is first takes it.
#[derive(Clone)]
struct Slot(Arc<Mutex<Option<Box<Tunnel>>>>);

// === impl Tunnels ===

impl Tunnels {
    /// The wish for these protocols, unless there are `max` tunnels already.
    pub(super) fn wish(
        &self,
        protocols: HeaderValue,
        limits: &ExchangeLimits,
        max: usize,
    ) -> Option<Wish> {
        let leave = Leave(self.clone());
        if self.0.open.fetch_add(1, Relaxed) >= max {
            self.0.refused.fetch_add(1, Relaxed);
            return None;
        }
        Some(Wish {
            protocols,
            limits: TunnelLimits {
                idle: limits.tunnel_idle_timeout,
                lifetime: limits.tunnel_lifetime,
            },
            leave,
        })
    }

    /// For a scrape.
    pub(super) fn families(&self, max: usize) -> Vec<Family> {
        let Counted {
            open,
            opened,
            refused,
            ended,
            bytes,
        } = &*self.0;
        let gauge = |name, help, value: usize| Family::gauge(name, help).value(value as f64);
        let count = |name, help, value: &AtomicU64| {
            Family::counter(name, help).value(value.load(Relaxed) as f64)
        };
        let help = "Tunnels that have ended, by how they did.";
        let mut by_end = Family::counter("copal_tunnels_ended", help);
        for end in TunnelEnd::OF_UPGRADES {
            let labels = vec![("end", end.as_str().to_owned())];
            by_end = by_end.labelled(labels, ended[end as usize].load(Relaxed) as f64);
        }
        let help = "Bytes carried through tunnels, in from clients and out to them.";
        let mut by_direction = Family::counter("copal_tunnel_bytes", help);
        for direction in Direction::ALL {
            let labels = vec![("direction", direction.as_str().to_owned())];
            let value = bytes[direction as usize].load(Relaxed) as f64;
            by_direction = by_direction.labelled(labels, value);
        }
        let asked = "Tunnels open, or being asked for.";
        vec![
            gauge("copal_tunnels_open", asked, open.load(Relaxed)),
            gauge("copal_tunnels_max", "As many as there may be.", max),
            count("copal_tunnels", "Tunnels that servers have opened.", opened),
            count(
                "copal_tunnels_refused",
                "Tunnels that were too many.",
                refused,
            ),
            by_end,
            by_direction,
        ]
    }
}

// === impl Leave ===

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Relaxed);
    }
}

// === impl Tunnel ===

impl Tunnel {
    /// What an exchange with such a wish becomes, sent along with the head of its response.
    pub(super) fn put_into(
        response: Response<Body>,
        server: Switched,
        wish: Wish,
        entry: Entry,
    ) -> Response<Body> {
        wish.leave.0.0.opened.fetch_add(1, Relaxed);
        let (head, body) = response.into_parts();
        let tunnel = Self {
            server,
            books: Books {
                entry,
                limits: wish.limits,
                leave: wish.leave,
                bytes: <[AtomicU64; 2]>::default(),
                end: TunnelEnd::Broken,
                _held: Mutex::new(body),
            },
        };
        let mut response = Response::from_parts(head, Body::empty());
        let slot = Slot(Arc::new(Mutex::new(Some(Box::new(tunnel)))));
        response.extensions_mut().insert(slot);
        response
    }

    /// The tunnel that goes with a response, if one does: with a 101.
    pub fn take<B>(response: &mut Response<B>) -> Option<Box<Self>> {
        let slot = response.extensions_mut().remove::<Slot>()?;
        slot.0.lock().take()
    }
}

// === impl Books ===

impl Books {
    /// How long it may last.
    pub fn limits(&self) -> TunnelLimits {
        self.limits
    }

    /// So many bytes went through.
    pub fn note(&self, direction: Direction, bytes: usize) {
        let bytes = bytes as u64;
        self.bytes[direction as usize].fetch_add(bytes, Relaxed);
        self.leave.0.0.bytes[direction as usize].fetch_add(bytes, Relaxed);
    }

    /// It has ended. Books that are only dropped are those of a tunnel that was broken off.
    pub fn close(mut self, end: TunnelEnd) {
        self.end = end;
    }
}

impl Drop for Books {
    fn drop(&mut self) {
        self.leave.0.0.ended[self.end as usize].fetch_add(1, Relaxed);
        let [received, sent] = [Direction::In, Direction::Out]
            .map(|direction| self.bytes[direction as usize].load(Relaxed));
        let Entry {
            telemetry,
            record,
            arrived,
        } = &mut self.entry;
        record.duration = arrived.elapsed();
        record.body_bytes = sent;
        record.complete = self.end == TunnelEnd::Clean;
        record.tunnel = Some(Box::new(Carried {
            received,
            sent,
            end: self.end,
        }));
        telemetry.finish(record);
    }
}
