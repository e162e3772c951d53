//! The id of a copy: of the recipients of a message that go one way from here.
//!
//! ```text
//!   front end ─X─▶ OSLO1 (its answer is lost) ─ copy_id(X, {a}) = Y ─▶ BERGEN1 ─▶ a
//!             └X─▶ OSLO2 ───────────────────── copy_id(X, {a}) = Y ─▶ BERGEN1, which knows it
//! ```
//!
//! Whoever has a message passes the same copy on under the same id, so that of two servers that both have it, because an
//! acknowledgement was lost, the second is answered with a receipt and nothing is stored twice.
//!
//! Two copies that are not the same have two ids:
//!
//! * Of one message two copies differ in their recipients or in what was said with those (NOTIFY, ORCPT), or in the envelope. All of it
//!   is in the id.
//! * A message that comes *back* to a server, because the configuration changed, is one of a later generation: each hop derives anew,
//!   so no server is ever given an id by which it knew an earlier generation of the same message. What a server remembers as dealt with
//!   therefore never stands for what it is given again. (Were it one id for the whole way, a message handed to and fro would be
//!   dropped by both.)

use envelope::{BodyType, DsnReturn, Envelope, MessageId, Notify, Recipient};
use uuid::Uuid;

/// The id under which these recipients of a message travel on from any server that has it.
#[must_use]
pub fn copy_id(message: MessageId, envelope: &Envelope) -> MessageId {
    let mut name = Vec::new();
    let mut part = |octets: &[u8]| {
        // With its length, so that no two lists of parts read alike.
        name.extend_from_slice(&(octets.len() as u64).to_be_bytes());
        name.extend_from_slice(octets);
    };
    part(envelope.reverse_path.to_string().as_bytes());
    part(&[
        u8::from(envelope.body == BodyType::EightBitMime),
        u8::from(envelope.smtputf8),
        match envelope.dsn_return {
            None => 0,
            Some(DsnReturn::Full) => 1,
            Some(DsnReturn::Headers) => 2,
        },
    ]);
    part(envelope.envelope_id.as_deref().unwrap_or_default().as_bytes());
    // Servers that resolved the same message need not have its recipients in one order.
    let mut recipients: Vec<Vec<u8>> = envelope.recipients.iter().map(described).collect();
    recipients.sort_unstable();
    recipients.iter().for_each(|recipient| part(recipient));
    MessageId::from_uuid(Uuid::new_v5(&Uuid::from_bytes(*message.as_bytes()), &name))
}

fn described(recipient: &Recipient) -> Vec<u8> {
    let notify = match recipient.notify {
        None => 0,
        Some(Notify::Never) => 128,
        Some(Notify::On { success, failure, delay }) => {
            64 | u8::from(success) | u8::from(failure) << 1 | u8::from(delay) << 2
        }
    };
    let mut octets = recipient.address.as_str().as_bytes().to_vec();
    octets.extend_from_slice(&[0, notify]);
    if let Some(original) = &recipient.original {
        octets.extend_from_slice(original.kind.as_bytes());
        octets.push(0);
        octets.extend_from_slice(original.address.as_bytes());
    }
    octets
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use envelope::{Address, OriginalRecipient, ReversePath};
    use proptest::prelude::*;

    use super::*;

    fn to(recipients: &[&str]) -> Envelope {
        let recipient = |text: &&str| Recipient::new(Address::parse(text).unwrap());
        Envelope::new(ReversePath::parse("ann@contoso.com").unwrap(), recipients.iter().map(recipient).collect())
    }

    fn id(octet: u8) -> MessageId {
        MessageId::from_bytes([octet; 16])
    }

    #[test]
    fn the_same_copy_has_the_same_id_whoever_passes_it_on() {
        let copy = copy_id(id(1), &to(&["b@x.com", "a@x.com"]));
        assert_eq!(copy, copy_id(id(1), &to(&["a@x.com", "b@x.com"])), "in whatever order they were resolved");
        assert_ne!(copy, id(1), "what comes back is a later generation");
        assert_ne!(copy_id(copy, &to(&["a@x.com", "b@x.com"])), copy);
    }

    #[test]
    fn whatever_makes_two_copies_two_is_in_the_id() {
        let plain = to(&["a@x.com", "b@x.com"]);
        let mut others = vec![to(&["a@x.com"]), to(&["A@x.com", "b@x.com"]), to(&["a@x.com", "b@x.com", "b@x.com"])];
        let mut change = |by: &dyn Fn(&mut Envelope)| {
            let mut other = plain.clone();
            by(&mut other);
            others.push(other);
        };
        change(&|it| it.reverse_path = ReversePath::Null);
        change(&|it| it.body = BodyType::EightBitMime);
        change(&|it| it.smtputf8 = true);
        change(&|it| it.dsn_return = Some(DsnReturn::Full));
        change(&|it| it.dsn_return = Some(DsnReturn::Headers));
        change(&|it| it.envelope_id = Some("1".into()));
        change(&|it| it.recipients[0].notify = Some(Notify::Never));
        change(&|it| it.recipients[1].notify = Some(Notify::Never));
        change(&|it| it.recipients[0].notify = Some(Notify::On { success: false, failure: false, delay: false }));
        change(&|it| it.recipients[0].notify = Some(Notify::On { success: true, failure: false, delay: false }));
        change(&|it| it.recipients[0].notify = Some(Notify::On { success: false, failure: true, delay: false }));
        change(&|it| it.recipients[0].notify = Some(Notify::On { success: false, failure: false, delay: true }));
        let original =
            |kind: &str, address: &str| Some(OriginalRecipient { kind: kind.into(), address: address.into() });
        change(&|it| it.recipients[0].original = original("rfc822", "a@y.com"));
        change(&|it| it.recipients[0].original = original("rfc822", "c@y.com"));
        change(&|it| it.recipients[0].original = original("x", "a@y.com"));
        others.push(plain);
        let ids: BTreeSet<MessageId> = others.iter().map(|other| copy_id(id(1), other)).collect();
        assert_eq!(ids.len(), others.len());
        assert!(others.iter().all(|other| !ids.contains(&copy_id(id(2), other))), "nor of another message");
    }

    /// Servers that hand one message to and fro, whatever the configuration says at each moment; acknowledgements get lost, and
    /// every server remembers all ids that it ever took.
    #[derive(Default)]
    struct Servers {
        held: BTreeSet<(usize, MessageId)>,
        known: BTreeMap<usize, BTreeSet<MessageId>>,
        delivered: usize,
    }

    impl Servers {
        fn offer(&mut self, server: usize, id: MessageId) {
            if self.known.entry(server).or_default().insert(id) {
                self.held.insert((server, id));
            }
        }

        fn pass_on(&mut self, which: usize, to: usize, acknowledged: bool, id_of: impl Fn(MessageId) -> MessageId) {
            let Some((from, id)) = self.held.iter().nth(which % self.held.len().max(1)).copied() else { return };
            if from != to {
                self.offer(to, id_of(id));
                if acknowledged {
                    self.held.remove(&(from, id));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_however_a_message_wanders(
            first in proptest::collection::vec(0..4usize, 1..3),
            steps in proptest::collection::vec((0..8usize, 0..4usize, any::<bool>(), 0..10u8), 0..60),
        ) {
            let envelope = to(&["a@x.com"]);
            let mut servers = Servers::default();
            first.into_iter().for_each(|server| servers.offer(server, id(1)));
            for (which, target, acknowledged, delivered) in steps {
                servers.pass_on(which, target, acknowledged, |id| copy_id(id, &envelope));
                if delivered == 0 && let Some(one) = servers.held.pop_first() {
                    let _ = one;
                    servers.delivered += 1;
                }
                prop_assert!(servers.delivered > 0 || !servers.held.is_empty());
            }
        }
    }

    #[test]
    fn the_model_sees_what_one_id_for_the_whole_way_would_lose() {
        let mut servers = Servers::default();
        servers.offer(0, id(1));
        let same = |_| id(2);
        for to in [1, 0, 1] {
            servers.pass_on(0, to, true, same);
        }
        assert!(servers.held.is_empty() && servers.delivered == 0, "each took the other's for what it had dealt with");
    }
}
