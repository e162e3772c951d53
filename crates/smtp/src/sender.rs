//! Opening outbound sessions: the targets in turn, the connection, TLS with its one fallback, authentication.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use envelope::Severity;
use net::tls::{CertificateName, Trust};
use net::{Host, PeerTls, Resolver, TlsClient, Verification, forbidden_target};
use smtp_session::client::{ClientConfig, ClientEvent, ClientSession, CredentialUse, StartTlsUse};

use crate::failure::{Failure, FailurePhase, Peer};
use crate::outbound::SmtpSession;
use crate::plan::{CredentialRequirement, NextHop, SessionPlan, TlsPolicy};
use crate::targets::{self, Target};

/// Most addresses called for one session, over all hosts: a domain with a hundred dead exchangers must not hold a lane
/// for an hour.
pub const CALLS_MAX: usize = 10;

/// Opens sessions by plan. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    resolver: Resolver,
    tls: TlsClient,
    connect_timeout: Duration,
}

/// Whom one plan calls, and what has failed so far.
struct Search<'a> {
    sender: &'a Sender,
    plan: &'a SessionPlan,
    calls: usize,
    failure: Option<Box<Failure>>,
}

impl Sender {
    /// Asks `resolver`, secures with `tls`, waits [`net::stream::CONNECT_TIMEOUT`] for connections.
    #[must_use]
    pub fn new(resolver: Resolver, tls: TlsClient) -> Self {
        Self { resolver, tls, connect_timeout: net::stream::CONNECT_TIMEOUT }
    }

    /// Another time to wait for connections.
    #[must_use]
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// Opens a session with the first target that takes one. `turn` should differ from call to call: it chooses among
    /// equal mail exchangers and the smart host to begin with.
    ///
    /// # Errors
    /// The failure of the last target tried, a transient one before a permanent one.
    pub async fn open(&self, plan: &SessionPlan, turn: u64) -> Result<SmtpSession, Box<Failure>> {
        let mut search = Search { sender: self, plan, calls: 0, failure: None };
        let found = match &plan.next_hop {
            NextHop::Mx(domain) => {
                let targets = targets::exchangers(domain, &self.resolver, turn).await?;
                search.try_targets(&targets).await
            }
            NextHop::SmartHosts(hosts) => search.try_smart_hosts(&targets::rotated(hosts, turn), turn).await,
            NextHop::Addresses(addresses) => search.try_addresses(addresses).await,
        };
        found.ok_or_else(|| search.failure.unwrap_or_else(nobody_to_call))
    }
}

fn nobody_to_call() -> Box<Failure> {
    let status = envelope::EnhancedStatus::new(4, 4, 4);
    Box::new(Failure::new(status, FailurePhase::Resolve, None, "there is no host to send to"))
}

impl Search<'_> {
    async fn try_smart_hosts(&mut self, hosts: &[Host], turn: u64) -> Option<SmtpSession> {
        for host in hosts {
            match targets::smart_host(host, &self.sender.resolver, turn).await {
                Ok(targets) => {
                    if let Some(session) = self.try_targets(&targets).await {
                        return Some(session);
                    }
                }
                Err(failure) => self.note(failure),
            }
        }
        None
    }

    async fn try_addresses(&mut self, addresses: &[SocketAddr]) -> Option<SmtpSession> {
        for address in addresses {
            let host = Host::Address(address.ip());
            let session = self.call(&Target { configured: host.clone(), host }, *address).await;
            if session.is_some() {
                return session;
            }
        }
        None
    }

    async fn try_targets(&mut self, targets: &[Target]) -> Option<SmtpSession> {
        for target in targets {
            for address in self.addresses(target).await {
                let session = self.call(target, SocketAddr::new(address, self.plan.port)).await;
                if session.is_some() {
                    return session;
                }
            }
        }
        None
    }

    async fn addresses(&mut self, target: &Target) -> Vec<IpAddr> {
        let name = match &target.host {
            Host::Address(address) => return vec![*address],
            Host::Name(_) if self.calls >= CALLS_MAX => return Vec::new(),
            Host::Name(name) => name,
        };
        match (self.sender.resolver.addresses(name).await, &self.plan.next_hop) {
            (Ok(addresses), _) => addresses,
            (Err(error), NextHop::Mx(_)) => {
                self.note(Box::new(Failure::no_such_domain(name, &error)));
                Vec::new()
            }
            (Err(error), _) => {
                self.note(targets::transient(name, &error));
                Vec::new()
            }
        }
    }

    async fn call(&mut self, target: &Target, address: SocketAddr) -> Option<SmtpSession> {
        if self.calls >= CALLS_MAX {
            return None;
        }
        if matches!(self.plan.next_hop, NextHop::Mx(_))
            && let Some(why) = forbidden_target(address.ip(), self.plan.targets)
        {
            let peer = Peer { host: target.host.clone(), address: Some(address) };
            self.note(Box::new(Failure::forbidden(peer, why)));
            return None;
        }
        self.calls += 1;
        match self.session(target, address).await {
            Ok(session) => Some(session),
            Err(failure) => {
                self.note(failure);
                None
            }
        }
    }

    /// The last failure counts, but none that bounces mail while another target may still take it.
    fn note(&mut self, failure: Box<Failure>) {
        let known_transient = self.failure.as_ref().is_some_and(|known| known.severity == Severity::Transient);
        if failure.severity == Severity::Transient || !known_transient {
            self.failure = Some(failure);
        }
    }

    async fn session(&self, target: &Target, address: SocketAddr) -> Result<SmtpSession, Box<Failure>> {
        let starttls = match self.plan.tls {
            TlsPolicy::Ignore => StartTlsUse::Never,
            TlsPolicy::Opportunistic if self.validates_for_credentials() => StartTlsUse::Required,
            TlsPolicy::Opportunistic => StartTlsUse::IfOffered,
            TlsPolicy::Require(_) => StartTlsUse::Required,
        };
        match self.attempt(target, address, starttls).await {
            // TA-5: once more, in clear.
            Err(failure) if starttls == StartTlsUse::IfOffered && failure.phase == FailurePhase::Handshake => {
                let session = self.attempt(target, address, StartTlsUse::Never).await?;
                Ok(session.fell_back(failure.to_string().into()))
            }
            result => result,
        }
    }

    async fn attempt(
        &self,
        target: &Target,
        address: SocketAddr,
        starttls: StartTlsUse,
    ) -> Result<SmtpSession, Box<Failure>> {
        let connected = net::connect(address, self.plan.source, self.sender.connect_timeout).await;
        let stream = connected.map_err(|error| Failure::connect(target.host.clone(), &error))?;
        let machine = ClientSession::new(self.client_config(starttls));
        let peer = Peer { host: target.host.clone(), address: Some(address) };
        let mut session = SmtpSession::new(stream, machine, peer, self.plan.inactivity_timeout);
        loop {
            match session.next_event().await {
                Some(ClientEvent::Ready) => return Ok(session),
                Some(ClientEvent::StartTls) => session = self.handshake(session, target).await?,
                Some(ClientEvent::Failed(failure)) => return Err(Box::new(session.explain(&failure))),
                _ => return Err(nobody_to_call()),
            }
        }
    }

    fn client_config(&self, starttls: StartTlsUse) -> ClientConfig {
        // TA-26: hosts that DNS chose never see credentials.
        let authentication =
            self.plan.authentication.as_ref().filter(|_| !matches!(self.plan.next_hop, NextHop::Mx(_)));
        ClientConfig {
            hello_name: self.plan.hello_name.clone(),
            force_helo: self.plan.force_helo,
            starttls,
            credentials: authentication.map(|authentication| authentication.credentials.clone()),
            credentials_in_clear: match authentication.map(|authentication| authentication.requirement) {
                Some(CredentialRequirement::ValidatedTls) => CredentialUse::Withheld,
                _ => CredentialUse::Permitted,
            },
        }
    }

    async fn handshake(&self, session: SmtpSession, target: &Target) -> Result<SmtpSession, Box<Failure>> {
        let (stream, parts) = session.into_stream();
        let verification = self.verification(target);
        match self.sender.tls.connect(stream, &target.host, &verification).await {
            Ok((stream, about)) => {
                let credential_use = self.credential_use(target, &verification, &about);
                let mut session = parts.with_stream_and_tls(stream, about);
                session.machine().tls_established(credential_use);
                Ok(session)
            }
            Err(error) => Err(Box::new(Failure::tls(parts.peer().clone(), &error))),
        }
    }

    fn validates_for_credentials(&self) -> bool {
        let requirement = self.plan.authentication.as_ref().map(|authentication| authentication.requirement);
        requirement == Some(CredentialRequirement::ValidatedTls) && !matches!(self.plan.next_hop, NextHop::Mx(_))
    }

    /// TA-21: with credentials at stake the certificate must be for exactly the configured host, at least.
    fn verification(&self, target: &Target) -> Verification {
        let required = match &self.plan.tls {
            TlsPolicy::Require(verification) => verification.clone(),
            TlsPolicy::Ignore | TlsPolicy::Opportunistic => Verification::None,
        };
        match required {
            Verification::None | Verification::Chain if self.validates_for_credentials() => {
                Verification::Host(target.configured.clone())
            }
            required => required,
        }
    }

    /// TA-21 again, from what was shown: where the policy checked another name, this one must be there too.
    fn credential_use(&self, target: &Target, verified: &Verification, about: &PeerTls) -> CredentialUse {
        let configured = &target.configured;
        let is_exact = |name: &CertificateName| match (name, configured) {
            (CertificateName::Dns(name), Host::Name(wanted)) => name.eq_ignore_ascii_case(wanted.as_str()),
            (CertificateName::Address(address), Host::Address(wanted)) => address == wanted,
            _ => false,
        };
        let shows_exact_name = about
            .certificate
            .as_ref()
            .is_some_and(|certificate| certificate.trust == Trust::Trusted && certificate.names.iter().any(is_exact));
        let validated = *verified == Verification::Host(configured.clone()) || shows_exact_name;
        if validated || !self.validates_for_credentials() { CredentialUse::Permitted } else { CredentialUse::Withheld }
    }
}
