//! The ledger: what was acknowledged, against what has arrived.

use std::collections::{HashMap, HashSet};

use ::lab::TestMessage;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{Inbox, Lab};

/// A `Message-ID` and one of its recipients, by what stands before the `@`.
pub(crate) type Copy = (String, String);

/// Everything that was acknowledged: each message once for each recipient.
pub struct Ledger {
    acknowledged: Mutex<HashSet<Copy>>,
    count: watch::Sender<usize>,
}

/// What the ledger says in the end.
#[derive(Debug)]
pub struct Balance {
    /// Copies that somebody took responsibility for.
    pub acknowledged: usize,
    /// Of them, those that have not arrived.
    pub missing: Vec<Copy>,
    /// Arrivals beyond the first, of acknowledged messages or others.
    pub duplicates: usize,
}

impl Ledger {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { acknowledged: Mutex::default(), count: watch::Sender::new(0) }
    }

    /// Notes that a message was acknowledged for all its recipients.
    pub fn acknowledge(&self, message: &TestMessage) {
        let mut acknowledged = self.acknowledged.lock();
        let recipients = message.recipients.iter();
        acknowledged.extend(recipients.map(|to| (message.message_id(), local_part(to.as_str()))));
        self.count.send_replace(acknowledged.len());
    }

    /// Copies acknowledged so far.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until so many have been acknowledged.
    pub async fn wait_for_count(&self, count: usize) {
        self.count.subscribe().wait_for(|now| *now >= count).await.unwrap();
    }

    /// Compares with what the hosts of the internet and the mailboxes have.
    pub fn balance(&self, deliveries: &mut ::lab::Deliveries, inboxes: &mut [Inbox]) -> Balance {
        let arrived = arrived(deliveries, inboxes);
        let acknowledged = self.acknowledged.lock();
        let missing = acknowledged.iter().filter(|copy| !arrived.contains_key(copy)).cloned().collect();
        let duplicates = arrived.values().map(|times| times - 1).sum();
        Balance { acknowledged: acknowledged.len(), missing, duplicates }
    }

    /// Waits until everything has arrived, and gives the balance of then.
    ///
    /// Goes on for as long as anything still arrives: how many messages a machine delivers in a minute is no promise.
    pub async fn wait_for_everything(&self, lab: &Lab, mut inboxes: Vec<Inbox>) -> Balance {
        let mut deliveries = lab.world.deliveries();
        let mut missing = usize::MAX;
        loop {
            let what = format!("more than all but {missing} of {} acknowledged messages", self.count());
            let balance = testkit::until(&what, async || {
                let balance = self.balance(&mut deliveries, &mut inboxes);
                (balance.missing.len() < missing).then_some(balance)
            })
            .await;
            if balance.missing.is_empty() {
                return balance;
            }
            missing = balance.missing.len();
        }
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

/// What the hosts of the internet and the mailboxes have, and how often.
pub(crate) fn arrived(deliveries: &mut ::lab::Deliveries, inboxes: &mut [Inbox]) -> HashMap<Copy, usize> {
    let mut arrived: HashMap<Copy, usize> = HashMap::new();
    for delivery in deliveries.all().unwrap() {
        for to in &delivery.recipients {
            let copy = (delivery.message_id.clone().unwrap(), local_part(&to.address));
            *arrived.entry(copy).or_default() += 1;
        }
    }
    for inbox in inboxes {
        let mailbox = inbox.mailbox().to_owned();
        inbox.message_ids().for_each(|id| *arrived.entry((id.to_owned(), mailbox.clone())).or_default() += 1);
    }
    arrived
}

fn local_part(address: &str) -> String {
    address.split('@').next().unwrap_or_default().to_ascii_lowercase()
}
