//! Diagnostic log: tracing events on standard error, for people. Requests are not logged here; they
//! have the access log.

use std::env;
use std::io;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;

use crate::config::Level;

/// Environment variables that override the configured level. The first that isn't empty wins.
const OVERRIDES: [&str; 2] = ["COPAL_LOG", "RUST_LOG"];

/// Puts another filter in force. Empty where the environment has the say, or another subscriber.
static FILTER: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// Installs the subscriber of this process: compact lines on standard error, coloured if `ansi`.
///
/// `COPAL_LOG`, else `RUST_LOG`, replaces `level` by a filter such as `copal::store=debug,warn`;
/// one that does not parse is reported and passed over. Where a subscriber already stands it is
/// kept, so calling this twice is harmless.
pub fn init(level: Level, ansi: bool) {
    let wish = OVERRIDES
        .into_iter()
        .filter_map(|name| env::var(name).ok())
        .find(|it| !it.is_empty());
    let (filter, complaint) = filter(wish.as_deref(), level);
    let subscriber = tracing_subscriber::fmt()
        .compact()
        .with_ansi(ansi)
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_filter_reloading();
    let handle = subscriber.reload_handle();
    if subscriber.try_init().is_err() {
        tracing::debug!("a tracing subscriber is already installed; it is kept");
    } else if wish.is_none() || complaint.is_some() {
        let _ = FILTER.set(Box::new(move |filter| {
            // Fails only when the subscriber is gone, and this one stays.
            let _ = handle.reload(filter);
        }));
    }
    if let Some(complaint) = complaint {
        tracing::warn!("log filter from the environment is not used: {complaint}");
    }
}

/// Has events of another level written from now on, unless the environment has said which.
pub fn set_level(level: Level) {
    if let Some(put_in_force) = FILTER.get() {
        put_in_force(configured(level));
    }
}

/// The filter to use, and what was wrong with the one wished for.
fn filter(wish: Option<&str>, level: Level) -> (EnvFilter, Option<String>) {
    match wish.map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (configured(level), Some(error.to_string())),
        None => (configured(level), None),
    }
}

/// The level is meant for our own events: at `debug`, hyper alone would drown them.
fn configured(level: Level) -> EnvFilter {
    EnvFilter::new(match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "warn,copal=info",
        Level::Debug => "warn,copal=debug",
        Level::Trace => "warn,copal=trace",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_goes_before_config() {
        let bad = "copal=loud";
        for (wish, level, expected, complains) in [
            (None, Level::Error, "error", false),
            (None, Level::Info, "copal=info,warn", false),
            (None, Level::Trace, "copal=trace,warn", false),
            (Some("copal=trace"), Level::Warn, "copal=trace", false),
            (Some(bad), Level::Warn, "warn", true),
        ] {
            let (filter, complaint) = filter(wish, level);
            assert_eq!(filter.to_string(), expected, "{wish:?} {level:?}");
            assert_eq!(complaint.is_some(), complains, "{wish:?} {level:?}");
        }
    }

    #[test]
    fn a_second_init_is_harmless() {
        init(Level::Error, false);
        init(Level::Error, false);
        assert!(tracing::dispatcher::has_been_set());
    }
}
