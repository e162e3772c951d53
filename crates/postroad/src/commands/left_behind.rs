//! What becomes of mail by a plan: messages in the queues of servers that go, mailboxes of databases that change their
//! server. Neither moves by itself, so neither is changed without somebody saying that it may be.

use std::collections::HashMap;

use directory::Presence;
use envelope::{ObjectName, ServerName, Service};
use organization::{Change, Object, Plan};
use topology::{Database, DatabaseHome, DirectoryRecipient, RecipientKind};

use super::place::Place;
use super::queued::Transports;

/// What a plan leaves behind, one sentence each; and what is not known of it and stands in nobody's way.
#[derive(Default)]
pub(super) struct LeftBehind {
    pub(super) mail: Vec<String>,
    pub(super) unknown: Vec<String>,
}

impl LeftBehind {
    /// What is told, a line each.
    pub(super) fn told(&self) -> String {
        self.mail.iter().chain(&self.unknown).map(|text| format!("{text}\n")).collect()
    }

    /// Whether the plan may be carried out.
    ///
    /// # Errors
    /// When mail would be left behind and nobody forces it.
    pub(super) fn allow(&self, force: bool) -> anyhow::Result<()> {
        if self.mail.is_empty() || force {
            return Ok(());
        }
        anyhow::bail!(
            "nothing was changed, because mail would be left behind. Let a server send what it has before it goes (`postroad \
             queue`); bring mailboxes to where they are to be (`postroad database move`); --force changes it all the same"
        )
    }
}

/// How many mailboxes each database has.
pub(super) type Mailboxes = HashMap<ObjectName, usize>;

/// Counts the mailboxes of databases.
pub(super) fn mailboxes(recipients: &[DirectoryRecipient]) -> Mailboxes {
    let mut counts = Mailboxes::new();
    for recipient in recipients {
        if let RecipientKind::Mailbox { database, .. } = &recipient.kind {
            *counts.entry(database.clone()).or_default() += 1;
        }
    }
    counts
}

/// Finds out what `plan` leaves behind, of the directory as it is now.
pub(super) async fn by(plan: &Plan, mailboxes: &Mailboxes, presences: &[Presence], place: &Place) -> LeftBehind {
    let mut found = LeftBehind { mail: databases(plan, mailboxes), unknown: Vec::new() };
    let gone: Vec<&ServerName> = plan.changes.iter().filter_map(removed_server).collect();
    if gone.is_empty() {
        return found;
    }
    let there = |server: &ServerName| {
        let mut transports = presences.iter().filter(|presence| presence.service == Service::Transport);
        transports.any(|presence| presence.server == *server)
    };
    let (there, away): (Vec<_>, Vec<_>) = gone.into_iter().partition(|server| there(server));
    let away = away.into_iter().map(|server| {
        format!("Transport of {server} is not there: if its queue holds mail, that waits on its disk until the server is back.")
    });
    found.unknown.extend(away);
    if !there.is_empty() {
        found.mail.extend(queues(&there, place).await);
    }
    found
}

async fn queues(servers: &[&ServerName], place: &Place) -> Vec<String> {
    let transports = match Transports::open(place).await {
        Ok(transports) => transports,
        Err(error) => return vec![format!("What waits on the servers that go cannot be asked: {error:#}.")],
    };
    let mut found = Vec::new();
    for server in servers {
        match transports.ask(server, None).await {
            Ok(told) => match told.queues.iter().map(|queue| queue.message_count).sum() {
                0 => {}
                1 => found.push(format!("{server} holds 1 message in its queues.")),
                messages => found.push(format!("{server} holds {messages} messages in its queues.")),
            },
            Err(error) => found.push(format!("What waits on {server} cannot be asked: {error:#}.")),
        }
    }
    found
}

fn removed_server(change: &Change) -> Option<&ServerName> {
    match change {
        Change::Delete(Object::Server(server)) => Some(&server.name),
        _ => None,
    }
}

/// Databases that leave the disk on which their mailboxes are. Within a DAG each member has them: by other means than ours.
fn databases(plan: &Plan, mailboxes: &Mailboxes) -> Vec<String> {
    let mailboxes = |database: &Database| mailboxes.get(&database.name).copied().unwrap_or_default();
    let moved = plan.changes.iter().filter_map(|change| match change {
        Change::Delete(Object::Database(database)) => Some((&**database, None)),
        Change::Update { from: Object::Database(from), to: Object::Database(to) } => match (&from.home, &to.home) {
            (DatabaseHome::Server(_), _) if from.active_server() != to.active_server() => {
                Some((&**from, Some(to.active_server())))
            }
            _ => None,
        },
        _ => None,
    });
    let sentence = |(database, to): (&Database, Option<&ServerName>)| {
        let (name, from) = (&database.name, database.active_server());
        let what = match mailboxes(database) {
            0 => return None,
            1 => "1 mailbox".to_owned(),
            many => format!("{many} mailboxes"),
        };
        Some(match to {
            Some(to) => format!("{name} moves from {from} to {to}: what is in its {what} stays on the disk of {from}."),
            None => format!("{name} goes: what is in its {what} stays on the disk of {from}."),
        })
    };
    moved.filter_map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use envelope::Revision;

    use super::*;

    const ORGANIZATION: &str = "\
sites: [{name: A}]
servers: [{name: M1, fqdn: m1.contoso.com, site: A}, {name: M2, fqdn: m2.contoso.com, site: A, dag: D}, {name: M3, fqdn: m3.contoso.com, site: A, dag: D}]
dags: [{name: D}]
databases: [{name: DB1, server: M1}, {name: DB2, dag: D, activeOn: M2}]
acceptedDomains: [{name: Contoso, domainName: contoso.com, default: true}]
recipients:
  - {name: ann, address: ann@contoso.com, database: DB1}
  - {name: bob, address: bob@contoso.com, database: DB1}
  - {name: cat, address: cat@contoso.com, database: DB2}
";

    fn objects(text: &str) -> (Vec<Object>, Vec<DirectoryRecipient>) {
        let contents = organization::load(text, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
        (organization::objects(contents.organization.draft(), &contents.recipients), contents.recipients)
    }

    fn left(change: impl Fn(&str) -> String) -> Vec<String> {
        let (current, recipients) = objects(ORGANIZATION);
        let (wanted, _) = objects(&change(ORGANIZATION));
        databases(&organization::plan(current, wanted), &mailboxes(&recipients))
    }

    #[test]
    fn mailboxes_that_stay_behind_are_counted() {
        let moved = left(|text| text.replace("{name: DB1, server: M1}", "{name: DB1, server: M2}"));
        assert_eq!(moved, ["DB1 moves from M1 to M2: what is in its 2 mailboxes stays on the disk of M1."]);
        let gone = left(|text| text.replace("{name: DB1, server: M1}, ", "").replace("database: DB1", "database: DB2"));
        assert_eq!(gone, ["DB1 goes: what is in its 2 mailboxes stays on the disk of M1."]);
    }

    #[test]
    fn a_switchover_within_a_dag_and_an_empty_database_leave_nothing() {
        assert!(left(|text| text.replace("activeOn: M2", "activeOn: M3")).is_empty());
        assert!(left(|text| text.replace("M1}, {name: DB2", "M1}, {name: New, server: M2}, {name: DB2")).is_empty());
    }
}
