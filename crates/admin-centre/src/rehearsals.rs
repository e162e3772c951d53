//! Rehearsals of certificates that go on, and what came of the last ones. No key is here.

use std::collections::VecDeque;
use std::sync::Arc;

use envelope::Timestamp;
use parking_lot::Mutex;

use crate::estate::TriedStep;

/// Rehearsals that are kept, the newest.
const KEPT_MAX: usize = 32;
/// At once: each opens connections to strangers.
const AT_ONCE: usize = 2;

/// A rehearsal, and how far it is.
pub(crate) struct Rehearsal {
    pub(crate) at: Timestamp,
    pub(crate) by: String,
    pub(crate) steps: Mutex<Vec<TriedStep>>,
    /// Nothing while it goes on; then why it did not come to its end, if so.
    pub(crate) ended: Mutex<Option<Result<(), String>>>,
}

/// All that are kept.
#[derive(Default)]
pub(crate) struct Rehearsals(Mutex<VecDeque<(String, Arc<Rehearsal>)>>);

impl Rehearsals {
    /// Nothing where enough go on.
    pub(crate) fn begin(&self, by: &str, at: Timestamp) -> Option<(String, Arc<Rehearsal>)> {
        let mut all = self.0.lock();
        if all.iter().filter(|(_, one)| one.ended.lock().is_none()).count() >= AT_ONCE {
            return None;
        }
        let (steps, ended) = (Mutex::default(), Mutex::default());
        let one = Arc::new(Rehearsal { at, by: by.to_owned(), steps, ended });
        let id = crate::codes::token();
        all.push_back((id.clone(), Arc::clone(&one)));
        if all.len() > KEPT_MAX {
            all.pop_front();
        }
        Some((id, one))
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Rehearsal>> {
        self.0.lock().iter().find(|(known, _)| known == id).map(|(_, one)| Arc::clone(one))
    }
}
