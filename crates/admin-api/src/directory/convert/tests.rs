//! Round trips, and what is refused.

use super::*;
use organization::{Document, WithoutSecrets, objects};
use topology::Problem;

const FILE: &str = "
sites: [{name: Berlin}]
servers: [{name: MAIL1, fqdn: mail1.contoso.com, site: Berlin}]
databases: [{name: DB1, server: MAIL1}]
sendConnectors: [{name: Out, addressSpaces: ['*'], sourceTransportServers: [MAIL1]}]
recipients: [{name: anna, address: anna@contoso.com, database: DB1}]
";

fn everything() -> Vec<Object> {
    let (draft, recipients) = Document::parse(FILE).unwrap().to_draft(&WithoutSecrets).unwrap();
    objects(&draft, &recipients)
}

#[test]
fn a_change_survives_the_wire_and_its_author_is_whom_the_server_knows() {
    let objects = everything();
    let change = Change {
        author: Author::new("whoever", "postroad apply"),
        puts: objects.clone(),
        deletes: vec![(Kind::Site, objects[0].guid())],
        preconditions: vec![
            Precondition::Revision(Revision(7)),
            Precondition::Unchanged(objects[1].clone()),
            Precondition::Absent(Kind::Recipient, objects[2].guid()),
        ],
        repairs: true,
        restored: true,
    };
    let wire = change_to_wire(&change);
    assert_eq!(wire.through, "postroad apply");
    let read = change_from_wire(&wire, Author::new("anna", "here")).unwrap();
    assert_eq!((&read.puts, &read.deletes), (&change.puts, &change.deletes));
    assert_eq!((&read.preconditions, read.repairs, read.restored), (&change.preconditions, true, true));
    assert_eq!(read.author.who, "anna");
}

#[test]
fn what_this_version_does_not_know_is_refused_of_a_change_and_passed_over_of_an_answer() {
    let object = everything().into_iter().find(|object| object.kind() == Kind::SendConnector).unwrap();
    let text = String::from_utf8(object_to_wire(&object).to_vec()).unwrap();
    let newer = text.replacen("\"name\"", "\"colour\":\"red\",\"name\"", 1);
    assert_ne!(text, newer);
    let refused = object_from_wire(newer.as_bytes()).unwrap_err();
    assert!(refused.contains("colour means nothing to this version"), "{refused}");
    assert_eq!(told_object(newer.as_bytes()).unwrap(), object);
    let request = wire::CommitRequest { preconditions: vec![wire::Precondition { holds: None }], ..Default::default() };
    assert!(change_from_wire(&request, Author::new("anna", "here")).unwrap_err().contains("update it"));
}

#[test]
fn every_way_of_a_change_to_fail_survives_the_wire() {
    let problem = |weight| Problem { weight, place: "sites[\"Berlin\"]".into(), text: "it is in use".into() };
    let errors = [
        CommitError::Conflict("a".into()),
        CommitError::NameTaken("b".into()),
        CommitError::Damaged("c".into()),
        CommitError::Restored("f".into()),
        CommitError::Invalid(Problems(vec![problem(Weight::Error), problem(Weight::Warning)])),
        CommitError::Mixed,
        CommitError::TooLarge { operations: 200, max: 128 },
        CommitError::Refused("d".into()),
        CommitError::Unavailable("e".into()),
    ];
    for error in errors {
        assert_eq!(committed_from_wire(committed_to_wire(Err(error.clone()))), Err(error));
    }
    assert_eq!(committed_from_wire(committed_to_wire(Ok(Revision(9)))), Ok(Revision(9)));
}

#[test]
fn every_answer_about_a_recipient_and_about_the_past_survives_the_wire() {
    let Some(Object::Recipient(recipient)) = everything().pop() else { panic!("the last is a recipient") };
    let answers = [
        Ok(Some(*recipient)),
        Ok(None),
        Err(ReadError::Unavailable("away".into())),
        Err(ReadError::Invalid("damaged".into())),
    ];
    for answer in answers {
        assert_eq!(answer_from_wire(answer_to_wire(answer.clone())), answer);
    }
    let revision = Revision(7);
    for missing in [
        HistoryError::Forgotten { revision, oldest: Revision(9) },
        HistoryError::NotYet { revision, newest: Revision(5) },
        HistoryError::NotKept { revision },
        HistoryError::Unavailable("away".into()),
    ] {
        assert_eq!(history_from_wire(history_to_wire(Some(missing.clone())), revision), Err(missing));
    }
    assert_eq!(history_from_wire(history_to_wire(None), revision), Ok(()));
}
