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
    let pending = (any::<u32>(), prop::option::of(".{0,40}"), any::<bool>());
    prop_oneof![
        pending.prop_map(|(attempts, error, delay_notified)| {
            let last_error = error.map(String::into_boxed_str);
            RecipientState::Pending(Pending { attempts, last_error, delay_notified })
        }),
        Just(RecipientState::Delivered),
        Just(RecipientState::Failed),
        Just(RecipientState::Expanded),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
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
    (origin, prop::option::of(any::<u64>()), sites, any::<u64>(), any::<u32>()).prop_map(
        |(origin, size, backed_off, revision, crashes)| Attributes {
            origin,
            original_size: size.map(ByteSize::bytes),
            backed_off,
            revision: Revision(revision),
            crashes,
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
            let Attributes { origin, original_size, backed_off, revision, crashes } = attributes;
            let (id, size, arrived) =
                (MessageId::from_bytes([0; 16]), ByteSize::default(), Timestamp::from_millis(arrived));
            let head = MessageHead { id, envelope, arrived, size, original_size, trace, revision, origin, backed_off };
            Meta(StoredMessage { head, states, crashes })
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
    ) {
        let update = Update { recipients, states, crashes };
        prop_assert_eq!(Update::from_bytes(&update.to_bytes()), Ok(update));
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

#[test]
fn attributes_of_a_later_version_are_read_as_far_as_they_are_known() {
    let origin = Origin { kind: OriginKind::Mailbox, connector: "Outbox".into() };
    let (revision, backed_off) = (Revision(1), Vec::new());
    let known = Attributes { origin, original_size: None, backed_off, revision, crashes: 7 }.to_bytes();
    let mut later = vec![2];
    let mut fields = known[5..].to_vec();
    fields.push(200);
    store_blob(b"news", &mut fields);
    store_blob(&fields, &mut later);
    assert_eq!(Attributes::from_bytes(&later).unwrap().crashes, 7);
}

#[test]
fn the_small_parts_have_the_documented_form() {
    let place = Place { segment: 1, offset: 0x0203, operation: 4 };
    assert_eq!(place.to_bytes(), [1, 0, 0, 0, 3, 2, 0, 0, 4, 0]);
    assert_eq!(Content::Large { file: 5, length: 6 }.to_bytes(), [1, 5, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(MessageId::from_bytes([9; 16]).to_bytes(), [9; 16]);
    let header = SegmentHeader { version: 1, number: 2, salt: 3, previous_end: 4, first: 5 }.to_block();
    assert_eq!(header.len(), 8192);
    assert_eq!(&header[..12], b"PRSPOOL\0\x01\0\0\0");
    assert_eq!(header[12..32], [2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0]);
    assert_eq!(header[..64], header[4096..4160]);
}
