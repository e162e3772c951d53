//! An item in the hands of a task. It goes back to the ledger whatever happens: explicitly with what became of it, or, when
//! the task fails or is dropped, by itself. So no item is ever lost with a task, and none ends without a reason.

use std::sync::Arc;

use envelope::{MessageId, Revision, Timestamp};
use queue::Update;
use scheduler::{GivenBack, InHands, Item, RecipientIndexes, Share};
use telemetry::metrics::Source;

use crate::core::{Core, Errand};
use crate::ground::wait::Wait;

/// An item in hands.
pub(crate) struct Hand {
    core: Arc<Core>,
    /// Empty once it has been given back.
    taken: Option<InHands>,
}

impl Hand {
    pub(crate) fn new(core: &Arc<Core>, taken: InHands) -> Self {
        Self { core: Arc::clone(core), taken: Some(taken) }
    }

    fn held(&self) -> &InHands {
        self.taken.as_ref().expect("it is given back by value")
    }

    fn held_mut(&mut self) -> &mut InHands {
        self.taken.as_mut().expect("it is given back by value")
    }

    fn let_go(mut self) -> (Arc<Core>, InHands) {
        let taken = self.taken.take().expect("it is given back by value");
        self.core.progress.step();
        (Arc::clone(&self.core), taken)
    }

    pub(crate) fn item(&self) -> &Item {
        &self.held().item
    }

    pub(crate) fn message(&self) -> MessageId {
        self.item().message
    }

    /// The next hop went away with it, or could not be asked.
    pub(crate) fn count_attempt(&mut self) {
        let item = &mut self.held_mut().item;
        item.deferrals = item.deferrals.saturating_add(1);
    }

    /// Whether its message has other items.
    pub(crate) fn is_divided(&self) -> bool {
        self.core.ledger(|ledger| ledger.is_divided(self.held()))
    }

    /// Leaves these recipients to it. There is at least one.
    pub(crate) fn keep(&mut self, recipients: &[u32]) {
        if let Some(recipients) = RecipientIndexes::new(recipients) {
            self.held_mut().item.recipients = recipients;
        }
    }

    /// Takes some recipients out of it, as an item of their own in the same hands. Others are left.
    pub(crate) fn split(&mut self, recipients: RecipientIndexes) -> Self {
        let core = Arc::clone(&self.core);
        core.node.metrics.accepted.add(Source::Bifurcation, 1);
        let part = core.ledger(|ledger| ledger.split(self.held_mut(), recipients));
        Self { core, taken: Some(part) }
    }

    /// Puts what configuration `by` decided into effect.
    pub(crate) fn decide(self, shares: Vec<Share>, by: Revision) {
        let (core, taken) = self.let_go();
        let now = core.now();
        let decided = core.ledger_and_alarm(|ledger| ledger.decide(taken, shares, by, now));
        if decided.items > 1 {
            core.node.metrics.accepted.add(Source::Bifurcation, decided.items as u64 - 1);
        }
        core.meet_all(decided.demands);
    }

    /// It comes back untried or not finished.
    pub(crate) fn put_back(self) -> Option<Timestamp> {
        self.give_back(|ledger, taken, now| ledger.put_back(taken, now))
    }

    /// It alone waits, for `MessageRetryInterval` (QU-38).
    pub(crate) fn defer(self, why: Arc<str>) -> Option<Wait> {
        let until = self.give_back(|ledger, taken, now| ledger.defer(taken, Arc::clone(&why), now));
        until.map(|until| Wait { until, why })
    }

    /// It comes back to the categorizer at that time.
    pub(crate) fn defer_submitted(self, until: Timestamp, why: Arc<str>) -> Option<Wait> {
        let until = self.give_back(|ledger, taken, now| ledger.defer_submitted(taken, until, Arc::clone(&why), now));
        until.map(|until| Wait { until, why })
    }

    /// It was decided by configuration `by`, and what it was sent to knows better (PL-13).
    pub(crate) fn reroute(self, by: Revision, why: Arc<str>) -> Option<Wait> {
        let until = self.give_back(|ledger, taken, now| ledger.reroute(taken, by, Arc::clone(&why), now));
        until.map(|until| Wait { until, why })
    }

    /// It was to be given up, and cannot be yet.
    pub(crate) fn give_up_later(self, until: Timestamp, why: Arc<str>) {
        self.give_back(|ledger, taken, now| ledger.give_up_later(taken, until, why, now));
    }

    fn give_back(
        self,
        back: impl FnOnce(&mut scheduler::Ledger, InHands, Timestamp) -> GivenBack,
    ) -> Option<Timestamp> {
        let (core, taken) = self.let_go();
        let now = core.now();
        let given = core.ledger_and_alarm(|ledger| back(ledger, taken, now));
        core.met(given)
    }

    /// What became of it is known, and stays so until it is written down; that is tried again at `until`.
    pub(crate) fn unrecorded(self, until: Timestamp, why: Arc<str>) {
        let (core, taken) = self.let_go();
        let now = core.now();
        core.ledger_and_alarm(|ledger| ledger.unrecorded(taken, until, why, now));
    }

    /// Nothing of it is left to do. `true` when nothing of its message is: only `settle` ends items.
    pub(crate) fn finish(self) -> bool {
        let (core, taken) = self.let_go();
        let now = core.now();
        core.ledger(|ledger| ledger.finish(taken, now))
    }

    /// Which item.
    pub(crate) fn id(&self) -> scheduler::ItemId {
        self.held().id()
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        let Some(taken) = self.taken.take() else { return };
        let core = Arc::clone(&self.core);
        let now = core.now();
        // A task that was ended with the service has done nothing wrong.
        if !std::thread::panicking() {
            let given = core.ledger_and_alarm(|ledger| ledger.put_back(taken, now));
            core.met(given);
            return;
        }
        let item = taken.item.clone();
        tracing::error!(message = %item.message, "this program failed at a message");
        let crashes = item.crashes.saturating_add(1);
        core.spool.update(item.message, &Update::crashes(crashes.into()));
        let (given, poison) =
            core.ledger_and_alarm(|ledger| ledger.crashed(taken, "this program failed at the message".into(), now));
        core.met(given);
        if poison {
            core.errand(Errand::Poison(item));
        }
    }
}
