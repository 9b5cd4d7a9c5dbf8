//! The demo's five acts: each of about a second, with its figures.

use anyhow::ensure;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::origin::SHORT_LIVED;
use super::visitor::{Visit, Visitor, milliseconds};
use super::{Stage, say};
use crate::cli::client::encoded;
use crate::clock;
use std::time::Duration;

const PAGE: &str = "/shop";
const CLIENTS: usize = 100;
/// Longer than what [`SHORT_LIVED`] pages live.
const OUTLIVED: Duration = Duration::from_millis(1100);

pub(super) async fn play(stage: &mut Stage) -> anyhow::Result<()> {
    let mut visitor = Visitor::connect(stage.proxy).await?;
    once_and_again(&mut visitor).await?;
    all_at_once(stage).await?;
    lifetime_over(&mut visitor).await?;
    origin_off(stage, &mut visitor).await?;
    purged(stage, &mut visitor).await
}

async fn once_and_again(visitor: &mut Visitor) -> anyhow::Result<()> {
    title(1, "one page, twice");
    let miss = got(visitor.get(PAGE).await?)?;
    shown(&miss, "a miss: from the origin, and stored on the way");
    let hit = got(visitor.get(PAGE).await?)?;
    shown(&hit, "a hit: from memory");
    Ok(())
}

async fn all_at_once(stage: &Stage) -> anyhow::Result<()> {
    title(2, "a hundred clients at once want a page that nobody has");
    let before = stage.origin.asked();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut visitor = Visitor::connect(stage.proxy).await?;
        clients.spawn(async move { visitor.get("/sale").await });
    }
    let mut slowest = Duration::ZERO;
    while let Some(visit) = clients.join_next().await {
        slowest = slowest.max(got(visit??)?.took);
    }
    let asked = stage.origin.asked() - before;
    let requests = if asked == 1 { "request" } else { "requests" };
    line(
        milliseconds(slowest),
        &format!("for the slowest of {CLIENTS}: {asked} {requests} to the origin, shared by all"),
        "",
    );
    Ok(())
}

async fn lifetime_over(visitor: &mut Visitor) -> anyhow::Result<()> {
    title(3, "a page's lifetime of one second is over");
    let first = got(visitor.get(SHORT_LIVED).await?)?;
    sleep(OUTLIVED).await;
    let old = got(visitor.get(SHORT_LIVED).await?)?;
    shown(&old, "the old page at once, while a new one is fetched");
    let mut new = old;
    let began = clock::instant();
    while new.body == first.body && began.elapsed() < OUTLIVED {
        sleep(Duration::from_millis(20)).await;
        new = got(visitor.get(SHORT_LIVED).await?)?;
    }
    let text = format!("the new one, {:.0} ms later", milliseconds(began.elapsed()));
    shown(&new, &text);
    Ok(())
}

async fn origin_off(stage: &mut Stage, visitor: &mut Visitor) -> anyhow::Result<()> {
    title(4, "the origin is switched off");
    stage.origin.switch_off().await;
    sleep(OUTLIVED).await;
    shown(&got(visitor.get(PAGE).await?)?, "a page that is fresh");
    let stale = got(visitor.get(SHORT_LIVED).await?)?;
    shown(&stale, "a page whose lifetime is over");
    let never_seen = visitor.get("/never-seen").await?;
    let text = format!(
        "{}: a page that was never stored",
        never_seen.status.as_u16()
    );
    shown(&never_seen, &text);
    stage.origin.switch_on().await?;
    Ok(())
}

async fn purged(stage: &Stage, visitor: &mut Visitor) -> anyhow::Result<()> {
    title(5, "the origin is back, and /shop is purged");
    explained(stage, "before").await?;
    let began = clock::instant();
    let body = json!({ "url": stage.url(PAGE) }).to_string();
    stage.ask("POST", "/api/v1/purge".to_owned(), body).await?;
    line(milliseconds(began.elapsed()), "copal purge URL", "");
    explained(stage, "after").await?;
    let miss = got(visitor.get(PAGE).await?)?;
    shown(&miss, "the next visitor gets the new page");
    Ok(())
}

/// What `copal explain` says of the page.
async fn explained(stage: &Stage, when: &str) -> anyhow::Result<()> {
    let target = format!("/api/v1/explain?url={}", encoded(&stage.url(PAGE)));
    let told: Value = serde_json::from_str(&stage.ask("GET", target, String::new()).await?)?;
    let why = told["next"]["why"].as_str().unwrap_or_default();
    say(format_args!(
        "                 copal explain URL, {when}: {why}"
    ));
    Ok(())
}

/// A visit that got its page.
fn got(visit: Visit) -> anyhow::Result<Visit> {
    ensure!(
        visit.status == StatusCode::OK,
        "the proxy answered {}",
        visit.status
    );
    Ok(visit)
}

fn title(number: u8, text: &str) {
    say(format_args!("{number}  {text}"));
}

fn shown(visit: &Visit, text: &str) {
    line(visit.milliseconds(), text, &visit.cache_status);
}

fn line(milliseconds: f64, text: &str, cache_status: &str) {
    let text = format!("{milliseconds:>11.2} ms   {text:<49} {cache_status}");
    say(format_args!("{}", text.trim_end()));
}
