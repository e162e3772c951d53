//! The authorities of a lab: the organization's, the internet's, and that of each Edge server.

use std::path::Path;

use envelope::Domain;
use net::certificate::CertificateError;
use net::{CertificateAuthority, KeyedCertificate};

use super::WorldError;
use crate::clock;

/// Forest of the authority that certifies the internet's hosts: not the organization's, which it must not be taken for.
const INTERNET_FOREST: &str = "internet.lab.example";

pub(super) struct Authorities {
    pub organization: CertificateAuthority,
    pub internet: CertificateAuthority,
}

/// The authorities of an earlier start, or new ones.
pub(super) fn authorities(directory: &Path, forest: &Domain) -> Result<Authorities, WorldError> {
    let internet = Domain::parse(INTERNET_FOREST).expect("a domain");
    Ok(Authorities {
        organization: authority(&directory.join("ca"), forest)?,
        internet: authority(&directory.join("internet-ca"), &internet)?,
    })
}

/// PEM file of the authority that processes have to trust for the certificates of the internet's hosts.
pub(super) fn internet_roots(directory: &Path) -> std::path::PathBuf {
    directory.join("internet-ca").join("cert.pem")
}

pub(super) fn authority(folder: &Path, forest: &Domain) -> Result<CertificateAuthority, WorldError> {
    match KeyedCertificate::load_from(folder) {
        Ok(pair) => Ok(CertificateAuthority::load(pair)?),
        Err(CertificateError::File { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
            let authority = CertificateAuthority::create(forest, clock::now())?;
            authority.keyed_certificate().save_to(folder)?;
            Ok(authority)
        }
        Err(error) => Err(error.into()),
    }
}
