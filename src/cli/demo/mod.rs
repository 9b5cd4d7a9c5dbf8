//! Command `copal demo`: a slow origin, the proxy before it, and the difference in five acts.
//!
//! All on free loopback ports. [`origin`] is the slow web server, [`visitor`] asks and measures,
//! [`acts`] is the play, and [`live`] counts what is asked afterwards.

mod acts;
mod live;
mod origin;
mod visitor;

use std::io::{Write as _, stderr, stdout};
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tokio::task::{JoinHandle, spawn_blocking};

use super::client::{Ask, Client};
use super::colours;
use crate::app::{App, Descriptors, Ended, Passed};
use crate::config::{Config, Flags, Level};
use crate::telemetry;
use origin::{Origin, PAGE_TAKES};

#[derive(Args)]
pub(super) struct Arguments {
    /// End after the five acts.
    #[arg(long)]
    once: bool,
}

/// All that the acts play with.
struct Stage {
    origin: Origin,
    proxy: SocketAddr,
    admin: SocketAddr,
}

/// Plays, then runs until ctrl-c.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let ended = demo(arguments);
    telemetry::end();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever closed the stream does not want to know.
            let _ = writeln!(stderr(), "copal: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn demo(arguments: &Arguments) -> anyhow::Result<()> {
    let (mut stage, mut running) = open().await?;
    stage.introduce();
    tokio::select! {
        played = acts::play(&mut stage) => played?,
        // Ctrl-c within an act.
        _ = &mut running => return Ok(()),
    }
    if arguments.once {
        return Ok(());
    }
    stage.invite();
    tokio::select! {
        counted = live::count(&stage) => counted,
        ended = &mut running => ended.map(|_| ()).context("the proxy broke off"),
    }
}

/// Starts the origin, and the proxy before it as its flags would.
async fn open() -> anyhow::Result<(Stage, JoinHandle<Ended>)> {
    let origin = Origin::start().await.context("no free loopback port")?;
    let flags = Flags {
        listen: vec!["127.0.0.1:0".to_owned()],
        origins: vec![format!("http://{}", origin.address())],
        admin: Some("127.0.0.1:0".to_owned()),
        ..Flags::default()
    };
    let mut config = Config::from_flags(&flags)?;
    // That its origin goes away is part of the play.
    config.log.level = Level::Error;
    telemetry::init(&config.log, colours::are_wanted(&stderr()));
    let app = App::start(
        &config,
        None,
        Descriptors::claim(&config)?,
        Passed::default(),
    )?;
    let addresses: Vec<_> = app.addresses().iter().filter_map(|it| it.1.ip()).collect();
    let [proxy, admin] = addresses[..] else {
        anyhow::bail!("the proxy and its admin listener were not opened");
    };
    let stage = Stage {
        origin,
        proxy,
        admin,
    };
    Ok((stage, tokio::spawn(app.run())))
}

// === impl Stage ===

impl Stage {
    fn introduce(&self) {
        say(format_args!(
            "  origin   http://{}/   a web server that takes {} ms for each page\n\
             \x20 copal    http://{}/   before it\n\
             \x20 admin    http://{}/   /metrics, /api/v1/status\n",
            self.origin.address(),
            PAGE_TAKES.as_millis(),
            self.proxy,
            self.admin,
        ));
    }

    fn invite(&self) {
        let (proxy, admin) = (self.proxy, self.admin);
        say(format_args!(
            "\nNow you, from another terminal; the line below counts, ctrl-c ends it:\n\
             \x20 curl -i http://{proxy}/any/page       twice: look at Cache-Status and Age\n\
             \x20 wrk -c 64 http://{proxy}/any/page     or oha, or ab\n\
             \x20 copal purge --all --admin {admin}\n\
             \x20 http://{admin}/dashboard   the same for a browser\n",
        ));
    }

    /// The page's URL as purges and explanations want it.
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.proxy)
    }

    /// Asks the admin listener, as the commands do.
    async fn ask(
        &self,
        method: &'static str,
        target: String,
        body: String,
    ) -> anyhow::Result<String> {
        let client = Client::of(self.admin)?;
        let ask = move || {
            client.ask(Ask {
                method,
                target: &target,
                accept: "application/json",
                body,
            })
        };
        // The commands' client has a runtime of its own, for which this one has no place.
        Ok(spawn_blocking(ask).await??)
    }
}

fn say(text: std::fmt::Arguments) {
    let mut out = stdout().lock();
    // Whoever closed the stream does not want to know.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
