//! What if: a recipient, a sender, a size, a server; the decision with every candidate, now, at a revision, or under a plan that is
//! being looked at. The answer is that of `postroad explain`.

use std::sync::Arc;

use envelope::{Address, ByteSize, Revision};
use inquiry::{Answer, End, Inquiry, Sender, Subject};
use topology::{Organization, ServerRole};

use super::{Answered, Outcome, Trouble, place_of};
use crate::centre::Visit;
use crate::plans;
use crate::view::{Bit, Bits, Block, Button, Column, Entry, Field, Form, Grid, Group, Sheet, Tone};

/// Candidates that are shown.
const SHOWN: usize = 60;
/// Ends of a group that are shown.
const ENDS: usize = 20;

pub(crate) async fn page(visit: &Visit<'_>) -> Answered {
    let ask = visit.ask;
    let now = visit.ruled.organization().await?;
    let mut sheet = Sheet::new("Explain")
        .says("What would be done with a message, and why: every connector, and what eliminated it. Nothing is sent.");
    let typed = ask.query("recipient").trim();
    let mut wrong = Vec::new();
    let subject = if typed.is_empty() { None } else { subject(visit, &now, &mut wrong) };
    sheet.form(form(visit, &now, &wrong));
    if !wrong.is_empty() {
        sheet.status = 422;
    }
    let Some(subject) = subject else { return Ok(Outcome::Sheet(sheet)) };
    let mut organization = Arc::clone(&now);
    let revision = ask.query("revision").trim();
    if let Ok(revision) = revision.parse::<u64>() {
        organization = visit.ruled.at(Revision(revision)).await?;
        sheet.add(Block::Prose(Bit::Strong(format!("By the configuration of revision {revision}.")).into()));
    }
    let plan = ask.query("plan");
    if !plan.is_empty() {
        let entry = visit.centre.plans.find(plan, visit.person.name(), visit.now);
        let entry = entry.ok_or_else(|| super::missing("plan of yours", plan))?;
        let draft = plans::with(&organization, &entry.changes);
        let after = Organization::validate(draft, organization.revision())
            .map_err(|problems| Trouble::Wrong(problems.to_string()))?;
        sheet.add(Block::Prose(Bits::of(vec![
            Bit::Strong("As it would be under the plan".into()),
            Bit::link(format!("/plans/{plan}"), &entry.title),
        ])));
        organization = Arc::new(after);
    }
    let known = visit.ruled.known(std::slice::from_ref(&subject)).await?;
    let mut inquiry = Inquiry::new(Arc::clone(&organization), known);
    let answer = inquiry.ask(&subject).map_err(|error| Trouble::Wrong(error.to_string()))?;
    told(visit, &mut sheet, &answer, &organization).await;
    Ok(Outcome::Sheet(sheet))
}

fn subject(visit: &Visit<'_>, organization: &Organization, wrong: &mut Vec<(&'static str, String)>) -> Option<Subject> {
    let ask = visit.ask;
    let recipient = Address::parse(ask.query("recipient").trim());
    let recipient = recipient.map_err(|error| wrong.push(("recipient", error.to_string()))).ok();
    let sender = match ask.query("sender").trim() {
        "" => Some(Sender::Unnamed),
        "<>" => Some(Sender::Null),
        typed => match Address::parse(typed) {
            Ok(address) => Some(Sender::Address(address)),
            Err(error) => {
                wrong.push(("sender", error.to_string()));
                None
            }
        },
    };
    let size = match ask.query("size").trim().replace(' ', "").as_str() {
        "" => Some(ByteSize::kib(10)),
        typed => typed.parse::<ByteSize>().map_err(|error| wrong.push(("size", error.to_string()))).ok(),
    };
    let servers = organization.servers();
    let named = ask.query("from").trim();
    let from = if named.is_empty() {
        let mailbox = servers.iter().find(|server| server.role == ServerRole::Mailbox);
        mailbox.or(servers.first())
    } else {
        servers.iter().find(|server| server.name.as_str().eq_ignore_ascii_case(named))
    };
    if from.is_none() {
        wrong.push(("from", format!("there is no server {named} that could have the message")));
    }
    Some(Subject { recipient: recipient?, sender: sender?, size: size?, from: from?.name.clone() })
}

fn form(visit: &Visit<'_>, organization: &Organization, wrong: &[(&'static str, String)]) -> Form {
    let ask = visit.ask;
    let field = |name: &str, label: &str| {
        let why = wrong.iter().find(|(at, _)| *at == name).map(|(_, why)| why.clone()).unwrap_or_default();
        Field::line(name, label, ask.query(name)).with(Entry::Line { kind: "text", complete: "off" }).wrong(why)
    };
    let servers = organization
        .servers()
        .iter()
        .map(|server| (server.name.to_string(), format!("{} ({})", server.name, server.site)));
    let from = field("from", "Server that has it").with(Entry::Select(servers.collect()));
    let mut hidden = Vec::new();
    if !ask.query("plan").is_empty() {
        hidden.push(("plan".to_owned(), ask.query("plan").to_owned()));
    }
    Form {
        action: "/explain".to_owned(),
        get: true,
        row: true,
        hidden,
        groups: vec![Group {
            fields: vec![
                field("recipient", "Recipient"),
                field("sender", "Sender").helped("<> for a notification; empty: any."),
                field("size", "Size").helped("10KB unless said."),
                from,
                field("revision", "At revision"),
            ],
            ..Group::default()
        }],
        buttons: vec![Button::new("Explain", "", "", "primary")],
        ..Form::default()
    }
}

async fn told(visit: &Visit<'_>, sheet: &mut Sheet, answer: &Answer, organization: &Organization) {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(visit.ask.query.iter().filter(|(name, _)| matches!(name.as_str(), "recipient" | "from" | "size")))
        .finish();
    for end in answer.ends.iter().take(ENDS) {
        if answer.ends.len() > 1 {
            sheet.heading(end.address.to_string());
        }
        decided(sheet, end, &query);
        if let Some(explanation) = end.explanation() {
            sheet.grid(candidates(&explanation.summary(end.address.as_str()), organization));
        }
    }
    if answer.ends.len() > ENDS {
        sheet.add(Block::Prose(format!("and {} more members", answer.ends.len() - ENDS).into()));
    }
    let is_of_now = visit.ask.query("revision").trim().is_empty() && visit.ask.query("plan").is_empty();
    let text = visit.ruled.explained(answer, is_of_now).await;
    sheet.add(Block::Text { label: "As `postroad explain` says it".to_owned(), text });
}

fn decided(sheet: &mut Sheet, end: &End, query: &str) {
    let Some(explanation) = end.explanation() else {
        let why = end.obstacle().map(|obstacle| format!("{obstacle} ({})", obstacle.rule())).unwrap_or_default();
        sheet.notice(Tone::Bad, "Given up before routing", vec![why.into()]);
        return;
    };
    let summary = explanation.summary(end.address.as_str());
    match (end.route(), end.obstacle()) {
        (Some(_), _) => {
            let hop = summary.next_hop.as_ref();
            let mut lines: Vec<Bits> = Vec::new();
            if let Some(hop) = hop {
                lines.push(format!("Next hop: {} {}", hop.delivery_type, hop.domain).into());
            }
            if !summary.path.is_empty() {
                let cost = summary.cost.map(|cost| format!(", cost {cost}")).unwrap_or_default();
                lines.push(format!("Path: {}{cost}", summary.path.join(" → ")).into());
            }
            if !summary.stops.is_empty() {
                lines.push(format!("Stops in {}", summary.stops.join(", ")).into());
            }
            if !summary.targets.is_empty() {
                lines.push(format!("Servers that are tried: {}", summary.targets.join(", ")).into());
            }
            lines.push(Bit::link(format!("/topology?{query}"), "Show the way on the map").into());
            let title = match &summary.connector {
                Some(connector) => format!("By connector {connector}"),
                None => hop.map_or_else(|| "Delivered".to_owned(), |hop| format!("By {}", hop.delivery_type)),
            };
            sheet.notice(Tone::Good, title, lines);
        }
        (None, Some(obstacle)) => {
            let mut lines: Vec<Bits> = vec![format!("{obstacle} ({})", obstacle.rule()).into()];
            lines.extend(obstacle.status().map(|status| format!("A notification would say {status}").into()));
            sheet.notice(Tone::Bad, format!("No way: {}", summary.outcome), lines);
        }
        (None, None) => sheet.notice(Tone::Plain, summary.outcome.to_owned(), Vec::new()),
    }
}

fn candidates(summary: &routing::Summary, organization: &Organization) -> Grid {
    let columns =
        ["Connector", "Outcome", "Why", "What would have to change"].map(|title| Column::new(title, "")).to_vec();
    let mut grid = Grid::new("Every connector", columns);
    let mut all: Vec<&routing::CandidateSummary> = summary.candidates.iter().collect();
    // The way in front: what was selected, then what came furthest.
    all.sort_by_key(|one| (one.eliminated.is_some(), one.eliminated == Some("RT-50")));
    for one in all.iter().take(SHOWN) {
        let badge = match one.eliminated {
            None => Bit::Badge(Tone::Good, "selected".into()),
            Some(rule) => Bit::Badge(Tone::Plain, format!("eliminated by {rule}")),
        };
        let kind = if organization.send_connectors().iter().any(|known| known.name.as_str() == one.connector) {
            organization::Kind::SendConnector
        } else {
            organization::Kind::DeliveryAgentConnector
        };
        grid.row(vec![
            Bit::link(place_of(kind, &one.connector), &one.connector).into(),
            badge.into(),
            one.why.clone().into(),
            one.advice.clone().unwrap_or_default().into(),
        ]);
    }
    if all.len() > SHOWN {
        grid.foot = format!("and {} more that do not take this address", all.len() - SHOWN).into();
    }
    grid.empty = "No connector is asked: the recipient is inside.".into();
    grid
}
