//! Round trips, and octets that are anything.

use envelope::{
    Address, BodyType, ByteSize, DsnReturn, Envelope, MessageId, Notify, Origin, OriginKind, OriginalRecipient,
    Recipient, ReversePath, Revision, SiteName, Timestamp, TraceContext,
};
use proptest::prelude::*;

use super::*;

use crate::record::{Content, Place, SegmentHeader};

fn address() -> impl Strategy<Value = Address> {
    "[a-z]{1,8}@[a-z]{1,8}\\.example".prop_map(|text| Address::parse(&text).unwrap())
}

fn notify() -> impl Strategy<Value = Notify> {
    prop_oneof![
        Just(Notify::Never),
        any::<(bool, bool, bool)>().prop_map(|(success, failure, delay)| Notify::On { success, failure, delay }),
    ]
}

fn recipient() -> impl Strategy<Value = Recipient> {
    let original = ("[a-z]{1,6}", ".{0,20}");
    let original = original.prop_map(|(kind, address)| OriginalRecipient {
        kind: kind.into_boxed_str(),
        address: address.into_boxed_str(),
    });
    (address(), prop::option::of(notify()), prop::option::of(original))
        .prop_map(|(address, notify, original)| Recipient { address, notify, original })
}

fn state() -> impl Strategy<Value = RecipientState> {
    let outcome = (prop::option::of(any::<u64>()), prop::option::of(".{0,20}"))
        .prop_map(|(at, by)| Ended { at: at.map(Timestamp::from_millis), by: by.map(String::into_boxed_str) });
    let pending = (any::<u32>(), prop::option::of(".{0,40}"), any::<(bool, bool)>());
    prop_oneof![
        Just(RecipientState::default()),
        pending.prop_map(|(attempts, error, (delay_notified, suspended))| {
            let last_error = error.map(String::into_boxed_str);
            RecipientState::Pending(Pending { attempts, last_error, delay_notified, suspended })
        }),
        outcome.clone().prop_map(RecipientState::Delivered),
        outcome.clone().prop_map(RecipientState::Failed),
        outcome.prop_map(RecipientState::Expanded),
    ]
}

fn role() -> impl Strategy<Value = Role> {
    let shadow = "[a-z]{1,9}".prop_map(|name| Role::Shadow { primary: ServerName::parse(&name).unwrap() });
    prop_oneof![Just(Role::Own), shadow]
}

fn unknown() -> impl Strategy<Value = Vec<UnknownField>> {
    let field = (100..CRITICAL, prop::collection::vec(any::<u8>(), 0..9));
    let field = field.prop_map(|(tag, value)| UnknownField { tag, value: value.into() });
    prop::collection::vec(field, 0..3)
}

/// A message with nothing but what stands in the attributes.
fn attributes() -> impl Strategy<Value = StoredMessage> {
    let kinds = [
        OriginKind::Anonymous,
        OriginKind::Authenticated,
        OriginKind::Mailbox,
        OriginKind::Notification,
        OriginKind::ExternallySecured,
    ];
    let origin = (prop::sample::select(kinds.to_vec()), "[a-z]{0,9}")
        .prop_map(|(kind, connector)| Origin { kind, connector: connector.into_boxed_str() });
    let sites = prop::collection::vec("[A-Z][a-z]{0,9}".prop_map(|name| SiteName::parse(&name).unwrap()), 0..3);
    (origin, prop::option::of(any::<u64>()), sites, any::<u64>(), any::<u32>(), role(), unknown()).prop_map(
        |(origin, size, backed_off, revision, crashes, role, unknown)| {
            let original_size = size.map(ByteSize::bytes);
            let empty = empty_head(Envelope::new(ReversePath::Null, Vec::new()));
            let head = MessageHead { origin, original_size, backed_off, revision: Revision(revision), ..empty };
            StoredMessage { head, states: Vec::new(), crashes, role, unknown }
        },
    )
}

fn update() -> impl Strategy<Value = Update> {
    let recipients = prop::option::weighted(0.2, prop::collection::vec((recipient(), state()), 0..4));
    let states = prop::collection::vec((0..4usize, state()), 0..3);
    // Each tag once, as they are stored.
    let unknown = prop::collection::btree_map(100..104u8, any::<u8>(), 0..3);
    (recipients, states, prop::option::of(any::<u32>()), prop::option::of(role()), unknown).prop_map(
        |(recipients, states, crashes, role, unknown)| {
            let field = |(tag, value): (u8, u8)| UnknownField { tag, value: [value].into() };
            Update { recipients, states, crashes, role, unknown: unknown.into_iter().map(field).collect() }
        },
    )
}

fn meta() -> impl Strategy<Value = Meta> {
    let envelope = (
        prop::option::of(address()),
        any::<(bool, bool)>(),
        prop::option::of(any::<bool>()),
        prop::option::of("[!-~]{0,30}".prop_map(String::into_boxed_str)),
    );
    let trace = (any::<[u8; 16]>(), any::<[u8; 8]>(), any::<bool>())
        .prop_map(|(trace_id, span_id, sampled)| TraceContext { trace_id, span_id, sampled });
    let recipients = prop::collection::vec((recipient(), state()), 0..5);
    (envelope, recipients, any::<u64>(), prop::option::of(trace), attributes()).prop_map(
        |((sender, (eight, smtputf8), full, envelope_id), recipients, arrived, trace, attributes)| {
            let (recipients, states) = recipients.into_iter().unzip();
            let envelope = Envelope {
                reverse_path: sender.map_or(ReversePath::Null, ReversePath::Address),
                recipients,
                body: if eight { BodyType::EightBitMime } else { BodyType::SevenBit },
                smtputf8,
                dsn_return: full.map(|full| if full { DsnReturn::Full } else { DsnReturn::Headers }),
                envelope_id,
            };
            let head = MessageHead { envelope, trace, arrived: Timestamp::from_millis(arrived), ..attributes.head };
            Meta(StoredMessage { head, states, ..attributes })
        },
    )
}

proptest! {
    #[test]
    fn what_is_stored_of_a_message_round_trips(meta in meta()) {
        prop_assert_eq!(Meta::from_bytes(&meta.to_bytes()), Ok(meta));
    }

    #[test]
    fn updates_round_trip(
        recipients in prop::option::of(prop::collection::vec((recipient(), state()), 0..4)),
        states in prop::collection::vec((0..1000usize, state()), 0..4),
        crashes in prop::option::of(any::<u32>()),
        role in prop::option::of(role()),
        unknown in unknown(),
    ) {
        let update = Update { recipients, states, crashes, role, unknown };
        prop_assert_eq!(Update::from_bytes(&update.to_bytes()), Ok(update));
    }

    /// Changes made one after the other, and put together first, in any grouping, come to the same.
    #[test]
    fn changes_put_together_are_the_same_changes(updates in prop::collection::vec(update(), 1..8), cut in 0..8usize) {
        let recipients = ["a@b.example", "c@d.example"].map(|text| Recipient::new(Address::parse(text).unwrap()));
        let new = StoredMessage::new(empty_head(Envelope::new(ReversePath::Null, recipients.to_vec())));
        let (mut wanted, mut found) = (new.clone(), new);
        updates.iter().for_each(|update| update.clone().apply_to(&mut wanted));
        let (first, second) = updates.split_at(cut.min(updates.len()));
        for part in [first, second] {
            let together = (!part.is_empty()).then(|| Update::all_as_one(part.iter().cloned()));
            together.into_iter().for_each(|update| update.apply_to(&mut found));
        }
        for message in [&mut wanted, &mut found] {
            message.unknown.sort_by_key(|field| field.tag);
        }
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn any_octets_are_loaded_or_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Meta::from_bytes(&bytes);
        let _ = Update::from_bytes(&bytes);
    }

    #[test]
    fn cut_and_changed_octets_are_loaded_or_refused_without_panic(meta in meta(), at in any::<usize>(), with in any::<u8>()) {
        let mut bytes = meta.to_bytes();
        let at = at % bytes.len();
        prop_assert_eq!(Meta::from_bytes(&bytes[..at]), Err(Malformed));
        bytes[at] ^= with;
        let _ = Meta::from_bytes(&bytes);
    }
}

#[test]
fn a_huge_count_allocates_nothing() {
    assert_eq!(Vec::<RecipientState>::from_bytes(&[0xff; 4]), Err(Malformed));
    assert_eq!(Box::<str>::from_bytes(&[0xff; 8]), Err(Malformed));
}

/// What a newer version adds is kept and passed on, unless it says that one who does not know it may not act.
#[test]
fn fields_of_a_newer_version_are_kept_or_end_it() {
    let empty = empty_head(Envelope::new(ReversePath::Null, Vec::new()));
    let stored = StoredMessage { crashes: 7, ..StoredMessage::new(empty) };
    let unknown = |tag| vec![UnknownField { tag, value: b"news".as_slice().into() }];
    let with = |tag| StoredMessage { unknown: unknown(tag), ..stored.clone() };
    let passed_on = Meta::from_bytes(&Meta(with(100)).to_bytes()).unwrap();
    assert_eq!(passed_on, Meta(with(100)));
    assert_eq!(Meta::from_bytes(&passed_on.to_bytes()), Ok(passed_on));
    assert_eq!(Meta::from_bytes(&Meta(with(200)).to_bytes()), Err(LoadError::Newer));
    let update = |tag| Update { unknown: unknown(tag), ..Update::crashes(8) };
    let mut changed = stored.clone();
    Update::from_bytes(&update(100).to_bytes()).unwrap().apply_to(&mut changed);
    assert_eq!(changed, StoredMessage { crashes: 8, ..with(100) });
    assert_eq!(Update::from_bytes(&update(200).to_bytes()), Err(LoadError::Newer));
    // A role that is not known is nobody's to act on.
    assert_eq!(Role::from_bytes(&[9]), Err(LoadError::Newer));
}

#[test]
fn the_small_parts_have_the_documented_form() {
    let place = Place { segment: 1, offset: 0x0203, operation: 4 };
    assert_eq!(place.to_bytes(), [1, 0, 0, 0, 3, 2, 0, 0, 4, 0]);
    assert_eq!(Content::Large { file: 5, length: 6 }.to_bytes(), [1, 5, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(MessageId::from_bytes([9; 16]).to_bytes(), [9; 16]);
    let header = SegmentHeader { version: 1, readable_by: 0, number: 2, salt: 3, previous_end: 4, first: 5 }.to_block();
    assert_eq!(header.len(), 8192);
    assert_eq!(&header[..12], b"PRSPOOL\0\x01\0\0\0");
    assert_eq!(header[12..32], [2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0]);
    assert_eq!(header[..64], header[4096..4160]);
}
