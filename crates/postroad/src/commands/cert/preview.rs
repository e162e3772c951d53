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
use topology::{AuthMechanism, Organization, SendConnector, Server};

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

pub(super) async fn run(arguments: &PreviewArguments) -> anyhow::Result<ExitCode> {
    let settings = arguments.place.settings()?;
    let (organization, _) = queued::found(&settings).await?;
    let server = organization.server(&settings.server).with_context(|| {
        format!("the organization has no server {}; `postroad servers` lists them", settings.server)
    })?;
    let new = KeyedCertificate::load_from(&arguments.folder)
        .map_err(|error| anyhow!("{error}. The folder holds cert.pem, with its chain, and key.pem"))?;
    let about = OwnCertificate::of(new.clone())?;
    let now = times::now();
    let own = certificate::for_smtp(&settings, server, now)?;
    let before = certificate::all_for_smtp(&settings, &own);
    let kept = before.iter().skip(usize::from(arguments.instead)).cloned();
    // The first is what is shown where nothing fits.
    let mut after: Vec<OwnCertificate> = kept.collect();
    after.insert(if arguments.instead { 0 } else { after.len() }, about.clone());
    let choice = Choice { server, before, after, now };
    let mut ways = vec![Way { heading: "New certificate".to_owned(), findings: own_facts(&about, now) }];
    ways.push(choice.entrances(&organization));
    for connector in organization.send_connectors() {
        if !connector.source_transport_servers.contains(&server.name) {
            continue;
        }
        let (changed, findings) = choice.way_out(connector);
        ways.push(Way { heading: format!("\nSend connector {}", connector.name), findings });
        if changed && !arguments.offline {
            let candidate = NewCertificate { certificate: &new, instead: arguments.instead };
            ways.extend(rehearse(&settings, &organization, server, connector, arguments, candidate).await?);
        }
    }
    tell(ways, arguments.json)
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
        for connector in organization.receive_connectors_of(&self.server.name) {
            if !connector.enabled || !connector.offers(AuthMechanism::Tls) {
                continue;
            }
            let host = connector.fqdn.as_ref().unwrap_or(&self.server.fqdn);
            let chosen = |all: &'_ [OwnCertificate]| -> Option<OwnCertificate> {
                match connector.tls_certificate_name.as_deref() {
                    Some(wanted) => named(all, wanted, self.now).cloned(),
                    None => for_host(all, host, self.now).or(all.first()).cloned(),
                }
            };
            if let Some(wanted) = connector.tls_certificate_name.as_deref().filter(|_| chosen(&self.after).is_none()) {
                findings.wrong(
                    connector.name.as_str(),
                    format!("there is no valid certificate {wanted} (tlsCertificateName): it does not offer STARTTLS"),
                    "issuer and subject are to be written as the certificate prints them",
                );
            }
            told(connector.name.as_str(), chosen(&self.before).as_ref(), chosen(&self.after).as_ref(), &mut findings);
        }
        Way { heading: "\nReceive connectors".to_owned(), findings }
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
        match connector.tls_certificate_name.as_deref() {
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
    arguments: &PreviewArguments,
    candidate: NewCertificate<'_>,
) -> anyhow::Result<Vec<Way>> {
    let mut findings = Findings::default();
    let wanted: Vec<Address> = arguments.recipient.iter().cloned().collect();
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
