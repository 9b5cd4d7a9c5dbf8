//! `agent` of `[origins.NAME]`: who is asked beside each server how much it can take.
//!
//! Not what an agent may say.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::host as hosts;
use super::report::{Given, Place, Report};
use super::server::{Server, ServerUrl};
use super::units::{self, Count, Period};

const PORTS: RangeInclusive<usize> = 1..=65_535;
/// What is sent is sent in one piece.
const SEND_BYTES_MAX: usize = 1024;

/// Who is asked how much a server can take: HAProxy's `agent-check`.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// Its port.
    pub port: u16,
    /// Its host, in lower case and without brackets; `None` for each server's own.
    pub host: Option<Arc<str>>,
    /// From the end of a question to the next.
    pub interval: Duration,
    /// How long a question may take as a whole.
    pub timeout: Duration,
    /// What is sent once connected; empty for nothing.
    pub send: Arc<str>,
}

/// `agent` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAgent {
    port: Given<Count>,
    host: Given<String>,
    interval: Given<Period>,
    timeout: Given<Period>,
    send: Given<String>,
}

// === impl RawAgent ===

impl RawAgent {
    /// The table stands at `place`. `None` after a complaint that leaves nobody to ask.
    pub(super) fn resolve(
        &self,
        servers: &[Server],
        place: Place,
        report: &mut Report,
    ) -> Option<Agent> {
        let (interval, timeout) = (
            units::timeout(&self.interval, 5, report),
            units::timeout(&self.timeout, 2, report),
        );
        let (host, send) = (self.resolve_host(report), self.resolve_send(report));
        let has_no_host = |it: &&Server| matches!(it.url, ServerUrl::Unix(_));
        if self.host.is_none()
            && let Some(server) = servers.iter().find(has_no_host)
        {
            let text = format!("is missing, and `{}` has none; write it", server.url);
            report.missing(place.clone(), "host", text);
        }
        if self.port.is_none() {
            let text = "is missing; write that of the agent, as `port = 9777`";
            report.missing(place, "port", text);
            return None;
        }
        let port = units::count(&self.port, 1, PORTS, report);
        Some(Agent {
            // The limits of a port fit.
            port: u16::try_from(port).unwrap_or(1),
            host,
            interval,
            timeout,
            send,
        })
    }

    fn resolve_host(&self, report: &mut Report) -> Option<Arc<str>> {
        let given = self.host.as_ref()?;
        match hosts::parse(given.get_ref()) {
            Ok(host) => Some(host.trim_matches(['[', ']']).into()),
            Err(complaint) => {
                report.at(given.span(), complaint);
                None
            }
        }
    }

    fn resolve_send(&self, report: &mut Report) -> Arc<str> {
        let Some(given) = &self.send else {
            return "".into();
        };
        if given.get_ref().len() > SEND_BYTES_MAX {
            report.at(given.span(), "is longer than 1024 bytes; shorten it");
        }
        given.get_ref().as_str().into()
    }
}
