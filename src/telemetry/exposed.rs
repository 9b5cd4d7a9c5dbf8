//! Format of a scrape: Prometheus's own text, or OpenMetrics for a scraper that asks for it.
//!
//! The encoder writes OpenMetrics; Prometheus's text is made of that.

use std::collections::HashSet;

/// In which of two formats that scrapers read a scrape is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposed {
    /// Prometheus's own text, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0, of which Prometheus's text is the older form.
    OpenMetrics,
}

// === impl Exposed ===

impl Exposed {
    /// The format that an `Accept` field wants (RFC 9110 §12.5.1): OpenMetrics for who names it and
    /// prefers no other text, else the one that every scraper and person can read.
    #[must_use]
    pub fn wanted(accept: &str) -> Self {
        let (mut open, mut plain) = (0.0, 0.0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let best = match parts.next() {
                Some(it) if it.eq_ignore_ascii_case("application/openmetrics-text") => &mut open,
                Some(it) if it.eq_ignore_ascii_case("text/plain") => &mut plain,
                _ => continue,
            };
            let quality = parts.find_map(|it| it.strip_prefix("q=")?.parse().ok());
            *best = quality.unwrap_or(1.0_f64).max(*best);
        }
        match open > 0.0 && open >= plain {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    /// Its `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What was encoded, in this format.
    ///
    /// They differ in three things that are used here: a counter's family has the name of its samples,
    /// with `_total`; there is no mark of the end; and help texts keep their quotes.
    #[must_use]
    pub(super) fn written(self, encoded: String) -> String {
        if self == Self::OpenMetrics {
            return encoded;
        }
        let mut text = String::with_capacity(encoded.len());
        let mut is_counter = HashSet::new();
        for line in encoded.lines() {
            let of_type = line
                .strip_prefix("# TYPE ")
                .and_then(|it| it.strip_suffix(" counter"));
            is_counter.extend(of_type);
        }
        for line in encoded.lines().filter(|it| *it != "# EOF") {
            let name = |prefix| line.strip_prefix(prefix)?.split_once(' ');
            let head = ["# HELP ", "# TYPE "].map(|prefix| (prefix, name(prefix)));
            match head
                .into_iter()
                .find_map(|(prefix, it)| Some((prefix, it?)))
            {
                Some((prefix, (name, rest))) if is_counter.contains(name) => {
                    text += &format!("{prefix}{name}_total {rest}\n");
                }
                _ => {
                    text += line;
                    text.push('\n');
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_says_which_format() {
        const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;\
            escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,\
            */*;q=0.1";
        for (accept, expected) in [
            ("", Exposed::Prometheus),
            ("*/*", Exposed::Prometheus),
            ("text/html, */*;q=0.8", Exposed::Prometheus),
            ("application/openmetrics-text", Exposed::OpenMetrics),
            (
                "Application/OpenMetrics-Text; version=1.0.0",
                Exposed::OpenMetrics,
            ),
            (PROMETHEUS_3, Exposed::OpenMetrics),
            (
                "application/openmetrics-text;q=0.1, text/plain;q=0.9",
                Exposed::Prometheus,
            ),
            ("application/openmetrics-text;q=0", Exposed::Prometheus),
        ] {
            assert_eq!(
                Exposed::wanted(accept),
                expected,
                "RFC 9110 §12.5.1: {accept}"
            );
        }
    }
}
