//! What a test was promised, to be compared with what a spool holds after a crash.
//!
//! Promises: what was acknowledged is there, whole; what was changed or removed durably stays so. Allowed: what was never
//! acknowledged may be there (whole) or not; what was changed or removed without waiting may be as before.

use std::collections::BTreeMap;

use envelope::ByteSize;
use queue::{CommitError, Ended, Note, Pending, RecipientState, Recovery, Spool, Transaction, Update};

use crate::common::*;

/// One step of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Store {
        number: u64,
        length: usize,
    },
    /// Stores what was removed once more, as another server does that did not hear the answer.
    Repeat {
        number: u64,
    },
    Update {
        number: u64,
    },
    UpdateDurably {
        number: u64,
    },
    Remove {
        number: u64,
    },
    RemoveDurably {
        number: u64,
    },
    /// Removes one message and stores another, together.
    Replace {
        number: u64,
        by: u64,
        length: usize,
    },
    /// Sets or takes away a note.
    Note {
        number: u64,
        set: bool,
    },
    Flush,
}

#[derive(Clone, Debug, Default)]
struct Promise {
    length: usize,
    acknowledged: bool,
    removed: bool,
    removed_durably: bool,
    /// Removed since the spool was opened: it knows a repetition for what it is.
    remembered: bool,
    /// A transaction about it was refused for want of space: a crash right then may leave its record behind.
    doubtful: bool,
    /// Last change made, and last one known to be durable.
    change: u32,
    durable_change: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(BTreeMap<u64, Promise>, Notes);

/// Whether each note that was ever touched is set; not known of one whose change was not acknowledged.
type Notes = BTreeMap<u64, Option<bool>>;

fn note(number: u64) -> Note {
    Note::SuspendedQueue(number.to_string().into())
}

impl Ledger {
    fn is_there(&self, number: u64) -> bool {
        self.0.get(&number).is_some_and(|promise| promise.acknowledged && !promise.removed)
    }

    fn expect_store(&mut self, number: u64, length: usize) {
        self.0.entry(number).or_insert(Promise { length, ..Promise::default() });
    }

    fn change(&mut self, number: u64) -> (u32, Update) {
        let promise = self.0.get_mut(&number).unwrap();
        promise.change += 1;
        (promise.change, change(promise.change))
    }

    fn remove(&mut self, number: u64) {
        let promise = self.0.get_mut(&number).unwrap();
        (promise.removed, promise.remembered) = (true, true);
    }

    /// Everything queued before is durable: the spool works in order.
    fn settle(&mut self) {
        for promise in self.0.values_mut() {
            promise.durable_change = promise.change;
            promise.removed_durably = promise.removed;
        }
    }

    /// Does one step; steps about messages that are not there are left out.
    pub(crate) async fn act(&mut self, spool: &Spool, action: Action) -> Result<(), CommitError> {
        let result = self.try_act(spool, action).await;
        if let (Err(CommitError::Full), Action::Replace { number, .. } | Action::RemoveDurably { number }) =
            (&result, action)
        {
            let promise = self.0.get_mut(&number).unwrap();
            (promise.removed, promise.doubtful) = (false, true);
        }
        result
    }

    async fn try_act(&mut self, spool: &Spool, action: Action) -> Result<(), CommitError> {
        match action {
            Action::Store { number, length } => {
                if self.0.get(&number).is_some_and(|promise| promise.length != length || promise.removed) {
                    return Ok(());
                }
                self.expect_store(number, length);
                store(spool, number, length).await?;
                self.0.get_mut(&number).unwrap().acknowledged = true;
                self.settle();
            }
            Action::Repeat { number } => {
                let Some(length) =
                    self.0.get(&number).filter(|one| one.removed && one.remembered).map(|one| one.length)
                else {
                    return Ok(());
                };
                store(spool, number, length).await?;
                assert!(!spool.contains(id(number)), "message {number} was removed, and is stored anew");
                self.settle();
            }
            Action::Update { number } if self.is_there(number) => {
                let (_, update) = self.change(number);
                spool.update(id(number), &update);
            }
            Action::UpdateDurably { number } if self.is_there(number) => {
                let (_, update) = self.change(number);
                Transaction::new().update(id(number), &update).commit(spool).await?;
                self.settle();
            }
            Action::Remove { number } if self.is_there(number) => {
                self.remove(number);
                spool.remove(id(number));
            }
            Action::RemoveDurably { number } if self.is_there(number) => {
                self.remove(number);
                Transaction::new().remove(id(number)).commit(spool).await?;
                self.settle();
            }
            Action::Replace { number, by, length } if self.is_there(number) && !self.0.contains_key(&by) => {
                self.expect_store(by, length);
                self.remove(number);
                let mut draft = spool.begin();
                draft.write(content(by, length)).await?;
                Transaction::new().store(draft, message(by)).remove(id(number)).commit(spool).await?;
                self.0.get_mut(&by).unwrap().acknowledged = true;
                self.settle();
            }
            Action::Note { number, set } => {
                self.1.insert(number, None);
                let transaction = Transaction::new();
                let transaction = if set { transaction.set(&note(number)) } else { transaction.unset(&note(number)) };
                transaction.commit(spool).await?;
                self.1.insert(number, Some(set));
                self.settle();
            }
            Action::Flush => {
                spool.flush().await?;
                self.settle();
            }
            _ => {}
        }
        Ok(())
    }

    /// Compares with what is there; what is there from now on is promised.
    pub(crate) async fn check(&mut self, spool: &Spool, recovery: Recovery) -> Result<(), String> {
        let set = spool.suspended_queues();
        for (number, promise) in &mut self.1 {
            let found = set.contains(&number.to_string().into_boxed_str());
            if promise.is_some_and(|promised| promised != found) {
                return Err(format!("note {number} is {found}, wanted {promise:?}"));
            }
            *promise = Some(found);
        }
        let mut found = BTreeMap::new();
        for head in all(recovery).await {
            let number = u64::from_be_bytes(head.head.id.as_bytes()[8..].try_into().unwrap());
            if found.insert(number, head).is_some() {
                return Err(format!("message {number} is there twice"));
            }
        }
        if let Some(number) = found.keys().find(|number| !self.0.contains_key(number)) {
            return Err(format!("message {number} was never stored"));
        }
        for (&number, promise) in &mut self.0 {
            promise.remembered = false;
            let Some(head) = found.get(&number) else {
                if promise.acknowledged && !promise.removed && !promise.doubtful {
                    return Err(format!("message {number} was acknowledged and is lost"));
                }
                (promise.removed, promise.removed_durably) = (true, true);
                continue;
            };
            if promise.removed_durably {
                return Err(format!("message {number} was removed durably and is back"));
            }
            if head.head.size != ByteSize::bytes(promise.length as u64)
                || read(spool, number).await != content(number, promise.length)
            {
                return Err(format!("message {number} has the wrong content"));
            }
            let changed = head.crashes;
            if !(promise.durable_change..=promise.change).contains(&changed) || head.states != states(changed) {
                return Err(format!("message {number} has change {changed}, wanted {promise:?}"));
            }
            (promise.acknowledged, promise.removed) = (true, false);
            (promise.change, promise.durable_change) = (changed, changed);
        }
        Ok(())
    }
}

/// A change that can be told from others: every third replaces the list of recipients.
fn change(number: u32) -> Update {
    let state = RecipientState::Pending(Pending { attempts: number, ..Pending::default() });
    let crashes = Some(number);
    if number.is_multiple_of(3) {
        let recipients = vec![
            (recipient("ann@example.com"), state),
            (recipient("bob@example.org"), RecipientState::Failed(Ended::default())),
        ];
        Update { recipients: Some(recipients), crashes, ..Update::default() }
    } else {
        Update { states: vec![(0, state)], crashes, ..Update::default() }
    }
}

/// The states after that many changes.
fn states(changes: u32) -> Vec<RecipientState> {
    let first = RecipientState::Pending(Pending { attempts: changes, ..Pending::default() });
    vec![first, if changes < 3 { RecipientState::default() } else { RecipientState::Failed(Ended::default()) }]
}

/// Runs actions until one fails. Returns what was promised.
pub(crate) async fn run(spool: &Spool, ledger: &mut Ledger, actions: &[Action]) -> Result<(), CommitError> {
    for action in actions {
        ledger.act(spool, *action).await?;
    }
    Ok(())
}
