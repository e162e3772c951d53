//! What is done here under the names of the documented commands, for the audit log.

use organization::{Change, Kind};

use crate::estate::{Handling, Tracking};

/// The cmdlet that does the same as a change.
pub(crate) fn cmdlet(change: &Change) -> String {
    let verb = match change {
        Change::Create(_) => "New",
        Change::Update { .. } => "Set",
        Change::Delete(_) => "Remove",
    };
    let noun = match change.object().kind() {
        Kind::TransportConfig => "TransportConfig",
        Kind::Site => "AdSite",
        Kind::SiteLink => "AdSiteLink",
        Kind::Dag => "DatabaseAvailabilityGroup",
        Kind::Server => "ExchangeServer",
        Kind::Database => "MailboxDatabase",
        Kind::AcceptedDomain => "AcceptedDomain",
        Kind::X400AuthoritativeDomain => "X400AuthoritativeDomain",
        Kind::SendConnector => "SendConnector",
        Kind::DeliveryAgentConnector => "DeliveryAgentConnector",
        Kind::ForeignConnector => "ForeignConnector",
        Kind::ReceiveConnector => "ReceiveConnector",
        Kind::Recipient => "Recipient",
    };
    format!("{verb}-{noun}")
}

/// The cmdlet of what is done to queues and messages.
pub(crate) const fn handling(action: Handling) -> &'static str {
    match action {
        Handling::Retry | Handling::Resubmit => "Retry-Queue",
        Handling::Suspend => "Suspend-Queue",
        Handling::Resume => "Resume-Queue",
        Handling::SuspendMessage => "Suspend-Message",
        Handling::ResumeMessage => "Resume-Message",
        Handling::Remove { .. } => "Remove-Message",
    }
}

/// What somebody looked for in tracking logs.
pub(crate) fn looked_for(wanted: &Tracking) -> String {
    let named = [
        ("id", &wanted.id),
        ("sender", &wanted.sender),
        ("recipient", &wanted.recipient),
        ("subject", &wanted.subject),
        ("event", &wanted.event),
    ];
    let parts: Vec<String> =
        named.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_deref()?))).collect();
    if parts.is_empty() { "all messages".to_owned() } else { parts.join(", ") }
}
