//! Who refused: a report blames the host outside for what that said, and nobody for what this server found out by itself.

use directory::{Credential, Sealer};
use envelope::{Address, BodyType, MessageHead, Recipient};

use crate::sink::Sink;
use crate::support::{MESSAGE, ORGANIZATION, Scene, notified};
use testkit::dns::{self, Record};
use testkit::until;

/// What is sent.
#[derive(Clone, Copy, Debug)]
enum Mail {
    Plain,
    /// Eight bits, which a signature keeps as they are.
    Signed,
}

/// The recipient, what is sent, more properties of the connector for its domain (`SINK` is a host that offers nothing, `SMALL`
/// one that takes ten octets), the status of the report, words in it, and who is said to have refused.
type Case = (&'static str, Mail, &'static str, &'static str, &'static str, Option<&'static str>);

const CASES: [Case; 11] = [
    ("never@reply.test", Mail::Plain, "SINK", "5.1.1", "no such person", Some("127.0.0.1")),
    ("bob@size.test", Mail::Plain, "SMALL", "5.3.4", "larger than the 10 octets", None),
    ("bob@eight.test", Mail::Signed, "SINK", "5.6.3", "needs 8BITMIME", None),
    ("jörg@utf8.test", Mail::Plain, "SINK", "5.6.7", "needs SMTPUTF8", None),
    // These may be mended: mail waits for that, and expires.
    ("bob@tls.test", Mail::Plain, "SINK, requireTLS: true", "4.4.7", "STARTTLS", None),
    (
        "bob@auth.test",
        Mail::Plain,
        "SINK, smartHostAuthMechanism: BasicAuth, authenticationCredential: {sealed: 'SEALED'}",
        "4.4.7",
        "neither AUTH LOGIN nor AUTH PLAIN",
        None,
    ),
    (
        "bob@validated.test",
        Mail::Plain,
        "SINK, smartHostAuthMechanism: BasicAuthRequireTLS, authenticationCredential: {sealed: 'SEALED'}",
        "4.4.7",
        "STARTTLS",
        None,
    ),
    (
        "bob@kerberos.test",
        Mail::Plain,
        "SINK, smartHostAuthMechanism: ExchangeServer",
        "4.4.7",
        "kerberos.keytab",
        None,
    ),
    // DNS.
    ("bob@none.test", Mail::Plain, "", "5.4.4", "NonExistentDomain", None),
    ("bob@null.test", Mail::Plain, "", "5.1.10", "null MX", None),
    ("bob@loop.test", Mail::Plain, "", "5.4.4", "SMTPSEND.DNS.MxLoopback", None),
];

impl Mail {
    fn content(self) -> &'static str {
        match self {
            Self::Plain => MESSAGE,
            Self::Signed => {
                "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\
                 Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n--b\r\n\r\nsignature\r\n--b--\r\n"
            }
        }
    }

    fn head(self, scene: &Scene, to: &str) -> MessageHead {
        let mut head = scene.head("ann@contoso.com", &[]);
        head.envelope.recipients = vec![Recipient::new(Address::parse(to).unwrap())];
        head.envelope.smtputf8 = !to.is_ascii();
        if matches!(self, Self::Signed) {
            head.envelope.body = BodyType::EightBitMime;
        }
        head
    }
}

/// One connector for each domain of the cases.
fn connectors(sink: &Sink, small: &Sink, sealed: impl Fn(&str) -> String) -> String {
    let mut all = "sendConnectors:\n".to_owned();
    for (recipient, _, properties, ..) in CASES {
        let domain = recipient.split_once('@').unwrap().1;
        let host = |sink: &Sink| format!(", smartHosts: ['127.0.0.1'], port: {}", sink.address.port());
        let properties = properties.replace("SEALED", &sealed(domain));
        let properties = match properties.strip_prefix("SINK") {
            Some(rest) => format!("{}{rest}", host(sink)),
            None => properties.replace("SMALL", &host(small)),
        };
        all += &format!(
            "  - {{name: {domain}, addressSpaces: [{domain}], sourceTransportServers: [MAIL1]{properties}}}\n"
        );
    }
    all
}

#[tokio::test]
async fn a_report_names_a_remote_server_only_where_that_refused() {
    // DS-10, DS-44
    let (sink, small) = (Sink::serve().await, Sink::offering("SIZE 10").await);
    let table = [
        ("null.test", Record::Mx(0, ".")),
        ("loop.test", Record::Mx(10, "mail2.contoso.com")),
        ("mail2.contoso.com", Record::A([127, 0, 0, 1].into())),
    ];
    let dns = dns::serve(&table).await;
    let settings = format!("{{messageExpirationTimeout: '00:00:06', internalDNSServers: ['{dns}'], messageRetry");
    let scene = Scene::new(&ORGANIZATION.replace("{messageRetry", &settings)).await;
    let organization = ORGANIZATION.replace("{messageRetry", &settings);
    let unsealed = connectors(&sink, &small, |_| "v1:bm9uZQ==".to_owned());
    scene.world.apply(&format!("{organization}{unsealed}")).await;
    // A credential is sealed for its connector.
    let sealer = Sealer::load(&scene.world.settings("MAIL1").organization_key).unwrap();
    let snapshot = scene.world.directory().snapshot().await.unwrap();
    let credential = Credential { user: "relay".to_owned(), password: "hunter2".to_owned().into() };
    let sealed = connectors(&sink, &small, |domain| {
        let connector = snapshot.send_connectors().iter().find(|connector| connector.name.as_str() == domain);
        sealer.seal(&credential, connector.unwrap()).0.into()
    });
    scene.world.apply(&format!("{organization}{sealed}")).await;
    let transport = scene.start("MAIL1").await;
    for (recipient, mail, ..) in CASES {
        let head = mail.head(&scene, recipient);
        assert_eq!(scene.submit_as(&head, mail.content()).await.unwrap().message(), head.id);
    }
    for (recipient, _, _, status, words, remote) in CASES {
        let report = until(&format!("the report about {recipient}"), async || {
            let about = |content: &str| content.contains(recipient) || content.contains(&escaped(recipient));
            let reports = scene.mailboxes.attempts_at("ann@contoso.com").into_iter();
            reports.filter(|arrival| arrival.is_notification("failed")).find(|arrival| about(&arrival.content))
        })
        .await;
        // As it was before quoted-printable.
        let text = report.content.replace("=\r\n", "");
        assert!(text.contains(&format!("\r\nStatus: {status}\r\n")), "{recipient}: {text}");
        assert!(text.contains(words), "{recipient}: {text}");
        let named = text.split("\r\n").find_map(|line| line.strip_prefix("Remote-MTA: dns; "));
        assert_eq!(named.map(|name| name.trim_matches(['[', ']'])), remote, "{recipient}: {text}");
        assert_eq!(text.contains("Rejected by: "), remote.is_some(), "{recipient}: {text}");
        assert_eq!(text.contains("Remote server: "), remote.is_some(), "{recipient}: {text}");
    }
    transport.drain().await;
}

/// RFC 6533 §3: an address beyond ASCII as a report of seven bits has it.
fn escaped(address: &str) -> String {
    let escape = |one: char| if one.is_ascii() { one.to_string() } else { format!("\\x{{{:X}}}", u32::from(one)) };
    address.chars().map(escape).collect()
}

#[tokio::test]
async fn this_servers_own_mailboxes_are_no_remote_server() {
    // DS-10: who generates the report and who refused are the same.
    let scene = Scene::new(ORGANIZATION).await;
    let reply = crate::support::reply(550, (5, 2, 2), "mailbox full");
    scene.mailboxes.answer("bob@contoso.com", rpc::RecipientDelivery::Failed(reply));
    let transport = scene.start("MAIL1").await;
    scene.submit("ann@contoso.com", &["bob@contoso.com"]).await;
    let report = notified(&scene.mailboxes, "ann@contoso.com", "failed").await.content;
    assert!(report.contains("Status: 5.2.2\r\n") && !report.contains("Remote-MTA"), "{report}");
    transport.drain().await;
}

/// What is known of one message is written down once and at once, whoever else refuses a part of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_is_told_once_of_what_several_hosts_refuse() {
    let sinks = [Sink::serve().await, Sink::serve().await, Sink::serve().await];
    let mut organization = format!("{ORGANIZATION}sendConnectors:\n");
    for (sink, domain) in sinks.iter().zip(["a.test", "b.test", "c.test"]) {
        organization += &format!(
            "  - {{name: {domain}, addressSpaces: [{domain}], sourceTransportServers: [MAIL1], \
             smartHosts: ['127.0.0.1'], port: {}}}\n",
            sink.address.port()
        );
    }
    let scene = Scene::new(&organization).await;
    let transport = scene.start("MAIL1").await;
    scene.submit("ann@contoso.com", &["never@a.test", "never@b.test", "never@c.test"]).await;
    let first = notified(&scene.mailboxes, "ann@contoso.com", "failed").await;
    assert_eq!(first.content.matches("\r\nAction: failed\r\n").count(), 1, "{}", first.content);
    // The others wait for each other; the end of the service does not.
    crate::view::told_later(&scene, 2).await;
    transport.drain().await;
    let left = scene.stored("MAIL1").await;
    let [(_, second)] = left.as_slice() else { panic!("one notification is left: {left:?}") };
    assert_eq!(second.matches("\r\nAction: failed\r\n").count(), 2, "{second}");
    let asked = sinks.iter().zip(["a", "b", "c"]).map(|(sink, host)| sink.asked(&format!("never@{host}.test")));
    assert_eq!(asked.collect::<Vec<_>>(), [1, 1, 1], "nobody is asked a second time");
}
