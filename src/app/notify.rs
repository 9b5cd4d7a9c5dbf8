//! Word to the service manager, for a unit of `Type=notify`: ready, reloading, stopping, and how it is.
//!
//! Nothing is sent where nobody has asked for it by `NOTIFY_SOCKET` (sd_notify(3)).

use sd_notify::NotifyState::{self, Ready, Reloading, Status, Stopping};
use tracing::debug;

/// Everything that is wanted listens.
pub(super) fn ready(status: &str) {
    send(&[Ready, Status(status)]);
}

/// The configuration is read again; [`ready`] says when that is over, however it ended.
pub(super) fn reloading() {
    let mut states = vec![Reloading, Status("reloading")];
    // Wanted of `Type=notify-reload`: which reload this is the answer to.
    states.extend(NotifyState::monotonic_usec_now());
    send(&states);
}

/// No more connections are accepted.
pub(super) fn stopping(connections: u64) {
    let status = format!("draining {connections} connections");
    send(&[Stopping, Status(&status)]);
}

/// One small datagram; a manager that does not take it must not hold up the service.
fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the service manager was not told");
    }
}
