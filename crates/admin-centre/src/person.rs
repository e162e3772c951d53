//! Who is signed in, and how.

use std::collections::BTreeSet;
use std::net::IpAddr;

use authority::{Principal, RoleGroup, Who};

/// How somebody proved who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Name, password and a code, of an account of this centre.
    Account,
    /// A certificate of the organization's authority.
    Certificate,
}

impl Proof {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "password and code",
            Self::Certificate => "certificate",
        }
    }
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    pub(crate) principal: Principal,
    pub(crate) proof: Proof,
    pub(crate) from: IpAddr,
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

    pub(crate) fn groups_text(&self) -> String {
        let groups: Vec<&str> = self.groups().iter().map(|group| group.as_str()).collect();
        if groups.is_empty() { "no role group".to_owned() } else { groups.join(", ") }
    }
}
