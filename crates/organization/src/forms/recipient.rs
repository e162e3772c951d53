//! `recipients`: what is in a `database` is a mailbox, what has an `externalAddress` a contact, what has `members` a
//! group (pipeline.md §8).

use envelope::{Address, ByteSize, Limit, ObjectName, ServerName};
use topology::recipient::PasswordVerifier;
use topology::{DirectoryRecipient, Guid, RecipientKind};

use super::{name_property, no_domain, no_name};
use crate::literal::{Fault, Literal};
use crate::node::Node;
use crate::property::{Form, Property, property};
use crate::secrets::{self, PasswordSource};

/// A recipient as it is written.
pub(crate) struct RecipientForm {
    guid: Guid,
    name: ObjectName,
    address: Address,
    proxy_addresses: Vec<Address>,
    max_receive_size: Option<Limit<ByteSize>>,
    max_send_size: Option<Limit<ByteSize>>,
    database: Option<ObjectName>,
    password: Option<PasswordVerifier>,
    external_address: Option<Address>,
    members: Option<Vec<Address>>,
    expansion_server: Option<ServerName>,
}

/// A password that is found elsewhere: it can be written into a file, and never comes out again.
macro_rules! password_source {
    ($name:literal, $source:ident) => {
        Property::<Self>::new(
            $name,
            |_| Node::null(),
            |form, node, seal| {
                if form.password.is_some() {
                    return Err(vec![Fault::at(node, "the password is given twice")]);
                }
                let source = String::read(node)?;
                form.password = secrets::password(&form.name, PasswordSource::$source(&source), node, seal)?;
                Ok(())
            },
        )
    };
}

impl Form for RecipientForm {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(Recipient),
        property!("guid", guid),
        property!("address", address).or(&["primaryAddress", "primarySmtpAddress"]).required(),
        property!("proxyAddresses", proxy_addresses).or(&["emailAddresses"]),
        property!("database", database),
        Property::<Self>::new(
            "password",
            |form| secrets::write_password(form.password.as_ref()),
            |form, node, seal| {
                form.password = secrets::read_password(&form.name, node, seal)?;
                Ok(())
            },
        )
        .secret(),
        password_source!("passwordFile", File),
        password_source!("passwordEnvironment", Environment),
        property!("externalAddress", external_address).or(&["externalEmailAddress"]),
        property!("members", members),
        property!("expansionServer", expansion_server),
        property!("maxReceiveSize", max_receive_size),
        property!("maxSendSize", max_send_size),
    ];

    fn blank() -> Self {
        Self {
            guid: Guid::ZERO,
            name: no_name(),
            address: Address::new("nobody", &no_domain()).expect("an atom and a domain are an address"),
            proxy_addresses: Vec::new(),
            max_receive_size: None,
            max_send_size: None,
            database: None,
            password: None,
            external_address: None,
            members: None,
            expansion_server: None,
        }
    }
}

impl From<&DirectoryRecipient> for RecipientForm {
    fn from(recipient: &DirectoryRecipient) -> Self {
        let mut form = Self {
            guid: recipient.guid,
            name: recipient.name.clone(),
            address: recipient.primary_address.clone(),
            proxy_addresses: recipient.proxy_addresses.clone(),
            max_receive_size: recipient.max_receive_size,
            max_send_size: recipient.max_send_size,
            ..Self::blank()
        };
        match recipient.kind.clone() {
            RecipientKind::Mailbox { database, password } => {
                (form.database, form.password) = (Some(database), password);
            }
            RecipientKind::MailContact { external_address } => form.external_address = Some(external_address),
            RecipientKind::DistributionGroup { members, expansion_server } => {
                (form.members, form.expansion_server) = (Some(members), expansion_server);
            }
        }
        form
    }
}

impl RecipientForm {
    /// The recipient, if the form is exactly one of mailbox, contact and group.
    pub fn finish(self, node: &Node) -> Result<DirectoryRecipient, Vec<Fault>> {
        let fault = |text: &str| Err(vec![Fault::at(node, text)]);
        let kind = match (self.database, self.external_address, self.members) {
            (Some(database), None, None) => RecipientKind::Mailbox { database, password: self.password.clone() },
            (None, Some(external_address), None) => RecipientKind::MailContact { external_address },
            (None, None, Some(members)) => {
                RecipientKind::DistributionGroup { members, expansion_server: self.expansion_server.clone() }
            }
            _ => {
                return fault(
                    "a recipient has either a database (mailbox), an externalAddress (contact) or members (group)",
                );
            }
        };
        let is_mailbox = matches!(kind, RecipientKind::Mailbox { .. });
        if self.password.is_some() && !is_mailbox {
            return fault("only a mailbox has a password");
        }
        if self.expansion_server.is_some() && !matches!(kind, RecipientKind::DistributionGroup { .. }) {
            return fault("only a group has an expansionServer");
        }
        Ok(DirectoryRecipient {
            guid: self.guid,
            name: self.name,
            primary_address: self.address,
            proxy_addresses: self.proxy_addresses,
            max_receive_size: self.max_receive_size,
            max_send_size: self.max_send_size,
            kind,
        })
    }
}
