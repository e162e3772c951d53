//! `postroad cert preview`: what a certificate for SMTP would change, before it is put into place. Which connectors of this
//! server would show it in place of what they show now (TA-30…TA-32), and whether the next hops of those that send take a
//! session with it; no mail is sent.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use envelope::{Address, Domain, ReversePath, Timestamp};
use net::KeyedCertificate;
use net::tls::{OwnCertificate, for_host, named};
use runtime::{Settings, certificate};
use sending::Keys;
use sending::probe::{self, NewCertificate, Prober};
use topology::{AuthMechanism, Organization, ReceiveConnector, SendConnector, Server};

use super::super::findings::Findings;
use super::super::place::Place;
use super::super::probe::{Way, directly, recipients, tell, usual_sender};
use super::super::{output, queued, times};

/// A certificate that ends sooner is told of.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

const EXAMPLES: &str = "\
Examples:
  # A certificate that is to lie beside the server's own, for the connectors whose name it has.
  postroad cert preview new-certificate
  # One that is to take the place of the server's own.
  postroad cert preview new-certificate --instead
  # Connectors that route by DNS need somebody towards whose hosts the handshake is tried.
  postroad cert preview new-certificate --recipient someone@fabrikam.example
  # Only what changes; no connection is opened.
  postroad cert preview new-certificate --offline
  # Then, beside the server's own; services notice within half a minute.
  cp -r new-certificate /etc/postroad/identity/smtp/mail-2027

The folder holds cert.pem, the chain after the certificate, and key.pem. Run it on the server, as the user of
its services. A connector shows the certificate that tlsCertificateName names; otherwise the best valid one for its
fqdn, or for the server's name where it has none: exact names before wildcards, those of an authority
before self-signed ones, the newest first; otherwise the server's own. Ends with status 1 if something is wrong.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PreviewArguments {
    /// Folder with cert.pem and key.pem of the new certificate.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// In the place of the server's own certificate, not beside it.
    #[arg(long)]
    instead: bool,
    /// Whom mail would be for, where a connector routes by DNS.
    #[arg(long, value_name = "ADDRESS", value_parser = Address::parse)]
    recipient: Option<Address>,
    /// Open no connection: only say what changes.
    #[arg(long)]
    offline: bool,
    /// JSON Lines: one object for each finding.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// What connectors choose from.
struct Choice<'a> {
    server: &'a Server,
    before: Vec<OwnCertificate>,
    after: Vec<OwnCertificate>,
    now: Timestamp,
}

/// What is tried, and how.
pub(crate) struct Rehearsal {
    pub(crate) new: KeyedCertificate,
    pub(crate) instead: bool,
    pub(crate) recipient: Option<Address>,
    pub(crate) offline: bool,
}

pub(super) async fn run(arguments: &PreviewArguments) -> anyhow::Result<ExitCode> {
    let settings = arguments.place.settings()?;
    let (organization, _) = queued::found(&settings).await?;
    let new = KeyedCertificate::load_from(&arguments.folder)
        .map_err(|error| anyhow!("{error}. The folder holds cert.pem, with its chain, and key.pem"))?;
    let PreviewArguments { instead, recipient, offline, .. } = arguments;
    let rehearsal = Rehearsal { new, instead: *instead, recipient: recipient.clone(), offline: *offline };
    let mut ways = Vec::new();
    rehearsed(&settings, &organization, &rehearsal, &mut |way| ways.push(way)).await?;
    tell(ways, arguments.json)
}

/// Tells what the certificate is, what it changes, and what came of the sessions with it, one after the other.
pub(crate) async fn rehearsed(
    settings: &Settings,
    organization: &Organization,
    rehearsal: &Rehearsal,
    tell: &mut (dyn FnMut(Way) + Send),
) -> anyhow::Result<()> {
    let server = own_server(settings, organization)?;
    let about = OwnCertificate::of(rehearsal.new.clone())?;
    let now = times::now();
    let before = own_certificates(settings, server, now)?;
    let kept = before.iter().skip(usize::from(rehearsal.instead)).cloned();
    // The first is what is shown where nothing fits.
    let mut after: Vec<OwnCertificate> = kept.collect();
    after.insert(if rehearsal.instead { 0 } else { after.len() }, about.clone());
    let choice = Choice { server, before, after, now };
    tell(Way { heading: "New certificate".to_owned(), findings: own_facts(&about, now) });
    tell(choice.entrances(organization));
    for connector in organization.send_connectors() {
        if !connector.source_transport_servers.contains(&server.name) {
            continue;
        }
        let (changed, findings) = choice.way_out(connector);
        tell(Way { heading: format!("\nSend connector {}", connector.name), findings });
        if changed && !rehearsal.offline {
            let candidate = NewCertificate { certificate: &rehearsal.new, instead: rehearsal.instead };
            let recipient = rehearsal.recipient.as_ref();
            rehearse(settings, organization, server, connector, recipient, candidate)
                .await?
                .into_iter()
                .for_each(&mut *tell);
        }
    }
    Ok(())
}

fn own_server<'a>(settings: &Settings, organization: &'a Organization) -> anyhow::Result<&'a Server> {
    organization
        .server(&settings.server)
        .with_context(|| format!("the organization has no server {}; `postroad servers` lists them", settings.server))
}

fn own_certificates(settings: &Settings, server: &Server, now: Timestamp) -> anyhow::Result<Vec<OwnCertificate>> {
    let own = certificate::for_smtp(settings, server, now)?;
    Ok(certificate::all_for_smtp(settings, &own))
}

/// What each connector of this server shows as it is: by name, whether it receives, the certificate.
pub(crate) fn shown_now(
    settings: &Settings,
    organization: &Organization,
) -> anyhow::Result<Vec<(String, bool, Option<OwnCertificate>)>> {
    let (server, now) = (own_server(settings, organization)?, times::now());
    let before = own_certificates(settings, server, now)?;
    let choice = Choice { server, before, after: Vec::new(), now };
    let receives = choice.receiving(organization).map(|connector| {
        let shown = choice.received_by(&choice.before, connector).cloned();
        (connector.name.to_string(), true, shown)
    });
    let own = organization.send_connectors().iter();
    let own = own.filter(|connector| connector.source_transport_servers.contains(&server.name));
    let sends = own.filter(|connector| !connector.ignore_starttls).map(|connector| {
        let host = connector.fqdn.as_ref().unwrap_or(&server.fqdn);
        (connector.name.to_string(), false, choice.shown(&choice.before, connector, host).cloned())
    });
    Ok(receives.chain(sends).collect())
}

/// What it says of itself.
fn own_facts(about: &OwnCertificate, now: Timestamp) -> Findings {
    let mut findings = Findings::default();
    let names = about.names_joined();
    let issuer = if about.is_self_signed() { "itself".to_owned() } else { about.written.issuer.to_string() };
    findings.good("certificate", format!("{}, by {issuer}; for {names}", about.written.subject));
    let (from, until) = (about.written.not_before, about.written.not_after);
    if now < from {
        findings.wrong(
            "dates",
            format!("valid from {} on", time(from)),
            "until then connectors show what they show now",
        );
    } else if now > until {
        findings.wrong("dates", format!("ended at {}", time(until)), "get a new one: nobody shows this");
    } else if until.since(now) < SOON {
        findings.warning("dates", format!("ends soon, at {}", time(until)), "get one that lasts longer");
    } else {
        findings.good("dates", format!("valid until {}", time(until)));
    }
    if about.is_self_signed() {
        findings.warning(
            "issuer",
            "signed by itself: whoever validates certificates refuses it",
            "use one of an authority that the others trust",
        );
    }
    findings
}

fn time(at: Timestamp) -> String {
    output::time(SystemTime::from(at))
}

impl Choice<'_> {
    /// The Receive connectors of this server.
    fn entrances(&self, organization: &Organization) -> Way {
        let mut findings = Findings::default();
        for connector in self.receiving(organization) {
            let (before, after) = (self.received_by(&self.before, connector), self.received_by(&self.after, connector));
            if let Some(wanted) = connector.tls_certificate_name.as_deref().filter(|_| after.is_none()) {
                findings.wrong(
                    connector.name.as_str(),
                    format!("there is no valid certificate {wanted} (tlsCertificateName): it does not offer STARTTLS"),
                    "issuer and subject are to be written as the certificate prints them",
                );
            }
            told(connector.name.as_str(), before, after, &mut findings);
        }
        Way { heading: "\nReceive connectors".to_owned(), findings }
    }

    /// Receive connectors that show one.
    fn receiving<'o>(&'o self, organization: &'o Organization) -> impl Iterator<Item = &'o ReceiveConnector> {
        let own = organization.receive_connectors_of(&self.server.name);
        own.filter(|connector| connector.enabled && connector.offers(AuthMechanism::Tls))
    }

    fn received_by<'c>(&self, all: &'c [OwnCertificate], connector: &ReceiveConnector) -> Option<&'c OwnCertificate> {
        let host = connector.fqdn.as_ref().unwrap_or(&self.server.fqdn);
        self.chosen(all, connector.tls_certificate_name.as_deref(), host)
    }

    /// Whether a Send connector would show another certificate than now.
    fn way_out(&self, connector: &SendConnector) -> (bool, Findings) {
        let mut findings = Findings::default();
        if connector.ignore_starttls {
            findings.good(connector.name.as_str(), "shows none: ignoreSTARTTLS");
            return (false, findings);
        }
        let host = connector.fqdn.as_ref().unwrap_or(&self.server.fqdn);
        let (before, after) = (self.shown(&self.before, connector, host), self.shown(&self.after, connector, host));
        let changed = told(connector.name.as_str(), before, after, &mut findings);
        if after.is_none() {
            let wanted = connector.tls_certificate_name.as_deref().unwrap_or_default();
            findings.wrong(
                connector.name.as_str(),
                format!("there is no valid certificate {wanted} (tlsCertificateName): its mail waits"),
                "issuer and subject are to be written as the certificate prints them",
            );
        }
        if changed && connector.frontend_proxy_enabled {
            findings.warning(
                connector.name.as_str(),
                "its mail leaves through front ends, which show a certificate of their own server",
                "put the new certificate on every Mailbox server of the site",
            );
        }
        (changed, findings)
    }

    fn shown<'c>(
        &self,
        all: &'c [OwnCertificate],
        connector: &SendConnector,
        host: &Domain,
    ) -> Option<&'c OwnCertificate> {
        self.chosen(all, connector.tls_certificate_name.as_deref(), host)
    }

    fn chosen<'c>(&self, all: &'c [OwnCertificate], wanted: Option<&str>, host: &Domain) -> Option<&'c OwnCertificate> {
        match wanted {
            Some(wanted) => named(all, wanted, self.now),
            None => for_host(all, host, self.now).or(all.first()),
        }
    }
}

/// Whether it is another one, and that in words.
fn told(name: &str, before: Option<&OwnCertificate>, after: Option<&OwnCertificate>, findings: &mut Findings) -> bool {
    let fingerprint = |one: Option<&OwnCertificate>| one.map(|one| one.fingerprint);
    let words = |one: Option<&OwnCertificate>| match one {
        Some(one) => {
            format!("{} by {}, until {}", one.written.subject, one.written.issuer, time(one.written.not_after))
        }
        None => "none".to_owned(),
    };
    let changed = fingerprint(before) != fingerprint(after);
    if changed {
        findings.good(name, format!("would show the new certificate; now it shows {}", words(before)));
    } else {
        findings.good(name, format!("not changed: shows {}", words(after)));
    }
    changed
}

/// The handshake with each host of the connector, as its mail would have it.
async fn rehearse(
    settings: &Settings,
    organization: &Organization,
    server: &Server,
    connector: &SendConnector,
    recipient: Option<&Address>,
    candidate: NewCertificate<'_>,
) -> anyhow::Result<Vec<Way>> {
    let mut findings = Findings::default();
    let wanted: Vec<Address> = recipient.into_iter().cloned().collect();
    let recipients = match recipients(organization, connector, &wanted) {
        Ok(recipients) => recipients,
        Err(error) => {
            findings.warning("rehearsal", "not tried", error.to_string());
            return Ok(vec![Way { heading: String::new(), findings }]);
        }
    };
    let domain = recipients[0].domain();
    let keys = Keys::of_organization(settings)?;
    let prober = Prober {
        settings,
        organization,
        server,
        keys: &keys,
        connector,
        domain: connector.dns_routing_enabled.then_some(&domain),
        candidate: Some(candidate),
        now: times::now(),
    };
    let envelope = probe::question(ReversePath::Address(usual_sender(organization)?), recipients);
    directly(&prober, &envelope).await
}
