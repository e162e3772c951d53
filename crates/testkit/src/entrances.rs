//! What every service with SMTP must answer its clients, whatever it does with their messages: the same checks for Front End
//! Transport and for Transport.

use std::net::SocketAddr;

use directory::Change;
use envelope::{Address, MessageHead, ObjectName, OriginKind};
use organization::{Kind, Object};
use topology::{DeliveryRestrictions, DirectoryRecipient, RecipientKind};

use crate::node::World;
use crate::smtp::Client;
use crate::wait::until;

/// Where strangers come in, as the configuration says it.
pub const STRANGERS: &str = "127.0.0.1:0";
/// Where mail clients come in.
pub const CLIENTS: &str = "127.0.0.2:0";
/// Where trusted devices come in.
pub const DEVICES: &str = "127.0.0.3:0";
/// The password of every mailbox.
pub const PASSWORD: &str = "correct horse";

const MESSAGE: &str = "Message-ID: <1@client.example>\r\nSubject: Hi\r\nX-MS-Exchange-Organization-SCL: -1\r\n\r\nBody";

/// The Receive connectors of MAIL1 that these checks are about; its default ones do not listen.
#[must_use]
pub fn receive_connectors(role: &str) -> String {
    format!(
        "receiveConnectors:
  - {{name: Default, server: MAIL1, transportRole: {role}, bindings: ['{STRANGERS}'], tarpitInterval: '00:00:00',
     authMechanism: [Tls, BasicAuth, BasicAuthRequireTLS], permissionGroups: [AnonymousUsers]}}
  - {{name: Client, server: MAIL1, transportRole: {role}, bindings: ['{CLIENTS}'], maxLogonFailures: 0,
     authTarpitInterval: '00:00:00', authMechanism: [Tls, BasicAuth, BasicAuthRequireTLS], permissionGroups: [ExchangeUsers]}}
  - {{name: Devices, server: MAIL1, transportRole: {role}, bindings: ['{DEVICES}'],
     authMechanism: [Tls, ExternalAuthoritative], permissionGroups: [ExchangeServers]}}
  - {{name: Default Frontend MAIL1, server: MAIL1, enabled: false}}
  - {{name: Client Frontend MAIL1, server: MAIL1, enabled: false}}
  - {{name: Default MAIL1, server: MAIL1, enabled: false}}
  - {{name: Client Proxy MAIL1, server: MAIL1, enabled: false}}
"
    )
}

/// Gives ann (DB1) and bob (DB2) of contoso.com a mailbox each, and cathy@fabrikam.example an address inside as a contact.
///
/// # Panics
/// When the directory does not take them.
pub async fn add_mailboxes(world: &World) {
    let mailbox = |name: &str, database: &str| DirectoryRecipient {
        guid: Kind::Recipient.derived_guid(name),
        name: ObjectName::parse(name).expect("a name"),
        primary_address: Address::parse(&format!("{name}@contoso.com")).expect("an address"),
        proxy_addresses: vec![],
        max_receive_size: None,
        max_send_size: None,
        restrictions: DeliveryRestrictions::default(),
        kind: RecipientKind::Mailbox {
            database: ObjectName::parse(database).expect("a name"),
            password: Some(directory::create_verifier(PASSWORD)),
        },
        provenance: None,
    };
    let external_address = Address::parse("cathy@fabrikam.example").expect("an address");
    let contact = DirectoryRecipient {
        kind: RecipientKind::MailContact { external_address: external_address.into() },
        ..mailbox("cathy", "DB1")
    };
    let puts =
        [mailbox("ann", "DB1"), mailbox("bob", "DB2"), contact].map(|mailbox| Object::Recipient(Box::new(mailbox)));
    world
        .directory()
        .commit(Change { puts: puts.into(), ..Change::by(crate::node::author()) })
        .await
        .expect("the directory is there");
}

/// Where the three entrances are.
pub struct Entrances {
    strangers: SocketAddr,
    clients: SocketAddr,
    devices: SocketAddr,
}

impl Entrances {
    /// From the bindings and the addresses bound.
    ///
    /// # Panics
    /// When one is missing.
    #[must_use]
    pub fn new(addresses: &[(SocketAddr, SocketAddr)]) -> Self {
        let bound = |binding: &str| {
            let found = addresses.iter().find(|(wanted, _)| wanted.to_string() == binding);
            found.unwrap_or_else(|| panic!("nobody listens at {binding}")).1
        };
        Self { strangers: bound(STRANGERS), clients: bound(CLIENTS), devices: bound(DEVICES) }
    }
}

/// Every answer that depends on who asks, and three messages that are taken: see [`check_taken`].
///
/// # Panics
/// At the first wrong answer.
pub async fn check(entrances: &Entrances) {
    strangers_do_not_relay(entrances).await;
    users_log_on_under_tls_only(entrances).await;
    users_send_as_themselves_to_anyone(entrances).await;
    loops_are_ended(entrances).await;
    let mut device = Client::connect(entrances.devices).await;
    let reply = device.send("printer@anything.example", &["friend@elsewhere.example"], MESSAGE).await;
    assert!(reply.starts_with("250 2.6.0 <1@client.example> [InternalId="), "{reply}");
}

/// The usual forms of the relay testers, over the wire.
async fn strangers_do_not_relay(entrances: &Entrances) {
    let mut client = Client::connect(entrances.strangers).await;
    client.say("MAIL FROM:<stranger@elsewhere.example>").await;
    for (path, expected) in [
        ("ann@contoso.com", "250 2.1.5 Recipient OK"),
        ("nobody@contoso.com", "550 5.1.1 User unknown"),
        ("victim@elsewhere.example", "550 5.7.1 Unable to relay"),
        // A contact: by its address inside.
        ("cathy@contoso.com", "250 2.1.5 Recipient OK"),
        ("cathy@fabrikam.example", "550 5.7.1 Unable to relay"),
        // PL-45: leads to a gateway, which is not for strangers.
        ("IMCEAFAX-5551234@contoso.com", "550 5.1.1 User unknown"),
        ("victim%elsewhere.example@contoso.com", "550 5.1.1 User unknown"),
        ("elsewhere.example!victim@contoso.com", "550 5.1.1 User unknown"),
        ("\"victim@elsewhere.example\"@contoso.com", "550 5.1.1 User unknown"),
        ("@contoso.com:victim@elsewhere.example", "550 5.7.1 Unable to relay"),
        ("@contoso.com,@mail1.contoso.com:victim@elsewhere.example", "550 5.7.1 Unable to relay"),
        ("victim@contoso.com.elsewhere.example", "550 5.7.1 Unable to relay"),
        ("victim@[192.0.2.1]", "501 5.1.3 Invalid address"),
        ("victim@elsewhere.example@contoso.com", "501 5.1.3 Invalid address"),
        // In the default accepted domain, where this organization has no such mailbox.
        ("postmaster", "550 5.1.1 User unknown"),
    ] {
        assert_eq!(client.say(&format!("RCPT TO:<{path}>")).await, expected, "{path}");
    }
    client.say("RSET").await;
    // The null reverse-path opens nothing either.
    client.say("MAIL FROM:<>").await;
    assert_eq!(client.say("RCPT TO:<victim@elsewhere.example>").await, "550 5.7.1 Unable to relay");
    // RC-41: no AnonymousUsers on the clients' connector.
    let mut client = Client::connect(entrances.clients).await;
    assert_eq!(client.say("MAIL FROM:<ann@contoso.com>").await, "530 5.7.1 Client was not authenticated");
}

async fn users_log_on_under_tls_only(entrances: &Entrances) {
    let mut client = Client::connect(entrances.clients).await;
    assert!(!client.say("EHLO client.example").await.contains("AUTH"));
    assert!(client.log_on("ann@contoso.com", PASSWORD).await.starts_with('5'));
    let mut client = Client::connect(entrances.clients).await.start_tls().await;
    for (user, password) in [("ann@contoso.com", "wrong"), ("nobody@contoso.com", PASSWORD), ("", PASSWORD)] {
        let reply = client.log_on(user, password).await;
        assert!(reply.starts_with("535 5.7.") || reply.starts_with("501"), "{user}: {reply}");
    }
    assert_eq!(client.say("MAIL FROM:<ann@contoso.com>").await, "530 5.7.1 Client was not authenticated");
    assert_eq!(client.log_on("CONTOSO\\ann", PASSWORD).await, "235 2.7.0 Authentication successful");
    let reply = client.say("MAIL FROM:<bob@contoso.com>").await;
    assert_eq!(reply, "550 5.7.60 Client does not have permissions to send as this sender");
}

async fn users_send_as_themselves_to_anyone(entrances: &Entrances) {
    let mut client = Client::connect(entrances.clients).await.start_tls().await;
    assert_eq!(client.log_on("ann@contoso.com", PASSWORD).await, "235 2.7.0 Authentication successful");
    client.say("MAIL FROM:<ann@contoso.com>").await;
    for (path, expected) in [
        ("cathy@contoso.com", "250 2.1.5 Recipient OK"),
        ("cathy@fabrikam.example", "250 2.1.5 Recipient OK"),
        ("IMCEAFAX-5551234@contoso.com", "250 2.1.5 Recipient OK"),
        ("IMCEAFAX-+4@contoso.com", "550 5.1.1 User unknown"),
        ("IMCEAFAX-5551234@sub.contoso.com", "250 2.1.5 Recipient OK"),
        ("nobody@contoso.com", "550 5.1.1 User unknown"),
    ] {
        assert_eq!(client.say(&format!("RCPT TO:<{path}>")).await, expected, "{path}");
    }
    client.say("RSET").await;
    let reply = client.send("ann@contoso.com", &["friend@elsewhere.example"], "Subject: Hi\r\n\r\nBody").await;
    assert!(reply.starts_with("250 2.6.0 <"), "{reply}");
    // RC-41: the strangers' connector has no ExchangeUsers.
    let mut client = Client::connect(entrances.strangers).await.start_tls().await;
    assert_eq!(client.log_on("ann@contoso.com", PASSWORD).await, "535 5.7.3 Authentication unsuccessful");
}

async fn loops_are_ended(entrances: &Entrances) {
    // RT-74
    let mut client = Client::connect(entrances.strangers).await;
    let hops = "Received: from a ([192.0.2.1]) by b; c\r\n".repeat(31);
    let looping = format!("{hops}Subject: x\r\n\r\nBody");
    let reply = client.send("stranger@elsewhere.example", &["ann@contoso.com"], &looping).await;
    assert_eq!(reply, "554 5.4.6 Hop count exceeded - possible mail loop");
    // And the session goes on.
    assert!(client.send("", &["ann@contoso.com"], MESSAGE).await.starts_with("250"));
}

/// What must have become of the three messages of [`check`]: head and content of each, in any order.
///
/// # Panics
/// When one is missing or is not as it should be.
pub fn check_taken(taken: impl Iterator<Item = (MessageHead, String)>) {
    let taken: Vec<_> = taken.collect();
    assert_eq!(taken.len(), 3, "{taken:?}");
    let of = |kind| {
        let (head, content) = taken.iter().find(|(head, _)| head.origin.kind == kind).expect("one of each origin");
        assert!(content.starts_with("Received: from client.example ([127.0.0."), "{content}");
        // Ours says who sent it (PF-30); what the client brought is gone.
        let fields = content.matches("X-MS-Exchange-Organization").count();
        let ours = content.matches("X-MS-Exchange-Organization-Auth").count();
        assert!(fields == ours && !content.contains("-SCL"), "PL-41: {content}");
        (&*head.origin.connector, content)
    };
    let (connector, content) = of(OriginKind::Anonymous);
    assert!(connector == "Default" && content.contains(" with ESMTP id"), "{connector} {content}");
    assert!(content.ends_with("\r\nMessage-ID: <1@client.example>\r\nSubject: Hi\r\n\r\nBody\r\n"), "{content}");
    let (connector, content) = of(OriginKind::Authenticated);
    assert!(connector == "Client" && content.contains(" with ESMTPSA"), "{connector} {content}");
    assert!(content.contains("\r\nMessage-ID: <") && content.contains("\r\nDate: "), "{content}");
    assert_eq!(of(OriginKind::ExternallySecured).0, "Devices");
}

/// A change of the configuration opens an entrance, and another closes it, while the others stay. One that cannot be opened
/// keeps no other closed (RC-27), and whom no connector serves is told so (RC-33).
///
/// # Panics
/// When it does not happen.
pub async fn check_configuration(world: &World, organization: &str, role: &str) {
    let free = std::net::TcpListener::bind("127.0.0.9:0").and_then(|listener| listener.local_addr());
    let address = free.expect("loopback has a free port");
    let connector = |name: &str, more: &str| {
        format!(
            "  - {{name: {name}, server: MAIL1, transportRole: {role}, authMechanism: [Tls], \
             permissionGroups: [AnonymousUsers], {more}}}\n"
        )
    };
    // Of the networks for documentation: an address of no machine.
    let nowhere = connector("Nowhere", "bindings: ['192.0.2.1:2525']");
    let further = format!("{organization}{nowhere}{}", connector("Further", &format!("bindings: ['{address}']")));
    let answers = async || net::connect(address, None, net::stream::CONNECT_TIMEOUT).await.is_ok();
    assert!(!answers().await);
    world.apply(&further).await;
    until("the new entrance", async || answers().await.then_some(())).await;
    let mut client = Client::connect(address).await;
    assert!(client.say("MAIL FROM:<stranger@elsewhere.example>").await.starts_with("250 "));
    client.say("RSET").await;
    let others = connector("Further", &format!("bindings: ['{address}'], remoteIPRanges: [192.0.2.9]"));
    world.apply(&format!("{organization}{others}")).await;
    let refused = "421 4.3.2 Service not available";
    until("others to be served alone", async || (Client::first_reply(address).await == refused).then_some(())).await;
    world.apply(organization).await;
    assert!(client.reply().await.starts_with("421 4.3.2 "), "idle sessions are sent away");
    until("the entrance to be closed", async || (!answers().await).then_some(())).await;
}
