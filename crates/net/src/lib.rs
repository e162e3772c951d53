//! Sockets, TLS, certificates and DNS: the one crate that names rustls and hickory (`rpc` hands PEM to tonic, no more).
//!
//! ```text
//!   dns ──▶ target (may we go there?) ──▶ stream::connect ──▶ tls::TlsClient ──▶ a Stream for SMTP
//!   listener ──▶ a Stream from a peer ──▶ tls::TlsServer ──▶ the same Stream, encrypted
//!   certificate: the organization's own CA, and who a peer of the organization is
//! ```
//!
//! What it does not do: speak SMTP, choose a next hop, order targets, retry. Every failure says what was tried, with whom
//! and what came back, because that text ends up in a queue's `LastError` and in the message's trace.
//!
//! | module | outside thing | rules |
//! |---|---|---|
//! | [`provider`], [`digest`] | the process-wide cryptography | – |
//! | [`host`] | a peer by name or address, IDNA | RFC 5890 |
//! | [`stream`], [`listener`] | TCP | SC-43 |
//! | [`inherited`] | sd_listen_fds(3) | – |
//! | [`bridge`] | a connection for a library that wants a socket | – |
//! | [`organization`] | the port of the implicit connector | – |
//! | [`tls`] | rustls | TA-1 … TA-8, TA-10 … TA-13, TA-21, TA-43, TA-75 |
//! | [`revocation`] | hyper: lists and answers of authorities | TA-8, TA-12, TA-34 |
//! | [`dns`] | hickory | SC-36 … SC-39, RFC 5321 §5.1, RFC 7505 |
//! | [`certificate`] | rcgen, x509-parser | TA-35, ARCHITECTURE.md |
//! | [`target`] | – | which addresses MX-routed mail never goes to |
//! | [`progress`] | – | how long a silent transfer is waited for |

pub mod bridge;
pub mod certificate;
mod circles;
pub mod digest;
pub mod dns;
pub mod host;
pub mod http;
pub mod inherited;
pub mod listener;
pub mod local;
pub mod organization;
pub mod progress;
pub mod provider;
pub mod proxy_protocol;
pub mod revocation;
pub mod signature;
pub mod source;
pub mod stream;
pub mod target;
pub mod tls;

pub use certificate::{
    AdministratorIdentity, CertificateAuthority, KeyedCertificate, NodeIdentity, PeerIdentity, parse_administrator,
    parse_identity,
};
// Certificates name services: whoever speaks of the one speaks of the other.
pub use circles::{Believed, Circle, check_authorities};
pub use dns::{DnsError, MailExchanger, MxAnswer, Resolver};
pub use envelope::{Service, ServiceError};
pub use host::Host;
pub use inherited::InheritedSockets;
pub use listener::{Listener, listen, outward_address};
pub use local::{LocalListener, own_user, user_name, user_number};
pub use organization::{OrganizationListener, OrganizationStream, OrganizationTls};
pub use progress::Progress;
pub use revocation::{RevocationCheck, Revocations};
pub use stream::{ConnectError, Stream, connect};
pub use target::{ForbiddenTarget, TargetPolicy, forbidden_target};
pub use tls::{PeerCertificate, PeerTls, TlsClient, TlsError, TlsServer, Verification};
