//! The real binary, started as a user would: a TOML file or flags, ports read from its standard
//! output, signals, metrics, memory as the kernel counts it. It is killed when dropped, and what it
//! wrote to standard error is shown when the test fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::watch;
use tokio::time;

use super::client::{Client, Response};
use super::origin::Origin;
use super::{Fields, POLL, TempDir, eventually, within};

const BINARY: &str = env!("CARGO_BIN_EXE_copal");

/// The configuration file in the folder of each proxy that has one.
const CONFIG: &str = "config.toml";

/// A running proxy.
pub struct Proxy {
    child: Child,
    address: SocketAddr,
    admin: Option<SocketAddr>,
    stdout: watch::Receiver<Lines>,
    stderr: Arc<Mutex<String>>,
    folder: TempDir,
}

/// A configuration in the making. Every table starts empty, so a test names only what it is about.
pub struct Setup {
    profile: &'static str,
    /// Lines before all tables.
    top: String,
    tables: BTreeMap<&'static str, String>,
    sites: String,
    environment: Vec<(&'static str, String)>,
    /// Whether its standard error goes where nobody reads it.
    deaf: bool,
}

#[derive(Clone, Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

// === impl Proxy ===

impl Proxy {
    /// A configuration with one origin, `main`, behind one site for every host and path.
    pub fn before(origin: &Origin) -> Setup {
        Self::before_url(&origin.url())
    }

    /// As [`Self::before`], for an origin that may not be there.
    pub fn before_url(url: &str) -> Setup {
        let address = "address = \"127.0.0.1:0\"\n";
        let server = format!("servers = [\"{url}\"]\n");
        let tables = [
            ("[listen]", address.to_owned()),
            ("admin", address.to_owned()),
            ("origins.main", server),
        ];
        let sites = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n".to_owned();
        Setup {
            profile: "cautious",
            top: String::new(),
            tables: BTreeMap::from(tables),
            sites,
            environment: Vec::new(),
            deaf: false,
        }
    }

    /// As [`Self::before`], with an origin `pool` of these servers and more lines of its table.
    pub fn before_all(servers: &[String], lines: &str) -> Setup {
        let urls: Vec<_> = servers.iter().map(|it| format!("\"{it}\"")).collect();
        let table = format!("servers = [{}]\n{lines}", urls.join(", "));
        Self::before_url("http://127.0.0.1:1")
            .table("origins.pool", &table)
            .sites("[[site]]\nhosts = [\"*\"]\norigin = \"pool\"\n")
    }

    /// As [`Self::before_all`], for servers that are there.
    pub fn before_each(servers: &[&Origin], lines: &str) -> Setup {
        let urls: Vec<_> = servers.iter().map(|it| it.url()).collect();
        Self::before_all(&urls, lines)
    }

    /// A TCP listener before these servers, with more lines of its table and of the origin's.
    pub fn before_tcp(servers: &[String], listen: &str, origin: &str) -> Setup {
        let listen = format!("protocol = \"tcp\"\norigin = \"pool\"\n{listen}");
        Self::before_all(servers, origin)
            .table("[listen]", &listen)
            .sites("")
    }

    /// The defaults before one origin.
    pub async fn start(origin: &Origin) -> Self {
        Self::before(origin).start().await
    }

    /// `copal run` with these arguments.
    pub async fn run(arguments: &[&str]) -> Self {
        let arguments = ["run"].iter().chain(arguments).copied();
        Self::spawn(Command::new(BINARY).args(arguments), TempDir::new()).await
    }

    /// `copal tcp` with these arguments.
    pub async fn tcp(arguments: &[&str]) -> Self {
        let arguments = ["tcp"].iter().chain(arguments).copied();
        Self::spawn(Command::new(BINARY).args(arguments), TempDir::new()).await
    }

    async fn spawn(command: &mut Command, folder: TempDir) -> Self {
        Self::spawn_read(command.stdin(Stdio::null()), folder, true).await
    }

    /// The same; its standard error may be a pipe that nobody reads.
    async fn spawn_read(command: &mut Command, folder: TempDir, is_read: bool) -> Self {
        let command = command.current_dir(folder.path());
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the copal binary");
        let stdout = collect_lines(child.stdout.take().expect("a piped stdout"));
        let stderr = match is_read {
            true => collect_text(child.stderr.take().expect("a piped stderr")),
            false => Arc::default(),
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut proxy = Self {
            child,
            address,
            admin: None,
            stdout,
            stderr,
            folder,
        };
        proxy.address = proxy
            .listener(&["http", "https", "tcp"])
            .await
            .expect("a line `listening http ADDRESS`");
        proxy
    }

    /// The address of the first listener of these kinds, once its line is on standard output; `None`
    /// if it never comes.
    async fn listener(&self, kinds: &[&str]) -> Option<SocketAddr> {
        let mut stdout = self.stdout.clone();
        let find = |it: &Lines| {
            it.lines.iter().find_map(|it| {
                let (kind, address) = it.strip_prefix("listening ")?.split_once(' ')?;
                kinds.contains(&kind).then(|| address.parse().ok())?
            })
        };
        let wait = stdout.wait_for(|it| it.ended || find(it).is_some());
        let lines = within("the proxy to listen", wait).await.ok()?;
        find(&lines)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it has said that listeners of this kind are, from the first to the last.
    pub fn announced(&self, kind: &str) -> Vec<SocketAddr> {
        let prefix = format!("listening {kind} ");
        let lines = self.stdout();
        let addresses = lines.iter().filter_map(|it| it.strip_prefix(&prefix));
        addresses.filter_map(|it| it.parse().ok()).collect()
    }

    /// The address of the latest listener of this kind, once there have been so many.
    pub async fn announces(&self, kind: &str, count: usize) -> SocketAddr {
        let all = async || self.announced(kind).len() == count;
        eventually("a listener to be announced", all).await;
        self.announced(kind)[count - 1]
    }

    /// Where the admin endpoint listens.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.expect("a proxy with an admin listener")
    }

    /// A new connection.
    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// A new connection to the admin endpoint.
    pub async fn admin(&self) -> Client {
        let client = Client::connect(self.admin_address()).await;
        client.asking_for("localhost")
    }

    /// A GET on a connection of its own.
    pub async fn get(&self, path: &str) -> Response {
        self.get_with(path, &[]).await
    }

    /// A GET with fields on a connection of its own.
    pub async fn get_with(&self, path: &str, fields: Fields<'_>) -> Response {
        self.client().await.get_with(path, fields).await
    }

    /// A request without a body on a connection of its own.
    pub async fn send(&self, method: &str, path: &str, fields: Fields<'_>) -> Response {
        let mut client = self.client().await;
        client.request(method, path, fields).await;
        client.response().await
    }

    /// So many clients that have all sent the same GET.
    pub async fn herd(&self, count: usize, path: &str) -> Vec<Client> {
        let mut herd = Vec::new();
        for _ in 0..count {
            let mut client = self.client().await;
            client.request("GET", path, &[]).await;
            herd.push(client);
        }
        herd
    }

    /// `POST /api/v1/purge` with this JSON.
    pub async fn purge(&self, json: &str) -> Response {
        self.admin()
            .await
            .send_body("POST", "/api/v1/purge", json)
            .await
    }

    /// Every sample of `GET /metrics`, by its name with its labels.
    pub async fn metrics(&self) -> BTreeMap<String, f64> {
        let text = self.admin().await.get("/metrics").await.text();
        let samples = text.lines().filter(|it| !it.starts_with('#'));
        let pairs = samples.filter_map(|it| it.rsplit_once(' '));
        pairs
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// The sum of all samples of a family that carry this label; an empty label stands for all.
    pub async fn metric(&self, name: &str, label: &str) -> f64 {
        let of_family = |key: &str| key.split('{').next() == Some(name) && key.contains(label);
        self.metrics()
            .await
            .iter()
            .filter(|(key, _)| of_family(key))
            .map(|(_, value)| value)
            .sum()
    }

    /// The memory that is resident, as the kernel counts it.
    pub fn rss_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("the status of a running process");
        let line = status
            .lines()
            .find(|it| it.starts_with("VmRSS:"))
            .expect("a VmRSS line");
        let kibibytes = line
            .split_whitespace()
            .nth(1)
            .and_then(|it| it.parse::<u64>().ok());
        kibibytes.expect("a number of kB") * 1024
    }

    /// Puts another configuration in the place of its file; it is not told to read it.
    pub fn configure(&self, setup: &Setup) {
        self.folder.write(CONFIG, &setup.text());
    }

    /// Puts another configuration in force; when this returns it is.
    pub async fn reload(&self, setup: &Setup) {
        self.configure(setup);
        let mut admin = self.admin().await;
        let answer = admin.send_body("POST", "/api/v1/reload", "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Waits until so many requests wait for a server of the origin `pool`.
    pub async fn until_pending(&self, count: usize) {
        let pending = async || self.metric("copal_origin_pending", "pool").await;
        let what = format!("{count} requests to wait");
        eventually(&what, async || pending().await == count as f64).await;
    }

    /// Asks the proxy to drain.
    pub fn sigterm(&self) {
        self.signal("TERM");
    }

    /// Asks the proxy to read its configuration again.
    pub fn sighup(&self) {
        self.signal("HUP");
    }

    /// Sends the process a signal, by its name without `SIG` or by its number. The shell's own `kill`
    /// spares us a crate for one system call.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh")
            .args(["-c", &kill])
            .status()
            .expect("a shell");
        assert!(status.success(), "no process to signal");
    }

    /// The files that the process has open: their count.
    pub fn open_files(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(path).expect("a running process").count()
    }

    /// As many files as it may have open, as far as it has raised that, and as far as it could.
    pub fn open_files_max(&self) -> (u64, u64) {
        let path = format!("/proc/{}/limits", self.child.id());
        let limits = fs::read_to_string(path).expect("a running process");
        let line = limits
            .lines()
            .find_map(|it| it.strip_prefix("Max open files"));
        let mut words = line.expect("its limit").split_whitespace();
        let mut next = || {
            words
                .next()
                .and_then(|it| it.parse().ok())
                .expect("a number")
        };
        (next(), next())
    }

    /// Waits for the end of the process.
    pub async fn wait_exit(&mut self) -> ExitStatus {
        let wait = async {
            loop {
                if let Some(status) = self.child.try_wait().expect("our own child") {
                    return status;
                }
                time::sleep(POLL).await;
            }
        };
        within("the proxy to exit", wait).await
    }

    /// Waits until new connections are refused.
    pub async fn refuses_connections(&self) {
        let refused = async || tokio::net::TcpStream::connect(self.address).await.is_err();
        eventually("new connections to be refused", refused).await;
    }

    /// The text on standard error so far.
    pub fn stderr(&self) -> String {
        let text = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        text.clone()
    }

    /// Waits until this is on standard error: events are written by a thread of their own.
    pub async fn says(&self, text: &str) {
        let said = async || self.stderr().contains(text);
        eventually(&format!("{text:?} on standard error"), said).await;
    }

    /// The lines on standard output so far.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.borrow().lines.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if thread::panicking() {
            eprintln!("--- standard error of the proxy ---\n{}", self.stderr());
        }
    }
}

// === impl Setup ===

impl Setup {
    /// `"cautious"`, unless set here, or `"rfc"`.
    pub fn profile(mut self, profile: &'static str) -> Self {
        self.profile = profile;
        self
    }

    /// Adds lines to a table: `server`, `admin`, `log`, `store`, `cache`, `origins.main` and so on.
    pub fn table(mut self, name: &'static str, lines: &str) -> Self {
        let table = self.tables.entry(name).or_default();
        table.push_str(lines);
        table.push('\n');
        self
    }

    /// Adds lines before all tables.
    pub fn top(mut self, lines: &str) -> Self {
        self.top.push_str(lines);
        self.top.push('\n');
        self
    }

    /// Sets a variable of the environment.
    pub fn environment(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Has nobody read its standard error.
    pub fn deaf(mut self) -> Self {
        self.deaf = true;
        self
    }

    /// Leaves a table out that it has so far.
    pub fn without(mut self, name: &str) -> Self {
        self.tables.remove(name);
        self
    }

    /// Adds an origin beside `main`.
    pub fn origin(self, table: &'static str, origin: &Origin) -> Self {
        self.table(table, &format!("servers = [\"{}\"]", origin.url()))
    }

    /// Replaces the one site by these.
    pub fn sites(mut self, text: &str) -> Self {
        self.sites = text.to_owned();
        self
    }

    pub fn text(&self) -> String {
        let mut text = format!("profile = \"{}\"\n{}", self.profile, self.top);
        for (name, lines) in &self.tables {
            write!(text, "\n[{name}]\n{lines}").expect("text grows");
        }
        text + "\n" + &self.sites
    }

    /// Starts the binary with this configuration.
    pub async fn start(self) -> Proxy {
        self.start_in(TempDir::new()).await
    }

    /// As [`Self::start`], under limits of the shell: options of its `ulimit`, such as `-n 64`.
    pub async fn start_under(self, ulimit: &str) -> Proxy {
        let folder = TempDir::new();
        let file = folder.write(CONFIG, &self.text());
        let mut proxy = Proxy::spawn(&mut limited(ulimit, &[Path::new("-c"), &file]), folder).await;
        proxy.admin = proxy.listener(&["admin"]).await;
        proxy
    }

    /// As [`Self::start`], passing it a socket as a service manager does.
    pub async fn start_passed(self, socket: impl Into<OwnedFd>, name: &str) -> Proxy {
        let folder = TempDir::new();
        let file = folder.write(CONFIG, &self.text());
        let script = format!(
            "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name} exec \"$0\" run -c \"$1\" 3<&0 </dev/null"
        );
        let mut command = Command::new("sh");
        let command = command.arg("-c").arg(script).arg(BINARY).arg(file);
        let mut proxy = Proxy::spawn_read(command.stdin(socket.into()), folder, true).await;
        proxy.admin = proxy.listener(&["admin"]).await;
        proxy
    }

    /// Runs the binary under such limits to its end.
    pub async fn fails_under(self, ulimit: &str) -> Output {
        let folder = TempDir::new();
        let file = folder.write(CONFIG, &self.text());
        let mut command = limited(ulimit, &[Path::new("-c"), &file]);
        command.stdin(Stdio::null());
        output(command).await
    }

    /// As [`Self::start`], in a folder the test knows.
    pub async fn start_in(self, folder: TempDir) -> Proxy {
        let file = folder.write(CONFIG, &self.text());
        let mut command = Command::new(BINARY);
        command.envs(self.environment);
        let command = command.arg("run").arg("-c").arg(file).stdin(Stdio::null());
        let mut proxy = Proxy::spawn_read(command, folder, !self.deaf).await;
        proxy.admin = proxy.listener(&["admin"]).await;
        proxy
    }
}

/// A setup before one origin, with these lines under `[cache]`.
pub fn with_cache(lines: impl Into<String>) -> impl Fn(&Origin) -> Setup {
    let lines = lines.into();
    move |origin| Proxy::before(origin).table("cache", &lines)
}

/// Runs the binary to its end, off this thread so that an origin's gates can still be worked.
pub async fn command(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(BINARY);
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    output(command).await
}

async fn output(mut command: Command) -> Output {
    let run = tokio::task::spawn_blocking(move || command.output());
    within("a command to end", run)
        .await
        .expect("a task that ends")
        .expect("a command that begins")
}

/// `copal run` with these arguments, under limits of the shell.
fn limited(ulimit: &str, arguments: &[&Path]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit {ulimit} && exec \"$0\" run \"$@\"");
    command.arg("-c").arg(script).arg(BINARY).args(arguments);
    command
}

fn collect_lines(pipe: impl Read + Send + 'static) -> watch::Receiver<Lines> {
    let (sender, receiver) = watch::channel(Lines::default());
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            sender.send_modify(|it| it.lines.push(line));
        }
        sender.send_modify(|it| it.ended = true);
    });
    receiver
}

fn collect_text(mut pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::<Mutex<String>>::default();
    let kept = Arc::clone(&text);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            let more = String::from_utf8_lossy(&buffer[..count]);
            kept.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&more);
        }
    });
    text
}
