//! Signatures by a key of their own (Ed25519, RFC 8032), for what is carried by hand from one machine to another.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use aws_lc_rs::{hmac, rand};
use zeroize::Zeroizing;

/// Octets of a private key.
const SEED_OCTETS: usize = 32;

/// The key cannot be used, or the system has no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key cannot be used")]
pub struct BadKey;

/// A key to sign with. Never printed; overwritten in memory when dropped.
#[derive(Clone)]
pub struct SigningKey(Zeroizing<[u8; SEED_OCTETS]>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// A new one.
    ///
    /// # Errors
    /// [`BadKey`]
    pub fn generate() -> Result<Self, BadKey> {
        let mut seed = Zeroizing::new([0; SEED_OCTETS]);
        rand::fill(&mut *seed).map_err(|_| BadKey)?;
        Ok(Self(seed))
    }

    /// The one with these octets.
    ///
    /// # Errors
    /// [`BadKey`] for another number of octets.
    pub fn from_octets(octets: &[u8]) -> Result<Self, BadKey> {
        let key = Self(Zeroizing::new(octets.try_into().map_err(|_| BadKey)?));
        key.pair().map(|_| key)
    }

    /// Its octets: for a file, never for output.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &*self.0
    }

    fn pair(&self) -> Result<Ed25519KeyPair, BadKey> {
        Ed25519KeyPair::from_seed_unchecked(&*self.0).map_err(|_| BadKey)
    }

    /// By which others know what it signs.
    ///
    /// # Errors
    /// [`BadKey`]
    pub fn public_key(&self) -> Result<Vec<u8>, BadKey> {
        Ok(self.pair()?.public_key().as_ref().to_vec())
    }

    /// Signs.
    ///
    /// # Errors
    /// [`BadKey`]
    pub fn sign(&self, text: &[u8]) -> Result<Vec<u8>, BadKey> {
        Ok(self.pair()?.sign(text).as_ref().to_vec())
    }
}

/// Whether `text` was signed by the key whose public half this is.
#[must_use]
pub fn is_signed(public_key: &[u8], text: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(text, signature).is_ok()
}

/// What proves that `text` comes from somebody who has the secret (HMAC with SHA-256, RFC 2104).
#[must_use]
pub fn keyed_digest(secret: &[u8], text: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, text).as_ref().try_into().expect("SHA-256 gives 32 octets")
}

/// Octets that nobody can foresee.
///
/// # Errors
/// [`BadKey`] when the system has no randomness.
pub fn random_octets<const N: usize>() -> Result<[u8; N], BadKey> {
    let mut octets = [0; N];
    rand::fill(&mut octets).map_err(|_| BadKey)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_key_and_one_text() {
        let (one, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let (key, signature) = (one.public_key().unwrap(), one.sign(b"text").unwrap());
        assert!(is_signed(&key, b"text", &signature));
        assert!(!is_signed(&key, b"texts", &signature));
        assert!(!is_signed(&other.public_key().unwrap(), b"text", &signature));
        assert!(!is_signed(b"no key", b"text", &signature));
        let again = SigningKey::from_octets(one.expose()).unwrap();
        assert_eq!(again.public_key().unwrap(), key);
        assert_eq!(SigningKey::from_octets(b"short").unwrap_err(), BadKey);
        assert_eq!(format!("{one:?}"), "SigningKey(…)");
        // RFC 4231 §4.3
        let digest = keyed_digest(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(digest[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        assert_ne!(random_octets::<32>().unwrap(), random_octets::<32>().unwrap());
    }
}
