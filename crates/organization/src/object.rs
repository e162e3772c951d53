//! One directory object of any kind, and an organization as the list of its objects.

use envelope::Address;
use topology::receive_connector::defaults;
use topology::{
    AcceptedDomain, Dag, Database, DeliveryAgentConnector, DirectoryRecipient, ForeignConnector, Guid,
    OrganizationDraft, ReceiveConnector, SendConnector, Server, Site, SiteLink, TransportConfig,
    X400AuthoritativeDomain,
};

use crate::forms::recipient::RecipientForm;
use crate::forms::server::{DatabaseForm, on_server};
use crate::kind::Kind;
use crate::literal::Fault;
use crate::node::Node;
use crate::property::{self, Detail, Form};
use crate::secrets::Secrets;

/// A directory object. Every kind is behind an address: a plan has two of them for each change, and there may be a million.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// Organization-wide settings.
    TransportConfig(Box<TransportConfig>),
    /// Servers that reach each other well.
    Site(Box<Site>),
    /// IP site link.
    SiteLink(Box<SiteLink>),
    /// Database availability group.
    Dag(Box<Dag>),
    /// A Mailbox or an Edge server.
    Server(Box<Server>),
    /// Mailbox database.
    Database(Box<Database>),
    /// A domain that mail is taken for.
    AcceptedDomain(Box<AcceptedDomain>),
    /// X.400 addresses that the organization answers for.
    X400AuthoritativeDomain(Box<X400AuthoritativeDomain>),
    /// A way out by SMTP.
    SendConnector(Box<SendConnector>),
    /// A way out by an agent.
    DeliveryAgentConnector(Box<DeliveryAgentConnector>),
    /// A way out by a drop directory.
    ForeignConnector(Box<ForeignConnector>),
    /// A way in by SMTP, at one server.
    ReceiveConnector(Box<ReceiveConnector>),
    /// Mailbox, contact or group.
    Recipient(Box<DirectoryRecipient>),
}

impl Object {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::TransportConfig(_) => Kind::TransportConfig,
            Self::Site(_) => Kind::Site,
            Self::SiteLink(_) => Kind::SiteLink,
            Self::Dag(_) => Kind::Dag,
            Self::Server(_) => Kind::Server,
            Self::Database(_) => Kind::Database,
            Self::AcceptedDomain(_) => Kind::AcceptedDomain,
            Self::X400AuthoritativeDomain(_) => Kind::X400AuthoritativeDomain,
            Self::SendConnector(_) => Kind::SendConnector,
            Self::DeliveryAgentConnector(_) => Kind::DeliveryAgentConnector,
            Self::ForeignConnector(_) => Kind::ForeignConnector,
            Self::ReceiveConnector(_) => Kind::ReceiveConnector,
            Self::Recipient(_) => Kind::Recipient,
        }
    }

    /// Its stable identity; the settings have a fixed one.
    #[must_use]
    pub fn guid(&self) -> Guid {
        match self {
            Self::TransportConfig(_) => Kind::TransportConfig.derived_guid(""),
            Self::Site(object) => object.guid,
            Self::SiteLink(object) => object.guid,
            Self::Dag(object) => object.guid,
            Self::Server(object) => object.guid,
            Self::Database(object) => object.guid,
            Self::AcceptedDomain(object) => object.guid,
            Self::X400AuthoritativeDomain(object) => object.guid,
            Self::SendConnector(object) => object.guid,
            Self::DeliveryAgentConnector(object) => object.guid,
            Self::ForeignConnector(object) => object.guid,
            Self::ReceiveConnector(object) => object.guid,
            Self::Recipient(object) => object.guid,
        }
    }

    /// The same object under another identity. The settings keep theirs.
    #[must_use]
    pub fn with_guid(mut self, guid: Guid) -> Self {
        match &mut self {
            Self::TransportConfig(_) => {}
            Self::Site(object) => object.guid = guid,
            Self::SiteLink(object) => object.guid = guid,
            Self::Dag(object) => object.guid = guid,
            Self::Server(object) => object.guid = guid,
            Self::Database(object) => object.guid = guid,
            Self::AcceptedDomain(object) => object.guid = guid,
            Self::X400AuthoritativeDomain(object) => object.guid = guid,
            Self::SendConnector(object) => object.guid = guid,
            Self::DeliveryAgentConnector(object) => object.guid = guid,
            Self::ForeignConnector(object) => object.guid = guid,
            Self::ReceiveConnector(object) => object.guid = guid,
            Self::Recipient(object) => object.guid = guid,
        }
        self
    }

    /// The name that is unique, without regard to case, among the objects of its kind: for a Receive connector
    /// `server\name`, for the settings empty.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::TransportConfig(_) => String::new(),
            Self::Site(object) => object.name.to_string(),
            Self::SiteLink(object) => object.name.to_string(),
            Self::Dag(object) => object.name.to_string(),
            Self::Server(object) => object.name.to_string(),
            Self::Database(object) => object.name.to_string(),
            Self::AcceptedDomain(object) => object.name.to_string(),
            Self::X400AuthoritativeDomain(object) => object.name.to_string(),
            Self::SendConnector(object) => object.name.to_string(),
            Self::DeliveryAgentConnector(object) => object.name.to_string(),
            Self::ForeignConnector(object) => object.name.to_string(),
            Self::ReceiveConnector(object) => on_server(&object.server, &object.name),
            Self::Recipient(object) => object.name.to_string(),
        }
    }

    /// The addresses under which a recipient is found; none for other kinds.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        let recipient = if let Self::Recipient(recipient) = self { Some(recipient) } else { None };
        recipient.into_iter().flat_map(|recipient| recipient.addresses())
    }

    /// Whether it is a default Receive connector that nobody has changed: it is there without being stored.
    #[must_use]
    pub fn is_untouched_default(&self) -> bool {
        let Self::ReceiveConnector(connector) = self else { return false };
        let default = defaults::named(&connector.server, &connector.name);
        default.is_some_and(|default| default == **connector)
    }

    /// Where the object is in messages: `sendConnectors["Internet"]`.
    #[must_use]
    pub fn place(&self) -> String {
        match self.kind() {
            Kind::TransportConfig => Kind::TransportConfig.section().to_owned(),
            kind => format!("{}[\"{}\"]", kind.section(), self.name()),
        }
    }

    pub(crate) fn read(kind: Kind, node: &Node, secrets: &dyn Secrets) -> Result<Self, Vec<Fault>> {
        match Self::read_partly(kind, node, secrets) {
            (Some(object), faults) if faults.is_empty() => Ok(object),
            (_, faults) => Err(faults),
        }
    }

    /// Reads what can be read of an object, with defaults for the rest, and what is wrong with it. Nothing when it cannot
    /// be said what it is.
    pub(crate) fn read_partly(kind: Kind, node: &Node, secrets: &dyn Secrets) -> (Option<Self>, Vec<Fault>) {
        fn of<F: Form>(node: &Node, secrets: &dyn Secrets, object: fn(F) -> Object) -> (Option<Object>, Vec<Fault>) {
            let (form, faults) = property::read_partly(node, secrets);
            (Some(object(form)), faults)
        }
        fn finished<F, T>(
            (form, mut faults): (F, Vec<Fault>),
            node: &Node,
            finish: fn(F, &Node) -> Result<T, Vec<Fault>>,
            object: fn(T) -> Object,
        ) -> (Option<Object>, Vec<Fault>) {
            match finish(form, node) {
                Ok(finished) => (Some(object(finished)), faults),
                // It may be the consequence of what could not be read.
                Err(_) if !faults.is_empty() => (None, faults),
                Err(more) => {
                    faults.extend(more);
                    (None, faults)
                }
            }
        }
        match kind {
            Kind::TransportConfig => of(node, secrets, |object| Self::TransportConfig(Box::new(object))),
            Kind::Site => of(node, secrets, |object| Self::Site(Box::new(object))),
            Kind::SiteLink => of(node, secrets, |object| Self::SiteLink(Box::new(object))),
            Kind::Dag => of(node, secrets, |object| Self::Dag(Box::new(object))),
            Kind::Server => of(node, secrets, |server| Self::Server(Box::new(server))),
            Kind::Database => {
                let form = property::read_partly(node, secrets);
                finished(form, node, DatabaseForm::finish, |database| Self::Database(Box::new(database)))
            }
            Kind::AcceptedDomain => of(node, secrets, |object| Self::AcceptedDomain(Box::new(object))),
            Kind::X400AuthoritativeDomain => {
                of(node, secrets, |object| Self::X400AuthoritativeDomain(Box::new(object)))
            }
            Kind::SendConnector => of(node, secrets, |connector| Self::SendConnector(Box::new(connector))),
            Kind::DeliveryAgentConnector => {
                of(node, secrets, |connector| Self::DeliveryAgentConnector(Box::new(connector)))
            }
            Kind::ForeignConnector => of(node, secrets, |connector| Self::ForeignConnector(Box::new(connector))),
            Kind::ReceiveConnector => of(node, secrets, |connector| Self::ReceiveConnector(Box::new(connector))),
            Kind::Recipient => {
                let form = property::read_partly(node, secrets);
                finished(form, node, RecipientForm::finish, |recipient| Self::Recipient(Box::new(recipient)))
            }
        }
    }

    /// What its written form `node` says outside of the documented ranges.
    pub(crate) fn out_of_range(&self, node: &Node) -> Vec<Fault> {
        match self {
            Self::TransportConfig(object) => property::out_of_range(&**object, node),
            Self::Site(object) => property::out_of_range(&**object, node),
            Self::SiteLink(object) => property::out_of_range(&**object, node),
            Self::Server(object) => {
                let blank = Node::null();
                let at = |name: &str| node.get(name).unwrap_or(&blank);
                let inner = [
                    (".transport", property::out_of_range(&object.transport, at("transport"))),
                    (".frontendTransport", property::out_of_range(&object.frontend_transport, at("frontendTransport"))),
                    (".mailboxTransport", property::out_of_range(&object.mailbox_transport, at("mailboxTransport"))),
                ];
                let under = |(step, faults): (&'static str, Vec<Fault>)| {
                    faults.into_iter().map(move |fault| fault.under(step)).collect::<Vec<_>>()
                };
                inner.into_iter().flat_map(under).chain(property::out_of_range(&**object, node)).collect()
            }
            Self::SendConnector(object) => property::out_of_range(&**object, node),
            Self::DeliveryAgentConnector(object) => property::out_of_range(&**object, node),
            Self::ForeignConnector(object) => property::out_of_range(&**object, node),
            Self::ReceiveConnector(object) => property::out_of_range(&**object, node),
            Self::Dag(_) | Self::Database(_) | Self::Recipient(_) => Vec::new(),
            Self::AcceptedDomain(_) | Self::X400AuthoritativeDomain(_) => Vec::new(),
        }
    }

    /// What it says and nothing follows: property, and why.
    pub(crate) fn idle(&self) -> Vec<(String, String)> {
        match self {
            Self::TransportConfig(object) => property::idle(&**object),
            Self::Site(object) => property::idle(&**object),
            Self::SiteLink(object) => property::idle(&**object),
            Self::Server(object) => {
                let inner = property::idle(&object.transport).into_iter();
                inner.map(|(name, text)| (format!("transport.{name}"), text)).chain(property::idle(&**object)).collect()
            }
            Self::SendConnector(object) => property::idle(&**object),
            Self::DeliveryAgentConnector(object) => property::idle(&**object),
            Self::ForeignConnector(object) => property::idle(&**object),
            Self::ReceiveConnector(object) => property::idle(&**object),
            Self::Dag(_) | Self::Database(_) | Self::Recipient(_) => Vec::new(),
            Self::AcceptedDomain(_) | Self::X400AuthoritativeDomain(_) => Vec::new(),
        }
    }

    pub(crate) fn write(&self, detail: Detail) -> Node {
        match self {
            Self::TransportConfig(object) => property::write(&**object, detail),
            Self::Site(object) => property::write(&**object, detail),
            Self::SiteLink(object) => property::write(&**object, detail),
            Self::Dag(object) => property::write(&**object, detail),
            Self::Server(object) => property::write(&**object, detail),
            Self::Database(object) => property::write(&DatabaseForm::from(&**object), detail),
            Self::AcceptedDomain(object) => property::write(&**object, detail),
            Self::X400AuthoritativeDomain(object) => property::write(&**object, detail),
            Self::SendConnector(object) => property::write(&**object, detail),
            Self::DeliveryAgentConnector(object) => property::write(&**object, detail),
            Self::ForeignConnector(object) => property::write(&**object, detail),
            Self::ReceiveConnector(object) => property::write(&**object, detail),
            Self::Recipient(object) => property::write(&RecipientForm::from(&**object), detail),
        }
    }
}

/// Every object of an organization, kind by kind, in the order of the draft.
#[must_use]
pub fn objects(draft: &OrganizationDraft, recipients: &[DirectoryRecipient]) -> Vec<Object> {
    let mut objects = vec![Object::TransportConfig(Box::new(draft.transport_config.clone()))];
    objects.extend(draft.sites.iter().cloned().map(|object| Object::Site(Box::new(object))));
    objects.extend(draft.site_links.iter().cloned().map(|object| Object::SiteLink(Box::new(object))));
    objects.extend(draft.dags.iter().cloned().map(|object| Object::Dag(Box::new(object))));
    objects.extend(draft.servers.iter().cloned().map(|server| Object::Server(Box::new(server))));
    objects.extend(draft.databases.iter().cloned().map(|object| Object::Database(Box::new(object))));
    objects.extend(draft.accepted_domains.iter().cloned().map(|object| Object::AcceptedDomain(Box::new(object))));
    objects.extend(draft.x400_domains.iter().cloned().map(|object| Object::X400AuthoritativeDomain(Box::new(object))));
    objects.extend(draft.send_connectors.iter().cloned().map(|object| Object::SendConnector(Box::new(object))));
    let agents = draft.delivery_agent_connectors.iter().cloned();
    objects.extend(agents.map(|object| Object::DeliveryAgentConnector(Box::new(object))));
    let foreign = draft.foreign_connectors.iter().cloned();
    objects.extend(foreign.map(|object| Object::ForeignConnector(Box::new(object))));
    objects.extend(draft.receive_connectors.iter().cloned().map(|object| Object::ReceiveConnector(Box::new(object))));
    objects.extend(recipients.iter().cloned().map(|object| Object::Recipient(Box::new(object))));
    objects
}

/// An organization and its recipients from their objects, in the order given.
#[must_use]
pub fn assemble(objects: impl IntoIterator<Item = Object>) -> (OrganizationDraft, Vec<DirectoryRecipient>) {
    let (mut draft, mut recipients) = (OrganizationDraft::default(), Vec::new());
    for object in objects {
        match object {
            Object::TransportConfig(object) => draft.transport_config = *object,
            Object::Site(object) => draft.sites.push(*object),
            Object::SiteLink(object) => draft.site_links.push(*object),
            Object::Dag(object) => draft.dags.push(*object),
            Object::Server(object) => draft.servers.push(*object),
            Object::Database(object) => draft.databases.push(*object),
            Object::AcceptedDomain(object) => draft.accepted_domains.push(*object),
            Object::X400AuthoritativeDomain(object) => draft.x400_domains.push(*object),
            Object::SendConnector(object) => draft.send_connectors.push(*object),
            Object::DeliveryAgentConnector(object) => draft.delivery_agent_connectors.push(*object),
            Object::ForeignConnector(object) => draft.foreign_connectors.push(*object),
            Object::ReceiveConnector(object) => draft.receive_connectors.push(*object),
            Object::Recipient(object) => recipients.push(*object),
        }
    }
    (draft, recipients)
}
