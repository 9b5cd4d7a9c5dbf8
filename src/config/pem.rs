//! PEM files that the configuration names, read within a bound: certificates, keys and revocation lists.
//!
//! Not which keys name them, nor whether a certificate is the right one.

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::file;

/// No file of certificates is larger; those of whole systems have a quarter of it.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Revocation lists grow with those revoked.
const LIST_BYTES_MAX: u64 = 32 << 20;

/// All certificates of a PEM file, of which there is one at least.
pub(super) fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = file::read(path, FILE_BYTES_MAX)?;
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match list {
        Ok(list) if list.is_empty() => Err(format!("{path} holds no certificate in PEM form")),
        Ok(list) => Ok(list),
        Err(error) => Err(format!("{path} is no PEM file: {error}")),
    }
}

/// The first private key of a PEM file.
pub(super) fn private_key(path: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&file::read(path, FILE_BYTES_MAX)?)
        .map_err(|error| format!("{path} holds no private key in PEM form: {error}"))
}

/// All certificates of a PEM file, each of which can vouch for others.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn roots(path: &str) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = store.add(certificate);
        added.map_err(|error| format!("holds a certificate that cannot be a root: {error}"))?;
    }
    Ok(store)
}

/// All revocation lists of a PEM file, of which there is one at least.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn revocation_lists(path: &str) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let text = file::read(path, LIST_BYTES_MAX)?;
    let list: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&text).collect();
    match list {
        Ok(list) if list.is_empty() => Err(format!("{path} holds no revocation list in PEM form")),
        Ok(list) => Ok(list),
        Err(error) => Err(format!("{path} is no PEM file: {error}")),
    }
}
