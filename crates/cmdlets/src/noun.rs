//! The nouns of the documented commands: which objects each means, and how the documentation calls what the schema calls
//! otherwise.

use organization::{Kind, Object};
use topology::{DirectoryRecipient, RecipientKind, ServerRole};

/// A noun, such as `SendConnector`.
pub(crate) struct Noun {
    /// As it is written in a command.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// As a sentence says it.
    pub words: &'static str,
    /// The objects.
    pub kind: Kind,
    /// Which of the objects of that kind.
    pub part: Part,
    /// Verbs that there are.
    pub verbs: &'static [&'static str],
    /// The name of the type of its objects.
    pub of: &'static str,
    /// Documented names for names of the schema.
    pub renamed: &'static [(&'static str, &'static str)],
    /// Properties of the schema that are neither shown nor taken.
    pub hidden: &'static [&'static str],
    /// Properties that `Set-` does not take: given once.
    pub fixed: &'static [&'static str],
    /// Columns when nobody says which.
    pub view: &'static [(&'static str, &'static str)],
}

/// Which objects of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All.
    All,
    /// Recipients with a mailbox.
    Mailboxes,
    /// Recipients elsewhere.
    Contacts,
    /// Recipients that stand for others.
    Groups,
    /// A service of servers: what is in that property.
    Service(&'static str),
}

impl Part {
    /// The property whose properties are meant.
    pub(crate) const fn inner(self) -> Option<&'static str> {
        match self {
            Self::Service(property) => Some(property),
            _ => None,
        }
    }
}

impl Noun {
    /// Whether an object is meant.
    pub(crate) fn means(&self, object: &Object) -> bool {
        if object.kind() != self.kind {
            return false;
        }
        if let (Object::Server(server), Part::Service("frontendTransport" | "mailboxTransport")) = (object, self.part) {
            return server.role == ServerRole::Mailbox; // EN-3
        }
        let Object::Recipient(recipient) = object else { return true };
        matches!(
            (self.part, &recipient.kind),
            (Part::All, _)
                | (Part::Mailboxes, RecipientKind::Mailbox { .. })
                | (Part::Contacts, RecipientKind::MailContact { .. })
                | (Part::Groups, RecipientKind::DistributionGroup { .. })
        )
    }

    /// The documented name of a property.
    pub(crate) fn documented(&self, property: &str) -> String {
        if let Some((_, name)) = self.renamed.iter().find(|(known, _)| *known == property) {
            return (*name).to_owned();
        }
        if let Some(rest) = property.strip_prefix("dns") {
            return format!("DNS{rest}");
        }
        let mut letters = property.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
    }

    /// Whether the commands know a property.
    pub(crate) fn shows(&self, property: &str) -> bool {
        !self.hidden.contains(&property)
    }
}

/// The documented type of a recipient.
pub(crate) fn recipient_type(recipient: &DirectoryRecipient) -> &'static str {
    match recipient.kind {
        RecipientKind::Mailbox { .. } => "UserMailbox",
        RecipientKind::MailContact { .. } => "MailContact",
        RecipientKind::DistributionGroup { .. } => "MailUniversalDistributionGroup",
    }
}

const ALL: &[&str] = &["Get", "New", "Set", "Remove"];
const RECIPIENT: &[(&str, &str)] = &[("address", "PrimarySmtpAddress"), ("proxyAddresses", "EmailAddresses")];

/// Every noun.
pub(crate) const NOUNS: &[Noun] = &[
    Noun {
        name: "SendConnector",
        aliases: &[],
        words: "Send Connector",
        kind: Kind::SendConnector,
        part: Part::All,
        verbs: ALL,
        of: "SendConnector",
        renamed: &[],
        // ER-01: it is accepted by New- and no property of the object. Permissions have commands of their own.
        hidden: &["permissions"],
        fixed: &["usage"],
        view: &[("Identity", "Identity"), ("AddressSpaces", "AddressSpaces"), ("Enabled", "Enabled")],
    },
    Noun {
        name: "ReceiveConnector",
        aliases: &[],
        words: "Receive Connector",
        kind: Kind::ReceiveConnector,
        part: Part::All,
        verbs: ALL,
        of: "ReceiveConnector",
        renamed: &[],
        hidden: &["deniedRights", "permissions"],
        fixed: &["server"],
        view: &[("Identity", "Identity"), ("Bindings", "Bindings"), ("Enabled", "Enabled")],
    },
    Noun {
        name: "AcceptedDomain",
        aliases: &[],
        words: "Accepted Domain",
        kind: Kind::AcceptedDomain,
        part: Part::All,
        verbs: ALL,
        of: "AcceptedDomain",
        renamed: &[],
        hidden: &[],
        fixed: &["domainName", "default"],
        view: &[("Name", "Name"), ("DomainName", "DomainName"), ("DomainType", "DomainType"), ("Default", "Default")],
    },
    Noun {
        name: "X400AuthoritativeDomain",
        aliases: &[],
        words: "X400 Authoritative Domain",
        kind: Kind::X400AuthoritativeDomain,
        part: Part::All,
        verbs: ALL,
        of: "X400AuthoritativeDomain",
        renamed: &[],
        hidden: &[],
        fixed: &[],
        view: &[("Name", "Name"), ("X400DomainName", "X400DomainName"), ("X400ExternalRelay", "X400ExternalRelay")],
    },
    Noun {
        name: "ADSite",
        aliases: &[],
        words: "AD Site",
        kind: Kind::Site,
        part: Part::All,
        verbs: &["Get", "Set"],
        of: "ADSite",
        renamed: &[],
        hidden: &[],
        fixed: &["subnets", "name"],
        view: &[("Name", "Name"), ("HubSiteEnabled", "HubSiteEnabled"), ("InboundMailEnabled", "InboundMailEnabled")],
    },
    Noun {
        name: "ADSiteLink",
        aliases: &[],
        words: "AD Site Link",
        kind: Kind::SiteLink,
        part: Part::All,
        verbs: &["Get", "Set"],
        of: "ADSiteLink",
        renamed: &[("cost", "ADCost")],
        hidden: &[],
        fixed: &["sites", "cost"],
        view: &[("Name", "Name"), ("Cost", "Cost"), ("ExchangeCost", "ExchangeCost"), ("Sites", "Sites")],
    },
    Noun {
        name: "ExchangeServer",
        aliases: &[],
        words: "Exchange Server",
        kind: Kind::Server,
        part: Part::All,
        verbs: &["Get", "Set"],
        of: "ExchangeServer",
        renamed: &[("role", "ServerRole"), ("dag", "MemberOfDAG")],
        // Of a subscription tells Get-EdgeSubscription.
        hidden: &["edge", "transport", "frontendTransport", "mailboxTransport", "removedReceiveConnectors"],
        // What a server is, its documented command does not change: postroad apply does.
        fixed: &["dag", "edge", "fqdn", "role", "site"],
        view: &[("Name", "Name"), ("Site", "Site"), ("ServerRole", "ServerRole"), ("Fqdn", "Fqdn")],
    },
    Noun {
        name: "TransportService",
        aliases: &["TransportServer"],
        words: "Transport Service",
        kind: Kind::Server,
        part: Part::Service("transport"),
        verbs: &["Get", "Set"],
        of: "TransportServer",
        renamed: &[],
        hidden: &["backPressure"],
        fixed: &[],
        view: &[
            ("Name", "Name"),
            ("MessageExpirationTimeout", "MessageExpirationTimeout"),
            ("MaxOutboundConnections", "MaxOutboundConnections"),
        ],
    },
    Noun {
        name: "FrontendTransportService",
        aliases: &[],
        words: "Front End Transport Service",
        kind: Kind::Server,
        part: Part::Service("frontendTransport"),
        verbs: &["Get", "Set"],
        of: "FrontendTransportServer",
        renamed: &[],
        hidden: &[],
        fixed: &[],
        view: &[("Name", "Name"), ("MaxConnectionRatePerMinute", "MaxConnectionRatePerMinute")],
    },
    Noun {
        name: "MailboxTransportService",
        aliases: &[],
        words: "Mailbox Transport Service",
        kind: Kind::Server,
        part: Part::Service("mailboxTransport"),
        verbs: &["Get", "Set"],
        of: "MailboxTransportServer",
        renamed: &[],
        hidden: &[],
        fixed: &[],
        view: &[
            ("Name", "Name"),
            ("MaxConcurrentMailboxDeliveries", "MaxConcurrentMailboxDeliveries"),
            ("MaxConcurrentMailboxSubmissions", "MaxConcurrentMailboxSubmissions"),
        ],
    },
    Noun {
        name: "TransportConfig",
        aliases: &[],
        words: "Transport Config",
        kind: Kind::TransportConfig,
        part: Part::All,
        verbs: &["Get", "Set"],
        of: "TransportConfigContainer",
        renamed: &[],
        hidden: &[],
        fixed: &[],
        view: &[
            ("MaxSendSize", "MaxSendSize"),
            ("MaxReceiveSize", "MaxReceiveSize"),
            ("MaxRecipientEnvelopeLimit", "MaxRecipientEnvelopeLimit"),
        ],
    },
    Noun {
        name: "ForeignConnector",
        aliases: &[],
        words: "Foreign Connector",
        kind: Kind::ForeignConnector,
        part: Part::All,
        verbs: ALL,
        of: "ForeignConnector",
        renamed: &[],
        hidden: &[],
        fixed: &[],
        view: &[("Identity", "Identity"), ("AddressSpaces", "AddressSpaces"), ("Enabled", "Enabled")],
    },
    Noun {
        name: "DeliveryAgentConnector",
        aliases: &[],
        words: "Delivery Agent Connector",
        kind: Kind::DeliveryAgentConnector,
        part: Part::All,
        verbs: ALL,
        of: "DeliveryAgentConnector",
        renamed: &[],
        hidden: &[],
        fixed: &[],
        view: &[("Identity", "Identity"), ("AddressSpaces", "AddressSpaces"), ("DeliveryProtocol", "DeliveryProtocol")],
    },
    Noun {
        name: "Mailbox",
        aliases: &[],
        words: "Mailbox",
        kind: Kind::Recipient,
        part: Part::Mailboxes,
        verbs: ALL,
        of: "Mailbox",
        renamed: RECIPIENT,
        hidden: &["externalAddress", "members", "expansionServer", "passwordFile", "passwordEnvironment"],
        fixed: &[],
        view: &[("Name", "Name"), ("PrimarySmtpAddress", "PrimarySmtpAddress"), ("Database", "Database")],
    },
    Noun {
        name: "User",
        aliases: &[],
        words: "User",
        kind: Kind::Recipient,
        part: Part::Mailboxes,
        verbs: &["Get"],
        of: "User",
        renamed: RECIPIENT,
        hidden: &["externalAddress", "members", "expansionServer", "password", "passwordFile", "passwordEnvironment"],
        fixed: &[],
        view: &[("Name", "Name"), ("RecipientType", "RecipientType")],
    },
    Noun {
        name: "Recipient",
        aliases: &[],
        words: "Recipient",
        kind: Kind::Recipient,
        part: Part::All,
        verbs: &["Get"],
        of: "Recipient",
        renamed: &[
            ("address", "PrimarySmtpAddress"),
            ("proxyAddresses", "EmailAddresses"),
            ("externalAddress", "ExternalEmailAddress"),
        ],
        hidden: &["password", "passwordFile", "passwordEnvironment"],
        fixed: &[],
        view: &[("Name", "Name"), ("RecipientType", "RecipientType")],
    },
    Noun {
        name: "MailContact",
        aliases: &[],
        words: "Mail Contact",
        kind: Kind::Recipient,
        part: Part::Contacts,
        verbs: ALL,
        of: "MailContact",
        renamed: &[
            ("address", "PrimarySmtpAddress"),
            ("proxyAddresses", "EmailAddresses"),
            ("externalAddress", "ExternalEmailAddress"),
        ],
        hidden: &["database", "members", "expansionServer", "password", "passwordFile", "passwordEnvironment"],
        fixed: &[],
        view: &[
            ("Name", "Name"),
            ("PrimarySmtpAddress", "PrimarySmtpAddress"),
            ("ExternalEmailAddress", "ExternalEmailAddress"),
        ],
    },
    Noun {
        name: "DistributionGroup",
        aliases: &[],
        words: "Distribution Group",
        kind: Kind::Recipient,
        part: Part::Groups,
        verbs: ALL,
        of: "DistributionGroup",
        renamed: RECIPIENT,
        hidden: &["database", "externalAddress", "password", "passwordFile", "passwordEnvironment"],
        fixed: &["members"],
        view: &[("Name", "Name"), ("PrimarySmtpAddress", "PrimarySmtpAddress")],
    },
];
