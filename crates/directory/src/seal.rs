//! Sealing credentials before they are stored: AES-256-GCM under the organization's key.
//!
//! The key is a file of 32 octets that only its owner may read. A sealed credential is `v1:` and the base64 of nonce and
//! ciphertext; the tag also covers what the secret is for, so that a blob cannot be used as something else.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use topology::SealedCredential;
use zeroize::{Zeroize, Zeroizing};

/// Octets of the organization's key.
const KEY_OCTETS: usize = 32;
/// Permission bits that a key file must not have.
const OTHERS: u32 = 0o077;
/// What is sealed: part of the authenticated data.
const PURPOSE: &[u8] = b"postroad/v1/sendConnector/authenticationCredential";
/// Start of every sealed credential.
const PREFIX: &str = "v1:";

/// User and password for a smart host. `Debug` prints the user only.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// User name.
    pub user: String,
    /// Password, forgotten when dropped.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({}, …)", self.user)
    }
}

/// Why something cannot be sealed or unsealed. None of it names a secret.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key file cannot be read or written.
    #[error("the key file {path}: {cause}")]
    File {
        /// Which file.
        path: String,
        /// What the system says.
        cause: std::io::Error,
    },
    /// Others may read the key file.
    #[error("the key file {path} may be read by others; run: chmod 600 {path}")]
    Permissions {
        /// Which file.
        path: String,
    },
    /// The key file is something else.
    #[error("the key file {path} does not hold {KEY_OCTETS} octets")]
    Length {
        /// Which file.
        path: String,
    },
    /// Sealed under another key, damaged, or no sealed credential.
    #[error("the credential was not sealed under this organization's key; set it again")]
    Foreign,
}

/// Seals and unseals under one key.
pub struct Sealer {
    key: RandomizedNonceKey,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

#[derive(Serialize, Deserialize)]
struct Plain {
    user: String,
    password: String,
}

impl Sealer {
    /// Makes a new key and writes it to a file at `path`, which must not exist.
    ///
    /// # Errors
    /// [`SealError::File`]
    pub fn generate(path: &Path) -> Result<Self, SealError> {
        let mut key = Zeroizing::new([0_u8; KEY_OCTETS]);
        aws_lc_rs::rand::fill(key.as_mut()).expect("the system has randomness");
        let written =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
                file.write_all(key.as_ref())?;
                file.sync_all()
            });
        written.map_err(|cause| SealError::File { path: path.display().to_string(), cause })?;
        Ok(Self::new(&key))
    }

    /// Reads the key from the file at `path`.
    ///
    /// # Errors
    /// [`SealError`] when there is no such file, others may read it, or it is no key.
    pub fn load(path: &Path) -> Result<Self, SealError> {
        let name = path.display().to_string();
        let file = |cause| SealError::File { path: path.display().to_string(), cause };
        if std::fs::metadata(path).map_err(file)?.mode() & OTHERS != 0 {
            return Err(SealError::Permissions { path: name });
        }
        let octets = Zeroizing::new(std::fs::read(path).map_err(file)?);
        let key = <&[u8; KEY_OCTETS]>::try_from(octets.as_slice()).map_err(|_| SealError::Length { path: name })?;
        Ok(Self::new(key))
    }

    fn new(key: &[u8; KEY_OCTETS]) -> Self {
        Self { key: RandomizedNonceKey::new(&AES_256_GCM, key).expect("the key has the length of the algorithm") }
    }

    /// Seals a credential. Each time the result is another one.
    #[must_use]
    pub fn seal(&self, credential: &Credential) -> SealedCredential {
        let mut plain = Plain { user: credential.user.clone(), password: credential.password.to_string() };
        let mut sealed = serde_json::to_vec(&plain).expect("two texts are JSON");
        plain.password.zeroize();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(PURPOSE), &mut sealed);
        let nonce = nonce.expect("a credential is far below the limit of the algorithm");
        let blob = [nonce.as_ref().as_slice(), &sealed].concat();
        SealedCredential(format!("{PREFIX}{}", STANDARD.encode(blob)).into())
    }

    /// Unseals a credential.
    ///
    /// # Errors
    /// [`SealError::Foreign`]
    pub fn unseal(&self, sealed: &SealedCredential) -> Result<Credential, SealError> {
        let blob = sealed.0.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
        let mut blob = Zeroizing::new(blob.ok_or(SealError::Foreign)?);
        let (nonce, sealed) = blob.split_at_mut_checked(NONCE_LEN).ok_or(SealError::Foreign)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Foreign)?;
        let plain = self.key.open_in_place(nonce, Aad::from(PURPOSE), sealed).map_err(|_| SealError::Foreign)?;
        let plain: Plain = serde_json::from_slice(plain).map_err(|_| SealError::Foreign)?;
        Ok(Credential { user: plain.user, password: Zeroizing::new(plain.password) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn credentials_come_back_only_under_their_key() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let sealer = Sealer::generate(&one).unwrap();
        let credential = Credential { user: "relay".into(), password: Zeroizing::new("hünter2".into()) };
        let sealed = sealer.seal(&credential);
        assert_ne!(sealed, sealer.seal(&credential));
        assert_eq!(Sealer::load(&one).unwrap().unseal(&sealed).unwrap(), credential);
        assert!(matches!(Sealer::generate(&two).unwrap().unseal(&sealed), Err(SealError::Foreign)));
        for damaged in ["", "v1:", "v1:AAAA", "v1:%%%", &sealed.0[..sealed.0.len() - 4]] {
            assert!(matches!(sealer.unseal(&SealedCredential(damaged.into())), Err(SealError::Foreign)), "{damaged}");
        }
        assert!(!format!("{credential:?}{sealer:?}{sealed:?}").contains("hünter2"));
    }

    #[test]
    fn a_key_file_is_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        Sealer::generate(&path).unwrap();
        assert!(matches!(Sealer::generate(&path), Err(SealError::File { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Sealer::load(&path), Err(SealError::Permissions { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(Sealer::load(&path), Err(SealError::Length { .. })));
    }
}
