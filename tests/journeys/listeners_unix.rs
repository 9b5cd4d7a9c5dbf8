//! Listeners on Unix sockets, and on sockets that the service manager has opened.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use tokio::net::TcpStream;

use super::tls::Scene;
use crate::harness::{Client, FRESH, Origin, Proxy, Setup, TempDir, command, eventually};

const SITE: &str = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n";

/// A listener at this path, with more lines of its table, beside the one over IP.
fn with_socket(origin: &Origin, path: &Path, lines: &str) -> Setup {
    let listen = format!(
        "[[listen]]\naddress = \"unix:{}\"\n{lines}\n",
        path.display()
    );
    Proxy::before(origin).sites(&format!("{listen}{SITE}"))
}

fn origin() -> Origin {
    Origin::answering(200, FRESH, "page")
}

fn at(folder: &TempDir) -> PathBuf {
    folder.path().join("http.sock")
}

/// A connection, under the type of those of TCP.
fn stream(path: &Path) -> TcpStream {
    let stream = UnixStream::connect(path).expect("somebody who listens");
    stream.set_nonblocking(true).expect("an open socket");
    TcpStream::from_std(OwnedFd::from(stream).into()).expect("a socket")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[tokio::test]
async fn clients_on_the_machine_come_in_by_a_path() {
    let (origin, folder) = (origin(), TempDir::new());
    let proxy = with_socket(&origin, &at(&folder), "").start().await;
    let mut client = Client::over(stream(&at(&folder)));
    assert!(client.get("/").await.is_good("page"));
    assert_eq!(origin.last().field("x-forwarded-for"), Some("127.0.0.1"));
    let second = client.get("/").await;
    assert!(second.is_good("page") && second.is_hit(), "{second:?}");
    // Parked and woken like any other.
    let open = async || proxy.metric("copal_connections", "").await == 1.0;
    eventually("one connection to be open", open).await;
    assert!(client.get("/").await.is_hit());
    assert_eq!(mode(&at(&folder)), 0o666);
}

#[tokio::test]
async fn a_socket_has_the_mode_and_the_owner_that_are_written_and_goes_with_its_listener() {
    let (origin, folder) = (origin(), TempDir::new());
    let path = at(&folder);
    let own = fs::metadata(folder.path()).expect("a folder");
    let lines = format!("mode = \"0600\"\nowner = \"{}:{}\"", own.uid(), own.gid());
    let home = TempDir::new();
    let config = home.path().join("config.toml");
    let mut proxy = with_socket(&origin, &path, &lines).start_in(home).await;
    assert!(fs::metadata(&path).expect("a file").file_type().is_socket());
    assert_eq!(mode(&path), 0o600);
    // Who is connected stays connected, and new ones come by the new mode.
    let mut client = Client::over(stream(&path));
    assert!(client.get("/").await.is_good("page"));
    let text = fs::read_to_string(&config).expect("the configuration");
    fs::write(&config, text.replace("0600", "0660")).expect("a file");
    proxy.sighup();
    eventually("the mode to change", async || mode(&path) == 0o660).await;
    assert!(client.get("/").await.is_hit());
    fs::write(&config, text.replace("http.sock", "else.sock")).expect("a file");
    proxy.sighup();
    let moved = async || !path.exists() && folder.path().join("else.sock").exists();
    eventually("the socket to move", moved).await;
    proxy.sigterm();
    assert!(proxy.wait_exit().await.success());
    assert!(!folder.path().join("else.sock").exists());
}

#[tokio::test]
async fn what_a_dead_process_left_makes_room_and_nothing_else_does() {
    let (origin, folder) = (origin(), TempDir::new());
    let path = at(&folder);
    // Closed, and its name is still there.
    drop(UnixListener::bind(&path).expect("a free path"));
    let proxy = with_socket(&origin, &path, "").start().await;
    assert!(Client::over(stream(&path)).get("/").await.is_good("page"));
    let refused = async |path: &Path, expected: &str| {
        let home = TempDir::new();
        let text = with_socket(&origin, path, "").text();
        let file = home.write("config.toml", &text);
        let output = command(&["run", "-c", &file.display().to_string()], home.path()).await;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && error.contains(expected),
            "{error}"
        );
        assert!(
            error.contains(&format!("unix:{}", path.display())),
            "{error}"
        );
    };
    refused(&path, "another program listens there").await;
    assert!(Client::over(stream(&path)).get("/").await.is_good("page"));
    let file = folder.write("file", "mine");
    refused(&file, "no socket").await;
    assert_eq!(fs::read_to_string(&file).expect("a file"), "mine");
    refused(
        &folder.path().join("none/http.sock"),
        "its folder must be there",
    )
    .await;
    drop(proxy);
}

#[tokio::test]
async fn tls_and_the_proxy_protocol_are_spoken_there_too() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["a.example"]);
    let path = at(&scene.folder);
    let listen = format!(
        "[[listen]]\naddress = \"unix:{}\"\ntls = true\naccept_proxy = \"require\"\n",
        path.display()
    );
    let proxy = scene
        .proxy_of(&[&issued], &format!("{listen}{SITE}"))
        .start()
        .await;
    let stream = stream(&path);
    let mut bytes = &b"PROXY TCP4 192.0.2.7 192.0.2.1 1000 443\r\n"[..];
    while !bytes.is_empty() {
        stream.writable().await.expect("an open socket");
        bytes = &bytes[stream.try_write(bytes).unwrap_or(0)..];
    }
    let greeting = scene.to("a.example");
    let secured = greeting.shake_over(stream).await.expect("a handshake");
    let mut client = Client::over(secured).asking_for("a.example");
    assert!(client.get("/").await.is_good("page"));
    assert!(client.get("/").await.is_hit());
    let asked = scene.origin.last();
    assert_eq!(asked.field("x-forwarded-for"), Some("192.0.2.7"));
    drop(proxy);
}

#[tokio::test]
async fn operators_come_in_by_a_path_that_is_theirs_alone() {
    let (origin, folder) = (origin(), TempDir::new());
    let path = folder.path().join("admin.sock");
    let admin = format!("unix:{}", path.display());
    let home = TempDir::new();
    let text = Proxy::before(&origin).text();
    let text = text.replace(
        "[admin]\naddress = \"127.0.0.1:0\"",
        &format!("[admin]\naddress = \"{admin}\""),
    );
    assert!(text.contains(&admin), "{text}");
    let file = home.write("config.toml", &text);
    let _proxy = Proxy::run(&["-c", &file.display().to_string()]).await;
    assert_eq!(mode(&path), 0o600);
    let output = command(&["servers", "--admin", &admin], home.path()).await;
    assert!(output.status.success(), "{output:?}");
    let output = command(
        &["purge", "--admin", &admin, "http://a.example/"],
        home.path(),
    )
    .await;
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn a_socket_that_the_service_manager_has_opened_is_served() {
    let origin = origin();
    let passed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = passed.local_addr().expect("a bound socket");
    // A client that came before we were there.
    let early = TcpStream::connect(address).await.expect("a queue");
    let listen = format!("[[listen]]\naddress = \"systemd:web\"\n{SITE}");
    let proxy = Proxy::before(&origin)
        .sites(&listen)
        .start_passed(passed, "web")
        .await;
    for stream in [
        early,
        TcpStream::connect(address).await.expect("a listener"),
    ] {
        assert!(Client::over(stream).get("/").await.is_good("page"));
    }
    assert!(
        proxy
            .stdout()
            .contains(&"listening http systemd:web".to_owned())
    );
}

#[tokio::test]
async fn a_socket_that_was_not_passed_is_told_with_those_that_were() {
    let origin = origin();
    let listen = format!("[[listen]]\naddress = \"systemd:web\"\n{SITE}");
    let home = TempDir::new();
    let file = home.write("config.toml", &Proxy::before(&origin).sites(&listen).text());
    let output = command(&["run", "-c", &file.display().to_string()], home.path()).await;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    for expected in ["systemd:web", "FileDescriptorName=", "has passed no socket"] {
        assert!(error.contains(expected), "{error}");
    }
}
