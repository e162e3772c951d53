//! TLS for SMTP: both ends, what is verified of the other one, and what to tell about it.
//!
//! ```text
//!  TlsClient::connect(stream, host, verification)         TlsServer::accept(stream)
//!        │  TA-8: None / Chain / name                           │  certificate of the connector (TA-30), replaceable
//!        ▼                                                      ▼  client certificate asked for or not (TA-43, TA-75)
//!    (Stream, PeerTls)                                      (Stream, PeerTls)
//! ```
//!
//! TLS 1.2 is the least (TA-13). Sessions are never resumed: a resumed one skips verification, and what one connector
//! accepted must not count for another. Whether a certificate has been revoked is asked after the handshake and before
//! anything is said ([`crate::revocation`]).
//!
//! With TLS 1.3 a server that refuses the client's certificate says so only after the handshake: pass errors of the first
//! read through [`TlsError::from_io`].

mod choice;
mod client;
mod error;
mod names;
mod peer;
mod roots;
mod server;
#[cfg(test)]
mod tests;
mod verify;

use std::time::Duration;

use envelope::Domain;

pub use choice::{OwnCertificate, for_host, in_order, named};
pub use client::TlsClient;
pub use error::{CertificateProblem, TlsError};
pub use names::CertificateName;
pub use peer::{Fingerprint, PeerCertificate, PeerTls, Trust};
pub use roots::{RootsError, TrustedRoots};
pub use server::{ClientCertificates, TlsServer};

use crate::host::Host;

/// Time for a handshake, on either side. A peer that has answered EHLO has answered quickly; this is for lost packets.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// TA-13.
pub(crate) const TLS_VERSIONS: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

/// What must be true of the server's certificate (`TlsAuthLevel`, TA-8).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verification {
    /// Nothing: encryption only, opportunistic or required.
    None,
    /// It leads to a trusted root, is within its dates and not revoked (`CertificateValidation`).
    Chain,
    /// And it is for exactly this host, wildcards aside (TA-21): by dNSName, or by iPAddress for an address.
    Host(Host),
    /// And it is for this domain, wildcards of the certificate allowed for one label (`DomainValidation`, TA-10).
    Domain(Domain),
    /// And it is for this domain or any name under it: `TlsDomain` `*.contoso.com` (TA-10).
    Subdomains(Domain),
    /// As [`Self::Domain`], and the server wants to see who we are as well: Domain Security (TA-43).
    Mutual(Domain),
}
