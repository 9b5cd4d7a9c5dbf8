//! Lists and maps that stand in files of their own: what is found in them, and what is told of lines
//! that are none.

use std::fs;
use std::path::PathBuf;
use std::process;

use copal::config::parse;

use super::files::{MINIMAL, complaints};

/// A file with this text, gone with it.
struct File(PathBuf);

// === impl File ===

impl File {
    fn with(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("copal-{name}-{}", process::id()));
        fs::write(&path, text).expect("a file of ours");
        Self(path)
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

#[test]
fn lists_and_maps_are_put_together_from_both_places() {
    let (list, map) = (
        File::with("office", "# office\n10.0.0.0/8\n2001:db8::1 # printer\n"),
        File::with("moved", "/a /b\n/c  https://c.example/?d#e\n"),
    );
    let tables = format!(
        "[list.office]\nkind = \"networks\"\nentries = [\"192.0.2.7\"]\nfile = {:?}\n\
         [map.moved]\nentries = {{ \"/x\" = \"/y\" }}\nfile = {:?}\n",
        list.path(),
        map.path()
    );
    let config = parse(&format!("{tables}{MINIMAL}"), "f").unwrap();
    let office = config.lists.list("office").expect("a list");
    for (address, is_in) in [
        ("10.9.9.9", true),
        ("192.0.2.7", true),
        ("2001:db8::1", true),
        ("::1", false),
    ] {
        assert_eq!(
            office.holds_address(address.parse().unwrap()),
            is_in,
            "{address}"
        );
    }
    let moved = config.lists.map("moved").expect("a map");
    assert_eq!(moved.get("/c"), Some("https://c.example/?d#e"));
    assert_eq!(moved.get("/x"), Some("/y"));
    assert!(config.lists.list("moved").is_none() && config.lists.map("office").is_none());
}

#[test]
fn bad_lines_are_told_with_their_file() {
    let list = File::with("bad-list", "10.0.0.0/8\n10.0.0.1/8\nshop\n");
    let map = File::with("bad-map", "/a /b\n/c\n/a /d\n");
    let tables = format!(
        "[list.l]\nkind = \"networks\"\nfile = {:?}\n[map.m]\nfile = {:?}\n",
        list.path(),
        map.path()
    );
    let (list, map) = (list.path(), map.path());
    assert_eq!(
        complaints(&format!("{tables}{MINIMAL}")),
        [
            format!("{list}:2: list.l.file: has bits set beyond its prefix; write \"10.0.0.0/8\""),
            format!("{list}:3: list.l.file: is not a network; write \"10.0.0.0/8\" or \"::1\""),
            format!(
                "{map}:2: map.m.file: has a key alone; write what it leads to behind it, as `/old /new`"
            ),
            format!("{map}:3: map.m.file: `/a` leads to `/b` already; keep one of the two"),
        ]
    );
}

#[test]
fn of_a_file_of_another_kind_some_lines_are_told() {
    let list = File::with("foreign", &"<html>\n".repeat(1000));
    let table = format!("[list.l]\nkind = \"networks\"\nfile = {:?}\n", list.path());
    let told = complaints(&format!("{table}{MINIMAL}"));
    assert_eq!(told.len(), 11);
    assert!(told[10].contains("more lines like these"), "{}", told[10]);
}
