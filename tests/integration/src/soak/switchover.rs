//! Databases move between the servers of a DAG, and Send connectors with them, while mail keeps coming: it follows at once, and what
//! was under way to the old server arrives without waiting for a retry interval, and comes back to no sender.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::load::Load;
use super::{Plan, SERVERS, TWO_SERVERS, apply, settle, wait_for_conservation};
use crate::{Inbox, Lab};

/// A switchover happens when so many more copies have been acknowledged.
const WORK: std::ops::Range<usize> = 0..60;
/// Within this time mail reaches the new server, and everything from before has arrived. Retries take five minutes here, as they
/// do in production: nothing may need one.
const PROMPT: Duration = Duration::from_secs(60);
const SLOW_RETRIES: &str = "{mailboxDeliveryQueueRetryInterval: 00:05:00, queueGlitchRetryInterval: 00:00:01, \
    transientFailureRetryInterval: 00:00:01, outboundConnectionFailureRetryInterval: 00:00:01}";
/// The databases, their mailboxes, and where they are active at first.
const DATABASES: [(&str, &str, &str); 2] = [("DB-Berlin1", "anna", "BERLIN1"), ("DB-Berlin2", "ben", "BERLIN2")];

/// With each database where `active` says, and the Send connectors on `source` alone.
fn organization(active: [&str; 2], source: &str) -> String {
    let mut text = TWO_SERVERS.replace("transport: QUICK", &format!("dag: DAG1, transport: {SLOW_RETRIES}"));
    for ((database, _, first), server) in DATABASES.iter().zip(active) {
        let here = format!("{{name: {database}, server: {first}}}");
        assert!(text.contains(&here), "{database}");
        text = text.replace(&here, &format!("{{name: {database}, dag: DAG1, activeOn: {server}}}"));
    }
    text.replace("databases:", "dags: [{name: DAG1}]\ndatabases:")
        .replace("sourceTransportServers: [BERLIN1, BERLIN2]", &format!("sourceTransportServers: [{source}]"))
}

/// Both copies of both mailboxes: each server has the files of what it took.
fn inboxes(lab: &Lab) -> Vec<Inbox> {
    let of =
        |server: &'static str| DATABASES.iter().map(move |(database, mailbox, _)| lab.inbox(server, database, mailbox));
    SERVERS.into_iter().flat_map(of).collect()
}

pub(super) async fn run(plan: &Plan) {
    let mut random = StdRng::seed_from_u64(plan.seed);
    let first = DATABASES.map(|(_, _, server)| server);
    let lab = Lab::start(&organization(first, SERVERS[0])).await;
    let load = Load::start(&lab);
    let mut active = first;
    for number in 1..=plan.switchovers {
        let wanted = load.ledger.count() + random.random_range(WORK);
        let worked = tokio::time::timeout(PROMPT, load.ledger.wait_for_count(wanted)).await;
        assert!(worked.is_ok(), "nothing was acknowledged after switchover {number}");
        let which = random.random_range(0..DATABASES.len());
        let (database, mailbox, _) = DATABASES[which];
        active[which] = if active[which] == SERVERS[0] { SERVERS[1] } else { SERVERS[0] };
        let mut inbox = lab.inbox(active[which], database, mailbox);
        let before = inbox.message_ids().count();
        apply(&lab, &organization(active, SERVERS[number % SERVERS.len()])).await;
        let what = format!("mail follows {database} to {}", active[which]);
        let follows = testkit::until(&what, async || (inbox.message_ids().count() > before).then_some(()));
        assert!(tokio::time::timeout(PROMPT, follows).await.is_ok(), "switchover {number}");
    }
    // What lies in an outbox goes when its database is active there.
    apply(&lab, &organization(first, SERVERS[0])).await;
    let ledger = load.stop().await;
    let balance = ledger.wait_for_everything(&lab, inboxes(&lab)).await;
    settle(&format!("{} switchovers", plan.switchovers), &balance);
    for server in SERVERS {
        wait_for_conservation(&lab, server).await;
    }
    lab.finish().await;
}
