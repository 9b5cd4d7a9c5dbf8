//! The demo's live line: what the proxy has done, once a second, until ctrl-c.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::Stage;

/// What has been counted when the line was last shown.
#[derive(Default, PartialEq)]
struct Counts {
    requests: u64,
    from_memory: u64,
    asked: u64,
    objects: u64,
    bytes: u64,
}

/// Shows what changes: in one place of a terminal, else line by line.
pub(super) async fn count(stage: &Stage) -> anyhow::Result<()> {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<Counts> = None;
    loop {
        seconds.tick().await;
        let status = stage.ask("GET", "/api/v1/status".to_owned(), String::new());
        let now = Counts::of(&serde_json::from_str(&status.await?)?, stage.origin.asked());
        let per_second = before.as_ref().map_or(0, |it| now.requests - it.requests);
        show(&now, per_second, before.as_ref() != Some(&now));
        before = Some(now);
    }
}

fn show(now: &Counts, per_second: u64, is_new: bool) {
    let mut out = stdout().lock();
    // Whoever closed the stream does not want to know.
    let _ = match (out.is_terminal(), is_new) {
        (true, _) => write!(out, "\r{}\x1b[K", now.line(per_second)),
        (false, true) => writeln!(out, "{}", now.line(per_second)),
        (false, false) => Ok(()),
    };
    let _ = out.flush();
}

// === impl Counts ===

impl Counts {
    fn of(status: &Value, asked: u64) -> Self {
        let outcomes = &status["requests"];
        let all = outcomes.as_object().into_iter().flatten();
        let from_memory = ["hit", "stale", "collapsed"];
        Self {
            requests: all.filter_map(|(_, count)| count.as_u64()).sum(),
            from_memory: from_memory
                .iter()
                .filter_map(|it| outcomes[it].as_u64())
                .sum(),
            asked,
            objects: status["store"]["objects"].as_u64().unwrap_or_default(),
            bytes: status["store"]["bytes"].as_u64().unwrap_or_default(),
        }
    }

    fn line(&self, per_second: u64) -> String {
        let Self {
            requests,
            from_memory,
            asked,
            objects,
            bytes,
        } = self;
        let share = 100.0 * *from_memory as f64 / (*requests).max(1) as f64;
        format!(
            "{per_second} requests/s · {requests} in all, {share:.1} % without the origin · \
             {asked} asked of the origin · {objects} objects in {:.1} KiB",
            *bytes as f64 / 1024.0
        )
    }
}
