//! The service manager: told when Copal is ready, reloading and stopping, by a datagram for each.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use crate::harness::{DEADLINE, FRESH, Origin, Proxy, TempDir};

/// The end of the socket that systemd would have.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = TempDir::new();
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        let deadline: Duration = DEADLINE;
        socket.set_read_timeout(Some(deadline)).expect("a timeout");
        Self { socket, folder }
    }

    fn path(&self) -> String {
        let path: &Path = self.folder.path();
        path.join("notify").display().to_string()
    }

    /// The next datagram, by its lines.
    async fn told(&self) -> Vec<String> {
        let socket = self.socket.try_clone().expect("the same socket");
        let receive = move || {
            let mut buffer = [0; 4096];
            let count = socket.recv(&mut buffer).expect("a datagram");
            String::from_utf8_lossy(&buffer[..count]).into_owned()
        };
        let text = tokio::task::spawn_blocking(receive).await.expect("a task");
        text.lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn it_is_told_when_copal_is_ready_reloading_and_stopping() {
    let manager = Manager::new();
    let origin = Origin::answering(200, FRESH, "hello");
    let setup = Proxy::before(&origin).environment("NOTIFY_SOCKET", &manager.path());
    let mut proxy = setup.start().await;
    let ready = manager.told().await;
    let status = format!("STATUS=listening: http {}", proxy.address());
    assert_eq!(ready[0], "READY=1");
    assert!(ready[1].starts_with(&status), "{ready:?}");

    proxy.reload(&Proxy::before(&origin)).await;
    let reloading = manager.told().await;
    assert_eq!(reloading[0], "RELOADING=1");
    assert!(
        reloading.iter().any(|it| it.starts_with("MONOTONIC_USEC=")),
        "{reloading:?}"
    );
    assert_eq!(manager.told().await[0], "READY=1");

    proxy.configure(&Proxy::before(&origin).sites("[[site]]\nhosts = 1\n"));
    proxy.sighup();
    assert_eq!(manager.told().await[0], "RELOADING=1");
    let again = manager.told().await;
    assert_eq!(again[0], "READY=1", "it goes on with the old one");
    assert!(again[1].starts_with("STATUS=not reloaded"), "{again:?}");

    proxy.sigterm();
    assert_eq!(manager.told().await[0], "STOPPING=1");
    assert!(proxy.wait_exit().await.success());
}
