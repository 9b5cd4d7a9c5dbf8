//! `requests_max` of `[origins.NAME]`: how many requests a server may have in flight.
//!
//! Not the requests that wait, nor how a bound follows latency.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

use super::report::{Given, Report};

const REQUESTS_MAX: u64 = 1_000_000;

/// How many requests a server may have in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestsMax {
    /// As many as it may have connections.
    Unlimited,
    /// So many.
    Fixed(u32),
    /// As many as its latency says that it can bear.
    Adaptive,
}

/// `requests_max` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RawRequestsMax {
    Count(u64),
    Text(String),
}

impl<'de> Deserialize<'de> for RawRequestsMax {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parse;
        impl Visitor<'_> for Parse {
            type Value = RawRequestsMax;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 0 up or \"adaptive\"")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<RawRequestsMax, E> {
                let negative = |_| E::invalid_value(Unexpected::Signed(number), &self);
                u64::try_from(number)
                    .map(RawRequestsMax::Count)
                    .map_err(negative)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawRequestsMax, E> {
                Ok(RawRequestsMax::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Parse)
    }
}

/// What is written, or no bound.
pub(super) fn resolve(given: &Given<RawRequestsMax>, report: &mut Report) -> RequestsMax {
    let Some(given) = given else {
        return RequestsMax::Unlimited;
    };
    let complaint = match given.get_ref() {
        RawRequestsMax::Count(0) => return RequestsMax::Unlimited,
        RawRequestsMax::Count(count) => match u32::try_from(*count) {
            Ok(count) if u64::from(count) <= REQUESTS_MAX => return RequestsMax::Fixed(count),
            _ => format!("is out of limits; write 0 to {REQUESTS_MAX}"),
        },
        RawRequestsMax::Text(text) if text == "adaptive" => return RequestsMax::Adaptive,
        RawRequestsMax::Text(text) if text.parse::<u64>().is_ok() => {
            format!("is a number in quotes; write {text} without them")
        }
        RawRequestsMax::Text(text) => {
            format!("`{text}` is not known; write a whole number or \"adaptive\"")
        }
    };
    report.at(given.span(), complaint);
    RequestsMax::Unlimited
}
