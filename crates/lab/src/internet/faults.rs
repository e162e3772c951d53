//! Which fault happens now, and how often it has happened already.

use std::collections::HashMap;
use std::sync::Arc;

use envelope::{Address, ReversePath};
use parking_lot::Mutex;

use super::description::{Behavior, Fault, Step};

/// Sender and recipient pairs that one host counts for. Beyond it faults with `times` no longer happen: the lab has been
/// fed more than it is meant for.
pub(super) const COUNTED_PAIRS_MAX: usize = 65_536;

/// Who a fault counts for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Party {
    pub sender: Option<ReversePath>,
    pub recipient: Option<Address>,
}

/// A behavior in force, with its counters. A new behavior starts counting anew.
#[derive(Debug)]
pub(super) struct Faults {
    pub behavior: Arc<Behavior>,
    happened: Mutex<HashMap<(usize, Party), u32>>,
}

impl Faults {
    pub(super) fn new(behavior: Behavior) -> Self {
        Self { behavior: Arc::new(behavior), happened: Mutex::default() }
    }

    /// The faults that happen to `party` at `step`, in the order described; each is counted as it is taken.
    pub(super) fn at<'a>(&'a self, step: Step, party: &'a Party) -> impl Iterator<Item = &'a Fault> {
        let faults = self.behavior.faults.iter().enumerate();
        faults.filter(move |(index, fault)| self.happens(*index, fault, step, party)).map(|(_, fault)| fault)
    }

    fn happens(&self, index: usize, fault: &Fault, step: Step, party: &Party) -> bool {
        let concerned = fault.recipient.is_none() || fault.recipient == party.recipient;
        if fault.at != step || !concerned {
            return false;
        }
        let Some(times) = fault.times else { return true };
        let mut happened = self.happened.lock();
        let key = (index, party.clone());
        if happened.len() >= COUNTED_PAIRS_MAX && !happened.contains_key(&key) {
            return false;
        }
        let count = happened.entry(key).or_insert(0);
        let still = *count < times;
        *count += u32::from(still);
        still
    }
}
