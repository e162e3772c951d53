//! Decisions in words: what happens to the mail, whom connections are tried to, what would change it.
//!
//! Every phrase is chosen by a value of the decision; nothing is decided here.

use categorizer::RecipientFailure;
use envelope::ServerName;
use inquiry::{Answer, End};
use routing::{Attempt, DeferReason, DeliveryType, Explanation, NdrReason, Outcome, Route, UnreachableReason};
use topology::{Connector, Organization, ServerRole};

/// What happens to the mail, in one sentence.
pub(super) fn outcome(explanation: &Explanation, organization: &Organization) -> String {
    match &explanation.decision.outcome {
        Outcome::Route(route) => way(route, explanation, organization),
        Outcome::Unreachable(reason) => format!(
            "Has no way: it waits in the Unreachable queue of {} until the configuration changes. {reason} ({}).",
            explanation.from,
            reason.rule()
        ),
        Outcome::Ndr(reason) => format!(
            "Is given up, the sender gets a non-delivery notification with status {}: {reason} ({}).",
            reason.status(),
            reason.rule()
        ),
        Outcome::Deferred(reason) => {
            format!("Waits on {} and is tried again: {reason} (RT-43).", explanation.from)
        }
        Outcome::ExpandHere => format!("Is a group that {} expands (RT-72).", explanation.from),
    }
}

fn way(route: &Route, explanation: &Explanation, organization: &Organization) -> String {
    let Explanation { from, destination, .. } = explanation;
    let site = route.way.primary_site();
    let connector = explanation.selected().map(|selected| selected.connector.to_string()).unwrap_or_default();
    let domain = &route.key.domain;
    match route.key.delivery_type {
        DeliveryType::DnsConnectorDelivery => {
            let door = door(route, organization);
            format!("Leaves the organization by Send connector {connector}, from {from}{door}, to the MX of {domain}.")
        }
        DeliveryType::SmartHostConnectorDelivery => {
            let door = door(route, organization);
            format!("Leaves the organization by Send connector {connector}, from {from}{door}, to smart host {domain}.")
        }
        DeliveryType::SmtpDeliveryToMailbox => format!("Is delivered into {destination}."),
        DeliveryType::DeliveryAgent | DeliveryType::NonSmtpGatewayDelivery => {
            let (kind, how) = (kind(explanation, organization), how(explanation, organization));
            format!("Leaves the organization by {kind} {connector}, from {from}, {how}.")
        }
        DeliveryType::SmtpRelayToConnectorSourceServers if is_gateway(explanation, organization) => {
            let (kind, how) = (kind(explanation, organization), how(explanation, organization));
            format!(
                "Goes to a source server of {kind} {connector} in site {site}, where it leaves the organization, {how}."
            )
        }
        DeliveryType::SmtpRelayToConnectorSourceServers => {
            format!(
                "Goes to a source server of Send connector {connector} in site {site}, where it leaves the organization."
            )
        }
        DeliveryType::SmtpRelayWithinAdSiteToEdge => {
            format!("Goes to an Edge server of this site, where it leaves by Send connector {connector}.")
        }
        DeliveryType::SmtpRelayToRemoteActiveDirectorySite if is_edge(from, organization) => {
            format!(
                "Goes inside by Send connector {connector}, to a Mailbox server of site {domain}, to which {from} is subscribed."
            )
        }
        DeliveryType::SmtpRelayToRemoteActiveDirectorySite => {
            format!("Goes to site {domain} first, and from there on its way to {}.", goal(explanation))
        }
        DeliveryType::SmtpRelayToServers => format!("Goes to {domain}, which expands the group."),
        _ => format!("Goes to a server of site {site}, which delivers it into {destination}."),
    }
}

/// Whether it is an Edge server.
pub(super) fn is_edge(server: &ServerName, organization: &Organization) -> bool {
    organization.server(server).is_some_and(|server| server.role == ServerRole::Edge)
}

/// What the mail is for, from the view of a hub.
fn goal(explanation: &Explanation) -> String {
    match explanation.selected() {
        Some(selected) => format!("Send connector {}", selected.connector),
        None => explanation.destination.clone(),
    }
}

/// The connector that was selected.
fn selected<'a>(explanation: &Explanation, organization: &'a Organization) -> Option<Connector<'a>> {
    organization.connector(explanation.selected()?.guid)
}

/// `Foreign connector`.
fn kind(explanation: &Explanation, organization: &Organization) -> String {
    selected(explanation, organization).map_or_else(|| "connector".to_owned(), |connector| connector.to_string())
}

/// How mail leaves by a connector that is not for SMTP.
fn how(explanation: &Explanation, organization: &Organization) -> String {
    match selected(explanation, organization) {
        Some(Connector::DeliveryAgent(connector)) => {
            format!("by a delivery agent for protocol {}", connector.delivery_protocol)
        }
        _ => "as a file in its Drop directory".to_owned(),
    }
}

fn is_gateway(explanation: &Explanation, organization: &Organization) -> bool {
    matches!(selected(explanation, organization), Some(Connector::DeliveryAgent(_) | Connector::Foreign(_)))
}

/// Who connects to the next hop, where this server is the last of the way.
pub(super) fn connects(route: &Route, explanation: &Explanation) -> String {
    let Explanation { from, .. } = explanation;
    match route.key.delivery_type {
        DeliveryType::DeliveryAgent => "none: an agent takes it out of the queue (EN-55)".to_owned(),
        DeliveryType::NonSmtpGatewayDelivery => format!("none: {from} writes the file (EN-62)"),
        _ => format!("{from} connects to the next hop itself (RT-16)"),
    }
}

fn is_proxied(route: &Route, organization: &Organization) -> bool {
    let connector = route.connector.and_then(|guid| organization.send_connector(guid));
    connector.is_some_and(|connector| connector.frontend_proxy_enabled)
}

fn door(route: &Route, organization: &Organization) -> &'static str {
    if is_proxied(route, organization) { " through a front end of its site" } else { "" }
}

/// What a server is that stands in the order of attempts.
pub(super) fn attempt(attempt: &Attempt, kind: DeliveryType) -> &'static str {
    match (attempt.reason.0, kind) {
        ("PL-27", _) => "a front end, which connects to the next hop",
        ("RT-16", _) => "where the database is active",
        ("RT-27", _) => "at the first hub site on the path",
        ("RT-28", _) => "at the hub site, and in the delivery group itself",
        ("RT-35", _) => "in the same delivery group, farther away",
        ("RT-37", _) => "in that site as well, passes it on",
        ("RT-38", _) => "back off: on the path, keeps it nearer to its destination",
        (_, DeliveryType::SmtpRelayToDag) => "in the DAG, at its nearest site",
        (_, DeliveryType::SmtpRelayToMailboxDeliveryGroup) => "in the site of the database",
        (_, DeliveryType::SmtpRelayToConnectorSourceServers) => "a source server of the connector",
        (_, DeliveryType::SmtpRelayToServers) => "expands the group",
        (_, DeliveryType::SmtpRelayWithinAdSiteToEdge) => "an Edge server subscribed to this site",
        (_, DeliveryType::SmtpRelayToRemoteActiveDirectorySite) => "in the site of the Edge subscription",
        _ => "a target",
    }
}

/// What becomes of mail for one of the organization's own names, as far as that can be known without DNS.
pub(super) fn leads_back(end: &End) -> String {
    let domain = end.address.domain_str();
    format!(
        "{domain} is a name of this organization's servers: unless its MX records name other hosts, mail comes back at once, \
         {LOOPBACK} (RFC 5321 §5.1). Make it an accepted domain to take mail for it here."
    )
}

/// How mail ends whose exchangers are this organization (RFC 5321 §5.1).
pub(super) const LOOPBACK: &str = "5.4.4 SMTPSEND.DNS.MxLoopback";

/// What would change a decision that is no route.
pub(super) fn advice(explanation: &Explanation, organization: &Organization) -> Option<String> {
    let what = match &explanation.decision.outcome {
        Outcome::Route(_) | Outcome::ExpandHere => return None,
        Outcome::Unreachable(UnreachableReason::NoConnector) => {
            "add a Send connector that covers the recipient, or change one below".to_owned()
        }
        Outcome::Unreachable(UnreachableReason::NoWayInside(_)) => {
            "subscribe the Edge server anew in the organization (New-EdgeSubscription), or make or enable a Send connector with \
             the address space -- there, with this Edge server as its source"
                .to_owned()
        }
        Outcome::Unreachable(UnreachableReason::NoPath) => "join the sites by site links".to_owned(),
        Outcome::Unreachable(UnreachableReason::UnknownDatabase(name)) => {
            format!("add the database {name}, or move the mailbox to another one")
        }
        Outcome::Unreachable(UnreachableReason::UnknownServer(name)) if organization.server(name).is_some() => {
            format!("give the group another expansion server: {name} is an Edge server, which knows no recipients")
        }
        Outcome::Unreachable(UnreachableReason::UnknownServer(name)) => {
            format!("add the server {name}, or give the group another expansion server")
        }
        Outcome::Unreachable(UnreachableReason::NotOnEdge) => "ask as a Mailbox server, with --from".to_owned(),
        Outcome::Ndr(NdrReason::SiteLinkTooSmall { link, .. }) => {
            format!("raise MaxMessageSize of site link {link} to {} or more", explanation.size)
        }
        Outcome::Ndr(NdrReason::ConnectorsTooSmall) => "raise the MaxMessageSize of a connector below".to_owned(),
        Outcome::Ndr(NdrReason::NoConnectorForType) => {
            "add a Send connector with an address space of this type".to_owned()
        }
        Outcome::Deferred(DeferReason::TargetSiteInboundMailDisabled) => {
            "set InboundMailEnabled of the destination's site to true".to_owned()
        }
    };
    Some(what)
}

/// What would change it that the directory or a limit gave a recipient up.
pub(super) fn advice_for(failure: &RecipientFailure, end: &End, answer: &Answer) -> Option<String> {
    let domain = end.address.domain_str();
    // Only who is in the directory has a limit of their own.
    let own = |has: bool, whose: &str| if has { format!(", or the {whose}'s own") } else { String::new() };
    match failure {
        RecipientFailure::UnknownRecipient => {
            Some(format!("add the recipient, or make {domain} an accepted domain of type InternalRelay"))
        }
        RecipientFailure::UnknownInX400Domain(domain) => Some(format!(
            "add the recipient, with this address among its proxyAddresses, or set x400ExternalRelay of X.400 domain {domain} to true"
        )),
        RecipientFailure::SenderSizeLimit => Some("raise the sender's maxSendSize".to_owned()),
        RecipientFailure::OrganizationSendLimit => {
            Some(format!("raise maxSendSize of transportConfig{}", own(answer.sender_in_directory, "sender")))
        }
        RecipientFailure::RecipientSizeLimit => Some("raise the recipient's maxReceiveSize".to_owned()),
        RecipientFailure::OrganizationReceiveLimit => {
            Some(format!("raise maxReceiveSize of transportConfig{}", own(end.in_directory, "recipient")))
        }
        RecipientFailure::ForwardingLoop => Some("let one of the contacts in the chain lead elsewhere".to_owned()),
        RecipientFailure::SenderNotAuthenticated => Some(
            "set requireSenderAuthenticationEnabled of the recipient to false, if strangers may send to it".to_owned(),
        ),
        RecipientFailure::SenderNotAccepted => {
            Some("change acceptMessagesOnlyFrom or rejectMessagesFrom of the recipient".to_owned())
        }
        RecipientFailure::TooManyRecipients
        | RecipientFailure::ExpansionTooLarge
        | RecipientFailure::ReportToGroup
        | RecipientFailure::Routing(_) => None,
    }
}
