//! What strangers have the directory asked at `RCPT`: so many questions at a time, the same one once for all who ask it
//! together, and names that nobody has only so often. Whoever guesses waits for himself, and for others who guess; who writes
//! to somebody known does not wait for either.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use envelope::Address;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use crate::policy::Found;

/// Questions under way at a time.
const UNDER_WAY_MAX: usize = 32;
/// Names that nobody has are asked after in this interval, each after the one before it.
const UNKNOWN_INTERVAL: Duration = Duration::from_millis(5);
/// As many at once before that.
const UNKNOWN_BURST: u32 = 500;
/// Addresses that somebody had lately, kept; when there are more, all are forgotten: it costs a wait.
const KNOWN_MAX: usize = 20_000;
/// Nobody waits longer for his turn; then the answer is that there is none now.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The questions of one service.
pub(crate) struct Questions {
    turns: Semaphore,
    asked: Mutex<HashMap<String, Arc<OnceCell<Found>>>>,
    pace: Mutex<Pace>,
    known: Mutex<HashSet<String>>,
}

impl Default for Questions {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(UNDER_WAY_MAX),
            asked: Mutex::default(),
            pace: Mutex::default(),
            known: Mutex::default(),
        }
    }
}

impl Questions {
    /// The answer of `asking` about `address`, or of somebody else who asks the same now.
    pub(crate) async fn ask(&self, address: &Address, asking: impl Future<Output = Found>) -> Found {
        let key = address.key();
        let cell = Arc::clone(self.asked.lock().entry(key.clone()).or_default());
        let _forgotten = Forgotten { questions: self, key: &key };
        // Whoever is first and hangs up leaves it to the next.
        cell.get_or_init(|| self.answer(&key, asking)).await.clone()
    }

    async fn answer(&self, key: &str, asking: impl Future<Output = Found>) -> Found {
        let known = self.known.lock().contains(key);
        let turn = async {
            if !known {
                let (now, pace) = (Instant::now(), &self.pace);
                let until = pace.lock().next(now);
                if until > now {
                    tokio::time::sleep_until(until).await;
                }
            }
            self.turns.acquire().await
        };
        let Ok(_turn) = tokio::time::timeout(WAIT_MAX, turn).await else { return Found::NoAnswer };
        let found = asking.await;
        match &found {
            Found::Recipient(_) | Found::Somebody => self.remember(key, known),
            Found::Nothing => drop(self.known.lock().remove(key)),
            Found::NoAnswer => {}
        }
        found
    }

    /// A question about somebody costs nothing.
    fn remember(&self, key: &str, known: bool) {
        if known {
            return;
        }
        self.pace.lock().give_back();
        let mut all = self.known.lock();
        if all.len() >= KNOWN_MAX {
            all.clear();
        }
        all.insert(key.to_owned());
    }
}

/// Takes a question out of the list with the last who waits for it.
struct Forgotten<'a> {
    questions: &'a Questions,
    key: &'a str,
}

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        let mut asked = self.questions.asked.lock();
        // The list's and the one of whoever drops this.
        if asked.get(self.key).is_some_and(|cell| Arc::strong_count(cell) <= 2) {
            asked.remove(self.key);
        }
    }
}

/// When the next one may be: at once up to a burst, then one in each interval.
#[derive(Default)]
struct Pace(Option<Instant>);

impl Pace {
    fn next(&mut self, now: Instant) -> Instant {
        let booked = self.0.map_or(now, |booked| booked.max(now)) + UNKNOWN_INTERVAL;
        self.0 = Some(booked);
        booked.checked_sub(UNKNOWN_INTERVAL * UNKNOWN_BURST).map_or(now, |at| at.max(now))
    }

    fn give_back(&mut self) {
        self.0 = self.0.and_then(|booked| booked.checked_sub(UNKNOWN_INTERVAL));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn somebody() -> Found {
        Found::Recipient(crate::policy::tests::mailbox())
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_the_same_together_asks_once_and_nothing_is_kept() {
        let (questions, asked) = (Questions::default(), AtomicU32::new(0));
        let ask = |name: &'static str| {
            let asked = &asked;
            let asking = async move {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
                Found::Nothing
            };
            let questions = &questions;
            async move { questions.ask(&address(name), asking).await }
        };
        let (first, second, other) =
            tokio::join!(ask("Guess@contoso.com"), ask("guess@CONTOSO.com"), ask("b@contoso.com"));
        assert!([first, second, other].iter().all(|found| matches!(found, Found::Nothing)));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert!(questions.asked.lock().is_empty());
        // The first hangs up: the second asks himself.
        let second = {
            let (first, second) = (ask("c@contoso.com"), ask("c@contoso.com"));
            tokio::pin!(second);
            tokio::select! {
                biased; // the first asks
                _ = first => unreachable!("the directory takes a second"),
                _ = &mut second => unreachable!("it waits for the first"),
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
            second.await
        };
        assert!(matches!(second, Found::Nothing) && asked.load(Ordering::Relaxed) == 4);
        assert!(questions.asked.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_nobody_has_are_asked_at_a_rate_and_known_ones_at_once() {
        let (questions, began) = (Questions::default(), Instant::now());
        let ann = address("ann@contoso.com");
        let guess = |number: u32| address(&format!("guess{number}@contoso.com"));
        // However many there are of those who exist.
        for number in 0..UNKNOWN_BURST * 3 {
            questions.ask(&address(&format!("user{number}@contoso.com")), async { somebody() }).await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        questions.ask(&ann, async { somebody() }).await;
        for number in 0..UNKNOWN_BURST + 200 {
            questions.ask(&guess(number), async { Found::Nothing }).await;
        }
        let waited = began.elapsed();
        assert!(waited > Duration::from_millis(900) && waited < Duration::from_millis(1100), "{waited:?}");
        questions.ask(&ann, async { somebody() }).await;
        assert_eq!(began.elapsed(), waited, "somebody known waits for nobody who guesses");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_turn_in_time_there_is_no_answer() {
        let questions = Questions::default();
        let _all = questions.turns.acquire_many(UNDER_WAY_MAX as u32).await.unwrap();
        let found = questions.ask(&address("ann@contoso.com"), async { somebody() }).await;
        assert!(matches!(found, Found::NoAnswer));
    }
}
