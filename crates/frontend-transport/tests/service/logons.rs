//! Log-ons whose passwords another directory keeps: asked there by a bind under TLS, as they are typed and never without one.

use std::path::Path;

use directory::Change;
use envelope::{Address, ObjectName};
use organization::{Kind, Object};
use runtime::{LdapSettings, Settings};
use testkit::Client;
use testkit::entrances::{CLIENTS, PASSWORD};
use testkit::ldap::{LdapServer, SUFFIX};
use topology::recipient::Provenance;
use topology::{DeliveryRestrictions, DirectoryRecipient, RecipientKind};

use crate::support::{Conduct, Scene};

/// Dora's password is there; Emil's is there too, but his mailbox has a verifier of its own here.
const PEOPLE: &str = "\
dn: uid=dora,dc=contoso,dc=example
objectClass: inetOrgPerson
uid: dora
cn: Dora
sn: Dora
userPassword: staple

dn: uid=emil,dc=contoso,dc=example
objectClass: inetOrgPerson
uid: emil
cn: Emil
sn: Emil
userPassword: staple

";

fn source(server: &LdapServer) -> LdapSettings {
    source_of("ldaps://127.0.0.1:1", server, &server.authority())
}

/// Two servers, of which the first is asked first, and the file of authorities of both.
fn source_of(first: &str, second: &LdapServer, authorities: &Path) -> LdapSettings {
    let text = format!(
        "server = 'MAIL1'\nforest = 'contoso.com'\nstate = 's'\n[directory]\nkind = 'embedded'\npath = 'd'\n[identity]\npath = 'i'\n\
         [ldap.contoso]\nservers = ['{first}', '{}']\nca = '{}'\nbase = '{SUFFIX}'\nschema = 'inetorgperson'\n\
         logons = true\n",
        second.starttls_url(),
        authorities.display()
    );
    let settings = Settings::parse(&text, "server.toml".as_ref()).unwrap();
    settings.ldap.into_values().next().unwrap()
}

fn mailbox(name: &str, entry: &str, source: &str) -> DirectoryRecipient {
    DirectoryRecipient {
        guid: Kind::Recipient.derived_guid(name),
        name: ObjectName::parse(name).unwrap(),
        primary_address: Address::parse(&format!("{name}@contoso.com")).unwrap(),
        proxy_addresses: vec![],
        max_receive_size: None,
        max_send_size: None,
        restrictions: DeliveryRestrictions::default(),
        kind: RecipientKind::Mailbox { database: ObjectName::parse("DB1").unwrap(), password: None },
        provenance: Some(Provenance { source: ObjectName::parse(source).unwrap(), entry: entry.into() }),
    }
}

async fn scene(server: &LdapServer) -> Scene {
    scene_with(source(server)).await
}

async fn scene_with(source: LdapSettings) -> Scene {
    let scene = Scene::with(&[("MAIL1", Conduct::Take)], |settings| {
        settings.ldap.insert(ObjectName::parse("contoso").unwrap(), source);
    })
    .await;
    let verifier = Some(directory::create_verifier(PASSWORD));
    let mut emil = mailbox("emil", &format!("uid=emil,{SUFFIX}"), "contoso");
    emil.kind = RecipientKind::Mailbox { database: ObjectName::parse("DB1").unwrap(), password: verifier };
    let puts = vec![
        mailbox("dora", &format!("uid=dora,{SUFFIX}"), "contoso"),
        emil,
        // Its entry has gone; it has none; nobody here asks its source.
        mailbox("fred", &format!("uid=fred,{SUFFIX}"), "contoso"),
        mailbox("gina", "", "contoso"),
        mailbox("hans", &format!("uid=dora,{SUFFIX}"), "elsewhere"),
    ];
    let puts = puts.into_iter().map(|one| Object::Recipient(Box::new(one))).collect();
    scene.world.directory().commit(Change { puts, ..Change::by(testkit::node::author()) }).await.unwrap();
    scene
}

async fn client(scene: &Scene) -> Client {
    scene.client(CLIENTS).await.start_tls().await
}

const GOOD: &str = "235 2.7.0 Authentication successful";
const WRONG: &str = "535 5.7.3 Authentication unsuccessful";

#[tokio::test]
async fn a_password_that_another_directory_keeps_is_asked_there() {
    let server = LdapServer::start(PEOPLE);
    let scene = scene(&server).await;
    for (user, password, expected) in [
        ("dora@contoso.com", "staple", GOOD),
        ("CONTOSO\\dora", "staple", GOOD),
        ("dora@contoso.com", "Staple", WRONG),
        ("emil@contoso.com", PASSWORD, GOOD),
        ("emil@contoso.com", "staple", WRONG),
        ("ann@contoso.com", PASSWORD, GOOD),
        ("fred@contoso.com", "staple", WRONG),
        ("gina@contoso.com", "staple", WRONG),
        ("hans@contoso.com", "staple", WRONG),
    ] {
        let reply = client(&scene).await.log_on(user, password).await;
        assert_eq!(reply, expected, "{user} {password}");
    }
    let mut client = client(&scene).await;
    assert_eq!(client.log_on("dora@contoso.com", "staple").await, GOOD);
    let reply = client.send("dora@contoso.com", &["ann@contoso.com"], "Subject: Hi\r\n\r\nBody").await;
    assert!(reply.starts_with("250 2.6.0 "), "{reply}");
}

#[tokio::test]
async fn nobody_logs_on_without_a_password() {
    // RFC 4513 §5.1.2: to a bind with a name and no password a directory says yes.
    let server = LdapServer::start(PEOPLE);
    let scene = scene(&server).await;
    let reply = client(&scene).await.log_on("dora@contoso.com", "").await;
    assert!(reply.starts_with('5'), "{reply}");
    let mut client = client(&scene).await;
    assert!(client.say("AUTH LOGIN").await.starts_with("334"));
    assert!(client.say("ZG9yYUBjb250b3NvLmNvbQ==").await.starts_with("334"));
    let reply = client.say("").await;
    assert!(reply.starts_with('5'), "{reply}");
    assert_eq!(client.say("MAIL FROM:<dora@contoso.com>").await, "530 5.7.1 Client was not authenticated");
}

#[tokio::test]
async fn while_the_directory_is_away_its_users_are_asked_to_come_again() {
    let mut server = LdapServer::start(PEOPLE);
    let scene = scene(&server).await;
    server.kill();
    let mut client = client(&scene).await;
    // However often: it is no failed log-on.
    for _ in 0..3 {
        let reply = client.log_on("dora@contoso.com", "staple").await;
        assert_eq!(reply, "454 4.7.0 Temporary authentication failure");
    }
    assert_eq!(client.log_on("emil@contoso.com", PASSWORD).await, GOOD, "who is known here logs on");
    server.restart();
    let reply = self::client(&scene).await.log_on("dora@contoso.com", "staple").await;
    assert_eq!(reply, GOOD);
}

#[tokio::test]
async fn a_server_that_only_says_that_it_cannot_keeps_nobody_from_the_next() {
    let (mut unwilling, server) = (LdapServer::start(PEOPLE), LdapServer::start(PEOPLE));
    unwilling.restart_unwilling();
    let authorities = tempfile::NamedTempFile::new().unwrap();
    let both = [&unwilling, &server].map(|server| std::fs::read_to_string(server.authority()).unwrap());
    std::fs::write(authorities.path(), both.concat()).unwrap();
    let scene = scene_with(source_of(&unwilling.url(), &server, authorities.path())).await;
    for (password, expected) in [("staple", GOOD), ("Staple", WRONG), ("staple", GOOD)] {
        assert_eq!(client(&scene).await.log_on("dora@contoso.com", password).await, expected, "{password}");
    }
}
