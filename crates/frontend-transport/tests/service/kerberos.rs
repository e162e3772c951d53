//! `smartHostAuthMechanism: ExchangeServer` towards Postfix with Cyrus SASL, in a realm of MIT Kerberos: by a session of
//! Transport's own and through a front end, each with the keytab of its server. And towards hosts that only say that they are
//! who they are.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use runtime::settings::KerberosSettings;
use testkit::dns::{self, Record};
use testkit::kerberos::Realm;
use testkit::until;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::both_ways::Ways;
use crate::odd_hosts::Mail;
use crate::real_hosts::{Key, Peer, postfix, send};
use crate::support::Scene;

/// Who the server of the tests is.
const CLIENT: &str = "postroad/mail1.contoso.com";
/// Long enough for a test.
const HOURS: Duration = Duration::from_hours(10);
/// Short enough to be waited for.
const SECONDS: Duration = Duration::from_secs(8);

/// A front end and a Transport that log on by the keytab, and name servers that know some hosts as this machine.
struct World {
    realm: Realm,
    scene: Scene,
    ways: Ways,
    servers: String,
}

impl World {
    async fn new(name: &str, lifetime: Duration) -> Option<Self> {
        let realm = Realm::around(name, lifetime)?;
        let kerberos = KerberosSettings { keytab: realm.client(CLIENT), principal: None };
        let scene = Scene::with(&[], |settings| settings.kerberos = Some(kerberos.clone())).await;
        let ways = Ways::with(&scene, |settings| settings.kerberos = Some(kerberos.clone())).await;
        let hosts = ["smarthost.test", "stranger.test"].map(|name| (name, Record::A([127, 0, 0, 1].into())));
        let dns = dns::serve(&hosts).await;
        let servers = format!(", transport: {{internalDNSServers: ['{dns}']}}");
        Some(Self { realm, scene, ways, servers })
    }

    async fn configure(&self, host: &str, at: SocketAddr, more: &str) {
        let connector =
            format!("port: {}, smartHosts: [{host}], smartHostAuthMechanism: ExchangeServer{more}", at.port());
        self.ways.configure(&self.scene, &self.servers, &connector).await;
    }

    /// What becomes of a message, both ways.
    async fn both(&self) -> [Result<Option<&'static str>, String>; 2] {
        [send(&self.ways, Mail::Plain, false).await, send(&self.ways, Mail::Plain, true).await]
    }

    async fn waits(&self, why: &str) {
        for became in self.both().await {
            let said = became.expect_err(why);
            assert!(said.starts_with("waits: ") && said.contains(why), "{why}: {said}");
        }
    }

    /// Postfix, which relays for nobody but those that its realm knows.
    async fn postfix(&self, keytab: &Path) -> Peer {
        let owner = Command::new("chown").arg("postfix").arg(keytab).status();
        assert!(owner.is_ok_and(|status| status.success()));
        let sasl = tempfile::tempdir_in(keytab.parent().unwrap()).unwrap().keep();
        std::fs::set_permissions(&sasl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(sasl.join("smtpd.conf"), format!("mech_list: GSSAPI\nkeytab: {}\n", keytab.display())).unwrap();
        let more = format!(
            "myhostname = smarthost.test\nsmtpd_sasl_auth_enable = yes\ncyrus_sasl_config_path = {}\n\
             mynetworks =\nsmtpd_relay_restrictions = permit_sasl_authenticated, reject\n\
             import_environment = MAIL_CONFIG KRB5_CONFIG={} KRB5_KTNAME=FILE:{} KRB5RCACHENAME=none:",
            sasl.display(),
            self.realm.configuration().display(),
            keytab.display()
        );
        postfix(Key::Rsa, more.leak()).start().await
    }
}

/// Who was logged on and how, for every message that a Postfix took.
fn logged_on(peer: &Peer) -> Vec<String> {
    let log = peer.log();
    let clients = log.lines().filter_map(|line| line.split_once(": client=").map(|(_, client)| client));
    clients.map(|client| client.split_once(", ").map_or("", |(_, sasl)| sasl).to_owned()).collect()
}

#[tokio::test]
async fn servers_of_a_realm_know_each_other_both_ways() {
    // TA-23, TA-60, TA-61
    let Some(world) = World::new("kerberos::servers_of_a_realm_know_each_other_both_ways", HOURS).await else { return };
    let peer = world.postfix(&world.realm.keytab("smtp/smarthost.test")).await;
    for (more, secured) in [("", "TLSv1.3"), (", requireTLS: true", "TLSv1.3"), (", ignoreSTARTTLS: true", "clear")] {
        world.configure("smarthost.test", peer.address, more).await;
        let [direct, proxied] = world.both().await;
        assert_eq!((direct, proxied), (Ok(Some(secured)), Ok(None)), "{more}");
    }
    let sasl = "sasl_method=GSSAPI, sasl_username=postroad/mail1.contoso.com";
    until("Postfix to write its log", async || (logged_on(&peer).len() == 6).then_some(())).await;
    assert!(logged_on(&peer).iter().all(|how| how.starts_with(sasl)), "{:?}", logged_on(&peer));
    // No KDC is asked for each message: one ticket for the realm, one for the host.
    let asked = world.realm.log();
    let issued = |kind: &str| asked.lines().filter(|line| line.contains(kind) && line.contains("ISSUE")).count();
    assert_eq!((issued("AS_REQ"), issued("TGS_REQ")), (1, 1), "{asked}");
}

#[tokio::test]
async fn tickets_are_renewed_and_mail_waits_while_nobody_gives_any() {
    let name = "kerberos::tickets_are_renewed_and_mail_waits_while_nobody_gives_any";
    let Some(mut world) = World::new(name, SECONDS).await else { return };
    let peer = world.postfix(&world.realm.keytab("smtp/smarthost.test")).await;
    world.configure("smarthost.test", peer.address, "").await;
    world.realm.stop();
    world.waits("Cannot contact any KDC").await;
    world.realm.resume();
    assert_eq!(world.both().await, [Ok(Some("TLSv1.3")), Ok(None)]);
    world.realm.stop();
    // The tickets that are there serve until they end.
    let said = until("the tickets to end", async || send(&world.ways, Mail::Plain, true).await.err()).await;
    assert!(said.starts_with("waits: AUTH: 451 4.7.3 Cannot achieve Exchange Server authentication: "), "{said}");
    world.realm.resume();
    assert_eq!(world.both().await, [Ok(Some("TLSv1.3")), Ok(None)]);
}

#[tokio::test]
async fn mail_waits_for_a_host_that_is_none_of_the_realm() {
    // TA-62
    let Some(world) = World::new("kerberos::mail_waits_for_a_host_that_is_none_of_the_realm", HOURS).await else {
        return;
    };
    let keytab = world.realm.keytab("smtp/smarthost.test");
    // Of another host: it cannot read the ticket.
    let impostor = world.postfix(&world.realm.keytab("smtp/impostor.test")).await;
    world.configure("smarthost.test", impostor.address, "").await;
    world.waits("454 4.7.0 Temporary authentication failure").await;
    let peer = world.postfix(&keytab).await;
    world.configure("stranger.test", peer.address, "").await;
    world.waits("not found in Kerberos database").await;
    world.configure("127.0.0.1", peer.address, "").await;
    world.waits("Kerberos knows hosts by name").await;
    let without = postfix(Key::Rsa, "").start().await;
    world.configure("smarthost.test", without.address, "").await;
    world.waits("the server offers neither X-EXPS GSSAPI nor AUTH GSSAPI").await;
    assert_eq!((logged_on(&impostor).len(), logged_on(&peer).len(), logged_on(&without).len()), (0, 0, 0));
}

/// A host that believes everybody, and hopes to be believed: it says these lines, one for each that it is told.
async fn credulous(lines: &'static [&'static str]) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (reading, mut writing) = socket.split();
            let mut reading = BufReader::new(reading).lines();
            for line in lines {
                writing.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
                let Ok(Some(said)) = reading.next_line().await else { break };
                // Nobody listens once the test has failed.
                let _ = told.send(said);
            }
        }
    });
    (address, heard)
}

#[tokio::test]
async fn a_host_that_does_not_prove_who_it_is_gets_no_mail() {
    // TA-60: mutual.
    let Some(world) = World::new("kerberos::a_host_that_does_not_prove_who_it_is_gets_no_mail", HOURS).await else {
        return;
    };
    let _key = world.realm.keytab("smtp/smarthost.test");
    for (lines, why) in [
        (&["220 mx", "250-mx\r\n250 AUTH GSSAPI", "334 ", "235 2.7.0 welcome"][..], "did not prove who it is"),
        (&["220 mx", "250-mx\r\n250 X-EXPS GSSAPI", "334 GSSAPI supported", "235 2.7.0 welcome"], "did not prove"),
        (&["220 mx", "250-mx\r\n250 X-EXPS GSSAPI", "235 2.7.0 welcome"], "did not prove who it is"),
        (&["220 mx", "250-mx\r\n250 X-EXPS GSSAPI", "334 ", "235 2.7.0 dG9rZW4="], "Kerberos: "),
        (&["220 mx", "250-mx\r\n250 AUTH GSSAPI", "334 ", "334 dG9rZW4="], "Kerberos: "),
    ] {
        let (address, mut heard) = credulous(lines).await;
        world.configure("smarthost.test", address, "").await;
        world.waits(why).await;
        let mut said = Vec::new();
        while let Ok(line) = heard.try_recv() {
            said.push(line);
        }
        assert!(!said.iter().any(|line| line.starts_with("MAIL")), "{lines:?}: {said:?}");
        assert!(said.iter().any(|line| line.ends_with("GSSAPI")), "{lines:?}: {said:?}");
    }
}

#[tokio::test]
async fn without_a_keytab_mail_waits() {
    let scene = Scene::new(&[]).await;
    let ways = Ways::new(&scene).await;
    ways.configure(&scene, "", "smartHosts: [smarthost.test], smartHostAuthMechanism: ExchangeServer").await;
    for proxied in [false, true] {
        let said = send(&ways, Mail::Plain, proxied).await.unwrap_err();
        assert!(said.starts_with("waits: ") && said.contains("set kerberos.keytab in the settings"), "{said}");
    }
}
