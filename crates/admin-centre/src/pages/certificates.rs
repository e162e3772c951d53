//! Certificates: when they end, and which connectors name them (AC-54, AC-74, WA-37).

use std::collections::BTreeMap;

use authority::{Act, Feature};
use organization::Kind;
use topology::Organization;

use super::{Answered, Outcome, Trouble, place_of, servers};
use crate::centre::Visit;
use crate::estate::ShownView;
use crate::ruled::Denied;
use crate::view::{Bit, Bits, Block, Column, Grid, Sheet, Tone};

/// Connectors that are shown.
const SHOWN: usize = 100;
/// A day in milliseconds.
const DAY: u64 = 86_400_000;

pub(crate) async fn page(visit: &Visit<'_>) -> Answered {
    let organization = visit.ruled.organization().await?;
    let mut sheet = Sheet::new("Certificates")
        .says("When they end, and what names them. A connector that names a certificate that is gone sends nothing.");
    let refused = visit.ruled.why_not(Act::Change(Feature::Certificates));
    sheet.action(super::rehearsal::PATH, "Rehearse a certificate …", "primary", refused);
    match visit.ruled.certificates().await {
        Ok(all) => {
            let columns = vec![
                Column::new("Subject", "Subject"),
                Column::new("Names", "CertificateDomains"),
                Column::new("Ends", "NotAfter"),
                Column::new("Issuer", "Issuer"),
                Column::new("Connectors that name it", "TlsCertificateName"),
                Column::new("Thumbprint", "Thumbprint"),
            ];
            let mut grid = Grid::new("For SMTP, on this server's disk", columns);
            for one in &all {
                let days = one.not_after.as_millis().saturating_sub(visit.now.as_millis()) / DAY;
                let mut ends = servers::days_left("", days).all;
                ends.push(Bit::Time(one.not_after));
                grid.row(vec![
                    one.subject.clone().into(),
                    super::objects::few(&one.domains.join("\n"), 4),
                    Bits::of(ends),
                    one.issuer.clone().into(),
                    users(&organization, &one.name),
                    Bit::Code(one.thumbprint.clone()).into(),
                ]);
            }
            grid.empty = "None lies there, or the centre was started without a server's settings: they are files of each server.".into();
            sheet.grid(grid);
            missing(&mut sheet, &organization, &all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>());
        }
        Err(Denied::Away(why)) => sheet.notice(Tone::Warn, "Those on disk are not known", vec![why.into()]),
        Err(refused) => return Err(refused.into()),
    }
    posture(visit, &mut sheet, &organization).await?;
    let health = visit.ruled.health_if_allowed().await;
    let columns = ["Certificate", "Ends", "Server", "Services"].map(|title| Column::new(title, "")).to_vec();
    let mut grid = Grid::new("What services of the organization show each other, the first to end in front", columns);
    let mut all: BTreeMap<(u64, &str, &str), Vec<&str>> = BTreeMap::new();
    for one in health.iter() {
        for (name, days) in &one.certificates {
            all.entry((*days, &one.server, name)).or_default().push(&one.service);
        }
    }
    for ((days, server, name), services) in all {
        grid.row(vec![
            name.into(),
            servers::days_left("", days),
            Bit::link(place_of(Kind::Server, server), server).into(),
            services.join(", ").into(),
        ]);
    }
    grid.empty = "No service could be asked.".into();
    sheet.grid(grid);
    sheet.add(Block::More {
        title: "Commands".to_owned(),
        text: "postroad cert renew --ca KEYS --path IDENTITY      # issues anew what ends within four weeks\npostroad cert preview --settings server.toml --with NEW   # tries each next hop with another certificate before it is used".to_owned(),
    });
    Ok(Outcome::Sheet(sheet))
}

/// What TLS each connector wants, and what it shows: those that name or demand something first.
async fn posture(visit: &Visit<'_>, sheet: &mut Sheet, organization: &Organization) -> Result<(), Trouble> {
    let shown = match visit.ruled.shown().await {
        Ok(shown) => shown,
        Err(Denied::Away(why)) => {
            sheet.notice(Tone::Warn, "What connectors show is not known", vec![why.into()]);
            Vec::new()
        }
        Err(refused) => return Err(refused.into()),
    };
    let of = |name: &str, receives| shown.iter().find(|one| one.receives == receives && one.connector == name);
    let mut rows: Vec<(bool, u64, Vec<Bits>)> = Vec::new();
    for one in organization.send_connectors() {
        let (is_plain, words) = sends(one);
        let (until, certificate) = shows(visit, of(one.name.as_str(), false));
        let link = Bit::link(place_of(Kind::SendConnector, one.name.as_str()), &one.name);
        let sources: Vec<String> = one.source_transport_servers.iter().map(ToString::to_string).collect();
        rows.push((
            is_plain && one.tls_certificate_name.is_none(),
            until,
            vec![
                Bits::of(vec![link, Bit::Quiet("sends".into())]),
                super::objects::few(&sources.join("\n"), 3),
                words,
                certificate,
            ],
        ));
    }
    for server in organization.servers() {
        for one in organization.receive_connectors_of(&server.name) {
            let demands = one.require_tls;
            let words: Bits = match (demands, one.offers(topology::AuthMechanism::Tls)) {
                (true, _) => Bit::Badge(Tone::Good, "only with TLS".into()).into(),
                (false, true) => "with TLS if the client wants".into(),
                (false, false) => Bit::Badge(Tone::Warn, "never with TLS".into()).into(),
            };
            let own = of(one.name.as_str(), true).filter(|known| known.server == server.name);
            let (until, certificate) = shows(visit, own);
            let name = format!("{}\\{}", server.name, one.name);
            let link = Bit::link(place_of(Kind::ReceiveConnector, &name), &one.name);
            let cells = vec![
                Bits::of(vec![link, Bit::Quiet("receives".into())]),
                server.name.to_string().into(),
                words,
                certificate,
            ];
            rows.push((!demands, until, cells));
        }
    }
    rows.sort_by_key(|(is_plain, until, _)| (*is_plain, *until));
    let columns = ["Connector", "Servers", "TLS", "Shows"].map(|title| Column::new(title, "")).to_vec();
    let mut grid = Grid::new("What connectors demand of TLS, and which certificate they show", columns);
    grid.aside = true;
    if rows.len() > SHOWN {
        grid.foot =
            format!("{SHOWN} of {}: those that demand or name something, then the first to end", rows.len()).into();
    }
    rows.into_iter().take(SHOWN).for_each(|(_, _, cells)| grid.row(cells));
    sheet.grid(grid);
    Ok(())
}

/// What a Send connector demands (SC-90…98), and whether that is nothing.
fn sends(one: &topology::SendConnector) -> (bool, Bits) {
    if one.ignore_starttls {
        return (false, Bit::Badge(Tone::Warn, "never: ignoreSTARTTLS".into()).into());
    }
    let mut bits = Vec::new();
    if one.require_tls {
        bits.push(Bit::Badge(Tone::Good, "only with TLS".into()));
    } else {
        bits.push(Bit::text("with TLS if the host offers it"));
    }
    if let Some(level) = one.tls_auth_level {
        bits.push(Bit::Quiet(format!("{level:?}")));
    }
    if one.domain_secure_enabled {
        bits.push(Bit::Quiet("domain secure".into()));
    }
    (!one.require_tls && one.tls_auth_level.is_none() && !one.domain_secure_enabled, Bits::of(bits))
}

/// The certificate that a connector shows, and when it ends.
fn shows(visit: &Visit<'_>, shown: Option<&ShownView>) -> (u64, Bits) {
    match shown {
        None => (u64::MAX, Bit::Quiet("known on its own servers".into()).into()),
        Some(ShownView { certificate: None, .. }) => (0, Bit::Badge(Tone::Bad, "none: its mail waits".into()).into()),
        Some(ShownView { certificate: Some(one), .. }) => {
            let days = one.not_after.as_millis().saturating_sub(visit.now.as_millis()) / DAY;
            (days, servers::days_left(&one.subject, days))
        }
    }
}

fn users(organization: &Organization, name: &str) -> Bits {
    let named = organization.send_connectors().iter().filter(|one| one.tls_certificate_name.as_deref() == Some(name));
    let mut bits = Vec::new();
    for one in named {
        if !bits.is_empty() {
            bits.push(Bit::Break);
        }
        bits.push(Bit::link(place_of(Kind::SendConnector, one.name.as_str()), &one.name));
    }
    for one in
        organization.draft().receive_connectors.iter().filter(|one| one.tls_certificate_name.as_deref() == Some(name))
    {
        if !bits.is_empty() {
            bits.push(Bit::Break);
        }
        let whole = format!("{}\\{}", one.server, one.name);
        bits.push(Bit::link(place_of(Kind::ReceiveConnector, &whole), &whole));
    }
    if bits.is_empty() { Bit::Quiet("none".into()).into() } else { Bits::of(bits) }
}

/// Certificates that connectors name and this server does not have (AC-75).
fn missing(sheet: &mut Sheet, organization: &Organization, known: &[&str]) {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in organization.send_connectors() {
        if let Some(name) = &one.tls_certificate_name
            && !known.contains(&name.to_string().as_str())
        {
            named.entry(name.to_string()).or_default().push(one.name.to_string());
        }
    }
    if named.is_empty() {
        return;
    }
    let lines = named.into_iter().map(|(name, connectors)| {
        Bits::of(vec![Bit::Code(name), Bit::text(format!("is named by {}", connectors.join(", ")))])
    });
    sheet.notice(Tone::Warn, "Named by connectors, and not on this server", lines.collect());
}
