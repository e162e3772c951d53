//! The ledger against a slow obvious model: a list of items, each with a word that says where it is, gone through from
//! beginning to end for every question. And its connections: none too many, and no next hop is forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use envelope::{Limit, Revision, Span, Timestamp};
use proptest::prelude::*;

use crate::tests::{at, id, item, ledger, route};
use crate::*;

/// Minutes after which mail is late, and expires.
const LATE: u64 = 40;
const EXPIRED: u64 = 90;
/// Minutes of `MessageRetryInterval` and `MailboxDeliveryQueueRetryInterval`.
const DEFERRED: u64 = 15;
const REROUTED: u64 = 5;
/// Failures that make poison.
const POISON_THRESHOLD: u8 = 2;

#[derive(Clone, Debug, PartialEq)]
enum Place {
    Submission,
    DeferredThere { until: u64, newer: Option<u64> },
    Categorizer,
    Ready(u8),
    Deferred(u8, u64),
    Connection(u8, After),
    Suspended(u8),
    Unreachable,
    SuspendedUnreachable,
    Poison,
    Unrecorded(u64),
}

/// What is done to an item in a connection when it comes back.
#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    Nothing,
    Suspend,
    Remove,
}

#[derive(Debug)]
struct Kept {
    place: Place,
    arrived: u64,
    late: bool,
    decided: u64,
    crashes: u8,
    /// The next hop that deferred it, and until when.
    held: Option<(u8, u64)>,
    /// The configuration when it was taken.
    since: u64,
}

/// Everything in one list that is looked through from the beginning each time.
#[derive(Debug, Default)]
struct Model {
    now: u64,
    configuration: u64,
    items: BTreeMap<ItemId, Kept>,
    suspended: Vec<u8>,
    redirect: bool,
}

/// Where redirected mail goes.
const TARGET: u8 = 9;

impl Model {
    fn send(&mut self, id: ItemId, to: u8, by: u64) {
        let (now, to) = (self.now, if self.redirect { TARGET } else { to });
        let kept = self.items.get_mut(&id).unwrap();
        kept.decided = by;
        let held = kept.held.take().filter(|(hop, until)| *hop == to && *until > now);
        kept.place = held.map_or(Place::Ready(to), |(_, until)| Place::Deferred(to, until));
        kept.held = held;
    }

    /// An item comes back from a connection to wait there. `false`: it was removed.
    fn back(&mut self, id: ItemId, to: Place) -> bool {
        let configuration = self.configuration;
        let kept = self.items.get_mut(&id).unwrap();
        let Place::Connection(hop, after) = kept.place else { panic!("it was in a connection") };
        let old = kept.since < configuration && matches!(to, Place::Ready(_) | Place::Deferred(..));
        kept.place = match after {
            After::Remove => return false,
            After::Suspend => Place::Suspended(hop),
            After::Nothing if old => Place::Submission,
            After::Nothing => to,
        };
        true
    }

    fn crashed(&mut self, id: ItemId) -> bool {
        let now = self.now;
        let kept = self.items.get_mut(&id).unwrap();
        kept.crashes += 1;
        if kept.crashes >= POISON_THRESHOLD {
            kept.place = Place::Poison;
            return true;
        }
        match kept.place {
            Place::Connection(hop, _) => {
                kept.held = Some((hop, now + DEFERRED));
                self.back(id, Place::Deferred(hop, now + DEFERRED))
            }
            _ => {
                kept.place = Place::DeferredThere { until: now + DEFERRED, newer: None };
                true
            }
        }
    }

    /// Gives what has expired and what was written down.
    fn pass(&mut self, minutes: u64) -> Vec<ItemId> {
        self.now += minutes;
        let now = self.now;
        let mut gone = Vec::new();
        for (id, kept) in &mut self.items {
            let ages = !matches!(
                kept.place,
                Place::Categorizer | Place::Connection(..) | Place::Poison | Place::Unrecorded(_)
            );
            if ages && kept.arrived + EXPIRED <= now {
                gone.push(*id);
                continue;
            }
            kept.late |= ages && kept.arrived + LATE <= now;
            match kept.place {
                Place::DeferredThere { until, .. } if until <= now => {
                    (kept.place, kept.held) = (Place::Submission, None)
                }
                Place::Deferred(hop, until) if until <= now => (kept.place, kept.held) = (Place::Ready(hop), None),
                Place::Unrecorded(until) if until <= now => gone.push(*id),
                _ => {}
            }
        }
        for id in &gone {
            self.items.remove(id);
        }
        gone
    }

    fn look_again(&mut self) {
        let ids: Vec<ItemId> = self.items.keys().copied().collect();
        for id in ids {
            let (configuration, redirect) = (self.configuration, self.redirect);
            let kept = self.items.get_mut(&id).unwrap();
            match kept.place {
                Place::DeferredThere { newer: Some(by), .. } if by < configuration => {
                    (kept.place, kept.held) = (Place::Submission, None)
                }
                Place::Ready(hop) | Place::Deferred(hop, _) if !self.suspended.contains(&hop) => {
                    if redirect && hop != TARGET {
                        kept.held = None;
                        let by = kept.decided;
                        self.send(id, TARGET, by);
                    } else if !redirect && kept.decided < configuration {
                        kept.place = Place::Submission;
                    }
                }
                Place::Unreachable if kept.decided < configuration => kept.place = Place::Submission,
                _ => {}
            }
        }
    }
}

/// One step of a random life.
#[derive(Clone, Copy, Debug)]
enum Step {
    Submit,
    Categorize(u8),
    Take(u8),
    Return(u8),
    Pass(u64),
    Configure,
    SuspendItem(u8),
    ResumeItem(u8),
    RemoveItem(u8),
    SuspendQueue(u8),
    ResumeQueue(u8),
    Redirect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Submit),
        4 => (0u8..7).prop_map(Step::Categorize),
        4 => (0u8..3).prop_map(Step::Take),
        4 => (0u8..6).prop_map(Step::Return),
        2 => (0u64..20).prop_map(Step::Pass),
        1 => Just(Step::Configure),
        2 => any::<u8>().prop_map(Step::SuspendItem),
        2 => any::<u8>().prop_map(Step::ResumeItem),
        1 => any::<u8>().prop_map(Step::RemoveItem),
        1 => (0u8..3).prop_map(Step::SuspendQueue),
        1 => (0u8..3).prop_map(Step::ResumeQueue),
        1 => Just(Step::Redirect),
    ]
}

/// The ledger beside its model.
struct Both {
    ledger: Ledger,
    model: Model,
    in_hands: Vec<InHands>,
    number: u8,
}

fn hop(number: u8) -> routing::Route {
    route(&format!("d{number}.example"))
}

impl Both {
    fn new() -> Self {
        let ledger = ledger(|settings| {
            settings.message_expiration_timeout = Span::minutes(EXPIRED);
            settings.delay_notification_timeout = Span::minutes(LATE);
        });
        Self { ledger, model: Model::default(), in_hands: Vec::new(), number: 0 }
    }

    fn now(&self) -> Timestamp {
        at(self.model.now)
    }

    fn nth(&self, number: u8) -> Option<ItemId> {
        let count = self.model.items.len().max(1);
        self.model.items.keys().nth(usize::from(number) % count).copied()
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Submit if self.number < 250 => self.submit(),
            Step::Submit => {}
            Step::Categorize(how) => self.categorize(how),
            Step::Take(from) => self.take(from),
            Step::Return(how) => self.give_back(how),
            Step::Pass(minutes) => self.pass(minutes),
            Step::Configure => {
                self.model.configuration += 1;
                let limits = self.ledger.limits.clone();
                self.ledger.reconfigure(limits, Revision(self.model.configuration));
                self.sweep();
            }
            Step::Redirect => {
                self.model.redirect = !self.model.redirect;
                if !self.model.redirect {
                    for kept in self.model.items.values_mut() {
                        if matches!(kept.place, Place::Ready(TARGET) | Place::Deferred(TARGET, _)) {
                            kept.place = Place::Submission;
                        }
                    }
                }
                self.ledger.redirect(self.model.redirect.then(|| hop(TARGET)));
                self.sweep();
            }
            Step::SuspendItem(number) => self.suspend_item(number),
            Step::ResumeItem(number) => self.resume_item(number),
            Step::RemoveItem(number) => self.remove_item(number),
            Step::SuspendQueue(number) => {
                if let Some(queue) = self.ledger.queue_of(&hop(number).key) {
                    self.ledger.suspend_queue(queue).unwrap();
                    self.model.suspended.push(number);
                }
            }
            Step::ResumeQueue(number) => self.resume_queue(number),
        }
    }

    fn sweep(&mut self) {
        while self.ledger.is_sweeping() {
            self.ledger.sweep(2, at(self.model.now));
        }
        self.model.look_again();
    }

    fn submit(&mut self) {
        self.number += 1;
        let kept = Kept {
            place: Place::Submission,
            arrived: self.model.now,
            late: false,
            decided: 0,
            crashes: 0,
            held: None,
            since: 0,
        };
        let id = self.ledger.submit(item(self.number, self.now()), self.now());
        assert!(self.model.items.insert(id, kept).is_none());
    }

    fn categorize(&mut self, how: u8) {
        let Some(taken) = self.ledger.next_submitted() else {
            assert!(!self.model.items.values().any(|kept| kept.place == Place::Submission), "one waits");
            return;
        };
        let (id, now, by) = (taken.id(), self.now(), self.model.configuration);
        let kept = self.model.items.get_mut(&id).unwrap();
        assert_eq!(kept.place, Place::Submission);
        kept.place = Place::Categorizer;
        let share = |to| vec![Share { recipients: RecipientIndexes::One(0), to }];
        let minutes = self.model.now;
        match how {
            3 => {
                (kept.place, kept.held, kept.decided) = (Place::Unreachable, None, by);
                let _ = self.ledger.decide(taken, share(Destination::Unreachable("no".into())), Revision(by), now);
            }
            4 => {
                kept.place = Place::DeferredThere { until: minutes + 7, newer: Some(by) };
                (kept.held, kept.decided) = (None, by);
                let to = Destination::Later(at(minutes + 7), "not now".into());
                let _ = self.ledger.decide(taken, share(to), Revision(by), now);
            }
            5 => {
                kept.place = Place::DeferredThere { until: minutes + 7, newer: None };
                let _ = self.ledger.defer_submitted(taken, at(minutes + 7), "the directory".into(), now);
            }
            6 => {
                let (_, poison) = self.ledger.crashed(taken, "a fault".into(), now);
                self.model.crashed(id);
                assert_eq!(poison, self.model.items[&id].place == Place::Poison);
            }
            to => {
                self.model.send(id, to, by);
                let _ = self.ledger.decide(taken, share(Destination::NextHop(hop(to))), Revision(by), now);
            }
        }
    }

    fn take(&mut self, from: u8) {
        let Some(queue) = self.ledger.queue_of(&hop(from).key) else { return };
        let waiting = |kept: &Kept| kept.place == Place::Ready(from) && !self.model.suspended.contains(&from);
        let oldest =
            self.model.items.iter().filter(|(_, kept)| waiting(kept)).min_by_key(|(id, it)| (it.arrived, **id));
        let oldest = oldest.map(|(id, _)| *id);
        match self.ledger.take(queue) {
            Work::Item(taken, _) => {
                assert_eq!(Some(taken.id()), oldest);
                let kept = self.model.items.get_mut(&taken.id()).unwrap();
                kept.place = Place::Connection(from, After::Nothing);
                kept.since = self.model.configuration;
                self.in_hands.push(taken);
            }
            Work::Idle => {
                self.ledger.stop_idling(queue);
                assert_eq!(oldest, None);
            }
            Work::Close => panic!("there are connections for all"),
        }
    }

    fn give_back(&mut self, how: u8) {
        let Some(taken) = self.in_hands.pop() else { return };
        let (id, now, minutes) = (taken.id(), self.now(), self.model.now);
        let Place::Connection(from, _) = self.model.items[&id].place else { panic!("it is in hands") };
        let since = self.model.items[&id].since;
        let (given, stays) = match how {
            0 => {
                assert!(self.ledger.finish(taken, now));
                self.model.items.remove(&id);
                return;
            }
            1 => (self.ledger.put_back(taken, now), self.model.back(id, Place::Ready(from))),
            2 => {
                self.model.items.get_mut(&id).unwrap().held = Some((from, minutes + DEFERRED));
                (
                    self.ledger.defer(taken, "later".into(), now),
                    self.model.back(id, Place::Deferred(from, minutes + DEFERRED)),
                )
            }
            3 => {
                let known = since < self.model.configuration;
                let there = Place::DeferredThere { until: minutes + REROUTED, newer: Some(since) };
                if !known {
                    self.model.items.get_mut(&id).unwrap().held = None;
                }
                let to = if known { Place::Submission } else { there };
                (self.ledger.reroute(taken, Revision(since), "moved".into(), now), self.model.back(id, to))
            }
            4 => {
                let (given, poison) = self.ledger.crashed(taken, "a fault".into(), now);
                let stays = self.model.crashed(id);
                assert_eq!(poison, stays && self.model.items[&id].place == Place::Poison);
                (given, stays)
            }
            _ => {
                self.ledger.unrecorded(taken, at(minutes + 1), "full".into(), now);
                self.model.items.get_mut(&id).unwrap().place = Place::Unrecorded(minutes + 1);
                return;
            }
        };
        assert_eq!(given.removed.is_some(), !stays);
        if let Some((removed, _)) = given.removed {
            assert!(self.ledger.finish(removed, now));
            self.model.items.remove(&id);
        }
    }

    fn pass(&mut self, minutes: u64) {
        let mut gone = self.model.pass(minutes);
        let now = self.now();
        let mut ended = Vec::new();
        for event in self.ledger.handle_timeout(now) {
            if let Event::Expired { item, .. } | Event::Record(item) = event {
                ended.push(item.id());
                assert!(self.ledger.finish(item, now));
            }
        }
        gone.sort();
        ended.sort();
        assert_eq!(ended, gone);
    }

    fn suspend_item(&mut self, number: u8) {
        let Some(id) = self.nth(number) else { return };
        let kept = self.model.items.get_mut(&id).unwrap();
        let expected = match kept.place {
            Place::Ready(hop) | Place::Deferred(hop, _) | Place::Suspended(hop) => {
                kept.place = Place::Suspended(hop);
                Ok(Done::Now(()))
            }
            Place::Unreachable | Place::SuspendedUnreachable => {
                kept.place = Place::SuspendedUnreachable;
                Ok(Done::Now(()))
            }
            Place::Connection(hop, after) => {
                let after = if after == After::Nothing { After::Suspend } else { after };
                kept.place = Place::Connection(hop, after);
                Ok(Done::Pending)
            }
            Place::Poison => Err(Refusal::IsPoison),
            Place::Unrecorded(_) => Err(Refusal::IsDone),
            _ => Err(Refusal::InSubmission),
        };
        assert_eq!(self.ledger.suspend_item(id), expected);
    }

    fn resume_item(&mut self, number: u8) {
        let Some(id) = self.nth(number) else { return };
        let (now, configuration) = (self.model.now, self.model.configuration);
        let kept = self.model.items.get_mut(&id).unwrap();
        let old = kept.decided < configuration;
        let worked = match kept.place {
            Place::Suspended(_) | Place::SuspendedUnreachable if old => {
                kept.place = Place::Submission;
                true
            }
            Place::Suspended(hop) => {
                let until = kept.held.map(|(_, until)| until).filter(|until| *until > now);
                kept.place = until.map_or(Place::Ready(hop), |until| Place::Deferred(hop, until));
                true
            }
            Place::SuspendedUnreachable => {
                kept.place = Place::Unreachable;
                true
            }
            Place::Poison => {
                (kept.place, kept.crashes) = (Place::Submission, 0);
                true
            }
            Place::Connection(hop, After::Suspend) => {
                kept.place = Place::Connection(hop, After::Nothing);
                true
            }
            _ => false,
        };
        let resumed = self.ledger.resume_item(id, at(now));
        assert_eq!(resumed.is_ok(), worked, "{resumed:?}");
    }

    fn remove_item(&mut self, number: u8) {
        let Some(id) = self.nth(number) else { return };
        let kept = self.model.items.get_mut(&id).unwrap();
        let removed = self.ledger.remove_item(id, WithNdr(true));
        match kept.place {
            Place::Connection(hop, _) => {
                kept.place = Place::Connection(hop, After::Remove);
                assert_eq!(removed, Ok(Done::Pending));
            }
            Place::Submission | Place::DeferredThere { .. } | Place::Categorizer => {
                assert_eq!(removed, Err(Refusal::InSubmission));
            }
            Place::Unrecorded(_) => assert_eq!(removed, Err(Refusal::IsDone)),
            _ => {
                let Ok(Done::Now(removed)) = removed else { panic!("{removed:?}") };
                assert!(self.ledger.finish(removed, at(self.model.now)));
                self.model.items.remove(&id);
            }
        }
    }

    fn resume_queue(&mut self, number: u8) {
        let Some(queue) = self.ledger.queue_of(&hop(number).key) else { return };
        let resumed = self.ledger.resume_queue(queue, self.now());
        assert_eq!(resumed.is_ok(), self.model.suspended.contains(&number));
        if resumed.is_err() {
            return;
        }
        self.model.suspended.retain(|it| *it != number);
        for kept in self.model.items.values_mut() {
            let here = matches!(kept.place, Place::Ready(hop) | Place::Deferred(hop, _) if hop == number);
            if here && kept.decided < self.model.configuration {
                kept.place = Place::Submission;
            }
        }
    }

    /// Every item is where the model says, and nowhere else.
    fn compare(&self) {
        let views = self.ledger.items_after(None, usize::MAX);
        let ids: Vec<ItemId> = views.iter().map(|view| view.id).collect();
        assert_eq!(ids, self.model.items.keys().copied().collect::<Vec<_>>());
        for view in &views {
            let kept = &self.model.items[&view.id];
            let of = |hop_number: u8| self.ledger.queue_of(&hop(hop_number).key).expect("its queue is there");
            let (queue, status) = match kept.place {
                Place::Submission => (QueueId::SUBMISSION, ItemStatus::Ready),
                Place::DeferredThere { .. } | Place::Unrecorded(_) => (QueueId::SUBMISSION, ItemStatus::Retry),
                Place::Categorizer => (QueueId::SUBMISSION, ItemStatus::Active),
                Place::Ready(hop) => (of(hop), ItemStatus::Ready),
                Place::Deferred(hop, _) if self.model.suspended.contains(&hop) => (of(hop), ItemStatus::Ready),
                Place::Deferred(hop, _) => (of(hop), ItemStatus::Retry),
                Place::Connection(hop, After::Nothing) => (of(hop), ItemStatus::Active),
                Place::Connection(hop, After::Suspend) => (of(hop), ItemStatus::PendingSuspend),
                Place::Connection(hop, After::Remove) => (of(hop), ItemStatus::PendingRemove),
                Place::Suspended(hop) => (of(hop), ItemStatus::Suspended),
                Place::Unreachable => (QueueId::UNREACHABLE, ItemStatus::Ready),
                Place::SuspendedUnreachable => (QueueId::UNREACHABLE, ItemStatus::Suspended),
                Place::Poison => (QueueId::POISON, ItemStatus::Suspended),
            };
            assert_eq!((view.queue, view.status), (queue, status), "{kept:?} {view:?}");
            assert_eq!((view.item.delay_reported, view.item.crashes), (kept.late, kept.crashes), "{kept:?}");
        }
        let counted: usize = self.ledger.queues(self.now()).map(|queue| queue.message_count).sum();
        assert_eq!(counted, views.len(), "every item is on one shelf");
    }
}

proptest! {
    #[test]
    fn every_item_is_where_a_slow_model_says(steps in prop::collection::vec(step(), 1..150)) {
        let mut both = Both::new();
        for step in steps {
            both.apply(step);
            both.compare();
        }
    }

    #[test]
    fn no_connection_is_too_many_and_no_next_hop_is_forgotten(
        steps in prop::collection::vec((0u8..6, 0u8..6), 1..150),
    ) {
        let mut ledger = ledger(|settings| settings.max_outbound_connections = Limit::At(3));
        let (mut now, mut number) = (at(0), 0u8);
        let (mut opening, mut open): (Vec<QueueId>, Vec<(QueueId, Option<InHands>)>) = Default::default();
        for (what, which) in steps {
            let mut demands = Vec::new();
            match what {
                0 | 1 if number < 250 => {
                    number += 1;
                    ledger.submit(item(number, now), now);
                    let taken = ledger.next_submitted().unwrap();
                    let to = Destination::NextHop(hop(which));
                    let share = Share { recipients: RecipientIndexes::One(0), to };
                    demands = ledger.decide(taken, vec![share], Revision(1), now).demands;
                }
                2 => if let Some(lane) = opening.pop() {
                    if which > 1 {
                        ledger.connected(lane);
                        open.push((lane, None));
                    } else {
                        demands = ledger.connect_failed(lane, "refused".into(), now);
                    }
                },
                3 | 4 => if let Some(at) = open.len().checked_sub(1).map(|last| usize::from(which) % (last + 1)) {
                    let (lane, taken) = open.swap_remove(at);
                    let mut ends = what == 4;
                    if let Some(taken) = taken {
                        demands = ledger.answered(lane, now);
                        prop_assert!(ledger.finish(taken, now));
                    }
                    match ledger.take(lane) {
                        Work::Item(taken, _) if ends => demands.extend(ledger.put_back(taken, now).demands),
                        Work::Item(taken, _) => open.push((lane, Some(taken))),
                        Work::Idle => { ends |= true; ledger.stop_idling(lane); }
                        Work::Close => ends |= true,
                    }
                    if ends {
                        demands.extend(ledger.disconnected(lane, now));
                    }
                },
                _ => {
                    now = now.plus(Duration::from_secs(60 * u64::from(which)));
                    for event in ledger.handle_timeout(now) {
                        if let Event::Demand(lane, demand) = event {
                            demands.push((lane, demand));
                        }
                    }
                }
            }
            opening.extend(demands.into_iter().filter(|(_, demand)| *demand == Demand::Connect).map(|(lane, _)| lane));
            prop_assert!(opening.len() + open.len() <= 3, "more connections than there may be");
            for (id, lane) in &ledger.lanes {
                let has_work = lane.may_send() && !lane.queue.ready.is_empty();
                prop_assert!(!has_work || lane.connections() > 0 || lane.stands.is_some(), "{:?} is forgotten", id);
            }
        }
        prop_assert_eq!(id(number).as_bytes()[0], number);
    }
}
