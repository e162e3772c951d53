//! Certificates: when they end, and which connectors name them (AC-54, AC-74, WA-37).

use std::collections::BTreeMap;

use organization::Kind;
use topology::Organization;

use super::{Answered, Outcome, place_of, servers};
use crate::centre::Visit;
use crate::view::{Bit, Bits, Block, Column, Grid, Sheet, Tone};

/// A day in milliseconds.
const DAY: u64 = 86_400_000;

pub(crate) async fn page(visit: &Visit<'_>) -> Answered {
    let organization = visit.ruled.organization().await?;
    let mut sheet = Sheet::new("Certificates")
        .says("When they end, and what names them. A connector that names a certificate that is gone sends nothing.");
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
        Err(crate::ruled::Denied::Away(why)) => {
            sheet.notice(Tone::Warn, "Those on disk are not known", vec![why.into()])
        }
        Err(refused) => return Err(refused.into()),
    }
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

fn users(organization: &Organization, name: &str) -> Bits {
    let named = organization.send_connectors().iter().filter(|one| one.tls_certificate_name.as_deref() == Some(name));
    let mut bits = Vec::new();
    for one in named {
        if !bits.is_empty() {
            bits.push(Bit::Break);
        }
        bits.push(Bit::link(place_of(Kind::SendConnector, one.name.as_str()), &one.name));
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
