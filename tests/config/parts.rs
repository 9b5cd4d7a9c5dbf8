//! Configurations of several files: in what order they are read, what comes of what stands in two of
//! them, and which file a complaint names.

use std::fs;
use std::path::PathBuf;
use std::process;

use copal::config::{Config, HostPattern, load};

use super::files::MINIMAL;

/// A folder with these files, gone with it.
struct Folder(PathBuf);

// === impl Folder ===

impl Folder {
    fn with(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("copal-parts-{name}-{}", process::id()));
        for (file, text) in files {
            let file = path.join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder of ours");
            fs::write(file, text).expect("a file of ours");
        }
        Self(path)
    }

    fn load(&self) -> Result<Config, Vec<String>> {
        let folder = format!("{}/", self.0.display());
        let said = |it: &copal::config::Complaint| it.to_string().replace(&folder, "");
        load(&self.0.join("main.toml")).map_err(|all| all.iter().map(said).collect())
    }

    fn complaints(&self) -> Vec<String> {
        self.load().err().unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn main_file(include: &str) -> String {
    format!("include = {include}\n{MINIMAL}")
}

fn site(host: &str) -> String {
    format!("[[site]]\nhosts = [\"{host}\"]\norigin = \"a\"\n")
}

#[test]
fn files_follow_one_another_by_name() {
    let folder = Folder::with(
        "order",
        &[
            (
                "main.toml",
                &main_file("[\"extra.toml\", \"conf.d/*.toml\", \"*.toml\"]"),
            ),
            ("extra.toml", "[origins.b]\nservers = [\"http://b\"]\n"),
            ("conf.d/b.toml", &site("b")),
            ("conf.d/a.toml", &site("a")),
            ("conf.d/.a.toml", "no toml"),
            ("conf.d/a.toml.bak", "no toml"),
        ],
    );
    let config = folder.load().unwrap();
    let names: Vec<_> = config.origins.keys().map(|it| &**it).collect();
    assert_eq!(names, ["a", "b"]);
    let hosts: Vec<_> = config.sites.iter().map(|it| it.hosts[0].clone()).collect();
    let exact = |it: &str| HostPattern::Exact(it.to_owned());
    assert_eq!(hosts, [HostPattern::Any, exact("a"), exact("b")]);
}

#[test]
fn a_pattern_that_matches_nothing_is_no_mistake_and_a_missing_file_is_one() {
    let none = Folder::with("none", &[("main.toml", &main_file("[\"conf.d/*.toml\"]"))]);
    assert_eq!(none.complaints(), Vec::<String>::new());
    assert_eq!(none.load().unwrap().unmatched_includes, ["include[0]"]);
    let missing = Folder::with("missing", &[("main.toml", &main_file("[\"a.toml\"]"))]);
    assert_eq!(
        missing.complaints(),
        ["main.toml:1: include[0]: a.toml cannot be read: No such file or directory (os error 2)"]
    );
}

#[test]
fn complaints_name_the_file_and_its_line() {
    let folder = Folder::with(
        "lines",
        &[
            ("main.toml", &main_file("[\"conf.d/*.toml\"]")),
            ("conf.d/a.toml", &format!("# a\n{}limt = []\n", site("a"))),
            (
                "conf.d/b.toml",
                "\n[[site]]\nhosts = [\"a\"]\norigin = \"c\"\nlimit = 30s\n",
            ),
        ],
    );
    assert_eq!(
        folder.complaints(),
        [
            "conf.d/a.toml:5: site[1].limt: unknown key; did you mean `limit`?",
            "conf.d/b.toml:3: site[2].hosts[0]: this host is taken by `site[1].hosts[0]` on line 3 of \
             conf.d/a.toml; remove one of the two",
            "conf.d/b.toml:4: site[2].origin: unknown origin `c`; did you mean `a`?",
            "conf.d/b.toml:5: site[2].limit: is not a value; text goes in double quotes, as \"30s\", true and false without them",
        ]
    );
}

#[test]
fn what_stands_in_two_files_is_told_with_both_places() {
    let folder = Folder::with(
        "twice",
        &[
            ("main.toml", &main_file("[\"conf.d/*.toml\"]")),
            (
                "conf.d/a.toml",
                "[origins.a]\nservers = []\n[server]\nidle_timeout = \"1s\"\n",
            ),
            (
                "conf.d/b.toml",
                "include = [\"c\"]\n[server]\nbody_timeout = \"1s\"\n",
            ),
        ],
    );
    let twice = "is written in another file already";
    let said = folder.complaints();
    assert_eq!(
        said,
        [
            format!(
                "conf.d/a.toml:1: origins.a: {twice}: `origins.a` on line 4 of main.toml; keep one of \
                 the two"
            ),
            "conf.d/b.toml:1: include: only the first file includes others; write it there"
                .to_owned(),
            format!(
                "conf.d/b.toml:2: server: {twice}: `server` on line 3 of conf.d/a.toml; keep one of \
                 the two"
            ),
        ]
    );
}

#[test]
fn a_file_that_is_broken_is_named() {
    let folder = Folder::with(
        "broken",
        &[
            ("main.toml", &main_file("[\"a.toml\"]")),
            ("a.toml", "\n[[site]\n"),
        ],
    );
    let said = folder.complaints();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("a.toml:2: syntax: "), "{said:?}");
}
