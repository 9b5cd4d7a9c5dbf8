//! Dashboard: one page for people over the admin API, built in. It holds nothing secret, so it is served
//! to anybody; what it shows it asks for with the token that it is given.

use http::StatusCode;
use http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use super::Admin;
use super::answer::{Answer, answer, text};
use super::call::Call;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

static PAGE: &str = include_str!("dashboard/index.html");

/// What the page refers to, below `/dashboard/`.
static FILES: [(&str, &str, &str); 6] = [
    ("style.css", CSS, include_str!("dashboard/style.css")),
    ("main.js", SCRIPT, include_str!("dashboard/main.js")),
    ("api.js", SCRIPT, include_str!("dashboard/api.js")),
    ("figures.js", SCRIPT, include_str!("dashboard/figures.js")),
    ("show.js", SCRIPT, include_str!("dashboard/show.js")),
    ("forms.js", SCRIPT, include_str!("dashboard/forms.js")),
];

/// A page that runs its own scripts and no others, speaks to its own listener, and stands in no frame.
static GUARDS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
    (X_FRAME_OPTIONS, "DENY"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

pub(super) fn page(_: &Admin, _: &Call) -> Answer {
    guarded(answer(StatusCode::OK, HTML, PAGE.to_owned()))
}

pub(super) fn file(_: &Admin, call: &Call) -> Answer {
    let wanted = call.parameter("file");
    match FILES.iter().find(|(name, ..)| *name == wanted) {
        Some((_, kind, content)) => guarded(answer(StatusCode::OK, kind, (*content).to_owned())),
        None => text(StatusCode::NOT_FOUND, "the dashboard has no such file\n"),
    }
}

/// For a browser that has come to the root.
pub(super) fn elsewhere() -> Answer {
    let mut answer = text(StatusCode::SEE_OTHER, "/dashboard\n");
    let page = HeaderValue::from_static("/dashboard");
    answer.headers_mut().insert(LOCATION, page);
    answer
}

fn guarded(mut answer: Answer) -> Answer {
    for (name, value) in &GUARDS {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_its_scripts_refer_to_files_that_are_there() {
        let texts = FILES.iter().map(|(.., content)| *content).chain([PAGE]);
        let mut found = 0;
        for text in texts {
            for (before, after) in [("\"/dashboard/", '"'), ("from \"./", '"')] {
                for reference in text.split(before).skip(1) {
                    let name = reference.split(after).next().unwrap();
                    assert!(FILES.iter().any(|(it, ..)| *it == name), "{name}");
                    found += 1;
                }
            }
        }
        assert!(found >= FILES.len(), "{found}");
    }

    /// The policy forbids them, so a browser would leave them out.
    #[test]
    fn the_page_has_nothing_inline() {
        for inline in ["<style", " style=", " onclick", "javascript:", "<script>"] {
            assert!(!PAGE.contains(inline), "{inline}");
        }
    }
}
