//! What the commands do on an Edge server: it manages itself, and what would have no effect there is refused with what to do. Edge
//! subscriptions have commands of their own ([`crate::edge`]).

use organization::Kind;
use shell::{Call, Failure};
use topology::{Server, ServerRole};

use crate::premises::{Premises, away};

/// What a subscribed Edge server has no commands for any more (EN-14).
const REPLICATED: [Kind; 7] = [
    Kind::SendConnector,
    Kind::ForeignConnector,
    Kind::DeliveryAgentConnector,
    Kind::AcceptedDomain,
    Kind::X400AuthoritativeDomain,
    Kind::Site,
    Kind::SiteLink,
];

/// Parameters of Set-TransportConfig whose values a subscribed Edge server is told (TA-42).
const TOLD: [&str; 3] = ["TLSSendDomainSecureList", "TLSReceiveDomainSecureList", "PlusAddressingEnabled"];

/// Refuses what has no effect on an Edge server: recipients, other servers' settings, and on a subscribed one what EdgeSync alone
/// changes (EN-14).
pub(crate) fn may(premises: &mut dyn Premises, call: &Call<'_>, kind: Kind) -> Result<(), Failure> {
    let command = &*call.signature.name;
    let Some(own) = here(premises)? else { return Ok(()) };
    if kind == Kind::Recipient {
        return Err(without_recipients(command, &own));
    }
    if kind == Kind::SendConnector && call.bound.has("SourceTransportServers") {
        let message =
            format!("SourceTransportServers is not for Edge servers: {} is the source of all it has.", own.name);
        let failure = Failure::new("InvalidArgument", "SourcesOnEdge", message).by("V-18");
        return Err(failure.advise("leave it out"));
    }
    let told = TOLD.iter().find(|name| kind == Kind::TransportConfig && call.bound.has(name));
    if command.starts_with("Get-") || (!REPLICATED.contains(&kind) && told.is_none()) {
        return Ok(());
    }
    let whose = match (&own.edge.organization, own.edge.is_pending()) {
        (Some(organization), _) => format!("it is subscribed to {organization}"),
        (None, true) => "a file of an Edge subscription was written on it".to_owned(),
        (None, false) => return Ok(()),
    };
    let what = told.map_or_else(|| command.to_owned(), |parameter| format!("{command} -{parameter}"));
    let message = format!("{what} is disabled on Edge server {}: {whose}.", own.name);
    let failure = Failure::new("InvalidOperation", "EdgeSubscribed", message);
    let failure = failure.by(if told.is_some() { "TA-42" } else { "EN-14" });
    Err(failure.advise("run it in the organization; Remove-EdgeSubscription on this server ends the subscription"))
}

/// EN-1: an Edge server knows digests of recipients, and keeps none of its own.
pub(crate) fn without_recipients(command: &str, own: &Server) -> Failure {
    let message = format!("{command} is not there on Edge server {}: it has no recipients of its own.", own.name);
    let failure = Failure::new("InvalidOperation", "NoRecipients", message).by("EN-1");
    failure.advise("run it in the organization, which tells its Edge servers")
}

/// EN-4: an Edge server asks no domain controller.
pub(crate) fn without_controller(premises: &mut dyn Premises, call: &Call<'_>) -> Result<(), Failure> {
    if !call.bound.has("DomainController") {
        return Ok(());
    }
    let Some(own) = here(premises)? else { return Ok(()) };
    let message = format!("DomainController is not for Edge servers; {} has a directory of its own.", own.name);
    Err(Failure::new("InvalidArgument", "DomainControllerOnEdge", message).by("V-18").advise("leave it out"))
}

/// This server, if it is an Edge server; by its own directory, where nobody says which server is asked.
pub(crate) fn here(premises: &mut dyn Premises) -> Result<Option<Server>, Failure> {
    let draft = premises.configuration().map_err(away)?;
    let local = premises.local_server();
    let own = draft.servers.iter().find(|server| match &local {
        Some(local) => server.name == *local,
        None => server.edge.is_subscribed() || server.edge.is_pending() || draft.servers.len() == 1,
    });
    Ok(own.filter(|own| own.role == ServerRole::Edge).cloned())
}
