//! One case per cell of the table in pipeline §12 (PL-73), and what a forger might try.

use super::*;
use crate::split::split_header;
use proptest::prelude::*;

const ORGANIZATION: &str = "X-MS-Exchange-Organization-Antispam-Report: x\r\n";
const KEPT: &str = "x-ms-exchange-organization-scl: 5\r\n";
const FOREST: &str = "X-MS-Exchange-Forest-RulesExecuted: r\r\n\tfolded\r\n";
const RECEIVED: &str = "Received: from a\r\n by b\r\n";
const RESENT: &str = "Resent-From: a@b.example\r\n";
const OTHER: &str = "Subject: hello\r\n";

const fn rights(organization: bool, forest: bool, routing: bool) -> HeaderRights {
    HeaderRights { organization, forest, routing }
}

#[test]
fn every_cell_of_the_table() {
    use Path::{
        AgentSubmission, Delivery, Drop, OriginalInDsn, Pickup, ReceiveConnector, Replay, SendConnector, Submission,
    };
    const YES: bool = true;
    const NO: bool = false;
    // PF-20, PF-21: a class stays with its right, each by itself, with all its folds.
    // path, organization, organization kept by delivery (PF-30b), forest, Received, Resent-*
    let rows = [
        (ReceiveConnector(HeaderRights::NONE), NO, NO, NO, NO, NO),
        (ReceiveConnector(rights(true, false, false)), YES, YES, NO, NO, NO),
        (ReceiveConnector(rights(false, true, false)), NO, NO, YES, NO, NO),
        (ReceiveConnector(rights(false, false, true)), NO, NO, NO, YES, YES),
        (ReceiveConnector(HeaderRights::ALL), YES, YES, YES, YES, YES),
        (SendConnector(HeaderRights::NONE), NO, NO, NO, NO, NO),
        (SendConnector(rights(true, false, false)), YES, YES, NO, NO, NO),
        (SendConnector(rights(false, true, false)), NO, NO, YES, NO, NO),
        (SendConnector(HeaderRights::ROUTING), NO, NO, NO, YES, YES), // PF-22
        (SendConnector(HeaderRights::ALL), YES, YES, YES, YES, YES),
        (Pickup, NO, NO, NO, NO, NO), // PF-27
        // PF-28
        (Replay(ReplayCreator::Exchange), YES, YES, YES, YES, YES),
        (Replay(ReplayCreator::Other), NO, NO, NO, YES, YES),
        (Drop, NO, NO, NO, YES, YES), // PF-29
        // PF-30
        (Submission, NO, NO, NO, NO, NO),
        (Delivery, NO, YES, NO, YES, YES),
        (OriginalInDsn, NO, NO, NO, NO, NO),        // PF-31
        (AgentSubmission, YES, YES, YES, YES, YES), // PF-32
    ];
    for (path, organization, kept, forest, received, resent) in rows {
        for (field, passes) in
            [(ORGANIZATION, organization), (KEPT, kept), (FOREST, forest), (RECEIVED, received), (RESENT, resent)]
        {
            let block = format!("{field}{OTHER}\r\n");
            let expected = if passes { block.clone() } else { format!("{OTHER}\r\n") };
            let result = apply(HeaderBlock::new(block.as_bytes()), path);
            assert_eq!(std::str::from_utf8(&result).unwrap(), expected, "{path:?} {field:?}");
        }
    }
}

#[test]
fn delivery_keeps_exactly_the_seven() {
    // PF-30b
    for name in KEPT_BY_DELIVERY {
        assert!(Path::Delivery.keeps(format!("{ORGANIZATION_PREFIX}{name}").as_bytes()));
        assert!(!Path::Delivery.keeps(format!("{ORGANIZATION_PREFIX}{name}x").as_bytes()));
    }
}

#[test]
fn disguised_headers_are_removed_too() {
    // PF-21; peers E2-41
    let path = Path::ReceiveConnector(HeaderRights::ROUTING);
    for disguise in [
        "X-MS-EXCHANGE-ORGANIZATION-SCL: -1\r\n",
        "X-MS-Exchange-Organization-SCL : -1\r\n",
        "X-MS-Exchange-Organization-SCL\t:\r\n -1\r\n",
        "X-MS-Exchange-Organization-\u{0}SCL: -1\r\n",
        "X-MS-Exchange-Organization-SCL: -1\n",
        "no field at all\r\nX-MS-Exchange-Organization-AuthAs: Internal\r\n",
        " fold of nothing\r\nX-MS-Exchange-Forest-A: b\r\n",
    ] {
        let block = format!("A: 1\r\n{disguise}B: 2\r\n\r\n");
        let result = apply(HeaderBlock::new(block.as_bytes()), path).into_owned();
        let text = String::from_utf8(result).unwrap().to_lowercase();
        assert!(!text.contains("x-ms-exchange"), "{disguise:?} left {text:?}");
        assert!(text.ends_with("b: 2\r\n\r\n"));
    }
}

#[test]
fn other_exchange_headers_and_the_body_are_not_touched() {
    let block = b"X-MS-Exchange-CrossPremises-SCL: 1\r\nReceived-SPF: pass\r\n\r\nReceived: body\r\n"; // PF-26
    assert!(matches!(apply(HeaderBlock::new(block), Path::Pickup), Cow::Borrowed(same) if same == block));
    let block = b"Received: x\r\nA: 1\r\n\r\nReceived: body\r\n";
    // PF-23: what is further down, a message in the message too, is no header.
    assert_eq!(&*apply(HeaderBlock::new(block), Path::Pickup), b"A: 1\r\n\r\nReceived: body\r\n");
}

#[test]
fn cross_premises_headers_leave_by_no_send_connector() {
    // PF-42, whatever rights the session has.
    let block = b"x-ms-exchange-crosspremises-SCL: 1\r\n\tfolded\r\nA: 1\r\n\r\n";
    for rights in [HeaderRights::NONE, HeaderRights::ALL] {
        assert_eq!(&*apply(HeaderBlock::new(block), Path::SendConnector(rights)), b"A: 1\r\n\r\n");
    }
}

#[test]
fn bcc_is_taken_out() {
    let block = b"bcc: a@b.example,\r\n c@d.example\r\nTo: e@f.example\r\n";
    assert_eq!(&*without(HeaderBlock::new(block), "Bcc"), b"To: e@f.example\r\n");
}

proptest! {
    #[test]
    fn what_is_left_has_no_class_that_may_not_pass(
        parts in prop::collection::vec(
            prop::sample::select(vec![ORGANIZATION, KEPT, FOREST, RECEIVED, RESENT, OTHER, " x\r\n", "x\r\n", ":\n", "\r", "\r\n"]),
            0..20,
        )
    ) {
        let message = parts.concat();
        let (header, body) = split_header(message.as_bytes());
        let result = apply(HeaderBlock::new(header), Path::Submission).into_owned();
        prop_assert!(HeaderBlock::new(&result).fields().all(|field| Path::Submission.keeps(field.name())));
        // Filtering twice changes nothing more, and the border to the body stays where it was.
        prop_assert_eq!(&*apply(HeaderBlock::new(&result), Path::Submission), &*result);
        if !body.is_empty() {
            let rejoined = [&*result, body].concat();
            prop_assert_eq!(split_header(&rejoined).1, body);
        }
    }
}
