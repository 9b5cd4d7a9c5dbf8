//! Links of the documents, and the book's list of them: each leads somewhere that is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{read, root};

/// All documents, by their paths from the root.
fn documents() -> Vec<String> {
    let docs = fs::read_dir(root().join("docs")).expect("a folder");
    let names = docs.map(|it| it.expect("an entry").file_name());
    let names = names.map(|it| format!("docs/{}", it.to_string_lossy()));
    let documents = names.filter(|it| it.ends_with(".md"));
    documents.chain(["README.md".to_owned()]).collect()
}

/// What stands outside of code blocks.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The targets of its links and pictures.
fn links(text: &str) -> Vec<String> {
    let text = prose(text);
    let rest = text.split("](").skip(1);
    let targets = rest.filter_map(|it| it.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// What its headings are called by links, as GitHub and mdBook have it.
fn anchors(text: &str) -> BTreeSet<String> {
    let text = prose(text);
    let headings = text.lines().filter(|it| it.starts_with('#'));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading
            .chars()
            .filter(|it| it.is_alphanumeric() || " -_".contains(*it));
        kept.map(|it| if it == ' ' { '-' } else { it }).collect()
    };
    headings.map(anchor).collect()
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
        plain
    })
}

#[test]
fn every_link_leads_to_a_place_that_is_there() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for document in documents() {
        for link in links(&read(&document)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = Path::new(&document).parent().expect("a folder");
            let path = match path {
                "" => PathBuf::from(&document),
                path => plain(&folder.join(path)),
            };
            let is_there = root().join(&path).exists();
            let is_named = anchor.is_empty()
                || (is_there && anchors(&read(&path.to_string_lossy())).contains(anchor));
            if !is_there || !is_named {
                broken.push(format!("{document}: {link}"));
            }
        }
    }
    assert!(seen > 100, "only {seen} links");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_book_has_every_document() {
    let book: BTreeSet<_> = links(&read("docs/SUMMARY.md")).into_iter().collect();
    let documents = documents().into_iter();
    let missing: Vec<_> = documents
        .filter_map(|it| it.strip_prefix("docs/").map(str::to_owned))
        .filter(|it| it != "SUMMARY.md" && !book.contains(it))
        .collect();
    assert!(missing.is_empty(), "docs/SUMMARY.md lacks {missing:?}");
}
