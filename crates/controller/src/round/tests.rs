//! Rounds against a small organization: who is accepted, who is refused and why, what is never touched.

use envelope::Revision;
use organization::WithoutSecrets;
use serde_json::{Value, json};

use super::*;
use crate::resource::{FINALIZER, KEEP_ANNOTATION};

const ORGANIZATION: &str = "\
sites: [{name: Berlin}, {name: Oslo}]
siteLinks: [{name: Berlin-Oslo, sites: [Berlin, Oslo]}]
servers: [{name: M1, fqdn: m1.contoso.example, site: Berlin}, {name: M2, fqdn: m2.contoso.example, site: Oslo}]
databases: [{name: DB1, server: M1}]
acceptedDomains: [{name: Contoso, domainName: contoso.example, default: true}]
sendConnectors: [{name: Internet, addressSpaces: ['*'], sourceTransportServers: [M1]}]
recipients: [{name: ann, address: ann@contoso.example, database: DB1}]
";

fn stored() -> Vec<Object> {
    let contents = organization::load(ORGANIZATION, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
    organization::objects(contents.organization.draft(), &[])
}

/// A resource; `managed`, `deleting`, `adopts` of what it says.
#[expect(clippy::needless_pass_by_value, reason = "it is written where it is needed")]
fn resource(kind: Kind, key: &str, marks: &str, spec: Value) -> Resource {
    let mut metadata = json!({"name": key, "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"});
    if marks.contains("managed") {
        metadata["finalizers"] = json!([FINALIZER]);
    }
    if marks.contains("deleting") {
        metadata["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
    }
    if marks.contains("adopts") {
        metadata["annotations"] = json!({ADOPT_ANNOTATION: "true"});
    }
    if marks.contains("keeps") {
        metadata["annotations"] = json!({KEEP_ANNOTATION: "true"});
    }
    if marks.contains("younger") {
        metadata["creationTimestamp"] = json!("2026-01-03T00:00:00Z");
    }
    Resource::read(kind, &json!({"metadata": metadata, "spec": spec})).unwrap()
}

fn partner(marks: &str) -> Resource {
    let spec = json!({"addressSpaces": ["partner.example"], "sourceTransportServers": ["M1"]});
    resource(Kind::SendConnector, "partner", marks, spec)
}

fn round(resources: &[Resource]) -> Round {
    decide(resources, &stored(), &WithoutSecrets)
}

fn changes(round: &Round) -> Vec<String> {
    let sign = |change: &Change| match change {
        Change::Create(_) => '+',
        Change::Update { .. } => '~',
        Change::Delete(_) => '-',
    };
    round.plan.changes.iter().map(|change| format!("{}{}", sign(change), change.object().place())).collect()
}

fn refused(verdict: &Verdict) -> (Reason, &str) {
    match verdict {
        Verdict::Refused { reason, text } => (*reason, text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_no_resource_names_is_never_touched() {
    assert!(round(&[]).plan.is_empty());
    let new = round(&[partner("")]);
    assert_eq!(changes(&new), ["+sendConnectors[\"partner\"]"]);
    assert_eq!(new.verdicts, [Verdict::Accepted { changes: true, drifted: false }]);
    // One that was never managed goes and nothing with it.
    let gone = resource(Kind::SendConnector, "internet", "deleting", json!({"addressSpaces": ["*"]}));
    let gone = round(&[gone]);
    assert_eq!((changes(&gone), &gone.verdicts[..]), (vec![], &[Verdict::Gone][..]));
}

#[test]
fn what_is_deleted_in_the_cluster_is_deleted_here() {
    let gone = resource(Kind::SendConnector, "internet", "managed deleting", json!({"addressSpaces": ["*"]}));
    let round_ = round(std::slice::from_ref(&gone));
    assert_eq!(changes(&round_), ["-sendConnectors[\"Internet\"]"]);
    assert_eq!(round_.verdicts, [Verdict::Gone]);
    // Another resource has it now.
    let spec = json!({"name": "Internet", "addressSpaces": ["*;5"], "sourceTransportServers": ["M2"]});
    let heir = resource(Kind::SendConnector, "heir", "adopts", spec);
    assert_eq!(changes(&round(&[gone, heir])), ["~sendConnectors[\"Internet\"]"]);
}

#[test]
fn what_is_let_go_stays_when_its_resource_goes() {
    let gone = resource(Kind::SendConnector, "internet", "managed deleting keeps", json!({"addressSpaces": ["*"]}));
    let round = round(&[gone]);
    assert_eq!((changes(&round), &round.verdicts[..]), (vec![], &[Verdict::Gone][..]));
}

#[test]
fn an_object_that_somebody_renamed_is_one_object_and_gets_its_name_back() {
    let spec = json!({"name": "Internet", "addressSpaces": ["*"], "sourceTransportServers": ["M1"]});
    let named = |name: &str| resource(Kind::SendConnector, name, "managed", spec.clone());
    // As the shell renames: under the identity that it has.
    let rename = |object: Object| match object {
        Object::SendConnector(mut connector) => {
            connector.name = envelope::ObjectName::parse("Renamed").unwrap();
            Object::SendConnector(connector)
        }
        other => other,
    };
    let current: Vec<Object> = stored().into_iter().map(rename).collect();
    let guid = current.iter().find(|object| object.name() == "Renamed").unwrap().guid();
    let round = decide(&[named("internet")], &current, &WithoutSecrets);
    assert_eq!(changes(&round), ["~sendConnectors[\"Internet\"]"], "{:?}", round.verdicts);
    assert_eq!(round.plan.changes[0].object().guid(), guid);
    assert_eq!(round.verdicts, [Verdict::Accepted { changes: true, drifted: false }]);
    // Somebody else's resource has it under its new name.
    let heir = json!({"name": "Renamed", "addressSpaces": ["*"], "sourceTransportServers": ["M1"]});
    let heir = resource(Kind::SendConnector, "heir", "managed", heir);
    let round = decide(&[named("internet"), heir], &current, &WithoutSecrets);
    assert!(changes(&round).is_empty(), "{:?}", round.verdicts);
    assert_eq!(refused(&round.verdicts[0]).0, Reason::Duplicate);
    // Who only stands there by that name says otherwise, and was not asked.
    let stranger = resource(Kind::SendConnector, "internet", "", spec.clone());
    assert_eq!(refused(&decide(&[stranger], &current, &WithoutSecrets).verdicts[0]).0, Reason::NotManaged);
}

#[test]
fn who_cannot_be_claimed_is_left_out_of_the_round_and_the_others_go_on() {
    let mut held = partner("");
    held.held = Some("the API server: no".to_owned());
    let spec = json!({"addressSpaces": ["other.example"], "sourceTransportServers": ["M1"]});
    let round = round(&[held, resource(Kind::SendConnector, "other", "", spec)]);
    assert_eq!(refused(&round.verdicts[0]), (Reason::NotClaimed, "the API server: no"));
    assert_eq!(changes(&round), ["+sendConnectors[\"other\"]"]);
}

#[test]
fn what_is_there_before_its_resource_is_taken_over_only_where_that_is_said() {
    let other = json!({"name": "Internet", "addressSpaces": ["*;5"], "sourceTransportServers": ["M1"]});
    let stranger = round(&[resource(Kind::SendConnector, "internet", "", other.clone())]);
    let (reason, text) = refused(&stranger.verdicts[0]);
    assert!(reason == Reason::NotManaged && text.contains("postroad.dev/adopt"), "{text}");
    assert!(stranger.plan.is_empty());
    for marks in ["adopts", "managed"] {
        let round = round(&[resource(Kind::SendConnector, "internet", marks, other.clone())]);
        assert_eq!(changes(&round), ["~sendConnectors[\"Internet\"]"], "{marks}");
    }
    // It says the same: nobody is surprised.
    let same = json!({"name": "Internet", "addressSpaces": ["*"], "sourceTransportServers": ["M1"]});
    let same = round(&[resource(Kind::SendConnector, "internet", "", same)]);
    assert_eq!(same.verdicts, [Verdict::Accepted { changes: false, drifted: false }]);
}

#[test]
fn of_two_that_name_one_object_the_older_has_it() {
    let spec = json!({"name": "Partner", "addressSpaces": ["partner.example"], "sourceTransportServers": ["M1"]});
    let younger = resource(Kind::SendConnector, "a", "younger", spec.clone());
    let older = resource(Kind::SendConnector, "b", "", spec);
    let round = round(&[younger, older]);
    let (reason, text) = refused(&round.verdicts[0]);
    assert!(reason == Reason::Duplicate && text.starts_with("b names"), "{text}");
    assert_eq!(round.verdicts[1], Verdict::Accepted { changes: true, drifted: false });
}

#[test]
fn who_is_wrong_is_left_out_and_told_and_the_others_go_on() {
    let unknown = json!({"addressSpaces": ["lost.example"], "sourceTransportServers": ["NOBODY"]});
    let unknown = resource(Kind::SendConnector, "lost", "managed", unknown);
    let unread = resource(Kind::SendConnector, "unread", "", json!({"addressSpaces": ["*"], "port": "much"}));
    let round = round(&[unknown, partner(""), unread]);
    let (reason, text) = refused(&round.verdicts[0]);
    assert!(
        reason == Reason::Invalid && text.contains("sendConnectors[\"lost\"]") && text.contains("NOBODY"),
        "{text}"
    );
    assert_eq!(round.verdicts[1], Verdict::Accepted { changes: true, drifted: false });
    assert!(refused(&round.verdicts[2]).1.starts_with("port: "));
    assert_eq!(changes(&round), ["+sendConnectors[\"partner\"]"]);
}

#[test]
fn what_something_still_refers_to_stays_until_nothing_does() {
    let site = resource(Kind::Site, "oslo", "managed deleting", json!({}));
    let round_ = round(&[site, partner("")]);
    let Verdict::Stays { text } = &round_.verdicts[0] else { panic!("{:?}", round_.verdicts) };
    assert!(text.contains("servers[\"M2\"]"), "{text}");
    assert_eq!(changes(&round_), ["+sendConnectors[\"partner\"]"]);
}

#[test]
fn what_somebody_changed_by_another_way_is_put_back_and_said() {
    let spec = json!({"name": "Internet", "addressSpaces": ["*"], "sourceTransportServers": ["M1"], "port": 2525});
    let mut accepted = resource(Kind::SendConnector, "internet", "managed", spec);
    accepted.status = json!({"observedGeneration": 1, "conditions": [{"type": "Accepted", "status": "True"}]});
    let round_ = round(std::slice::from_ref(&accepted));
    assert_eq!(round_.verdicts, [Verdict::Accepted { changes: true, drifted: true }]);
    // A new version of the resource is no drift.
    accepted.generation = 2;
    assert_eq!(round(&[accepted]).verdicts, [Verdict::Accepted { changes: true, drifted: false }]);
}

#[test]
fn what_depends_on_each_other_comes_in_one_round() {
    let site = resource(Kind::Site, "paris", "", json!({"name": "Paris"}));
    let link = json!({"name": "Berlin-Paris", "sites": ["Berlin", "Paris"], "cost": 7});
    let link = resource(Kind::SiteLink, "berlin-paris", "", link);
    let listens =
        json!({"name": "Printers", "server": "M1", "bindings": ["0.0.0.0:2527"], "remoteIPRanges": ["192.0.2.0/24"]});
    let listens = resource(Kind::ReceiveConnector, "printers", "", listens);
    let round = round(&[link, listens, site]);
    assert_eq!(
        changes(&round),
        ["+sites[\"Paris\"]", "+siteLinks[\"Berlin-Paris\"]", "+receiveConnectors[\"M1\\Printers\"]"],
        "{:?}",
        round.verdicts
    );
}
