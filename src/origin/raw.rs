//! Raw connections for bytes of any protocol: a server is chosen, connected to and counted.
//!
//! For TCP listeners. Such a connection is its client's alone: it is never pooled, and what goes
//! over it is not looked at. Requests of HTTP go by [`Pool::send`].

use std::net::IpAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::Pool;
use super::balance::Choice;
use super::error::Error;
use super::hint::key_of;
use super::overload::Passage;
use super::peer::Peer;
use super::permit::Permit;
use super::roster::{self, Entry};
use super::server::Flight;
use crate::clock;

/// An open connection to a server, in flight for as long as this lives.
pub struct RawConnection {
    /// The connection, on which nothing has been sent.
    pub stream: TcpStream,
    /// `host:port` of the server.
    pub server: Arc<str>,
    _counted: (Permit, Flight),
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
        let passage = self.overload.pass_breaker()?;
        let connected = self.try_to_connect(&passage, key_of(client)).await;
        self.conclude(passage, &connected, |_| true);
        connected
    }

    async fn try_to_connect(
        &self,
        passage: &Passage<'_>,
        key: u64,
    ) -> Result<RawConnection, Error> {
        let (servers, sticky) = (&self.servers, self.sticky.as_ref());
        self.discovery.staffed(servers, sticky).await;
        let mut choice = Choice::by(key);
        let in_force = || self.roster_in_force();
        let let_in = passage.let_in(&choice, None, in_force);
        let (mut roster, mut index, mut flight) = let_in.await?;
        let mut tries_left = self.retries.tries();
        loop {
            tries_left -= 1;
            let Some(peer) = roster.peers().get(index) else {
                return Err(Error::no_server());
            };
            let error = match open(peer, flight).await {
                Ok(connection) => {
                    self.servers.note(peer, Ok(()));
                    return Ok(connection);
                }
                Err(error) => error.at(peer.authority()),
            };
            peer.vitals.counters.count_error(error.kind);
            self.servers.note_failure(peer, &error);
            choice.has_tried(index);
            (index, flight) = match roster::enter_another(&mut roster, &mut choice, in_force) {
                _ if tries_left == 0 => return Err(error),
                Entry::In(index, flight) => (index, flight),
                // A dead server has room for everybody: see `retry/`.
                Entry::Full => {
                    let again = passage.let_in_again(&mut roster, &mut choice, in_force);
                    again.await?
                }
                Entry::Nobody => return Err(error),
            };
        }
    }
}

/// How long it took to be accepted is what is known of how busy the server is.
async fn open(peer: &Arc<Peer>, flight: Flight) -> Result<RawConnection, Error> {
    let began = clock::instant();
    let (stream, permit) = peer.connect().await?;
    let latency = began.elapsed();
    peer.vitals.load.observe(latency);
    peer.vitals.answers.observe(latency);
    Ok(RawConnection {
        stream,
        server: Arc::clone(peer.authority()),
        _counted: (permit, flight),
    })
}
