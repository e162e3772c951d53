//! One call: the connection, TLS with its one fallback, authentication.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kerberos::Initiator;
use net::tls::{CertificateName, Trust};
use net::{Host, PeerTls, Resolver, TlsClient, Verification};
use smtp_session::client::{ClientConfig, ClientEvent, ClientSession, CredentialUse, Phase, StartTlsUse};
use smtp_session::{ExchangeTls, Logon};
use tokio::time::Instant;

use crate::failure::{Failure, FailurePhase, Peer};
use crate::logon::ServerLogon;
use crate::outbound::SmtpSession;
use crate::plan::{Authentication, CredentialRequirement, NextHop, SessionPlan, TlsPolicy};
use crate::silent::Silent;
use crate::targets::Target;
use crate::transcript::{self, Teller, ToldConnector};

/// Calls hosts as one plan says.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) plan: Arc<SessionPlan>,
    pub(crate) resolver: Resolver,
    pub(crate) tls: TlsClient,
    pub(crate) connect_timeout: Duration,
    pub(crate) silent: Silent,
    /// As what the sessions are told, if they are.
    pub(crate) told: Option<ToldConnector>,
    /// Logs on by Kerberos, where that is set up.
    pub(crate) kerberos: Option<Initiator>,
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
        let stream = connected.map_err(|error| {
            transcript::not_connected(self.told.as_ref(), address, &error.to_string());
            Failure::connect(target.host.clone(), &error)
        })?;
        let machine = ClientSession::new(self.client_config(without), Instant::now().into_std());
        let peer = Peer { host: target.host.clone(), address: Some(address) };
        let transcript = self.told.as_ref().map(ToldConnector::begin);
        let teller = Teller::connected(transcript, stream.local(), address);
        let mut session = SmtpSession::new(stream, machine, peer, target.clone(), teller);
        let mut logon = ServerLogon::new(self.kerberos.as_ref(), &target.configured);
        loop {
            match session.next_event().await {
                Some(ClientEvent::Ready) => return Ok(session),
                Some(ClientEvent::Challenge(challenge)) => logon.answer(&challenge, session.machine()).await,
                Some(ClientEvent::LoggedOn(last, by_exps)) => {
                    logon.end(last.as_deref(), by_exps, session.machine()).await;
                }
                Some(ClientEvent::StartTls) => {
                    *begun_tls = true;
                    session = self.handshake(session, target).await?;
                }
                Some(ClientEvent::Failed(failure)) => {
                    *begun_tls |= failure.phase == Phase::StartTls;
                    return Err(Box::new(session.give_up(&failure)));
                }
                _ => return Err(Box::new(session.gone())),
            }
        }
    }

    fn client_config(&self, without: Without) -> ClientConfig {
        let authentication = self.authentication();
        ClientConfig {
            hello_name: self.plan.hello_name.clone(),
            force_helo: self.plan.force_helo,
            starttls: without.starttls,
            chunking: without.chunking,
            logon: authentication.map(|authentication| match authentication {
                Authentication::Password { credentials, .. } => Logon::Password(credentials.clone()),
                Authentication::ExchangeServer => Logon::Exchange(self.exchange_tls(without.starttls)),
            }),
            credentials_in_clear: match authentication {
                Some(Authentication::Password { requirement: CredentialRequirement::ValidatedTls, .. }) => {
                    CredentialUse::Withheld
                }
                _ => CredentialUse::Permitted,
            },
            inactivity_timeout: self.plan.inactivity_timeout,
        }
    }

    /// TA-26: hosts that DNS chose never see who we are.
    fn authentication(&self) -> Option<&Authentication> {
        self.plan.authentication.as_ref().filter(|_| !matches!(self.plan.next_hop, NextHop::Mx(_)))
    }

    /// TA-60: what it encrypts with proves nothing, so that a connector that asks for a proof has STARTTLS alone.
    fn exchange_tls(&self, starttls: StartTlsUse) -> ExchangeTls {
        let proof = matches!(&self.plan.tls, TlsPolicy::Require(verification) if *verification != Verification::None);
        if starttls == StartTlsUse::Never || proof { ExchangeTls::Never } else { ExchangeTls::IfOffered }
    }

    async fn handshake(&self, session: SmtpSession, target: &Target) -> Result<SmtpSession, Box<Failure>> {
        let (stream, mut parts) = session.into_stream();
        let verification = self.verification(target);
        match self.tls.connect(stream, &target.host, &verification).await {
            Ok((stream, about)) => {
                let credential_use = self.credential_use(target, &verification, &about);
                let mut session = parts.with_stream_and_tls(stream, about);
                session.machine().tls_established(credential_use);
                Ok(session)
            }
            Err(error) => {
                parts.note(&error.to_string(), "TLS handshake");
                Err(Box::new(Failure::tls(parts.peer().clone(), &error)))
            }
        }
    }

    fn validates_for_credentials(&self) -> bool {
        let validated = CredentialRequirement::ValidatedTls;
        matches!(self.authentication(), Some(Authentication::Password { requirement, .. }) if *requirement == validated)
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
