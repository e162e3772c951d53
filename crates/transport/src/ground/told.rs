//! Who was told of a failure a moment ago: a sender gets one notification for a message in an interval, however many hosts
//! refuse it one after the other. The first is written at once; what fails in the interval after it is told together.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use envelope::{MessageId, Timestamp};
use parking_lot::Mutex;

/// Time after a notification in which no other about the same message is written.
const INTERVAL: Duration = Duration::from_secs(60);
/// Messages remembered. When there are more, their senders are told at once.
const MESSAGES_MAX: usize = 50_000;

/// When senders were told last, by message.
#[derive(Default)]
pub(crate) struct Told(Mutex<Times>);

#[derive(Default)]
struct Times {
    last: HashMap<MessageId, Last>,
    /// In the order in which they were told: who is forgotten next stands first.
    in_order: VecDeque<(Timestamp, MessageId)>,
}

/// The last notification about a message: written, or about to be.
struct Last {
    at: Timestamp,
    written: bool,
}

/// Somebody is about to tell the sender of a message; if that comes to nothing, the next one may.
pub(crate) struct Telling<'a> {
    told: &'a Told,
    message: MessageId,
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        let mut times = self.told.0.lock();
        if times.last.get(&self.message).is_some_and(|last| !last.written) {
            times.last.remove(&self.message);
        }
    }
}

impl Told {
    /// The first to tell of a message in an interval does; `Err` says until when all others wait.
    pub(crate) fn begin(&self, message: MessageId, now: Timestamp) -> Result<Telling<'_>, Timestamp> {
        let mut times = self.0.lock();
        if let Some(until) = times.last.get(&message).map(|last| last.at.plus(INTERVAL)).filter(|until| *until > now) {
            return Err(until);
        }
        times.last.insert(message, Last { at: now, written: false });
        drop(times);
        Ok(Telling { told: self, message })
    }

    /// A notification about this message was stored.
    pub(crate) fn told(&self, message: MessageId, now: Timestamp) {
        let mut times = self.0.lock();
        times.forget_what_is_over(now);
        if times.in_order.len() < MESSAGES_MAX {
            times.last.insert(message, Last { at: now, written: true });
            times.in_order.push_back((now, message));
        }
    }
}

impl Times {
    fn forget_what_is_over(&mut self, now: Timestamp) {
        while let Some((at, message)) = self.in_order.pop_front_if(|(at, _)| now.since(*at) >= INTERVAL) {
            // It may have been told once more meanwhile.
            if self.last.get(&message).is_some_and(|last| last.at == at) {
                self.last.remove(&message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1000)
    }

    fn message(number: usize) -> MessageId {
        MessageId::from_uuid(uuid::Uuid::from_u128(number as u128))
    }

    #[test]
    fn one_in_an_interval_and_no_more_messages_than_fit() {
        let (told, one) = (Told::default(), message(1));
        assert!(told.begin(one, at(0)).is_ok());
        told.told(one, at(0));
        assert_eq!(told.begin(one, at(59)).err(), Some(at(60)));
        assert!(told.begin(one, at(60)).is_ok());
        for number in 0..MESSAGES_MAX + 10 {
            told.told(message(number), at(100));
        }
        assert_eq!(told.0.lock().last.len(), MESSAGES_MAX);
        told.told(one, at(200));
        assert_eq!(told.0.lock().last.len(), 1, "those that are over go");
    }

    #[test]
    fn who_is_second_waits_for_the_first_and_goes_on_if_that_told_nobody() {
        let (told, one) = (Told::default(), message(1));
        let first = told.begin(one, at(0)).unwrap();
        assert_eq!(told.begin(one, at(0)).err(), Some(at(60)));
        drop(first);
        let second = told.begin(one, at(1)).unwrap();
        told.told(one, at(1));
        drop(second);
        assert_eq!(told.begin(one, at(2)).err(), Some(at(61)));
    }
}
