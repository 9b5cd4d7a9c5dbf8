//! Figures of servers, origins and the store, each named once: the metrics and the API show the same
//! list, and a test looks for it in the docs.

use serde_json::{Map, Value, json};

use crate::origin::{BreakerState, Durations, OverloadStats, ServerStats};
use crate::store;
use crate::telemetry::Family;
use Reading::{Count, Each, Flag, Number, Spread, Unknown, Word};

/// What can be told of a `T` in one number, or in one for each value of a label.
pub(super) struct Figure<T> {
    /// By which the API knows it.
    key: &'static str,
    /// Name, kind and help of its metric, without a sample.
    family: Family,
    reading: fn(&T) -> Reading,
}

/// What a figure is at this moment.
pub(super) enum Reading {
    Count(u64),
    Number(f64),
    Flag(bool),
    /// A word, and the number that stands for it.
    Word(&'static str, f64),
    /// By the values of this label.
    Each(&'static str, Vec<(&'static str, u64)>),
    /// By how long they took.
    Spread(Durations),
    /// Nothing that could be told.
    Unknown,
}

/// The labels that tell one thing from its siblings.
pub(super) type Labels = Vec<(&'static str, String)>;

#[rustfmt::skip]
pub(super) static SERVER: [Figure<ServerStats>; 17] = [
    counter("requests", "copal_origin_requests", "Requests sent to servers.",
        |it| Count(it.requests)),
    counter("connects", "copal_origin_connects", "Connections opened to servers.",
        |it| Count(it.connects)),
    counter("reused", "copal_origin_reused", "Requests over pooled connections.",
        |it| Count(it.reused)),
    counter("errors", "copal_origin_errors", "Requests that servers failed.",
        |it| Each("kind", it.errors.iter().map(|(kind, count)| (kind.as_str(), *count)).collect())),
    counter("retries", "copal_origin_retries", "Requests sent again.",
        |it| Each("why", it.retries.iter().map(|(why, count)| (why.as_str(), *count)).collect())),
    counter("hedged", "copal_origin_hedged", "Slow requests, sent elsewhere too.",
        |it| Count(it.hedged)),
    counter("hedge_won", "copal_origin_hedge_won", "Those that were answered there first.",
        |it| Count(it.hedge_won)),
    gauge("connections", "copal_origin_connections", "Open connections to servers.",
        |it| Count(it.open as u64)),
    gauge("connections_max", "copal_origin_connections_max", "As many connections as there may be.",
        |it| Count(it.connections_max as u64)),
    gauge("idle", "copal_origin_idle_connections", "Pooled connections.",
        |it| Count(it.idle as u64)),
    gauge("up", "copal_origin_up", "Whether a server is usable and answers.",
        |it| Flag(it.is_up())),
    counter("ejected", "copal_origin_ejected", "Ejections of servers.",
        |it| Count(it.ejected)),
    counter("probe_failures", "copal_origin_probe_failures", "Probes that failed.",
        |it| Count(it.probe_failures)),
    gauge("active", "copal_origin_active", "Requests in flight.",
        |it| Count(it.active.into())),
    gauge("requests_max", "copal_origin_requests_max", "As many requests as a server may have in flight.",
        |it| it.requests_max.map_or(Unknown, |max| Count(max.into()))),
    gauge("latency_seconds", "copal_origin_latency_seconds",
        "The mean time to the head of an answer, quick to rise.",
        |it| Number(it.latency.as_secs_f64())),
    histogram("duration_seconds", "copal_origin_duration_seconds",
        "Time from a request to the head of its answer.",
        |it| Spread(it.answers.clone())),
];

#[rustfmt::skip]
pub(super) static ORIGIN: [Figure<OverloadStats>; 4] = [
    gauge("pending", "copal_origin_pending", "Requests that wait for a server.",
        |it| Count(it.pending as u64)),
    gauge("pending_max", "copal_origin_pending_max", "As many as may wait.",
        |it| Count(it.pending_max as u64)),
    counter("shed", "copal_origin_shed", "Requests turned away before a server.",
        |it| Each("reason", it.shed.iter().map(|(why, count)| (why.as_str(), *count)).collect())),
    gauge("breaker", "copal_origin_breaker",
        "How an origin's breaker stands: 0 shut, 1 half-open, 2 open.",
        |it| it.breaker.map_or(Unknown, |state| Word(state.as_str(), level(state)))),
];

#[rustfmt::skip]
pub(super) static STORE: [Figure<store::Stats>; 12] = [
    gauge("objects", "copal_objects", "Complete objects in the store, variants included.",
        |it| Count(it.objects)),
    gauge("bytes", "copal_store_bytes", "Bytes held by complete objects, index included.",
        |it| Count(it.bytes)),
    gauge("bytes_max", "copal_store_bytes_max", "As many bytes as complete objects may hold.",
        |it| Count(it.bytes_max)),
    gauge("fills", "copal_fills_in_flight", "Objects being filled.",
        |it| Count(it.fills)),
    gauge("fill_bytes", "copal_fill_bytes", "Bytes set aside for objects being filled.",
        |it| Count(it.fill_bytes)),
    counter("laggards", "copal_laggards", "Readers that fell behind, by what became of them.",
        |it| Each("end", vec![("parted", it.laggards_parted), ("cut", it.laggards_cut)])),
    gauge("fill_bytes_max", "copal_fill_bytes_max", "As many bytes as may be set aside for objects being filled.",
        |it| Count(it.fill_bytes_max)),
    counter("evicted", "copal_evicted", "Objects that made room for others.",
        |it| Count(it.evicted)),
    counter("slices", "copal_slices", "Slices opened, by where their bytes were.",
        |it| Each("from", vec![("memory", it.slices_from_memory), ("origin", it.slices_from_origin)])),
    gauge("tags", "copal_store_tags", "Tags that objects have.",
        |it| Count(it.tags)),
    gauge("tag_index_bytes", "copal_store_tag_index_bytes", "Bytes of the index from tags to objects.",
        |it| Count(it.tag_index_bytes)),
    gauge("purges", "copal_store_purges", "Purges that objects are compared with, by what they are of.",
        |it| Each("of", vec![
            ("area", it.stamps.areas as u64), ("tag", it.stamps.tags as u64), ("pattern", it.stamps.patterns as u64),
        ])),
];

const fn counter<T>(
    key: &'static str,
    name: &'static str,
    help: &'static str,
    reading: fn(&T) -> Reading,
) -> Figure<T> {
    let family = Family::counter(name, help);
    Figure {
        key,
        family,
        reading,
    }
}

const fn gauge<T>(
    key: &'static str,
    name: &'static str,
    help: &'static str,
    reading: fn(&T) -> Reading,
) -> Figure<T> {
    let family = Family::gauge(name, help);
    Figure {
        key,
        family,
        reading,
    }
}

const fn histogram<T>(
    key: &'static str,
    name: &'static str,
    help: &'static str,
    reading: fn(&T) -> Reading,
) -> Figure<T> {
    let family = Family::histogram(name, help);
    Figure {
        key,
        family,
        reading,
    }
}

/// Higher is worse.
fn level(state: BreakerState) -> f64 {
    match state {
        BreakerState::Shut => 0.0,
        BreakerState::HalfOpen => 1.0,
        BreakerState::Open(_) => 2.0,
    }
}

/// `object` with the figures of `thing` beside what it has.
pub(super) fn added<T>(mut object: Value, figures: &[Figure<T>], thing: &T) -> Value {
    for figure in figures {
        object[figure.key] = (figure.reading)(thing).into();
    }
    object
}

/// A family for each figure, with its samples of all `things`.
pub(super) fn families<T>(figures: &[Figure<T>], things: &[(Labels, T)]) -> Vec<Family> {
    let family = |figure: &Figure<T>| {
        things
            .iter()
            .fold(figure.family.clone(), |family, (labels, thing)| {
                (figure.reading)(thing).sampled(family, labels)
            })
    };
    figures.iter().map(family).collect()
}

// === impl Reading ===

impl Reading {
    fn sampled(self, family: Family, labels: &Labels) -> Family {
        let one = |value| family.clone().labelled(labels.clone(), value);
        match self {
            Count(count) => one(count as f64),
            Number(number) | Word(_, number) => one(number),
            Flag(is) => one(f64::from(u8::from(is))),
            Each(label, counts) => counts.into_iter().fold(family, |family, (value, count)| {
                let labels = [&labels[..], &[(label, value.to_owned())]].concat();
                family.labelled(labels, count as f64)
            }),
            Spread(durations) => family.spread(labels.clone(), &durations.buckets, durations.sum),
            Unknown => family,
        }
    }
}

impl From<Reading> for Value {
    fn from(reading: Reading) -> Self {
        match reading {
            Count(count) => count.into(),
            Number(number) => number.into(),
            Flag(is) => is.into(),
            Word(word, _) => word.into(),
            Each(_, counts) => {
                let pair = |(value, count): (&str, u64)| (value.to_owned(), count.into());
                Self::Object(counts.into_iter().map(pair).collect::<Map<_, _>>())
            }
            Spread(durations) => {
                let count: u64 = durations.buckets.iter().map(|(_, count)| count).sum();
                json!({ "count": count, "sum": durations.sum })
            }
            Unknown => Self::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Kind, Sample};

    fn is_told<T>(figures: &[Figure<T>], docs: &str) {
        for Figure { key, family, .. } in figures {
            let total = if family.kind == Kind::Counter {
                "_total"
            } else {
                ""
            };
            assert!(
                docs.contains(&format!("| `{}{total}` |", family.name)),
                "{}",
                family.name
            );
            assert!(docs.contains(&format!("`{key}`")), "{key}");
        }
    }

    #[test]
    fn every_figure_is_in_the_docs() {
        let docs = include_str!("../../docs/admin.md");
        is_told(&SERVER, docs);
        is_told(&ORIGIN, docs);
        is_told(&STORE, docs);
    }

    #[test]
    fn metrics_and_api_tell_the_same() {
        let figures: [Figure<u64>; 4] = [
            gauge("a", "copal_a", "", |it| Count(*it)),
            gauge("b", "copal_b", "", |it| {
                Each("by", vec![("x", *it), ("y", 0)])
            }),
            gauge("c", "copal_c", "", |it| Word("open", *it as f64)),
            gauge("d", "copal_d", "", |_| Unknown),
        ];
        let told = added(json!({"name": "it"}), &figures, &2);
        let expected = json!({"name": "it", "a": 2, "b": {"x": 2, "y": 0}, "c": "open", "d": null});
        assert_eq!(told, expected);

        let of = |labels: &[(&'static str, &str)], value| Sample {
            labels: labels
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            value,
        };
        let samples = families(&figures, &[(vec![("origin", "o".to_owned())], 2)]);
        let samples: Vec<_> = samples.into_iter().map(|it| it.samples).collect();
        let origin = ("origin", "o");
        let expected = [
            vec![of(&[origin], 2.0)],
            vec![
                of(&[origin, ("by", "x")], 2.0),
                of(&[origin, ("by", "y")], 0.0),
            ],
            vec![of(&[origin], 2.0)],
            vec![],
        ];
        assert_eq!(samples, expected);
    }
}
