//! Everything about an outbound session before it is opened: a plain value, made from a Send connector, that may travel
//! to the front end that opens the session (`FrontendProxyEnabled`).

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use envelope::Domain;
use net::{Host, TargetPolicy, Verification};
use smtp_session::Credentials;

/// `ConnectionInactivityTimeOut` default of a Send connector (SC-89).
pub const INACTIVITY_TIMEOUT_DEFAULT: Duration = Duration::from_mins(10);
/// `Port` default.
pub const PORT_DEFAULT: u16 = 25;

/// Whom to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// The mail exchangers of a domain (SC-39).
    Mx(Domain),
    /// The first of these that answers, beginning at one chosen by turn (SC-45). A name is an MX name or a host (SC-42).
    SmartHosts(Vec<Host>),
    /// These addresses in this order, whatever DNS says; the port of the plan is not used.
    Addresses(Vec<SocketAddr>),
}

/// When to use TLS, and what must be true of the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsPolicy {
    /// `IgnoreSTARTTLS` (TA-2).
    Ignore,
    /// When it is offered, with any certificate; in clear if the handshake fails (TA-1, TA-5).
    Opportunistic,
    /// `RequireTLS` with its `TlsAuthLevel` (TA-3, TA-8): nothing is sent otherwise.
    Require(Verification),
}

/// On what condition credentials are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialRequirement {
    /// `BasicAuth`: as the connection is (TA-20).
    AnyConnection,
    /// `BasicAuthRequireTLS`: only under TLS to a server whose certificate is for exactly the configured host (TA-21).
    ValidatedTls,
}

/// `SmartHostAuthMechanism` and `AuthenticationCredential`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// `BasicAuth`, `BasicAuthRequireTLS`.
    Password {
        /// Who we are there. `Debug` shows no secret.
        credentials: Credentials,
        /// Where the secret may go.
        requirement: CredentialRequirement,
    },
    /// `ExchangeServer`: by Kerberos, both sides proving who they are (TA-60).
    ExchangeServer,
}

/// The servers of the organization, as DNS may lead to them (RFC 5321 §5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ourselves {
    /// Names under which they are published.
    pub names: HashSet<Domain>,
    /// Where they take mail by SMTP.
    pub entrances: HashSet<SocketAddr>,
}

impl Ourselves {
    /// Whether mail sent there would come back.
    #[must_use]
    pub fn has(&self, address: SocketAddr) -> bool {
        self.entrances.contains(&address)
    }
}

/// How to open a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPlan {
    /// Whom to call.
    pub next_hop: NextHop,
    /// At which port.
    pub port: u16,
    /// `Fqdn`: the name given with EHLO (TA-7).
    pub hello_name: Domain,
    /// `ForceHELO` (TA-4).
    pub force_helo: bool,
    /// When to use TLS.
    pub tls: TlsPolicy,
    /// Used with smart hosts only, never with hosts that DNS chose (TA-26).
    pub authentication: Option<Authentication>,
    /// `ConnectionInactivityTimeOut`: bounds every wait, below the limits of RFC 5321.
    pub inactivity_timeout: Duration,
    /// `SourceIPAddress`.
    pub source: Option<IpAddr>,
    /// Which addresses DNS may lead to. Smart hosts and fixed addresses are the administrator's choice and not checked.
    pub targets: TargetPolicy,
    /// Whom DNS must not lead to.
    pub ourselves: Arc<Ourselves>,
}

impl SessionPlan {
    /// The defaults of a Send connector.
    #[must_use]
    pub fn new(next_hop: NextHop, hello_name: Domain) -> Self {
        Self {
            next_hop,
            port: PORT_DEFAULT,
            hello_name,
            force_helo: false,
            tls: TlsPolicy::Opportunistic,
            authentication: None,
            inactivity_timeout: INACTIVITY_TIMEOUT_DEFAULT,
            source: None,
            targets: TargetPolicy::default(),
            ourselves: Arc::default(),
        }
    }
}
