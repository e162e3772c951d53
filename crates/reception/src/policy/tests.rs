//! The usual tests for an open relay, and the rules one by one.

use envelope::{ObjectName, Revision, ServerName};
use topology::receive_connector::defaults;
use topology::{Guid, RecipientKind};

use super::*;

fn organization() -> Organization {
    let text = "
sites: [{name: Berlin}]
servers: [{name: MAIL1, fqdn: mail1.contoso.com, site: Berlin}]
acceptedDomains:
  - {name: contoso, domainName: contoso.com, domainType: Authoritative, default: true}
  - {name: partner, domainName: partner.contoso.com, domainType: InternalRelay}
  - {name: legacy, domainName: '*.legacy.example', domainType: ExternalRelay}
";
    organization::load(text, Revision(1)).unwrap().organization
}

fn mailbox() -> DirectoryRecipient {
    DirectoryRecipient {
        guid: Guid::ZERO,
        name: ObjectName::parse("ann").unwrap(),
        primary_address: Address::parse("ann@contoso.com").unwrap(),
        proxy_addresses: vec![Address::parse("Ann.Other@contoso.com").unwrap()],
        max_receive_size: None,
        max_send_size: None,
        kind: RecipientKind::Mailbox { database: ObjectName::parse("DB1").unwrap(), password: None },
    }
}

/// What a stranger's `RCPT TO:<path>` gets, the parser of paths included: the code, or `ok`.
fn stranger(path: &str) -> String {
    let Ok(address) = Address::parse(path) else { return "501 5.1.3".to_owned() };
    let organization = organization();
    let found = if address.key() == "ann@contoso.com" { Found::Recipient(mailbox()) } else { Found::Nothing };
    let checked = check_recipient(&organization, Principal::Anonymous, &address)
        .and_then(|lookup| check_found(Principal::Anonymous, lookup, &found));
    checked.map_or_else(|reply| format!("{} {}", reply.code, reply.status_or_generic()), |()| "ok".to_owned())
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
            assert_eq!(check_recipient(&organization, principal, &address), Ok(expected), "{path}");
        }
        assert_eq!(check_found(principal, Lookup::Required, &Found::Nothing).unwrap_err().code, 550);
    }
}

#[test]
fn without_the_directory_strangers_come_again_and_the_others_are_served() {
    // PL-24
    let user = mailbox();
    let answer = |principal, lookup| check_found(principal, lookup, &Found::NoAnswer).map_err(|reply| reply.code);
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
    let mut nobody = default.clone();
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
        let principal = Principal::of(connector, user);
        let checked = check_sender(connector, principal, &ReversePath::parse(sender).unwrap());
        let answer =
            checked.map_or_else(|reply| format!("{} {}", reply.code, reply.status_or_generic()), |()| "ok".to_owned());
        assert_eq!(answer, expected, "{} {principal:?} {sender}", connector.name);
    }
    assert_eq!(Principal::of(&secured, Some(&user)), Principal::ExternallySecured);
}
