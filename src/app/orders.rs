//! Orders of the operator, carried out as signals bring them, until one says to end.

use std::sync::Arc;

use tracing::{info, warn};

use super::reload::Reload;
use super::signals::{Event, Signals};

/// Signals, and what they are carried out on.
pub(super) struct Orders {
    signals: Signals,
    reload: Arc<Reload>,
}

// === impl Orders ===

impl Orders {
    pub(super) fn new(signals: Signals, reload: &Arc<Reload>) -> Self {
        Self {
            signals,
            reload: Arc::clone(reload),
        }
    }

    /// Carries out all orders but the one to end, which is waited for.
    pub(super) async fn until_shutdown(&mut self) {
        loop {
            match self.signals.next().await {
                Event::Shutdown => return,
                Event::Reload => self.reload.run_logged().await,
                Event::Reopen => {
                    self.reload.telemetry.reopen();
                    info!("logs are opened again");
                }
                Event::Upgrade => warn!(
                    signal = "SIGUSR2",
                    "another binary cannot take over as yet; nothing is done"
                ),
                Event::Nothing(signal) => warn!(signal, "a signal without a meaning is ignored"),
            }
        }
    }
}
