//! A connection for bytes of any protocol: a server is chosen, connected to and counted.
//!
//! For TCP listeners. Such a connection is its client's alone: it is never pooled, and what goes
//! over it is not looked at. Requests of HTTP go by [`Pool::send`].

use std::net::IpAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::Pool;
use super::balance::Choice;
use super::error::Error;
use super::hint::key_of;
use super::load::Flight;
use super::peer::Peer;
use super::send::no_server;
use crate::clock;

/// An open connection to a server, in flight for as long as this lives.
pub struct RawConnection {
    /// The connection, on which nothing has been sent.
    pub stream: TcpStream,
    /// `host:port` of the server.
    pub server: Arc<str>,
    _counted: (Flight, OwnedSemaphorePermit),
}

// === impl Pool ===

impl Pool {
    /// Connects to a server for the client at this address. One that accepts no connection is
    /// passed over for another; that takes nothing from the budget of retries, for nothing was sent
    /// that anybody would do twice. Where the balance hashes, it hashes the address, which is all
    /// that is known of the client.
    ///
    /// # Errors
    /// The last try's [`Error`], counted with the server it happened at.
    pub async fn connect(&self, client: IpAddr) -> Result<RawConnection, Error> {
        let connected = self.try_to_connect(Choice::by(key_of(client))).await;
        match &connected {
            Ok(_) => self.sickness.recover(),
            Err(error) => self.sickness.note(error),
        }
        connected
    }

    async fn try_to_connect(&self, mut choice: Choice) -> Result<RawConnection, Error> {
        let (mut roster, mut last) = (self.staffed().await, no_server());
        for _ in 0..self.retries.tries() {
            let chosen = roster.choose(&choice);
            let chosen = chosen.or_else(|| self.move_on(&mut roster, &mut choice));
            let Some((index, peer)) = chosen.and_then(|it| Some((it, roster.peers().get(it)?)))
            else {
                break;
            };
            match open(peer).await {
                Ok(connection) => {
                    self.note(peer, true);
                    return Ok(connection);
                }
                Err(error) => {
                    peer.vitals.counters.count_error(error.kind);
                    self.note_failure(peer, &error);
                    choice.has_tried(index);
                    last = error;
                }
            }
        }
        Err(last)
    }
}

/// How long it took to be accepted is what is known of how busy the server is.
async fn open(peer: &Arc<Peer>) -> Result<RawConnection, Error> {
    let began = clock::instant();
    let flight = peer.vitals.load.begin();
    let (stream, permit) = peer.connect().await?;
    peer.vitals.load.observe(began.elapsed());
    Ok(RawConnection {
        stream,
        server: Arc::clone(peer.authority()),
        _counted: (flight, permit),
    })
}
