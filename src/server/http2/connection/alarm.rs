//! Alarm of an HTTP/2 connection: one timer for all its deadlines and those of its streams.

use std::task::{Context, Waker};
use std::time::Duration;

use h2::{Ping, Reason};

use super::{Connection, End};
use crate::clock::Instant;
use crate::server::http2::ledger::Due;
use crate::server::http2::stream::{State, Stream};
use crate::server::linger;
use crate::server::watch::{ConnectionTimeouts, DRAIN_LINGER};
use crate::telemetry::Http2Cut;

/// What the connection's alarm brings.
pub(super) enum Alarm {
    In(Duration),
    End(End),
}

// === impl Connection ===

impl Connection {
    /// Judges the connection and its streams at this moment.
    pub(super) fn ring(&mut self, draining: bool, now: Instant) -> Alarm {
        let timeouts = self.answers.timeouts();
        let due = self.ledger.lock().due(timeouts.header, timeouts.send, now);
        let soonest = match due {
            Due::Cut(why) => return Alarm::End(End::Cut(why)),
            Due::NoSettings => return Alarm::End(End::Malformed),
            Due::In(time) => time,
        };
        self.give_up_stalled(&timeouts, now);
        self.end_answered(draining, now);
        if !self.streams.is_empty() || self.h2.has_streams() {
            self.active_at = now;
            return match self.is_alive(&timeouts, now) {
                true => Alarm::In(soonest.min(timeouts.shortest())),
                false => Alarm::End(End::Cut(Http2Cut::PingTimeout)),
            };
        }
        // Once draining h2 ends it by itself, if the client does its part.
        let limit = if draining {
            timeouts.send
        } else {
            timeouts.idle
        };
        match limit.checked_sub(now.saturating_duration_since(self.active_at)) {
            None | Some(Duration::ZERO) => Alarm::End(End::Idle),
            Some(left) => Alarm::In(soonest.min(left)),
        }
    }

    /// Resets the streams whose client makes no room for them, and no others.
    fn give_up_stalled(&mut self, timeouts: &ConnectionTimeouts, now: Instant) {
        let is_over = |since: Option<Instant>| {
            since.is_some_and(|since| now.saturating_duration_since(since) >= timeouts.send)
        };
        let is_closed = is_over(self.closed_since);
        let stalled: Vec<u32> = self
            .streams
            .iter()
            .filter(|(id, stream)| match &stream.state {
                State::Sending(outflow) => {
                    is_over(outflow.stalled_since) || is_closed && self.turns.has(**id)
                }
                _ => false,
            })
            .map(|(id, _)| *id)
            .collect();
        for id in stalled {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.reset(Reason::CANCEL);
            }
            self.answers.service.shared.telemetry.http2.stalled();
            self.forget(id);
        }
    }

    /// Hears nobody out for longer than HTTP/1 does: "A server can send a complete response prior to the
    /// client sending an entire request […] a server MAY request that the client abort transmission of a
    /// request without error by sending a RST_STREAM with an error code of NO_ERROR" (RFC 9113 §8.1).
    /// Many clients take that for an error as long as they send.
    fn end_answered(&mut self, draining: bool, now: Instant) {
        let configured = self.answers.service.linger_timeout();
        let time_max = if draining {
            DRAIN_LINGER.min(configured)
        } else {
            configured
        };
        let is_over = |stream: &Stream| {
            let State::Answered { since, moved } = stream.state else {
                return false;
            };
            let bytes = stream.intake.as_ref().map_or(0, |it| it.dropped_bytes);
            now.saturating_duration_since(since) >= time_max
                || now.saturating_duration_since(moved) >= linger::SILENCE_MAX
                || bytes > linger::BYTES_MAX
        };
        // h2 resets what is dropped before its end, in just that way.
        self.streams.retain(|_, stream| !is_over(stream));
    }

    /// Asks a client that has long said nothing amidst a request whether it is still there. False if it
    /// does not answer.
    fn is_alive(&mut self, timeouts: &ConnectionTimeouts, now: Instant) -> bool {
        let read_at = self.ledger.lock().read_at;
        if self.pinged_at.is_some_and(|at| read_at > at) {
            self.pinged_at = None;
        }
        if let Some(at) = self.pinged_at {
            return now.saturating_duration_since(at) < timeouts.send;
        }
        if now.saturating_duration_since(read_at) >= timeouts.idle
            && let Some(pings) = &mut self.pings
        {
            // The answer to the one before, if there was one.
            let _ = pings.poll_pong(&mut Context::from_waker(Waker::noop()));
            if pings.send_ping(Ping::opaque()).is_ok() {
                self.pinged_at = Some(now);
            }
        }
        true
    }
}
