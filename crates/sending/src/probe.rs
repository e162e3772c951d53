//! Trying the way out by a Send connector without sending mail: every host that it leads to, step by step, each step that
//! does not work with what to do. The session is the one that mail would take; `MAIL` and `RCPT` are said and taken back.
//!
//! ```text
//!   Prober::begin ─▶ directly: each host of the plan        ─▶ Reached or Failure ─┐
//!                └─▶ request: what a front end is asked for ─▶ Reached or Failure ─┴▶ steps: told to people
//! ```

mod steps;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use envelope::{Address, Domain, Envelope, Recipient, Reply, ReversePath, Timestamp};
use net::tls::Trust;
use net::{KeyedCertificate, PeerTls, Revocations};
use rpc::ProxyRequest;
use runtime::{NodeError, PeerBook, Resolvers, Settings, certificate};
use smtp::{Answered, Failure, Peer, Sender, SessionPlan, TlsOutcome};
use topology::{Organization, SendConnector, Server};

pub use steps::{ProbeStep, State, Told, of_failure, of_reached};

use crate::certificates::Certificates;
use crate::kerberos::Kerberos;
use crate::keys::Keys;
use crate::ourselves;
use crate::plan::Unready;
use crate::sessions::{self, Errand, Means, targets_of};

/// Who tries, and what.
#[derive(Clone, Copy)]
pub struct Prober<'a> {
    /// Of the server that tries.
    pub settings: &'a Settings,
    /// Its configuration.
    pub organization: &'a Organization,
    /// That server.
    pub server: &'a Server,
    /// Open the credential of the connector.
    pub keys: &'a Keys,
    /// What is tried.
    pub connector: &'a SendConnector,
    /// The recipients' domain, for a connector that routes by DNS.
    pub domain: Option<&'a Domain>,
    /// A certificate that is not there yet: tried as if it were.
    pub candidate: Option<NewCertificate<'a>>,
    /// Now.
    pub now: Timestamp,
}

/// A certificate that a server may be given.
#[derive(Clone, Copy)]
pub struct NewCertificate<'a> {
    /// With its key.
    pub certificate: &'a KeyedCertificate,
    /// In the place of the server's own; beside it otherwise.
    pub instead: bool,
}

/// A host that took a session, and what it said.
#[derive(Clone, Debug)]
pub struct Reached {
    /// Who.
    pub peer: Peer,
    /// How the connection was secured.
    pub security: Security,
    /// One for each recipient that was asked about.
    pub recipients: Vec<Result<Reply, Failure>>,
}

/// How a connection is secured, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    Clear,
    /// Not at all: the handshake failed and nothing required it; why.
    FellBack(Box<str>),
    /// Version, cipher, and what is known of the certificate.
    Encrypted(Box<str>),
}

impl Prober<'_> {
    /// Asks every host of the connector from this server.
    ///
    /// # Errors
    /// [`NodeError`] when the server's own certificate or the trusted roots cannot be used; the inner one when the connector
    /// cannot be used as it is.
    pub async fn directly(
        &self,
        envelope: &Envelope,
    ) -> Result<Result<Vec<Result<Reached, Failure>>, Unready>, NodeError> {
        let own = certificate::for_smtp(self.settings, self.server, self.now)?;
        let mut certificates = Certificates::load(self.settings, &own)?;
        if let Some(NewCertificate { certificate, instead }) = self.candidate {
            certificates = certificates.with(certificate, instead, self.settings)?;
        }
        let (plan, sender) = match self.prepare(&certificates) {
            Ok(prepared) => prepared,
            Err(unready) => return Ok(Err(unready)),
        };
        let hosts = sender.probe(&plan, envelope).await;
        Ok(Ok(hosts.into_iter().map(|host| host.map(Reached::from)).collect()))
    }

    fn prepare(&self, certificates: &Certificates) -> Result<(SessionPlan, Sender), Unready> {
        let means = Means {
            settings: self.settings,
            local: self.server,
            certificates,
            resolvers: &Resolvers::default(),
            kerberos: &Kerberos::default(),
            revocations: &Revocations::default(),
            targets: targets_of(self.organization),
            secured: &self.organization.transport_config().tls_send_domain_secure_list,
            ourselves: Arc::new(ourselves::of(self.organization, &PeerBook::default(), self.settings)),
            now: self.now,
        };
        let prepared = means.prepare(self.server, true, self.errand(), || self.keys.open(self.connector))?;
        Ok(prepared.sender())
    }

    /// What a front end is asked for the same session.
    ///
    /// # Errors
    /// Why the connector cannot be used as it is.
    pub fn request(&self) -> Result<ProxyRequest, Unready> {
        sessions::request(self.keys, self.organization.revision(), self.errand())
    }

    fn errand(&self) -> Errand<'_> {
        Errand { connector: self.connector, domain: self.domain, turn: 0 }
    }
}

/// What is asked: whether mail of `sender` would be taken for `recipients`.
#[must_use]
pub fn question(sender: ReversePath, recipients: Vec<Address>) -> Envelope {
    Envelope::new(sender, recipients.into_iter().map(Recipient::new).collect())
}

impl From<Answered> for Reached {
    fn from(answered: Answered) -> Self {
        let security = match answered.tls {
            TlsOutcome::Clear => Security::Clear,
            TlsOutcome::FellBack(why) => Security::FellBack(why),
            TlsOutcome::Encrypted(about) => Security::Encrypted(in_words(&about).into()),
        };
        Self { peer: answered.peer, security, recipients: answered.recipients }
    }
}

impl Reached {
    /// A host that a front end reached: `tls` is empty where the connection is in clear.
    #[must_use]
    pub fn through_front_end(peer: Peer, tls: &str, recipients: Vec<Result<Reply, Failure>>) -> Self {
        let security = if tls.is_empty() { Security::Clear } else { Security::Encrypted(tls.into()) };
        Self { peer, security, recipients }
    }
}

fn in_words(about: &PeerTls) -> String {
    let certificate = match &about.certificate {
        None => "no certificate".to_owned(),
        Some(shown) => {
            let trust = match &shown.trust {
                Trust::Trusted => ", of a trusted authority, not revoked".to_owned(),
                Trust::Untrusted(why) => format!(", not believed ({why})"),
                Trust::NotChecked => String::new(),
            };
            format!("certificate of {}{trust}", shown.subject)
        }
    };
    let asked = if about.asked_for_ours { "; it asked for the certificate of this server" } else { "" };
    format!("{} {}, {certificate}{asked}", about.version, about.cipher)
}
