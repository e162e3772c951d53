//! Edge subscriptions: by what an Edge server and the organization that it is subscribed to know each other (docs/edge.md). An
//! Edge server is never a member of the forest: what either side believes of the other is pinned here (EN-37).

use envelope::{Address, Domain};

/// An Edge subscription, as it stands in the Edge server's object on both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeSubscription {
    /// The forest that the Edge server is by itself: it has no other server.
    pub forest: Option<Domain>,
    /// Authorities of that forest, PEM each. The organization believes the Edge server by them, and nobody else.
    pub authorities: Vec<String>,
    /// Port of its Transport; the default one unless it is given.
    pub transport_port: Option<u16>,
    /// Port of its admin service, by which EdgeSync comes; the default one unless it is given.
    pub sync_port: Option<u16>,
    /// On the Edge server, from the file of a subscription until it is used: the public key of that file, in Base64.
    pub pending_key: Option<String>,
    /// Until when that file may be used: seconds since 1970.
    pub pending_until: Option<u64>,
    /// In the organization, until the Edge server has believed it: what proves that an administrator had the file, in Base64.
    pub voucher: Option<String>,
    /// The forest that the Edge server is subscribed to.
    pub organization: Option<Domain>,
    /// Authorities of that forest, PEM each. The Edge server believes the Mailbox servers of its site by them.
    pub organization_authorities: Vec<String>,
    /// What is put before an address before it becomes a digest, in Base64: the same address has another one on another Edge. On
    /// the Edge server it is told with the configuration, after the digests.
    pub recipient_salt: Option<String>,
    /// On the Edge server: who gets the organization's mail for postmaster and abuse, unless it is the postmaster of the default
    /// domain. It sends notifications in a name of its own (DS-21).
    pub stand_in: Option<Address>,
}

impl EdgeSubscription {
    /// Whether there is nothing of a subscription.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// On the Edge server: whether an organization has taken it up.
    #[must_use]
    pub fn is_subscribed(&self) -> bool {
        self.organization.is_some() && !self.organization_authorities.is_empty()
    }

    /// In the organization: whether the server is of a forest of its own.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.forest.is_some() && !self.is_subscribed() && !self.is_pending()
    }

    /// On the Edge server: whether a file was written and its organization has not come yet. What EdgeSync writes is nobody
    /// else's from then on (EN-11, EN-14).
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.pending_key.is_some()
    }

    /// On the Edge server: whether it is or will be subscribed, and was told nothing yet.
    #[must_use]
    pub fn is_awaiting(&self) -> bool {
        self.recipient_salt.is_none() && (self.is_pending() || self.is_subscribed())
    }
}
