//! Explanation of a URL as a few lines of text, the other form of `explain.rs`.
//!
//! Its wording may change; programs read the JSON. What came from clients and origins cannot steer
//! the terminal that it is shown on.

use std::fmt::{self, Display, Write};
use std::time::SystemTime;

use crate::pipeline::{Forecast, Handler};
use crate::store::{Inspection, Object};

/// What is told of one URL.
pub(super) struct ExplainText<'a> {
    pub(super) url: &'a str,
    pub(super) forecast: &'a Forecast,
    pub(super) stored: &'a Inspection,
}

/// What is special about an object.
struct Flags<'a>(&'a Object);

/// Text with its control characters shown and not obeyed.
struct Plain<'a>(&'a str);

// === impl ExplainText ===

impl Display for ExplainText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url,
            forecast,
            stored,
        } = self;
        writeln!(f, "{}", Plain(url))?;
        writeln!(f, "  next GET  {}", forecast.outcome.as_str())?;
        writeln!(f, "            {}", forecast.why)?;
        writeln!(f, "            Cache-Status: {}", forecast.cache_status)?;
        writeln!(f, "  route     {}", Plain(&route_in_words(forecast)))?;
        writeln!(f, "  key       {}", Plain(&forecast.key))?;
        for rule in &forecast.rules {
            writeln!(f, "  rule      {}", Plain(&rule.to_string()))?;
        }
        if let Some(left) = stored.hit_for_miss {
            let left = left.as_secs();
            writeln!(f, "  marked    hit-for-miss for another {left} s")?;
        }
        let fetches = stored.fetches;
        if fetches.count > 0 {
            let (count, open, waiting) = (fetches.count, fetches.open, fetches.waiting);
            writeln!(
                f,
                "  fetches   {count}, {open} to be shared, {waiting} waiting"
            )?;
        }
        writeln!(f, "  stored    {}", count_in_words(stored.objects.len()))?;
        for (at, object) in stored.objects.iter().enumerate() {
            let mark = if stored.chosen == Some(at) { '>' } else { '-' };
            write_variant(f, mark, object, stored.at)?;
        }
        Ok(())
    }
}

// === impl Flags ===

impl Display for Flags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let term = self.0.term();
        let flags = [
            (!self.0.is_whole(), "still filling"),
            (term.is_expired(), "soft purged"),
            (term.is_overridden(), "ttl by route"),
            (term.always_validate(), "always validated"),
            (term.must_revalidate(), "must be revalidated"),
        ];
        let set = flags.iter().filter(|(is_set, _)| *is_set);
        let set = set.map(|(_, flag)| *flag);
        set.chain(term.bent().in_words())
            .try_for_each(|flag| write!(f, ", {flag}"))
    }
}

// === impl Plain ===

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char.is_control() {
            true => write!(f, "{}", char.escape_default()),
            false => f.write_char(char),
        })
    }
}

fn count_in_words(count: usize) -> String {
    match count {
        0 => "nothing".to_owned(),
        1 => "1 variant".to_owned(),
        count => format!("{count} variants"),
    }
}

fn route_in_words(forecast: &Forecast) -> String {
    let Some(handler) = &forecast.handler else {
        return "none".to_owned();
    };
    let Handler {
        hosts,
        path,
        action,
        target,
        gate,
        rules,
    } = handler;
    let mut words = format!("{path} of {hosts}: {action} {target}");
    for (name, value) in gate {
        words = words + "; " + name + " " + value;
    }
    match (rules, *action) {
        (Some(rules), _) => {
            let rules = rules.iter().map(|(name, value)| format!("{name} {value}"));
            words = words + "; " + &rules.collect::<Vec<_>>().join(", ");
        }
        (None, "origin") => words += "; not cached",
        (None, _) => {}
    }
    words
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn write_variant(
    f: &mut fmt::Formatter<'_>,
    mark: char,
    object: &Object,
    now: SystemTime,
) -> fmt::Result {
    let (term, windows) = (object.term(), object.term().windows());
    let (age, lifetime) = (term.age(now).secs(), term.lifetime().secs());
    let (status, hits) = (object.head().status().as_u16(), object.hits());
    let bytes = object.weight_bytes();
    write!(
        f,
        "          {mark} {status}, age {age} s of {lifetime} s, "
    )?;
    writeln!(f, "hits {hits}, {bytes} bytes in memory{}", Flags(object))?;
    writeln!(
        f,
        "            then grace {} s, stale if error {} s, keep {} s",
        windows.while_revalidate().as_secs(),
        windows.if_error().as_secs(),
        windows.kept().as_secs(),
    )?;
    for (name, value) in object.variant().chosen() {
        let value = value.map_or("absent".to_owned(), |value| format!("\"{}\"", lossy(value)));
        writeln!(f, "            where {name} is {}", Plain(&value))?;
    }
    let facet = object.variant().facet_in_words();
    if !facet.is_empty() {
        writeln!(f, "            where the key has {}", Plain(&facet))?;
    }
    let tags = object.tags();
    if !tags.is_empty() {
        writeln!(f, "            tags {}", Plain(&tags.join(", ")))?;
    }
    let validators = object.validators();
    for (name, value) in [
        ("etag", validators.etag),
        ("last-modified", validators.last_modified),
    ] {
        if let Some(value) = value {
            writeln!(f, "            {name} {}", Plain(&lossy(value)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        let shown = Plain("a\u{1b}[2J\u{9b}é\n").to_string();
        assert_eq!(shown, "a\\u{1b}[2J\\u{9b}é\\n");
    }
}
