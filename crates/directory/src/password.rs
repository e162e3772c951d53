//! Passwords of mailbox users: one-way verifiers, argon2id in PHC string format. Dovecot has the same ones under the name
//! `{ARGON2ID}`, which may stand before a verifier that was made there.
//!
//! Making and checking one takes some ten milliseconds and 19 MiB (the parameters that OWASP recommends and the library
//! defaults to): call both in `spawn_blocking`.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use topology::recipient::PasswordVerifier;

/// Octets of salt (RFC 9106 §4).
const SALT_OCTETS: usize = 16;

/// Why a password was not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is another password.
    #[error("the password is wrong")]
    Wrong,
    /// What is stored is no verifier.
    #[error("the stored verifier cannot be read; set the password again")]
    Damaged,
}

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// Makes the verifier of `password`.
#[must_use]
pub fn create_verifier(password: &str) -> PasswordVerifier {
    let mut octets = [0_u8; SALT_OCTETS];
    aws_lc_rs::rand::fill(&mut octets).expect("the system has randomness");
    let salt = SaltString::encode_b64(&octets).expect("the salt has an allowed length");
    let hash = argon2().hash_password(password.as_bytes(), &salt);
    PasswordVerifier(hash.expect("the default parameters are valid").to_string().into())
}

/// Checks `password` against a verifier, with the parameters that the verifier names.
///
/// # Errors
/// [`VerifyError`]
pub fn verify_password(verifier: &PasswordVerifier, password: &str) -> Result<(), VerifyError> {
    let text = verifier.0.strip_prefix("{ARGON2ID}").unwrap_or(&verifier.0);
    let hash = PasswordHash::new(text).map_err(|_| VerifyError::Damaged)?;
    match argon2().verify_password(password.as_bytes(), &hash) {
        Ok(()) => Ok(()),
        Err(argon2::password_hash::Error::Password) => Err(VerifyError::Wrong),
        Err(_) => Err(VerifyError::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifiers_know_their_password_and_nothing_else() {
        let verifier = create_verifier("correct horse");
        assert!(verifier.0.starts_with("$argon2id$v=19$"));
        assert_eq!(verify_password(&verifier, "correct horse"), Ok(()));
        assert_eq!(verify_password(&verifier, "correct horse "), Err(VerifyError::Wrong));
        assert_eq!(verify_password(&PasswordVerifier("x".into()), "x"), Err(VerifyError::Damaged));
        assert_ne!(verifier, create_verifier("correct horse"));
        // Of `doveadm pw -s ARGON2ID -p staple`.
        let dovecot = "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$bXx0SiTqFZV47A6UPY45sg$PV39SCsUadqi/a8eCttTR5NXUwESuv3OU+dGgBY377U";
        assert_eq!(verify_password(&PasswordVerifier(dovecot.into()), "staple"), Ok(()));
        assert_eq!(verify_password(&PasswordVerifier(dovecot.into()), "horse"), Err(VerifyError::Wrong));
    }
}
