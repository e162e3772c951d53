//! Where items are that stand in none of the scheduler's queues: in the Submission queue, in the categorizer, waiting to come
//! back to it, or in a connection. For whoever looks at the queues; nothing is decided by it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use envelope::{MessageId, Timestamp};
use parking_lot::Mutex;
use routing::Route;
use scheduler::{Item, LaneId};

/// An item: items of one message never share a recipient.
type Key = (MessageId, u32);

/// One item's place.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In the Submission queue.
    Submitted,
    /// The same, but it was decided before: a restart found it, or the configuration changed.
    Resubmitted,
    /// With a categorizer.
    Categorizing,
    /// Comes back to the Submission queue then.
    Deferred {
        /// When, unless something else happens before.
        until: Option<Timestamp>,
        /// Why.
        why: Arc<str>,
    },
    /// In a connection of this queue.
    Connection(LaneId, Route),
}

/// All of them.
#[derive(Default)]
pub(crate) struct Whereabouts(Mutex<All>);

#[derive(Default)]
struct All {
    items: BTreeMap<Key, (Item, Place)>,
    /// Items in the Submission queue that count against it: asked for every few seconds, and there may be very many.
    submission_length: usize,
}

impl All {
    fn insert(&mut self, key: Key, item: Item, place: Place) {
        self.submission_length += usize::from(place.counts());
        let before = self.items.insert(key, (item, place));
        self.left(before);
    }

    fn remove(&mut self, key: Key) {
        let before = self.items.remove(&key);
        self.left(before);
    }

    fn left(&mut self, before: Option<(Item, Place)>) {
        self.submission_length -= usize::from(before.is_some_and(|(_, place)| place.counts()));
    }
}

impl Place {
    /// Whether back pressure counts it in the Submission queue. Refusing mail makes what was accepted long ago no less.
    fn counts(&self) -> bool {
        !matches!(self, Self::Connection(..) | Self::Resubmitted)
    }
}

/// What the Submission queue holds.
#[derive(Default)]
pub(crate) struct Submission {
    pub(crate) messages: usize,
    pub(crate) deferred: usize,
    pub(crate) active: usize,
    pub(crate) next_retry: Option<Timestamp>,
    pub(crate) last_error: Option<Arc<str>>,
}

/// Stands for an item in somebody's hands; when it goes, the item is there no longer.
pub(crate) struct Held<'a> {
    of: &'a Whereabouts,
    key: Key,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut all = self.of.0.lock();
        // It may have been put into another place under the same key meanwhile.
        if matches!(all.items.get(&self.key), Some((_, Place::Categorizing | Place::Connection(..)))) {
            all.remove(self.key);
        }
    }
}

fn key(item: &Item) -> Key {
    (item.message, item.recipients.as_slice().first().copied().unwrap_or_default())
}

impl Whereabouts {
    /// Puts an item into a place where it stays by itself.
    pub(crate) fn put(&self, item: Item, place: Place) {
        self.0.lock().insert(key(&item), item, place);
    }

    /// The item is with somebody until what is returned is dropped.
    #[must_use]
    pub(crate) fn hold(&self, item: Item, place: Place) -> Held<'_> {
        let key = key(&item);
        self.0.lock().insert(key, item, place);
        Held { of: self, key }
    }

    /// Up to `limit` items after `bookmark`, each with its bookmark.
    pub(crate) fn items_after(&self, bookmark: Option<Key>, limit: usize) -> Vec<(Key, Item, Place)> {
        let from = bookmark.map_or(Bound::Unbounded, Bound::Excluded);
        let all = self.0.lock();
        let entry = |(key, (item, place)): (&Key, &(Item, Place))| (*key, item.clone(), place.clone());
        all.items.range((from, Bound::Unbounded)).take(limit).map(entry).collect()
    }

    /// How many items the Submission queue has, as back pressure counts them.
    pub(crate) fn submission_length(&self) -> usize {
        self.0.lock().submission_length
    }

    /// The Submission queue in figures.
    pub(crate) fn submission(&self) -> Submission {
        let mut found = Submission::default();
        for (_, place) in self.0.lock().items.values() {
            match place {
                Place::Connection(..) => continue,
                Place::Submitted | Place::Resubmitted => {}
                Place::Categorizing => found.active += 1,
                Place::Deferred { until, why } => {
                    found.deferred += 1;
                    found.next_retry = [found.next_retry, *until].into_iter().flatten().min();
                    found.last_error = Some(Arc::clone(why));
                }
            }
            found.messages += 1;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use envelope::Revision;
    use scheduler::RecipientIndexes;

    use super::*;

    fn item(number: u8, recipient: u32) -> Item {
        Item {
            message: MessageId::from_bytes([number; 16]),
            recipients: RecipientIndexes::One(recipient),
            arrived: Timestamp::from_millis(0),
            delay_reported: false,
            deferrals: 0,
            decided: Revision(1),
        }
    }

    #[test]
    fn an_item_is_in_one_place_and_leaves_it_when_it_is_let_go() {
        let all = Whereabouts::default();
        all.put(item(1, 0), Place::Submitted);
        assert_eq!(all.submission().messages, 1);
        let held = all.hold(item(1, 0), Place::Categorizing);
        let found = all.submission();
        assert_eq!((found.messages, found.active, all.submission_length()), (1, 1, 1));
        drop(held);
        assert_eq!((all.submission().messages, all.submission_length()), (0, 0));
    }

    #[test]
    fn what_is_decided_anew_is_seen_and_does_not_count() {
        let all = Whereabouts::default();
        all.put(item(1, 0), Place::Resubmitted);
        assert_eq!((all.submission().messages, all.submission_length()), (1, 0));
        let held = all.hold(item(1, 0), Place::Categorizing);
        assert_eq!((all.submission().messages, all.submission_length()), (1, 1));
        drop(held);
        assert_eq!((all.submission().messages, all.submission_length()), (0, 0));
    }

    #[test]
    fn what_is_deferred_while_it_is_held_stays_deferred() {
        let all = Whereabouts::default();
        let held = all.hold(item(1, 0), Place::Categorizing);
        let until = Timestamp::from_millis(9);
        all.put(item(1, 0), Place::Deferred { until: Some(until), why: "the directory does not answer".into() });
        drop(held);
        let found = all.submission();
        assert_eq!((found.messages, found.deferred, found.next_retry), (1, 1, Some(until)));
        assert_eq!(found.last_error.as_deref(), Some("the directory does not answer"));
    }

    #[test]
    fn a_list_goes_on_from_its_bookmark() {
        let all = Whereabouts::default();
        for number in 0..5 {
            all.put(item(number, u32::from(number)), Place::Submitted);
        }
        let first = all.items_after(None, 3);
        let rest = all.items_after(first.last().map(|(key, ..)| *key), 9);
        assert_eq!((first.len(), rest.len()), (3, 2));
    }
}
