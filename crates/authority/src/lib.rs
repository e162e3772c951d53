//! Who may do what between the services of one organization: a principal and an act become a ruling with its rule.
//!
//! ```text
//!   Principal (of a certificate that was verified)  ─┐
//!   Act (what is asked for)                          ├─▶ Authority::rule ─▶ Ok, or a Refusal with its rule
//!   Authority (forest, servers, revocations of now) ─┘
//! ```
//!
//! | rule | what it asks |
//! |---|---|
//! | `forest` | the principal is of this forest |
//! | `revoked` | its certificate is younger than the last revocation of its server or administrator |
//! | `member` | its server is one of the organization |
//! | `role` | a server of that role runs the services that the certificate names |
//! | `act` | the act is for one of these services, or for administrators |
//!
//! Pure: reading certificates and following the directory are done elsewhere. A service is never an administrator, and no
//! administrator a service.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use envelope::{Domain, ObjectName, ServerName, Service, Timestamp};
use topology::{Organization, ServerRole};

/// Who asks, by a certificate that was verified against the organization's authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The forest that it belongs to, in A-labels.
    pub forest: Domain,
    /// A server's services, or a person.
    pub who: Who,
    /// When the certificate was issued.
    pub issued: Timestamp,
}

/// A server's services, or a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Services of a server.
    Server {
        /// Which server.
        server: ServerName,
        /// As what it may act.
        services: BTreeSet<Service>,
    },
    /// An administrator.
    Administrator(ObjectName),
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Hand mail to a Transport, or ask whether it takes any.
    SubmitMail,
    /// Hand mail to Mailbox Transport Delivery.
    DeliverMail,
    /// Have a front end open a session to a host outside.
    OpenOutboundSession,
    /// Look at queues, messages and peers of a Transport.
    LookAtQueues,
    /// Search the message tracking log of a server.
    SearchTrackingLog,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::SubmitMail, Self::DeliverMail, Self::OpenOutboundSession, Self::LookAtQueues, Self::SearchTrackingLog];

    /// The services that may; none where it is for administrators.
    #[must_use]
    pub fn services(self) -> &'static [Service] {
        match self {
            Self::SubmitMail => &[Service::FrontendTransport, Service::MailboxSubmission, Service::Transport],
            Self::DeliverMail | Self::OpenOutboundSession => &[Service::Transport],
            Self::LookAtQueues | Self::SearchTrackingLog => &[],
        }
    }
}

/// Whose certificates are void.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// All services of a server.
    Server(ServerName),
    /// An administrator.
    Administrator(ObjectName),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(name) => write!(f, "server {name}"),
            Self::Administrator(name) => write!(f, "administrator {name}"),
        }
    }
}

/// Every certificate of `subject` that was issued until then is void: whoever has its key is nobody. Newer ones count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub subject: Subject,
    /// Issued until then, this moment included.
    pub issued_until: Timestamp,
}

/// By which rule an act is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Another forest's.
    Forest,
    /// A certificate that was revoked.
    Revoked,
    /// A server that the organization does not have.
    Member,
    /// A service that servers of that role do not run.
    Role,
    /// Not for this service, or not for administrators.
    Act,
}

impl Rule {
    /// The word by which logs and answers name it.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Forest => "forest",
            Self::Revoked => "revoked",
            Self::Member => "member",
            Self::Role => "role",
            Self::Act => "act",
        }
    }
}

/// Why an act is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why} (rule `{}`)", rule.id())]
pub struct Refusal {
    /// The rule.
    pub rule: Rule,
    /// In words.
    pub why: String,
}

/// What is known about an organization's members just now.
#[derive(Clone, Debug)]
pub struct Authority {
    forest: Domain,
    servers: Option<BTreeMap<ServerName, ServerRole>>,
    revoked: BTreeMap<Subject, Timestamp>,
}

impl Authority {
    /// Of `forest` alone: its servers are not known yet, and nothing is revoked.
    #[must_use]
    pub fn of_forest(forest: Domain) -> Self {
        Self { forest, servers: None, revoked: BTreeMap::new() }
    }

    /// The same forest with the servers of a configuration.
    #[must_use]
    pub fn with_servers(mut self, organization: &Organization) -> Self {
        self.servers = Some(organization.servers().iter().map(|server| (server.name.clone(), server.role)).collect());
        self
    }

    /// The same with these revocations and no others.
    #[must_use]
    pub fn with_revocations<'a>(mut self, revocations: impl IntoIterator<Item = &'a Revocation>) -> Self {
        self.revoked.clear();
        for Revocation { subject, issued_until } in revocations {
            let until = self.revoked.entry(subject.clone()).or_insert(*issued_until);
            *until = (*until).max(*issued_until);
        }
        self
    }

    /// Whether `principal` may do that.
    ///
    /// # Errors
    /// [`Refusal`], by the first rule that does not hold.
    pub fn rule(&self, principal: &Principal, act: Act) -> Result<(), Refusal> {
        if principal.forest != self.forest {
            let why = format!("the certificate is of forest {}, not of {}", principal.forest, self.forest);
            return Err(Refusal { rule: Rule::Forest, why });
        }
        match &principal.who {
            Who::Server { server, services } => {
                self.not_revoked(Subject::Server(server.clone()), principal.issued)?;
                let services = self.running(server, services)?;
                if act.services().iter().any(|service| services.contains(service)) {
                    return Ok(());
                }
                let names: Vec<&str> = act.services().iter().map(|service| service.as_str()).collect();
                let whom = if names.is_empty() { "administrators".to_owned() } else { names.join(", ") };
                Err(Refusal { rule: Rule::Act, why: format!("{server} may not call this; it is for {whom}") })
            }
            Who::Administrator(name) => {
                self.not_revoked(Subject::Administrator(name.clone()), principal.issued)?;
                if act.services().is_empty() {
                    return Ok(());
                }
                let why = format!("{name} is an administrator; this is for services");
                Err(Refusal { rule: Rule::Act, why })
            }
        }
    }

    fn not_revoked(&self, subject: Subject, issued: Timestamp) -> Result<(), Refusal> {
        match self.revoked.get(&subject) {
            Some(until) if issued <= *until => {
                let why = format!("the certificates of {subject} were revoked; it needs a new one");
                Err(Refusal { rule: Rule::Revoked, why })
            }
            _ => Ok(()),
        }
    }

    /// Which of `services` a server of the organization runs.
    fn running<'a>(
        &self,
        server: &ServerName,
        services: &'a BTreeSet<Service>,
    ) -> Result<&'a BTreeSet<Service>, Refusal> {
        let Some(servers) = &self.servers else { return Ok(services) };
        let role = servers
            .get(server)
            .ok_or_else(|| Refusal { rule: Rule::Member, why: format!("{server} is no server of the organization") })?;
        match role {
            ServerRole::Mailbox => Ok(services),
            ServerRole::Edge if services.iter().all(|service| *service == Service::Transport) => Ok(services),
            ServerRole::Edge => {
                Err(Refusal { rule: Rule::Role, why: format!("{server} is an Edge server and runs Transport alone") })
            }
        }
    }
}

#[cfg(test)]
mod tests;
