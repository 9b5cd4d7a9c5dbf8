//! Rooms inside the floors: which files import which, in what order they may, and which stand in a
//! circle.
//!
//! A room is a file or folder right below a floor. A `mod.rs` is wiring: it may name all its files,
//! and they may name what it defines; what it only hands on counts as an import of the file it is
//! from.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// The rooms of a floor from the ground up: each may import those that stand before it.
pub const ROOMS: &[(&str, &str)] = &[
    (
        "acme",
        "caller disk schedule trouble challenges authority order ask work keeper demand",
    ),
    (
        "origin",
        "error failures answer dice bell interim permit age resolve dial connect server peer balance roster hint \
         sticky health overload handover registry retry discovery stats raw race send",
    ),
    (
        "store",
        "born budget head graves whole held growing reader pour laggards slot slices joined \
         content object tags tag_index pattern stamps shelf moka hit_for_miss hanging equivalents flight claim fill find sweep invalidate inspect",
    ),
    (
        "pipeline",
        "reasons client request_id gate route tunnel login site asking exchange locate values ruled error_page locator next wanted \
         dispatch purge_forms purging answer fetch flow step explain",
    ),
    (
        "server",
        "drain per_client connections tls socket proxy_protocol unix listening passed listener interim framing watch wear io linger upload \
         outgoing park unread settings carry tunnel answers http2 http tcp accept listeners",
    ),
    (
        "admin",
        "answer call access dashboard figures explain_text explain origins process metrics purge api requests routes",
    ),
];

/// Imports against that order, by file and room. Each is a knot to open: rows are only taken out.
pub const AGAINST_ORDER: &[(&str, &str)] = &[];

/// The request machine: its loop, and the steps that hand a request on to one another.
pub const MACHINE: &[&str] = &["pipeline/flow", "pipeline/step/*"];

/// Other circles of files, each a knot to open: names are only taken out.
pub const KNOTS: &[&[&str]] = &[];

/// Which file imports which, by module path such as `store/shelf`; a `mod.rs` is its folder.
pub struct Imports(BTreeMap<String, BTreeMap<String, usize>>);

/// The modules of `src` by their paths.
struct Modules<'a>(BTreeMap<Vec<String>, &'a Source>);

// === impl Imports ===

impl Imports {
    pub fn of(files: &[Source]) -> Self {
        let modules = Modules(files.iter().map(|it| (it.module(), it)).collect());
        let imports = files
            .iter()
            .map(|file| (file.module().join("/"), modules.imports(file)));
        Self(imports.collect())
    }

    /// File, line, room and imported room of all imports within a floor that are against its order.
    pub fn against_order(&self) -> Vec<(String, usize, String)> {
        let mut found = Vec::new();
        for (floor, rooms) in ROOMS {
            let place = |room: &str| rooms.split_whitespace().position(|it| it == room);
            for (file, imported, line) in self.within(floor) {
                let (Some(own), Some(other)) = (room(file), room(imported)) else {
                    continue;
                };
                let is_below = place(other).is_some() && place(other) < place(own);
                let are_machine = is_machine(file) && is_machine(imported);
                if own != other && !is_below && !are_machine {
                    found.push((file.to_owned(), line, other.to_owned()));
                }
            }
        }
        found
    }

    /// Rooms that the tables do not name.
    pub fn unknown_rooms(&self) -> Vec<String> {
        let files = self.0.keys().map(String::as_str);
        let rooms = files.filter_map(|file| Some((file.split('/').next()?, room(file)?)));
        let unknown = rooms.filter(|(floor, room)| {
            let table = ROOMS.iter().find(|it| it.0 == *floor);
            table.is_some_and(|it| !it.1.split_whitespace().any(|it| it == *room))
        });
        unknown
            .map(|(floor, room)| format!("{floor}/{room}"))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    fn within(&self, floor: &str) -> impl Iterator<Item = (&str, &str, usize)> {
        let prefix = format!("{floor}/");
        self.0.iter().flat_map(move |(file, imports)| {
            let own = file.starts_with(&prefix);
            let prefix = prefix.clone();
            let inner = imports
                .iter()
                .filter(move |(imported, _)| own && imported.starts_with(&prefix));
            inner.map(|(imported, line)| (file.as_str(), imported.as_str(), *line))
        })
    }

    /// Groups of files that all lead to one another.
    pub fn circles(&self) -> Vec<BTreeSet<String>> {
        let reach: BTreeMap<_, _> = self.0.keys().map(|it| (it, self.reachable(it))).collect();
        let mut circles = BTreeSet::new();
        for (file, reached) in &reach {
            let back = |it: &&String| reach.get(it).is_some_and(|back| back.contains(*file));
            let circle: BTreeSet<_> = reached.iter().filter(back).cloned().collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    fn reachable(&self, from: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![from.to_owned()];
        while let Some(file) = open.pop() {
            for next in self.0.get(&file).into_iter().flat_map(|it| it.keys()) {
                if reached.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        reached
    }
}

// === impl Modules ===

impl Modules<'_> {
    fn imports(&self, file: &Source) -> BTreeMap<String, usize> {
        let own = file.module();
        let mut imports = BTreeMap::new();
        for path in file.shipped_paths() {
            let Some(module) = self.resolve(file, &path.segments) else {
                continue;
            };
            if !module.starts_with(&own) && !own.starts_with(&module) {
                imports.entry(module.join("/")).or_insert(path.line);
            }
        }
        imports
    }

    /// The module that a path in `file` leads to, if it is one of ours.
    fn resolve(&self, file: &Source, path: &[String]) -> Option<Vec<String>> {
        let own = file.module();
        let full = match path.first()?.as_str() {
            "crate" => path[1..].to_vec(),
            "self" | "super" => {
                let is_step = |it: &&String| matches!(it.as_str(), "self" | "super");
                let steps = path.iter().take_while(is_step).count();
                let up = path[..steps].iter().filter(|it| *it == "super").count();
                let here = own.get(..own.len().checked_sub(up)?)?;
                [here, &path[steps..]].concat()
            }
            _ => {
                let child = [own.as_slice(), &path[..1]].concat();
                self.0.get(&child)?;
                [own.as_slice(), path].concat()
            }
        };
        let depth = (1..=full.len()).rfind(|it| self.0.contains_key(&full[..*it]))?;
        let handed_on = full
            .get(depth)
            .and_then(|name| self.handed_on(&full[..depth], name));
        Some(handed_on.unwrap_or_else(|| full[..depth].to_vec()))
    }

    /// Where a `mod.rs` has a name from that it hands on.
    fn handed_on(&self, module: &[String], name: &str) -> Option<Vec<String>> {
        let file = self
            .0
            .get(module)
            .filter(|it| it.path.ends_with("/mod.rs"))?;
        let mut paths = file.shipped_paths().map(|it| it.segments);
        let path = paths.find(|it| it.len() > 1 && it.last().is_some_and(|last| last == name))?;
        let is_child = self.0.contains_key(&[module, &path[..1]].concat());
        is_child.then(|| self.resolve(file, &path)).flatten()
    }
}

/// The file or folder right below its floor.
fn room(file: &str) -> Option<&str> {
    file.split('/').nth(1)
}

pub fn is_machine(file: &str) -> bool {
    MACHINE.iter().any(|it| {
        let inside = it.strip_suffix('*').map(|folder| file.starts_with(folder));
        inside.unwrap_or(file == *it)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(files: &[(&str, &str)]) -> Imports {
        let source =
            |(path, text): &(&str, &str)| Source::new((*path).to_owned(), (*text).to_owned());
        Imports::of(&files.iter().map(source).collect::<Vec<_>>())
    }

    #[test]
    fn a_circle_is_seen_through_what_a_mod_hands_on() {
        let files = imports(&[
            ("store/mod.rs", "mod a; mod b; pub use a::A;"),
            ("store/a.rs", "use super::b::B;"),
            ("store/b.rs", "use super::A;"),
        ]);
        let circle = ["store/a", "store/b"].map(str::to_owned);
        assert_eq!(files.circles(), [BTreeSet::from(circle)]);
    }

    #[test]
    fn wiring_and_tests_are_no_imports() {
        let files = imports(&[
            ("store/mod.rs", "mod a; use a::A; pub struct Store;"),
            (
                "store/a.rs",
                "use super::Store;\n#[cfg(test)]\nmod tests { use crate::body::B; }",
            ),
            ("body/mod.rs", "use crate::store::Store;"),
        ]);
        assert!(files.circles().is_empty());
    }
}
