//! Notes on what the machine does not have: memory, and the folder of the access log.

use std::path::{Path, PathBuf};

use super::super::units::Size;
use super::Notebook;
use super::machine::Machine;
use super::user::User;
use crate::config::{Access, Config};

pub(super) fn look(config: &Config, machine: &Machine, book: &mut Notebook) {
    memory(config, machine, book);
    if let Access::File(path) = &config.log.access
        && let Some(text) = said_of_folder(path)
    {
        book.at("log.access", text);
    }
}

fn memory(config: &Config, machine: &Machine, book: &mut Notebook) {
    let store = &config.store;
    let wanted = store.memory_bytes.saturating_add(store.fill_bytes_max);
    let Some((has, what)) = machine.least() else {
        return;
    };
    if wanted <= has {
        return;
    }
    let (wanted, has) = (Size(wanted).rounded(), Size(has).rounded());
    let text = format!(
        "with `fill_memory` it makes {wanted}, and {what} {has}: the process would be killed \
         before the store is full; lower it, and leave a quarter for connections"
    );
    let keys = ["store.memory", "store.fill_memory"].map(str::to_owned);
    let path = book.first_written(&keys);
    book.at(path.as_deref().unwrap_or("store.memory"), text);
}

/// What keeps the file from being opened, as far as can be seen without opening it.
fn said_of_folder(path: &Path) -> Option<String> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let shown = folder.display();
    if path.is_dir() {
        return Some("is a folder; write the path of a file in it".to_owned());
    }
    match folder.metadata() {
        Ok(it) if !it.is_dir() => Some(format!("`{shown}` is no folder; write another path")),
        Ok(it) if User::here().is_some_and(|user| !user.may_write(&it)) => Some(format!(
            "this user may not write into the folder `{shown}`; change that, or write another path"
        )),
        Ok(_) => None,
        Err(_) => Some(format!(
            "there is no folder `{shown}` here; make it, or write another path"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Care, Complaints, parse_on};
    use super::*;

    const GIB: u64 = 1 << 30;

    fn notes(store: &str, machine: &Machine) -> Result<Vec<String>, Complaints> {
        let text = format!(
            "{store}\n[[listen]]\naddress = \"127.0.0.1:0\"\n[origins.a]\nservers = \
             [\"http://a\"]\n[[site]]\nhosts = [\"*\"]\norigin = \"a\"\n"
        );
        let config = parse_on(&text, "f", Care::Start, Some(machine))?;
        Ok(config.notes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn memory_beyond_the_machine_is_noted() {
        let small = Machine {
            memory_bytes: Some(4 * GIB),
            limit_bytes: Some(GIB),
        };
        let large = Machine {
            memory_bytes: Some(4 * GIB),
            limit_bytes: None,
        };
        let unknown = Machine {
            memory_bytes: None,
            limit_bytes: None,
        };
        let table = "[store]\nmemory = \"2GiB\"";
        let told = notes(table, &small).unwrap();
        assert_eq!(
            told,
            [
                "f:2: store.memory: note: with `fill_memory` it makes 2.5GiB, and the cgroup of this \
                 process allows 1GiB: the process would be killed before the store is full; lower \
                 it, and leave a quarter for connections"
            ]
        );
        assert_eq!(notes(table, &large).unwrap().len(), 0);
        assert_eq!(
            notes("[store]\nmemory = \"4GiB\"", &large).unwrap().len(),
            1
        );
        assert_eq!(notes(table, &unknown).unwrap().len(), 0);
        assert_eq!(notes("", &small).unwrap().len(), 0);
    }
}
