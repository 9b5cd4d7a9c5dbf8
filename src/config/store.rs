//! `[store]`: how much is kept, and how long requests wait for each other.
//!
//! Not by which rules responses are kept (`cache.rs`).

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use super::report::{Given, Report};
use super::units::{self, Count, KIB, MIB, Period, Size};

const MEMORY: RangeInclusive<u64> = 64 * KIB..=1 << 50;
/// The store weighs an object in 32 bits; the last MiB is for its head.
const OBJECT: RangeInclusive<u64> = 1..=4095 * MIB;
const FILL_MEMORY: RangeInclusive<u64> = MIB..=1 << 50;
const VARIANTS: RangeInclusive<usize> = 1..=10_000;
const FOLLOWERS: RangeInclusive<usize> = 0..=1_000_000;
const HIT_FOR_MISS: RangeInclusive<usize> = 0..=100_000_000;

/// How much is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// For complete objects: bodies, heads, keys and index.
    pub memory_bytes: u64,
    /// A larger response is streamed through and not kept.
    pub object_bytes_max: u64,
    /// For objects that are still arriving.
    pub fill_bytes_max: u64,
    /// Responses kept for one URL whose Vary tells them apart (RFC 9111 §4.1).
    pub variants_max: usize,
    /// Requests that may wait for one request to the origin.
    pub followers_max: usize,
    /// How long they wait for its head before they ask themselves.
    pub follower_timeout: Duration,
    /// How long a URL is remembered as not shareable.
    pub hit_for_miss: Duration,
    /// How many such URLs are remembered.
    pub hit_for_miss_max: u64,
    /// Whether a fill goes on when the client that caused it has left.
    pub finish_fill: bool,
}

/// `[store]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStore {
    pub(super) memory: Given<Size>,
    object_max: Given<Size>,
    fill_memory: Given<Size>,
    variants_max: Given<Count>,
    followers_max: Given<Count>,
    follower_timeout: Given<Period>,
    hit_for_miss: Given<Period>,
    hit_for_miss_max: Given<Count>,
    finish_fill: Option<bool>,
}

// === impl RawStore ===

impl RawStore {
    pub(super) fn resolve(&self, report: &mut Report) -> Store {
        let memory_bytes = units::bytes(&self.memory, 256 * MIB, MEMORY, report);
        let (object_bytes_max, fill_bytes_max) = self.resolve_limits(memory_bytes, report);
        let hit_for_miss_max =
            units::count(&self.hit_for_miss_max, 65_536, HIT_FOR_MISS, report) as u64;
        Store {
            memory_bytes,
            object_bytes_max,
            fill_bytes_max,
            variants_max: units::count(&self.variants_max, 32, VARIANTS, report),
            followers_max: units::count(&self.followers_max, 10_000, FOLLOWERS, report),
            follower_timeout: units::timeout(&self.follower_timeout, 70, report),
            hit_for_miss: units::period(&self.hit_for_miss, Duration::from_secs(120)),
            hit_for_miss_max,
            finish_fill: self.finish_fill.unwrap_or(true),
        }
    }

    /// `object_max` and `fill_memory`: each default gives way to the other's written value, since
    /// an object must have room while it arrives.
    fn resolve_limits(&self, memory: u64, report: &mut Report) -> (u64, u64) {
        let written = |given: &Given<Size>| given.as_ref().map(|it| it.get_ref().0);
        let default_fill = (memory / 4)
            .max(written(&self.object_max).unwrap_or(MIB))
            .max(MIB);
        let fill = units::bytes(&self.fill_memory, default_fill, FILL_MEMORY, report);
        let default_object = (memory / 8).min(fill).min(*OBJECT.end());
        let object = units::bytes(&self.object_max, default_object, OBJECT, report);
        if let Some(given) = &self.object_max {
            if object > memory {
                report.at(
                    given.span(),
                    "is more than `memory`; lower it or raise that",
                );
            } else if object > fill {
                let text = "is more than `fill_memory`, so that it could never arrive; raise that";
                report.at(given.span(), text);
            }
        }
        (object, fill)
    }
}
