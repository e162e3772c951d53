//! Who may do what in a real etcd, by the certificate that is shown: each identity against each kind of key.

use directory::{
    Backend, Directory, EtcdSettings, EtcdTls, EtcdUsers, FOREST_DEFAULT, Presence, connect_etcd, secure_etcd,
};
use envelope::{Revision, ServerName, Service, Timestamp};
use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use std::sync::Arc;
use zeroize::Zeroizing;

use crate::etcd_server::EtcdServer;
use crate::tls::{Authority, server};
use crate::world::{connector, founded, put, until};

/// As certificates name them.
const TRANSPORT: &str = "mail1/transport";
const FRONT_END: &str = "mail1/frontend-transport";
const MANAGEMENT: &str = "mail1/admin";

struct Fixture {
    authority: Authority,
    etcd: EtcdServer,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let etcd = server(folder.path(), &authority);
        Self { authority, etcd, _folder: folder }
    }

    fn settings(&self, name: &str) -> EtcdSettings {
        let (certificate, key) = self.authority.user(name);
        let identity = Some((certificate.into_bytes(), Zeroizing::new(key.into_bytes())));
        let tls =
            EtcdTls { ca: self.authority.pem.clone().into_bytes(), identity, domain_name: Some("etcd.test".into()) };
        EtcdSettings { tls: Some(tls), ..EtcdSettings::new(vec![self.etcd.endpoint()]) }
    }

    fn directory(&self, name: &str) -> Arc<dyn Backend> {
        connect_etcd(self.settings(name), FOREST_DEFAULT)
    }

    /// A client that knows nothing of our rules.
    async fn client(&self, name: &str) -> Client {
        let (certificate, key) = self.authority.user(name);
        let tls = TlsOptions::new()
            .ca_certificate(Certificate::from_pem(&self.authority.pem))
            .identity(Identity::from_pem(certificate, key))
            .domain_name("etcd.test");
        Client::connect([self.etcd.endpoint()], Some(ConnectOptions::new().with_tls(tls))).await.unwrap()
    }

    async fn secure(&self) {
        let mail1 = ServerName::parse("MAIL1").unwrap();
        let services =
            [(Service::Transport, TRANSPORT), (Service::FrontendTransport, FRONT_END), (Service::Admin, MANAGEMENT)];
        let users = EtcdUsers {
            services: services.map(|(service, user)| (mail1.clone(), service, user.to_owned())).into(),
            administrators: vec!["administrator".to_owned()],
            root: "root".to_owned(),
        };
        // What is there already stays: as often as one likes.
        for _ in 0..2 {
            secure_etcd(self.settings("root"), FOREST_DEFAULT, &users).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_identity_reads_and_writes_what_is_its_own() {
    let fixture = Fixture::start();
    founded(&*fixture.directory("root")).await;
    fixture.secure().await;
    let keys = [
        "v1/config/current",
        "v1/config/x/server/y",
        "v1/epoch",
        "v1/change/config",
        "v1/revoked/server/mail1",
        "v1/recipient/x",
        "v1/index/address/x",
        "runtime/servers/mail1/transport",
        "runtime/servers/mail1/frontend-transport",
        "runtime/servers/mail2/transport",
        "../another/v1/config/current",
    ];
    for (name, expected) in [
        (TRANSPORT, "r r r r r r r rw r r -"),
        (FRONT_END, "r r r r r r r r rw r -"),
        (MANAGEMENT, "rw rw rw rw rw rw rw r r r -"),
        ("administrator", "rw rw rw rw rw rw rw r r r -"),
        ("root", "rw rw rw rw rw rw rw rw rw rw rw"),
        // What STARTTLS shows, a server that was not told of, and somebody who makes a name up.
        ("MAIL1", "- - - - - - - - - - -"),
        ("mail2/transport", "- - - - - - - - - - -"),
        ("MAIL1/TRANSPORT", "- - - - - - - - - - -"),
        ("", "- - - - - - - - - - -"),
    ] {
        let mut client = fixture.client(name).await;
        let mut rights = Vec::new();
        for key in keys {
            let key = match key.strip_prefix("..") {
                Some(other) => format!("/postroad{other}"),
                None => format!("/postroad/{FOREST_DEFAULT}/{key}"),
            };
            let read = client.get(key.as_str(), None).await.is_ok();
            // A value that spoils nothing: what is there, or a key that is taken away again.
            let there = fixture.client("root").await.get(key.as_str(), None).await.unwrap();
            let value = there.kvs().first().map_or_else(|| b"x".to_vec(), |kv| kv.value().to_vec());
            let written = client.put(key.as_str(), value, None).await.is_ok();
            rights.push(match (read, written) {
                (true, true) => "rw",
                (true, false) => "r",
                (false, true) => "w",
                (false, false) => "-",
            });
        }
        assert_eq!(rights.join(" "), expected, "{name}");
        if name != "root" {
            assert!(client.user_add("guest", "guest", None).await.is_err(), "{name}");
            assert!(client.auth_disable().await.is_err(), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_work_and_change_nothing_and_administrators_do() {
    let fixture = Fixture::start();
    let first = founded(&*fixture.directory("root")).await;
    fixture.secure().await;
    let transport = fixture.directory(TRANSPORT);
    let transport_as_directory: &dyn Directory = &*transport;
    assert_eq!(until(|| transport.snapshot()).await.revision(), first);
    let presence = |service| Presence {
        server: ServerName::parse("mail1").unwrap(),
        service,
        addresses: vec!["127.0.0.1:7525".parse().unwrap()],
        started: Timestamp::from_millis(1),
        version: "1".to_owned(),
        applied_revision: Revision(1),
        out_of_reach: Vec::new(),
    };
    let _own = transport_as_directory.announce(presence(Service::Transport));
    // Somebody else's is not announced, however long it takes.
    let _foreign = transport_as_directory.announce(presence(Service::FrontendTransport));
    until(|| async {
        let there = transport.presences().await.map_err(drop)?;
        if there.is_empty() { Err(()) } else { Ok(()) }
    })
    .await;
    let services: Vec<Service> = transport.presences().await.unwrap().into_iter().map(|one| one.service).collect();
    assert_eq!(services, [Service::Transport]);

    assert!(transport.commit(put(vec![connector("Evil")])).await.is_err());
    let administrator = fixture.directory("administrator");
    let mut seen = transport.watch(first);
    let second = administrator.commit(put(vec![connector("Partner")])).await.unwrap();
    assert!(second > first);
    let event = tokio::time::timeout(std::time::Duration::from_secs(30), futures::StreamExt::next(&mut seen)).await;
    assert!(event.unwrap().is_some(), "services follow");
    let smtp = fixture.directory("MAIL1");
    assert!(smtp.snapshot().await.is_err());
}
