//! What becomes of entries beside recipients that are there: brought, changed, kept, left out.

use topology::recipient::PasswordVerifier;
use topology::{AcceptedDomain, AcceptedDomainType, Database};

use super::*;

fn name(text: &str) -> ObjectName {
    ObjectName::parse(text).unwrap()
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn draft() -> OrganizationDraft {
    let database = |text: &str| Database {
        guid: Guid::derived("database", text),
        name: name(text),
        home: topology::DatabaseHome::Server("BERLIN1".parse().unwrap()),
    };
    let contoso = AcceptedDomain {
        guid: Guid::ZERO,
        name: name("Contoso"),
        domain: "contoso.com".parse().unwrap(),
        domain_type: AcceptedDomainType::Authoritative,
        address_book_enabled: true,
        is_default: true,
    };
    OrganizationDraft {
        databases: ["DB1", "DB2"].map(database).to_vec(),
        accepted_domains: vec![contoso],
        ..OrganizationDraft::default()
    }
}

fn terms(schema: Schema) -> Terms {
    Terms { source: name("contoso"), schema, database: Some(name("DB1")) }
}

/// An entry with `attribute: value` in lines; its identity is made from its number.
fn entry(number: u8, dn: &str, lines: &[&str]) -> Entry {
    let mut entry = Entry::new(dn);
    entry.add("objectGUID", [vec![number; 16]]);
    entry.add("entryUUID", [uuid::Uuid::from_bytes([number; 16]).to_string().into_bytes()]);
    for line in lines {
        let (attribute, value) = line.split_once(": ").unwrap();
        entry.add(attribute, [value.as_bytes().to_vec()]);
    }
    entry
}

fn person(number: u8, uid: &str) -> Entry {
    let (uid, mail) = (format!("uid: {uid}"), format!("mail: {uid}@contoso.com"));
    entry(number, &format!("{},dc=contoso", uid.replace(": ", "=")), &["objectClass: inetOrgPerson", &uid, &mail])
}

fn made_here(text: &str) -> DirectoryRecipient {
    DirectoryRecipient {
        guid: Guid::derived("recipient", text),
        name: name(text),
        primary_address: address(&format!("{text}@contoso.com")),
        proxy_addresses: Vec::new(),
        max_receive_size: None,
        max_send_size: None,
        restrictions: DeliveryRestrictions::default(),
        kind: RecipientKind::Mailbox { database: name("DB1"), password: None },
        provenance: None,
    }
}

/// Each recipient in a line.
fn told(merge: &Merge) -> Vec<String> {
    let joined = |addresses: &[Address]| addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(",");
    let line = |one: &DirectoryRecipient| {
        let kind = match &one.kind {
            RecipientKind::Mailbox { database, .. } => format!("in {database}"),
            RecipientKind::MailContact { external_address } => format!("to {external_address}"),
            RecipientKind::DistributionGroup { members, .. } => format!("of {}", joined(members)),
        };
        let proxies = joined(&one.proxy_addresses);
        format!("{} {} [{proxies}] {kind}", one.name, one.primary_address)
    };
    let mut lines: Vec<_> = merge.recipients.iter().map(line).collect();
    lines.sort();
    lines
}

fn left_out(merge: &Merge) -> Vec<String> {
    merge.left_out.iter().map(|out| format!("{}: {}", out.entry, out.reason)).collect()
}

#[test]
fn active_directory_is_read_by_the_attributes_of_exchange() {
    let entries = [
        entry(
            1,
            "CN=Anna Berg,OU=People,DC=contoso,DC=com",
            &[
                "objectClass: user",
                "sAMAccountName: anna",
                "mail: anna@contoso.com",
                "proxyAddresses: smtp:a.berg@contoso.com",
                "proxyAddresses: SMTP:Anna.Berg@contoso.com",
                "proxyAddresses: SIP:anna@contoso.com",
                "proxyAddresses: X500:/o=Old/cn=anna",
                "legacyExchangeDN: /o=Contoso/cn=Recipients/cn=anna",
                "homeMDB: CN=DB2,CN=Databases,CN=Contoso,CN=Microsoft Exchange",
            ],
        ),
        entry(
            2,
            "CN=Carol,OU=People,DC=contoso,DC=com",
            &[
                "objectClass: contact",
                "mailNickname: carol",
                "mail: carol@contoso.com",
                "targetAddress: SMTP:carol@fabrikam.com",
            ],
        ),
        entry(3, "CN=Dave,DC=contoso,DC=com", &["objectClass: contact", "cn: Dave", "mail: dave@fabrikam.com"]),
        entry(
            5,
            "CN=Fax,DC=contoso,DC=com",
            &["objectClass: contact", "mailNickname: fax", "mail: fax@contoso.com", "targetAddress: FAX:+4930123456"],
        ),
        entry(
            4,
            "CN=Team,DC=contoso,DC=com",
            &[
                "objectClass: group",
                "sAMAccountName: team",
                "mail: team@contoso.com",
                "member: cn=carol,ou=people,dc=contoso,dc=com",
                "member: CN=Anna Berg, OU=People, DC=contoso, DC=com",
                "member: CN=Printer,DC=contoso,DC=com",
            ],
        ),
    ];
    let merged = merge(&terms(Schema::ActiveDirectory), &entries, &[], &draft());
    assert_eq!(
        told(&merged),
        [
            "Dave dave@fabrikam.com [] to dave@fabrikam.com",
            "anna Anna.Berg@contoso.com [a.berg@contoso.com,anna@contoso.com,\
             IMCEAEX-_o=Contoso_cn=Recipients_cn=anna@contoso.com,IMCEAEX-_o=Old_cn=anna@contoso.com] in DB2",
            "carol carol@contoso.com [] to carol@fabrikam.com",
            "fax fax@contoso.com [] to FAX:+4930123456",
            "team team@contoso.com [] of Anna.Berg@contoso.com,carol@contoso.com",
        ]
    );
    assert_eq!((merged.members_unknown, merged.left_out.len()), (1, 0));
    let again = merge(&terms(Schema::ActiveDirectory), &entries, &merged.recipients, &draft());
    assert_eq!(again.recipients, merged.recipients, "what is the same changes nothing");
}

#[test]
fn inet_org_person_and_its_groups_are_read() {
    let group = entry(
        9,
        "cn=staff,dc=contoso",
        &[
            "objectClass: posixGroup",
            "cn: staff",
            "mail: staff@contoso.com",
            "memberUid: ANNA",
            "rfc822MailMember: x@fabrikam.com",
        ],
    );
    let mut forwarded = person(2, "ben");
    forwarded.add("mailRoutingAddress", [b"ben@fabrikam.com".to_vec()]);
    let mut anna = person(1, "anna");
    anna.add("mailAlternateAddress", [b"a@contoso.com".to_vec()]);
    let merged = merge(&terms(Schema::InetOrgPerson), &[anna, forwarded, group], &[], &draft());
    assert_eq!(
        told(&merged),
        [
            "anna anna@contoso.com [a@contoso.com] in DB1",
            "ben ben@contoso.com [] to ben@fabrikam.com",
            "staff staff@contoso.com [] of anna@contoso.com,x@fabrikam.com",
        ]
    );
}

#[test]
fn what_the_organization_knows_better_stays() {
    let first = merge(&terms(Schema::InetOrgPerson), &[person(1, "anna")], &[], &draft());
    let mut anna = first.recipients[0].clone();
    let verifier = Some(PasswordVerifier("x".into()));
    anna.kind = RecipientKind::Mailbox { database: name("DB2"), password: verifier };
    anna.restrictions.require_sender_authentication = true;
    let mut renamed = person(1, "anna.berg");
    renamed.add("mail", [b"anna@contoso.com".to_vec()]);
    let merged = merge(&terms(Schema::InetOrgPerson), &[renamed], &[anna.clone()], &draft());
    // The folder of the mailbox has its name; of several values of `mail` the one that was the primary one stays it.
    assert_eq!(told(&merged), ["anna anna@contoso.com [anna.berg@contoso.com] in DB2"]);
    assert_eq!((&merged.recipients[0].kind, &merged.recipients[0].restrictions), (&anna.kind, &anna.restrictions));
}

#[test]
fn what_was_made_here_is_never_touched_and_conflicts_name_both_places() {
    let stored = [made_here("anna"), made_here("olga")];
    let mut ben = person(2, "ben");
    ben.add("mailAlternateAddress", [b"OLGA@contoso.com".to_vec()]);
    let entries = [person(1, "anna"), ben, person(3, "cid")];
    let merged = merge(&terms(Schema::InetOrgPerson), &entries, &stored, &draft());
    assert_eq!(
        told(&merged),
        ["anna anna@contoso.com [] in DB1", "cid cid@contoso.com [] in DB1", "olga olga@contoso.com [] in DB1"]
    );
    assert!(stored.iter().all(|one| merged.recipients.contains(one)));
    assert_eq!(
        left_out(&merged),
        [
            "uid=anna,dc=contoso: the name anna belongs to recipients[\"anna\"], which was made here",
            "uid=ben,dc=contoso: the address OLGA@contoso.com belongs to recipients[\"olga\"], which was made here",
        ]
    );
    // Nothing in the source any more: what is of others stays, what it brought goes.
    let emptied = merge(&terms(Schema::InetOrgPerson), &[], &merged.recipients, &draft());
    assert_eq!(emptied.recipients, stored);
}

#[test]
fn an_entry_that_conflicts_or_cannot_be_read_keeps_what_it_was() {
    let first = merge(&terms(Schema::InetOrgPerson), &[person(1, "anna"), person(2, "ben")], &[], &draft());
    // Ben wants an address of Anna's, and Anna's entry is broken.
    let mut ben = person(2, "ben");
    ben.add("mailAlternateAddress", [b"anna@contoso.com".to_vec()]);
    let broken = entry(1, "uid=anna,dc=contoso", &["objectClass: inetOrgPerson", "uid: anna", "mail: no address"]);
    let merged = merge(&terms(Schema::InetOrgPerson), &[broken, ben], &first.recipients, &draft());
    assert_eq!(told(&merged), told(&first));
    assert_eq!(
        left_out(&merged),
        [
            "uid=anna,dc=contoso: its address \"no address\": an address needs a local part, an @ and a domain",
            "uid=ben,dc=contoso: the address anna@contoso.com belongs to recipients[\"anna\"], which [ldap.contoso] brought \
             from \"uid=anna,dc=contoso\"",
        ]
    );
    assert_eq!(merged.left_out.iter().map(|out| out.conflict).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn two_entries_that_want_the_same_are_said_with_both() {
    let mut double = person(2, "bert");
    double.add("mail", [b"anna@contoso.com".to_vec()]);
    let merged = merge(&terms(Schema::InetOrgPerson), &[double, person(1, "anna")], &[], &draft());
    assert_eq!(told(&merged), ["anna anna@contoso.com [] in DB1"]);
    let expected = "uid=bert,dc=contoso: the address anna@contoso.com belongs to the entry \"uid=anna,dc=contoso\"";
    assert_eq!(left_out(&merged), [expected]);
}

#[test]
fn a_mailbox_without_a_database_is_left_out_with_what_to_say() {
    let terms = Terms { database: None, ..terms(Schema::InetOrgPerson) };
    let merged = merge(&terms, &[person(1, "anna")], &[], &draft());
    assert!(merged.recipients.is_empty());
    assert!(left_out(&merged)[0].contains("say `database` in [ldap.contoso]"), "{:?}", left_out(&merged));
}

#[test]
fn an_entry_that_was_made_anew_is_the_recipient_of_its_name() {
    let first = merge(&terms(Schema::InetOrgPerson), &[person(1, "anna")], &[], &draft());
    let merged = merge(&terms(Schema::InetOrgPerson), &[person(7, "Anna")], &first.recipients, &draft());
    assert_eq!(merged.recipients[0].guid, first.recipients[0].guid);
    assert_eq!(merged.recipients.len(), 1);
}
