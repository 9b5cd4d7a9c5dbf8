//! Diagnostic log: tracing events on standard error, as lines for people or as JSON. Requests are not
//! logged here; they have the access log.
//!
//! A thread of its own writes them: a standard error that nobody reads must not stop those who serve.
//! What it cannot take is lost, and counted.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, fmt, io};

use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{self, Compact, FormatEvent, FormatFields, Json, Writer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{registry, reload};

use crate::config::{Format, Level, Log};

/// Environment variables that override the configured level. The first that isn't empty wins.
const OVERRIDES: [&str; 2] = ["COPAL_LOG", "RUST_LOG"];

/// Events that may wait for the writer.
const EVENTS_MAX: usize = 4096;

/// Puts another filter in force. Empty where the environment has the say, or another subscriber.
static FILTER: OnceLock<Box<dyn Fn(Targets) + Send + Sync>> = OnceLock::new();

/// Whether events are written as JSON.
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// What the writer could not take.
static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// Dropping it has what still waits written. Taken at the start and at the end.
static GUARD: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// Either of the two forms, by [`AS_JSON`].
struct Lines {
    text: format::Format<Compact>,
    json: format::Format<Json>,
}

/// Installs the subscriber of this process: events on standard error, as JSON where the access log is
/// too, else as compact lines, coloured if `ansi`.
///
/// `COPAL_LOG`, else `RUST_LOG`, replaces the level by a filter such as `copal::store=debug,warn`;
/// one that does not parse is reported and passed over. Where a subscriber already stands it is
/// kept, so calling this twice is harmless.
pub fn init(log: &Log, ansi: bool) {
    let wish = OVERRIDES
        .into_iter()
        .filter_map(|name| env::var(name).ok())
        .find(|it| !it.is_empty());
    let (filter, complaint) = filter(wish.as_deref(), log.level);
    AS_JSON.store(log.format == Format::Json, Ordering::Relaxed);
    let (out, guard) = writer();
    let lost = out.error_counter();
    let (filter, handle) = reload::Layer::new(filter);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(ansi)
        .event_format(Lines::new())
        .with_writer(out);
    if registry().with(filter).with(lines).try_init().is_err() {
        tracing::debug!("a tracing subscriber is already installed; it is kept");
        return;
    }
    *GUARD.lock() = Some(guard);
    let _ = LOST.set(lost);
    if wish.is_none() || complaint.is_some() {
        let _ = FILTER.set(Box::new(move |filter| {
            // Fails only when the subscriber is gone, and this one stays.
            let _ = handle.reload(filter);
        }));
    }
    if let Some(complaint) = complaint {
        tracing::warn!("log filter from the environment is not used: {complaint}");
    }
}

fn writer() -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .buffered_lines_limit(EVENTS_MAX)
        .lossy(true)
        .thread_name("events")
        .finish(io::stderr())
}

/// Has events written as another `[log]` wants it: in its form, and those of its level unless the
/// environment has said which.
pub fn follow(log: &Log) {
    AS_JSON.store(log.format == Format::Json, Ordering::Relaxed);
    if let Some(put_in_force) = FILTER.get() {
        put_in_force(configured(log.level));
    }
}

/// Has what still waits written, for a second at most. No event is written after it.
pub fn end() {
    drop(GUARD.lock().take());
}

/// Events lost so far.
pub(super) fn lost() -> u64 {
    let lost = LOST.get().map_or(0, ErrorCounter::dropped_lines);
    u64::try_from(lost).unwrap_or(u64::MAX)
}

/// The filter to use, and what was wrong with the one wished for.
fn filter(wish: Option<&str>, level: Level) -> (Targets, Option<String>) {
    match wish.map(str::parse::<Targets>) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (configured(level), Some(error.to_string())),
        None => (configured(level), None),
    }
}

/// The level is meant for our own events: at `debug`, hyper alone would drown them.
fn configured(level: Level) -> Targets {
    let (others, ours) = match level {
        Level::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
        Level::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        Level::Info => (LevelFilter::WARN, LevelFilter::INFO),
        Level::Debug => (LevelFilter::WARN, LevelFilter::DEBUG),
        Level::Trace => (LevelFilter::WARN, LevelFilter::TRACE),
    };
    Targets::new()
        .with_default(others)
        .with_target("copal", ours)
}

// === impl Lines ===

impl Lines {
    fn new() -> Self {
        Self {
            text: format::format().compact(),
            json: format::format().json().flatten_event(true),
        }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match AS_JSON.load(Ordering::Relaxed) {
            true => self.json.format_event(context, writer, event),
            false => self.text.format_event(context, writer, event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Access;

    #[test]
    fn environment_goes_before_config() {
        let bad = "copal=loud";
        for (wish, level, expected, complains) in [
            (None, Level::Error, "copal=error,error", false),
            (None, Level::Info, "copal=info,warn", false),
            (None, Level::Trace, "copal=trace,warn", false),
            (Some("copal=trace"), Level::Warn, "copal=trace", false),
            (Some(bad), Level::Warn, "copal=warn,warn", true),
        ] {
            let (filter, complaint) = filter(wish, level);
            assert_eq!(filter.to_string(), expected, "{wish:?} {level:?}");
            assert_eq!(complaint.is_some(), complains, "{wish:?} {level:?}");
        }
    }

    #[test]
    fn a_second_init_is_harmless() {
        let log = Log {
            level: Level::Error,
            access: Access::Off,
            format: Format::Common,
        };
        init(&log, false);
        init(&log, false);
        assert!(tracing::dispatcher::has_been_set());
    }
}
