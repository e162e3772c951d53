//! `postroad sync ldap` against a real slapd: what is brought, kept, left out, refused.

use std::fmt::Write as _;

use serde_json::Value;
use testkit::ldap::{LdapServer, READER, READER_PASSWORD, SIZE_LIMIT, SUFFIX};

use crate::support::Desk;

/// A source of inetOrgPerson. The organization of the desk has anna, made here.
const PEOPLE: &str = "\
dn: uid=ben,dc=contoso,dc=example
objectClass: inetOrgPerson
objectClass: extensibleObject
uid: ben
cn: Ben
sn: Ben
mail: ben@contoso.example
mailAlternateAddress: b.meier@contoso.example

dn: uid=cid,dc=contoso,dc=example
objectClass: inetOrgPerson
objectClass: inetLocalMailRecipient
uid: cid
cn: Cid
sn: Cid
mail: cid@contoso.example
mailRoutingAddress: cid@fabrikam.example

dn: cn=Sales,dc=contoso,dc=example
objectClass: groupOfNames
objectClass: extensibleObject
cn: sales
mail: sales@contoso.example
member: uid=cid,dc=contoso,dc=example
member: UID=ben, DC=contoso, DC=example
member: cn=reader,dc=contoso,dc=example

";

/// The desk with its organization, and the source in its settings.
fn desk(server: &str, authority: &LdapServer, schema: &str) -> Desk {
    let desk = Desk::with_directory();
    desk.done("apply contoso.yaml --settings server.toml --yes");
    desk.write("password", &format!("{READER_PASSWORD}\n"));
    let settings = std::fs::read_to_string(desk.path("server.toml")).unwrap();
    desk.write(
        "server.toml",
        &format!(
            "{settings}[ldap.contoso]\nservers = ['{server}']\nca = '{}'\nbind-dn = '{READER}'\npassword-file = 'password'\n\
             base = '{SUFFIX}'\nschema = '{schema}'\ndatabase = 'DB1'\n",
            authority.authority().display()
        ),
    );
    desk
}

fn people(server: &LdapServer) -> Desk {
    desk(&server.url(), server, "inetorgperson")
}

const SYNC: &str = "sync ldap --settings server.toml";

#[test]
fn recipients_come_and_are_kept_like_there() {
    let server = LdapServer::start(PEOPLE);
    let desk = people(&server);
    let plan = desk.done(&format!("{SYNC} --dry-run"));
    assert!(plan.ends_with("\nPlan: 3 to create, 0 to update, 0 to delete.\n"), "{plan}");
    assert!(
        plan.contains("  + recipients[\"ben\"]\n")
            && plan.contains(r#"["ben@contoso.example", "cid@contoso.example"]"#),
        "{plan}"
    );
    assert!(!desk.done("export --settings server.toml").contains("ben@"), "a dry run changes nothing");
    let run = desk.run(SYNC);
    assert!(run.succeeded && run.out.contains("Applied: 3 changes;"), "{}{}", run.out, run.err);
    assert_eq!(run.err, "1 members of groups have no address in contoso\n");
    assert_eq!(desk.done(SYNC), "No changes. The recipients are as contoso has them.\n");
    // What the page shows.
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ldap.md")).unwrap();
    let shown: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("$ postroad sync")).collect();
    assert!(shown.len() >= 3, "{shown:?}");
    for arguments in shown {
        let arguments = arguments.split_once('#').map_or(arguments, |(arguments, _)| arguments);
        desk.done(&format!("sync{arguments} --settings server.toml"));
    }
    // Who did it, through what, and what one of them is now.
    let audit = desk.done("audit --settings server.toml");
    assert!(audit.contains("postroad sync ldap contoso") && audit.contains("sales"), "{audit}");
    let exported = desk.done("export --settings server.toml");
    assert!(exported.contains("syncedFrom: contoso\n"), "{exported}");
    let explained = desk.done("explain b.meier@contoso.example --from OSLO1 --settings server.toml");
    assert!(explained.contains("BERLIN1"), "{explained}");

    // What differs is written, and nothing else.
    server.change(
        "dn: uid=ben,dc=contoso,dc=example\nchangetype: modify\nreplace: mailAlternateAddress\n\
         mailAlternateAddress: meier@contoso.example\n\n\
         dn: uid=cid,dc=contoso,dc=example\nchangetype: delete\n",
    );
    let run = desk.run(&format!("{SYNC} --deletions-percent-max 34"));
    assert!(run.succeeded, "{}{}", run.out, run.err);
    for line in [
        "  ~ recipients[\"ben\"]\n      ~ proxyAddresses  [\"b.meier@contoso.example\"] -> [\"meier@contoso.example\"]\n",
        "      ~ members  [\"ben@contoso.example\", \"cid@contoso.example\"] -> [\"ben@contoso.example\"]\n",
        "  - recipients[\"cid\"]\n",
        "Plan: 0 to create, 2 to update, 1 to delete.",
    ] {
        assert!(run.out.contains(line), "{line}: {}", run.out);
    }
    // The file of the organization does not name them, and does not delete them.
    assert!(desk.done("apply contoso.yaml --settings server.toml").starts_with("No changes."));
}

#[test]
fn more_deletions_than_believed_change_nothing() {
    let mut ldif = PEOPLE.to_owned();
    for number in 0..7 {
        let dn = format!("uid=user{number},{SUFFIX}");
        writeln!(ldif, "dn: {dn}\nobjectClass: inetOrgPerson\nuid: user{number}\ncn: U\nsn: U\nmail: user{number}@contoso.example\n")
            .unwrap();
    }
    let server = LdapServer::start(&ldif);
    let desk = people(&server);
    desk.done(SYNC);
    let before = desk.done("export --settings server.toml");
    let settings = std::fs::read_to_string(desk.path("server.toml")).unwrap();
    desk.write("mistyped.toml", &settings.replace("database =", "filter = '(uid=ben)'\ndatabase ="));
    for line in ["sync ldap --settings mistyped.toml", "sync ldap --settings mistyped.toml --dry-run"] {
        let refused = desk.refused(line);
        assert!(refused.contains("9 of the 10 recipients that came from contoso would be deleted"), "{refused}");
        assert!(refused.contains("--deletions-percent-max 90;"), "{refused}");
    }
    assert_eq!(desk.done("export --settings server.toml"), before);
    // One in ten is believed; all nine when somebody says so. What was made here stays either way.
    server.change(&format!("dn: uid=user0,{SUFFIX}\nchangetype: delete\n"));
    assert!(desk.done(SYNC).contains("1 to delete."));
    let done = desk.done("sync ldap --settings mistyped.toml --deletions-percent-max 90");
    assert!(done.contains("8 to delete."), "{done}");
    let exported = desk.done("export --settings server.toml");
    assert!(exported.contains("anna@contoso.example") && exported.contains("team@contoso.example"), "{exported}");
}

#[test]
fn the_attributes_of_exchange_are_read_over_starttls_and_conflicts_name_both_places() {
    let ldif = "\
dn: cn=Anna Berg,dc=contoso,dc=example
objectClass: user
cn: Anna Berg
objectGUID:: AAECAwQFBgcICQoLDA0ODw==
sAMAccountName: a.berg2
mail: anna.b@contoso.example
proxyAddresses: SMTP:anna.b@contoso.example
proxyAddresses: smtp:A.Berg@contoso.example

dn: cn=Dora,dc=contoso,dc=example
objectClass: user
cn: Dora
objectGUID:: HiwMbQtfX0uaDnwdP2sqlA==
sAMAccountName: dora
mail: dora@contoso.example
proxyAddresses: smtp:d@contoso.example
proxyAddresses: SMTP:Dora@contoso.example
legacyExchangeDN: /o=Contoso/cn=Recipients/cn=dora
homeMDB: cn=DB2,dc=contoso,dc=example

";
    let server = LdapServer::start(ldif);
    let desk = desk(&server.starttls_url(), &server, "active-directory");
    let run = desk.run(&format!("{SYNC} --json"));
    assert_eq!(run.status, 1, "{}{}", run.out, run.err);
    let told: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&told["source"], &told["applied"]), (&"contoso".into(), &true.into()), "{told}");
    assert!(told["revision"].is_u64());
    let changes = told["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{told}");
    assert_eq!((&changes[0]["change"], &changes[0]["recipient"]), (&"create".into(), &"dora".into()));
    assert_eq!(changes[0]["kind"], "mailbox");
    assert_eq!(
        told["leftOut"],
        serde_json::json!([{
            "entry": "cn=Anna Berg,dc=contoso,dc=example",
            "reason": "the address A.Berg@contoso.example belongs to recipients[\"anna\"], which was made here",
            "conflict": true,
        }])
    );
    let exported = desk.done("export --settings server.toml");
    for line in [
        "guid: 6d0c2c1e-5f0b-4b5f-9a0e-7c1d3f6b2a94",
        "address: Dora@contoso.example",
        "database: DB2",
        "IMCEAEX-_o=Contoso_cn=Recipients_cn=dora@contoso.example",
        "syncedEntry: cn=Dora,dc=contoso,dc=example",
    ] {
        assert!(exported.contains(line), "{line}: {exported}");
    }
}

#[test]
fn a_directory_with_a_size_limit_is_read_page_by_page() {
    let number = SIZE_LIMIT + 50;
    let mut ldif = String::new();
    for number in 0..number {
        let dn = format!("uid=user{number},{SUFFIX}");
        writeln!(ldif, "dn: {dn}\nobjectClass: inetOrgPerson\nuid: user{number}\ncn: U\nsn: U\nmail: user{number}@contoso.example\n")
            .unwrap();
    }
    let server = LdapServer::start(&ldif);
    let desk = people(&server);
    let plan = desk.done(&format!("{SYNC} --dry-run"));
    assert!(plan.ends_with(&format!("\nPlan: {number} to create, 0 to update, 0 to delete.\n")));
}

#[test]
fn what_does_not_work_says_what_to_do_and_changes_nothing() {
    let mut server = LdapServer::start(PEOPLE);
    let desk = people(&server);
    let before = desk.done("export --settings server.toml");
    let settings = std::fs::read_to_string(desk.path("server.toml")).unwrap();
    desk.write("wrong", "wrong\n");
    desk.write("empty", "\n");
    let own = format!("ca = '{}'", server.authority().display());
    for (change, to, expected) in [
        ("password-file = 'password'", "password-file = 'wrong'", "cannot log on: invalid credentials (result 49)"),
        ("password-file = 'password'", "password-file = 'empty'", "empty holds no password"),
        ("password-file = 'password'", "password-file = 'nowhere'", "cannot read password-file of [ldap.contoso]"),
        (&*own, "ca = 'identity/ca.pem'", "no server of [ldap.contoso] answers: ldaps://127.0.0.1:"),
        ("base = 'dc=contoso", "base = 'dc=nowhere", "there is no such entry; check `base`"),
        ("database = 'DB1'", "filter = '(mail=*'", "\"(mail=*\" is no filter (RFC 4515)"),
        (
            "[ldap.contoso]",
            "[ldap.other]\nservers = ['ldaps://x.example']\nbase = ''\nschema = 'inetorgperson'\n[ldap.contoso]",
            "several sources; name one of them: contoso, other",
        ),
        ("[ldap.contoso]", "[ldap.contoso]\nfilters = '(uid=x)'", "there is no setting ldap.contoso.filters"),
    ] {
        assert!(settings.contains(change), "{change}");
        desk.write("changed.toml", &settings.replace(change, to));
        let refused = desk.refused("sync ldap --settings changed.toml");
        assert!(refused.contains(expected), "{to}: {refused}");
    }
    assert!(
        desk.refused("sync ldap fabrikam --settings server.toml").contains("no [ldap.fabrikam]; there are: contoso")
    );
    // Without a database nobody's mailbox can be made: said, and the others come.
    desk.write("changed.toml", &settings.replace("database = 'DB1'", ""));
    let run = desk.run("sync ldap --settings changed.toml --dry-run");
    assert!(run.succeeded && run.err.contains("left out: uid=ben,dc=contoso,dc=example: no database"), "{}", run.err);
    server.kill();
    let refused = desk.refused(SYNC);
    assert!(
        refused.contains("no server of [ldap.contoso] answers") && refused.contains("Connection refused"),
        "{refused}"
    );
    assert_eq!(desk.done("export --settings server.toml"), before);
}
