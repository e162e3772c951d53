//! `postroad probe`: the way out by a Send connector, tried step by step as mail would take it, from this server or through
//! the front ends of its site; no mail is sent.
//!
//! What is tried, and what each step means, is `sending::probe`'s.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use directory::Presence;
use envelope::{Address, Domain, Envelope, ReversePath, ServerName};
use net::{KeyedCertificate, Service};
use rpc::{Credentials, FrontEnds, OpenError, PeerAddress};
use runtime::{PeerBook, Settings};
use sending::Keys;
use sending::probe::{self, Prober, Reached, State, Told};
use smtp::{Content, Failure, OutboundMessage, OutboundSession};
use topology::{AddressSpace, DomainPattern, Organization, SendConnector, Server, ServerRole, Space};

use super::findings::Findings;
use super::place::Place;
use super::{output, queued, times};
use crate::answers::Palette;

const EXAMPLES: &str = "\
Examples:
  # A connector with smart hosts; one that routes by DNS, towards the hosts of a domain.
  postroad probe Partner
  postroad probe Internet --recipient someone@fabrikam.example
  # Whether a sender and recipients would be taken.
  postroad probe Partner --sender anna@contoso.example --recipient orders@partner.example
  # From this server itself, although mail of the connector leaves through front ends.
  postroad probe Bank --directly
  # For a script.
  postroad probe Partner --json | jq -r 'select(.state == \"wrong\") | .text'

Run it on a source server of the connector, as the user of its services: it shows what they show, from
where they connect. Resolves, connects, starts TLS, logs on, says MAIL and RCPT, and takes both back
with RSET: no mail is sent. Ends with status 0 if nothing is wrong, 1 if something is.";

/// Arguments of `postroad probe`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProbeArguments {
    /// Name of the Send connector.
    #[arg(value_name = "CONNECTOR")]
    connector: String,
    /// Whom mail would be for; may be given several times [default: postmaster of the connector's first domain].
    #[arg(long = "recipient", value_name = "ADDRESS", value_parser = Address::parse)]
    recipients: Vec<Address>,
    /// From whom [default: postmaster of the organization's default domain].
    #[arg(long, value_name = "ADDRESS", value_parser = Address::parse)]
    sender: Option<Address>,
    /// From this server, although mail of the connector leaves through front ends (frontendProxyEnabled).
    #[arg(long)]
    directly: bool,
    /// JSON Lines: one object for each step.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl ProbeArguments {
    /// The settings of the server that tries.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        self.place.settings()
    }
}

/// One way to one host, and what was found on it.
pub(crate) struct Way {
    pub(crate) heading: String,
    pub(crate) findings: Findings,
}

pub(crate) async fn run(arguments: ProbeArguments) -> anyhow::Result<ExitCode> {
    let settings = arguments.settings()?;
    let (organization, presences) = queued::found(&settings).await?;
    let connector = connector(&organization, &arguments.connector)?;
    let server = organization.server(&settings.server).with_context(|| {
        format!("the organization has no server {}; `postroad servers` lists them", settings.server)
    })?;
    let recipients = recipients(&organization, connector, &arguments.recipients)?;
    let sender = match &arguments.sender {
        Some(sender) => sender.clone(),
        None => usual_sender(&organization)?,
    };
    let domain = recipients[0].domain();
    let keys = Keys::of_organization(&settings)?;
    let prober = Prober {
        settings: &settings,
        organization: &organization,
        server,
        keys: &keys,
        connector,
        domain: connector.dns_routing_enabled.then_some(&domain),
        candidate: None,
        now: times::now(),
    };
    let envelope = probe::question(ReversePath::Address(sender), recipients);
    let through = connector.frontend_proxy_enabled && !arguments.directly;
    let mut ways = vec![beginning(connector, server, through)];
    if through {
        ways.extend(through_front_ends(&prober, &presences, &envelope).await?);
    } else {
        ways.extend(directly(&prober, &envelope).await?);
    }
    tell(ways, arguments.json)
}

pub(super) fn tell(ways: Vec<Way>, json: bool) -> anyhow::Result<ExitCode> {
    let palette = Palette::of_output();
    let mut all = Findings::default();
    let mut text = String::new();
    for Way { heading, findings } in ways {
        text += &format!("{heading}\n{}", findings.lines(palette));
        all.append(findings);
    }
    if json {
        output::print_json(&all.json()?)?;
    } else {
        output::print(&format!("{text}\n{}", all.conclusion(palette)))?;
    }
    Ok(if all.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is known before anything is tried.
fn beginning(connector: &SendConnector, server: &Server, through: bool) -> Way {
    let mut findings = Findings::default();
    let sources = || {
        let names: Vec<String> = connector.source_transport_servers.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    if connector.source_transport_servers.contains(&server.name) {
        findings.good("source server", server.name.to_string());
    } else if through {
        let text = format!("{} is none of {}: front ends open no session for it", server.name, sources());
        findings.wrong("source server", text, "run it on one of them, or try --directly");
    } else {
        let text = format!("{} is none of {}: mail leaves from there", server.name, sources());
        findings.warning("source server", text, "run it on one of them: addresses and firewalls differ");
    }
    if !connector.enabled {
        findings.wrong(
            "connector",
            "it is not enabled: no mail leaves by it",
            "enabled: true in the organization file",
        );
    }
    Way { heading: format!("{}, from {}", connector.name, server.name), findings }
}

fn connector<'a>(organization: &'a Organization, name: &str) -> anyhow::Result<&'a SendConnector> {
    let connectors = organization.send_connectors();
    connectors.iter().find(|connector| connector.name.as_str().eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names: Vec<String> = connectors.iter().map(|connector| connector.name.to_string()).collect();
        anyhow!("the organization has no Send connector {name}; it has {}", names.join(", "))
    })
}

/// A sender that every host should take: the organization's postmaster.
pub(super) fn usual_sender(organization: &Organization) -> anyhow::Result<Address> {
    postmaster(&default_domain(organization)?)
}

/// Those that were named, or the postmaster of the first domain that the connector covers.
pub(super) fn recipients(
    organization: &Organization,
    connector: &SendConnector,
    named: &[Address],
) -> anyhow::Result<Vec<Address>> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let covered = connector.address_spaces.iter().find_map(domain_of);
    match covered {
        Some(domain) => Ok(vec![postmaster(&domain)?]),
        None if connector.dns_routing_enabled => {
            bail!(
                "{} routes by DNS: say towards whom with --recipient, such as --recipient someone@fabrikam.example",
                connector.name
            )
        }
        None => Ok(vec![postmaster(&default_domain(organization)?)?]),
    }
}

fn postmaster(domain: &Domain) -> anyhow::Result<Address> {
    Ok(Address::new("postmaster", domain)?)
}

fn default_domain(organization: &Organization) -> anyhow::Result<Domain> {
    let domain = organization.default_domain();
    domain.cloned().context("the organization has no accepted domain: name who sends with --sender")
}

pub(super) async fn directly(prober: &Prober<'_>, envelope: &Envelope) -> anyhow::Result<Vec<Way>> {
    Ok(match prober.directly(envelope).await? {
        Ok(hosts) => hosts.into_iter().map(|host| way("", prober.connector, &host)).collect(),
        Err(unready) => vec![way("", prober.connector, &Err(*unready.into_failure()))],
    })
}

/// What came of one host.
fn way(through: &str, connector: &SendConnector, host: &Result<Reached, Failure>) -> Way {
    let (peer, told) = match host {
        Ok(reached) => (Some(&reached.peer), probe::of_reached(connector, reached)),
        Err(failure) => (failure.peer.as_ref(), probe::of_failure(connector, failure)),
    };
    let peer = peer.map_or_else(|| "no host".to_owned(), ToString::to_string);
    Way { heading: format!("\n{peer}{through}"), findings: findings(told) }
}

fn findings(told: Vec<Told>) -> Findings {
    let mut findings = Findings::default();
    for Told { step, state, text, advice } in told {
        let (step, advice) = (step.to_string(), advice.unwrap_or_default());
        match state {
            State::Good => findings.good(step, text),
            State::Warning => findings.warning(step, text, advice),
            State::Wrong => findings.wrong(step, text, advice),
        }
    }
    findings
}

/// Each front end of the site, as Transport would use it.
async fn through_front_ends(
    prober: &Prober<'_>,
    presences: &[Presence],
    envelope: &Envelope,
) -> anyhow::Result<Vec<Way>> {
    if !prober.connector.source_transport_servers.contains(&prober.server.name) {
        return Ok(Vec::new());
    }
    let front_ends = FrontEnds::new(Arc::new(credentials(prober.settings)?));
    let book = PeerBook::default().updated(presences);
    let site = &prober.server.site;
    let near = prober.organization.servers().iter();
    let near = near.filter(|server| server.site == *site && server.role == ServerRole::Mailbox);
    let mut ways = Vec::new();
    for server in near {
        let through = format!(" through the front end of {}", server.name);
        let found = find(prober, &book, &server.name).await;
        ways.push(match found {
            None => unknown(&through, "it has never been there", "start it; `postroad servers` lists what is there"),
            Some(at) => through_front_end(prober, &front_ends, &at, &through, envelope).await,
        });
    }
    Ok(ways)
}

async fn through_front_end(
    prober: &Prober<'_>,
    front_ends: &FrontEnds,
    at: &PeerAddress,
    through: &str,
    envelope: &Envelope,
) -> Way {
    let request = match prober.request() {
        Ok(request) => request,
        Err(unready) => return way(through, prober.connector, &Err(*unready.into_failure())),
    };
    let host = match front_ends.open(at, &request).await {
        Ok(mut session) => {
            let (peer, tls) = (session.peer().clone(), session.tls().to_owned());
            let outcome = session.send(OutboundMessage::new(envelope, Content::Nothing)).await;
            Ok(Reached::through_front_end(peer, &tls, outcome.recipients))
        }
        Err(OpenError::Session(failure)) => Err(*failure),
        Err(error @ OpenError::FrontEnd { .. }) => {
            return unknown(through, &error.to_string(), "check that it runs: `postroad health` on that server");
        }
        Err(error @ OpenError::Unknown { .. }) => {
            return unknown(through, &error.to_string(), "`postroad servers` says which configuration it works by");
        }
    };
    way(through, prober.connector, &host)
}

fn unknown(through: &str, text: &str, advice: &str) -> Way {
    let mut findings = Findings::default();
    findings.wrong("front end", text, advice);
    Way { heading: format!("\nno host{through}"), findings }
}

/// Where the front end of a server is: as the settings say, as it announces itself.
async fn find(prober: &Prober<'_>, book: &PeerBook, server: &ServerName) -> Option<PeerAddress> {
    let told = prober.settings.peers.get(server).and_then(|services| services.get(&Service::FrontendTransport));
    if let Some(address) = told {
        let fqdn = prober.organization.server(server)?.fqdn.clone();
        return Some(PeerAddress { server: server.clone(), fqdn, address: *address });
    }
    book.find(prober.organization, server, Service::FrontendTransport).await
}

/// Front ends open sessions for Transport: with its certificate.
fn credentials(settings: &Settings) -> anyhow::Result<Credentials> {
    let folder: PathBuf = settings.identity.join(Service::Transport.as_str());
    let own = KeyedCertificate::load_from(&folder).map_err(|error| {
        anyhow!("{error}. Front ends open sessions for Transport: run this as the user of its service")
    })?;
    let authority = settings.identity.join("ca.pem");
    let authority =
        std::fs::read_to_string(&authority).with_context(|| format!("cannot read {}", authority.display()))?;
    Ok(Credentials::new(own, authority))
}

/// A domain that an address space names.
fn domain_of(space: &AddressSpace) -> Option<Domain> {
    match &space.space {
        Space::Smtp(DomainPattern::Exact(domain) | DomainPattern::Within(domain)) => Some(domain.clone()),
        Space::Smtp(DomainPattern::Any) | Space::AcceptedDomains | Space::Other { .. } => None,
    }
}
