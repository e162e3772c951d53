//! The delivery queues against their rules, and under random orders of events: no item is ever lost or doubled.

use std::collections::BTreeSet;
use std::sync::Arc;

use envelope::{Limit, MessageId, Revision, SiteName, Span, Timestamp};
use proptest::prelude::*;
use routing::{DeliveryType, NextHopSolutionKey, Path, Route, Way};
use topology::{Guid, TransportServiceSettings};

use super::*;

const MINUTE: u64 = 60_000;

fn at(minutes: u64) -> Timestamp {
    Timestamp::from_millis(minutes * MINUTE)
}

fn route(domain: &str) -> Route {
    let path = Path { source: SiteName::parse("Here").unwrap(), legs: vec![] };
    Route {
        key: Arc::new(NextHopSolutionKey::new(DeliveryType::DnsConnectorDelivery, domain, Guid::ZERO)),
        way: Arc::new(Way { path, stops: vec![], attempts: vec![] }),
        connector: None,
    }
}

fn item(number: u8, arrived: Timestamp) -> Item {
    let message = MessageId::from_bytes([number; 16]);
    Item {
        message,
        recipients: RecipientIndexes::One(0),
        arrived,
        delay_reported: false,
        deferrals: 0,
        decided: Revision(1),
    }
}

fn queues(change: impl FnOnce(&mut TransportServiceSettings)) -> Queues {
    let mut settings = TransportServiceSettings::default();
    change(&mut settings);
    Queues::new(Limits::from(&settings))
}

#[test]
fn a_new_item_asks_for_a_connection_and_an_idle_one_is_woken_instead() {
    let mut queues = queues(|_| {});
    let (lane, demand) = queues.enqueue(&route("a.example"), item(1, at(0)), at(0));
    assert_eq!(demand, Demand::Connect);
    queues.connected(lane);
    assert_eq!(queues.take(lane).map(|i| i.message), Some(MessageId::from_bytes([1; 16])));
    queues.done(lane, at(0));
    assert_eq!(queues.take(lane), None);
    queues.idle(lane);
    assert_eq!(queues.enqueue(&route("a.example"), item(2, at(0)), at(0)), (lane, Demand::Wake));
    assert!(!queues.stop_idling(lane), "it was woken and must look");
}

#[test]
fn a_lane_never_holds_more_connections_than_it_may() {
    // SC-91, LM-18
    let mut queues = queues(|s| s.max_per_domain_outbound_connections = Limit::At(2));
    let demands: Vec<_> = (0..10).map(|n| queues.enqueue(&route("a.example"), item(n, at(0)), at(0)).1).collect();
    assert_eq!(demands.iter().filter(|d| **d == Demand::Connect).count(), 2);
}

#[test]
fn the_total_is_shared_and_a_freed_connection_goes_to_who_waits() {
    let mut queues = queues(|s| s.max_outbound_connections = Limit::At(1));
    let (first, demand) = queues.enqueue(&route("a.example"), item(1, at(0)), at(0));
    assert_eq!(demand, Demand::Connect);
    let (second, demand) = queues.enqueue(&route("b.example"), item(2, at(0)), at(0));
    assert_eq!(demand, Demand::Nothing);
    queues.connected(first);
    queues.take(first).unwrap();
    queues.done(first, at(0));
    assert_eq!(queues.disconnected(first, at(0)), [(second, Demand::Connect)]);
}

#[test]
fn an_unreachable_next_hop_is_tried_again_by_the_ladder_and_success_ends_it() {
    // QU-33, QU-36
    let mut queues = queues(|_| {});
    let (lane, _) = queues.enqueue(&route("a.example"), item(1, at(0)), at(0));
    queues.connect_failed(lane, "connection refused".into(), at(0));
    let view = queues.views(at(0)).next().unwrap();
    assert_eq!((view.status, view.retry_count, view.next_retry), (LaneStatus::Retry, 1, Some(at(1))));
    assert_eq!(view.last_error.as_deref(), Some("connection refused"));
    let first = queues.oldest(lane).map(|item| item.message);
    assert_eq!((queues.retry_at(lane), first), (Some(at(1)), Some(MessageId::from_bytes([1; 16]))));
    assert_eq!(queues.enqueue(&route("a.example"), item(2, at(0)), at(0)).1, Demand::Nothing, "waits with the others");
    assert_eq!(queues.poll_timeout(), Some(at(1)));
    assert!(queues.handle_timeout(at(1)).contains(&Event::Demand(lane, Demand::Connect)));
    queues.connected(lane);
    queues.take(lane).unwrap();
    queues.done(lane, at(1));
    assert_eq!(queues.views(at(0)).next().unwrap().retry_count, 0);
}

#[test]
fn a_next_hop_that_takes_connections_and_drops_them_climbs_the_ladder() {
    let mut queues = queues(|_| {});
    let (lane, _) = queues.enqueue(&route("a.example"), item(1, at(0)), at(0));
    for minute in 0..5 {
        queues.connected(lane);
        let taken = queues.take(lane).unwrap();
        queues.connection_lost(lane, "reset by peer".into(), at(minute));
        assert_eq!(queues.put_back(lane, taken), Demand::Nothing, "not at once");
        queues.handle_timeout(queues.poll_timeout().unwrap());
    }
    assert_eq!(queues.views(at(0)).next().unwrap().retry_count, 5);
}

#[test]
fn a_deferred_message_waits_alone() {
    // QU-38
    let mut queues = queues(|_| {});
    let (lane, _) = queues.enqueue(&route("a.example"), item(1, at(0)), at(0));
    queues.connected(lane);
    let taken = queues.take(lane).unwrap();
    assert_eq!(queues.defer(lane, taken, "450 4.2.1 busy".into(), at(0)), Some(at(15)), "it says until when");
    assert_eq!(queues.oldest(lane), None, "nobody waits for the next hop");
    queues.enqueue(&route("a.example"), item(2, at(0)), at(0));
    assert_eq!(queues.take(lane).unwrap().message, MessageId::from_bytes([2; 16]));
    assert_eq!(queues.take(lane), None);
    queues.handle_timeout(at(15));
    assert_eq!(queues.take(lane).unwrap().deferrals, 1);
}

#[test]
fn late_mail_is_reported_once_and_old_mail_is_given_up() {
    // QU-42, QU-45, DS-20
    let mut queues = queues(|_| {});
    let (lane, _) = queues.enqueue(&route("a.example"), item(1, at(0)), at(0));
    queues.connect_failed(lane, "timeout".into(), at(0));
    let (mut delayed, mut expired) = (0, Vec::new());
    while let Some(next) = queues.poll_timeout().filter(|next| *next <= at(3 * 24 * 60)) {
        for event in queues.handle_timeout(next) {
            match event {
                Event::Delayed { .. } => {
                    delayed += 1;
                    assert_eq!(next, at(4 * 60));
                }
                Event::Expired { last_error, .. } => expired.push((next, last_error)),
                Event::Demand(lane, Demand::Connect) => drop(queues.connect_failed(lane, "timeout".into(), next)),
                Event::Demand(..) => {}
                Event::Resubmit(items) => {
                    for item in items {
                        if let (lane, Demand::Connect) = queues.enqueue(&route("a.example"), item, next) {
                            queues.connect_failed(lane, "timeout".into(), next);
                        }
                    }
                }
            }
        }
    }
    assert_eq!(delayed, 1);
    assert_eq!(expired, [(at(2 * 24 * 60), Some("timeout".into()))]);
    assert_eq!(queues.views(at(0)).count(), 0, "QU-02: an empty queue is forgotten");
}

#[test]
fn unreachable_mail_waits_for_the_configuration_and_expires_like_any_other() {
    // QU-10, QU-11, QU-12
    let mut queues = queues(|_| {});
    queues.park(item(1, at(0)), "A matching connector cannot be found".into());
    assert_eq!(queues.poll_timeout(), Some(at(4 * 60)));
    assert!(matches!(queues.handle_timeout(at(4 * 60)).as_slice(), [Event::Delayed { .. }]));
    assert_eq!(queues.poll_timeout(), Some(at(2 * 24 * 60)));
    assert_eq!(queues.resubmit_unreachable().len(), 1);
    assert_eq!((queues.unreachable_count(), queues.poll_timeout()), (0, None));
}

#[test]
fn a_lane_that_delivers_nothing_for_long_is_decided_anew() {
    // QU-40
    let mut queues = queues(|s| s.max_idle_time_before_resubmit = Span::minutes(30));
    let (lane, _) = queues.enqueue(&route("a.example"), item(1, at(0)), at(0));
    queues.connect_failed(lane, "timeout".into(), at(0));
    let mut resubmitted = None;
    while let Some(next) = queues.poll_timeout().filter(|next| *next <= at(60) && resubmitted.is_none()) {
        for event in queues.handle_timeout(next) {
            match event {
                Event::Resubmit(items) => resubmitted = Some((next, items.len())),
                Event::Demand(lane, Demand::Connect) => drop(queues.connect_failed(lane, "timeout".into(), next)),
                _ => {}
            }
        }
    }
    assert_eq!(resubmitted, Some((at(30), 1)));
}

#[test]
fn a_next_hop_that_is_back_is_tried_at_once() {
    // QU-39
    let mut queues = queues(|_| {});
    let (away, _) = queues.enqueue(&route("away.example"), item(1, at(0)), at(0));
    queues.connect_failed(away, "refused".into(), at(0));
    let (busy, _) = queues.enqueue(&route("busy.example"), item(2, at(0)), at(0));
    queues.connected(busy);
    let taken = queues.take(busy).unwrap();
    queues.defer(busy, taken, "going away".into(), at(0));
    queues.disconnected(busy, at(0));
    let (other, _) = queues.enqueue(&route("other.example"), item(3, at(0)), at(0));
    queues.connect_failed(other, "refused".into(), at(0));

    let demands = queues.retry_now(|route| &*route.key.domain != "other.example");
    assert_eq!(demands, [(away, Demand::Connect), (busy, Demand::Connect)]);
    assert_eq!(queues.take(busy).map(|item| item.message), Some(MessageId::from_bytes([2; 16])));
    assert!(queues.retry_at(away).is_none() && queues.retry_at(other).is_some());
    assert!(queues.retry_now(|route| &*route.key.domain != "other.example").is_empty(), "nothing waits for it");
    // It fails again: the ladder goes on where it was.
    queues.connect_failed(away, "refused".into(), at(1));
    assert!(queues.retry_at(away).is_some());
}

/// One step of a random life.
#[derive(Clone, Debug)]
enum Step {
    Enqueue(u8),
    Connect(bool),
    Finish(u8),
    Pass(u64),
    Resubmit,
    Back(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..4).prop_map(Step::Enqueue),
        any::<bool>().prop_map(Step::Connect),
        (0u8..4).prop_map(Step::Finish),
        (0u64..40).prop_map(Step::Pass),
        Just(Step::Resubmit),
        (0u8..4).prop_map(Step::Back),
    ]
}

/// Lanes that want a connection.
fn connections(demands: Vec<(LaneId, Demand)>) -> impl Iterator<Item = LaneId> {
    demands.into_iter().filter(|(_, demand)| *demand == Demand::Connect).map(|(lane, _)| lane)
}

#[test]
fn everything_that_waits_is_listed_once_in_pieces_of_any_size() {
    let mut queues = queues(|_| {});
    for number in 0..30 {
        let (lane, _) = queues.enqueue(
            &route(["a.example", "b.example", "c.example"][number % 3]),
            item(number as u8, at(number as u64 / 4)),
            at(9),
        );
        if number % 7 == 0 {
            queues.connected(lane);
            let taken = queues.take(lane).unwrap();
            queues.defer(lane, taken, "busy".into(), at(9));
        }
    }
    queues.park(item(30, at(2)), "no connector".into());
    queues.park(item(31, at(1)), "no connector".into());
    let whole: Vec<_> = queues.items_after(None, usize::MAX).into_iter().map(|(_, view)| view).collect();
    let ids: BTreeSet<_> = whole.iter().map(|view| view.item.message).collect();
    assert_eq!((whole.len(), ids.len()), (32, 32));
    assert_eq!(whole[0].item.message, MessageId::from_bytes([31; 16]), "the Unreachable queue first, its oldest first");
    assert!(
        whole
            .iter()
            .filter(|view| view.queue.is_some())
            .all(|view| view.next_retry.is_some() == (view.item.deferrals > 0))
    );
    for size in 1..9 {
        let (mut pieces, mut bookmark) = (Vec::new(), None);
        loop {
            let piece = queues.items_after(bookmark, size);
            let Some((last, _)) = piece.last() else { break };
            bookmark = Some(*last);
            assert!(piece.len() <= size);
            pieces.extend(piece.into_iter().map(|(_, view)| view));
        }
        assert_eq!(pieces, whole, "in pieces of {size}");
    }
}

proptest! {
    #[test]
    fn whatever_happens_every_item_is_in_exactly_one_place(steps in prop::collection::vec(step(), 1..120)) {
        let mut queues = queues(|s| {
            s.max_outbound_connections = Limit::At(3);
            s.message_expiration_timeout = Span::minutes(90);
            s.max_idle_time_before_resubmit = Span::minutes(45);
        });
        let (mut now, mut number) = (at(0), 0u8);
        let mut to_open: Vec<LaneId> = Vec::new();
        let mut open: Vec<(LaneId, Option<Item>)> = Vec::new();
        let (mut accepted, mut finished) = (BTreeSet::new(), BTreeSet::new());
        for step in steps {
            match step {
                Step::Enqueue(domain) if number < 250 => {
                    number += 1;
                    accepted.insert(MessageId::from_bytes([number; 16]));
                    let (lane, demand) = queues.enqueue(&route(&format!("d{domain}.example")), item(number, now), now);
                    if demand == Demand::Connect { to_open.push(lane); }
                }
                Step::Enqueue(_) => {}
                Step::Connect(works) => if let Some(lane) = to_open.pop() {
                    if works {
                        queues.connected(lane);
                        let taken = queues.take(lane);
                        open.push((lane, taken));
                    } else {
                        to_open.extend(connections(queues.connect_failed(lane, "no".into(), now)));
                    }
                },
                Step::Finish(how) => if let Some((lane, taken)) = open.pop() {
                    if let Some(item) = taken {
                        match how {
                            0 => { finished.insert(item.message); queues.done(lane, now); }
                            1 => { queues.defer(lane, item, "later".into(), now); }
                            _ => if queues.put_back(lane, item) == Demand::Connect { to_open.push(lane); },
                        }
                    }
                    to_open.extend(connections(queues.disconnected(lane, now)));
                },
                Step::Pass(minutes) => {
                    now = now.plus(std::time::Duration::from_secs(minutes * 60));
                    for event in queues.handle_timeout(now) {
                        match event {
                            Event::Demand(lane, Demand::Connect) => to_open.push(lane),
                            Event::Demand(..) | Event::Delayed { .. } => {}
                            Event::Expired { item, .. } => { finished.insert(item.message); }
                            Event::Resubmit(items) => for item in items {
                                let (lane, demand) = queues.enqueue(&route("again.example"), item, now);
                                if demand == Demand::Connect { to_open.push(lane); }
                            },
                        }
                    }
                }
                Step::Back(domain) => {
                    let name = format!("d{domain}.example");
                    to_open.extend(connections(queues.retry_now(|route| *route.key.domain == *name)));
                }
                Step::Resubmit => for item in queues.resubmit_waiting() {
                    let (lane, demand) = queues.enqueue(&route("new.example"), item, now);
                    if demand == Demand::Connect { to_open.push(lane); }
                },
            }
            prop_assert!(to_open.len() + open.len() <= 3, "more connections than the server may hold");
            let held: usize = queues.views(at(0)).map(|view| view.message_count).sum();
            prop_assert_eq!(held + finished.len(), accepted.len());
        }
    }
}
