//! Agents beside servers (HAProxy's agent-check): what they say of weight, state and health, what
//! goes before it, and that nothing follows where they say nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::harness::{Gate, NO_STORE, Origin, Proxy, Setup, eventually};

/// An agent that answers each connection with its line, and notes what it was sent.
struct Agent {
    address: SocketAddr,
    line: Arc<Mutex<String>>,
    heard: Arc<Mutex<String>>,
    task: AbortHandle,
}

/// Two servers on two addresses of this machine, each with an agent at the same port.
struct Pair {
    one: Origin,
    two: Origin,
    two_address: SocketAddr,
    agent: Agent,
    _other: Agent,
}

impl Agent {
    async fn start(address: SocketAddr, line: &str) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let line = Arc::new(Mutex::new(line.to_owned()));
        let heard = Arc::<Mutex<String>>::default();
        let (said, hears) = (Arc::clone(&line), Arc::clone(&heard));
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = [0; 64];
                let count = stream.read(&mut buffer).await.unwrap_or(0);
                *hears.lock() = String::from_utf8_lossy(&buffer[..count]).into_owned();
                let line = said.lock().clone();
                stream.write_all(line.as_bytes()).await.ok();
            }
        });
        Self {
            address,
            line,
            heard,
            task: task.abort_handle(),
        }
    }

    fn says(&self, line: &str) {
        *self.line.lock() = line.to_owned();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pair {
    async fn start(one: Origin) -> Self {
        let two = Origin::answering(200, NO_STORE, "two");
        let agent = Agent::start(([127, 0, 0, 1], 0).into(), "up\n").await;
        let other = ([127, 0, 0, 2], agent.address.port());
        let other = Agent::start(other.into(), "100%\n").await;
        let two_address = relay(two.address()).await;
        Self {
            one,
            two,
            two_address,
            agent,
            _other: other,
        }
    }

    async fn quick() -> Self {
        Self::start(Origin::answering(200, NO_STORE, "one")).await
    }

    fn before(&self, lines: &str) -> Setup {
        let (one, two) = (self.one.url(), self.two_address);
        let table = format!("servers = [\"{one}\", \"http://{two}\"]\n{lines}");
        Proxy::before_url("http://127.0.0.1:1")
            .table("origins.pool", &table)
            .sites("[[site]]\nhosts = [\"*\"]\norigin = \"pool\"\n")
    }

    fn asking(&self) -> String {
        let port = self.agent.address.port();
        format!(
            "agent = {{ port = {port}, interval = \"50ms\", send = \"tell me\\n\" }}\n\
             balance = \"round-robin\""
        )
    }

    async fn proxy(&self) -> Proxy {
        self.before(&self.asking()).start().await
    }

    /// What the admin endpoint says of the first server.
    async fn told(&self, proxy: &Proxy) -> Value {
        let answer = proxy.admin().await.get("/api/v1/origins").await;
        let json: Value = serde_json::from_slice(&answer.body).expect("JSON");
        json["pool"]["servers"][0].clone()
    }

    /// Has the agent say this, until what holds of its words is `advice`.
    async fn say(&self, proxy: &Proxy, line: &str, advice: &str) {
        self.agent.says(line);
        self.until_told(proxy, "agent", advice).await;
    }

    async fn until_told(&self, proxy: &Proxy, key: &str, value: &str) {
        let what = format!("{key} to be {value}");
        eventually(&what, async || self.told(proxy).await[key] == value).await;
    }

    /// How many of thirty requests each server gets.
    async fn shares(&self, proxy: &Proxy) -> (usize, usize) {
        let seen = || (self.one.requests().len(), self.two.requests().len());
        let (before, mut client) = (seen(), proxy.client().await);
        for number in 0..30 {
            let response = client.get(&format!("/{number}")).await;
            assert_eq!(response.status, 200, "{response:?}");
        }
        let after = seen();
        (after.0 - before.0, after.1 - before.1)
    }

    /// Sets what the operator wants of the first server.
    async fn put(&self, proxy: &Proxy, json: &str) {
        let path = format!("/api/v1/origins/pool/servers/{}", self.one.address());
        let answer = proxy.admin().await.send_body("PUT", &path, json).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// A way to `target` from another address of this machine.
async fn relay(target: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.2:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut onward = TcpStream::connect(target).await?;
                copy_bidirectional(&mut stream, &mut onward).await
            });
        }
    });
    address
}

#[tokio::test]
async fn an_agents_words_change_weight_state_and_health() {
    let pair = Pair::quick().await;
    let proxy = pair.proxy().await;
    for (line, advice, standing, shares) in [
        ("50%\n", "50%", "usable", (10, 20)),
        ("200%\n", "200%", "usable", (20, 10)),
        ("0%\n", "0%", "drain", (0, 30)),
        ("100%\n", "100%", "usable", (15, 15)),
        ("drain\n", "100%, drain", "drain", (0, 30)),
        // What is not mentioned stays.
        ("50%\n", "50%, drain", "drain", (0, 30)),
        ("maint\n", "50%, maintenance", "maintenance", (0, 30)),
        ("ready\n", "50%, ready", "usable", (10, 20)),
        ("100%\r\n", "100%, ready", "usable", (15, 15)),
        (
            "down # disk is full\n",
            "100%, ready, down, disk is full",
            "down: its agent says down, disk is full",
            (0, 30),
        ),
        (
            "fail\n",
            "100%, ready, fail",
            "down: its agent says fail",
            (0, 30),
        ),
        (
            "Stopped",
            "100%, ready, stopped",
            "down: its agent says stopped",
            (0, 30),
        ),
        ("up, 50%\t", "50%, ready", "usable", (10, 20)),
    ] {
        pair.say(&proxy, line, advice).await;
        let told = pair.told(&proxy).await;
        assert_eq!(told["standing"], standing, "{line}");
        assert_eq!(told["up"], standing == "usable", "{line}");
        assert_eq!(pair.shares(&proxy).await, shares, "{line}");
    }
    assert_eq!(*pair.agent.heard.lock(), "tell me\n");
    proxy.says("server down by its agent").await;
}

#[tokio::test]
async fn what_the_operator_sets_goes_before_what_the_agent_says() {
    let pair = Pair::quick().await;
    let proxy = pair.proxy().await;
    pair.say(&proxy, "drain 50%\n", "50%, drain").await;
    for (wanted, standing, shares) in [
        ("{\"state\":\"ready\"}", "usable", (10, 20)),
        ("{\"weight\":4}", "usable", (24, 6)),
        ("{\"weight\":null}", "usable", (10, 20)),
        ("{\"state\":\"maintenance\"}", "maintenance", (0, 30)),
        ("{\"state\":null}", "drain", (0, 30)),
    ] {
        pair.put(&proxy, wanted).await;
        let told = pair.told(&proxy).await;
        assert_eq!(told["standing"], standing, "{wanted}");
        assert_eq!(pair.shares(&proxy).await, shares, "{wanted}");
    }
}

#[tokio::test]
async fn an_agent_bounds_the_requests_in_flight() {
    let gate = Gate::new();
    let held = gate.clone();
    let slow = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.respond(200, NO_STORE, "one").await;
    });
    let pair = Pair::start(slow).await;
    let first = pair.asking().replace("round-robin", "first");
    let proxy = pair.before(&first).start().await;
    pair.say(&proxy, "maxconn:2\n", "maxconn:2").await;
    let mut held = proxy.herd(1, "/a").await;
    held.extend(proxy.herd(1, "/b").await);
    gate.arrived(2).await;
    assert!(proxy.get("/c").await.is_good("two"));
    pair.say(&proxy, "maxconn:3\n", "maxconn:3").await;
    held.extend(proxy.herd(1, "/d").await);
    gate.arrived(3).await;
    gate.open();
    for client in &mut held {
        assert!(client.response().await.is_good("one"));
    }
}

/// "Failure to connect to the agent is not considered an error" (HAProxy), and what makes no sense
/// changes nothing.
#[tokio::test]
async fn an_agent_that_says_nothing_changes_nothing() {
    let pair = Pair::quick().await;
    let proxy = pair.proxy().await;
    pair.say(&proxy, "50%\n", "50%").await;
    for (line, why) in [("hello\n", "not known"), ("\n", "says nothing")] {
        pair.agent.says(line);
        eventually(why, async || proxy.stderr().contains(why)).await;
        pair.agent.says("50%\n");
        let again = || proxy.stderr().matches("agent understood again").count();
        let count = again();
        eventually("the agent to be understood", async || again() > count).await;
    }
    pair.agent.task.abort();
    let refused = "accepts no connection";
    eventually(refused, async || proxy.stderr().contains(refused)).await;
    let told = pair.told(&proxy).await;
    assert_eq!((&told["agent"], &told["up"]), (&"50%".into(), &true.into()));
    assert_eq!(pair.shares(&proxy).await, (10, 20));
}

#[tokio::test]
async fn what_an_agent_said_outlasts_a_reload_but_not_the_agent() {
    let pair = Pair::quick().await;
    let proxy = pair.proxy().await;
    pair.say(&proxy, "drain\n", "drain").await;
    let reload = async || {
        let answer = proxy
            .admin()
            .await
            .send_body("POST", "/api/v1/reload", "")
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    // Nothing more is heard of it.
    pair.agent.says("\n");
    reload().await;
    assert_eq!(pair.told(&proxy).await["agent"], "drain");
    assert_eq!(pair.shares(&proxy).await, (0, 30));
    proxy.configure(&pair.before("balance = \"round-robin\""));
    reload().await;
    assert_eq!(pair.told(&proxy).await["agent"], Value::Null);
    assert_eq!(pair.shares(&proxy).await, (15, 15));
}
