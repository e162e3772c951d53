//! What needs attention, the worst first; each line leads to the page that mends it. Nothing wrong says so, with when it was looked.

use std::sync::Arc;
use std::time::Duration;

use authority::{Act, Feature};
use topology::{Organization, Weight};

use super::queue_words::reason;
use super::queues::{self, Queued};
use super::{Answered, Outcome, segment};
use crate::centre::Visit;
use crate::estate::{HealthView, Ledger, Serving};
use crate::known::Last;
use crate::text::{counted, some};
use crate::view::{Bit, Bits, Block, Column, Grid, Sheet, Tone};

/// Certificates are told of when they end within.
const SOON_DAYS: u64 = 30;

/// A gap of a ledger that stays for so long is none of moments.
const GAP_LASTS: Duration = Duration::from_secs(60);

/// One thing that somebody should look at.
struct Concern {
    tone: Tone,
    text: Bits,
}

pub(crate) async fn page(visit: &Visit<'_>) -> Answered {
    let organization = visit.ruled.organization().await?;
    let mut sheet = Sheet::new("Overview");
    sheet.live = true;
    let mut concerns: Vec<Concern> = Vec::new();
    let mut unknown: Vec<Bits> = Vec::new();
    let may_not = visit.ruled.why_not(Act::Read(Feature::Queues));
    let waiting_for = async {
        match &may_not {
            Some(_) => Ok(None),
            None => queues::gather(visit, &organization).await.map(Some),
        }
    };
    // Each is waited for a moment: together, not one after the other.
    let looked = visit.centre.known.findings(&organization);
    let (queued, health, findings, services) =
        tokio::join!(waiting_for, visit.ruled.health(), looked, visit.ruled.services_known());
    let queued = queued?;
    unknown.extend(may_not.map(Bits::from));
    if let Some(queued) = &queued {
        unknown.extend(queued.not_told());
        waiting(&mut concerns, queued);
    }
    match services.map(|last| last.value) {
        Ok(Some((services, _))) => {
            behind(&mut concerns, &organization, &services);
            perimeter(&mut concerns, &organization, &services);
        }
        _ => unknown.push("Which services are there is being asked.".into()),
    }
    let health = match health {
        Err(why) => {
            unknown.push(why.into());
            Arc::default()
        }
        Ok(last) => {
            unknown.extend(not_known(&last));
            last.value.map(|(health, _)| health).unwrap_or_default()
        }
    };
    of_health(visit, &mut concerns, &health);
    if findings.is_none() {
        unknown.push("The linter looks at the configuration.".into());
    }
    let findings = findings.unwrap_or_default();
    let errors = findings.iter().filter(|problem| problem.weight == Weight::Error).count();
    if errors > 0 {
        concerns.push(Concern {
            tone: Tone::Bad,
            text: format!("The linter finds {}.", some(errors, "error", "errors")).into(),
        });
    }
    told(&mut sheet, concerns, unknown);
    figures(&mut sheet, &organization, queued.as_ref());
    ledger(visit, &mut sheet, &health);
    rates(&mut sheet, queued.as_ref());
    if !findings.is_empty() {
        let lines = findings
            .iter()
            .take(12)
            .map(|problem| Bits::of(vec![Bit::Code(problem.place.clone()), Bit::text(&problem.text)]));
        sheet.heading("What the linter says");
        sheet.add(Block::Links(lines.collect()));
    }
    Ok(Outcome::Sheet(sheet))
}

/// What is not known of how services are, or known of before.
pub(crate) fn not_known(last: &Last<Vec<HealthView>>) -> Option<Bits> {
    let line = match (&last.value, &last.trouble) {
        (_, None) if last.value.is_none() => vec![Bit::text("How services are: they are being asked.")],
        (Some((_, at)), Some(why)) => {
            vec![Bit::text("How services are is shown as of"), Bit::Time(*at), Bit::Quiet(why.clone())]
        }
        (None, Some(why)) => vec![Bit::text("How services are is not known:"), Bit::Quiet(why.clone())],
        _ => return None,
    };
    Some(Bits::of(line))
}

fn waiting(concerns: &mut Vec<Concern>, queued: &Queued) {
    for (server, queue) in queued.all.iter().filter(|(_, queue)| queue.messages > 0) {
        let to = format!("/queues/{}/{}", segment(server.as_str()), queue.number);
        let count = some(usize::try_from(queue.messages).unwrap_or(usize::MAX), "message", "messages");
        let (tone, said) = match (queue.delivery_type.as_str(), queue.status.as_str()) {
            ("Unreachable", _) => (Tone::Bad, "without a way"),
            (_, "Retry") => (Tone::Bad, "not taken by the next hop"),
            (_, "Suspended") => (Tone::Warn, "in a suspended queue"),
            _ if queue.name.to_lowercase().contains("poison") => (Tone::Bad, "that broke a service"),
            _ => continue,
        };
        let text = Bits::of(vec![
            Bit::link(to, format!("{count} {said}")),
            Bit::text(format!(
                "on {server} for {}",
                if queue.domain.is_empty() { &queue.delivery_type } else { &queue.domain }
            )),
            Bit::Quiet(reason(queue)),
        ]);
        concerns.push(Concern { tone, text });
    }
}

fn behind(concerns: &mut Vec<Concern>, organization: &Organization, services: &[Serving]) {
    let mut away: Vec<envelope::ServerName> = Vec::new();
    for server in organization.own_servers() {
        let own: Vec<_> = services.iter().filter(|one| one.server == server.name).collect();
        let to = super::place_of(organization::Kind::Server, server.name.as_str());
        if own.is_empty() {
            away.push(server.name.clone());
            continue;
        }
        let late: Vec<&str> = own.iter().filter(|one| one.is_behind(organization)).map(|one| one.service).collect();
        if !late.is_empty() {
            let text = Bits::of(vec![
                Bit::link(to, &server.name),
                Bit::text(format!("works by an older revision: {}", late.join(", "))),
            ]);
            concerns.push(Concern { tone: Tone::Warn, text });
        }
    }
    if !away.is_empty() {
        let text = Bits::of(vec![
            Bit::link("/servers", queues::named(&away)),
            Bit::text(if away.len() == 1 {
                "is not there: none of its services is announced"
            } else {
                "are not there: none of their services is announced"
            }),
        ]);
        concerns.push(Concern { tone: Tone::Bad, text });
    }
}

/// Subscribed Edge servers that nobody tells what changes (EN-30, EN-32).
fn perimeter(concerns: &mut Vec<Concern>, organization: &Organization, services: &[Serving]) {
    for edge in organization.servers().iter().filter(|server| server.edge.is_elsewhere()) {
        let of_site = |one: &&Serving| organization.server(&one.server).is_some_and(|server| server.site == edge.site);
        let keepers = services.iter().filter(|one| one.service == "admin" && one.server != edge.name).filter(of_site);
        let (away, there): (Vec<&Serving>, Vec<&Serving>) =
            keepers.partition(|one| one.out_of_reach.contains(&edge.name));
        let (tone, why) = match (&away[..], &there[..]) {
            ([], []) => (Tone::Warn, format!("is not synchronized: no admin service of site {} is there", edge.site)),
            (away, []) => {
                let names: Vec<envelope::ServerName> = away.iter().map(|one| one.server.clone()).collect();
                (Tone::Bad, format!("is out of reach of {}: it is not synchronized", queues::named(&names)))
            }
            _ if edge.edge.voucher.is_some() => (Tone::Warn, "has not been synchronized yet".to_owned()),
            _ => continue,
        };
        let to = super::place_of(organization::Kind::Server, edge.name.as_str());
        let text = Bits::of(vec![Bit::link(to, format!("Edge server {}", edge.name)), Bit::text(why)]);
        concerns.push(Concern { tone, text });
    }
}

fn of_health(visit: &Visit<'_>, concerns: &mut Vec<Concern>, health: &[HealthView]) {
    for one in health {
        let to = super::place_of(organization::Kind::Server, &one.server);
        if !one.ready || one.condition != "ready" {
            let tone = if one.ready { Tone::Warn } else { Tone::Bad };
            let text = Bits::of(vec![
                Bit::link(to.clone(), format!("{} of {}", one.service, one.server)),
                Bit::text(&one.condition),
            ]);
            concerns.push(Concern { tone, text });
        }
        if !one.pressure.is_empty() {
            let text = Bits::of(vec![
                Bit::link(to, format!("{} of {}", one.service, one.server)),
                Bit::text(format!("is short: {}", one.pressure)),
            ]);
            concerns.push(Concern { tone: Tone::Warn, text });
        }
        for (name, days) in one.certificates.iter().filter(|(_, days)| *days < SOON_DAYS) {
            let tone = if *days < 8 { Tone::Bad } else { Tone::Warn };
            let text = Bits::of(vec![
                Bit::link("/certificates", format!("Certificate {name}")),
                Bit::text(format!(
                    "of {} {} ends in {}",
                    one.server,
                    one.service,
                    some(usize::try_from(*days).unwrap_or_default(), "day", "days")
                )),
            ]);
            concerns.push(Concern { tone, text });
        }
        if let Some(ledger) = one.ledger.filter(|ledger| lasts(visit, &one.server, gap(ledger))) {
            let text = format!("The ledger of {} has a gap of {}: look at its log", one.server, gap(&ledger));
            concerns.insert(0, Concern { tone: Tone::Bad, text: text.into() });
        }
    }
}

fn told(sheet: &mut Sheet, mut concerns: Vec<Concern>, unknown: Vec<Bits>) {
    concerns.sort_by_key(|concern| concern.tone != Tone::Bad);
    if concerns.is_empty() && unknown.is_empty() {
        // When it was looked at stands at the foot of the page: here it would make another page of it each time.
        let lines = vec!["All servers answered; when is said at the foot of the page.".into()];
        sheet.notice(Tone::Good, "Nothing needs attention", lines);
        return;
    }
    if !concerns.is_empty() {
        let bad = concerns.iter().filter(|concern| concern.tone == Tone::Bad).count();
        let tone = if bad > 0 { Tone::Bad } else { Tone::Warn };
        let title = format!("{} attention", some(concerns.len(), "thing needs", "things need"));
        let more = concerns.len().saturating_sub(30);
        let mut lines: Vec<Bits> = concerns
            .into_iter()
            .take(30)
            .map(|concern| {
                let word = if concern.tone == Tone::Bad { "now" } else { "soon" };
                let mut all = vec![Bit::Badge(concern.tone, word.into())];
                all.extend(concern.text.all);
                Bits::of(all)
            })
            .collect();
        if more > 0 {
            lines.push(format!("and {more} more").into());
        }
        sheet.notice(tone, title, lines);
    }
    if !unknown.is_empty() {
        sheet.notice(Tone::Warn, "Not known", unknown);
    }
}

fn figures(sheet: &mut Sheet, organization: &Organization, queued: Option<&Queued>) {
    let waiting = queued.map(|queued| queued.all.iter().map(|(_, queue)| queue.messages).sum::<u64>());
    let link = |to: &str, count: usize| Bit::link(to, counted(count as u64)).into();
    let mut shown =
        vec![waiting.map_or_else(|| Bit::Quiet("unknown".into()), |count| Bit::link("/queues", counted(count)))];
    if queued.is_some_and(|queued| !queued.is_whole()) {
        shown.push(Bit::Quiet("or more".into()));
    }
    sheet.add(Block::Facts(vec![
        ("Messages waiting".into(), String::new(), Bits::of(shown)),
        ("Send connectors".into(), String::new(), link("/send-connectors", organization.send_connectors().len())),
        ("Servers".into(), String::new(), link("/servers", organization.servers().len())),
        ("Sites".into(), String::new(), link("/topology", organization.sites().len())),
        ("Accepted domains".into(), String::new(), link("/domains", organization.accepted_domains().len())),
        ("Revision".into(), String::new(), Bit::link("/revisions", organization.revision()).into()),
    ]));
}

/// What is missing, or too much.
pub(crate) fn gap(ledger: &Ledger) -> i128 {
    i128::from(ledger.accepted) - i128::from(ledger.ended) - i128::from(ledger.waiting)
}

/// Whether a ledger has had the same gap for long: its figures are not of one moment, and mail moves between them.
fn lasts(visit: &Visit<'_>, server: &str, gap: i128) -> bool {
    let mut known = visit.centre.gaps.lock();
    if gap == 0 {
        known.remove(server);
        return false;
    }
    let (last, since) = *known.entry(server.to_owned()).or_insert((gap, visit.now));
    if last != gap {
        known.insert(server.to_owned(), (gap, visit.now));
    }
    last == gap && visit.now.since(since) >= GAP_LASTS
}

/// Conservation: what was taken is what ended and what waits.
fn ledger(visit: &Visit<'_>, sheet: &mut Sheet, health: &[HealthView]) {
    let columns = vec![
        Column::new("Server", ""),
        Column::number("Taken", ""),
        Column::number("Ended", ""),
        Column::number("Waiting", ""),
        Column::new("Adds up", ""),
    ];
    let mut grid = Grid::new("Ledger: what Transport took since it started is what ended and what waits", columns);
    for one in health {
        let Some(ledger) = one.ledger else { continue };
        let gap = gap(&ledger);
        let word = match gap {
            0 => Bit::Badge(Tone::Good, "yes".into()),
            gap if lasts(visit, &one.server, gap) => Bit::Badge(Tone::Bad, format!("no: {gap}")),
            gap => Bit::Badge(Tone::Plain, format!("{gap} in motion")),
        };
        grid.row(vec![
            one.server.clone().into(),
            counted(ledger.accepted).into(),
            counted(ledger.ended).into(),
            counted(ledger.waiting).into(),
            word.into(),
        ]);
    }
    if !grid.rows.is_empty() {
        sheet.grid(grid);
    }
}

/// Which queues move, and how fast.
fn rates(sheet: &mut Sheet, queued: Option<&Queued>) {
    let Some(queued) = queued else { return };
    let columns = vec![
        Column::new("Server", ""),
        Column::number("Messages", "MessageCount"),
        Column::number("In per second", "IncomingRate"),
        Column::number("Out per second", "OutgoingRate"),
    ];
    let mut grid = Grid::new("Rates of the last minute", columns);
    let mut servers: Vec<_> = queued.all.iter().map(|(server, _)| server.clone()).collect();
    servers.dedup();
    for server in servers {
        let own = queued.all.iter().filter(|(of, _)| *of == server).map(|(_, queue)| queue);
        let (messages, incoming, outgoing) = own
            .fold((0, 0.0, 0.0), |all, queue| (all.0 + queue.messages, all.1 + queue.incoming, all.2 + queue.outgoing));
        grid.row(vec![
            Bit::link(format!("/queues?server={}", segment(server.as_str())), &server).into(),
            counted(messages).into(),
            format!("{incoming:.1}").into(),
            format!("{outgoing:.1}").into(),
        ]);
    }
    if !grid.rows.is_empty() {
        sheet.grid(grid);
    }
}
