//! `status_ttl` of `[cache]`: lifetimes by status.
//!
//! Not the choice among lifetimes, which is made for each response.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;

use crate::semantics::policy::Statuses;

use super::report::Report;
use super::units::Period;

/// Statuses and lifetimes as written; TOML makes text of a bare `404`.
pub(super) type RawStatusTtl = BTreeMap<Spanned<String>, Spanned<Period>>;

/// Lifetimes in the order in which they are looked at: single statuses before classes.
pub(super) fn resolve(raw: &RawStatusTtl, report: &mut Report) -> Vec<(Statuses, Duration)> {
    let mut lifetimes = Vec::new();
    for (text, period) in raw {
        match parse(text.get_ref()) {
            Ok(statuses) => lifetimes.push((statuses, period.get_ref().0)),
            Err(complaint) => report.at(text.span(), complaint),
        }
    }
    lifetimes.sort_by_key(|(statuses, _)| matches!(statuses, Statuses::Class(_)));
    lifetimes
}

/// What is written, or what is wrong with it and how to mend it.
fn parse(text: &str) -> Result<Statuses, &'static str> {
    const FORMS: &str = "is no status; write 404, or \"4xx\" for all that begin with a 4";
    let is_status = text.len() == 3 && text.bytes().all(|it| it.is_ascii_digit());
    match text {
        "2xx" => Ok(Statuses::Class(2)),
        "3xx" => Ok(Statuses::Class(3)),
        "4xx" => Ok(Statuses::Class(4)),
        "5xx" => Ok(Statuses::Class(5)),
        "1xx" => Err("is not the status of a final response (RFC 9110 §15.2); leave it out"),
        "206" => Err("has the lifetime of the response that it is a part of; write 200"),
        "304" => Err("has the lifetime of the response that it confirms; write 200"),
        _ if !is_status => Err(FORMS),
        _ => match text.parse() {
            Ok(status @ 200..=599) => Ok(Statuses::One(status)),
            _ => Err("is not the status of a final response; write 200 to 599"),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn statuses() {
        for (text, statuses) in [
            ("200", Some(Statuses::One(200))),
            ("404", Some(Statuses::One(404))),
            ("599", Some(Statuses::One(599))),
            ("2xx", Some(Statuses::Class(2))),
            ("5xx", Some(Statuses::Class(5))),
            // RFC 9110 §15.2: interim responses are never stored.
            ("100", None),
            ("1xx", None),
            // RFC 9111 §3.3 and §4.3.4: parts and confirmations of another response.
            ("206", None),
            ("304", None),
            ("600", None),
            ("6xx", None),
            ("4XX", None),
            ("4x", None),
            ("0404", None),
            ("+40", None),
            ("any", None),
            ("", None),
        ] {
            assert_eq!(parse(text).ok(), statuses, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_status_or_complained_of(text in "\\PC{0,4}|[0-9x]{0,4}") {
            let is_known = parse(&text).is_ok();
            prop_assert!(!is_known || text.len() == 3);
        }
    }
}
