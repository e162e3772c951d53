//! `frontendTransport` and `mailboxTransport` of a server, and what is kept of the logs of its services (docs/rules.md, Logs).
//!
//! Each property here is written only where it is not the default: servers of an earlier version, which do not know it, read the
//! rest.

use topology::{FrontendTransportSettings, MailboxTransportSettings};

use crate::property::{Form, Property};

/// Most seconds of an age: 24855.03:14:07.
pub(crate) const AGE_SECONDS_MAX: u64 = 2_147_483_647;
/// Most octets of a file, and of all of them.
pub(crate) const OCTETS_MAX: u64 = 9_223_372_036_854_775_807;
/// Most octets of a file of message tracking: 4 GB (Set-TransportService).
pub(crate) const TRACKING_FILE_OCTETS_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// A property that is a field, written only where it is not the default, which is `$default`.
macro_rules! later {
    ($name:literal, $($field:ident).+, $default:literal) => {
        $crate::property::Property::<Self>::new(
            $name,
            |form| {
                let default = <Self as $crate::property::Form>::blank().$($field).+;
                if form.$($field).+ == default {
                    $crate::node::Node::null()
                } else {
                    $crate::literal::Literal::write(&form.$($field).+)
                }
            },
            |form, node, _| {
                form.$($field).+ = if node.is_null() {
                    <Self as $crate::property::Form>::blank().$($field).+
                } else {
                    $crate::literal::Literal::read(node)?
                };
                Ok(())
            },
        )
        .takes(|form| $crate::literal::kind_of(&form.$($field).+))
        .shaped(|form| $crate::literal::shape_of(&form.$($field).+))
        .measured(|form| $crate::literal::Literal::measure(&form.$($field).+))
        .defaults_to($default)
    };
}
pub(crate) use later;

impl Form for FrontendTransportSettings {
    const PROPERTIES: &'static [Property<Self>] = &[
        later!("maxConnectionRatePerMinute", max_connection_rate_per_minute, "1200")
            .is("New connections that the front end takes in a minute; those above are put off.", "limits §3")
            .within(1, 2_147_483_647),
        later!("receiveProtocolLogMaxAge", protocol.receive.max_age, "30.00:00:00")
            .is(
                "Protocol log of Receive connectors of the front end: files go at this age; 0 is never.",
                "LG-03, LG-04",
            )
            .within(0, AGE_SECONDS_MAX),
        later!("receiveProtocolLogMaxDirectorySize", protocol.receive.max_directory_size, "250MB")
            .is("The same: of all files; the oldest goes.", "LG-03, LG-04")
            .within(1, OCTETS_MAX),
        later!("receiveProtocolLogMaxFileSize", protocol.receive.max_file_size, "10MB")
            .is("The same: of one file.", "LG-03, LG-04")
            .within(1, OCTETS_MAX),
        later!("sendProtocolLogMaxAge", protocol.send.max_age, "30.00:00:00")
            .is("Protocol log of Send connectors of the front end: files go at this age; 0 is never.", "LG-03, LG-04")
            .within(0, AGE_SECONDS_MAX),
        later!("sendProtocolLogMaxDirectorySize", protocol.send.max_directory_size, "250MB")
            .is("The same: of all files; the oldest goes.", "LG-03, LG-04")
            .within(1, OCTETS_MAX),
        later!("sendProtocolLogMaxFileSize", protocol.send.max_file_size, "10MB")
            .is("The same: of one file.", "LG-03, LG-04")
            .within(1, OCTETS_MAX),
    ];

    fn blank() -> Self {
        Self::default()
    }
}

impl Form for MailboxTransportSettings {
    const PROPERTIES: &'static [Property<Self>] = &[
        later!("maxConcurrentMailboxDeliveries", max_concurrent_mailbox_deliveries, "20")
            .is("Messages that are written into mailboxes of the server at once.", "limits §3")
            .within(1, 256),
        later!("maxConcurrentMailboxSubmissions", max_concurrent_mailbox_submissions, "20")
            .is("Messages that are taken out of outboxes of the server at once.", "limits §3")
            .within(1, 256),
    ];

    fn blank() -> Self {
        Self::default()
    }
}
