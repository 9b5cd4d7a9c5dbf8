//! Notice of changed files: by the kernel where it tells, and by a look each second where it does not,
//! as for links and files of other machines.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::Tls;
use crate::clock;

/// How often files are looked at, at most and unless that takes long.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Of the time that a look takes, the rest after it: at most one part in this of a core.
const REST: u32 = 50;
/// A certificate and its key are written one after the other.
const SETTLE: Duration = Duration::from_millis(200);

/// The kernel's notice of some folders.
struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: Vec<PathBuf>,
}

// === impl Tls ===

impl Tls {
    /// Has changes of files take effect, for as long as the process lives.
    pub async fn follow_files(self) {
        let event = Arc::new(Notify::new());
        let mut folders = Folders::new(&event);
        loop {
            let wanted = self.0.state.lock().files.folders();
            if wanted.is_empty() {
                self.0.changed.notified().await;
                continue;
            }
            folders.watch(wanted);
            let began = clock::instant();
            let tls = self.clone();
            if spawn_blocking(move || tls.look()).await.is_err() {
                warn!("a look at the files of TLS panicked");
            }
            let rest = LOOK_EVERY.max(began.elapsed() * REST);
            if timeout(rest, event.notified()).await.is_ok() {
                sleep(SETTLE).await;
            }
        }
    }
}

// === impl Folders ===

impl Folders {
    fn new(event: &Arc<Notify>) -> Self {
        let event = Arc::clone(event);
        let watcher = notify::recommended_watcher(move |it: notify::Result<notify::Event>| {
            if it.is_ok_and(|it| is_change(it.kind)) {
                event.notify_one();
            }
        });
        Self {
            watcher: watcher
                .inspect_err(
                    |error| warn!(%error, "the kernel tells of no files; they are looked at"),
                )
                .ok(),
            watched: Vec::new(),
        }
    }

    /// Watches these and no others. One that cannot be watched is looked at all the same.
    fn watch(&mut self, wanted: Vec<PathBuf>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        if self.watched == wanted {
            return;
        }
        for folder in self.watched.iter().filter(|it| !wanted.contains(it)) {
            // It may be gone, and its watch with it.
            let _ = watcher.unwatch(folder);
        }
        for folder in wanted.iter().filter(|it| !self.watched.contains(it)) {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                debug!(folder = %folder.display(), %error, "a folder is not watched");
            }
        }
        self.watched = wanted;
    }
}

/// Not our own reading.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}
