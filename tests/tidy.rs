//! The border guard: the rules of docs/architecture.md and docs/style.md that a machine can check.
//! Each rule is one test over the text of `src`, and what it allows is data at the top. It is not
//! a Rust parser: it knows strings, comments, braces and paths, and leaves the rest to clippy.

// A test binary exports nothing: `pub` here only means "beyond this file".
#![allow(unreachable_pub)]

#[path = "tidy/links.rs"]
mod links;
#[path = "tidy/packaging.rs"]
mod packaging;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/scanner.rs"]
mod scanner;
#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rooms::Imports;
use source::Source;

/// Which floors a floor may import. Imports point down; who is not listed may import all.
const FLOORS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("semantics", &[]),
    ("lists", &["semantics"]),
    ("rules", &["semantics", "lists"]),
    ("config", &["semantics", "lists", "rules"]),
    ("telemetry", &["semantics", "config"]),
    ("acme", &["clock", "config", "telemetry"]),
    ("body", &["clock", "semantics", "config"]),
    ("origin", &["clock", "semantics", "body", "config"]),
    ("store", &["clock", "semantics", "body", "config"]),
    (
        "pipeline",
        &[
            "clock",
            "semantics",
            "body",
            "origin",
            "store",
            "telemetry",
            "config",
            "lists",
            "rules",
        ],
    ),
    (
        "server",
        &[
            "clock",
            "semantics",
            "pipeline",
            "body",
            "acme",
            "telemetry",
            "config",
        ],
    ),
    (
        "admin",
        &[
            "clock",
            "semantics",
            "origin",
            "store",
            "pipeline",
            "telemetry",
            "config",
        ],
    ),
];

/// Imports of single files beyond their floor's.
const FILES: &[(&str, &[&str])] = &[("server/tcp.rs", &["origin"])];

/// Floors that belong to the binary's top; nothing below may name them.
const TOP: &[&str] = &["app", "cli"];

/// A path and the only places in `src` that may name it. A place that ends in `/` is a folder, one
/// that begins with `*` an ending. Patterns of one segment are crates; longer ones match anywhere.
const DOORS: &[(&str, &[&str])] = &[
    ("hyper", HYPER),
    ("hyper_util", HYPER),
    ("h2", &["origin/connect/", "server/http2/"]),
    ("moka", &["store/moka/"]),
    ("http_cache_semantics", &["semantics/policy.rs"]),
    ("clap", &["main.rs", "cli/"]),
    ("hickory_resolver", &["origin/resolve/resolver.rs"]),
    (
        "rustls",
        &[
            "*/tls.rs",
            "server/tls/",
            "acme/caller.rs",
            "acme/challenges.rs",
            "config/authority.rs",
            "config/origin_tls.rs",
            "config/pair.rs",
            "config/pem.rs",
            "config/tls_names.rs",
        ],
    ),
    (
        "tokio_rustls",
        &["*/tls.rs", "server/tls/", "acme/caller.rs"],
    ),
    ("instant_acme", &["acme/"]),
    ("rcgen", &["acme/challenges.rs", "acme/order.rs"]),
    ("base64", &["config/authority.rs", "pipeline/login.rs"]),
    ("regex", &["rules/", "store/pattern.rs"]),
    (
        "bcrypt",
        &["config/gate/basic_auth.rs", "pipeline/login.rs"],
    ),
    ("x509_parser", &["config/pair.rs"]),
    ("notify", &["server/tls/notice.rs"]),
    ("toml", &["config/", "cli/test/cases.rs"]),
    ("serde_json", &["admin/", "cli/", "acme/"]),
    ("sd_notify", &["app/service_manager.rs"]),
    (
        "arc_swap",
        &[
            "pipeline/site.rs",
            "origin/health/servers.rs",
            "telemetry/mod.rs",
        ],
    ),
    (
        "governor",
        &["pipeline/route/limit.rs", "pipeline/route/buckets.rs"],
    ),
    ("SystemTime::now", &["clock.rs"]),
    ("Instant::now", &["clock.rs"]),
    ("std::time::Instant", &["clock.rs"]),
    ("tokio::time::Instant", &["clock.rs"]),
];

const HYPER: &[&str] = &[
    "server/http.rs",
    "server/unread.rs",
    "server/park.rs",
    "server/io.rs",
    "server/settings.rs",
    "admin/mod.rs",
    "origin/connect/",
    "origin/health/probe.rs",
    "cli/client.rs",
    "cli/demo/",
    "cli/test/",
    "acme/caller.rs",
];

/// Crates a floor never uses, whatever its imports: the ground decides, and waits for nothing.
const NEVER: &[(&str, &str)] = &[("semantics", "tokio")];

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 500;

/// Files that may be longer than [`FILE_LINES_MAX`], each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Words that say what is asked, where a header's first sentence is to name the thing.
const QUESTIONS: &[&str] = &[
    "How", "What", "Whatever", "When", "Where", "Whether", "Which", "Who", "Whoever", "Whom",
    "Whose", "Why",
];

/// Macros that must not reach a user.
const BANNED_MACROS: &[&str] = &["todo", "unimplemented", "dbg"];

// --- the rules -----------------------------------------------------------------------------------

#[test]
fn imports_point_down() {
    for_all_files(|file, found| {
        let Some((_, below)) = FLOORS.iter().find(|(floor, _)| *floor == file.floor()) else {
            return;
        };
        let also = FILES
            .iter()
            .find(|(path, _)| *path == file.path)
            .map_or(&[][..], |it| it.1);
        for (line, floor) in file.own_imports() {
            let known = FLOORS.iter().any(|it| it.0 == floor) || TOP.contains(&floor.as_str());
            let allowed = floor == file.floor()
                || below.contains(&floor.as_str())
                || also.contains(&floor.as_str());
            if known && !allowed {
                found.push(file.at(line, &format!("{} must not import {floor}", file.floor())));
            }
        }
    });
}

#[test]
fn rooms_import_only_those_before_them() {
    let imports = Imports::of(&sources());
    let unknown = imports.unknown_rooms();
    assert!(unknown.is_empty(), "in no table: {unknown:?}");
    let found = imports.against_order();
    let excused = |(file, _, room): &&(String, usize, String)| {
        let row = (file.as_str(), room.as_str());
        rooms::AGAINST_ORDER.contains(&row)
    };
    let bad: Vec<_> = found.iter().filter(|it| !excused(it)).collect();
    assert!(
        bad.is_empty(),
        "imports against the order of rooms: {bad:#?}"
    );
    for (file, room) in rooms::AGAINST_ORDER {
        let is_used = found.iter().any(|it| it.0 == *file && it.2 == *room);
        assert!(is_used, "{file} needs no excuse for {room} any more");
    }
}

#[test]
fn no_files_stand_in_a_circle_but_the_request_machine() {
    let circles = Imports::of(&sources()).circles();
    for circle in &circles {
        let is_machine = circle.iter().all(|it| rooms::is_machine(it));
        let mut knots = rooms::KNOTS.iter();
        let is_known = knots.any(|knot| circle.iter().all(|it| knot.contains(&it.as_str())));
        assert!(
            is_machine || is_known,
            "these import one another: {circle:#?}"
        );
    }
    for file in rooms::KNOTS.iter().copied().flatten() {
        let is_tied = circles.iter().any(|it| it.contains(*file));
        assert!(is_tied, "{file} is in no circle any more");
    }
}

#[test]
fn the_root_is_reached_by_name_so_that_imports_can_be_seen() {
    for_all_files(|file, found| {
        for path in file.shipped_paths() {
            let supers = path.segments.iter().take_while(|it| *it == "super").count();
            if supers > 0 && supers >= file.depth() {
                found.push(file.at(path.line, "reaches the root by `super`: write `crate::`"));
            }
        }
    });
}

#[test]
fn some_crates_have_one_door() {
    for_all_files(|file, found| {
        for path in file.shipped_paths() {
            for (pattern, places) in DOORS {
                if path.names(pattern) && !places.iter().any(|place| file.is_in(place)) {
                    found.push(file.at(path.line, &format!("{pattern} belongs in {places:?}")));
                }
            }
        }
    });
}

#[test]
fn the_ground_waits_for_nothing() {
    for_all_files(|file, found| {
        for path in file.shipped_paths() {
            for (floor, never) in NEVER {
                if file.floor() == *floor && path.names(never) {
                    found.push(file.at(path.line, &format!("{floor} never uses {never}")));
                }
            }
        }
    });
}

#[test]
fn functions_fit_on_a_screen() {
    for_all_files(|file, found| {
        for (name, lines) in file.functions() {
            let count = lines.end() - lines.start() + 1;
            if count > FUNCTION_LINES_MAX {
                found.push(file.at(*lines.start(), &format!("fn {name} has {count} lines")));
            }
        }
    });
}

#[test]
fn files_stay_short_without_their_tests() {
    for_all_files(|file, found| {
        let count = file.text.lines().count() - file.test_lines();
        let excused = LONG_FILES.iter().any(|(path, _)| *path == file.path);
        if count > FILE_LINES_MAX && !excused {
            found.push(file.at(1, &format!("{count} lines without tests")));
        }
    });
}

#[test]
fn long_files_are_excused_only_while_they_are_long() {
    let files = sources();
    for (path, _) in LONG_FILES {
        let file = files.iter().find(|file| file.path == *path);
        let count = file.map_or(0, |it| it.text.lines().count() - it.test_lines());
        assert!(count > FILE_LINES_MAX, "{path} needs no excuse any more");
    }
}

#[test]
fn every_file_says_what_it_is() {
    for_all_files(|file, found| {
        if !file.text.starts_with("//!") {
            found.push(file.at(1, "does not open with `//!`"));
        }
    });
}

/// docs/style.md: the first sentence of a header names the thing in its field's words.
#[test]
fn headers_begin_with_a_noun() {
    for_all_files(|file, found| {
        let header = file.text.trim_start_matches("//!");
        let first = header.split_whitespace().next().unwrap_or_default();
        if QUESTIONS.contains(&first) {
            found.push(file.at(1, &format!("begins with {first}: name the thing")));
        }
    });
}

/// So a reader finds all of a folder from its `mod.rs`, and no file is left over.
#[test]
fn every_folder_names_its_files() {
    let files = sources();
    for_all_files(|file, found| {
        let module = file.module();
        let Some((name, folder)) = module.split_last() else {
            return;
        };
        let owner = match folder.is_empty() {
            true => "lib.rs".to_owned(),
            false => format!("{}/mod.rs", folder.join("/")),
        };
        let owner = files.iter().find(|it| it.path == owner);
        let is_named = owner.is_some_and(|it| it.text.contains(&format!("mod {name};")));
        if !is_named && !["lib", "main"].contains(&name.as_str()) {
            found.push(file.at(1, "is named by no `mod.rs` of its folder"));
        }
    });
}

#[test]
fn every_folder_has_its_line_in_the_architecture() {
    let architecture = read("docs/architecture.md");
    let folders: BTreeSet<_> = sources().iter().filter_map(Source::folder).collect();
    let missing: Vec<_> = folders
        .iter()
        .filter(|it| !architecture.contains(it.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/architecture.md says nothing of {missing:?}"
    );
}

#[test]
fn every_step_is_in_the_journey() {
    let journey = read("docs/journey.md");
    let files = sources();
    let flow = files
        .iter()
        .find(|it| it.path == "pipeline/flow.rs")
        .expect("pipeline/flow.rs");
    let steps = flow.enum_variants("Step");
    assert!(
        steps.len() > 2,
        "no enum Step in pipeline/flow.rs: {steps:?}"
    );
    let missing: Vec<_> = steps.iter().filter(|it| !has_word(&journey, it)).collect();
    assert!(
        missing.is_empty(),
        "docs/journey.md says nothing of {missing:?}"
    );
}

/// Where it says `theme::name`, that is a test in tests/journeys/theme.rs.
#[test]
fn every_story_that_the_table_of_faults_names_is_there() {
    let faults = read("docs/faults.md");
    let code = faults.split('`').skip(1).step_by(2);
    let stories: Vec<_> = code.filter_map(|it| it.rsplit_once("::")).collect();
    assert!(stories.len() > 50, "only {} stories", stories.len());
    let is_missing = |(theme, name): &(&str, &str)| {
        let stories = read(&format!("tests/journeys/{}.rs", theme.replace("::", "/")));
        !stories.contains(&format!("async fn {name}() {{"))
    };
    let missing: Vec<_> = stories.into_iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "docs/faults.md names {missing:?}");
}

#[test]
fn every_config_key_is_in_the_example_and_in_the_docs() {
    let documents = ["config.toml.example", "docs/config.md"].map(|path| (path, read(path)));
    let mut keys = 0;
    for_all_files(|file, found| {
        for (line, key) in file
            .deserialized_fields()
            .filter(|_| file.floor() == "config")
        {
            keys += 1;
            let missing = documents.iter().filter(|(_, text)| !has_word(text, &key));
            found.extend(missing.map(|(path, _)| file.at(line, &format!("`{key}` not in {path}"))));
        }
    });
    assert!(
        keys > 20,
        "only {keys} fields of #[derive(Deserialize)] structs found in config"
    );
}

#[test]
fn the_example_checks_clean() {
    let mut check = Command::new(env!("CARGO_BIN_EXE_copal"));
    let output = check
        .args(["check", "-c", "config.toml.example"])
        .current_dir(root())
        .output();
    let output = output.expect("the copal binary");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn nothing_panics_without_a_reason() {
    for_all_files(|file, found| {
        for (line, call) in file.panicking_calls() {
            if !file.has_reason(line) {
                let what = format!(".{call}() without a comment above that says why it can't fail");
                found.push(file.at(line, &what));
            }
        }
    });
}

#[test]
fn nothing_is_left_to_do() {
    for_all_files(|file, found| {
        for (index, token) in file.shipped() {
            let is_macro = file.is(index + 1, "!");
            if is_macro && BANNED_MACROS.contains(&token.text.as_str()) {
                found.push(file.at(token.line, &format!("{}!", token.text)));
            }
        }
    });
}

/// Fails with every complaint at once, as `src/path:line: what`.
fn for_all_files(mut rule: impl FnMut(&Source, &mut Vec<String>)) {
    let mut found = Vec::new();
    for file in sources() {
        rule(&file, &mut found);
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut files = Vec::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of src") {
            let path = entry.expect("an entry of a folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                files.push(Source::read(&src, &path));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let tests: BTreeSet<_> = files.iter().flat_map(Source::test_files).collect();
    files
        .iter_mut()
        .filter(|it| tests.contains(&it.path))
        .for_each(Source::mark_as_test);
    assert!(!files.is_empty(), "no sources");
    files
}

/// Whether `text` has this word, not merely as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |it: char| it.is_alphanumeric() || it == '_';
    text.split(|it| !is_part(it)).any(|it| it == word)
}
