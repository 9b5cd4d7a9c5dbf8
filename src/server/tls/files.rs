//! Files that TLS is made of, as they were when they were good last, and what is told of those that are
//! not.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateRevocationListDer;
use tracing::{error, info, warn};

use super::Wanted;
use super::kept::{Kept, Known};
use crate::clock;
use crate::config::{self, Certificate, ClientAuth, ClientAuthMode, Pair, PairPaths};
use crate::telemetry::{BadFile, Certificates, ServedCertificate};

type Lists = Vec<CertificateRevocationListDer<'static>>;
type Secrets = Vec<[u8; 32]>;

/// What is known of all files.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Files {
    pairs: Vec<OfFolder>,
    /// Folders that cannot be read; their pairs go on.
    bad_folders: Vec<(Arc<str>, String)>,
    good_folders: Vec<Arc<str>>,
    roots: Vec<Kept<RootCertStore>>,
    lists: Vec<Kept<Lists>>,
    ticket_keys: Option<Kept<Secrets>>,
}

/// A pair, and the folder that it was found in, if it was.
#[derive(Clone, PartialEq)]
struct OfFolder {
    folder: Option<Arc<str>>,
    paths: PairPaths,
    kept: Kept<Pair>,
}

/// What was known of pairs before a look.
type KnownPairs<'a> = HashMap<&'a PairPaths, &'a Kept<Pair>>;

// === impl Files ===

impl Files {
    /// The same after a look at what is wanted.
    pub(super) fn looked(&self, wanted: &Wanted) -> Self {
        let mut next = Self::default();
        let known: HashMap<_, _> = self.pairs.iter().map(|it| (&it.paths, &it.kept)).collect();
        for source in &wanted.certificates {
            match source {
                Certificate::Pair(paths) => next.pairs.push(OfFolder::looked(None, paths, &known)),
                Certificate::Folder(folder) => self.look_into(folder, &known, &mut next),
            }
        }
        let listeners = wanted.kinds.iter().map(|it| &it.tls.client_auth);
        for auth in listeners.chain(wanted.sites.all()) {
            self.look_at(auth, &mut next);
        }
        let ticket_keys = wanted.rules.as_ref().and_then(|it| it.ticket_keys.as_ref());
        next.ticket_keys = ticket_keys.map(|path| {
            Kept::looked(self.ticket_keys.as_ref(), &[path], || {
                config::ticket_keys(path)
            })
        });
        next
    }

    fn look_into(&self, folder: &Arc<str>, known: &KnownPairs<'_>, next: &mut Self) {
        match PairPaths::in_folder(folder) {
            Ok(list) => {
                next.good_folders.push(Arc::clone(folder));
                let looked = |it| OfFolder::looked(Some(folder), it, known);
                next.pairs.extend(list.iter().map(looked));
            }
            Err(why) => {
                next.bad_folders.push((Arc::clone(folder), why));
                let is_of_it = |it: &&OfFolder| it.folder.as_ref() == Some(folder);
                next.pairs
                    .extend(self.pairs.iter().filter(is_of_it).cloned());
            }
        }
    }

    fn look_at(&self, auth: &ClientAuth, next: &mut Self) {
        if auth.mode == ClientAuthMode::Off {
            return;
        }
        let ca = &auth.ca;
        if find(&next.roots, ca).is_none() {
            let known = find(&self.roots, ca);
            next.roots
                .push(Kept::looked(known, &[ca], || config::roots(ca)));
        }
        if let Some(crl) = auth
            .crl
            .as_ref()
            .filter(|it| find(&next.lists, it).is_none())
        {
            let known = find(&self.lists, crl);
            let read = || config::revocation_lists(crl);
            next.lists.push(Kept::looked(known, &[crl], read));
        }
    }

    /// Those who vouch for clients by this file.
    pub(super) fn roots(&self, path: &Arc<str>) -> Option<Arc<RootCertStore>> {
        find(&self.roots, path)?.value.clone()
    }

    /// What they have revoked by this file.
    pub(super) fn lists(&self, path: &Arc<str>) -> Option<Arc<Lists>> {
        find(&self.lists, path)?.value.clone()
    }

    pub(super) fn ticket_keys(&self) -> Option<Arc<Secrets>> {
        self.ticket_keys.as_ref()?.value.clone()
    }

    /// The pairs that can be served, with the file that each is from.
    pub(super) fn pairs(&self) -> Vec<(Arc<str>, Arc<Pair>)> {
        let good = |it: &OfFolder| Some((Arc::clone(&it.paths.chain), it.kept.value.clone()?));
        self.pairs.iter().filter_map(good).collect()
    }

    /// Whether what this path holds has been good once.
    pub(super) fn knows(&self, path: &str) -> bool {
        let is_known = |it: Known<'_>| it.is_good && it.paths.iter().any(|it| **it == *path);
        self.all().any(is_known) || self.good_folders.iter().any(|it| **it == *path)
    }

    /// The folders in which a change could be of one of these.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let parent = |path: &Arc<str>| {
            let parent = Path::new(&**path).parent().map(Path::to_path_buf);
            parent.map(|it| {
                if it.as_os_str().is_empty() {
                    ".".into()
                } else {
                    it
                }
            })
        };
        let files = self.all().flat_map(|it| it.paths);
        let bad = self.bad_folders.iter().map(|it| &it.0);
        let folders = self.good_folders.iter().chain(bad);
        let mut all: Vec<PathBuf> = files.filter_map(parent).collect();
        all.extend(folders.map(|it| PathBuf::from(&**it)));
        all.sort();
        all.dedup();
        all
    }

    fn all(&self) -> impl Iterator<Item = Known<'_>> {
        let pairs = self.pairs.iter().map(|it| it.kept.known());
        let roots = self.roots.iter().map(Kept::known);
        let lists = self.lists.iter().map(Kept::known);
        let keys = self.ticket_keys.iter().map(Kept::known);
        pairs.chain(roots).chain(lists).chain(keys)
    }

    /// All that cannot be used as it is.
    fn bad(&self) -> Vec<BadFile> {
        let files = self.all().filter_map(|it| {
            Some(BadFile {
                file: it.paths.first()?.to_string(),
                why: it.trouble?.to_owned(),
                is_served: it.is_good,
            })
        });
        let folders = self.bad_folders.iter().map(|(folder, why)| BadFile {
            file: folder.to_string(),
            why: why.clone(),
            is_served: self
                .pairs
                .iter()
                .any(|it| it.folder.as_ref() == Some(folder)),
        });
        files.chain(folders).collect()
    }

    fn warn_of_empty_folders(&self, before: &Self) {
        for folder in self
            .empty_folders()
            .filter(|it| !before.empty_folders().any(|known| known == *it))
        {
            warn!(
                folder = &**folder,
                "a folder has no certificates; NAME.pem with NAME.key is looked for"
            );
        }
    }

    fn empty_folders(&self) -> impl Iterator<Item = &Arc<str>> {
        let has_pair = |folder: &Arc<str>| {
            self.pairs
                .iter()
                .any(|it| it.folder.as_ref() == Some(folder))
        };
        self.good_folders.iter().filter(move |it| !has_pair(it))
    }

    /// Says what is other than before.
    pub(super) fn log_changes(&self, before: &Self) {
        let known = before.bad();
        for bad in self.bad().iter().filter(|it| !known.contains(it)) {
            let BadFile {
                file,
                why,
                is_served,
            } = bad;
            error!(
                file,
                why,
                old_goes_on = is_served,
                "a file of TLS cannot be used"
            );
        }
        let (now, then) = (self.pairs(), before.pairs());
        warn_of_times(&now, &then);
        self.warn_of_empty_folders(before);
        if then.is_empty() && !now.is_empty() {
            return info!(certificates = now.len(), "certificates are served");
        }
        let known: HashSet<_> = then.iter().map(|it| Arc::as_ptr(&it.1)).collect();
        for (file, pair) in &now {
            if !known.contains(&Arc::as_ptr(pair)) {
                info!(
                    file = &**file,
                    name = pair.name(),
                    "a certificate is served"
                );
            }
        }
        let files: HashSet<_> = now.iter().map(|it| &it.0).collect();
        for (file, _) in then.iter().filter(|it| !files.contains(&it.0)) {
            info!(file = &**file, "a certificate is served no more");
        }
    }
}

/// Says which of those that were not there before clients will not take.
fn warn_of_times(now: &[(Arc<str>, Arc<Pair>)], then: &[(Arc<str>, Arc<Pair>)]) {
    let known: HashSet<_> = then.iter().map(|it| Arc::as_ptr(&it.1)).collect();
    for (file, pair) in now.iter().filter(|it| !known.contains(&Arc::as_ptr(&it.1))) {
        if let Some(why) = pair.wrong_time(clock::now()) {
            warn!(
                file = &**file,
                name = pair.name(),
                why,
                "clients will not take a certificate"
            );
        }
    }
}

// === impl OfFolder ===

impl OfFolder {
    fn looked(folder: Option<&Arc<str>>, paths: &PairPaths, known: &KnownPairs<'_>) -> Self {
        let read = || paths.read().map_err(|bad| bad.text);
        let known = known.get(paths).copied();
        Self {
            folder: folder.cloned(),
            paths: paths.clone(),
            kept: Kept::looked(known, &[&paths.chain, &paths.key], read),
        }
    }
}

/// What is told of these pairs, and of the files that are no good. One that is named twice is told once.
pub(super) fn told(pairs: &[(Arc<str>, Arc<Pair>)], files: &Files) -> Certificates {
    let mut told = HashSet::new();
    let once = |(file, pair): &&(Arc<str>, Arc<Pair>)| {
        told.insert((Arc::clone(file), pair.name().to_owned(), pair.kind))
    };
    let served = pairs
        .iter()
        .filter(once)
        .map(|(file, pair)| ServedCertificate {
            name: pair.name().to_owned(),
            names: pair.names.clone(),
            kind: pair.kind,
            file: file.to_string(),
            not_after: pair.not_after,
        });
    Certificates {
        served: served.collect(),
        bad: files.bad(),
    }
}

fn find<'a, T>(list: &'a [Kept<T>], path: &Arc<str>) -> Option<&'a Kept<T>> {
    list.iter().find(|it| it.paths.first() == Some(path))
}
