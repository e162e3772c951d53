//! Who is signed in, and how.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use authority::{Principal, RoleGroup, Who};
use envelope::Timestamp;

use crate::provider::Identity;

/// How somebody proved who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Name, password and a code, of an account of this centre.
    Account,
    /// A certificate of the organization's authority.
    Certificate,
    /// The word of a provider.
    Provider,
}

impl Proof {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "password and code",
            Self::Certificate => "certificate",
            Self::Provider => "provider",
        }
    }
}

/// Who vouches for somebody.
#[derive(Clone, Debug)]
pub(crate) struct Vouched {
    /// The provider, as people call it.
    pub(crate) by: String,
    pub(crate) identity: Identity,
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    pub(crate) principal: Principal,
    pub(crate) proof: Proof,
    pub(crate) from: IpAddr,
    /// The end of what he proved it by: of a certificate.
    pub(crate) until: Option<Timestamp>,
    /// When he proved it last, where that is known.
    pub(crate) proved: Option<Timestamp>,
    /// By a provider: by which, and as whom.
    pub(crate) vouched: Option<Arc<Vouched>>,
}

impl Person {
    /// As audit logs name him.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.principal.who {
            Who::Administrator { name, .. } => name.as_str(),
            Who::User { name, .. } => name,
            Who::Server { server, .. } | Who::Edge { server } => server.as_str(),
        }
    }

    /// As what he may act.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<RoleGroup> {
        match &self.principal.who {
            Who::Administrator { groups, .. } | Who::User { groups, .. } => groups.clone(),
            Who::Server { .. } | Who::Edge { .. } => BTreeSet::new(),
        }
    }

    /// From where he comes.
    #[must_use]
    pub fn from(&self) -> IpAddr {
        self.from
    }

    /// By what he proved who he is, as audit logs and lists have it.
    pub(crate) fn by(&self) -> String {
        match &self.vouched {
            Some(vouched) => format!("{} ({})", vouched.by, vouched.identity.issuer),
            None => self.proof.as_str().to_owned(),
        }
    }

    pub(crate) fn groups_text(&self) -> String {
        let groups: Vec<&str> = self.groups().iter().map(|group| group.as_str()).collect();
        if groups.is_empty() { "no role group".to_owned() } else { groups.join(", ") }
    }
}
