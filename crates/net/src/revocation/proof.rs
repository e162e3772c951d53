//! By what a list or an answer is believed.

use x509_parser::oid_registry::{OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA};
use x509_parser::x509::AlgorithmIdentifier;

/// Clocks differ a little. Five minutes, as in Kerberos.
pub(super) const SKEW_SECS: u64 = 300;

/// SHA-1 proves nothing any more.
pub(super) fn is_trusted_algorithm(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    algorithm.algorithm != OID_PKCS1_SHA1WITHRSA && algorithm.algorithm != OID_SHA1_WITH_RSA
}
