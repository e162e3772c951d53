//! Sealing credentials before they are stored: AES-256-GCM under the organization's key.
//!
//! The key is a file of 32 octets that only its owner may read. A sealed credential is `v2:` and the base64 of nonce and
//! ciphertext; the tag also covers what the secret is for: which connector, by its identity, which smart hosts, which
//! mechanism. Copied into another connector, or left in one that was led to other hosts, it does not open. What an earlier
//! version sealed (`v1:`) is bound to nothing; it still opens, and `postroad apply` seals it anew.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use topology::{SealedCredential, SendConnector, SmartHost};
use zeroize::{Zeroize, Zeroizing};

/// Octets of the organization's key.
const KEY_OCTETS: usize = 32;
/// Permission bits that a key file must not have.
const OTHERS: u32 = 0o077;
/// What is sealed: first part of the authenticated data.
const PURPOSE: &[u8] = b"postroad/v2/sendConnector/authenticationCredential";
/// Start of every sealed credential.
const PREFIX: &str = "v2:";
/// All of the authenticated data in the form before.
const PURPOSE_UNBOUND: &[u8] = b"postroad/v1/sendConnector/authenticationCredential";
/// Start of a credential in the form before.
const PREFIX_UNBOUND: &str = "v1:";

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
    /// Sealed under another key or for another use, damaged, or no sealed credential.
    #[error(
        "the credential was not sealed under this organization's key for this connector with these smartHosts and this \
         smartHostAuthMechanism; give user and password again"
    )]
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

    /// Seals a credential for `connector` as it is. Each time the result is another one.
    #[must_use]
    pub fn seal(&self, credential: &Credential, connector: &SendConnector) -> SealedCredential {
        let mut plain = Plain { user: credential.user.clone(), password: credential.password.to_string() };
        let mut sealed = serde_json::to_vec(&plain).expect("two texts are JSON");
        plain.password.zeroize();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(purpose(connector)), &mut sealed);
        let nonce = nonce.expect("a credential is far below the limit of the algorithm");
        let blob = [nonce.as_ref().as_slice(), &sealed].concat();
        SealedCredential(format!("{PREFIX}{}", STANDARD.encode(blob)).into())
    }

    /// Unseals the credential of `connector`.
    ///
    /// # Errors
    /// [`SealError::Foreign`]
    pub fn unseal(&self, sealed: &SealedCredential, connector: &SendConnector) -> Result<Credential, SealError> {
        let (text, purpose) = match sealed.0.strip_prefix(PREFIX_UNBOUND) {
            Some(text) => (text, PURPOSE_UNBOUND.to_vec()),
            None => (sealed.0.strip_prefix(PREFIX).ok_or(SealError::Foreign)?, purpose(connector)),
        };
        let mut blob = Zeroizing::new(STANDARD.decode(text).map_err(|_| SealError::Foreign)?);
        let (nonce, sealed) = blob.split_at_mut_checked(NONCE_LEN).ok_or(SealError::Foreign)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Foreign)?;
        let plain = self.key.open_in_place(nonce, Aad::from(purpose), sealed).map_err(|_| SealError::Foreign)?;
        let plain: Plain = serde_json::from_slice(plain).map_err(|_| SealError::Foreign)?;
        Ok(Credential { user: plain.user, password: Zeroizing::new(plain.password) })
    }
}

/// Whether a credential is in the form before, which opens in any connector.
#[must_use]
pub(crate) fn is_unbound(sealed: &SealedCredential) -> bool {
    sealed.0.starts_with(PREFIX_UNBOUND)
}

/// What a credential of `connector` is for. Each part has its length before it: no two uses are the same octets. The order
/// of smart hosts is of no concern, nor how their names are written.
fn purpose(connector: &SendConnector) -> Vec<u8> {
    let mut hosts: Vec<String> = connector.smart_hosts.iter().map(host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let (guid, mechanism) = (connector.guid.to_string(), connector.smart_host_auth_mechanism.as_str());
    let mut purpose = PURPOSE.to_vec();
    for part in [guid.as_str(), mechanism].into_iter().chain(hosts.iter().map(String::as_str)) {
        purpose.extend_from_slice(&(part.len() as u64).to_be_bytes());
        purpose.extend_from_slice(part.as_bytes());
    }
    purpose
}

fn host(smart_host: &SmartHost) -> String {
    match smart_host {
        SmartHost::Address(address) => address.to_string(),
        SmartHost::Name(name) => name.ascii().to_owned(),
        SmartHost::SubscribedSite => smart_host.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use topology::Guid;
    use topology::send_connector::{SmartHostAuthMechanism, Usage};

    fn connector(number: u8, hosts: &[&str]) -> SendConnector {
        let name = envelope::ObjectName::parse("Partner").unwrap();
        let mut connector = SendConnector::new(
            Guid::derived("sendConnector", &number.to_string()),
            name,
            Usage::Custom,
            Vec::new(),
            Vec::new(),
        );
        connector.smart_hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        connector.smart_host_auth_mechanism = SmartHostAuthMechanism::BasicAuthRequireTLS;
        connector
    }

    fn credential() -> Credential {
        Credential { user: "relay".into(), password: Zeroizing::new("hünter2".into()) }
    }

    #[test]
    fn credentials_come_back_only_under_their_key() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let sealer = Sealer::generate(&one).unwrap();
        let (credential, connector) = (credential(), connector(1, &["a.example"]));
        let sealed = sealer.seal(&credential, &connector);
        assert_ne!(sealed, sealer.seal(&credential, &connector));
        assert_eq!(Sealer::load(&one).unwrap().unseal(&sealed, &connector).unwrap(), credential);
        assert!(matches!(Sealer::generate(&two).unwrap().unseal(&sealed, &connector), Err(SealError::Foreign)));
        for damaged in ["", "v1:", "v2:", "v2:AAAA", "v2:%%%", &sealed.0[..sealed.0.len() - 4]] {
            let damaged = SealedCredential(damaged.into());
            assert!(matches!(sealer.unseal(&damaged, &connector), Err(SealError::Foreign)), "{}", damaged.0);
        }
        assert!(!format!("{credential:?}{sealer:?}{sealed:?}").contains("hünter2"));
    }

    #[test]
    fn a_credential_opens_in_its_connector_for_its_hosts_by_its_mechanism_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::generate(&folder.path().join("key")).unwrap();
        let own = connector(1, &["a.example", "192.0.2.1"]);
        let sealed = sealer.seal(&credential(), &own);
        let opens = |connector: &SendConnector| sealer.unseal(&sealed, connector).is_ok();
        // The order and the writing of hosts say nothing, and neither does what is no concern of the credential.
        assert!(opens(&own) && opens(&connector(1, &["192.0.2.1", "A.Example"])));
        let renamed = SendConnector { name: envelope::ObjectName::parse("Other").unwrap(), ..own.clone() };
        assert!(opens(&renamed));
        let by = |mechanism| SendConnector { smart_host_auth_mechanism: mechanism, ..own.clone() };
        for other in [
            connector(2, &["a.example", "192.0.2.1"]),
            connector(1, &["a.example"]),
            connector(1, &["a.example", "192.0.2.1", "evil.example"]),
            connector(1, &["a.example192.0.2.1"]),
            connector(1, &[]),
            by(SmartHostAuthMechanism::BasicAuth),
        ] {
            assert!(!opens(&other), "{other:?}");
        }
    }

    #[test]
    fn what_an_earlier_version_sealed_still_opens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let sealer = Sealer::generate(&path).unwrap();
        // As that version did it.
        let mut octets = br#"{"user":"relay","password":"h\u00fcnter2"}"#.to_vec();
        let nonce = sealer.key.seal_in_place_append_tag(Aad::from(PURPOSE_UNBOUND), &mut octets).unwrap();
        let blob = [nonce.as_ref().as_slice(), &octets].concat();
        let sealed = SealedCredential(format!("v1:{}", STANDARD.encode(blob)).into());
        assert!(is_unbound(&sealed));
        assert_eq!(sealer.unseal(&sealed, &connector(1, &["a.example"])).unwrap(), credential());
        // Nothing in the form of now passes for one of that form.
        let bound = sealer.seal(&credential(), &connector(1, &["a.example"]));
        let disguised = SealedCredential(bound.0.replacen("v2:", "v1:", 1).into());
        assert!(sealer.unseal(&disguised, &connector(1, &["a.example"])).is_err());
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
