//! `recipients`: what is in a `database` is a mailbox, what has an `externalAddress` a contact, what has `members` a
//! group (docs/rules.md, Pipeline).

use envelope::{Address, ByteSize, Limit, ObjectName, ServerName};
use topology::recipient::{PasswordVerifier, Provenance};
use topology::{DeliveryRestrictions, DirectoryRecipient, ExternalAddress, Guid, RecipientKind};

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
    external_address: Option<ExternalAddress>,
    members: Option<Vec<Address>>,
    expansion_server: Option<ServerName>,
    require_sender_authentication: Option<bool>,
    accept_only_from: Vec<Address>,
    reject_from: Vec<Address>,
    synced_from: Option<ObjectName>,
    synced_entry: Option<String>,
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
        .takes(|_| String::kind())
    };
}

impl Form for RecipientForm {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(Recipient),
        property!("guid", guid)
            .is("Stable identity; derived from the name when it is not given.", "PL-44")
            .defaults_to("derived"),
        property!("address", address)
            .is("The address that replaces every other one.", "PL-44")
            .or(&["primaryAddress", "primarySmtpAddress"])
            .required(),
        property!("proxyAddresses", proxy_addresses)
            .is("Other addresses under which the recipient is found.", "PL-44")
            .or(&["emailAddresses"]),
        property!("database", database).is("Makes it a mailbox: the database that holds it.", "PL-13"),
        Property::<Self>::new(
            "password",
            |form| secrets::write_password(form.password.as_ref()),
            |form, node, seal| {
                form.password = secrets::read_password(&form.name, node, seal)?;
                Ok(())
            },
        )
        .takes(|_| "a text, or {verifier: …} of an export".to_owned())
        .is("A mailbox's password for client submission; kept as a verifier.", "PL-41")
        .secret(),
        password_source!("passwordFile", File).is("A file with the password, beside the organization file.", "PL-41"),
        password_source!("passwordEnvironment", Environment).is("An environment variable with the password.", "PL-41"),
        property!("externalAddress", external_address)
            .is("Makes it a contact: where its mail goes, by SMTP or, with its type before it, elsewhere: `FAX:+4930123456`.", "PL-46, EN-73")
            .or(&["externalEmailAddress"]),
        property!("members", members).is("Makes it a group: addresses of its members.", "PL-47"),
        property!("expansionServer", expansion_server)
            .is("The Mailbox server that expands the group.", "RT-72")
            .defaults_to("any"),
        property!("requireSenderAuthenticationEnabled", require_sender_authentication)
            .is("Whether only senders of the organization may send to it.", "PL-47, New-ReceiveConnector")
            .defaults_to("true for a group, else false"),
        property!("acceptMessagesOnlyFrom", accept_only_from)
            .is("Addresses of the only senders that may send to it; empty is everybody.", "PL-47"),
        property!("rejectMessagesFrom", reject_from).is("Addresses of senders that may not send to it.", "PL-47"),
        property!("maxReceiveSize", max_receive_size)
            .is("Largest message to the recipient.", "LM-10")
            .defaults_to("the organization's"),
        property!("maxSendSize", max_send_size)
            .is("Largest message from the recipient.", "LM-10")
            .defaults_to("the organization's"),
        property!("syncedFrom", synced_from).is(
            "The source (`[ldap.…]` of the settings) that `postroad sync` brought it from and keeps it like.",
            "RFC 4511",
        ),
        property!("syncedEntry", synced_entry)
            .is("Its entry there; where the source keeps log-ons, whose password is asked for.", "RFC 4511"),
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
            require_sender_authentication: None,
            accept_only_from: Vec::new(),
            reject_from: Vec::new(),
            synced_from: None,
            synced_entry: None,
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
            require_sender_authentication: Some(recipient.restrictions.require_sender_authentication),
            accept_only_from: recipient.restrictions.accept_only_from.clone(),
            reject_from: recipient.restrictions.reject_from.clone(),
            synced_from: recipient.provenance.as_ref().map(|provenance| provenance.source.clone()),
            synced_entry: recipient.provenance.as_ref().map(|provenance| provenance.entry.to_string()),
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
    pub(crate) fn finish(self, node: &Node) -> Result<DirectoryRecipient, Vec<Fault>> {
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
        let provenance = match (self.synced_from, self.synced_entry) {
            (Some(source), Some(entry)) => Some(Provenance { source, entry: entry.into() }),
            (None, None) => None,
            _ => return fault("syncedFrom and syncedEntry go together"),
        };
        let is_group = matches!(kind, RecipientKind::DistributionGroup { .. });
        let restrictions = DeliveryRestrictions {
            require_sender_authentication: self.require_sender_authentication.unwrap_or(is_group),
            accept_only_from: self.accept_only_from,
            reject_from: self.reject_from,
        };
        Ok(DirectoryRecipient {
            restrictions,
            guid: self.guid,
            name: self.name,
            primary_address: self.address,
            proxy_addresses: self.proxy_addresses,
            max_receive_size: self.max_receive_size,
            max_send_size: self.max_send_size,
            kind,
            provenance,
        })
    }
}
