//! Metrics that the files for Prometheus and Grafana name: a rule on one that is not there never fires.

use std::collections::BTreeSet;

use super::{read, sources};

/// What a sample's name has behind its family's.
const SUFFIXES: [&str; 4] = ["_total", "_bucket", "_sum", "_count"];

/// The words of a text that are names of metrics.
fn metrics(text: &str) -> BTreeSet<&str> {
    let is_part = |it: char| it.is_ascii_lowercase() || it == '_';
    let words = text.split(|it| !is_part(it));
    let is_metric = |it: &&str| it.starts_with("copal_") || it.starts_with("process_");
    words.filter(is_metric).collect()
}

fn family(metric: &str) -> &str {
    let mut stems = SUFFIXES.iter().filter_map(|it| metric.strip_suffix(it));
    stems.next_back().unwrap_or(metric)
}

#[test]
fn every_metric_that_alerts_and_grafana_name_is_there() {
    let docs = read("docs/admin.md");
    let code: String = sources().iter().map(|it| it.text.as_str()).collect();
    for path in [
        "packaging/alerts.yml",
        "packaging/grafana.json",
        "docs/operations.md",
    ] {
        let text = read(path);
        let named = metrics(&text);
        assert!(!named.is_empty(), "{path}");
        for metric in named {
            let family = family(metric);
            let is_told = [metric, family]
                .iter()
                .any(|it| docs.contains(&format!("| `{it}` |")));
            let is_made = [metric, family]
                .iter()
                .any(|it| code.contains(&format!("\"{it}\"")));
            assert!(is_told && is_made, "{path}: {metric}");
        }
    }
}
