//! What routing must know of a connector, whatever its kind (docs/rules.md, Routing): connectors of all kinds compete for a
//! recipient by the same rules (docs/rules.md, Send connectors).

use std::fmt;

use envelope::{ByteSize, Limit, ObjectName, ServerName};

use crate::address_space::AddressSpace;
use crate::gateway_connector::{DeliveryAgentConnector, ForeignConnector};
use crate::guid::Guid;
use crate::send_connector::SendConnector;

/// A connector of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connector<'a> {
    /// By SMTP.
    Send(&'a SendConnector),
    /// By an agent.
    DeliveryAgent(&'a DeliveryAgentConnector),
    /// By files.
    Foreign(&'a ForeignConnector),
}

/// The field of the same name of whichever connector it is.
macro_rules! field {
    ($connector:expr, $field:ident) => {
        match $connector {
            Connector::Send(connector) => &connector.$field,
            Connector::DeliveryAgent(connector) => &connector.$field,
            Connector::Foreign(connector) => &connector.$field,
        }
    };
}

impl<'a> Connector<'a> {
    /// Stable identity.
    #[must_use]
    pub fn guid(self) -> Guid {
        *field!(self, guid)
    }

    /// Its name, unique among connectors of its kind.
    #[must_use]
    pub fn name(self) -> &'a ObjectName {
        field!(self, name)
    }

    /// Addresses that it takes.
    #[must_use]
    pub fn address_spaces(self) -> &'a [AddressSpace] {
        field!(self, address_spaces)
    }

    /// Whether routing may use it.
    #[must_use]
    pub fn is_enabled(self) -> bool {
        *field!(self, enabled)
    }

    /// Whether it is visible only in the sites of its source servers (RT-49).
    #[must_use]
    pub fn is_scoped(self) -> bool {
        *field!(self, is_scoped_connector)
    }

    /// Larger messages are not for it (RT-48).
    #[must_use]
    pub fn max_message_size(self) -> Limit<ByteSize> {
        *field!(self, max_message_size)
    }

    /// Servers that deliver its mail.
    #[must_use]
    pub fn source_transport_servers(self) -> &'a [ServerName] {
        field!(self, source_transport_servers)
    }
}

impl fmt::Display for Connector<'_> {
    /// The kind: `Send connector`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send(_) => "Send connector",
            Self::DeliveryAgent(_) => "Delivery Agent connector",
            Self::Foreign(_) => "Foreign connector",
        })
    }
}
