//! One connector, two ways: a session of Transport's own, and one through a front end. The next hop must not see a
//! difference, whatever property of the connector is set.

#![expect(clippy::disallowed_methods, reason = "certificates and messages of a test are of now")]

use std::sync::Arc;

use directory::{Credential, Sealer};
use envelope::{Address, Domain, Envelope, Recipient, ReversePath};
use net::tls::OwnCertificate;
use net::{KeyedCertificate, NodeIdentity, Service};
use rpc::{Credentials, FrontEnds, OpenError, PeerAddress, ProxyRequest};
use runtime::{Node, Settings, certificate};
use sending::{Errand, Keys, Sessions};
use smtp::{Content, Failure, OutboundMessage, OutboundSession};
use testkit::dns::{self, Record};

use crate::next_hop::{NextHop, Seen};
use crate::support::{self, Scene};

const MESSAGE: &[u8] = b"Subject: both ways\r\n\r\nBody\r\n";

/// Transport of MAIL1 as far as it sends, and the front end of the scene.
pub(crate) struct Ways {
    pub node: Arc<Node>,
    pub direct: Sessions,
    pub front_ends: FrontEnds,
    pub at: PeerAddress,
}

impl Ways {
    pub(crate) async fn new(scene: &Scene) -> Self {
        Self::with(scene, |_| ()).await
    }

    /// With settings of Transport that are changed before it starts.
    pub(crate) async fn with(scene: &Scene, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = scene.world.settings("MAIL1");
        change(&mut settings);
        let node = scene.world.node_with(settings, Service::Transport).await;
        let own = certificate::of_server(&node).unwrap();
        let keys = Keys::of_organization(&node.settings).unwrap();
        let direct = Sessions::new(Arc::clone(&node), &own, keys).unwrap();
        let front_ends = FrontEnds::new(Arc::clone(&node.credentials));
        let at = PeerAddress {
            server: "MAIL1".parse().unwrap(),
            fqdn: "mail1.contoso.com".parse().unwrap(),
            address: scene.organization_address,
        };
        Self { node, direct, front_ends, at }
    }

    /// Of another server or service.
    pub(crate) fn front_ends_of(&self, scene: &Scene, server: &str, service: Service) -> FrontEnds {
        let fqdn = format!("{server}.contoso.com").parse().unwrap();
        let identity = NodeIdentity { server: server.parse().unwrap(), fqdn, services: [service].into() };
        let own = scene.world.authority().issue(&identity, std::time::SystemTime::now().into()).unwrap();
        FrontEnds::new(Arc::new(Credentials::new(own, scene.world.authority().certificate_pem().to_owned())))
    }

    /// Gives MAIL1 these settings and one connector with these properties, and waits until both know.
    pub(crate) async fn configure(&self, scene: &Scene, server: &str, connector: &str) {
        self.configure_with(scene, server, connector, "").await;
    }

    /// The same with more of the organization.
    pub(crate) async fn configure_with(&self, scene: &Scene, server: &str, connector: &str, more: &str) {
        let fqdn = "fqdn: mail1.contoso.com, site: Berlin";
        let organization = support::organization().replacen(fqdn, &format!("{fqdn}{server}"), 1);
        let connector = format!(
            "sendConnectors:\n  - {{name: Out, addressSpaces: ['*'], sourceTransportServers: [MAIL1], {connector}}}\n"
        );
        scene.world.apply(&format!("{organization}{connector}{more}")).await;
        // Recipients have revisions too; what services apply is the configuration's.
        let revision = scene.world.directory().snapshot().await.unwrap().revision();
        scene.world.applied(&scene.node, revision).await;
        scene.world.applied(&self.node, revision).await;
    }

    /// What Transport asks the front end for.
    pub(crate) fn request(&self) -> ProxyRequest {
        self.requested().unwrap()
    }

    fn requested(&self) -> Result<ProxyRequest, Box<Failure>> {
        self.with_errand(|sessions, tables, errand| sessions.request(tables, errand))
    }

    /// Gives MAIL1 one connector whose credential is sealed for it: `SEALED` in its properties.
    pub(crate) async fn configure_sealed(&self, scene: &Scene, server: &str, connector: &str) {
        self.configure(scene, server, &connector.replace("SEALED", "v1:bm9uZQ==")).await;
        if connector.contains("SEALED") {
            let sealed = self.seal(&self.node.tables().organization().send_connectors()[0]);
            self.configure(scene, server, &connector.replace("SEALED", &sealed)).await;
        }
    }

    /// A credential for a connector as it is.
    pub(crate) fn seal(&self, connector: &topology::SendConnector) -> String {
        let sealer = Sealer::load(&self.node.settings.organization_key).unwrap();
        let credential = Credential { user: "relay".to_owned(), password: "hunter2".to_owned().into() };
        sealer.seal(&credential, connector).0.into()
    }

    fn with_errand<T>(&self, then: impl FnOnce(&Sessions, &routing::RoutingTables, Errand<'_>) -> T) -> T {
        let (tables, domain) = (self.node.tables(), Domain::parse("fabrikam.com").unwrap());
        let connector = &tables.organization().send_connectors()[0];
        let domain = connector.dns_routing_enabled.then_some(&domain);
        then(&self.direct, &tables, Errand { connector, domain, turn: 0 })
    }

    /// Sends a message: what the next hop saw, or why not.
    async fn direct(&self, hop: &NextHop) -> Result<Vec<Seen>, String> {
        let (tables, domain) = (self.node.tables(), Domain::parse("fabrikam.com").unwrap());
        let connector = &tables.organization().send_connectors()[0];
        let domain = connector.dns_routing_enabled.then_some(&domain);
        match self.direct.open(Errand { connector, domain, turn: 0 }).await {
            Ok(session) => Ok(send(Box::new(session), hop).await),
            Err(failure) => Err(failure.to_string()),
        }
    }

    pub(crate) async fn proxied(&self, hop: &NextHop) -> Result<Vec<Seen>, String> {
        let request = self.requested().map_err(|failure| failure.to_string())?;
        match self.front_ends.open(&self.at, &request).await {
            Ok(session) => Ok(send(Box::new(session), hop).await),
            Err(OpenError::Session(failure)) => Err(failure.to_string()),
            Err(error) => panic!("{error}"),
        }
    }
}

async fn send(mut session: Box<dyn OutboundSession>, hop: &NextHop) -> Vec<Seen> {
    let recipient = Recipient::new(Address::parse("bob@fabrikam.com").unwrap());
    let envelope = Envelope::new(ReversePath::parse("ann@contoso.com").unwrap(), vec![recipient]);
    let outcome = session.send(OutboundMessage::new(&envelope, Content::Whole(MESSAGE))).await;
    assert!(outcome.recipients[0].is_ok(), "{outcome:?}");
    session.close().await;
    hop.take()
}

/// What must be true of what is seen, beside that it is the same both ways.
type Check = fn(&Result<Vec<Seen>, String>) -> bool;

fn seen(result: &Result<Vec<Seen>, String>) -> &Seen {
    &result.as_ref().unwrap()[0]
}

fn fails(result: &Result<Vec<Seen>, String>, why: &str) -> bool {
    result.as_ref().is_err_and(|text| text.contains(why))
}

/// Every property of a Send connector that says how a session is opened.
const PROPERTIES: [(&str, &str, Check); 19] = [
    // SC-1, TA-2 (ignoreSTARTTLS), TA-7 (fqdn), TA-20 (BasicAuth), TA-24 (ExternalAuthoritative).
    ("", "", |result| seen(result).hello == "mail1.contoso.com" && seen(result).tls == Some("TLSv1.3")),
    ("fqdn", "fqdn: out.contoso.com", |result| seen(result).hello == "out.contoso.com"),
    ("fqdn", "fqdn: out.müller.example", |result| seen(result).hello == "out.xn--mller-kva.example"),
    ("forceHELO", "forceHELO: true", |result| seen(result).tls.is_none()),
    ("ignoreSTARTTLS", "ignoreSTARTTLS: true", |result| seen(result).tls.is_none()),
    ("requireTLS", "requireTLS: true", |result| seen(result).tls.is_some()),
    ("tlsAuthLevel", "requireTLS: true, tlsAuthLevel: EncryptionOnly", |result| seen(result).tls.is_some()),
    ("tlsAuthLevel", "requireTLS: true, tlsAuthLevel: CertificateValidation", |result| fails(result, "no trusted")),
    ("tlsDomain", "requireTLS: true, tlsAuthLevel: DomainValidation, tlsDomain: fabrikam.com", |result| {
        fails(result, "no trusted")
    }),
    ("tlsCertificateName", "tlsCertificateName: '<I>CN=contoso.com Postroad<S>CN=partner'", |result| {
        result.as_ref().is_ok_and(|seen| seen[0].certificate.is_some())
    }),
    ("tlsCertificateName", "tlsCertificateName: '<I>CN=Nobody<S>CN=partner'", |result| {
        fails(result, "no valid certificate is <I>CN=Nobody")
    }),
    (
        "smartHostAuthMechanism",
        "smartHostAuthMechanism: BasicAuth, authenticationCredential: {sealed: 'SEALED'}",
        |result| seen(result).user.as_deref() == Some("relay") && seen(result).password.as_deref() == Some(b"hunter2"),
    ),
    (
        "authenticationCredential",
        "smartHostAuthMechanism: BasicAuth, authenticationCredential: {sealed: 'v1:bm9uZQ=='}",
        |result| fails(result, "the credential of Out cannot be used"),
    ),
    (
        "smartHostAuthMechanism",
        "smartHostAuthMechanism: BasicAuthRequireTLS, authenticationCredential: {sealed: 'SEALED'}",
        |result| fails(result, "no trusted"),
    ),
    // With a keytab: module `kerberos`.
    ("smartHostAuthMechanism", "smartHostAuthMechanism: ExchangeServer", |result| fails(result, "set kerberos.keytab")),
    ("smartHostAuthMechanism", "smartHostAuthMechanism: ExternalAuthoritative", |result| seen(result).user.is_none()),
    ("dnsRoutingEnabled", "DNS", |result| seen(result).tls.is_some()),
    ("useExternalDNSServersEnabled", "DNS, useExternalDNSServersEnabled: true", |result| fails(result, "NonExistent")),
    // TA-44: no domain is on the list. With one: module `domain_security`.
    ("domainSecureEnabled", "DNS, domainSecureEnabled: true", |result| seen(result).tls.is_some()),
];

#[tokio::test]
async fn the_next_hop_sees_the_same_both_ways_whatever_property_is_set() {
    // SC-50: what the connector says decides, through a front end too.
    let scene = Scene::new(&[]).await;
    let partner = support::certificate(&scene.world, "smtp/partner", "partner.contoso.com");
    let names = partner.names().unwrap();
    let ways = Ways::new(&scene).await;
    let hop = NextHop::serve(&support::certificate(&scene.world, "elsewhere", "mx.fabrikam.com"));
    let internal = dns::serve(&[
        ("fabrikam.com", Record::Mx(10, "mx.fabrikam.com")),
        ("mx.fabrikam.com", Record::A(std::net::Ipv4Addr::LOCALHOST)),
    ]);
    let (internal, external) = (internal.await, dns::serve(&[]).await);
    let servers = format!(", transport: {{internalDNSServers: ['{internal}'], externalDNSServers: ['{external}']}}");
    let (mut covered, mut certificates) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for (property, yaml, check) in PROPERTIES {
        let port = hop.address.port();
        let yaml = yaml
            .replace("<I>CN=contoso.com Postroad<S>CN=partner", &format!("<I>{}<S>{}", names.issuer, names.subject));
        let connector = match yaml.strip_prefix("DNS") {
            Some(rest) => format!("port: {port}{rest}"),
            None => format!("port: {port}, dnsRoutingEnabled: false, smartHosts: [127.0.0.1], {yaml}"),
        };
        ways.configure_sealed(&scene, &servers, &connector).await;
        let (direct, proxied) = (ways.direct(&hop).await, ways.proxied(&hop).await);
        assert_eq!(direct, proxied, "{connector}");
        assert!(check(&direct), "{connector}: {direct:?}");
        covered.extend(ways.requested().map(|request| request.properties).unwrap_or_default());
        covered.insert(property.into());
        if let Ok(seen) = &direct {
            certificates.extend(seen[0].certificate.clone());
        }
    }
    assert_eq!(certificates.len(), 2, "the server's own and the one that a connector names");
    let every = [
        "authenticationCredential",
        "dnsRoutingEnabled",
        "domainSecureEnabled",
        "forceHELO",
        "fqdn",
        "ignoreSTARTTLS",
        "port",
        "requireTLS",
        "smartHostAuthMechanism",
        "smartHosts",
        "tlsAuthLevel",
        "tlsCertificateName",
        "tlsDomain",
        "useExternalDNSServersEnabled",
    ];
    let missing: Vec<_> = every.iter().filter(|name| !covered.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn the_certificate_is_that_of_the_connectors_name_both_ways() {
    // TA-7, TA-30, TA-31, TA-33: the newest valid one that has the name, or the server's own.
    let later = |minutes: u64| std::time::SystemTime::now() + std::time::Duration::from_secs(minutes * 60);
    let mut newest = None;
    let scene = Scene::of(&support::organization(), &[], |world| {
        let settings = world.settings("MAIL1");
        let (server, name) = ("out".parse().unwrap(), "out.contoso.com".parse().unwrap());
        // A certificate begins to count an hour before it is made: the last of these does not yet.
        for (folder, from) in [("old", later(0)), ("new", later(30)), ("unborn", later(24 * 60))] {
            let certificate = world.authority().issue_for_smtp(&server, &name, from.into()).unwrap();
            certificate.save_to(&settings.identity.join("smtp").join(folder)).unwrap();
            if folder == "new" {
                newest = Some(certificate);
            }
        }
        settings
    })
    .await;
    let own = KeyedCertificate::load_from(&scene.world.settings("MAIL1").identity.join("smtp")).unwrap();
    let newest = newest.unwrap();
    let ways = Ways::new(&scene).await;
    let hop = NextHop::serve(&support::certificate(&scene.world, "elsewhere", "mx.fabrikam.com"));
    for (fqdn, expected) in [("", &own), (", fqdn: out.contoso.com", &newest), (", fqdn: other.contoso.com", &own)] {
        let connector =
            format!("port: {}, dnsRoutingEnabled: false, smartHosts: [127.0.0.1]{fqdn}", hop.address.port());
        ways.configure(&scene, "", &connector).await;
        let shown = Some(OwnCertificate::of(expected.clone()).unwrap().fingerprint.to_string());
        let direct = ways.direct(&hop).await.unwrap();
        assert_eq!(direct[0].certificate, shown, "{fqdn}");
        assert_eq!(ways.proxied(&hop).await.unwrap(), direct, "{fqdn}");
    }
}

#[tokio::test]
async fn a_credential_opens_in_its_connector_alone_and_goes_to_its_hosts_alone() {
    // The front end of the scene has no key of the organization.
    let scene = Scene::new(&[]).await;
    let ways = Ways::new(&scene).await;
    let hop = NextHop::serve(&support::certificate(&scene.world, "elsewhere", "mx.fabrikam.com"));
    let to = |hosts: &str| {
        let port = hop.address.port();
        format!(
            "port: {port}, dnsRoutingEnabled: false, smartHosts: [{hosts}], smartHostAuthMechanism: BasicAuth, \
             authenticationCredential: {{sealed: 'SEALED'}}"
        )
    };
    ways.configure_sealed(&scene, "", &to("127.0.0.1")).await;
    let seen = ways.proxied(&hop).await.unwrap();
    assert_eq!(seen[0].password.as_deref(), Some(&b"hunter2"[..]));
    let good = ways.request();
    // Copied into a connector that leads elsewhere, as somebody who may write the directory and has no key can do.
    let sealed = ways.seal(&ways.node.tables().organization().send_connectors()[0]);
    ways.configure(&scene, "", &to("127.0.0.1, 127.0.0.2").replace("SEALED", &sealed)).await;
    for result in [ways.direct(&hop).await, ways.proxied(&hop).await] {
        assert!(fails(&result, "the credential of Out cannot be used: the credential was not sealed"), "{result:?}");
    }
    // What a Transport of the configuration before has opened is said to nobody by a front end of the newer one; neither is
    // anything said without a credential.
    match ways.front_ends.open(&ways.at, &good).await {
        Err(OpenError::Unknown { cause, .. }) => assert!(cause.contains("is for [127.0.0.1] by BasicAuth"), "{cause}"),
        opened => panic!("{:?}", opened.err()),
    }
    match ways.front_ends.open(&ways.at, &ProxyRequest { credential: None, ..good }).await {
        Err(OpenError::Session(failure)) => assert!(failure.to_string().contains("handed none over"), "{failure}"),
        opened => panic!("{:?}", opened.err()),
    }
    assert!(hop.take().is_empty());
}

#[tokio::test]
async fn other_name_servers_are_asked_as_soon_as_they_are_configured() {
    // SC-36, SC-37, SC-38: no restart, neither of Transport nor of the front end.
    let scene = Scene::new(&[]).await;
    let ways = Ways::new(&scene).await;
    let hop = NextHop::serve(&support::certificate(&scene.world, "elsewhere", "mx.fabrikam.com"));
    let empty = dns::serve(&[]).await;
    let table =
        [("fabrikam.com", Record::Mx(10, "mx.fabrikam.com")), ("mx.fabrikam.com", Record::A([127, 0, 0, 1].into()))];
    let full = dns::serve(&table).await;
    for (external, list) in [(false, "internalDNSServers"), (true, "externalDNSServers")] {
        let connector = format!("port: {}, useExternalDNSServersEnabled: {external}", hop.address.port());
        for (servers, answers) in [(empty, false), (full, true), (empty, false)] {
            ways.configure(&scene, &format!(", transport: {{{list}: ['{servers}']}}"), &connector).await;
            let (direct, proxied) = (ways.direct(&hop).await, ways.proxied(&hop).await);
            assert_eq!((direct.is_ok(), proxied.is_ok()), (answers, answers), "{list}: {direct:?} {proxied:?}");
        }
    }
}
