//! What the protocol logs of a front end tell of sessions in both directions, and what they never tell.

use std::path::Path;

use testkit::entrances::{CLIENTS, PASSWORD};
use testkit::until;

use crate::both_ways::Ways;
use crate::next_hop::NextHop;
use crate::support::{self, Conduct, STRANGERS, Scene};

/// The lines of a log as `event data|context`, session by session in the order in which they began.
fn sessions(folder: &Path) -> Vec<Vec<String>> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let fields = logs::record::fields(line);
            let [_, connector, session, number, local, remote, event, data, context] = fields.as_slice() else {
                panic!("{line}");
            };
            assert!(remote.starts_with("127.0.0.") && (local.starts_with("127.0.0.") || local.is_empty()), "{line}");
            let at = all.iter().position(|(known, _)| known == session).unwrap_or_else(|| {
                all.push((session.clone(), vec![connector.clone()]));
                all.len() - 1
            });
            // LG-11: without a gap.
            assert_eq!(*number, (all[at].1.len() - 1).to_string(), "{line}");
            all[at].1.push(format!("{event} {data}|{context}"));
        }
    }
    all.into_iter().map(|(_, lines)| lines).collect()
}

fn log(scene: &Scene, folder: &str) -> std::path::PathBuf {
    scene.world.settings("MAIL1").state.join("logs/FrontEnd/ProtocolLog").join(folder)
}

/// Waits until the last of so many sessions has come to its end.
async fn told(scene: &Scene, folder: &str, count: usize) -> Vec<Vec<String>> {
    let folder = log(scene, folder);
    until("the session in the protocol log", async || {
        let told = sessions(&folder);
        let is_end = |line: &String| line.starts_with('-') || line.ends_with("|not connected");
        let ended = told.iter().all(|session| session.last().is_some_and(is_end));
        (told.len() >= count && ended).then_some(told)
    })
    .await
}

/// What must stand in neither log: passwords as they are and as they are sent, and content.
fn assert_nothing_leaked(scene: &Scene) {
    for folder in ["SmtpReceive", "SmtpSend"] {
        for entry in std::fs::read_dir(log(scene, folder)).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            // `correct horse`, `hunter2`, `\0relay\0hunter2` and `\0ann@contoso.com\0correct horse`.
            for secret in [
                PASSWORD,
                "hunter2",
                "Y29ycmVjdCBob3JzZQ==",
                "aHVudGVyMg==",
                "AHJlbGF5AGh1bnRlcjI=",
                "AGFubkBjb250b3NvLmNvbQ",
                "Body of the message",
            ] {
                assert!(!text.contains(secret), "{secret}: {text}");
            }
        }
    }
}

/// Which connectors are told.
async fn tell(scene: &Scene, connectors: &[&str]) {
    let mut organization = support::organization();
    for name in connectors {
        let connector = format!("{{name: {name}, server: MAIL1,");
        organization = organization.replace(&connector, &format!("{connector} protocolLoggingLevel: Verbose,"));
    }
    scene.world.apply(&organization).await;
    // The file speaks of no recipients, and so there are none any more.
    testkit::entrances::add_mailboxes(&scene.world).await;
    let revision = scene.world.directory().snapshot().await.unwrap().revision();
    scene.world.applied(&scene.node, revision).await;
}

#[tokio::test]
async fn sessions_of_clients_are_told_as_their_connectors_say_and_secrets_never() {
    // LG-06 … LG-12, SC-119 … SC-122
    let scene = Scene::new(&[("MAIL1", Conduct::Take)]).await;
    drop(scene.client(STRANGERS).await);
    tell(&scene, &["Client"]).await;
    // Another connector, of which nobody wants to know.
    drop(scene.client(STRANGERS).await);
    let mut client = scene.client(CLIENTS).await.start_tls().await;
    assert!(client.log_on("ann@contoso.com", "hunter2").await.starts_with("535"));
    assert!(client.log_on("ann@contoso.com", PASSWORD).await.starts_with("235"));
    let reply =
        client.send("ann@contoso.com", &["friend@elsewhere.example"], "Subject: x\r\n\r\nBody of the message").await;
    assert!(reply.starts_with("250 2.6.0"), "{reply}");
    client.say("QUIT").await;
    let told_now = told(&scene, "SmtpReceive", 1).await;
    let [session] = told_now.as_slice() else { panic!("{told_now:?}") };
    let begins = [
        "MAIL1\\Client",
        "+ |",
        "> 220 mail1.contoso.com ",
        "< EHLO client.example|",
        "> 250 mail1.contoso.com Hello ",
        "< STARTTLS|",
        "> 220 2.0.0 ",
        "* TLSv1.3 ",
        "< EHLO client.example|",
        "> 250 mail1.contoso.com Hello ",
        "< AUTH PLAIN *****|",
        "* ann@contoso.com|not authenticated",
        "> 535 5.7.3 ",
        "< AUTH PLAIN *****|",
        "* ann@contoso.com|authenticated",
        "> 235 2.7.0 ",
        "< MAIL FROM:<ann@contoso.com>|",
        "> 250 2.1.0 ",
        "< RCPT TO:<friend@elsewhere.example>|",
        "> 250 2.1.5 ",
        "< DATA|",
        "> 354 ",
        "> 250 2.6.0 ",
        "< QUIT|",
        "> 221 ",
        "- |Local",
    ];
    assert_eq!(session.len(), begins.len(), "{session:#?}");
    for (line, begin) in session.iter().zip(begins) {
        assert!(line.starts_with(begin), "{line}, not {begin}");
    }
    // AUTH LOGIN, and somebody who types on after it was refused.
    let mut client = scene.client(CLIENTS).await;
    for line in ["AUTH LOGIN", "Y29ycmVjdCBob3JzZQ==", PASSWORD] {
        assert!(client.say(line).await.starts_with('5'), "{line}");
    }
    let mut client = client.start_tls().await;
    for (line, code) in [("AUTH LOGIN", "334"), ("YW5uQGNvbnRvc28uY29t", "334"), ("Y29ycmVjdCBob3JzZQ==", "235")] {
        assert!(client.say(line).await.starts_with(code), "{line}");
    }
    drop(client);
    let session = told(&scene, "SmtpReceive", 2).await.remove(1);
    assert_eq!(session.iter().filter(|line| line.as_str() == "< *****|").count(), 4, "{session:#?}");
    assert_eq!(session.last().map(String::as_str), Some("- |Remote"));
    assert_nothing_leaked(&scene);
    // No more of it, and of the other one: at once.
    tell(&scene, &["Default"]).await;
    drop(scene.client(CLIENTS).await);
    drop(scene.client(STRANGERS).await);
    let session = told(&scene, "SmtpReceive", 3).await.remove(2);
    assert_eq!(session[0], "MAIL1\\Default");
}

#[tokio::test]
async fn sessions_with_hosts_outside_are_told_and_secrets_never() {
    // SC-119 … SC-122, LG-12
    let scene = Scene::new(&[]).await;
    let ways = Ways::new(&scene).await;
    let hop = NextHop::serve(&support::certificate(&scene.world, "elsewhere", "mx.fabrikam.com"));
    let connector = |port: u16, level: &str| {
        format!(
            "smartHosts: [127.0.0.1], smartHostAuthMechanism: BasicAuth, authenticationCredential: {{sealed: 'SEALED'}}, \
             port: {port}, protocolLoggingLevel: {level}"
        )
    };
    ways.configure_sealed(&scene, "", &connector(hop.address.port(), "None")).await;
    ways.proxied(&hop).await.unwrap();
    ways.configure_sealed(&scene, "", &connector(hop.address.port(), "Verbose")).await;
    ways.proxied(&hop).await.unwrap();
    let told_now = told(&scene, "SmtpSend", 1).await;
    let [session] = told_now.as_slice() else { panic!("{told_now:?}") };
    let begins = [
        "Out",
        "+ |",
        "< 220 ",
        "> EHLO mail1.contoso.com|",
        "< 250 mx.fabrikam.com Hello ",
        "> STARTTLS|",
        "< 220 2.0.0 ",
        "* TLSv1.3 ",
        "* ",
        "> EHLO mail1.contoso.com|",
        "< 250 mx.fabrikam.com Hello ",
        "> AUTH LOGIN|",
        "< 334 ",
        "> *****|",
        "< 334 ",
        "> *****|",
        "< 235 ",
        "> MAIL FROM:<ann@contoso.com> SIZE=",
        "> RCPT TO:<bob@fabrikam.com>|",
        "> BDAT ",
        "< 250 2.1.0 ",
        "< 250 2.1.5 ",
        "< 250 2.6.0 ",
        "> QUIT|",
        "< 221 ",
        "- |Local",
    ];
    assert_eq!(session.len(), begins.len(), "{session:#?}");
    for (line, begin) in session.iter().zip(begins) {
        assert!(line.starts_with(begin), "{line}, not {begin}");
    }
    assert!(!session.iter().any(|line| line.contains("both ways")), "content: {session:#?}");
    assert_nothing_leaked(&scene);
    // Nobody is there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    ways.configure_sealed(&scene, "", &connector(port, "Verbose")).await;
    assert!(ways.proxied(&hop).await.is_err());
    let session = told(&scene, "SmtpSend", 2).await.remove(1);
    assert!(session.len() == 2 && session[1].ends_with("|not connected"), "{session:?}");
}

#[tokio::test]
async fn default_connectors_are_told_as_documented() {
    // LG-07, SC-123
    let organization = organization::load(
        "sites: [{name: Berlin}]\nservers: [{name: MAIL1, fqdn: mail1.contoso.com, site: Berlin}]\n\
         acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]\n",
        envelope::Revision(1),
    );
    let organization = organization.unwrap().organization;
    let server = "MAIL1".parse().unwrap();
    let told = organization.receive_connectors_of(&server).filter(|connector| {
        connector.protocol_logging_level == topology::send_connector::ProtocolLoggingLevel::Verbose
    });
    let names: Vec<&str> = told.map(|connector| connector.name.as_str()).collect();
    assert_eq!(names, ["Default Frontend MAIL1"]);
    // A client that is turned away at a full connector is told, too.
    let scene = Scene::new(&[]).await;
    let full = support::organization().replace(
        "{name: Default, server: MAIL1,",
        "{name: Default, server: MAIL1, protocolLoggingLevel: Verbose, maxInboundConnection: 1,",
    );
    scene.world.apply(&full).await;
    let revision = scene.world.directory().snapshot().await.unwrap().revision();
    scene.world.applied(&scene.node, revision).await;
    let first = scene.client(STRANGERS).await;
    let second = net::connect(scene.address(STRANGERS), None, net::stream::CONNECT_TIMEOUT).await.unwrap();
    let session = until("the second session in the log", async || {
        sessions(&log(&scene, "SmtpReceive"))
            .into_iter()
            .find(|session| session.iter().any(|line| line.starts_with("> 4")))
    })
    .await;
    assert!(session[1] == "+ |" && session[2].starts_with("> 4") && session.len() <= 4, "{session:?}");
    drop((first, second));
}
