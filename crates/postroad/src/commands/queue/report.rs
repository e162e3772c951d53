//! Queues for people: one table over all servers, under each queue what it waits for, its messages, and what failed.

use std::time::Duration;

use envelope::{ServerName, Timestamp};
use rpc::admin::{MessageEntry, PeerEntry, QueueEntry};
use topology::Organization;

use super::super::output;
use super::super::queued::Told;

/// Servers of a queue's way that are named; the rest is counted.
const TARGETS_SHOWN: usize = 6;
/// Recipients of a message that are named; the rest is counted.
const RECIPIENTS_SHOWN: usize = 3;

pub(super) fn text(organization: &Organization, told: &[(ServerName, Told)], now: Timestamp) -> String {
    let heading = ["SERVER", "SITE", "ID", "QUEUE", "DELIVERY TYPE", "STATUS", "MESSAGES", "VELOCITY", "NEXT TRY"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let mut below = vec![Vec::new()];
    for (server, told) in told {
        let site = organization.server(server).map(|server| server.site.to_string()).unwrap_or_default();
        for queue in &told.queues {
            rows.push(row(server, &site, queue, now));
            let messages = told.messages.iter().filter(|message| message.queue == queue.number);
            let mut lines = details(queue);
            lines.extend(messages.flat_map(|message| of_message(message, queue, now)));
            below.push(lines);
        }
        if let Some(lines) = below.last_mut() {
            lines.extend(told.peers.iter().filter(|peer| peer.failed).map(|peer| of_peer(server, peer, now)));
        }
    }
    let table = output::table(&rows);
    let mut text = String::new();
    for (line, below) in table.lines().zip(below) {
        text += line;
        text.push('\n');
        below.iter().for_each(|line| text += &format!("    {line}\n"));
    }
    text
}

fn row(server: &ServerName, site: &str, queue: &QueueEntry, now: Timestamp) -> Vec<String> {
    let count = match queue.deferred_message_count {
        0 => queue.message_count.to_string(),
        deferred => format!("{} ({deferred} deferred)", queue.message_count),
    };
    vec![
        server.to_string(),
        site.to_owned(),
        queue.number.to_string(),
        queue.name.to_string(),
        queue.delivery_type.to_string(),
        queue.status.to_string(),
        count,
        format!("{:+.2}/s", queue.velocity()),
        queue.next_retry.map(|at| format!("in {}", span(at.since(now)))).unwrap_or_default(),
    ]
}

/// Only where something waits: a queue that works needs no words.
fn details(queue: &QueueEntry) -> Vec<String> {
    let mut lines = Vec::new();
    if queue.message_count == 0 {
        return lines;
    }
    if let Some(connector) = &queue.connector {
        lines.push(format!("connector  {connector}"));
    }
    if !queue.targets.is_empty() {
        let shown = queue.targets.iter().take(TARGETS_SHOWN);
        let mut names: Vec<String> =
            shown.map(|target| format!("{} ({}, {})", target.server, target.site, target.rule)).collect();
        names.extend(further(queue.targets.len(), TARGETS_SHOWN));
        lines.push(format!("tries      {}", names.join(" ▸ ")));
    }
    if let Some(error) = &queue.last_error {
        let failures = if queue.retry_count > 0 { format!("{} times: ", queue.retry_count) } else { String::new() };
        lines.push(format!("failed     {failures}{error}"));
    }
    lines
}

fn of_message(message: &MessageEntry, queue: &QueueEntry, now: Timestamp) -> Vec<String> {
    let sender = message.sender.to_string();
    let sender = if sender.is_empty() { "<>" } else { &sender };
    let shown = message.recipients.iter().take(RECIPIENTS_SHOWN).map(ToString::to_string);
    let mut recipients: Vec<String> = shown.collect();
    recipients.extend(further(message.recipients.len(), RECIPIENTS_SHOWN));
    let age = span(now.since(message.arrived));
    let mut lines = vec![
        format!("message    {} {}, for {age}", message.id, message.status),
        format!("             {sender} ▸ {}, {}", recipients.join(", "), message.size),
    ];
    if let Some(decision) = &message.decision {
        let connector = decision.connector.as_ref().map(|name| format!(", connector {name}")).unwrap_or_default();
        lines.push(format!(
            "             decided by revision {}, {}: {} {}{connector}",
            decision.revision, decision.rule, decision.delivery_type, decision.next_hop_domain
        ));
    }
    // What the whole queue waits for is told once.
    if let Some(error) = message.last_error.as_ref().filter(|error| queue.last_error.as_ref() != Some(error)) {
        lines.push(format!("             {error}"));
    }
    lines
}

fn of_peer(server: &ServerName, peer: &PeerEntry, now: Timestamp) -> String {
    let since = peer.failing_since.map(|at| span(now.since(at))).unwrap_or_default();
    let error = peer.last_error.as_deref().unwrap_or("no cause is known");
    let times = if peer.failures == 1 { "once".to_owned() } else { format!("{} times", peer.failures) };
    format!("{server} tries {} of {} last: it failed {times} in {since}: {error}", peer.service, peer.server)
}

fn further(all: usize, shown: usize) -> Option<String> {
    (all > shown).then(|| format!("{} more", all - shown))
}

/// `45 s`, `12 min`, `3 h`, `2 d`.
fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}
