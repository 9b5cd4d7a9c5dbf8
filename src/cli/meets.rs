//! Option `--url` of `copal check`: which site, route and key of the cache a request would meet, told
//! from the file alone.
//!
//! Not what a running proxy has stored, which `copal explain` asks it for. Nothing is bound, looked up
//! or asked.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};

use super::BAD_CONFIGURATION;
use super::explain::field;
use crate::config::{Access, Config, Log};
use crate::origin::Registry;
use crate::pipeline::{Forecast, Handler, RuleSeen, Site};
use crate::store::Store;
use crate::telemetry::{Outcome, Telemetry};

#[derive(Args)]
pub(super) struct Question {
    /// Show which site, route and cache key a request for this URL meets, absolute: http://host/path.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The method of that request.
    #[arg(
        long,
        value_name = "METHOD",
        default_value = "GET",
        requires = "url",
        value_parser = method
    )]
    method: Method,
    /// A field of that request, as 'Name: value'. May be repeated.
    #[arg(short = 'H', long, value_name = "FIELD", requires = "url", value_parser = field)]
    header: Vec<String>,
    /// Show it as JSON.
    #[arg(long, requires = "url")]
    json: bool,
}

/// What a request meets.
struct Met<'a> {
    url: &'a str,
    method: &'a Method,
    forecast: Forecast,
}

fn method(text: &str) -> Result<Method, String> {
    match Method::from_bytes(text.as_bytes()) {
        Ok(it) if matches!(it.as_str(), "PURGE" | "SOFTPURGE" | "BAN") => {
            Err("a purge meets no route; see `copal purge`".to_owned())
        }
        Ok(method) => Ok(method),
        Err(_) => Err("the name of a method is wanted, such as GET".to_owned()),
    }
}

// === impl Question ===

impl Question {
    /// The URL that is asked about, if one is.
    pub(super) fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    fn fields(&self) -> anyhow::Result<HeaderMap> {
        let mut fields = HeaderMap::new();
        for line in &self.header {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let bad = || format!("--header {line:?}: not a field of HTTP");
            let name = HeaderName::from_bytes(name.as_bytes()).with_context(bad)?;
            let value = HeaderValue::from_bytes(value.trim().as_bytes()).with_context(bad)?;
            fields.try_append(name, value).context("too many fields")?;
        }
        Ok(fields)
    }

    fn ask<'a>(&'a self, config: &Config, url: &'a str) -> anyhow::Result<Met<'a>> {
        let site = offline(config)?;
        // A HEAD is looked up under the key of the GET (RFC 9110 §9.3.2).
        let asked = match self.method == Method::HEAD {
            true => &Method::GET,
            false => &self.method,
        };
        let (forecast, _) = site
            .explain(asked, url, self.fields()?)
            .with_context(|| format!("--url {url:?}"))?;
        Ok(Met {
            url,
            method: &self.method,
            forecast,
        })
    }
}

/// The site of a proxy that serves nobody: with an empty store, and without logs.
fn offline(config: &Config) -> anyhow::Result<Site> {
    let log = Log {
        access: Access::Off,
        ..config.log.clone()
    };
    let telemetry = Arc::new(Telemetry::open(&log)?);
    let store = Store::new(&config.store);
    Ok(Site::build(
        config,
        store,
        telemetry,
        &Registry::default(),
        None,
    )?)
}

/// Prints what a request meets, and returns 0; 2 where the question is none.
pub(super) fn run(config: &Config, question: &Question) -> ExitCode {
    let asked = question.ask(config, question.url().unwrap_or_default());
    // Who closes the stream does not want to know more.
    match asked {
        Ok(met) => {
            let shown = match question.json {
                true => format!("{:#}\n", met.json()),
                false => met.text(),
            };
            let _ = std::io::stdout().write_all(shown.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "copal check: {error:#}");
            ExitCode::from(BAD_CONFIGURATION)
        }
    }
}

// === impl Met ===

impl Met<'_> {
    /// Whether the request is looked up in the store, where nothing is as yet.
    fn is_looked_up(&self) -> bool {
        self.forecast.outcome == Outcome::Miss
    }

    fn key_parts(&self) -> String {
        let parts = self.forecast.key_parts.clone();
        match self.method.as_str() {
            "QUERY" if parts.is_empty() => "content".to_owned(),
            "QUERY" => format!("content, {parts}"),
            _ => parts,
        }
    }

    fn text(&self) -> String {
        let forecast = &self.forecast;
        let mut lines = vec![format!("{} {}", self.method, self.url)];
        match &forecast.handler {
            Some(handler) => {
                lines.extend(of_route(handler));
                let gate = handler.gate.iter();
                lines.extend(gate.map(|(name, value)| format!("  gate    {name} {value}")));
            }
            None => lines.push("  site    none: the answer is 404".to_owned()),
        }
        if self.is_looked_up() {
            lines.push(format!("  key     {}", forecast.key));
            let parts = self.key_parts();
            if !parts.is_empty() {
                lines.push(format!("          with {parts}"));
            }
        } else if forecast.handler.is_some() {
            lines.push(format!("  key     none: {}", forecast.why));
        }
        if let Some(Handler {
            rules: Some(rules), ..
        }) = &forecast.handler
        {
            let rules = rules.iter().map(|(name, value)| format!("{name} {value}"));
            lines.push(format!(
                "  rules   {}",
                rules.collect::<Vec<_>>().join(", ")
            ));
        }
        let rules = forecast.rules.iter().map(|it| format!("  rule    {it}"));
        lines.extend(rules);
        lines.iter().map(|line| plain(line) + "\n").collect()
    }

    fn json(&self) -> Value {
        let forecast = &self.forecast;
        let handler = forecast.handler.as_ref();
        json!({
            "url": self.url,
            "method": self.method.as_str(),
            "site": handler.map(|it| &it.hosts),
            "route": handler.map(route),
            "looked_up": self.is_looked_up(),
            "key": self.is_looked_up().then_some(&forecast.key),
            "key_parts": self.is_looked_up().then(|| self.key_parts()),
            "why": (!self.is_looked_up()).then_some(&forecast.why),
            "rules": forecast.rules.iter().map(rule).collect::<Vec<_>>(),
        })
    }
}

fn of_route(handler: &Handler) -> [String; 2] {
    let Handler {
        hosts,
        path,
        action,
        target,
        ..
    } = handler;
    [
        format!("  site    {hosts}"),
        format!("  route   {path}: {action} {target}"),
    ]
}

fn rule(rule: &RuleSeen) -> Value {
    json!({ "name": rule.name, "true": rule.is_true, "why": rule.why })
}

fn route(handler: &Handler) -> Value {
    let pair = |(name, value): &(&str, String)| ((*name).to_owned(), value.as_str().into());
    let table = |pairs: &Vec<_>| pairs.iter().map(pair).collect::<Map<_, _>>();
    json!({
        "path": handler.path,
        "action": handler.action,
        "target": handler.target,
        "gate": table(&handler.gate),
        "rules": handler.rules.as_ref().map(table),
    })
}

/// Text with its control characters shown, so that none steers the terminal.
fn plain(text: &str) -> String {
    let shown = |it: char| match it.is_control() {
        true => it.escape_default().to_string(),
        false => it.to_string(),
    };
    text.chars().map(shown).collect()
}
