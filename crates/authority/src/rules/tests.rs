//! Every rule, and every principal against every act.

use envelope::ObjectName;
use topology::OrganizationDraft;

use super::*;

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

fn administrator(name: &str) -> Principal {
    let who = Who::Administrator(ObjectName::parse(name).unwrap());
    Principal { forest: forest(), who, issued: Timestamp::from_millis(1000) }
}

fn refused_by(authority: &Authority, principal: &Principal, act: Act) -> Option<Rule> {
    authority.rule(principal, act).err().map(|refusal| refusal.rule)
}

#[test]
fn each_act_is_for_the_services_that_it_names_or_for_administrators() {
    use Service::{Admin, FrontendTransport, MailboxDelivery, MailboxSubmission, Transport};
    let table: [(Act, &[Service], bool); 5] = [
        (Act::SubmitMail, &[FrontendTransport, Transport, MailboxSubmission], false),
        (Act::DeliverMail, &[Transport], false),
        (Act::OpenOutboundSession, &[Transport], false),
        (Act::LookAtQueues, &[], true),
        (Act::SearchTrackingLog, &[], true),
    ];
    let authority = Authority::of_forest(forest());
    assert_eq!(table.map(|(act, ..)| act), Act::ALL);
    for (act, services, administrators) in table {
        for one in [FrontendTransport, Transport, MailboxSubmission, MailboxDelivery, Admin] {
            let expected = (!services.contains(&one)).then_some(Rule::Act);
            assert_eq!(refused_by(&authority, &service("MAIL1", &[one]), act), expected, "{one} {act:?}");
        }
        let expected = (!administrators).then_some(Rule::Act);
        assert_eq!(refused_by(&authority, &administrator("anna"), act), expected, "{act:?}");
        // A certificate without a service that is known grants nothing.
        assert_eq!(refused_by(&authority, &service("MAIL1", &[]), act), Some(Rule::Act));
    }
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
    assert_eq!(refused_by(&authority, &administrator("anna"), Act::LookAtQueues), None, "hers is younger");
    assert_eq!(
        refused_by(&authority.with_revocations(&[]), &service("MAIL1", &[Service::Transport]), Act::SubmitMail),
        None
    );
}
