//! Pages of very many keys. etcd walks everything that comes after the first key of a range to count it, however few are wanted: a
//! thousand pages of a million keys would be a thousand walks. Whoever goes on after a page goes on to the end, so from the second
//! page on many are read at once, and the next ones are given out of them.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::Entry;

/// Entries that are read at once: of index keys some three megabytes.
const AHEAD: usize = 20_000;
/// So long what was read is given: a page is never older.
const GIVEN_FOR: Duration = Duration::from_secs(5);

/// Lists that are gone through at the same time and do not read for each other anew; of more the oldest is read again.
const LISTS_MAX: usize = 4;

/// What was read for the lists that are being gone through.
#[derive(Default)]
pub(super) struct Lists(Vec<Ahead>);

impl Lists {
    /// What the page of `limit` entries after `after` is in, if it was read.
    pub(super) fn take(&mut self, prefix: &str, after: &str, limit: usize) -> Option<Ahead> {
        self.0.retain(Ahead::is_fresh);
        let at = self.0.iter().position(|ahead| ahead.goes_on(prefix, after, limit))?;
        Some(self.0.remove(at))
    }

    /// Keeps what is left of one.
    pub(super) fn keep(&mut self, rest: Ahead) {
        if self.0.len() == LISTS_MAX {
            self.0.remove(0);
        }
        self.0.push(rest);
    }
}

/// What was read and is not given yet.
pub(super) struct Ahead {
    prefix: String,
    /// The last key that was given.
    after: String,
    entries: std::vec::IntoIter<Entry>,
    /// There is nothing behind them.
    is_last: bool,
    read: Instant,
}

/// How many entries to ask for: a first page may be all that is wanted.
pub(super) fn wanted(prefix: &str, after: &str, limit: usize) -> usize {
    if after == prefix { limit } else { limit.max(AHEAD) }
}

impl Ahead {
    /// What came when so many were `wanted`.
    pub(super) fn new(prefix: &str, wanted: usize, entries: Vec<Entry>) -> Self {
        let is_last = entries.len() < wanted;
        let (prefix, after) = (prefix.to_owned(), String::new());
        Self { prefix, after, entries: entries.into_iter(), is_last, read: Instant::now() }
    }

    fn is_fresh(&self) -> bool {
        self.read.elapsed() < GIVEN_FOR
    }

    /// Whether the page of `limit` entries after `after` is in it.
    fn goes_on(&self, prefix: &str, after: &str, limit: usize) -> bool {
        let is_next = self.prefix == prefix && self.after == after;
        is_next && (self.is_last || self.entries.len() >= limit)
    }

    /// The next page, and what is left.
    pub(super) fn divide(mut self, limit: usize) -> (Vec<Entry>, Option<Self>) {
        let page: Vec<Entry> = self.entries.by_ref().take(limit).collect();
        let Some(last) = page.last().filter(|_| self.entries.len() > 0 || self.is_last) else { return (page, None) };
        self.after = last.key.clone();
        (page, Some(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(range: std::ops::Range<usize>) -> Vec<Entry> {
        range.map(|number| Entry { key: format!("k{number:05}"), value: Vec::new(), revision: 1 }).collect()
    }

    /// Goes through `count` entries in pages; gives how often it had to ask, and what it was given.
    fn listed(count: usize, limit: usize) -> (usize, Vec<String>) {
        let (mut asked, mut given, mut after, mut ahead) = (0, Vec::new(), "k".to_owned(), None::<Ahead>);
        loop {
            let known = ahead.take().filter(|ahead| ahead.goes_on("k", &after, limit)).unwrap_or_else(|| {
                asked += 1;
                let (from, wanted) = (given.len(), wanted("k", &after, limit));
                Ahead::new("k", wanted, entries(from..count.min(from + wanted)))
            });
            let (page, rest) = known.divide(limit);
            ahead = rest;
            let is_last = page.len() < limit;
            given.extend(page.into_iter().map(|entry| entry.key));
            after = given.last().cloned().unwrap_or(after);
            if is_last {
                return (asked, given);
            }
        }
    }

    #[test]
    fn many_pages_are_few_questions_and_every_entry_is_given_once() {
        for (count, asked) in [(0, 1), (499, 1), (500, 2), (501, 2), (20_500, 3), (50_000, 4)] {
            let (questions, given) = listed(count, 500);
            let all: Vec<String> = entries(0..count).into_iter().map(|entry| entry.key).collect();
            assert!(given == all, "{count}");
            assert_eq!(questions, asked, "{count}");
        }
    }

    #[test]
    fn another_page_than_the_next_is_read_anew() {
        let (page, rest) = Ahead::new("k", 100, entries(0..100)).divide(10);
        let rest = rest.unwrap();
        assert_eq!((page.len(), rest.after.as_str()), (10, "k00009"));
        assert!(!rest.goes_on("k", "k00010", 10));
        // There may be more behind a part that is full.
        let (_, rest) = Ahead::new("k", 100, entries(0..100)).divide(95);
        assert!(!rest.unwrap().goes_on("k", "k00094", 10));
    }

    #[test]
    fn lists_that_are_gone_through_at_the_same_time_do_not_take_what_was_read_from_each_other() {
        let mut lists = Lists::default();
        for prefix in ["k", "l"] {
            let (_, rest) = Ahead::new(prefix, 100, entries(0..100)).divide(10);
            lists.keep(rest.unwrap());
        }
        for prefix in ["k", "l"] {
            let known = lists.take(prefix, "k00009", 10).unwrap();
            assert_eq!(known.divide(10).0[0].key, "k00010");
        }
        assert!(lists.take("k", "k00009", 10).is_none());
    }
}
