//! Access log: one line per finished request, written by a thread of its own, to a standard stream
//! or to a file that can be reopened after rotation. How a line reads stands in `line`.
//!
//! Serving goes before logging: while the disk is too slow, lines are dropped and counted.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

use super::line;
use super::record::Record;
use crate::config::{Access, Format, Log};

/// Lines that may wait for the writer: about 2 MiB in ordinary traffic, and 128 MiB if every
/// field of every line is as long as it may be and has to be escaped.
const LINES_MAX: usize = 8192;

/// Spares most lines a second allocation while they are put together.
const LINE_BYTES_TYPICAL: usize = 256;

/// What the writer is woken with.
const NO_LINE: &[u8] = b"";

/// How often a log that is to end is looked at, whether any request has it still.
const HANDING_OVER: Duration = Duration::from_millis(1);

/// An open access log. Dropping it writes what still waits, for a second at most.
pub struct AccessLog {
    format: Format,
    lines: NonBlocking,
    overflowed: ErrorCounter,
    shared: Arc<Shared>,
    _flush_on_drop: WorkerGuard,
}

/// What the writer's thread and the rest of the process tell each other.
#[derive(Debug, Default)]
struct Shared {
    /// Set by whoever rotated the file, taken by the writer before its next line.
    reopen: AtomicBool,
    /// Lines that could not be written.
    failed: AtomicU64,
}

/// The writer's side: lives in its thread.
struct Sink {
    out: BufWriter<Box<dyn Write + Send>>,
    /// `None` for a standard stream, which is never reopened.
    path: Option<PathBuf>,
    shared: Arc<Shared>,
}

// === impl AccessLog ===

impl AccessLog {
    /// Opens the access log that the configuration asks for; `None` when it is off.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn open(log: &Log) -> io::Result<Option<Self>> {
        let (out, path): (Box<dyn Write + Send>, _) = match &log.access {
            Access::Off => return Ok(None),
            Access::Stdout => (Box::new(io::stdout()), None),
            Access::Stderr => (Box::new(io::stderr()), None),
            Access::File(path) => (Box::new(append_to(path)?), Some(path.clone())),
        };
        Ok(Some(Self::start(out, path, log.format)))
    }

    fn start(out: Box<dyn Write + Send>, path: Option<PathBuf>, format: Format) -> Self {
        let shared = Arc::new(Shared::default());
        let sink = Sink {
            out: BufWriter::new(out),
            path,
            shared: Arc::clone(&shared),
        };
        let (lines, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(LINES_MAX)
            .lossy(true)
            .thread_name("access-log")
            .finish(sink);
        let overflowed = lines.error_counter();
        Self {
            format,
            lines,
            overflowed,
            shared,
            _flush_on_drop: guard,
        }
    }

    /// Hands the line of a finished request to the writer. Never waits.
    pub fn log(&self, record: &Record) {
        let mut text = Vec::with_capacity(LINE_BYTES_TYPICAL);
        let written = line::write(&mut text, self.format, record)
            .and_then(|()| self.lines.clone().write_all(&text));
        // Neither a vector nor the lossy queue reports failure; should one ever, the line is lost.
        if written.is_err() {
            self.shared.failed.fetch_add(1, Relaxed);
        }
    }

    /// Has the file opened again by its path before the next line, at once where none waits: for a
    /// rotation that has renamed it. No effect on a standard stream.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Relaxed);
        // Wakes the writer with no line at all. Where the queue is full, a line does.
        let _ = self.lines.clone().write_all(NO_LINE);
    }

    /// Lines lost so far, because the queue was full or because writing failed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let overflowed = u64::try_from(self.overflowed.dropped_lines()).unwrap_or(u64::MAX);
        overflowed.saturating_add(self.shared.failed.load(Relaxed))
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("AccessLog");
        debug
            .field("format", &self.format)
            .field("dropped", &self.dropped())
            .finish()
    }
}

// === impl Sink ===

impl Sink {
    /// Moves on to a fresh file, or stays with the old one when there is none to be had: a log in
    /// the wrong place is better than none.
    fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match self.out.flush().and_then(|()| append_to(path)) {
            Ok(file) => self.out = BufWriter::new(Box::new(file)),
            Err(error) => {
                tracing::error!(%error, "access log is not reopened; the old file goes on");
            }
        }
    }
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line).map(|()| line.len())
    }

    /// A whole line, so that a reopening falls between two lines.
    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        if self.shared.reopen.swap(false, Relaxed) {
            self.reopen();
        }
        let written = self.out.write_all(line);
        if written.is_err() {
            self.shared.failed.fetch_add(1, Relaxed);
        }
        written
    }

    /// Called by the writer's thread whenever no line waits.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Closes a log that another has followed, once what was handed to it is written.
pub(super) fn end(log: Arc<AccessLog>) {
    // A request that is just handing its line over has it still, for as long as that takes.
    while Arc::strong_count(&log) > 1 {
        thread::sleep(HANDING_OVER);
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let opened = File::options().create(true).append(true).open(path);
    opened.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::IpAddr;
    use std::sync::mpsc;
    use std::time::SystemTime;

    use super::*;

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("copal-{test}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Lets no byte through until told to: a disk that hangs.
    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A full disk.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn record() -> Record {
        Record::new(IpAddr::from([192, 0, 2, 1]), SystemTime::UNIX_EPOCH)
    }

    fn open(access: Access) -> io::Result<Option<AccessLog>> {
        let level = crate::config::Level::Info;
        AccessLog::open(&Log {
            level,
            access,
            format: Format::Common,
        })
    }

    #[test]
    fn lines_are_appended_and_flushed_on_drop() {
        let folder = Folder::new("append");
        let path = folder.file("access.log");
        fs::write(&path, "before\n").unwrap();
        let log = open(Access::File(path.clone())).unwrap().unwrap();
        for _ in 0..3 {
            log.log(&record());
        }
        assert_eq!(log.dropped(), 0);
        drop(log);
        let line = "192.0.2.1 - - [01/Jan/1970:00:00:00 +0000] \"-\" - -\n";
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            format!("before\n{}", line.repeat(3))
        );
    }

    #[test]
    fn off_is_no_log_and_a_bad_path_is_an_error() {
        let folder = Folder::new("open");
        assert!(open(Access::Off).unwrap().is_none());
        assert!(open(Access::File(folder.file("no/such/folder/access.log"))).is_err());
    }

    #[test]
    fn rotation_falls_between_two_lines() {
        let folder = Folder::new("rotate");
        let (path, rotated) = (folder.file("access.log"), folder.file("access.log.1"));
        let shared = Arc::new(Shared::default());
        let out = BufWriter::new(Box::new(append_to(&path).unwrap()) as Box<dyn Write + Send>);
        let mut sink = Sink {
            out,
            path: Some(path.clone()),
            shared: Arc::clone(&shared),
        };
        sink.write_all(b"one\n").unwrap();
        fs::rename(&path, &rotated).unwrap();
        sink.write_all(b"two\n").unwrap();
        shared.reopen.store(true, Relaxed);
        sink.write_all(b"three\n").unwrap();
        sink.flush().unwrap();
        assert_eq!(fs::read_to_string(rotated).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(path).unwrap(), "three\n");
    }

    #[test]
    fn the_old_file_is_kept_when_the_new_one_cannot_be_opened() {
        let folder = Folder::new("keep");
        let path = folder.file("access.log");
        let shared = Arc::new(Shared::default());
        let out = BufWriter::new(Box::new(append_to(&path).unwrap()) as Box<dyn Write + Send>);
        let nowhere = folder.file("no/such/folder/access.log");
        let mut sink = Sink {
            out,
            path: Some(nowhere),
            shared: Arc::clone(&shared),
        };
        shared.reopen.store(true, Relaxed);
        sink.write_all(b"one\n").unwrap();
        sink.flush().unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "one\n");
        assert_eq!(shared.failed.load(Relaxed), 0);
    }

    #[test]
    fn a_stuck_writer_costs_lines_not_time() {
        let (release, stuck) = mpsc::channel();
        let log = AccessLog::start(Box::new(Stuck(stuck)), None, Format::Common);
        // More than the queue and the writer's buffer hold together.
        let lines = 2 * LINES_MAX as u64;
        for _ in 0..lines {
            log.log(&record());
        }
        let dropped = log.dropped();
        assert!(dropped > 0 && dropped < lines, "{dropped} of {lines}");
        drop(release);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let shared = Arc::new(Shared::default());
        let out = BufWriter::with_capacity(8, Box::new(Full) as Box<dyn Write + Send>);
        let mut sink = Sink {
            out,
            path: None,
            shared: Arc::clone(&shared),
        };
        assert!(sink.write_all(b"longer than the buffer\n").is_err());
        assert_eq!(shared.failed.load(Relaxed), 1);
    }
}
