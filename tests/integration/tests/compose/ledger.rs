//! The ledger: what was acknowledged, and when, against what the mailboxes and the hosts of the internet have.

#![expect(clippy::disallowed_methods, reason = "certificates and messages of a test are of now")]

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use crate::stack::Stack;

/// Every file in an inbox with the seconds of its writing, then its `Message-ID`, then every delivery to a host of the
/// internet. Few processes for all of it: the machine has other things to do.
const EVERYTHING: &str = "cd /lab/servers && find */state/mailboxes -path '*/Maildir/new/*' -type f \
    -printf 'T %p %T@\\n' 2>/dev/null; grep -r -a -i -m1 --exclude-dir=.Outbox --exclude-dir=tmp '^message-id:' \
    */state/mailboxes 2>/dev/null; cat /lab/internet/deliveries/deliveries.jsonl 2>/dev/null; true";

/// Everything that was acknowledged, by `Message-ID`.
#[derive(Default)]
pub(crate) struct Ledger {
    acknowledged: Mutex<HashMap<String, SystemTime>>,
    /// By a client that heard no answer, or a refusal: a second copy of these may be the client's doing.
    sent_again: Mutex<HashSet<String>>,
}

/// What the ledger says.
#[derive(Debug)]
pub(crate) struct Balance {
    pub acknowledged: usize,
    pub missing: Vec<String>,
    /// Arrivals beyond the first of what was sent once: ours.
    pub duplicates: usize,
    /// Arrivals beyond the first of what a client sent again.
    pub duplicates_of_clients: usize,
    /// Longest way from the acknowledgement to the first arrival, among those acknowledged after `since`.
    pub slowest: Duration,
    /// The message that it was.
    pub slowest_id: String,
}

impl Ledger {
    pub(crate) fn acknowledge(&self, message_id: String) {
        self.acknowledged.lock().insert(message_id, SystemTime::now());
    }

    pub(crate) fn sent_again(&self, message_id: &str) {
        self.sent_again.lock().insert(message_id.to_owned());
    }

    pub(crate) fn count(&self) -> usize {
        self.acknowledged.lock().len()
    }

    /// Compares with what is there now.
    pub(crate) async fn balance(&self, stack: &Stack, since: SystemTime) -> Balance {
        let acknowledged = self.acknowledged.lock().clone();
        let arrived = arrivals(stack).await;
        let missing = acknowledged.keys().filter(|id| !arrived.contains_key(*id)).cloned().collect();
        let sent_again = self.sent_again.lock().clone();
        let further = |again: bool| {
            let those = acknowledged.keys().filter(|id| sent_again.contains(*id) == again);
            those.filter_map(|id| Some(arrived.get(id)?.len() - 1)).sum()
        };
        let recent = acknowledged.iter().filter(|(_, at)| **at >= since);
        let delays =
            recent.filter_map(|(id, at)| Some((arrived.get(id)?.iter().min()?.duration_since(*at).ok()?, id.clone())));
        let (slowest, slowest_id) = delays.max().unwrap_or_default();
        Balance {
            acknowledged: acknowledged.len(),
            missing,
            duplicates: further(false),
            duplicates_of_clients: further(true),
            slowest,
            slowest_id,
        }
    }

    /// Waits until everything has arrived that was acknowledged up to now, for as long as anything still arrives.
    pub(crate) async fn settle(&self, stack: &Stack, since: SystemTime) -> Balance {
        let owed: Vec<String> = self.acknowledged.lock().keys().cloned().collect();
        let mut last = usize::MAX;
        loop {
            let what = format!("more than all but {last} of {} acknowledged messages", owed.len());
            let balance = testkit::until(&what, async || {
                let balance = self.balance(stack, since).await;
                let missing = balance.missing.iter().filter(|id| owed.contains(id)).count();
                (missing < last).then_some((missing, balance))
            })
            .await;
            match balance {
                (0, balance) => return balance,
                (missing, _) => last = missing,
            }
        }
    }
}

/// When each message arrived, by `Message-ID`.
async fn arrivals(stack: &Stack) -> HashMap<String, Vec<SystemTime>> {
    let mut arrived: HashMap<String, Vec<SystemTime>> = HashMap::new();
    let mut written = HashMap::new();
    let text = stack.tools(EVERYTHING).await;
    for line in text.lines() {
        if let Some((file, time)) = line.strip_prefix("T ").and_then(|rest| rest.rsplit_once(' ')) {
            written.insert(file, SystemTime::UNIX_EPOCH + Duration::from_secs_f64(time.parse().unwrap()));
        } else if line.starts_with('{') {
            // The last line may be under way.
            let Ok(delivery) = serde_json::from_str::<lab::Delivery>(line) else { continue };
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(delivery.time_millis);
            arrived.entry(delivery.message_id.unwrap_or_default()).or_default().push(time);
        } else if let Some((file, id)) = line.rsplit_once(' ') {
            // `<file>:Message-ID: <id>`; a file that came after the first look is seen at the next.
            let file = file.to_lowercase().rfind(":message-id:").map(|end| &file[..end]);
            let Some(time) = file.and_then(|file| written.get(file)) else { continue };
            arrived.entry(id.trim().to_owned()).or_default().push(*time);
        }
    }
    arrived
}
