//! Room for one more where only so many are kept.

use std::collections::HashMap;

use envelope::Timestamp;

/// Most that are kept.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Of one owner.
    pub(crate) own: usize,
    /// Of everybody.
    pub(crate) all: usize,
}

/// The oldest makes room for one more: of the same owner, where he has enough. `of` says of each whether it is his, and how old.
pub(crate) fn make_room<T>(all: &mut HashMap<String, T>, limits: Limits, of: impl Fn(&T) -> (bool, Timestamp)) {
    let is_full = all.values().filter(|known| of(known).0).count() >= limits.own;
    if !is_full && all.len() < limits.all {
        return;
    }
    let may_go = all.iter().filter(|(_, known)| !is_full || of(known).0);
    if let Some(oldest) = may_go.min_by_key(|(_, known)| of(known).1).map(|(id, _)| id.clone()) {
        all.remove(&oldest);
    }
}
