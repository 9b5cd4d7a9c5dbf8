//! Command `copal servers`: how the servers of a running proxy stand, and what is wanted of one.
//!
//! For deploy scripts and for people. What the states mean is the proxy's business.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::client::{Ask, Client, Failure, encoded};

const HEADINGS: [&str; 9] = [
    "ORIGIN", "SERVER", "STATE", "STANDING", "WEIGHT", "ACTIVE", "REQUESTS", "ERRORS", "LATENCY",
];
/// Columns of text; those behind them have numbers.
const TEXTS: usize = 4;

#[derive(Args)]
pub(super) struct Arguments {
    /// Only the servers of this origin.
    #[arg(value_name = "ORIGIN")]
    origin: Option<String>,
    /// Only this server: host:port, as it is shown.
    #[arg(value_name = "SERVER")]
    server: Option<String>,
    /// Sets the state of the server.
    #[arg(long, value_enum, requires = "server")]
    state: Option<State>,
    /// Sets its weight, 0 to 256, or "default" for the configured one.
    #[arg(long, value_name = "WEIGHT", requires = "server", value_parser = weight)]
    weight: Option<Weight>,
    /// Show the whole answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: Client,
}

#[derive(Clone, Copy, ValueEnum)]
enum State {
    /// It gets its share.
    Ready,
    /// It gets no new requests.
    Drain,
    /// It gets none at all.
    Maintenance,
    /// What its agent says, or else ready.
    Auto,
}

/// `None` for the configured one.
#[derive(Clone, Copy)]
struct Weight(Option<u16>);

type Row = [String; HEADINGS.len()];

fn weight(text: &str) -> Result<Weight, String> {
    match text.parse() {
        Ok(weight @ 0..=256) => Ok(Weight(Some(weight))),
        _ if text == "default" => Ok(Weight(None)),
        _ => Err("0 to 256 is wanted, or \"default\"".to_owned()),
    }
}

/// Sets what is to be set, and prints how the servers stand.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let answered = changed(arguments).and_then(|()| list(arguments));
    arguments.client.finish("tell of servers", answered)
}

fn changed(arguments: &Arguments) -> Result<(), Failure> {
    let (Some(origin), Some(server)) = (&arguments.origin, &arguments.server) else {
        return Ok(());
    };
    let mut wanted = json!({});
    if let Some(state) = arguments.state {
        wanted["state"] = state.word().into();
    }
    if let Some(Weight(weight)) = arguments.weight {
        wanted["weight"] = weight.into();
    }
    if wanted == json!({}) {
        return Ok(());
    }
    let target = format!(
        "/api/v1/origins/{}/servers/{}",
        encoded(origin),
        encoded(server)
    );
    ask(&arguments.client, "PUT", &target, wanted.to_string()).map(drop)
}

fn list(arguments: &Arguments) -> Result<String, Failure> {
    let answer = ask(&arguments.client, "GET", "/api/v1/origins", String::new())?;
    let mut origins: Value = serde_json::from_str(&answer).context("the answer is no JSON")?;
    keep(&mut origins, arguments);
    let rows = rows(&origins);
    if rows.is_empty() && arguments.origin.is_some() {
        return Err(anyhow!("there is no such server").into());
    }
    Ok(match arguments.json {
        true => format!("{origins:#}\n"),
        false => table(&rows),
    })
}

fn ask(client: &Client, method: &str, target: &str, body: String) -> Result<String, Failure> {
    client.ask(Ask {
        method,
        target,
        accept: "application/json",
        body,
    })
}

/// Drops the origins and servers that were not asked for.
fn keep(origins: &mut Value, arguments: &Arguments) {
    let is_wanted =
        |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    let Some(origins) = origins.as_object_mut() else {
        return;
    };
    origins.retain(|name, _| is_wanted(&arguments.origin, name));
    for origin in origins.values_mut() {
        if let Some(servers) = origin["servers"].as_array_mut() {
            servers.retain(|it| is_wanted(&arguments.server, &text(&it["server"])));
        }
    }
}

fn rows(origins: &Value) -> Vec<Row> {
    let origins = origins.as_object().into_iter().flatten();
    let servers = origins.flat_map(|(name, origin)| {
        let servers = origin["servers"].as_array().into_iter().flatten();
        servers.map(move |server| row(name, server))
    });
    servers.collect()
}

fn row(origin: &str, server: &Value) -> Row {
    let errors = server["errors"].as_object().into_iter().flatten();
    let errors: u64 = errors.filter_map(|(_, count)| count.as_u64()).sum();
    let latency_ms = server["latency_seconds"].as_f64().unwrap_or(0.0) * 1000.0;
    [
        origin.to_owned(),
        text(&server["server"]),
        text(&server["state"]),
        text(&server["standing"]),
        text(&server["weight"]),
        text(&server["active"]),
        text(&server["requests"]),
        errors.to_string(),
        format!("{latency_ms:.1}ms"),
    ]
}

/// A value without quotes.
fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Columns as wide as their widest cell.
fn table(rows: &[Row]) -> String {
    let headings = HEADINGS.map(str::to_owned);
    let lines = || std::iter::once(&headings).chain(rows);
    let mut widths = [0; HEADINGS.len()];
    for row in lines() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in lines() {
        for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Writing to a string does not fail.
            let _ = match at {
                0 => write!(text, "{cell:width$}"),
                _ if at < TEXTS => write!(text, "  {cell:width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}

// === impl State ===

impl State {
    /// By which the admin listener knows it; `None` takes back what was set.
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Ready => Some("ready"),
            Self::Drain => Some("drain"),
            Self::Maintenance => Some("maintenance"),
            Self::Auto => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_it_must_be() {
        let origins = json!({"shop": {"servers": [{
            "server": "10.0.0.7:80", "state": "drain", "standing": "drain", "weight": 5,
            "active": 12, "requests": 100, "errors": {"origin-reset": 2, "origin-timeout": 1},
            "latency_seconds": 0.0125,
        }]}});
        assert_eq!(
            table(&rows(&origins)),
            "ORIGIN  SERVER       STATE  STANDING  WEIGHT  ACTIVE  REQUESTS  ERRORS  LATENCY\n\
             shop    10.0.0.7:80  drain  drain          5      12       100       3   12.5ms\n"
        );
        assert_eq!(rows(&json!({"a": 1})), Vec::<Row>::new());
    }

    #[test]
    fn weights_have_bounds_and_a_default() {
        for (text, expected) in [
            ("0", Some(Some(0))),
            ("256", Some(Some(256))),
            ("default", Some(None)),
            ("257", None),
            ("-1", None),
            ("", None),
        ] {
            let found = weight(text).ok().map(|Weight(weight)| weight);
            assert_eq!(found, expected, "{text}");
        }
    }
}
