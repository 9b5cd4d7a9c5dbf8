//! Folder of accounts and certificates: whole files only, for our eyes only, shared by several Copals.
//!
//! A file is written beside its place and then renamed, so whoever reads it sees the old or the new.
//! Key and certificate are one file, for two cannot be renamed at once. All of it blocks.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, SystemTime};
use std::{env, process};

use instant_acme::AccountCredentials;
use serde::{Deserialize, Serialize};

use crate::config::{AcmeName, Pair, PairPaths};

/// No file of ours is larger.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What processes that died have left is removed after this.
const LEFT_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Where systemd has services keep their state (systemd.exec(5), StateDirectory=).
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";
const USUAL: &str = "/var/lib/copal";

const ISSUER: &str = "Issued by: ";
const FOLDERS: [&str; 4] = ["accounts", "certificates", "challenges", "locks"];

/// The folder. All that have it open see the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Disk(Arc<Path>);

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the folder for certificates of [acme], {path}, cannot be used: {source}; have the user that runs \
     copal own it, or name another in `storage`"
)]
pub struct NoStorage {
    path: String,
    source: io::Error,
}

/// A certificate as it is kept.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) pair: Arc<Pair>,
    /// The directory of the CA that it is from.
    pub(super) issuer: String,
    /// When its file was written.
    pub(super) written: SystemTime,
    pub(super) path: PathBuf,
}

/// An account as it is kept.
#[derive(Deserialize, Serialize)]
pub(super) struct AccountFile {
    pub(super) email: Option<String>,
    pub(super) credentials: AccountCredentials,
}

// === impl Disk ===

impl Disk {
    /// Opens the folder, which is made where it is not there.
    pub(super) fn open(wanted: Option<&Path>) -> Result<Self, NoStorage> {
        let places = wanted.map_or_else(usual_places, |it| vec![it.to_owned()]);
        let mut failed = None;
        for path in places {
            match Self::open_at(&path) {
                Ok(disk) => return Ok(disk),
                Err(source) => failed = failed.or(Some((path, source))),
            }
        }
        let nowhere = || (PathBuf::from(USUAL), io::ErrorKind::NotFound.into());
        let (path, source) = failed.unwrap_or_else(nowhere);
        let path = path.display().to_string();
        Err(NoStorage { path, source })
    }

    fn open_at(path: &Path) -> io::Result<Self> {
        for folder in FOLDERS {
            let mut builder = DirBuilder::new();
            builder
                .recursive(true)
                .mode(0o700)
                .create(path.join(folder))?;
        }
        let disk = Self(path.into());
        // That it can be written is known now or in sixty days.
        disk.probe("locks")?;
        disk.remove_what_was_left();
        Ok(disk)
    }

    /// Whether a certificate could be kept: known before one is asked for, since a CA gives only so many.
    pub(super) fn can_keep(&self) -> Result<(), String> {
        self.probe("certificates").map_err(|error| {
            let folder = self.0.join("certificates");
            format!("{} cannot be written: {error}", folder.display())
        })
    }

    fn probe(&self, folder: &str) -> io::Result<()> {
        let probe = beside(&self.path(folder, "probe"))?;
        write_at(&probe, b"")?;
        fs::remove_file(probe)
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    /// Where challenges stand.
    pub(super) fn challenges(&self) -> PathBuf {
        self.0.join("challenges")
    }

    fn path(&self, folder: &str, file: &str) -> PathBuf {
        self.0.join(folder).join(file)
    }

    // --- certificates

    /// Where the certificate of a name is.
    pub(super) fn certificate_path(&self, name: &AcmeName) -> PathBuf {
        // A checked name has no slash and begins with no dot.
        self.path("certificates", &format!("{name}.pem"))
    }

    /// The certificate of a name; `None` where there is none yet.
    ///
    /// # Errors
    /// What is wrong with the file, in words.
    pub(super) fn certificate(&self, name: &AcmeName) -> Result<Option<Kept>, String> {
        let path = self.certificate_path(name);
        let written = match fs::metadata(&path).and_then(|it| it.modified()) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        };
        let text: Arc<str> = path.display().to_string().into();
        let paths = PairPaths {
            chain: Arc::clone(&text),
            key: text,
        };
        let pair = paths.read().map_err(|bad| bad.text)?;
        let bytes = read(&path).ok().flatten().unwrap_or_default();
        Ok(Some(Kept {
            pair: Arc::new(pair),
            issuer: issuer(&bytes),
            written,
            path,
        }))
    }

    /// When the certificate of a name was written.
    pub(super) fn written(&self, name: &AcmeName) -> Option<SystemTime> {
        fs::metadata(self.certificate_path(name))
            .ok()?
            .modified()
            .ok()
    }

    /// Keeps a certificate: its chain and its key, in PEM.
    pub(super) fn keep(
        &self,
        name: &AcmeName,
        issuer: &str,
        chain: &str,
        key: &str,
    ) -> io::Result<()> {
        // RFC 7468 §5.2 has explanatory text stand before what it explains.
        let text = format!("{ISSUER}{issuer}\n{key}\n{chain}");
        write(&self.certificate_path(name), text.as_bytes())
    }

    /// The names of which there is a certificate, so many at most.
    pub(super) fn names(&self, max: usize) -> Vec<AcmeName> {
        let entries = fs::read_dir(self.0.join("certificates"));
        let entries = entries.into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| {
            let file = entry.file_name();
            AcmeName::parse(file.to_str()?.strip_suffix(".pem")?).ok()
        });
        names.take(max).collect()
    }

    // --- accounts

    /// The account with a CA; `None` where there is none yet, or the file cannot be understood.
    pub(super) fn account(&self, directory: &str) -> Option<AccountFile> {
        let bytes = read(&self.account_path(directory)).ok()??;
        serde_json::from_slice(&bytes).ok()
    }

    /// Keeps an account.
    pub(super) fn keep_account(&self, directory: &str, account: &AccountFile) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(account)?;
        write(&self.account_path(directory), &bytes)
    }

    /// Puts an account aside that its CA does not take any more.
    pub(super) fn set_account_aside(&self, directory: &str) {
        let path = self.account_path(directory);
        // If it stays it is tried once more, and put aside then.
        let _ = fs::rename(&path, path.with_extension("gone"));
    }

    fn account_path(&self, directory: &str) -> PathBuf {
        self.path("accounts", &format!("{}.json", file_name(directory)))
    }

    // --- locks

    /// The lock on a name or a CA, until it is dropped; `None` while another has it.
    pub(super) fn lock(&self, what: &str) -> io::Result<Option<File>> {
        let path = self.path("locks", &format!("{}.lock", file_name(what)));
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn remove_what_was_left(&self) {
        let old = |path: &Path| {
            let written = fs::metadata(path).and_then(|it| it.modified());
            written.is_ok_and(|it| it.elapsed().is_ok_and(|it| it > LEFT_AFTER))
        };
        for folder in ["challenges", "certificates", "accounts"] {
            let entries = fs::read_dir(self.0.join(folder));
            for path in entries.into_iter().flatten().flatten().map(|it| it.path()) {
                let is_hidden = path
                    .file_name()
                    .is_some_and(|it| it.as_encoded_bytes().starts_with(b"."));
                if (folder == "challenges" || is_hidden) && old(&path) {
                    // What cannot be removed does no harm.
                    let _ = fs::remove_file(path);
                }
            }
        }
    }
}

/// Where state is kept on a system like this: of the service, of the system, of the user.
fn usual_places() -> Vec<PathBuf> {
    let of_service = env::var_os(STATE_DIRECTORY).and_then(|it| env::split_paths(&it).next());
    if let Some(path) = of_service {
        return vec![path.join("acme")];
    }
    let home = env::var_os("HOME").map(PathBuf::from);
    let of_user = env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let of_user = of_user.or_else(|| Some(home?.join(".local/state")));
    let of_user = of_user.filter(|it| it.is_absolute());
    let of_user = of_user.map(|it| it.join("copal/acme"));
    [Some(Path::new(USUAL).join("acme")), of_user]
        .into_iter()
        .flatten()
        .collect()
}

/// A name of a file for a URL or a name: two never have the same, for those that differ in what is
/// replaced do not occur together.
fn file_name(text: &str) -> String {
    let text = text.strip_prefix("https://").unwrap_or(text);
    let safe = |it: char| {
        if it.is_ascii_alphanumeric() || matches!(it, '.' | '-') {
            it
        } else {
            '_'
        }
    };
    let name: String = text.chars().map(safe).take(200).collect();
    name.trim_start_matches('.').to_owned()
}

fn issuer(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().find_map(|it| it.strip_prefix(ISSUER));
    line.unwrap_or_default().to_owned()
}

/// The bytes of a file; `None` where there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Writes a file that is whole from the first moment on, and that only its owner can read.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path)?;
    let written = write_at(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The error that is told is the first.
        let _ = fs::remove_file(&beside);
    }
    written?;
    // The name is on disk when its folder is.
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// A hidden name in the same folder that nobody else has, of this process or of another.
fn beside(path: &Path) -> io::Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let Some(name) = path.file_name() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let number = NEXT.fetch_add(1, Relaxed);
    let hidden = format!(".{}.{}.{number}", name.to_string_lossy(), process::id());
    Ok(path.with_file_name(hidden))
}

fn write_at(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // One of a process of the same number that died goes.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = env::temp_dir().join(format!("copal-acme-{}-{name}", process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn that_nothing_can_be_kept_is_known_before_a_ca_is_asked() {
        let folder = Folder::new("full");
        let disk = Disk::open(Some(&folder.0)).unwrap();
        assert_eq!(disk.can_keep(), Ok(()));
        let certificates = folder.0.join("certificates");
        fs::remove_dir(&certificates).unwrap();
        fs::write(&certificates, b"").unwrap();
        let error = disk.can_keep().unwrap_err();
        assert!(error.contains(certificates.to_str().unwrap()), "{error}");
    }

    #[test]
    fn a_certificate_is_kept_for_our_eyes_only() {
        let folder = Folder::new("kept");
        let disk = Disk::open(Some(&folder.0)).unwrap();
        let name = AcmeName::parse("shop.example").unwrap();
        assert!(disk.certificate(&name).unwrap().is_none());
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        disk.keep(
            &name,
            "https://ca.example/dir",
            &certificate.pem(),
            &key.serialize_pem(),
        )
        .unwrap();
        let kept = disk.certificate(&name).unwrap().unwrap();
        assert_eq!(kept.pair.names, ["shop.example"]);
        assert_eq!(kept.issuer, "https://ca.example/dir");
        assert_eq!(
            (mode(&kept.path), mode(&folder.0.join("certificates"))),
            (0o600, 0o700)
        );
        assert_eq!(disk.names(9).first(), Some(&name));
        fs::write(disk.certificate_path(&name), "half a file").unwrap();
        assert!(disk.certificate(&name).is_err());
    }

    #[test]
    fn a_lock_is_for_one() {
        let folder = Folder::new("lock");
        let disk = Disk::open(Some(&folder.0)).unwrap();
        let held = disk.lock("shop.example").unwrap();
        assert!(held.is_some());
        assert!(disk.lock("shop.example").unwrap().is_none());
        assert!(disk.lock("other.example").unwrap().is_some());
        drop(held);
        assert!(disk.lock("shop.example").unwrap().is_some());
    }

    #[test]
    fn a_folder_that_cannot_be_had_is_told() {
        let error = Disk::open(Some(Path::new("/proc/copal")))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/proc/copal") && error.contains("`storage`"),
            "{error}"
        );
    }
}
