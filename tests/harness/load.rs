//! Many clients that ask on and on, while the test does something to the origins, and the tally of
//! what came back. Expectations of Copal are not here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::client::{Client, Response};
use super::proxy::Proxy;
use super::{End, eventually, within};

/// Clients at work. Each has one connection, and asks for paths that nobody else asks for.
pub struct Load {
    clients: JoinSet<Tally>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Tally {
    /// Responses with status 200 that came whole.
    pub good: usize,
    /// Everything else, in words.
    pub bad: Vec<String>,
}

// === impl Load ===

impl Load {
    /// So many clients of GET.
    pub fn start(proxy: &Proxy, clients: usize) -> Self {
        Self::of("GET", proxy, clients)
    }

    /// So many clients of a method, whose requests have no body.
    pub fn of(method: &'static str, proxy: &Proxy, clients: usize) -> Self {
        let (stop, answered) = (Arc::default(), Arc::default());
        let mut all = JoinSet::new();
        for client in 0..clients {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            all.spawn(ask(proxy.address(), method, client, stop, answered));
        }
        Self {
            clients: all,
            stop,
            answered,
        }
    }

    /// Waits until so many more have been answered, well or not. The deadline is each one's.
    pub async fn answered(&self, more: usize) {
        let answered = || self.answered.load(Ordering::Relaxed);
        let enough = answered() + more;
        while answered() < enough {
            let before = answered();
            eventually("another response", async || answered() > before).await;
        }
    }

    /// Lets each client end the request it is at.
    pub async fn end(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut tally = Tally::default();
        while let Some(one) = within("a client to end", self.clients.join_next()).await {
            let one = one.expect("a client that does not panic");
            tally.good += one.good;
            tally.bad.extend(one.bad);
        }
        tally
    }
}

async fn ask(
    address: SocketAddr,
    method: &str,
    client: usize,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
) -> Tally {
    let mut tally = Tally::default();
    let mut connection = Client::connect(address).await;
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let path = format!("/{client}/{number}");
        let fields = [("content-length", "0")];
        let fields = if method == "GET" { &[][..] } else { &fields };
        connection.request(method, &path, fields).await;
        let response = connection.try_response().await;
        let goes_on = response.as_ref().is_some_and(keeps_connection);
        tally.note(response);
        answered.fetch_add(1, Ordering::Relaxed);
        if !goes_on {
            connection = Client::connect(address).await;
        }
    }
    tally
}

/// Whether a further request may follow on the connection of this response.
fn keeps_connection(response: &Response) -> bool {
    response.end == End::Clean && response.field("connection") != Some("close")
}

// === impl Tally ===

impl Tally {
    fn note(&mut self, response: Option<Response>) {
        match response {
            Some(it) if it.status == 200 && it.end == End::Clean => self.good += 1,
            Some(it) => self
                .bad
                .push(format!("{} {:?} {}", it.status, it.end, it.cache_status())),
            None => self.bad.push("no response".to_owned()),
        }
    }
}
