//! A scripted CA that speaks ACME (RFC 8555) over TLS: it asks for proofs, signs, counts, and fails as it
//! is told. It believes every signature. Expectations of Copal are not here.

use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rcgen::CertificateSigningRequestParams;
use rustls::pki_types::CertificateSigningRequestDer;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::ca_wire::{json_of, opened, page, read_request, rfc3339};
use super::shown::leaf;
use super::tls::Authority;
use super::{POLL, TempDir, eventually};

const PROBLEM: &str = "urn:ietf:params:acme:error:";

/// A running CA. It ends when dropped.
pub struct Ca {
    address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

struct Shared {
    url: String,
    authority: Authority,
    state: Mutex<State>,
}

/// What it does next.
#[derive(Clone)]
pub struct Script {
    /// Connections are closed as they come.
    pub is_down: bool,
    /// So many posts more are told that their nonce is no good.
    pub bad_nonces: usize,
    /// New orders are too many for so many seconds.
    pub rate_limit: Option<u64>,
    /// New orders are refused.
    pub refuses: bool,
    /// How long certificates are good.
    pub lifetime: Duration,
    /// Seconds from now to the beginning and the end of the window in which all are renewed
    /// (RFC 9773); without one there is no such thing.
    pub window: Option<(i64, i64)>,
    /// The challenges on offer.
    pub challenges: &'static [&'static str],
    /// The ports where it asks.
    pub http: u16,
    pub tls: u16,
    /// Names of profiles.
    pub profiles: &'static [&'static str],
}

/// What was ordered.
#[derive(Clone, Debug)]
pub struct Order {
    pub name: String,
    pub account: usize,
    pub replaces: Option<String>,
    pub profile: Option<String>,
    /// `pending`, `ready`, `valid` or `invalid`.
    pub status: &'static str,
    /// How it was proved.
    pub by: Option<String>,
    token: String,
    certificate: Option<String>,
}

/// Who has an account.
#[derive(Clone, Debug)]
pub struct Account {
    pub contact: Vec<String>,
    /// The account elsewhere that it is bound to.
    pub bound_to: Option<String>,
    pub is_known: bool,
    thumb: String,
}

struct State {
    script: Script,
    nonces: HashSet<String>,
    next: u64,
    accounts: Vec<Account>,
    orders: Vec<Order>,
    forgotten: &'static str,
    /// Requests by the first part of their path.
    asked: BTreeMap<String, usize>,
    agents: HashSet<String>,
}

/// What is answered.
struct Answer {
    status: u16,
    fields: Vec<(&'static str, String)>,
    body: String,
}

// === impl Ca ===

impl Ca {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let authority = Authority::new();
        let acceptor = TlsAcceptor::from(Arc::new(authority.server_config(&["localhost"])));
        let shared = Arc::new(Shared {
            url: format!("https://localhost:{}", address.port()),
            authority,
            state: Mutex::new(State::new()),
        });
        let mut accepting = JoinSet::new();
        let kept = Arc::clone(&shared);
        accepting.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                if kept.lock().script.is_down {
                    continue;
                }
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&kept));
                serving.spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        shared.serve(stream).await;
                    }
                });
            }
        });
        Self {
            address,
            shared,
            _accepting: accepting,
        }
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.address.port())
    }

    /// Writes the certificate that vouches for itself, and for all that it signs, into a file.
    pub fn write_root(&self, folder: &TempDir, name: &str) -> PathBuf {
        self.shared.authority.write(folder, name)
    }

    /// Changes what it does next.
    pub fn will(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.shared.lock().script);
    }

    /// Takes no account of before any more, and says so by this problem.
    pub fn forget_accounts(&self, problem: &'static str) {
        let mut state = self.shared.lock();
        state.forgotten = problem;
        state.accounts.iter_mut().for_each(|it| it.is_known = false);
    }

    pub fn orders(&self) -> Vec<Order> {
        self.shared.lock().orders.clone()
    }

    pub fn accounts(&self) -> Vec<Account> {
        self.shared.lock().accounts.clone()
    }

    /// How often something was asked for, such as `order` or `dir`.
    pub fn asked(&self, what: &str) -> usize {
        self.shared.lock().asked.get(what).copied().unwrap_or(0)
    }

    /// What its clients have called themselves.
    pub fn agents(&self) -> HashSet<String> {
        self.shared.lock().agents.clone()
    }

    /// Waits until it has given so many certificates.
    pub async fn has_issued(&self, count: usize) {
        let issued = async || {
            self.orders()
                .iter()
                .filter(|it| it.status == "valid")
                .count()
                >= count
        };
        eventually("a certificate to be issued", issued).await;
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(self: Arc<Self>, mut stream: TlsStream<TcpStream>) {
        let Some((method, path, agent, body)) = read_request(&mut stream).await else {
            return;
        };
        self.lock().agents.insert(agent);
        let mut answer = self.answer(&method, &path, &body);
        answer.fields.push(("replay-nonce", self.lock().nonce()));
        let mut text = format!("HTTP/1.1 {} Said\r\n", answer.status);
        for (name, value) in answer.fields {
            text += &format!("{name}: {value}\r\n");
        }
        let length = answer.body.len();
        text += &format!("content-length: {length}\r\nconnection: close\r\n\r\n");
        if method != "HEAD" {
            text += &answer.body;
        }
        stream.write_all(text.as_bytes()).await.ok();
        stream.shutdown().await.ok();
    }

    fn answer(self: &Arc<Self>, method: &str, path: &str, body: &[u8]) -> Answer {
        let mut parts = path.trim_start_matches('/').split('/');
        let (what, rest) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        *self.lock().asked.entry(what.to_owned()).or_default() += 1;
        match (method, what) {
            (_, "dir") => Answer::json(200, &self.directory()),
            (_, "nonce") => Answer::json(200, &json!({})),
            ("GET", "ari") => self.window(),
            ("POST", _) => {
                let Some((head, payload)) = opened(body) else {
                    return Answer::problem(400, "malformed");
                };
                self.post(what, rest, parts.next(), &head, &payload)
            }
            _ => Answer::problem(404, "malformed"),
        }
    }

    fn post(
        self: &Arc<Self>,
        what: &str,
        rest: &str,
        more: Option<&str>,
        head: &Value,
        payload: &Value,
    ) -> Answer {
        let mut state = self.lock();
        let nonce = head["nonce"].as_str().unwrap_or_default();
        let is_fresh = state.nonces.remove(nonce);
        if !is_fresh || state.script.bad_nonces > 0 {
            state.script.bad_nonces = state.script.bad_nonces.saturating_sub(1);
            return Answer::problem(400, "badNonce");
        }
        if what == "account" {
            return self.new_account(&mut state, head, payload);
        }
        let kid = head["kid"]
            .as_str()
            .and_then(|it| it.rsplit('/').next()?.parse().ok());
        let Some(account) =
            kid.filter(|it: &usize| state.accounts.get(*it).is_some_and(|it| it.is_known))
        else {
            return Answer::problem(400, state.forgotten);
        };
        let number: usize = rest.parse().unwrap_or(usize::MAX);
        match what {
            "acct" => {
                state.accounts[account].contact = texts(&payload["contact"]);
                Answer::json(200, &json!({"status": "valid"}))
            }
            "order" if rest.is_empty() => self.new_order(&mut state, account, payload),
            "order" => Answer::json(200, &self.order(&state, number)),
            "authz" => Answer::json(200, &self.authorization(&state, number)),
            "chall" => {
                let kind = more.unwrap_or_default().to_owned();
                let shared = Arc::clone(self);
                tokio::spawn(async move { shared.look(number, &kind).await });
                Answer::json(
                    200,
                    &self.challenge(&state, number, more.unwrap_or_default()),
                )
            }
            "finalize" => self.finalize(&mut state, number, payload),
            "cert" => {
                let chain = state.orders[number].certificate.clone().unwrap_or_default();
                Answer {
                    status: 200,
                    fields: vec![(
                        "content-type",
                        "application/pem-certificate-chain".to_owned(),
                    )],
                    body: chain,
                }
            }
            _ => Answer::problem(404, "malformed"),
        }
    }

    fn directory(&self) -> Value {
        let (url, state) = (&self.url, self.lock());
        let mut directory = json!({
            "newNonce": format!("{url}/nonce"),
            "newAccount": format!("{url}/account"),
            "newOrder": format!("{url}/order"),
            "revokeCert": format!("{url}/revoke"),
            "keyChange": format!("{url}/key"),
            "meta": {"termsOfService": format!("{url}/terms")},
        });
        if state.script.window.is_some() {
            directory["renewalInfo"] = format!("{url}/ari").into();
        }
        let profiles = state
            .script
            .profiles
            .iter()
            .map(|it| ((*it).to_owned(), json!("one kind")));
        directory["meta"]["profiles"] = profiles.collect::<serde_json::Map<_, _>>().into();
        directory
    }

    fn window(&self) -> Answer {
        let Some((start, end)) = self.lock().script.window else {
            return Answer::problem(404, "malformed");
        };
        let window = json!({"start": rfc3339(start), "end": rfc3339(end)});
        let mut answer = Answer::json(200, &json!({"suggestedWindow": window}));
        answer.fields.push(("retry-after", "21600".to_owned()));
        answer
    }

    fn new_account(&self, state: &mut State, head: &Value, payload: &Value) -> Answer {
        let jwk = &head["jwk"];
        let text = format!(
            r#"{{"crv":{},"kty":{},"x":{},"y":{}}}"#,
            jwk["crv"], jwk["kty"], jwk["x"], jwk["y"]
        );
        let thumb = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()));
        let bound_to = payload["externalAccountBinding"]["protected"].as_str();
        let bound_to = bound_to
            .and_then(json_of)
            .and_then(|it| Some(it["kid"].as_str()?.to_owned()));
        if payload["termsOfServiceAgreed"] != true {
            return Answer::problem(403, "userActionRequired");
        }
        state.accounts.push(Account {
            contact: texts(&payload["contact"]),
            bound_to,
            is_known: true,
            thumb,
        });
        let number = state.accounts.len() - 1;
        let mut answer = Answer::json(201, &json!({"status": "valid"}));
        answer
            .fields
            .push(("location", format!("{}/acct/{number}", self.url)));
        answer
    }

    fn new_order(&self, state: &mut State, account: usize, payload: &Value) -> Answer {
        if let Some(seconds) = state.script.rate_limit {
            let mut answer = Answer::problem(429, "rateLimited");
            answer.fields.push(("retry-after", seconds.to_string()));
            return answer;
        }
        if state.script.refuses {
            return Answer::problem(400, "rejectedIdentifier");
        }
        let text = |key: &str| payload[key].as_str().map(str::to_owned);
        let number = state.orders.len();
        state.orders.push(Order {
            name: payload["identifiers"][0]["value"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            account,
            replaces: text("replaces"),
            profile: text("profile"),
            status: "pending",
            by: None,
            token: format!("token-{number}"),
            certificate: None,
        });
        let mut answer = Answer::json(201, &self.order(state, number));
        answer
            .fields
            .push(("location", format!("{}/order/{number}", self.url)));
        answer
    }

    fn order(&self, state: &State, number: usize) -> Value {
        let (url, order) = (&self.url, &state.orders[number]);
        let mut value = json!({
            "status": order.status,
            "identifiers": [identifier(&order.name)],
            "authorizations": [format!("{url}/authz/{number}")],
            "finalize": format!("{url}/finalize/{number}"),
        });
        if let Some(replaces) = &order.replaces {
            value["replaces"] = replaces.as_str().into();
        }
        if order.certificate.is_some() {
            value["certificate"] = format!("{url}/cert/{number}").into();
        }
        value
    }

    fn authorization(&self, state: &State, number: usize) -> Value {
        let offered = state.script.challenges.iter();
        let challenges: Vec<_> = offered
            .map(|kind| self.challenge(state, number, kind))
            .collect();
        let order = &state.orders[number];
        json!({
            "status": if order.status == "ready" { "valid" } else { order.status },
            "identifier": identifier(&order.name),
            "challenges": challenges,
        })
    }

    fn challenge(&self, state: &State, number: usize, kind: &str) -> Value {
        let order = &state.orders[number];
        let mut value = json!({
            "type": kind,
            "url": format!("{}/chall/{number}/{kind}", self.url),
            "token": order.token,
            "status": if order.status == "invalid" { "invalid" } else { "pending" },
        });
        if order.status == "invalid" {
            value["error"] =
                json!({"type": format!("{PROBLEM}connection"), "detail": "nobody is there"});
        }
        value
    }

    /// Asks for the proof.
    async fn look(&self, number: usize, kind: &str) {
        // The test learns the ports when the proxy has them.
        while self.lock().script.http == 0 {
            time::sleep(POLL).await;
        }
        let (order, thumb, script) = {
            let state = self.lock();
            let order = state.orders[number].clone();
            let thumb = state.accounts[order.account].thumb.clone();
            (order, thumb, state.script.clone())
        };
        let wanted = format!("{}.{thumb}", order.token);
        let is_proved = match kind {
            "http-01" => {
                page(script.http, &order.name, &order.token)
                    .await
                    .as_deref()
                    == Some(&*wanted)
            }
            _ => {
                let shown = leaf(script.tls, &sni(&order.name), "acme-tls/1").await;
                let digest = Sha256::digest(wanted.as_bytes());
                shown.is_some_and(|it| it.windows(digest.len()).any(|it| *it == *digest))
            }
        };
        let mut state = self.lock();
        let order = &mut state.orders[number];
        order.status = if is_proved { "ready" } else { "invalid" };
        order.by = Some(kind.to_owned());
    }

    fn finalize(&self, state: &mut State, number: usize, payload: &Value) -> Answer {
        let request = payload["csr"]
            .as_str()
            .and_then(|it| BASE64_URL_SAFE_NO_PAD.decode(it).ok());
        let request = CertificateSigningRequestDer::from(request.unwrap_or_default());
        let mut request = CertificateSigningRequestParams::from_der(&request).expect("a request");
        let now = SystemTime::now();
        request.params.not_before = now.into();
        request.params.not_after = (now + state.script.lifetime).into();
        request.params.use_authority_key_identifier_extension = true;
        let order = &mut state.orders[number];
        order.certificate = Some(self.authority.sign(&request));
        order.status = "valid";
        Answer::json(200, &self.order(state, number))
    }
}

// === impl State ===

impl State {
    fn new() -> Self {
        Self {
            script: Script {
                is_down: false,
                bad_nonces: 0,
                rate_limit: None,
                refuses: false,
                lifetime: Duration::from_secs(90 * 24 * 3600),
                window: None,
                challenges: &["http-01", "tls-alpn-01", "dns-01"],
                http: 0,
                tls: 0,
                profiles: &[],
            },
            nonces: HashSet::new(),
            next: 0,
            accounts: Vec::new(),
            orders: Vec::new(),
            forgotten: "accountDoesNotExist",
            asked: BTreeMap::new(),
            agents: HashSet::new(),
        }
    }

    fn nonce(&mut self) -> String {
        self.next += 1;
        let nonce = format!("nonce-{}", self.next);
        self.nonces.insert(nonce.clone());
        nonce
    }
}

// === impl Answer ===

impl Answer {
    fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            fields: vec![("content-type", "application/json".to_owned())],
            body: body.to_string(),
        }
    }

    fn problem(status: u16, name: &str) -> Self {
        Self::json(
            status,
            &json!({"type": format!("{PROBLEM}{name}"), "detail": "it is so", "status": status}),
        )
    }
}

fn identifier(name: &str) -> Value {
    let kind = if name.parse::<std::net::IpAddr>().is_ok() {
        "ip"
    } else {
        "dns"
    };
    json!({"type": kind, "value": name})
}

/// RFC 8738 §6.
fn sni(name: &str) -> String {
    match name.parse::<Ipv4Addr>().map(|it| it.octets()) {
        Ok([a, b, c, d]) => format!("{d}.{c}.{b}.{a}.in-addr.arpa"),
        Err(_) => name.to_owned(),
    }
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|it| Some(it.as_str()?.to_owned()))
        .collect()
}
