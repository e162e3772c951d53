//! Where files go, and what stands in front of the message.

use envelope::{Address, ObjectName, Recipient, ReversePath, Revision};
use topology::{AcceptedDomain, AcceptedDomainType, Guid, OrganizationDraft};

use super::*;

fn fax(drop_directory: Option<&str>) -> ForeignConnector {
    let mut connector = ForeignConnector::new(Guid::ZERO, ObjectName::parse("Fax").unwrap(), Vec::new(), Vec::new());
    connector.drop_directory = drop_directory.map(str::to_owned);
    connector
}

#[test]
fn files_go_below_the_folder_of_the_settings_and_nowhere_else() {
    // EN-64
    let root = Some(Path::new("/drop"));
    for (said, expected) in [
        (None, Some("/drop/Fax")),
        (Some("berlin"), Some("/drop/berlin")),
        (Some("berlin/fax"), None),
        (Some("/drop/fax"), Some("/drop/fax")),
        (Some("/drop"), None),
        (Some("."), None),
        (Some(""), None),
        (Some(".."), None),
        (Some("fax/../../etc"), None),
        (Some("/etc"), None),
        (Some("/dropped/fax"), None),
    ] {
        let directory = directory_of(root, &fax(said));
        assert_eq!(directory.as_deref().ok(), expected.map(Path::new), "{said:?}: {directory:?}");
        if let Err(why) = directory {
            assert!(why.contains("Fax") && why.contains("/drop"), "{why}");
        }
    }
    assert!(directory_of(None, &fax(None)).unwrap_err().contains("drop = "));
}

#[test]
fn the_envelope_is_written_in_the_words_of_the_gateway() {
    // EN-69, PL-62
    let recipient = |text: &str| Recipient::new(Address::parse(text).unwrap());
    let envelope = |from: &str, to: &[&str]| {
        let sender = if from.is_empty() { ReversePath::Null } else { ReversePath::parse(from).unwrap() };
        Envelope::new(sender, to.iter().map(|text| recipient(text)).collect())
    };
    let accepted = AcceptedDomain {
        guid: Guid::ZERO,
        name: ObjectName::parse("contoso").unwrap(),
        domain: "contoso.com".parse().unwrap(),
        domain_type: AcceptedDomainType::Authoritative,
        address_book_enabled: true,
        is_default: true,
    };
    let old = AcceptedDomain {
        name: ObjectName::parse("old").unwrap(),
        domain: "old.example".parse().unwrap(),
        is_default: false,
        ..accepted
    };
    let draft = OrganizationDraft { accepted_domains: vec![accepted, old], ..OrganizationDraft::default() };
    let organization = Organization::validate(draft, Revision(1)).unwrap();
    let lines = |from: &str, to: &[&str]| envelope_lines(&envelope(from, to), &organization);
    assert_eq!(
        lines("ann@contoso.com", &["IMCEAFAX-+2B49+2030_1@contoso.com", "IMCEAFAX-2@contoso.com"]),
        "X-Sender: <ann@contoso.com>\r\nX-Receiver: FAX:+49 30/1\r\nX-Receiver: FAX:2\r\nX-CreatedBy: FAX\r\n"
    );
    // Resolved when that domain was the default one.
    assert_eq!(lines("", &["IMCEAFAX-2@old.example"]), "X-Sender: <>\r\nX-Receiver: FAX:2\r\nX-CreatedBy: FAX\r\n");
    assert_eq!(
        lines("", &["pager@fax.example", "IMCEAFAX-1@fax.example"]),
        "X-Sender: <>\r\nX-Receiver: <pager@fax.example>\r\nX-Receiver: <IMCEAFAX-1@fax.example>\r\nX-CreatedBy: SMTP\r\n"
    );
}
