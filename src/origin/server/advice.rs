//! Agent's word on its server, in one line: HAProxy's agent-check protocol.
//!
//! Words stand between spaces, tabs and commas, in any letter case. "Parameters which are not
//! advertised by the agent are not changed" (HAProxy, `agent-check`). Who asks is in
//! `health/agent.rs`, and what follows in `standing.rs`.

use std::fmt;

use super::state::State;

/// The largest share of its weight that an agent may give its server, in per cent: the largest
/// weight there is for the smallest (HAProxy's limit as well).
const PERCENT_MAX: u32 = 25_600;
/// As much of a reason as is kept.
const REASON_BYTES_MAX: usize = 80;

/// All that an agent has said which holds at this moment. "Only the agent may revert its own
/// actions" (HAProxy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::origin) struct Advice {
    /// The share of its weight that the server should have, in per cent.
    pub(in crate::origin) percent: Option<u32>,
    pub(in crate::origin) requests_max: Option<u32>,
    pub(in crate::origin) state: Option<State>,
    pub(in crate::origin) down: Option<Downed>,
}

/// One line of an agent; what it does not mention is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::origin) struct Said {
    /// `75%`: the share of its weight.
    pub(in crate::origin) percent: Option<u32>,
    /// `maxconn:30`: requests that it takes at once; 0 for no limit.
    pub(in crate::origin) requests_max: Option<u32>,
    /// `ready`, `drain` or `maint`.
    pub(in crate::origin) state: Option<State>,
    /// `up`, or that it is not.
    pub(in crate::origin) health: Option<Health>,
    /// Whether there were words that are not of the protocol.
    pub(in crate::origin) is_garbled: bool,
}

/// Whether a server serves, by its agent's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::origin) enum Health {
    Up,
    Down(Downed),
}

/// How an agent says that its server does not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downed {
    word: Word,
    reason: Reason,
}

/// The three words have one effect; the difference is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Down,
    Fail,
    Stopped,
}

/// A short text in place, so that a verdict stays a plain value: printable ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reason {
    bytes: [u8; REASON_BYTES_MAX],
    len: usize,
}

/// The bytes up to the end of the line, read as words.
pub(in crate::origin) fn parse(line: &[u8]) -> Said {
    let end = line.iter().position(|it| matches!(it, b'\r' | b'\n' | 0));
    let line = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
    // "optionally followed by a description string after a sharp ('#')".
    let mut halves = line.splitn(2, |it| *it == b'#');
    let (words, reason) = (halves.next().unwrap_or_default(), halves.next());
    let reason = Reason::of(reason.unwrap_or_default());
    let mut said = Said::default();
    for word in words.split(|it| matches!(it, b' ' | b'\t' | b',')) {
        if !word.is_empty() && !said.hear(&word.to_ascii_lowercase(), reason) {
            said.is_garbled = true;
        }
    }
    said
}

// === impl Advice ===

impl Advice {
    /// Takes in what was said; what was not stays.
    pub(in crate::origin) fn heed(&mut self, said: &Said) {
        self.percent = said.percent.or(self.percent);
        self.requests_max = said.requests_max.or(self.requests_max);
        self.state = said.state.or(self.state);
        match said.health {
            None => {}
            Some(Health::Up) => self.down = None,
            Some(Health::Down(downed)) => self.down = Some(downed),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            self.percent.map(|it| format!("{it}%")),
            self.requests_max.map(|it| format!("maxconn:{it}")),
            self.state.map(|it| it.as_str().to_owned()),
            self.down.map(|it| it.to_string()),
        ];
        let words: Vec<_> = words.into_iter().flatten().collect();
        f.write_str(&words.join(", "))
    }
}

// === impl Said ===

impl Said {
    /// Whether it says nothing at all.
    pub(in crate::origin) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Of words that contradict each other the last counts. False for one that is not known.
    fn hear(&mut self, word: &[u8], reason: Reason) -> bool {
        let down = |word| Some(Health::Down(Downed { word, reason }));
        match word {
            b"ready" => self.state = Some(State::Ready),
            b"drain" => self.state = Some(State::Drain),
            b"maint" => self.state = Some(State::Maintenance),
            b"up" => self.health = Some(Health::Up),
            b"down" => self.health = down(Word::Down),
            b"fail" => self.health = down(Word::Fail),
            b"stopped" => self.health = down(Word::Stopped),
            _ => return self.hear_number(word),
        }
        true
    }

    fn hear_number(&mut self, word: &[u8]) -> bool {
        let percent = word.strip_suffix(b"%").and_then(number);
        let percent = percent.filter(|it| *it <= PERCENT_MAX);
        let requests_max = word.strip_prefix(b"maxconn:").and_then(number);
        self.percent = percent.or(self.percent);
        self.requests_max = requests_max.or(self.requests_max);
        percent.or(requests_max).is_some()
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    let is_number = digits.iter().all(u8::is_ascii_digit);
    // Digits are ASCII; none at all is no number.
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| is_number)?
        .parse()
        .ok()
}

// === impl Downed ===

impl fmt::Display for Downed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.word {
            Word::Down => "down",
            Word::Fail => "fail",
            Word::Stopped => "stopped",
        };
        match self.reason.as_str() {
            "" => f.write_str(word),
            reason => write!(f, "{word}, {reason}"),
        }
    }
}

// === impl Reason ===

impl Reason {
    fn of(text: &[u8]) -> Self {
        let mut bytes = [0; REASON_BYTES_MAX];
        let text = text.trim_ascii();
        for (place, byte) in bytes.iter_mut().zip(text) {
            let is_plain = byte.is_ascii_graphic() || *byte == b' ';
            *place = if is_plain { *byte } else { b'?' };
        }
        let len = text.len().min(REASON_BYTES_MAX);
        Self { bytes, len }
    }

    fn as_str(&self) -> &str {
        let text = self.bytes.get(..self.len).unwrap_or_default();
        // All of it is ASCII.
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn down(word: Word, reason: &str) -> Option<Health> {
        let reason = Reason::of(reason.as_bytes());
        Some(Health::Down(Downed { word, reason }))
    }

    #[test]
    fn advice_is_what_was_said_last_of_each_thing() {
        let mut advice = Advice::default();
        for (line, words) in [
            ("75%", "75%"),
            ("maxconn:30 drain", "75%, maxconn:30, drain"),
            ("down #disk", "75%, maxconn:30, drain, down, disk"),
            ("50% ready", "50%, maxconn:30, ready, down, disk"),
            ("stopped", "50%, maxconn:30, ready, stopped"),
            ("up 100%", "100%, maxconn:30, ready"),
        ] {
            advice.heed(&parse(line.as_bytes()));
            assert_eq!(advice.to_string(), words, "{line}");
        }
    }

    #[test]
    fn lines_of_the_protocol() {
        let nothing = Said::default();
        let percent = |percent| Said {
            percent: Some(percent),
            ..nothing
        };
        let requests_max = |requests_max| Said {
            requests_max: Some(requests_max),
            ..nothing
        };
        let state = |state| Said {
            state: Some(state),
            ..nothing
        };
        let health = |health| Said { health, ..nothing };
        let garbled = Said {
            is_garbled: true,
            ..nothing
        };
        for (line, said) in [
            ("75%\n", percent(75)),
            ("0%", percent(0)),
            ("150%\r\n", percent(150)),
            ("25600%", percent(25_600)),
            ("25601%", garbled),
            ("99999999999%", garbled),
            ("75", garbled),
            ("%", garbled),
            ("-5%", garbled),
            ("+5%", garbled),
            ("maxconn:30\n", requests_max(30)),
            ("MAXCONN:0\n", requests_max(0)),
            ("maxconn:", garbled),
            ("maxconn:many", garbled),
            ("maxconn: 30", garbled),
            ("ready\n", state(State::Ready)),
            ("drain\n", state(State::Drain)),
            ("Maint\n", state(State::Maintenance)),
            ("up\n", health(Some(Health::Up))),
            ("down\n", health(down(Word::Down, ""))),
            (
                "fail #no disk left\n",
                health(down(Word::Fail, "no disk left")),
            ),
            (
                "stopped#  by hand \n",
                health(down(Word::Stopped, "by hand")),
            ),
            ("down # \u{7}a#b", health(down(Word::Down, "?a#b"))),
            ("down up\n", health(Some(Health::Up))),
            ("", nothing),
            (" ,\t\n", nothing),
            ("# well\n", nothing),
            ("hello\n", garbled),
            ("\n75%", nothing),
        ] {
            assert_eq!(parse(line.as_bytes()), said, "{line:?}");
        }
    }

    #[test]
    fn one_line_may_say_many_things() {
        let said = parse(b"up ready, 75%\tmaxconn:30 hello 50% # fine\n");
        let expected = Said {
            percent: Some(50),
            requests_max: Some(30),
            state: Some(State::Ready),
            health: Some(Health::Up),
            is_garbled: true,
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn a_reason_is_cut_where_it_is_too_long() {
        let said = parse(format!("fail #{}", "x".repeat(500)).as_bytes());
        let Some(Health::Down(downed)) = said.health else {
            panic!("{said:?}");
        };
        assert_eq!(downed.to_string(), format!("fail, {}", "x".repeat(80)));
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in prop::collection::vec(any::<u8>(), 0..300)) {
            let said = parse(&line);
            prop_assert!(said.percent.is_none_or(|it| it <= PERCENT_MAX));
            if let Some(Health::Down(downed)) = said.health {
                prop_assert!(downed.to_string().bytes().all(|it| (32..127).contains(&it)));
            }
        }

        #[test]
        fn any_words_are_read(line in "([a-z:#%, \t]|[0-9]|maxconn:|down|up|drain){0,20}") {
            let (said, upper) = (parse(line.as_bytes()), line.to_ascii_uppercase());
            let (words, _) = upper.split_once('#').unwrap_or((&upper, ""));
            prop_assert_eq!(parse(words.as_bytes()).percent, said.percent);
            prop_assert_eq!(parse(words.as_bytes()).state, said.state);
        }
    }
}
