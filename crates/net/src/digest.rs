//! A digest of octets, for whoever has to compare what it does not want to keep.

use aws_lc_rs::{digest, hmac};

/// SHA-256 (FIPS 180-4) over `parts`, one behind the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().try_into().expect("SHA-256 gives 32 octets")
}

/// SHA-1 (FIPS 180-4): a name by which Windows knows a certificate, and no proof of anything.
#[must_use]
pub fn sha1(octets: &[u8]) -> [u8; 20] {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets);
    digest.as_ref().try_into().expect("SHA-1 gives 20 octets")
}

/// HMAC-SHA-1 (RFC 2104): what one-time codes are made of (RFC 4226 §5.2).
#[must_use]
pub fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    hmac::sign(&key, message).as_ref().try_into().expect("HMAC-SHA-1 gives 20 octets")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_one_text() {
        // FIPS 180-4, the example of one block.
        let digest = sha256(&[b"a", b"", b"bc"]);
        assert_eq!(digest[..8], [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]);
        assert_eq!(digest, sha256(&[b"abc"]));
        assert_eq!(sha1(b"abc")[..4], [0xa9, 0x99, 0x3e, 0x36]);
    }

    #[test]
    fn a_code_is_made_of_the_digest_that_the_rfc_has() {
        // RFC 2202 §3, test case 2.
        let digest = hmac_sha1(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(digest[..4], [0xef, 0xfc, 0xdf, 0x6a]);
    }
}
