//! Agent checks: a process beside each server is asked again and again how much the server can
//! take.
//!
//! One task for each server, for as long as its pool is in force. What an agent may say is in
//! `server/advice.rs`. That one cannot be reached says nothing of its server: "Failure to connect to
//! the agent is not considered an error as connectivity is tested by the regular health check"
//! (HAProxy, `agent-check`).

use std::sync::{Arc, Weak};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::servers::Servers;
use super::tasks::{self, ServerTasks};
use crate::clock;
use crate::config;
use crate::origin::dial::Dial;
use crate::origin::dice::Dice;
use crate::origin::peer::Peer;
use crate::origin::server::{self, Said};

/// A longer line is cut behind a whole word.
const LINE_BYTES_MAX: usize = 1024;
/// The part of the interval by which it may be longer or shorter: many proxies shall not ask in
/// step.
const JITTER: f64 = 0.1;

/// The agents of a pool's servers; they are asked no more when it ends.
#[derive(Debug)]
pub(in crate::origin) struct Agents {
    agent: Option<Arc<config::Agent>>,
    tasks: ServerTasks,
}

/// Why an agent's word was not had.
#[derive(Debug, thiserror::Error)]
enum Mute {
    #[error("it accepts no connection")]
    Refused,
    #[error("it says nothing in time")]
    Slow,
    #[error("it says nothing")]
    Silent,
    #[error("it says words that are not known")]
    Garbled,
}

// === impl Agents ===

impl Agents {
    pub(in crate::origin) fn new(agent: Option<&config::Agent>) -> Self {
        Self {
            agent: agent.cloned().map(Arc::new),
            tasks: ServerTasks::default(),
        }
    }

    /// Agents are asked from the next [`Self::align`] on, now that the pool is in force. Without any,
    /// what they said is forgotten.
    pub(in crate::origin) fn begin(&self, servers: &Servers) {
        if self.agent.is_some() {
            return self.tasks.begin();
        }
        let roster = servers.roster();
        let peers = roster.peers().iter();
        peers.for_each(|peer| advise(servers, peer, None));
    }

    /// Asks the agents of those who are on the roster now; `way_to` is how a host beside the servers
    /// is reached.
    pub(in crate::origin) fn align(
        &self,
        servers: &Arc<Servers>,
        way_to: impl Fn(&Arc<str>, u16) -> Dial,
    ) {
        let Some(agent) = &self.agent else {
            return;
        };
        let ask = |peer: &Arc<Peer>| {
            let dial = match &agent.host {
                Some(host) => way_to(host, agent.port),
                None => peer.dial.at_port(agent.port),
            };
            let (servers, peer) = (Arc::downgrade(servers), Arc::clone(peer));
            tokio::spawn(follow(servers, peer, dial, Arc::clone(agent))).abort_handle()
        };
        self.tasks.align(|| servers.roster(), ask);
    }

    pub(in crate::origin) fn end(&self) {
        self.tasks.end();
    }
}

/// Asks one server's agent until its pool is gone.
async fn follow(servers: Weak<Servers>, peer: Arc<Peer>, dial: Dial, agent: Arc<config::Agent>) {
    let (dice, mut is_heard) = (Dice::new(), true);
    loop {
        let asked = timeout(agent.timeout, ask(&dial, &agent)).await;
        let said = asked.unwrap_or(Err(Mute::Slow));
        let Some(servers) = servers.upgrade() else {
            return;
        };
        let (origin, server) = (&*servers.origin, &**peer.authority());
        let mute = match &said {
            Ok(said) => {
                advise(&servers, &peer, Some(said));
                said.is_garbled.then_some(&Mute::Garbled)
            }
            Err(mute) => Some(mute),
        };
        // Once, not at each interval.
        match mute {
            Some(why) if is_heard => warn!(origin, server, %why, "agent not understood"),
            None if !is_heard => info!(origin, server, "agent understood again"),
            _ => {}
        }
        is_heard = mute.is_none();
        drop(servers);
        sleep(tasks::pause(agent.interval, JITTER, &dice)).await;
    }
}

/// An agent has said something of its server; or there is none, and never was.
fn advise(servers: &Servers, peer: &Peer, said: Option<&Said>) {
    let vitals = &peer.vitals;
    let (before, after) = servers.learn(|| {
        let mut standing = vitals.standing.lock();
        let before = standing.advice();
        standing.advise(said, clock::instant());
        (before, standing.advice())
    });
    if before == after {
        return;
    }
    vitals.load.allow(after.requests_max.unwrap_or(0));
    let (origin, server) = (&*servers.origin, &*vitals.authority);
    match (before.down, after.down) {
        (None, Some(downed)) => {
            warn!(origin, server, says = %downed, "server down by its agent")
        }
        // The end of it is as grave as its beginning.
        (Some(_), None) => warn!(origin, server, says = %after, "agent heard"),
        _ => info!(origin, server, says = %after, "agent heard"),
    }
}

/// Asks once, within the agent's timeout, which is the caller's to keep.
async fn ask(dial: &Dial, agent: &config::Agent) -> Result<Said, Mute> {
    let opened = dial.open_plain(agent.timeout).await;
    let mut stream = opened.map_err(|_| Mute::Refused)?;
    let sent = stream.write_all(agent.send.as_bytes()).await;
    sent.map_err(|_| Mute::Silent)?;
    let (mut line, mut len) = ([0; LINE_BYTES_MAX], 0);
    while let Some(rest) = line.get_mut(len..).filter(|rest| !rest.is_empty()) {
        // What came before the connection broke off may still be a line.
        match stream.read(rest).await {
            Ok(more @ 1..) => len += more,
            Ok(0) | Err(_) => break,
        }
        if line.get(..len).is_some_and(|it| it.contains(&b'\n')) {
            break;
        }
    }
    let line = line.get(..len).unwrap_or_default();
    let said = server::parse_advice(match len {
        LINE_BYTES_MAX => whole_words(line),
        _ => line,
    });
    match said.is_nothing() {
        true => Err(Mute::Silent),
        false => Ok(said),
    }
}

/// The last word of a line that was cut may be a part of one: `maxconn:3` of `maxconn:30`.
fn whole_words(line: &[u8]) -> &[u8] {
    let ends_word = |it: &u8| matches!(it, b' ' | b'\t' | b',' | b'\r' | b'\n');
    let end = line.iter().rposition(ends_word);
    line.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;
    use crate::origin::resolve::Names;
    use crate::origin::server::Advice;

    /// Asks an agent that sends these pieces and closes.
    async fn heard(pieces: Vec<String>) -> Option<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let agent = config::Agent {
            port,
            host: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(60),
            send: "".into(),
        };
        let saying = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            for piece in pieces {
                // Who has heard enough does not wait for the rest.
                let _ = stream.write_all(piece.as_bytes()).await;
            }
        };
        let dial = Dial::plain(&"127.0.0.1".into(), port, &Names::default());
        let (asked, ()) = tokio::join!(ask(&dial, &agent), saying);
        let mut advice = Advice::default();
        advice.heed(&asked.ok()?);
        Some(advice.to_string())
    }

    #[tokio::test]
    async fn a_line_is_heard_however_it_comes() {
        let padded = |words: &str, upto: usize| format!("{}{words}", " ".repeat(upto));
        type Row<'a> = (&'a [&'a str], Option<&'a str>);
        let (fits, is_cut) = (padded("up 30%\n", 1000), padded("up maxconn:30\n", 1012));
        let nonsense = "x".repeat(1_000_000);
        let rows: [Row<'_>; 8] = [
            (&["75%\n"], Some("75%")),
            (&["75%"], Some("75%")),
            (&["7", "5", "%", "\n"], Some("75%")),
            (&["drain\r\n50%\n"], Some("drain")),
            (&[], None),
            (&[&nonsense], None),
            (&[&fits], Some("30%")),
            // 1024 bytes end in the midst of a number.
            (&[&is_cut], Some("")),
        ];
        for (pieces, expected) in rows {
            let pieces = pieces.iter().map(ToString::to_string).collect();
            assert_eq!(heard(pieces).await.as_deref(), expected);
        }
    }
}
