//! The usual tests for an open relay, and the rules one by one.

use envelope::{ObjectName, Revision, ServerName};
use topology::receive_connector::defaults;
use topology::{DeliveryRestrictions, Guid, PermissionGroup, ReceiveRight, RecipientKind};

use super::*;

fn organization() -> Organization {
    loaded(TEXT)
}

fn loaded(text: &str) -> Organization {
    organization::load(text, Revision(1)).unwrap_or_else(|problems| panic!("{problems}")).organization
}

const TEXT: &str = "
sites: [{name: Berlin}]
servers: [{name: MAIL1, fqdn: mail1.contoso.com, site: Berlin}]
acceptedDomains:
  - {name: contoso, domainName: contoso.com, domainType: Authoritative, default: true}
  - {name: partner, domainName: partner.contoso.com, domainType: InternalRelay}
  - {name: legacy, domainName: '*.legacy.example', domainType: ExternalRelay}
x400AuthoritativeDomains:
  - {name: Contoso, x400DomainName: C=US;A=Fabrikam}
  - {name: Germany, x400DomainName: C=DE, x400ExternalRelay: true}
";

pub(crate) fn mailbox() -> DirectoryRecipient {
    DirectoryRecipient {
        guid: Guid::ZERO,
        name: ObjectName::parse("ann").unwrap(),
        primary_address: Address::parse("ann@contoso.com").unwrap(),
        proxy_addresses: vec![Address::parse("Ann.Other@contoso.com").unwrap()],
        max_receive_size: None,
        max_send_size: None,
        restrictions: DeliveryRestrictions::default(),
        kind: RecipientKind::Mailbox { database: ObjectName::parse("DB1").unwrap(), password: None },
        provenance: None,
    }
}

/// A connector whose groups make principals of that sort.
fn usual(principal: Principal<'_>) -> &'static ReceiveConnector {
    static CONNECTORS: std::sync::OnceLock<[ReceiveConnector; 3]> = std::sync::OnceLock::new();
    let [frontend, client, secured] = CONNECTORS.get_or_init(|| {
        let [frontend, client] = defaults::front_end(&ServerName::parse("MAIL1").unwrap());
        let mut secured = frontend.clone();
        secured.auth_mechanism = vec![AuthMechanism::ExternalAuthoritative];
        secured.permission_groups = vec![PermissionGroup::ExchangeServers];
        [frontend, client, secured]
    });
    match principal {
        Principal::Anonymous | Principal::Partner => frontend,
        Principal::User(_) => client,
        Principal::ExternallySecured => secured,
    }
}

fn asker<'a>(organization: &'a Organization, principal: Principal<'a>) -> Asker<'a> {
    Asker { connector: usual(principal), organization, principal, sender: &ReversePath::Null, size: ByteSize::bytes(0) }
}

/// What a stranger's `RCPT TO:<path>` gets, the parser of paths included: the code, or `ok`.
fn stranger(path: &str) -> String {
    let Ok(address) = Address::parse(path) else { return "501 5.1.3".to_owned() };
    let organization = organization();
    let found = if address.key() == "ann@contoso.com" { Found::Recipient(mailbox()) } else { Found::Nothing };
    let checked = check_recipient(usual(Principal::Anonymous), &organization, Principal::Anonymous, &address)
        .and_then(|lookup| check_found(asker(&organization, Principal::Anonymous), &address, lookup, &found));
    checked.map_or_else(|reply| format!("{} {}", reply.code, reply.status_or_generic()), |()| "ok".to_owned())
}

fn mail(sender: &str, size: u64) -> MailCommand {
    let offered = smtp_session::server::Extensions::default();
    MailCommand::parse(&format!("<{sender}> SIZE={size}"), &offered).unwrap()
}

#[test]
fn no_form_of_an_address_makes_a_stranger_relay() {
    // Peers E2-45: the forms of the relay testers (abuse.net, rlytest, RFC 2505 §2.1), from whatever sender.
    for (path, expected) in [
        ("victim@elsewhere.example", "550 5.7.1"),
        ("VICTIM@ELSEWHERE.EXAMPLE", "550 5.7.1"),
        ("\"victim\"@elsewhere.example", "550 5.7.1"),
        ("victim%elsewhere.example@contoso.com", "550 5.1.1"),
        ("victim%elsewhere.example@mail1.contoso.com", "550 5.7.1"),
        ("victim%elsewhere.example@[192.0.2.1]", "501 5.1.3"),
        ("victim%elsewhere.example", "501 5.1.3"),
        ("\"victim%elsewhere.example\"", "501 5.1.3"),
        ("\"victim%elsewhere.example\"@contoso.com", "550 5.1.1"),
        ("\"victim@elsewhere.example\"", "501 5.1.3"),
        ("\"victim@elsewhere.example\"@contoso.com", "550 5.1.1"),
        ("victim@elsewhere.example@contoso.com", "501 5.1.3"),
        ("@contoso.com:victim@elsewhere.example", "550 5.7.1"),
        ("@contoso.com,@mail1.contoso.com:victim@elsewhere.example", "550 5.7.1"),
        ("@[192.0.2.1]:victim@elsewhere.example", "550 5.7.1"),
        ("@elsewhere.example:ann@contoso.com", "ok"),
        ("elsewhere.example!victim", "501 5.1.3"),
        ("elsewhere.example!victim@contoso.com", "550 5.1.1"),
        ("contoso.com!elsewhere.example!victim", "501 5.1.3"),
        ("elsewhere.example!victim@[192.0.2.1]", "501 5.1.3"),
        ("victim@[192.0.2.1]", "501 5.1.3"),
        ("victim@192.0.2.1", "550 5.7.1"),
        ("victim@[IPv6:2001:db8::1]", "501 5.1.3"),
        ("victim@localhost", "550 5.7.1"),
        ("victim@contoso", "550 5.7.1"),
        ("victim@contoso.com.", "501 5.1.3"),
        ("victim@contoso.com.elsewhere.example", "550 5.7.1"),
        ("victim@notcontoso.com", "550 5.7.1"),
        ("victim@sub.contoso.com", "550 5.7.1"),
        ("ann@contoso.com@elsewhere.example", "501 5.1.3"),
        ("ann@contoso.com elsewhere.example", "501 5.1.3"),
        ("victim@elsewhere.example%contoso.com", "501 5.1.3"),
        ("|/bin/sh@contoso.com", "550 5.1.1"),
        ("", "501 5.1.3"),
        // Relay domains are accepted, but not as the first hop of a route.
        ("anybody@partner.contoso.com", "ok"),
        ("anybody@deep.legacy.example", "ok"),
        ("victim%elsewhere.example@partner.contoso.com", "550 5.7.1"),
        ("elsewhere.example!victim@partner.contoso.com", "550 5.7.1"),
        ("\"victim@elsewhere.example\"@deep.legacy.example", "550 5.7.1"),
        ("ann@contoso.com", "ok"),
        ("Ann@Contoso.com", "ok"),
        ("nobody@contoso.com", "550 5.1.1"),
    ] {
        assert_eq!(stranger(path), expected, "{path}");
    }
}

#[test]
fn those_the_organization_knows_may_relay() {
    let (organization, user) = (organization(), mailbox());
    for principal in [Principal::User(&user), Principal::ExternallySecured] {
        for (path, expected) in [
            ("victim@elsewhere.example", Lookup::Pointless),
            ("victim%elsewhere.example@partner.contoso.com", Lookup::Useful),
            ("nobody@contoso.com", Lookup::Required),
        ] {
            let address = Address::parse(path).unwrap();
            assert_eq!(check_recipient(usual(principal), &organization, principal, &address), Ok(expected), "{path}");
        }
        let found = |path| {
            let asker = asker(&organization, principal);
            check_found(asker, &Address::parse(path).unwrap(), Lookup::Required, &Found::Nothing).map_err(|r| r.code)
        };
        assert_eq!(found("nobody@contoso.com"), Err(550));
        // PL-45: leads to a gateway, for those who may send to anybody.
        assert_eq!((found("IMCEAFAX-5551234@contoso.com"), found("IMCEAFAX-@contoso.com")), (Ok(()), Err(550)));
        // EN-72: nobody has it in an X.400 domain of ours; of the other one the rest is elsewhere.
        assert_eq!(found("IMCEAX400-c=US+3Ba=Fabrikam+3Bs=Bob@contoso.com"), Err(550));
        assert_eq!(found("IMCEAX400-c=DE+3Bs=Bob@contoso.com"), Ok(()));
    }
}

#[test]
fn strangers_reach_a_contact_by_its_address_inside_and_whoever_may_relay_by_both() {
    // RC-51, PL-49
    let (organization, user) = (organization(), mailbox());
    let external_address = Address::parse("cathy@fabrikam.example").unwrap();
    let contact = DirectoryRecipient {
        primary_address: Address::parse("cathy@contoso.com").unwrap(),
        proxy_addresses: vec![external_address.clone()],
        kind: RecipientKind::MailContact { external_address: external_address.into() },
        ..mailbox()
    };
    let answer = |principal, path: &str| {
        let address = Address::parse(path).unwrap();
        let found = Found::Recipient(contact.clone());
        check_recipient(usual(principal), &organization, principal, &address)
            .and_then(|lookup| check_found(asker(&organization, principal), &address, lookup, &found))
            .map_err(|reply| reply.to_string())
    };
    let refused = Err("550 5.7.1 Unable to relay".to_owned());
    assert_eq!(answer(Principal::Anonymous, "cathy@contoso.com"), Ok(()));
    // An address that the directory knows is no accepted domain: relaying is asked for all the same.
    assert_eq!(answer(Principal::Anonymous, "cathy@fabrikam.example"), refused);
    for principal in [Principal::User(&user), Principal::ExternallySecured] {
        assert_eq!(
            (answer(principal, "cathy@contoso.com"), answer(principal, "cathy@fabrikam.example")),
            (Ok(()), Ok(()))
        );
    }
}

#[test]
fn whom_nobody_is_is_refused_where_recipients_are_looked_up() {
    // EN-82
    use Lookup::{Pointless, Required, Useful};
    let user = mailbox();
    let otherwise = TEXT
        .replace("domainType: Authoritative,", "domainType: Authoritative, addressBookEnabled: false,")
        .replace("domainType: InternalRelay", "domainType: InternalRelay, addressBookEnabled: true")
        .replace("domainType: ExternalRelay", "domainType: ExternalRelay, addressBookEnabled: true");
    let (by_default, otherwise) = (organization(), loaded(&otherwise));
    let (stranger, relays) = (Principal::Anonymous, Principal::User(&user));
    for (organization, principal, path, lookup, unknown) in [
        (&by_default, stranger, "nobody@contoso.com", Required, Err(550)),
        (&by_default, stranger, "nobody@partner.contoso.com", Useful, Ok(())),
        (&by_default, stranger, "nobody@deep.legacy.example", Pointless, Ok(())),
        (&otherwise, stranger, "nobody@contoso.com", Useful, Ok(())),
        (&otherwise, stranger, "nobody@partner.contoso.com", Required, Err(550)),
        (&otherwise, stranger, "nobody@deep.legacy.example", Required, Err(550)),
        // Outboxes send there, too.
        (&otherwise, relays, "nobody@contoso.com", Useful, Ok(())),
        (&otherwise, relays, "nobody@partner.contoso.com", Useful, Ok(())),
        (&otherwise, relays, "nobody@deep.legacy.example", Pointless, Ok(())),
    ] {
        let address = Address::parse(path).unwrap();
        assert_eq!(check_recipient(usual(principal), organization, principal, &address), Ok(lookup), "{path}");
        let found = check_found(asker(organization, principal), &address, lookup, &Found::Nothing);
        assert_eq!(found.map_err(|reply| reply.code), unknown, "{path}");
    }
}

#[test]
fn no_stranger_reaches_a_gateway_whatever_the_type_of_the_default_domain() {
    // PL-45, EN-82
    for (domain_type, looked_up) in
        ["Authoritative", "InternalRelay", "ExternalRelay"].iter().flat_map(|one| [(one, true), (one, false)])
    {
        let default = format!("domainType: {domain_type}, addressBookEnabled: {looked_up}, default: true");
        let organization = loaded(&TEXT.replace("domainType: Authoritative, default: true", &default));
        let user = mailbox();
        let answer = |principal, path: &str, found: Found| {
            let address = Address::parse(path).unwrap();
            check_recipient(usual(principal), &organization, principal, &address)
                .and_then(|lookup| check_found(asker(&organization, principal), &address, lookup, &found))
                .map_err(|reply| reply.code)
        };
        for path in ["IMCEAFAX-5551234@contoso.com", "imceaX400-c=DE@CONTOSO.com"] {
            assert_eq!(answer(Principal::Anonymous, path, Found::Nothing), Err(550), "{path} {default}");
            assert_eq!(answer(Principal::Anonymous, path, Found::Recipient(mailbox())), Ok(()), "{path} {default}");
            assert_eq!(answer(Principal::User(&user), path, Found::Nothing), Ok(()), "{path} {default}");
        }
    }
}

#[test]
fn without_the_directory_strangers_come_again_and_the_others_are_served() {
    // PL-24
    let (organization, user) = (organization(), mailbox());
    let address = Address::parse("ann@contoso.com").unwrap();
    let answer = |principal, lookup| {
        check_found(asker(&organization, principal), &address, lookup, &Found::NoAnswer).map_err(|reply| reply.code)
    };
    assert_eq!(answer(Principal::Anonymous, Lookup::Required), Err(451));
    assert_eq!(answer(Principal::Anonymous, Lookup::Useful), Ok(()));
    assert_eq!(answer(Principal::User(&user), Lookup::Required), Ok(()));
    assert_eq!(answer(Principal::ExternallySecured, Lookup::Required), Ok(()));
}

#[test]
fn a_sender_needs_the_connectors_permission_and_users_send_as_themselves() {
    // RC-40, RC-41
    let user = mailbox();
    let [default, client] = defaults::front_end(&ServerName::parse("MAIL1").unwrap());
    let mut secured = default.clone();
    secured.auth_mechanism = vec![AuthMechanism::Tls, AuthMechanism::ExternalAuthoritative];
    let mut nobody = default.clone(); // RC-24
    nobody.permission_groups.clear();
    for (connector, user, sender, expected) in [
        (&default, None, "anyone@elsewhere.example", "ok"),
        (&default, None, "ann@contoso.com", "ok"),
        (&default, None, "", "ok"),
        (&default, Some(&user), "ann@contoso.com", "530 5.7.1"),
        (&client, None, "ann@contoso.com", "530 5.7.1"),
        (&client, None, "", "530 5.7.1"),
        (&client, Some(&user), "ANN@contoso.com", "ok"),
        (&client, Some(&user), "ann.other@contoso.com", "ok"),
        (&client, Some(&user), "", "ok"),
        (&client, Some(&user), "bob@contoso.com", "550 5.7.60"),
        (&client, Some(&user), "anyone@elsewhere.example", "550 5.7.60"),
        (&secured, None, "anyone@elsewhere.example", "ok"),
        (&nobody, None, "", "530 5.7.1"),
        (&nobody, Some(&user), "ann@contoso.com", "530 5.7.1"),
    ] {
        let principal = Principal::of(connector, user, false);
        let checked = check_sender(connector, &organization(), principal, &mail(sender, 0));
        let answer =
            checked.map_or_else(|reply| format!("{} {}", reply.code, reply.status_or_generic()), |()| "ok".to_owned());
        assert_eq!(answer, expected, "{} {principal:?} {sender}", connector.name);
    }
    assert_eq!(Principal::of(&secured, Some(&user), false), Principal::ExternallySecured);
}

#[test]
fn a_connector_takes_rights_away() {
    // RC-52, RC-53, PF-4
    let [mut connector, _] = defaults::front_end(&ServerName::parse("MAIL1").unwrap());
    let code = |connector: &ReceiveConnector, sender| {
        check_sender(connector, &organization(), Principal::Anonymous, &mail(sender, 0))
            .err()
            .map(|reply| reply.to_string())
    };
    connector.denied_rights = vec![ReceiveRight::AcceptAuthoritativeDomainSender];
    let text = "550 5.7.1 Client does not have permissions to send as this sender";
    assert_eq!(code(&connector, "ceo@contoso.com").as_deref(), Some(text));
    assert_eq!((code(&connector, "a@partner.contoso.com"), code(&connector, "a@b.example")), (None, None));
    assert_eq!(code(&connector, ""), None);
    connector.denied_rights = vec![ReceiveRight::AcceptAnySender];
    assert_eq!((code(&connector, "ceo@contoso.com"), code(&connector, "a@b.example").as_deref()), (None, Some(text)));
}

#[test]
fn single_rights_are_given_and_denied() {
    // PF-4, PF-36: the documented recipe of an anonymous relay, and what else changes by a right.
    let organization = organization();
    let [mut connector, mut client] = defaults::front_end(&ServerName::parse("MAIL1").unwrap());
    let outside = Address::parse("victim@elsewhere.example").unwrap();
    let relays = |connector: &ReceiveConnector, principal| {
        check_recipient(connector, &organization, principal, &outside).is_ok()
    };
    assert!(!relays(&connector, Principal::Anonymous));
    let permission = |text: &str| text.parse().unwrap();
    connector.permissions = vec![permission("allow ms-Exch-SMTP-Accept-Any-Recipient for ANONYMOUS LOGON")];
    assert!(relays(&connector, Principal::Anonymous));
    connector.permissions.push(permission("deny ms-Exch-SMTP-Accept-Any-Recipient for ANONYMOUS LOGON"));
    assert!(!relays(&connector, Principal::Anonymous));
    // What counts as authenticated.
    assert_eq!(Principal::Anonymous.origin(&connector), OriginKind::Anonymous);
    connector.permissions = vec![permission("allow ms-Exch-SMTP-Accept-Authentication-Flag for ANONYMOUS LOGON")];
    assert_eq!(Principal::Anonymous.origin(&connector), OriginKind::ExternallySecured);
    // A user who may send as others; nobody else.
    let (user, other) = (mailbox(), mail("boss@contoso.com", 0));
    let may =
        |connector: &ReceiveConnector| check_sender(connector, &organization, Principal::User(&user), &other).is_ok();
    assert!(!may(&client));
    client.permissions = vec![permission("allow ms-Exch-SMTP-Accept-Any-Sender for ann")];
    assert!(!may(&client), "the organization's own domains are a right of their own");
    client.permissions.push(permission("allow ms-Exch-SMTP-Accept-Authoritative-Domain-Sender for ann"));
    assert!(may(&client));
    client.permissions.push(permission("deny ms-Exch-SMTP-Submit for Authenticated Users"));
    assert!(!may(&client));
}

#[test]
fn what_is_too_large_is_refused_before_it_comes() {
    // LM-05, LM-08, RFC 1870 §6.1: the organization's limit is 10 MB to receive.
    let [connector, client] = defaults::front_end(&ServerName::parse("MAIL1").unwrap());
    let user = DirectoryRecipient { max_send_size: Some(Limit::At(ByteSize::mib(1))), ..mailbox() };
    for (connector, principal, mib, code) in [
        (&connector, Principal::Anonymous, 10, None),
        (&connector, Principal::Anonymous, 11, Some(552)),
        (&client, Principal::User(&user), 1, None),
        (&client, Principal::User(&user), 2, Some(552)),
    ] {
        let mail = mail("ann@contoso.com", mib * 1024 * 1024);
        let refused = check_sender(connector, &organization(), principal, &mail).err().map(|reply| reply.code);
        assert_eq!(refused, code, "{principal:?} {mib}");
    }
    let organization = organization();
    let recipient = DirectoryRecipient { max_receive_size: Some(Limit::At(ByteSize::kib(1))), ..mailbox() };
    let found = Found::Recipient(recipient);
    for (bytes, code) in [(1024, None), (1025, Some(552))] {
        let asker = Asker { size: ByteSize::bytes(bytes), ..asker(&organization, Principal::Anonymous) };
        let address = Address::parse("ann@contoso.com").unwrap();
        assert_eq!(check_found(asker, &address, Lookup::Required, &found).err().map(|reply| reply.code), code);
    }
}

#[test]
fn who_may_send_to_whom() {
    let organization = organization();
    let (group, user) = (Address::parse("all@contoso.com").unwrap(), mailbox());
    let check = |principal, sender: &str, authenticated_only, accept: &[&str], reject: &[&str]| {
        let list = |texts: &[&str]| texts.iter().map(|text| Address::parse(text).unwrap()).collect();
        let restrictions = DeliveryRestrictions {
            require_sender_authentication: authenticated_only,
            accept_only_from: list(accept),
            reject_from: list(reject),
        };
        let kind = RecipientKind::DistributionGroup { members: Vec::new(), expansion_server: None };
        let found = Found::Recipient(DirectoryRecipient { restrictions, kind, ..mailbox() });
        let sender = ReversePath::parse(sender).unwrap();
        let asker = Asker { sender: &sender, ..asker(&organization, principal) };
        check_found(asker, &group, Lookup::Required, &found).is_ok()
    };
    let (stranger, ann) = (Principal::Anonymous, Principal::User(&user));
    assert!(!check(stranger, "a@b.example", true, &[], &[]) && check(ann, "ann@contoso.com", true, &[], &[]));
    assert!(check(stranger, "a@b.example", false, &[], &[]));
    assert!(!check(stranger, "", false, &[], &[]), "PL-51");
    assert!(check(stranger, "a@b.example", false, &["a@b.example"], &[]));
    assert!(!check(stranger, "c@b.example", false, &["a@b.example"], &[]));
    assert!(!check(stranger, "ann@contoso.com", false, &["ann@contoso.com"], &[]), "anybody could say that");
    assert!(check(ann, "ann@contoso.com", true, &["Ann.Other@contoso.com"], &[]));
    assert!(!check(ann, "ann@contoso.com", true, &[], &["ann.other@contoso.com"]));
    assert!(!check(ann, "ann@contoso.com", true, &["bob@contoso.com"], &[]));
}

#[test]
fn strangers_are_not_told_of_success() {
    let [mut connector, _] = defaults::front_end(&ServerName::parse("MAIL1").unwrap());
    let on = |success, failure| Some(Notify::On { success, failure, delay: false });
    let user = mailbox();
    assert_eq!(kept_notify(&connector, Principal::Anonymous, on(true, true)), on(false, true));
    assert_eq!(kept_notify(&connector, Principal::Anonymous, on(true, false)), Some(Notify::Never));
    assert_eq!(kept_notify(&connector, Principal::Anonymous, None), None);
    assert_eq!(kept_notify(&connector, Principal::User(&user), on(true, true)), on(true, true));
    connector.notify_anonymous_of_success = true;
    assert_eq!(kept_notify(&connector, Principal::Anonymous, on(true, true)), on(true, true));
}

#[test]
fn an_edge_server_that_is_being_subscribed_asks_to_come_again_until_it_was_told() {
    // EN-11, EN-12
    let text = "
sites: [{name: Perimeter}]
servers: [{name: EDGE1, fqdn: edge1.contoso.com, site: Perimeter, role: Edge}]
";
    let mut own = organization::load(text, Revision(1)).unwrap().organization.servers()[0].clone();
    let code = |own: &Server| check_told(own).map_or_else(|reply| reply.code, |()| 0);
    assert_eq!(code(&own), 0, "nobody will tell it");
    own.edge.pending_key = Some("key".to_owned());
    assert_eq!(code(&own), 451);
    // The organization has come, and its domains and recipients are on their way.
    own.edge.pending_key = None;
    own.edge.organization = Some(envelope::Domain::parse("contoso.com").unwrap());
    own.edge.organization_authorities = vec!["PEM".to_owned()];
    assert_eq!(code(&own), 451);
    own.edge.recipient_salt = Some("salt".to_owned());
    assert_eq!(code(&own), 0);
    // EN-43: mail goes on by what was.
    own.edge.pending_key = Some("another".to_owned());
    assert_eq!(code(&own), 0);
}

#[test]
fn an_edge_server_reports_in_its_own_name_until_it_is_subscribed() {
    // DS-21
    let text = "
sites: [{name: Perimeter}]
servers: [{name: EDGE1, fqdn: edge1.contoso.com, site: Perimeter, role: Edge}]
acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]
";
    let organization = organization::load(text, Revision(1)).unwrap().organization;
    let mut own = organization.servers()[0].clone();
    let from = |own: &Server| organization.postmaster(own).unwrap().to_string();
    assert_eq!(from(&own), "postmaster@edge1.contoso.com");
    own.edge.organization = Some(envelope::Domain::parse("contoso.com").unwrap());
    own.edge.organization_authorities = vec!["PEM".to_owned()];
    assert_eq!(from(&own), "postmaster@contoso.com");
}
