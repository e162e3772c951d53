//! The ledger against its rules, one situation after the other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use envelope::{Limit, MessageId, Revision, SiteName, Span, Timestamp};
use routing::{DeliveryType, NextHopSolutionKey, Path, Route, Way};
use topology::{Guid, TransportServiceSettings};

use super::*;

const MINUTE: u64 = 60_000;
const ONE: Revision = Revision(1);

pub(crate) fn at(minutes: u64) -> Timestamp {
    Timestamp::from_millis(minutes * MINUTE)
}

pub(crate) fn route_of(kind: DeliveryType, domain: &str) -> Route {
    let path = Path { source: SiteName::parse("Here").unwrap(), legs: vec![] };
    Route {
        key: Arc::new(NextHopSolutionKey::new(kind, domain, Guid::ZERO)),
        way: Arc::new(Way { path, stops: vec![], attempts: vec![] }),
        connector: None,
    }
}

pub(crate) fn route(domain: &str) -> Route {
    route_of(DeliveryType::DnsConnectorDelivery, domain)
}

pub(crate) fn id(number: u8) -> MessageId {
    MessageId::from_bytes([number; 16])
}

pub(crate) fn item(number: u8, arrived: Timestamp) -> Item {
    Item {
        message: id(number),
        number: MessageNumber(u64::from(number)),
        recipients: RecipientIndexes::One(0),
        arrived,
        delay_reported: false,
        deferrals: 0,
        crashes: 0,
        suspended: false,
        decided: Revision::default(),
    }
}

pub(crate) fn ledger(change: impl FnOnce(&mut TransportServiceSettings)) -> Ledger {
    let mut settings = TransportServiceSettings::default();
    change(&mut settings);
    Ledger::new(Limits::from(&settings))
}

fn share(to: Destination) -> Share {
    Share { recipients: RecipientIndexes::One(0), to }
}

/// A message that was accepted at `now` and categorized at once.
fn enqueue(ledger: &mut Ledger, domain: &str, number: u8, now: Timestamp) -> (QueueId, Demands) {
    send(ledger, &route(domain), number, now)
}

fn send(ledger: &mut Ledger, route: &Route, number: u8, now: Timestamp) -> (QueueId, Demands) {
    ledger.submit(item(number, now), now);
    let taken = ledger.next_submitted().unwrap();
    let decided = ledger.decide(taken, vec![share(Destination::NextHop(route.clone()))], ONE, now);
    let queue = ledger.items_after(None, usize::MAX).pop().unwrap().queue;
    (queue, decided.demands)
}

fn park(ledger: &mut Ledger, number: u8, now: Timestamp) -> ItemId {
    let id = ledger.submit(item(number, now), now);
    let taken = ledger.next_submitted().unwrap();
    let _ = ledger.decide(taken, vec![share(Destination::Unreachable("no connector".into()))], ONE, now);
    id
}

fn take(ledger: &mut Ledger, lane: QueueId) -> Option<InHands> {
    match ledger.take(lane) {
        Work::Item(taken, _) => Some(taken),
        Work::Idle => {
            ledger.stop_idling(lane);
            None
        }
        Work::Close => None,
    }
}

fn deliver(ledger: &mut Ledger, lane: QueueId, now: Timestamp) -> bool {
    let taken = take(ledger, lane).unwrap();
    ledger.answered(lane, now);
    ledger.finish(taken, now)
}

fn queue(ledger: &Ledger, id: QueueId) -> QueueView {
    ledger.queues(at(0)).find(|view| view.id == id).unwrap()
}

fn only(ledger: &Ledger) -> ItemView {
    let mut items = ledger.items_after(None, usize::MAX);
    assert_eq!(items.len(), 1);
    items.remove(0)
}

fn connects(demands: &Demands) -> usize {
    demands.iter().filter(|(_, demand)| *demand == Demand::Connect).count()
}

#[test]
fn a_new_item_asks_for_a_connection_and_an_idle_one_is_woken_instead() {
    let mut ledger = ledger(|_| {});
    let (lane, demands) = enqueue(&mut ledger, "a.example", 1, at(0));
    assert_eq!(demands, [(lane, Demand::Connect)]);
    ledger.connected(lane);
    assert!(deliver(&mut ledger, lane, at(0)), "the message is done with its only item");
    assert!(matches!(ledger.take(lane), Work::Idle));
    assert_eq!(enqueue(&mut ledger, "a.example", 2, at(0)).1, [(lane, Demand::Wake)]);
    assert!(!ledger.stop_idling(lane), "it was woken and must look");
}

#[test]
fn a_lane_never_holds_more_connections_than_it_may() {
    // SC-91, LM-18
    let mut ledger = ledger(|s| s.max_per_domain_outbound_connections = Limit::At(2));
    let connected: usize = (0..10).map(|n| connects(&enqueue(&mut ledger, "a.example", n, at(0)).1)).sum();
    assert_eq!(connected, 2);
}

#[test]
fn a_freed_connection_goes_to_who_waited_first() {
    let mut ledger = ledger(|s| s.max_outbound_connections = Limit::At(1));
    let (first, demands) = enqueue(&mut ledger, "a.example", 1, at(0));
    assert_eq!(connects(&demands), 1);
    // Made in this order, not waiting in this order.
    let (third, _) = enqueue(&mut ledger, "c.example", 2, at(0));
    let (second, demands) = enqueue(&mut ledger, "b.example", 3, at(0));
    assert!(demands.is_empty());
    ledger.connected(first);
    deliver(&mut ledger, first, at(0));
    assert_eq!(ledger.disconnected(first, at(0)), [(third, Demand::Connect)]);
    let view = only_of(&ledger, second);
    assert_eq!(view.why, Why::AwaitsConnection);
    assert_eq!(ledger.connect_failed(third, "refused".into(), at(0)), [(second, Demand::Connect)]);
}

fn only_of(ledger: &Ledger, queue: QueueId) -> ItemView {
    let mut items = ledger.items_after(None, usize::MAX).into_iter().filter(|view| view.queue == queue);
    let found = items.next().unwrap();
    assert!(items.next().is_none());
    found
}

#[test]
fn outside_inside_and_mailboxes_take_nothing_from_each_other() {
    let mut ledger = ledger(|s| s.max_outbound_connections = Limit::At(2));
    for number in 0..9 {
        enqueue(&mut ledger, &format!("black{number}.example"), number, at(0));
    }
    let inside = route_of(DeliveryType::SmtpRelayToRemoteActiveDirectorySite, "There");
    let mailbox = route_of(DeliveryType::SmtpDeliveryToMailbox, "DB1");
    assert_eq!(connects(&send(&mut ledger, &inside, 10, at(0)).1), 1);
    assert_eq!(connects(&send(&mut ledger, &mailbox, 11, at(0)).1), 1);
}

#[test]
fn next_hops_that_do_not_answer_make_room_and_have_half_of_the_budget_when_they_are_tried_again() {
    let mut ledger = ledger(|s| s.max_outbound_connections = Limit::At(4));
    let holes: Vec<QueueId> =
        (0..9).map(|number| enqueue(&mut ledger, &format!("black{number}.example"), number, at(0)).0).collect();
    let (healthy, demands) = enqueue(&mut ledger, "healthy.example", 10, at(0));
    assert!(demands.is_empty());
    let mut opening: Vec<QueueId> = holes[..4].to_vec();
    while !opening.contains(&healthy) {
        let hole = opening.remove(0);
        assert!(ledger.makes_room(hole));
        opening.extend(ledger.connect_failed(hole, "no answer".into(), at(0)).iter().map(|(lane, _)| *lane));
    }
    ledger.connected(healthy);
    deliver(&mut ledger, healthy, at(0));
    for lane in opening.into_iter().filter(|lane| *lane != healthy) {
        ledger.connect_failed(lane, "no answer".into(), at(0));
    }
    ledger.disconnected(healthy, at(0));
    // A minute later all of them are tried again: mail for another next hop finds a place at once.
    let again = ledger.handle_timeout(at(1)).into_iter().filter(|event| matches!(event, Event::Demand(..))).count();
    assert_eq!(again, 2);
    assert_eq!(connects(&enqueue(&mut ledger, "healthy.example", 11, at(1)).1), 1);
    assert_eq!(ledger.connect_failed(holes[0], "no answer".into(), at(1)).len(), 1, "the next of them has its turn");
}

#[test]
fn a_lane_with_several_connections_gives_one_to_a_lane_without() {
    let mut ledger = ledger(|s| s.max_outbound_connections = Limit::At(3));
    let (busy, _) = enqueue(&mut ledger, "busy.example", 0, at(0));
    for number in 1..9 {
        enqueue(&mut ledger, "busy.example", number, at(0));
    }
    for _ in 0..3 {
        ledger.connected(busy);
    }
    let taken = take(&mut ledger, busy).unwrap();
    let (other, demands) = enqueue(&mut ledger, "other.example", 20, at(0));
    assert!(demands.is_empty());
    ledger.answered(busy, at(0));
    assert!(ledger.finish(taken, at(0)));
    assert!(matches!(ledger.take(busy), Work::Close));
    assert_eq!(ledger.disconnected(busy, at(0)), [(other, Demand::Connect)]);
    assert!(matches!(ledger.take(busy), Work::Item(..)), "the others stay");
}

#[test]
fn an_unreachable_next_hop_is_tried_again_by_the_ladder_and_success_ends_it() {
    // QU-33, QU-36
    let mut ledger = ledger(|_| {});
    let (lane, _) = enqueue(&mut ledger, "a.example", 1, at(0));
    ledger.connect_failed(lane, "connection refused".into(), at(0));
    let view = queue(&ledger, lane);
    assert_eq!((view.status, view.retry_count, view.next_retry), (QueueStatus::Retry, 1, Some(at(1))));
    assert_eq!(view.last_error.as_deref(), Some("connection refused"));
    let waiting = only(&ledger);
    assert_eq!((waiting.status, waiting.next_retry()), (ItemStatus::Retry, Some(at(1))));
    assert_eq!(waiting.last_error.as_deref(), Some("connection refused"));
    assert_eq!(ledger.oldest(lane), Some(waiting.id));
    assert!(enqueue(&mut ledger, "a.example", 2, at(0)).1.is_empty(), "waits with the others");
    assert_eq!(ledger.poll_timeout(), Some(at(1)));
    assert!(ledger.handle_timeout(at(1)).contains(&Event::Demand(lane, Demand::Connect)));
    ledger.connected(lane);
    deliver(&mut ledger, lane, at(1));
    assert_eq!(queue(&ledger, lane).retry_count, 0);
}

#[test]
fn a_next_hop_that_takes_connections_and_drops_them_climbs_the_ladder() {
    let mut ledger = ledger(|_| {});
    let (lane, _) = enqueue(&mut ledger, "a.example", 1, at(0));
    for minute in 0..5 {
        ledger.connected(lane);
        let taken = take(&mut ledger, lane).unwrap();
        ledger.connection_lost(lane, "reset by peer".into(), at(minute));
        let given = ledger.put_back(taken, at(minute));
        assert!(given.demands.is_empty() && given.until.is_some(), "not at once");
        ledger.handle_timeout(ledger.poll_timeout().unwrap());
    }
    assert_eq!(queue(&ledger, lane).retry_count, 5);
}

#[test]
fn a_deferred_message_waits_alone() {
    // QU-38
    let mut ledger = ledger(|_| {});
    let (lane, _) = enqueue(&mut ledger, "a.example", 1, at(0));
    ledger.connected(lane);
    let taken = take(&mut ledger, lane).unwrap();
    assert_eq!(ledger.defer(taken, "450 4.2.1 busy".into(), at(0)).until, Some(at(15)), "it says until when");
    assert_eq!(ledger.oldest(lane), None, "nobody waits for the next hop");
    assert_eq!(only(&ledger).why, Why::Deferred { until: at(15) });
    enqueue(&mut ledger, "a.example", 2, at(0));
    let second = take(&mut ledger, lane).unwrap();
    assert_eq!(second.item.message, id(2));
    assert!(take(&mut ledger, lane).is_none());
    ledger.handle_timeout(at(15));
    assert_eq!(take(&mut ledger, lane).unwrap().item.deferrals, 1);
}

#[test]
fn a_new_configuration_does_not_end_what_the_next_hop_wanted() {
    // QU-38: it is decided anew, and waits on at the same next hop; at another it does not.
    let mut ledger = ledger(|_| {});
    let (lane, _) = enqueue(&mut ledger, "a.example", 1, at(0));
    ledger.connected(lane);
    let taken = take(&mut ledger, lane).unwrap();
    let _ = ledger.defer(taken, "450 4.2.1 greylisted".into(), at(0));
    for (by, domain, why) in [
        (2, "a.example", Why::Deferred { until: at(15) }),
        (3, "b.example", Why::Connecting),
        (4, "a.example", Why::AwaitsItsTurn),
    ] {
        let limits = ledger.limits.clone();
        ledger.reconfigure(limits, Revision(by));
        while ledger.is_sweeping() {
            ledger.sweep(1, at(1));
        }
        let again = ledger.next_submitted().unwrap();
        let to = Destination::NextHop(route(domain));
        let _ = ledger.decide(again, vec![share(to)], Revision(by), at(1));
        assert_eq!(only(&ledger).why, why);
    }
}

#[test]
fn late_mail_is_reported_once_and_old_mail_is_given_up() {
    // QU-42, QU-45, DS-20
    let mut ledger = ledger(|_| {});
    let (lane, _) = enqueue(&mut ledger, "a.example", 1, at(0));
    ledger.connect_failed(lane, "timeout".into(), at(0));
    let (mut delayed, mut expired) = (0, Vec::new());
    while let Some(next) = ledger.poll_timeout().filter(|next| *next <= at(3 * 24 * 60)) {
        for event in ledger.handle_timeout(next) {
            match event {
                Event::Delayed { .. } => {
                    delayed += 1;
                    assert_eq!(next, at(4 * 60));
                }
                Event::Expired { item, last_error } => {
                    expired.push((next, last_error));
                    assert!(ledger.finish(item, next));
                }
                Event::Demand(QueueId::SUBMISSION, _) => {
                    let again = ledger.next_submitted().unwrap();
                    let to = Destination::NextHop(route("a.example"));
                    for (lane, _) in ledger.decide(again, vec![share(to)], ONE, next).demands {
                        ledger.connect_failed(lane, "timeout".into(), next);
                    }
                }
                Event::Demand(lane, _) => drop(ledger.connect_failed(lane, "timeout".into(), next)),
                Event::Record(_) => unreachable!("nothing is unrecorded"),
            }
        }
    }
    assert_eq!(delayed, 1);
    assert_eq!(expired, [(at(2 * 24 * 60), Some("timeout".into()))]);
    let left: Vec<QueueId> = ledger.queues(at(0)).map(|view| view.id).collect();
    assert_eq!(left, [QueueId::SUBMISSION], "QU-02: an empty queue is forgotten");
}

#[test]
fn what_waits_for_the_categorizer_grows_old_as_well() {
    // QU-12, QU-42: also what was rerouted or deferred there.
    let mut ledger = ledger(|_| {});
    ledger.submit(item(1, at(0)), at(0));
    let taken = ledger.next_submitted().unwrap();
    let _ = ledger.defer_submitted(taken, at(3 * 24 * 60), "the directory does not answer".into(), at(0));
    assert_eq!(ledger.poll_timeout(), Some(at(4 * 60)));
    assert!(matches!(ledger.handle_timeout(at(4 * 60)).as_slice(), [Event::Delayed { .. }]));
    let mut events = ledger.handle_timeout(at(2 * 24 * 60));
    let Some(Event::Expired { item, last_error }) = events.pop() else { panic!("{events:?}") };
    assert_eq!(last_error.as_deref(), Some("the directory does not answer"));
    // It cannot be given up now: not again before that time, and not forgotten.
    let _ = ledger.give_up_later(item, at(2 * 24 * 60 + 5), "no space".into(), at(2 * 24 * 60));
    assert_eq!(ledger.poll_timeout(), Some(at(2 * 24 * 60 + 5)));
    assert!(ledger.handle_timeout(at(2 * 24 * 60 + 5)).iter().any(|event| matches!(event, Event::Expired { .. })));
}

#[test]
fn unreachable_mail_waits_for_the_configuration_and_expires_like_any_other() {
    // QU-10, QU-11, QU-12
    let mut ledger = ledger(|_| {});
    park(&mut ledger, 1, at(0));
    assert_eq!(only(&ledger).why, Why::NoRoute);
    assert_eq!(ledger.poll_timeout(), Some(at(4 * 60)));
    assert!(matches!(ledger.handle_timeout(at(4 * 60)).as_slice(), [Event::Delayed { .. }]));
    assert_eq!(ledger.poll_timeout(), Some(at(2 * 24 * 60)));
    let limits = ledger.limits.clone();
    ledger.reconfigure(limits, Revision(2));
    assert_eq!(ledger.sweep(9, at(5)), [(QueueId::SUBMISSION, Demand::Wake)]);
    assert_eq!((only(&ledger).queue, ledger.submission_length()), (QueueId::SUBMISSION, 0));
    assert!(ledger.next_submitted().is_some());
}

#[test]
fn a_lane_that_delivers_nothing_for_long_is_decided_anew() {
    // QU-40
    let mut ledger = ledger(|s| s.max_idle_time_before_resubmit = Span::minutes(30));
    let (lane, _) = enqueue(&mut ledger, "a.example", 1, at(0));
    ledger.connect_failed(lane, "timeout".into(), at(0));
    let mut resubmitted = None;
    while let Some(next) = ledger.poll_timeout().filter(|next| *next <= at(60) && resubmitted.is_none()) {
        for event in ledger.handle_timeout(next) {
            match event {
                Event::Demand(QueueId::SUBMISSION, Demand::Wake) => resubmitted = Some(next),
                Event::Demand(lane, Demand::Connect) => drop(ledger.connect_failed(lane, "timeout".into(), next)),
                _ => {}
            }
        }
    }
    assert_eq!(resubmitted, Some(at(30)));
    assert!(ledger.next_submitted().is_some());
}

#[test]
fn a_next_hop_that_came_is_tried_without_what_may_have_driven_it_away() {
    // EN-61
    let mut ledger = ledger(|_| {});
    let (lane, _) = enqueue(&mut ledger, "agent.example", 1, at(0));
    ledger.connected(lane);
    let taken = take(&mut ledger, lane).unwrap();
    let _ = ledger.defer(taken, "went away".into(), at(0));
    ledger.disconnected(lane, at(0));
    enqueue(&mut ledger, "agent.example", 2, at(0));
    ledger.connect_failed(lane, "nobody is there".into(), at(0));
    assert_eq!(ledger.next_hop_came(|_| true), [(lane, Demand::Connect)]);
    ledger.connected(lane);
    assert_eq!(take(&mut ledger, lane).map(|taken| taken.item.message), Some(id(2)));
    assert!(take(&mut ledger, lane).is_none(), "the first waits for a time of its own");
    assert!(ledger.next_hop_came(|_| true).is_empty(), "nothing waits for it");
}

#[test]
fn a_next_hop_that_is_back_is_tried_at_once() {
    // QU-39
    let mut ledger = ledger(|_| {});
    let (away, _) = enqueue(&mut ledger, "away.example", 1, at(0));
    ledger.connect_failed(away, "refused".into(), at(0));
    let (busy, _) = enqueue(&mut ledger, "busy.example", 2, at(0));
    ledger.connected(busy);
    let taken = take(&mut ledger, busy).unwrap();
    let _ = ledger.defer(taken, "going away".into(), at(0));
    ledger.disconnected(busy, at(0));
    let (other, _) = enqueue(&mut ledger, "other.example", 3, at(0));
    ledger.connect_failed(other, "refused".into(), at(0));

    let is_it = |route: &Route| &*route.key.domain != "other.example";
    assert_eq!(ledger.retry_now(is_it), [(away, Demand::Connect), (busy, Demand::Connect)]);
    assert_eq!(take(&mut ledger, busy).map(|taken| taken.item.message), Some(id(2)));
    assert!(ledger.retry_at(away).is_none() && ledger.retry_at(other).is_some());
    assert!(ledger.retry_now(is_it).is_empty(), "nothing waits for it");
    // It fails again: the ladder goes on where it was.
    ledger.connect_failed(away, "refused".into(), at(1));
    assert!(ledger.retry_at(away).is_some());
}

#[test]
fn a_backlog_gets_more_connections_as_its_next_hop_answers() {
    let mut ledger = ledger(|_| {});
    let (lane, _) = enqueue(&mut ledger, "a.example", 1, at(0));
    for number in 2..40 {
        enqueue(&mut ledger, "a.example", number, at(0));
    }
    for minute in 0..9 {
        ledger.connect_failed(lane, "refused".into(), at(minute));
    }
    // One connection after the outage; what it delivers opens the next.
    let mut opening = connects(&ledger.retry_queue(lane).unwrap());
    assert_eq!(opening, 1);
    for _ in 0..10 {
        for _ in 0..std::mem::take(&mut opening) {
            ledger.connected(lane);
        }
        let taken = take(&mut ledger, lane).unwrap();
        opening += connects(&ledger.answered(lane, at(10)));
        assert!(ledger.finish(taken, at(10)));
    }
    assert!(queue(&ledger, lane).connections >= 10);
}

#[test]
fn a_suspended_queue_keeps_what_it_has_and_takes_more() {
    // QU-27
    let mut ledger = ledger(|_| {});
    let (lane, _) = enqueue(&mut ledger, "a.example", 1, at(0));
    enqueue(&mut ledger, "a.example", 2, at(0));
    ledger.connected(lane);
    let in_flight = take(&mut ledger, lane).unwrap();
    ledger.suspend_queue(lane).unwrap();
    assert_eq!(queue(&ledger, lane).status, QueueStatus::Suspended);
    assert!(ledger.finish(in_flight, at(0)), "what is in flight ends");
    assert!(take(&mut ledger, lane).is_none());
    assert!(enqueue(&mut ledger, "a.example", 3, at(0)).1.is_empty());
    let view = ledger.items_after(None, 9).remove(0);
    assert_eq!((view.status, view.why), (ItemStatus::Ready, Why::QueueSuspended), "statuses of messages stay");
    // A new configuration takes nothing out of it, and what it holds is decided anew when it is resumed.
    let limits = ledger.limits.clone();
    ledger.reconfigure(limits, Revision(2));
    assert!(ledger.sweep(9, at(1)).is_empty());
    assert_eq!(ledger.resume_queue(lane, at(1)).unwrap(), [(QueueId::SUBMISSION, Demand::Wake)]);
    assert_eq!(ledger.resume_queue(lane, at(1)), Err(Refusal::NotSuspended));
    assert_eq!(std::iter::from_fn(|| ledger.next_submitted()).count(), 2);
}

#[test]
fn a_suspended_next_hop_is_so_before_its_queue_exists_and_after_it_was_empty() {
    let mut ledger = ledger(|_| {});
    ledger.suspend_next_hop((*route("a.example").key).clone());
    let (lane, demands) = enqueue(&mut ledger, "a.example", 1, at(0));
    assert!(demands.is_empty());
    let one = only(&ledger).id;
    let Ok(Done::Now(removed)) = ledger.remove_item(one, WithNdr(true)) else { panic!("it waits") };
    assert!(ledger.finish(removed, at(0)));
    ledger.handle_timeout(at(60));
    assert_eq!(queue(&ledger, lane).status, QueueStatus::Suspended);
    assert_eq!(ledger.suspended_next_hops().count(), 1);
    assert_eq!(ledger.resume_queue(lane, at(60)), Ok(vec![]));
    ledger.handle_timeout(at(120));
    assert_eq!((ledger.queue_of(&route("a.example").key), ledger.suspended_next_hops().count()), (None, 0));
}

#[test]
fn a_suspended_submission_queue_stops_the_categorizer_and_unreachable_stays() {
    // QU-28
    let mut ledger = ledger(|_| {});
    park(&mut ledger, 1, at(0));
    ledger.suspend_queue(QueueId::UNREACHABLE).unwrap();
    ledger.suspend_queue(QueueId::SUBMISSION).unwrap();
    ledger.submit(item(2, at(0)), at(0));
    let limits = ledger.limits.clone();
    ledger.reconfigure(limits, Revision(2));
    assert!(ledger.sweep(9, at(1)).is_empty());
    assert!(ledger.next_submitted().is_none());
    assert_eq!(ledger.resume_queue(QueueId::SUBMISSION, at(1)), Ok(vec![(QueueId::SUBMISSION, Demand::Wake)]));
    assert_eq!(ledger.next_submitted().map(|taken| taken.item.message), Some(id(2)));
    assert_eq!(ledger.resume_queue(QueueId::UNREACHABLE, at(1)), Ok(vec![(QueueId::SUBMISSION, Demand::Wake)]));
    assert_eq!(ledger.next_submitted().map(|taken| taken.item.message), Some(id(1)));
    assert_eq!(ledger.suspend_queue(QueueId::POISON), Err(Refusal::IsPoison));
    assert_eq!(ledger.suspend_queue(QueueId::new(77)), Err(Refusal::NoSuchQueue));
}

#[test]
fn a_message_in_a_connection_is_suspended_or_removed_when_it_comes_back() {
    // QU-29, QU-30
    let mut ledger = ledger(|_| {});
    let (lane, _) = enqueue(&mut ledger, "a.example", 1, at(0));
    let one = only(&ledger).id;
    ledger.connected(lane);
    let taken = take(&mut ledger, lane).unwrap();
    assert_eq!(ledger.suspend_item(one), Ok(Done::Pending));
    assert_eq!(only(&ledger).status, ItemStatus::PendingSuspend);
    let _ = ledger.put_back(taken, at(0));
    assert_eq!((only(&ledger).status, ledger.oldest(lane)), (ItemStatus::Suspended, None));
    ledger.resume_item(one, at(0)).unwrap();
    assert_eq!(ledger.resume_item(one, at(0)), Err(Refusal::NotSuspended));
    let taken = take(&mut ledger, lane).unwrap();
    assert_eq!(ledger.remove_item(one, WithNdr(false)), Ok(Done::Pending));
    assert_eq!(only(&ledger).status, ItemStatus::PendingRemove);
    let given = ledger.defer(taken, "450 later".into(), at(0));
    let (removed, ndr) = given.removed.expect("it came back");
    assert_eq!(ndr, WithNdr(false));
    assert!(ledger.finish(removed, at(0)));
    assert_eq!(ledger.remove_item(one, WithNdr(true)), Err(Refusal::NoSuchMessage));
}

#[test]
fn what_fails_the_program_twice_is_poison_and_stays_until_somebody_decides() {
    // QU-13, QU-14
    let mut ledger = ledger(|_| {});
    let one = ledger.submit(item(1, at(0)), at(0));
    let taken = ledger.next_submitted().unwrap();
    let (given, poison) = ledger.crashed(taken, "the categorizer failed".into(), at(0));
    assert_eq!((given.until, poison), (Some(at(15)), false));
    ledger.handle_timeout(at(15));
    let taken = ledger.next_submitted().unwrap();
    assert!(ledger.crashed(taken, "the categorizer failed".into(), at(15)).1);
    let view = only(&ledger);
    assert_eq!(
        (view.queue, view.status, view.why),
        (QueueId::POISON, ItemStatus::Suspended, Why::Poison { crashes: 2 })
    );
    assert!(ledger.handle_timeout(at(9 * 24 * 60)).is_empty(), "it does not expire");
    assert_eq!(ledger.suspend_item(one), Err(Refusal::IsPoison));
    assert_eq!(ledger.resubmit_queue(QueueId::POISON, at(0)), Err(Refusal::IsPoison));
    assert_eq!(ledger.resume_item(one, at(20)), Ok(vec![(QueueId::SUBMISSION, Demand::Wake)]));
    assert_eq!(ledger.next_submitted().map(|taken| taken.item.crashes), Some(0));
    // After a restart it is what it was.
    let poison = ledger.recover([Item { crashes: 2, ..item(2, at(0)) }], at(20)).unwrap();
    assert_eq!(ledger.item(poison).unwrap().queue, QueueId::POISON);
    let Ok(Done::Now(removed)) = ledger.remove_item(poison, WithNdr(true)) else { panic!("it can be removed") };
    assert!(ledger.finish(removed, at(20)));
}

#[test]
fn how_many_failures_are_poison_is_configured() {
    // QU-13
    let failures_until_poison = |change: fn(&mut TransportServiceSettings)| {
        let mut ledger = ledger(change);
        ledger.submit(item(1, at(0)), at(0));
        (1..=12u8).find(|number| {
            let now = at(u64::from(*number) * 20);
            ledger.handle_timeout(now);
            let taken = ledger.next_submitted().unwrap();
            ledger.crashed(taken, "failed".into(), now).1
        })
    };
    assert_eq!(failures_until_poison(|_| {}), Some(2));
    assert_eq!(failures_until_poison(|settings| settings.poison_threshold = 1), Some(1));
    assert_eq!(failures_until_poison(|settings| settings.poison_threshold = 10), Some(10));
    assert_eq!(failures_until_poison(|settings| settings.poison_message_detection_enabled = false), None);
    // What is found at a start as well.
    let stage = |change: fn(&mut TransportServiceSettings), crashes| {
        let mut ledger = ledger(change);
        let found = ledger.recover([Item { crashes, ..item(1, at(0)) }], at(0)).unwrap();
        ledger.item(found).unwrap().queue
    };
    assert_eq!(stage(|settings| settings.poison_threshold = 3, 2), QueueId::SUBMISSION);
    assert_eq!(stage(|settings| settings.poison_threshold = 3, 3), QueueId::POISON);
    assert_eq!(stage(|settings| settings.poison_message_detection_enabled = false, 200), QueueId::SUBMISSION);
}

#[test]
fn resubmission_is_for_queues_in_retry_and_leaves_what_is_suspended() {
    // QU-39, QU-41
    let mut ledger = ledger(|_| {});
    let (lane, _) = enqueue(&mut ledger, "a.example", 1, at(0));
    enqueue(&mut ledger, "a.example", 2, at(0));
    assert_eq!(ledger.resubmit_queue(lane, at(0)), Err(Refusal::NotInRetry));
    assert_eq!(ledger.retry_queue(lane), Err(Refusal::NotInRetry));
    ledger.connect_failed(lane, "refused".into(), at(0));
    let first = ledger.items_after(None, 1).remove(0);
    assert_eq!(ledger.suspend_item(first.id), Ok(Done::Now(())));
    assert_eq!(ledger.resubmit_queue(lane, at(0)).map(|(count, _)| count), Ok(1));
    assert_eq!(ledger.next_submitted().map(|taken| taken.item.message), Some(id(2)));
    assert_eq!(ledger.item(first.id).unwrap().status, ItemStatus::Suspended);
    assert_eq!(ledger.suspend_item(ledger.items_after(None, 9)[1].id), Err(Refusal::InSubmission));
}

#[test]
fn what_was_suspended_before_a_restart_is_so_in_the_queue_that_it_comes_to() {
    let mut ledger = ledger(|_| {});
    let recipients = |at: u32| RecipientIndexes::One(at);
    let open = Item { recipients: recipients(0), ..item(1, at(0)) };
    let held = Item { recipients: recipients(1), suspended: true, ..item(1, at(0)) };
    ledger.recover([open, held], at(0));
    let mut lanes = Vec::new();
    for _ in 0..2 {
        let taken = ledger.next_submitted().unwrap();
        let to = Destination::NextHop(route("a.example"));
        let share = Share { recipients: taken.item.recipients.clone(), to };
        lanes.extend(ledger.decide(taken, vec![share], ONE, at(0)).demands);
    }
    let [(lane, Demand::Connect)] = lanes[..] else { panic!("{lanes:?}") };
    assert_eq!(ledger.further_items(), 1);
    assert!(!deliver(&mut ledger, lane, at(0)), "the other item is left");
    let left = only(&ledger);
    assert_eq!((left.status, left.queue), (ItemStatus::Suspended, lane));
    ledger.resume_item(left.id, at(0)).unwrap();
    assert!(deliver(&mut ledger, lane, at(0)));
}

#[test]
fn redirected_mail_goes_to_one_server_until_that_ends() {
    // QU-60, QU-61
    let mut ledger = ledger(|_| {});
    let (away, _) = enqueue(&mut ledger, "away.example", 1, at(0));
    ledger.connect_failed(away, "refused".into(), at(0));
    enqueue(&mut ledger, "away.example", 2, at(0));
    let second = ledger.items_after(None, 9).remove(1).id;
    ledger.suspend_item(second).unwrap();
    park(&mut ledger, 3, at(0));
    let there = route_of(DeliveryType::SmtpRelayToServers, "two.contoso.com");
    assert!(ledger.redirect(Some(there.clone())).is_empty());
    let mut demands = Vec::new();
    while ledger.is_sweeping() {
        demands.extend(ledger.sweep(1, at(0)));
    }
    let target = ledger.queue_of(&there.key).unwrap();
    assert_eq!(demands, [(target, Demand::Connect)]);
    assert_eq!(enqueue(&mut ledger, "b.example", 4, at(0)).0, target);
    let queues: Vec<QueueId> = ledger.items_after(None, 9).into_iter().map(|view| view.queue).collect();
    assert_eq!(queues, [target, away, QueueId::UNREACHABLE, target]);
    assert_eq!(ledger.redirect(None), [(QueueId::SUBMISSION, Demand::Wake)]);
    assert_eq!(std::iter::from_fn(|| ledger.next_submitted()).count(), 2, "what has not gone is routed again");
}

#[test]
fn a_message_that_was_divided_is_done_with_its_last_item() {
    // QU-03, QU-24
    let mut ledger = ledger(|_| {});
    ledger.submit(Item { recipients: RecipientIndexes::new(&[0, 1, 2]).unwrap(), ..item(1, at(0)) }, at(0));
    let taken = ledger.next_submitted().unwrap();
    let number = taken.number();
    let shares = [("a.example", 0), ("b.example", 1), ("c.example", 2)]
        .map(|(domain, at)| Share { recipients: RecipientIndexes::One(at), to: Destination::NextHop(route(domain)) });
    let decided = ledger.decide(taken, shares.into(), ONE, at(0));
    assert_eq!((decided.items, decided.demands.len(), ledger.further_items()), (3, 3, 2));
    assert!(ledger.items_after(None, 9).iter().all(|view| view.number == number));
    let lanes: Vec<QueueId> = decided.demands.iter().map(|(lane, _)| *lane).collect();
    assert!(ledger.items_in(lanes[1], number).len() == 1 && ledger.items_in(QueueId::SUBMISSION, number).is_empty());
    let mut ended = Vec::new();
    for lane in lanes {
        let taken = take(&mut ledger, lane).unwrap();
        ended.push((ledger.is_divided(&taken), ledger.finish(taken, at(0))));
    }
    assert_eq!(ended, [(true, false), (true, false), (false, true)]);
    assert_eq!((ledger.further_items(), ledger.items_of_message(number).len()), (0, 0));
}

#[test]
fn rerouted_mail_waits_for_a_newer_configuration_or_a_while() {
    // PL-13, QU-64
    let mut ledger = ledger(|_| {});
    let (lane, _) = enqueue(&mut ledger, "DB1", 1, at(0));
    let taken = take(&mut ledger, lane).unwrap();
    let given = ledger.reroute(taken, ONE, "Rerouted By Store Driver".into(), at(0));
    assert_eq!(given.until, Some(at(5)));
    assert_eq!((only(&ledger).queue, only(&ledger).why), (QueueId::SUBMISSION, Why::Deferred { until: at(5) }));
    let limits = ledger.limits.clone();
    ledger.reconfigure(limits, Revision(2));
    assert_eq!(ledger.sweep(9, at(1)), [(QueueId::SUBMISSION, Demand::Wake)]);
    let again = ledger.next_submitted().unwrap();
    let _ = ledger.decide(again, vec![share(Destination::NextHop(route("DB1")))], Revision(2), at(1));
    // The configuration that it waits for is here already.
    let taken = take(&mut ledger, lane).unwrap();
    let given = ledger.reroute(taken, ONE, "Rerouted By Store Driver".into(), at(1));
    assert_eq!((given.until, given.demands), (None, vec![(QueueId::SUBMISSION, Demand::Wake)]));
}

#[test]
fn an_outcome_that_cannot_be_written_down_is_tried_again_and_nothing_else_happens_to_it() {
    let mut ledger = ledger(|_| {});
    let (lane, _) = enqueue(&mut ledger, "a.example", 1, at(0));
    let taken = take(&mut ledger, lane).unwrap();
    ledger.unrecorded(taken, at(1), "no space".into(), at(0));
    let view = only(&ledger);
    assert_eq!((view.queue, view.why), (QueueId::SUBMISSION, Why::Unrecorded { until: at(1) }));
    assert_eq!(ledger.remove_item(view.id, WithNdr(true)), Err(Refusal::IsDone));
    assert_eq!(ledger.poll_timeout(), Some(at(1)));
    let mut events = ledger.handle_timeout(at(9 * 24 * 60));
    events.retain(|event| !matches!(event, Event::Demand(..)));
    let Some(Event::Record(taken)) = events.pop() else { panic!("{events:?}") };
    assert!(events.is_empty(), "it does not expire: {events:?}");
    assert!(ledger.finish(taken, at(2)));
}

#[test]
fn what_comes_in_does_not_wait_for_all_that_is_decided_anew() {
    let mut ledger = ledger(|_| {});
    for number in 0..5 {
        ledger.recover([item(number, at(0))], at(0));
    }
    for number in [10, 11] {
        ledger.submit(item(number, at(1)), at(1));
    }
    let order: Vec<u8> =
        std::iter::from_fn(|| ledger.next_submitted()).map(|taken| taken.item.message.as_bytes()[0]).collect();
    assert_eq!(order, [0, 10, 1, 11, 2, 3, 4]);
}

#[test]
fn everything_is_listed_once_in_pieces_of_any_size() {
    let mut ledger = ledger(|_| {});
    for number in 0..30u8 {
        let domain = ["a.example", "b.example", "c.example"][usize::from(number) % 3];
        let (lane, _) = enqueue(&mut ledger, domain, number, at(u64::from(number) / 4));
        if number % 7 == 0 {
            ledger.connected(lane);
            let taken = take(&mut ledger, lane).unwrap();
            let _ = ledger.defer(taken, "busy".into(), at(9));
        }
    }
    park(&mut ledger, 30, at(2));
    park(&mut ledger, 31, at(1));
    let whole = ledger.items_after(None, usize::MAX);
    let ids: BTreeSet<_> = whole.iter().map(|view| view.item.message).collect();
    assert_eq!((whole.len(), ids.len()), (32, 32));
    assert!(whole.iter().all(|view| (view.status == ItemStatus::Retry) == (view.item.deferrals > 0)));
    for size in 1..9 {
        let (mut pieces, mut after) = (Vec::new(), None);
        loop {
            let piece = ledger.items_after(after, size);
            let Some(last) = piece.last() else { break };
            after = Some(last.id);
            assert!(piece.len() <= size);
            pieces.extend(piece);
        }
        assert_eq!(pieces, whole, "in pieces of {size}");
    }
}

#[test]
fn ages_follow_a_new_configuration() {
    let mut ledger = ledger(|_| {});
    park(&mut ledger, 1, at(0));
    let limits = Limits { expiration: Duration::from_secs(60), ..ledger.limits.clone() };
    ledger.reconfigure(limits, ONE);
    assert_eq!(ledger.poll_timeout(), Some(at(1)));
}
