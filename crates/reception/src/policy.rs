//! Who may send, as whom, to whom (RC-40, RC-41, RC-50…RC-53, PL-41, PL-42). Pure: what the directory says is an argument.
//!
//! | principal | needs the group | may send as | may send to |
//! |---|---|---|---|
//! | anonymous | AnonymousUsers | anyone | accepted domains |
//! | authenticated user | ExchangeUsers | own addresses, `<>` | anyone |
//! | externally secured host | ExchangeServers | anyone | anyone |
//! | partner (TA-45) | Partners | the domain that its certificate is for | accepted domains |
//!
//! That is what the groups give; the permissions of a connector may give and deny single rights besides (PF-4, PF-36).
//! Where recipients are looked up (EN-82) one must exist: in an authoritative domain whoever asks, in a relay domain for those who
//! may not relay. Whoever is found must take mail of this sender and size.

use envelope::{Address, ByteSize, EnhancedStatus, Limit, Notify, ObjectName, OriginKind, Reply, ReversePath};
use message::HeaderBlock;
use smtp_session::command::MailCommand;
use topology::{
    AcceptedDomainType, AuthMechanism, ConnectorRight, DirectoryRecipient, Grantee, Organization, PermissionGroup,
    ReceiveConnector, RecipientKind, Restricted, Server,
};

/// Characters by which other systems read a route out of a local part: `user%elsewhere@here`, `elsewhere!user@here`,
/// `"user@elsewhere"@here`.
const ROUTING_CHARACTERS: [char; 3] = ['%', '!', '@'];

/// Whom a session speaks for (RC-40).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Principal<'a> {
    /// `ANONYMOUS LOGON`.
    Anonymous,
    /// `Authenticated Users`: this mailbox.
    User(&'a DirectoryRecipient),
    /// `Externally Secured Servers`: every session of a connector with `ExternalAuthoritative`.
    ExternallySecured,
    /// `Partner Servers`: one that has proved to be of the sender's domain (TA-45).
    Partner,
}

impl<'a> Principal<'a> {
    /// The principal of a session on `connector`; `partner` where it has proved to be one for the message under way.
    pub(crate) fn of(connector: &ReceiveConnector, user: Option<&'a DirectoryRecipient>, partner: bool) -> Self {
        match user {
            _ if connector.offers(AuthMechanism::ExternalAuthoritative) => Self::ExternallySecured,
            Some(user) => Self::User(user),
            None if partner => Self::Partner,
            None => Self::Anonymous,
        }
    }

    /// Whether it holds a right of a connector (PF-4).
    pub(crate) fn holds(self, connector: &ReceiveConnector, right: ConnectorRight) -> bool {
        match self {
            Self::Anonymous => connector.gives(&[Grantee::Anonymous], right),
            Self::Partner => connector.gives(&[Grantee::PartnerServers], right),
            Self::ExternallySecured => connector.gives(&[Grantee::ExternallySecuredServers], right),
            Self::User(user) => {
                connector.gives(&[Grantee::AuthenticatedUsers, Grantee::User(user.name.clone())], right)
            }
        }
    }

    /// RC-41.
    pub(crate) fn may_submit(self, connector: &ReceiveConnector) -> bool {
        self.holds(connector, ConnectorRight::Submit)
    }

    fn may_relay(self, connector: &ReceiveConnector) -> bool {
        self.holds(connector, ConnectorRight::AcceptAnyRecipient)
    }

    /// As what its messages count (`ms-Exch-SMTP-Accept-Authentication-Flag`).
    pub(crate) fn origin(self, connector: &ReceiveConnector) -> OriginKind {
        match self {
            Self::User(_) => OriginKind::Authenticated,
            _ if self.holds(connector, ConnectorRight::AcceptAuthenticationFlag) => OriginKind::ExternallySecured,
            _ => OriginKind::Anonymous,
        }
    }
}

/// Whether a connector is for authenticated users alone: Basic authentication, and nobody anonymous (RC-47).
pub(crate) fn prefers_own_server(connector: &ReceiveConnector) -> bool {
    let basic = connector.offers(AuthMechanism::BasicAuth) || connector.offers(AuthMechanism::BasicAuthRequireTLS);
    basic && !connector.permits(PermissionGroup::AnonymousUsers)
}

/// The database of somebody's mailbox.
pub(crate) fn database(user: &DirectoryRecipient) -> Option<&ObjectName> {
    match &user.kind {
        RecipientKind::Mailbox { database, .. } => Some(database),
        _ => None,
    }
}

/// Whether a connector asks clients for certificates: partners show them (TA-41), and the other half of a hybrid organization
/// (TA-75).
pub(crate) fn asks_clients(connector: &ReceiveConnector) -> bool {
    asks_partners(connector) || (connector.offers(AuthMechanism::Tls) && !connector.tls_domain_capabilities.is_empty())
}

/// Whether partners show who they are (TA-41).
pub(crate) fn asks_partners(connector: &ReceiveConnector) -> bool {
    connector.domain_secure_enabled
        && connector.offers(AuthMechanism::Tls)
        && !connector.offers(AuthMechanism::ExternalAuthoritative)
        && connector.permits(PermissionGroup::Partners)
}

/// `MAIL`: who it is from, and how much it says it will be (RFC 1870 §6.1).
pub(crate) fn check_sender(
    connector: &ReceiveConnector,
    organization: &Organization,
    principal: Principal<'_>,
    mail: &MailCommand,
) -> Result<(), Reply> {
    if !principal.may_submit(connector) {
        return Err(Reply::new(530, EnhancedStatus::new(5, 7, 1), "Client was not authenticated"));
    }
    if let ReversePath::Address(sender) = &mail.reverse_path {
        check_sender_address(connector, organization, principal, sender)?;
    }
    let declared = ByteSize::bytes(mail.size.unwrap_or_default());
    if size_limit(organization, principal).allows(&declared) { Ok(()) } else { Err(too_large()) }
}

/// RC-52, RC-53. A user is who he is: he sends as himself, or as whom he was given to send as.
fn check_sender_address(
    connector: &ReceiveConnector,
    organization: &Organization,
    principal: Principal<'_>,
    sender: &Address,
) -> Result<(), Reply> {
    let holds = |right| principal.holds(connector, right);
    let domain = sender.domain();
    let (any, own) = (ConnectorRight::AcceptAnySender, ConnectorRight::AcceptAuthoritativeDomainSender);
    if let Principal::User(user) = principal {
        let key = sender.key();
        let is_own = user.addresses().any(|own| own.key() == key);
        let may = is_own || (holds(any) && (holds(own) || !organization.is_authoritative(&domain)));
        return if may { Ok(()) } else { Err(not_allowed_as()) };
    }
    // What a partner sends as, it has proved; it may only be denied.
    let holds = |right| match principal {
        Principal::Partner => !connector.denies(&Grantee::PartnerServers, right),
        _ => holds(right),
    };
    let spoofed = !holds(any) && organization.accepted_domain(&domain).is_none()
        || !holds(own) && organization.is_authoritative(&domain);
    if spoofed {
        let text = "Client does not have permissions to send as this sender";
        return Err(Reply::new(550, EnhancedStatus::new(5, 7, 1), text));
    }
    Ok(())
}

/// The largest message of a sender. For a stranger both limits of the organization hold, whoever it is for (LM-05, LM-10): who
/// is told so by a notification would be whoever the envelope names.
pub(crate) fn size_limit(organization: &Organization, principal: Principal<'_>) -> Limit<ByteSize> {
    let settings = organization.transport_config();
    match principal {
        Principal::Anonymous | Principal::Partner => lower(settings.max_send_size, settings.max_receive_size),
        Principal::User(user) => user.max_send_size.unwrap_or(settings.max_send_size),
        Principal::ExternallySecured => Limit::Unlimited,
    }
}

fn lower(one: Limit<ByteSize>, other: Limit<ByteSize>) -> Limit<ByteSize> {
    match (one, other) {
        (Limit::At(one), Limit::At(other)) => Limit::At(one.min(other)),
        (Limit::At(limit), Limit::Unlimited) | (Limit::Unlimited, Limit::At(limit)) => Limit::At(limit),
        (Limit::Unlimited, Limit::Unlimited) => Limit::Unlimited,
    }
}

/// LM-08.
pub(crate) fn too_large() -> Reply {
    Reply::new(552, EnhancedStatus::new(5, 3, 4), "Message size exceeds fixed maximum message size")
}

/// What of a recipient's `NOTIFY` is kept: strangers may have forged whom we would tell of success.
pub(crate) fn kept_notify(
    connector: &ReceiveConnector,
    principal: Principal<'_>,
    notify: Option<Notify>,
) -> Option<Notify> {
    match notify {
        Some(notify) if principal == Principal::Anonymous && !connector.notify_anonymous_of_success => {
            Some(notify.without_success())
        }
        other => other,
    }
}

/// The header of a user's message: as in an outbox, every author and the sender must be the user (RFC 6409 §6.1). Where none
/// is named, the user is (RFC 6409 §8). A null reverse-path, which reports of mail programs have, changes nothing of that.
pub(crate) fn check_author(header: HeaderBlock<'_>, user: &DirectoryRecipient) -> Result<(), Reply> {
    let is_own = |address: &Address| user.addresses().any(|own| own.key() == address.key());
    let all_own = |name: &str| header.address_entries(name).iter().all(|entry| entry.as_ref().is_ok_and(is_own));
    let has_author = header.field("From").is_none() || !header.addresses("From").is_empty();
    if has_author && all_own("From") && all_own("Sender") { Ok(()) } else { Err(not_allowed_as()) }
}

fn not_allowed_as() -> Reply {
    Reply::new(550, EnhancedStatus::new(5, 7, 60), "Client does not have permissions to send as this sender")
}

/// What an accepted recipient still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It must be in the directory.
    Required,
    /// It may be in the directory: that helps to choose a server.
    Useful,
    /// It is outside.
    Pointless,
}

/// `RCPT`, without the directory.
pub(crate) fn check_recipient(
    connector: &ReceiveConnector,
    organization: &Organization,
    principal: Principal<'_>,
    recipient: &Address,
) -> Result<Lookup, Reply> {
    let relays = principal.may_relay(connector);
    let Some(accepted) = organization.accepted_domain(&recipient.domain()) else {
        return if relays { Ok(Lookup::Pointless) } else { Err(unable_to_relay()) };
    };
    let authoritative = accepted.domain_type == AcceptedDomainType::Authoritative;
    if !authoritative && !relays && recipient.local_part().contains(ROUTING_CHARACTERS) {
        // Whoever the mail is relayed to might follow the route.
        return Err(unable_to_relay());
    }
    // EN-82: what a relay domain has besides is for whoever may relay. An address of another type leads to a gateway whatever the
    // type of its domain (PL-45).
    let looked_up = accepted.address_book_enabled && (authoritative || !relays);
    if looked_up || organization.carried(recipient).is_some() {
        return Ok(Lookup::Required);
    }
    Ok(if accepted.domain_type == AcceptedDomainType::ExternalRelay { Lookup::Pointless } else { Lookup::Useful })
}

/// An Edge server between the file of its subscription and the first synchronization has no domains any more, and none yet.
pub(crate) fn check_told(own: &Server) -> Result<(), Reply> {
    if !own.edge.is_awaiting() {
        return Ok(());
    }
    Err(Reply::new(451, EnhancedStatus::new(4, 3, 2), "System not accepting network messages; it is being subscribed"))
}

fn unable_to_relay() -> Reply {
    Reply::new(550, EnhancedStatus::new(5, 7, 1), "Unable to relay")
}

/// What the directory said about a recipient.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "made, looked at and dropped for one command; never kept")]
pub(crate) enum Found {
    /// Something by that address.
    Recipient(DirectoryRecipient),
    /// Somebody, who is not known here: on an Edge server (EN-30).
    Somebody,
    /// The directory answered that nobody has the address.
    Nothing,
    /// The directory is away, and nothing is remembered of the address.
    NoAnswer,
}

/// A transaction as far as recipients are judged by it.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) connector: &'a ReceiveConnector,
    pub(crate) organization: &'a Organization,
    pub(crate) principal: Principal<'a>,
    pub(crate) sender: &'a ReversePath,
    /// `SIZE` of `MAIL`.
    pub(crate) size: ByteSize,
}

impl Asker<'_> {
    fn may_relay(&self) -> bool {
        self.principal.may_relay(self.connector)
    }

    /// Whether an address is believed to be the sender's: of what a stranger says, only what is not ours.
    fn is_sender(&self, address: &Address) -> bool {
        let claimed = || self.sender.address().is_some_and(|sender| sender.key() == address.key());
        match self.principal {
            Principal::User(user) => user.addresses().any(|own| own.key() == address.key()),
            Principal::ExternallySecured => claimed(),
            Principal::Anonymous | Principal::Partner => {
                claimed() && !self.organization.is_authoritative(&address.domain())
            }
        }
    }

    /// Whether a recipient takes mail of this sender and size; the categorizer judges again by what has come.
    fn check_recipient_object(&self, recipient: &DirectoryRecipient) -> Result<(), Reply> {
        let authenticated = self.principal.origin(self.connector) != OriginKind::Anonymous;
        let refused = |text| Err(Reply::new(550, EnhancedStatus::new(5, 7, 1), text));
        match recipient.restrictions.check(authenticated, |address| self.is_sender(address)) {
            Err(Restricted::NotAuthenticated) => return refused("RESOLVER.RST.AuthRequired; authentication required"),
            Err(Restricted::NotAccepted) => return refused("RESOLVER.RST.NotAuthorized; not authorized"),
            Ok(()) => {}
        }
        if self.sender == &ReversePath::Null
            && !authenticated
            && matches!(recipient.kind, RecipientKind::DistributionGroup { .. })
        {
            return refused("RESOLVER.GRP.Report; reports are not for the members of a group");
        }
        if recipient.max_receive_size.is_none_or(|limit| limit.allows(&self.size)) {
            return Ok(());
        }
        let text = "RESOLVER.RST.RecipSizeLimit; message too large for this recipient";
        Err(Reply::new(552, EnhancedStatus::new(5, 2, 3), text))
    }

    /// Whether an address that nobody has leads somewhere all the same: one of another type inside (PL-45), for whoever may
    /// send to anybody; of an X.400 domain of ours only where others of it are elsewhere (EN-72).
    fn is_encapsulated(&self, address: &Address) -> bool {
        let inside = self.may_relay().then(|| self.organization.encapsulated(address)).flatten();
        inside.is_some_and(|(kind, text)| {
            self.organization.x400_domain(&kind, &text).is_none_or(|domain| domain.external_relay)
        })
    }
}

/// `RCPT`, with the directory's answer. Without one, strangers are asked to come again: their servers have queues, and an
/// unknown recipient accepted now would be a notification to a forged sender later. Devices and users of the organization
/// may have no queue; their mail is taken, and Transport resolves it when the directory is back (PL-24).
pub(crate) fn check_found(asker: Asker<'_>, address: &Address, lookup: Lookup, found: &Found) -> Result<(), Reply> {
    match (lookup, found) {
        (_, Found::Recipient(recipient)) => asker.check_recipient_object(recipient),
        // What that recipient takes, whoever is inside knows.
        (_, Found::Somebody) => Ok(()),
        (Lookup::Required, Found::Nothing) if asker.is_encapsulated(address) => Ok(()),
        (Lookup::Required, Found::Nothing) => Err(Reply::new(550, EnhancedStatus::new(5, 1, 1), "User unknown")),
        (Lookup::Required, Found::NoAnswer) if !asker.may_relay() => Err(Reply::new(
            451,
            EnhancedStatus::new(4, 4, 3),
            "Temporary server error; the recipient cannot be looked up",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
