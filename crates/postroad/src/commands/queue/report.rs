//! Queues for people: what waits, one line for each queue, and its messages as mailq shows them.

use std::fmt::Write as _;

use admin_api::queues::{MessageEntry, PeerEntry, QueueEntry};
use envelope::{ServerName, Timestamp};
use topology::Organization;

use super::super::output;
use super::super::queued::Told;
use super::super::times::{shown, span};

/// Servers of a queue's way that are named; the rest is counted.
const TARGETS_SHOWN: usize = 6;
/// Recipients of a message that are named; the rest is counted.
const RECIPIENTS_SHOWN: usize = 3;
/// Before what stands below a queue.
const INDENT: &str = "    ";

/// How much is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// Empty queues, orders of attempts, decisions.
    pub all: bool,
    /// Messages were asked for.
    pub messages: bool,
    /// Only some messages: a queue without any of them is left out.
    pub filtered: bool,
    /// Servers that could not be asked.
    pub silent: usize,
}

pub(super) fn text(organization: &Organization, told: &[(ServerName, Told)], view: View, now: Timestamp) -> String {
    let mut rows = vec![heading(view)];
    let mut below: Vec<Vec<String>> = vec![Vec::new()];
    let (mut hidden, mut waiting, mut listed) = (0, 0, 0);
    for (server, told) in told {
        let site = organization.server(server).map(|server| server.site.to_string()).unwrap_or_default();
        for queue in &told.queues {
            let messages: Vec<_> = told.messages.iter().filter(|message| message.queue == queue.number).collect();
            waiting += queue.message_count;
            listed += messages.len();
            if (queue.message_count == 0 && !view.all) || (view.filtered && messages.is_empty()) {
                hidden += 1;
                continue;
            }
            rows.push(row(server, &site, queue, view, now));
            let mut lines = details(queue, view);
            lines.extend(messages.into_iter().flat_map(|message| of_message(server, message, queue, view, now)));
            below.push(lines);
        }
    }
    let mut text = String::new();
    // The heading of an empty table would promise something.
    if rows.len() > 1 {
        for (line, below) in output::table(&rows).lines().zip(below) {
            text += &format!("{line}\n");
            below.iter().for_each(|line| text += &format!("{INDENT}{line}\n"));
        }
        text.push('\n');
    }
    if !view.filtered {
        let failed = |told: &Told| told.peers.iter().filter(|peer| peer.failed).cloned().collect::<Vec<_>>();
        let peers = told.iter().flat_map(|(server, told)| failed(told).into_iter().map(move |peer| (server, peer)));
        let peers: String = peers.map(|(server, peer)| of_peer(server, &peer, now) + "\n").collect();
        text += &peers;
    }
    text + &conclusion(told.len(), view.silent, waiting, view.messages.then_some(listed), hidden)
}

/// What there is altogether: `12 messages wait on 3 servers; 4 queues without any are not shown (--all shows them).`
fn conclusion(servers: usize, silent: usize, waiting: u64, listed: Option<usize>, hidden: usize) -> String {
    let count = |number: u64, one: &str| if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") };
    let on = match silent {
        0 => count(servers as u64, "server"),
        _ => format!("{servers} of {}", count((servers + silent) as u64, "server")),
    };
    let mut text = match (waiting, listed) {
        (0, _) => format!("Nothing waits on {on}"),
        (1, None) => format!("1 message waits on {on}"),
        (_, None) => format!("{} wait on {on}", count(waiting, "message")),
        (_, Some(listed)) => format!("{listed} of {} on {on} shown", count(waiting, "message")),
    };
    if hidden > 0 {
        let (queues, are) =
            if hidden == 1 { ("1 queue".to_owned(), "is") } else { (format!("{hidden} queues"), "are") };
        let _ = write!(text, "; {queues} without any of it {are} not shown (--all)");
    }
    if silent > 0 {
        let _ = write!(text, "; what waits on the other{} is not known", if silent == 1 { "" } else { "s" });
    }
    text + ".\n"
}

fn heading(view: View) -> Vec<String> {
    let names: &[&str] = if view.all {
        &["SERVER", "SITE", "ID", "QUEUE", "DELIVERY TYPE", "STATUS", "MESSAGES", "VELOCITY", "NEXT TRY"]
    } else {
        &["SERVER", "QUEUE", "STATUS", "MESSAGES", "NEXT TRY"]
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn row(server: &ServerName, site: &str, queue: &QueueEntry, view: View, now: Timestamp) -> Vec<String> {
    let count = match queue.deferred_message_count {
        0 => queue.message_count.to_string(),
        deferred => format!("{} ({deferred} deferred)", queue.message_count),
    };
    let (server, name, status) = (server.to_string(), queue.name.to_string(), queue.status.to_string());
    let next_try = queue.next_retry.map(|at| format!("in {}", span(at.since(now)))).unwrap_or_default();
    if view.all {
        let velocity = format!("{:+.2}/s", queue.velocity());
        let (id, kind) = (queue.number.to_string(), queue.delivery_type.to_string());
        vec![server, site.to_owned(), id, name, kind, status, count, velocity, next_try]
    } else {
        vec![server, name, status, count, next_try]
    }
}

/// Only where something waits: a queue that works needs no words.
fn details(queue: &QueueEntry, view: View) -> Vec<String> {
    let mut lines = Vec::new();
    if queue.message_count == 0 {
        return lines;
    }
    if let Some(connector) = queue.connector.as_ref().filter(|name| view.all || **name != queue.name) {
        lines.push(format!("connector  {connector}"));
    }
    if view.all && !queue.targets.is_empty() {
        let shown = queue.targets.iter().take(TARGETS_SHOWN);
        let mut names: Vec<String> =
            shown.map(|target| format!("{} ({}, {})", target.server, target.site, target.rule)).collect();
        names.extend(further(queue.targets.len(), TARGETS_SHOWN));
        lines.push(format!("tries      {}", names.join(" ▸ ")));
    }
    if let Some(error) = &queue.last_error {
        let failures = match queue.retry_count {
            0 => String::new(),
            1 => "once: ".to_owned(),
            count => format!("{count} times: "),
        };
        lines.push(format!("failed     {failures}{error}"));
    }
    lines
}

/// Arrival, size, sender and recipients; what it says of itself; why it waits and until when.
fn of_message(
    server: &ServerName,
    message: &MessageEntry,
    queue: &QueueEntry,
    view: View,
    now: Timestamp,
) -> Vec<String> {
    let sender = message.sender.shown();
    let named = message.recipients.iter().take(RECIPIENTS_SHOWN).map(ToString::to_string);
    let mut recipients: Vec<String> = named.collect();
    recipients.extend(further(message.recipients.len(), RECIPIENTS_SHOWN));
    let age = span(now.since(message.arrived));
    let (at, size) = (shown(message.arrived), map::plain(message.size));
    let mut lines = vec![format!("{at}  {size:>9}  {sender} ▸ {}", recipients.join(", "))];
    let mut below = |text: String| lines.push(format!("  {text}"));
    let until = message.next_retry.map(|at| format!(", next try in {}", span(at.since(now)))).unwrap_or_default();
    below(format!("{} for {age}{until}", message.status));
    if let Some(subject) = &message.subject {
        below(format!("subject {subject}"));
    }
    let id = message.internet_message_id.as_ref().map(|id| format!("  Message-ID {id}")).unwrap_or_default();
    let trace = message.trace.as_ref().map(|trace| format!("  trace {trace}")).unwrap_or_default();
    let number =
        if view.all { format!("  identity {server}\\{}\\{}", queue.number, message.number) } else { String::new() };
    below(format!("id {}{id}{trace}{number}", message.id));
    if let Some(decision) = message.decision.as_ref().filter(|_| view.all) {
        let connector = decision.connector.as_ref().map(|name| format!(", connector {name}")).unwrap_or_default();
        below(format!(
            "decided by revision {}, {}: {} {}{connector}",
            decision.revision, decision.rule, decision.delivery_type, decision.next_hop_domain
        ));
    }
    // What the whole queue waits for is told once.
    if let Some(error) = message.last_error.as_ref().filter(|error| queue.last_error.as_ref() != Some(error)) {
        below(error.to_string());
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
