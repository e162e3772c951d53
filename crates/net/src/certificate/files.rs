//! Certificates and keys in a directory. Keys are readable by their owner alone, and no crash leaves half a file.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use authority::RoleGroup;
use envelope::{ObjectName, Timestamp};

use super::identity::{ETCD_ADMINISTRATOR, ETCD_ROOT, etcd_user};
use super::{CertificateAuthority, CertificateError, KeyedCertificate, NodeIdentity, PrivateKeyPem};

/// The certificate with its chain.
const CERTIFICATE_FILE: &str = "cert.pem";
/// The private key.
const KEY_FILE: &str = "key.pem";
/// The authority's certificate in the identity of a server.
const AUTHORITY_FILE: &str = "ca.pem";
/// Folder of an administrator's certificate beside those of services.
pub const ADMINISTRATOR_FOLDER: &str = "administrator";
/// Folder of what a service or an administrator shows to etcd, in that of its certificate.
pub const ETCD_FOLDER: &str = "etcd";
const CERTIFICATE_MODE: u32 = 0o600;
const KEY_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o700;

impl KeyedCertificate {
    /// Writes `cert.pem` and `key.pem` (mode 0600) into `directory`, which is created where it is missing. Each file
    /// appears whole or not at all; the key first, so that a certificate is never there without its key. Blocks.
    ///
    /// # Errors
    /// [`CertificateError::File`].
    pub fn save_to(&self, directory: &Path) -> Result<(), CertificateError> {
        make_private(directory)?;
        write_whole(directory, KEY_FILE, self.key_pem.expose().as_bytes(), KEY_MODE)?;
        write_whole(directory, CERTIFICATE_FILE, self.cert_pem.as_bytes(), CERTIFICATE_MODE)
    }

    /// Reads what [`Self::save_to`] wrote, or what an administrator put there, and checks that it fits. Blocks.
    ///
    /// # Errors
    /// [`CertificateError`]; a missing file is [`CertificateError::File`] of kind [`io::ErrorKind::NotFound`].
    pub fn load_from(directory: &Path) -> Result<Self, CertificateError> {
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).map_err(|cause| file_error(&path, cause))
        };
        Self::from_pem(read(CERTIFICATE_FILE)?, PrivateKeyPem::new(read(KEY_FILE)?))
    }
}

impl CertificateAuthority {
    /// Writes what the processes of a server show each other and trust: `ca.pem`, and `<service>/{ca,cert,key}.pem` for each
    /// service of `identity`, good for that service alone, with `<service>/etcd/{cert,key}.pem` for the directory. What was
    /// there is replaced; who is believed first, so that no certificate is older than that. Blocks.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn save_identity_to(
        &self,
        identity: &NodeIdentity,
        directory: &Path,
        now: Timestamp,
    ) -> Result<(), CertificateError> {
        make_private(directory)?;
        write_whole(directory, AUTHORITY_FILE, self.trusted_pem().as_bytes(), CERTIFICATE_MODE)?;
        for service in &identity.services {
            let one = NodeIdentity { services: BTreeSet::from([*service]), ..identity.clone() };
            let folder = directory.join(service.as_str());
            self.issue(&one, now)?.save_to(&folder)?;
            self.save_trusted_to(&folder)?;
            self.issue_for_etcd(&etcd_user(&identity.server, *service), now)?.save_to(&folder.join(ETCD_FOLDER))?;
        }
        Ok(())
    }

    /// Writes what etcd's root shows and trusts: `ca.pem` and `cert.pem`, `key.pem`. Blocks.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn save_etcd_root_to(&self, directory: &Path, now: Timestamp) -> Result<(), CertificateError> {
        make_private(directory)?;
        write_whole(directory, AUTHORITY_FILE, self.trusted_pem().as_bytes(), CERTIFICATE_MODE)?;
        self.issue_for_etcd(ETCD_ROOT, now)?.save_to(directory)
    }

    /// Writes whom everybody believes, `ca.pem`. Blocks.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn save_trusted_to(&self, directory: &Path) -> Result<(), CertificateError> {
        write_whole(directory, AUTHORITY_FILE, self.trusted_pem().as_bytes(), CERTIFICATE_MODE)
    }

    /// Writes what an administrator shows and trusts: `ca.pem` and `administrator/{cert,key}.pem`. What was there is
    /// replaced. Blocks.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn save_administrator_to(
        &self,
        name: &ObjectName,
        groups: &BTreeSet<RoleGroup>,
        directory: &Path,
        now: Timestamp,
    ) -> Result<(), CertificateError> {
        make_private(directory)?;
        write_whole(directory, AUTHORITY_FILE, self.trusted_pem().as_bytes(), CERTIFICATE_MODE)?;
        let folder = directory.join(ADMINISTRATOR_FOLDER);
        self.issue_administrator(name, groups, now)?.save_to(&folder)?;
        self.save_trusted_to(&folder)?;
        // etcd knows no role groups: who may not do everything comes by the admin service.
        if groups.contains(&RoleGroup::OrganizationManagement) {
            self.issue_for_etcd(ETCD_ADMINISTRATOR, now)?.save_to(&folder.join(ETCD_FOLDER))?;
        }
        Ok(())
    }
}

/// Writes what everybody may read, whole or not at all. Blocks.
///
/// # Errors
/// [`CertificateError::File`].
pub fn write_public(path: &Path, content: &str) -> Result<(), CertificateError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| file_error(path, io::Error::from(io::ErrorKind::InvalidFilename)))?;
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    write_whole(directory, name, content.as_bytes(), PUBLIC_MODE)
}

/// Writes a file that its owner alone reads, whole or not at all, with the folders above it that are missing. Blocks.
///
/// # Errors
/// [`CertificateError::File`].
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), CertificateError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| file_error(path, io::Error::from(io::ErrorKind::InvalidFilename)))?;
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_private(directory)?;
    write_whole(directory, name, content, KEY_MODE)
}

/// Makes the folder of keys, with those above it that are missing.
fn make_private(directory: &Path) -> Result<(), CertificateError> {
    let made = fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(directory);
    made.map_err(|cause| file_error(directory, cause))
}

fn write_whole(directory: &Path, name: &str, content: &[u8], mode: u32) -> Result<(), CertificateError> {
    let path = directory.join(name);
    // The process id keeps two processes from writing into one temporary file.
    let temporary = directory.join(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        // Left by a crash of a process with this id; its mode is not to be trusted.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        File::open(directory)?.sync_all()
    })();
    written.map_err(|cause| file_error(&path, cause))
}

fn file_error(path: &Path, cause: io::Error) -> CertificateError {
    CertificateError::File { path: path.to_owned(), cause }
}
