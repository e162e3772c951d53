//! Every rule, and every principal against every act.

use envelope::ObjectName;
use topology::OrganizationDraft;

use super::*;
use crate::features::Feature;

fn forest() -> Domain {
    Domain::parse("contoso.com").unwrap()
}

fn name(text: &str) -> ServerName {
    ServerName::parse(text).unwrap()
}

fn service(server: &str, services: &[Service]) -> Principal {
    let who = Who::Server { server: name(server), services: services.iter().copied().collect() };
    Principal { forest: forest(), who, issued: Timestamp::from_millis(1000) }
}

fn administrator(name: &str, groups: &[RoleGroup]) -> Principal {
    let who = Who::Administrator { name: ObjectName::parse(name).unwrap(), groups: groups.iter().copied().collect() };
    Principal { forest: forest(), who, issued: Timestamp::from_millis(1000) }
}

fn refused_by(authority: &Authority, principal: &Principal, act: Act) -> Option<Rule> {
    authority.rule(principal, act).err().map(|refusal| refusal.rule)
}

#[test]
fn each_act_is_for_the_services_that_it_names_or_for_administrators() {
    use Service::{Admin, FrontendTransport, MailboxDelivery, MailboxSubmission, Transport};
    let mut table: Vec<(Act, &[Service])> = vec![
        (Act::SubmitMail, &[FrontendTransport, Transport, MailboxSubmission]),
        (Act::DeliverMail, &[Transport]),
        (Act::OpenOutboundSession, &[Transport]),
        (Act::TellFailedLogons, &[FrontendTransport, Transport]),
        (Act::TakeMailboxes, &[MailboxDelivery]),
        (Act::Read(Feature::Queues), &[Admin]),
        (Act::Read(Feature::MessageTracking), &[Admin]),
        (Act::Change(Feature::Queues), &[Admin]),
    ];
    for feature in Feature::ALL {
        if feature != Feature::Queues {
            table.push((Act::Change(feature), &[]));
        }
        if !matches!(feature, Feature::Queues | Feature::MessageTracking) {
            table.push((Act::Read(feature), &[]));
        }
    }
    let authority = Authority::of_forest(forest());
    let organization = [RoleGroup::OrganizationManagement];
    for (act, services) in table {
        for one in [FrontendTransport, Transport, MailboxSubmission, MailboxDelivery, Admin] {
            let expected = (!services.contains(&one)).then_some(Rule::Act);
            assert_eq!(refused_by(&authority, &service("MAIL1", &[one]), act), expected, "{one} {act:?}");
        }
        let expected = (!act.is_for_administrators()).then_some(Rule::Act);
        assert_eq!(refused_by(&authority, &administrator("anna", &organization), act), expected, "{act:?}");
        let user = Who::User { name: "root".into(), groups: organization.into() };
        let user = Principal { who: user, ..service("MAIL1", &[]) };
        assert_eq!(refused_by(&authority, &user, act), expected, "{act:?}");
        // A certificate without a service that is known grants nothing.
        assert_eq!(refused_by(&authority, &service("MAIL1", &[]), act), Some(Rule::Act));
    }
}

/// O, S, R, L, H: who changes; V and these: who reads. As the documentation has it (PF-71).
#[test]
fn administrators_do_what_their_role_groups_may() {
    let letters = ["O", "S", "R", "L", "H", "V"];
    let table = [
        (Feature::Organization, "O", "OSRLHV"),
        (Feature::SendConnectors, "O", "OV"),
        (Feature::ForeignConnectors, "O", "OV"),
        (Feature::AcceptedDomains, "O", "OV"),
        (Feature::Sites, "O", "OV"),
        (Feature::Certificates, "O", "OV"),
        (Feature::TransportConfiguration, "O", "OV"),
        (Feature::DeliveryAgentConnectors, "OS", "OSV"),
        (Feature::Queues, "OS", "OSV"),
        (Feature::ReceiveConnectors, "OSH", "OSHV"),
        (Feature::TransportServices, "OSH", "OSHV"),
        (Feature::Servers, "OS", "OSV"),
        (Feature::Recipients, "OR", "OSRLHV"),
        (Feature::MessageTracking, "ORL", "ORLV"),
        (Feature::AuditLog, "OL", "OLV"),
    ];
    assert_eq!(table.map(|(feature, ..)| feature), Feature::ALL);
    let authority = Authority::of_forest(forest());
    for (feature, change, read) in table {
        for (group, letter) in RoleGroup::ALL.into_iter().zip(letters) {
            for (act, whom) in [(Act::Change(feature), change), (Act::Read(feature), read)] {
                let expected = (!whom.contains(letter)).then_some(Rule::RoleGroup);
                assert_eq!(refused_by(&authority, &administrator("anna", &[group]), act), expected, "{group} {act:?}");
            }
        }
        assert_eq!(refused_by(&authority, &administrator("anna", &[]), Act::Read(feature)), Some(Rule::RoleGroup));
    }
    let hygiene = administrator("anna", &[RoleGroup::HygieneManagement]);
    let refusal = authority.rule(&hygiene, Act::Change(Feature::SendConnectors)).unwrap_err().to_string();
    assert_eq!(
        refusal,
        "anna, of Hygiene Management, may not change Send connectors; that is for Organization Management (rule `role-group`)"
    );
}

#[test]
fn role_groups_are_read_as_they_are_written() {
    for group in RoleGroup::ALL {
        for text in [group.as_str().to_owned(), group.as_str().to_lowercase().replace([' ', '-'], "")] {
            assert_eq!(text.parse(), Ok(group));
        }
    }
    assert!("Everything".parse::<RoleGroup>().unwrap_err().contains("Organization Management, "));
}

#[test]
fn only_members_of_the_forest_in_their_role_are_heard() {
    let empty = Organization::validate(OrganizationDraft::default(), envelope::Revision(1)).unwrap();
    let mut authority = Authority::of_forest(forest()).with_servers(&empty);
    let transport = service("MAIL1", &[Service::Transport]);
    assert_eq!(refused_by(&authority, &transport, Act::SubmitMail), Some(Rule::Member));
    let roles = [(name("MAIL1"), ServerRole::Mailbox), (name("EDGE1"), ServerRole::Edge)];
    authority.servers = Some(roles.into());
    assert_eq!(refused_by(&authority, &service("mail1", &[Service::Transport]), Act::SubmitMail), None);
    assert_eq!(refused_by(&authority, &service("EDGE1", &[Service::Transport]), Act::SubmitMail), None);
    let both = service("EDGE1", &[Service::Transport, Service::MailboxSubmission]);
    assert_eq!(refused_by(&authority, &both, Act::SubmitMail), Some(Rule::Role));
    let stranger = Principal { forest: Domain::parse("fabrikam.com").unwrap(), ..transport };
    assert_eq!(refused_by(&authority, &stranger, Act::SubmitMail), Some(Rule::Forest));
}

#[test]
fn a_revocation_voids_what_was_issued_until_then_and_nothing_else() {
    let revoked = |subject, millis| Revocation { subject, issued_until: Timestamp::from_millis(millis) };
    let anna = Subject::Administrator(ObjectName::parse("anna").unwrap());
    let list = [
        revoked(Subject::Server(name("MAIL1")), 1000),
        revoked(Subject::Server(name("mail1")), 10),
        revoked(anna, 999),
    ];
    let authority = Authority::of_forest(forest()).with_revocations(&list);
    let old = service("MAIL1", &[Service::Transport]);
    let refusal = authority.rule(&old, Act::SubmitMail).unwrap_err();
    assert_eq!(refusal.rule, Rule::Revoked);
    assert!(refusal.to_string().contains("needs a new one (rule `revoked`)"), "{refusal}");
    let renewed = Principal { issued: Timestamp::from_millis(1001), ..old };
    assert_eq!(refused_by(&authority, &renewed, Act::SubmitMail), None);
    assert_eq!(refused_by(&authority, &service("MAIL2", &[Service::Transport]), Act::SubmitMail), None);
    let anna = administrator("anna", &[RoleGroup::ServerManagement]);
    assert_eq!(refused_by(&authority, &anna, Act::Read(Feature::Queues)), None, "hers is younger");
    assert_eq!(
        refused_by(&authority.with_revocations(&[]), &service("MAIL1", &[Service::Transport]), Act::SubmitMail),
        None
    );
}
