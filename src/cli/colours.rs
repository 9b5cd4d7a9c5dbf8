//! Colours of what is written to a terminal: whether they are wanted.

use std::env;
use std::ffi::OsStr;
use std::io::IsTerminal;

/// Whether `stream` may have them.
pub(super) fn are_wanted(stream: &impl IsTerminal) -> bool {
    let [no_colour, terminal] = ["NO_COLOR", "TERM"].map(env::var_os);
    stream.is_terminal() && allowed(no_colour.as_deref(), terminal.as_deref())
}

/// "Command-line software which adds ANSI color to its output by default should check for a NO_COLOR
/// environment variable that, when present and not an empty string (regardless of its value), prevents
/// the addition of ANSI color." (no-color.org)
fn allowed(no_colour: Option<&OsStr>, terminal: Option<&OsStr>) -> bool {
    no_colour.is_none_or(OsStr::is_empty) && terminal.is_none_or(|it| it != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_may_forbid_them() {
        for (no_colour, terminal, expected) in [
            (None, None, true),
            (None, Some("xterm-256color"), true),
            (Some(""), Some("xterm"), true),
            (Some("1"), Some("xterm"), false),
            (Some("0"), None, false),
            (None, Some("dumb"), false),
        ] {
            let found = allowed(no_colour.map(OsStr::new), terminal.map(OsStr::new));
            assert_eq!(found, expected, "{no_colour:?} {terminal:?}");
        }
    }
}
