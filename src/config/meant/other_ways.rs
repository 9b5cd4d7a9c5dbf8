//! Sizes and durations as they are written elsewhere: `1.5h`, `1h30m`, `64k`, `10 minutes`.

/// Units of time by the names they have elsewhere, and ours, in milliseconds.
const TIMES: [(&[&str], u64); 7] = [
    (
        &[
            "ms",
            "msec",
            "msecs",
            "millis",
            "millisecond",
            "milliseconds",
        ],
        1,
    ),
    (&["s", "sec", "secs", "second", "seconds"], 1_000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600_000),
    (&["d", "day", "days"], 86_400_000),
    (&["w", "week", "weeks"], 604_800_000),
    (&["y", "yr", "year", "years"], 31_536_000_000),
];

/// The units that are written here, largest first.
const TIMES_HERE: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

const BINARY: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

const DECIMAL: [(&str, u64); 5] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// More pieces make no duration that anybody writes.
const PIECES_MAX: usize = 8;

/// What is said of a duration that is written as elsewhere; `None` where it makes no sense.
pub(in crate::config) fn period(text: &str) -> Option<String> {
    let mut rest = text.trim();
    let mut millis = 0_u64;
    for _ in 0..PIECES_MAX {
        if rest.is_empty() {
            break;
        }
        let (number, unit, next) = piece(rest)?;
        let names_it = |it: &&(&[&str], u64)| it.0.contains(&&unit.to_ascii_lowercase()[..]);
        let factor = TIMES.iter().find(names_it)?.1;
        millis = millis.checked_add(number.times(factor)?)?;
        rest = next.trim_start();
    }
    let whole = (rest.is_empty() && millis > 0).then(|| in_units(millis, &TIMES_HERE))?;
    Some(format!(
        "takes one whole number with ms, s, m, h or d; write \"{whole}\""
    ))
}

/// What is said of a size that is written as elsewhere; `None` where it makes no sense.
pub(in crate::config) fn size(text: &str) -> Option<String> {
    let (number, unit, rest) = piece(text.trim())?;
    if !rest.is_empty() {
        return None;
    }
    let lower = unit.to_ascii_lowercase();
    let letter = lower.chars().next()?;
    let at = |units: &[(&str, u64)]| {
        let mut found = units.iter();
        found
            .find(|it| it.0.to_ascii_lowercase().starts_with(letter))
            .map(|it| it.1)
    };
    let binary = || Some(in_units(number.times(at(&BINARY)?)?, &BINARY));
    let decimal = || Some(in_units(number.times(at(&DECIMAL)?)?, &DECIMAL));
    let is_letter = "kmgt".contains(letter);
    match &lower[1..] {
        // One who writes the whole unit has said of which powers.
        "ib" if is_letter => Some(whole_size(&binary()?)),
        "b" if is_letter
            && unit.ends_with('B')
            && unit.starts_with(|it: char| it.is_uppercase()) =>
        {
            Some(whole_size(&decimal()?))
        }
        "i" if is_letter => Some(format!("unknown unit `{unit}`; write \"{}\"", binary()?)),
        "" | "b" if is_letter => Some(format!(
            "does not say of which powers; write \"{}\" (of 1024) or \"{}\" (of 1000)",
            binary()?,
            decimal()?
        )),
        _ => None,
    }
}

fn whole_size(size: &str) -> String {
    format!("takes a whole number with its unit; write \"{size}\"")
}

/// The number at the front of a text, the unit behind it, and the rest.
fn piece(text: &str) -> Option<(Number<'_>, &str, &str)> {
    let digits = |it: &str| it.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, mut rest) = text.split_at(digits(text));
    let mut part = "";
    if let Some(behind) = rest.strip_prefix(['.', ',']) {
        (part, rest) = behind.split_at(digits(behind));
    }
    let rest = rest.trim_start();
    let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (unit, rest) = rest.split_at(letters);
    let is_number = !whole.is_empty() && whole.len() <= 12 && part.len() <= 6;
    (is_number && !unit.is_empty()).then_some((Number { whole, part }, unit, rest))
}

/// A number with perhaps a part behind its point.
struct Number<'a> {
    whole: &'a str,
    part: &'a str,
}

// === impl Number ===

impl Number<'_> {
    /// So many times `factor`, if that is a whole number.
    fn times(&self, factor: u64) -> Option<u64> {
        let whole = self.whole.parse::<u64>().ok()?.checked_mul(factor)?;
        if self.part.is_empty() {
            return Some(whole);
        }
        // At most six digits.
        let scale = 10_u64.pow(u32::try_from(self.part.len()).ok()?);
        let part = self.part.parse::<u64>().ok()?.checked_mul(factor)?;
        let is_whole = part.is_multiple_of(scale);
        is_whole.then(|| whole.checked_add(part / scale))?
    }
}

/// In the largest of these units of which it is a whole number.
fn in_units(amount: u64, units: &[(&str, u64)]) -> String {
    let fitting = units.iter().find(|(_, unit)| amount.is_multiple_of(*unit));
    fitting.map_or_else(String::new, |(name, unit)| {
        format!("{}{name}", amount / unit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_of_elsewhere() {
        for (text, meant) in [
            ("1.5h", Some("90m")),
            ("1h30m", Some("90m")),
            ("0.5s", Some("500ms")),
            ("10 minutes", Some("10m")),
            ("30sec", Some("30s")),
            ("2w", Some("14d")),
            ("1 year", Some("365d")),
            ("1m 30s", Some("90s")),
            ("1,5h", Some("90m")),
            ("5x", None),
            ("1.23456ms", None),
            ("s", None),
            ("-1s", None),
            ("1hm", None),
            ("", None),
        ] {
            let said = period(text);
            let wanted = meant.map(|it| format!("; write \"{it}\""));
            let is_right = match (&said, wanted) {
                (Some(said), Some(wanted)) => said.ends_with(&wanted),
                (said, wanted) => said.is_none() && wanted.is_none(),
            };
            assert!(is_right, "{text}: {said:?}");
        }
    }

    #[test]
    fn sizes_of_elsewhere() {
        for (text, meant) in [
            ("64k", Some("\"64KiB\" (of 1024) or \"64KB\" (of 1000)")),
            ("10m", Some("\"10MiB\" (of 1024) or \"10MB\" (of 1000)")),
            ("1g", Some("\"1GiB\" (of 1024) or \"1GB\" (of 1000)")),
            ("512mb", Some("\"512MiB\" (of 1024) or \"512MB\" (of 1000)")),
            ("512Mi", Some("\"512MiB\"")),
            ("1.5GiB", Some("\"1536MiB\"")),
            ("1.5GB", Some("\"1500MB\"")),
            ("1 x", None),
            ("MiB", None),
            ("1MiB1KiB", None),
            ("", None),
        ] {
            let said = size(text);
            let is_right = match (&said, meant) {
                (Some(said), Some(meant)) => said.ends_with(meant),
                (said, meant) => said.is_none() && meant.is_none(),
            };
            assert!(is_right, "{text}: {said:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_left(text in any::<String>()) {
            let _ = (period(&text), size(&text));
        }
    }
}
