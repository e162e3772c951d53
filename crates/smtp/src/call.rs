//! One call: the connection, TLS with its one fallback, authentication.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::tls::{CertificateName, Trust};
use net::{Host, PeerTls, Resolver, TlsClient, Verification};
use smtp_session::client::{ClientConfig, ClientEvent, ClientSession, CredentialUse, Phase, StartTlsUse};
use tokio::time::Instant;

use crate::failure::{Failure, FailurePhase, Peer};
use crate::outbound::SmtpSession;
use crate::plan::{CredentialRequirement, NextHop, SessionPlan, TlsPolicy};
use crate::silent::Silent;
use crate::targets::Target;

/// Calls hosts as one plan says.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) plan: Arc<SessionPlan>,
    pub(crate) resolver: Resolver,
    pub(crate) tls: TlsClient,
    pub(crate) connect_timeout: Duration,
    pub(crate) silent: Silent,
}

/// What is not used with a host although it offers it.
#[derive(Clone, Copy)]
struct Without {
    starttls: StartTlsUse,
    chunking: bool,
}

impl Caller {
    /// Opens a session with one host.
    pub(crate) async fn call(&self, target: &Target, address: SocketAddr) -> Result<SmtpSession, Box<Failure>> {
        self.session(target, address, true).await
    }

    /// Opens another session with the host of one that is over; without CHUNKING where it was refused.
    pub(crate) async fn call_again(&self, session: &SmtpSession) -> Result<SmtpSession, Box<Failure>> {
        let Some(address) = session.peer().address else { return Err(Box::new(session.gone())) };
        self.session(session.target(), address, session.may_chunk()).await
    }

    async fn session(&self, target: &Target, address: SocketAddr, chunking: bool) -> Result<SmtpSession, Box<Failure>> {
        let starttls = match self.plan.tls {
            TlsPolicy::Ignore => StartTlsUse::Never,
            TlsPolicy::Opportunistic if self.validates_for_credentials() => StartTlsUse::Required,
            TlsPolicy::Opportunistic => StartTlsUse::IfOffered,
            TlsPolicy::Require(_) => StartTlsUse::Required,
        };
        let mut begun_tls = false;
        match self.attempt(target, address, Without { starttls, chunking }, &mut begun_tls).await {
            // TA-5: once more, in clear: whether it was the handshake that failed, STARTTLS, or what came after it.
            Err(failure) if starttls == StartTlsUse::IfOffered && begun_tls && !is_answer(&failure) => {
                let clear = Without { starttls: StartTlsUse::Never, chunking };
                let session = self.attempt(target, address, clear, &mut begun_tls).await?;
                Ok(session.fell_back(failure.to_string().into()))
            }
            result => result,
        }
    }

    async fn attempt(
        &self,
        target: &Target,
        address: SocketAddr,
        without: Without,
        begun_tls: &mut bool,
    ) -> Result<SmtpSession, Box<Failure>> {
        let connected = net::connect(address, self.plan.source, self.connect_timeout).await;
        let stream = connected.map_err(|error| Failure::connect(target.host.clone(), &error))?;
        let machine = ClientSession::new(self.client_config(without), Instant::now().into_std());
        let peer = Peer { host: target.host.clone(), address: Some(address) };
        let mut session = SmtpSession::new(stream, machine, peer, target.clone());
        loop {
            match session.next_event().await {
                Some(ClientEvent::Ready) => return Ok(session),
                Some(ClientEvent::StartTls) => {
                    *begun_tls = true;
                    session = self.handshake(session, target).await?;
                }
                Some(ClientEvent::Failed(failure)) => {
                    *begun_tls |= failure.phase == Phase::StartTls;
                    return Err(Box::new(session.explain(&failure)));
                }
                _ => return Err(Box::new(session.gone())),
            }
        }
    }

    fn client_config(&self, without: Without) -> ClientConfig {
        // TA-26: hosts that DNS chose never see credentials.
        let authentication =
            self.plan.authentication.as_ref().filter(|_| !matches!(self.plan.next_hop, NextHop::Mx(_)));
        ClientConfig {
            hello_name: self.plan.hello_name.clone(),
            force_helo: self.plan.force_helo,
            starttls: without.starttls,
            chunking: without.chunking,
            credentials: authentication.map(|authentication| authentication.credentials.clone()),
            credentials_in_clear: match authentication.map(|authentication| authentication.requirement) {
                Some(CredentialRequirement::ValidatedTls) => CredentialUse::Withheld,
                _ => CredentialUse::Permitted,
            },
            inactivity_timeout: self.plan.inactivity_timeout,
        }
    }

    async fn handshake(&self, session: SmtpSession, target: &Target) -> Result<SmtpSession, Box<Failure>> {
        let (stream, parts) = session.into_stream();
        let verification = self.verification(target);
        match self.tls.connect(stream, &target.host, &verification).await {
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

/// Whether the host said in words that it does not want us: it would say the same in clear.
fn is_answer(failure: &Failure) -> bool {
    failure.reply.is_some() && failure.phase != FailurePhase::Dialogue(Phase::StartTls)
}
