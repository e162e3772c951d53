//! Who may call (ARCHITECTURE.md): nobody without a certificate of the organization's authority that names a
//! service which the RPC is for.

use std::net::Ipv4Addr;
use std::sync::Arc;

use authority::{Revocation, RoleGroup, Subject};
use bytes::Bytes;
use envelope::{ObjectName, Revision, SiteName};
use futures::stream::BoxStream;
use net::{CertificateAuthority, KeyedCertificate, PeerIdentity, Service};
use rpc::{
    Credentials, DatabaseMove, FailedLogons, FailedLogonsHandler, MailboxEntry, MailboxPiece, MailboxesHandler, Offer,
    Peers, ToldTooOften, TransferError,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use topology::{Guid, Organization, OrganizationDraft, Server, ServerRole, Site, TransportServiceSettings};

use crate::proxy::Stage;
use crate::support::{
    Deliverer, FQDN, Recorder, Running, SERVER, authority, credentials, head, identity, name, no_content, now, trusting,
};

/// Every RPC, and who may call it.
const CALLERS: [(&str, &[Service]); 8] = [
    (
        "/postroad.transfer.v1.Transport/Submit",
        &[Service::FrontendTransport, Service::MailboxSubmission, Service::Transport],
    ),
    (
        "/postroad.transfer.v1.Transport/Admit",
        &[Service::FrontendTransport, Service::MailboxSubmission, Service::Transport],
    ),
    ("/postroad.transfer.v1.MailboxDelivery/Deliver", &[Service::Transport]),
    ("/postroad.proxy.v1.OutboundProxy/Session", &[Service::Transport]),
    ("/postroad.logons.v1.FailedLogons/Tell", &[Service::FrontendTransport, Service::Transport]),
    ("/postroad.mailboxes.v1.Mailboxes/Parts", &[Service::MailboxDelivery]),
    ("/postroad.mailboxes.v1.Mailboxes/List", &[Service::MailboxDelivery]),
    ("/postroad.mailboxes.v1.Mailboxes/Fetch", &[Service::MailboxDelivery]),
];

struct NoDatabases;

#[async_trait::async_trait]
impl MailboxesHandler for NoDatabases {
    async fn parts(&self, _: &PeerIdentity, _: &DatabaseMove) -> Result<Vec<Bytes>, String> {
        Err("none".to_owned())
    }
    async fn list(&self, _: &PeerIdentity, _: &DatabaseMove, _: Bytes) -> Result<Vec<MailboxEntry>, String> {
        Err("none".to_owned())
    }
    async fn fetch(
        &self,
        _: &PeerIdentity,
        _: &DatabaseMove,
        _: Vec<Bytes>,
    ) -> Result<BoxStream<'static, Result<MailboxPiece, String>>, String> {
        Err("none".to_owned())
    }
}

struct Heard;

impl FailedLogonsHandler for Heard {
    fn told(&self, _: &PeerIdentity, _: FailedLogons) -> Result<(), ToldTooOften> {
        Ok(())
    }
}

async fn everything(authority: &CertificateAuthority) -> Running {
    Running::start(authority, Service::Transport, (Ipv4Addr::LOCALHOST, 0).into(), |offer| {
        offer.transport(Recorder::open());
        offer.mailbox_delivery(Arc::new(Deliverer(vec![])));
        offer.outbound_proxy(Arc::new(Stage::default()));
        offer.mailboxes(Arc::new(NoDatabases));
        offer.failed_logons(Arc::new(Heard));
    })
    .await
}

/// The status with which a call with one empty message is answered, or why there was no connection.
async fn call(server: &Running, tls: ClientTlsConfig, path: &'static str) -> Result<(), String> {
    let endpoint =
        Endpoint::from_shared(format!("https://{}", server.address.address)).unwrap().tls_config(tls).unwrap();
    let channel = endpoint.connect().await.map_err(|error| format!("{error:?}"))?;
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| format!("{error:?}"))?;
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let request = tonic::Request::new(futures::stream::iter([()]));
    let answer = client.streaming(request, tonic::codegen::http::uri::PathAndQuery::from_static(path), codec).await;
    answer.map(|_| ()).map_err(|status| format!("{:?} {status:?}", status.code()))
}

fn tls(authority: &CertificateAuthority) -> ClientTlsConfig {
    let ca = Certificate::from_pem(authority.certificate_pem());
    ClientTlsConfig::new().ca_certificate(ca).domain_name(FQDN)
}

#[tokio::test]
async fn each_rpc_is_for_the_services_that_it_names() {
    let authority = authority();
    let server = everything(&authority).await;
    for (path, callers) in CALLERS {
        for service in Service::ALL {
            let own = authority.issue(&identity("MAIL2", &[service]), now()).unwrap();
            let identity = tonic::transport::Identity::from_pem(&own.cert_pem, own.key_pem.expose());
            let answer = call(&server, tls(&authority).identity(identity), path).await;
            match answer {
                Ok(()) => assert!(callers.contains(&service), "{service} called {path}"),
                // It was heard: an empty message says too little for some.
                Err(error) if error.starts_with("InvalidArgument") => {
                    assert!(callers.contains(&service), "{service} called {path}");
                }
                Err(error) => {
                    assert!(!callers.contains(&service), "{service} could not call {path}: {error}");
                    assert!(error.starts_with("PermissionDenied"), "{error}");
                }
            }
        }
    }
}

#[tokio::test]
async fn administrators_do_nothing_that_services_do() {
    let authority = authority();
    let server = everything(&authority).await;
    let groups = RoleGroup::ALL.into_iter().collect();
    let own = authority.issue_administrator(&ObjectName::parse("anna").unwrap(), &groups, now()).unwrap();
    let identity = tonic::transport::Identity::from_pem(&own.cert_pem, own.key_pem.expose());
    for (path, _) in CALLERS {
        let refused = call(&server, tls(&authority).identity(identity.clone()), path).await.expect_err(path);
        assert!(refused.starts_with("PermissionDenied"), "{path}: {refused}");
    }
}

#[tokio::test]
async fn nobody_calls_without_a_certificate_of_the_organization() {
    // TA-51, TA-65; TA-50: an Edge server as any other.
    let authority = authority();
    let other = self::authority();
    let server = everything(&authority).await;
    let smtp =
        authority.issue_for_smtp(&"MAIL2".parse().unwrap(), &"mail2.contoso.com".parse().unwrap(), now()).unwrap();
    let foreign = other.issue(&identity("MAIL2", &Service::ALL), now()).unwrap();
    let none = authority.issue(&identity("MAIL2", &[]), now()).unwrap();
    for path in CALLERS.iter().map(|(path, _)| *path) {
        call(&server, tls(&authority), path).await.expect_err("no certificate");
        for (what, certificate) in
            [("another authority's", &foreign), ("a TLS host's", &smtp), ("a node without services", &none)]
        {
            let identity = tonic::transport::Identity::from_pem(&certificate.cert_pem, certificate.key_pem.expose());
            call(&server, tls(&authority).identity(identity), path).await.expect_err(what);
        }
    }
}

#[tokio::test]
async fn a_peer_says_why_it_was_sent_away() {
    let authority = authority();
    let server = everything(&authority).await;
    let wrong_service = Peers::new(credentials(&authority, "MAIL2", &[Service::MailboxDelivery]));
    let refused = wrong_service.submit(&server.address, &head(1, 0), no_content()).await.unwrap_err();
    let TransferError::Unreachable { cause, .. } = refused else { panic!("{refused:?}") };
    assert!(cause.contains("PermissionDenied: MAIL2 may not call this"), "{cause}");
    let foreign = self::authority().issue(&identity("MAIL2", &Service::ALL), now()).unwrap();
    let foreign = Peers::new(Arc::new(Credentials::new(foreign, authority.certificate_pem().to_owned())));
    let refused = foreign.submit(&server.address, &head(1, 0), no_content()).await.unwrap_err();
    assert!(matches!(refused, TransferError::Unreachable { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_server_of_another_organization_or_of_another_name_gets_no_mail() {
    let authority = authority();
    let recorder = Recorder::open();
    let server = Running::transport(&self::authority(), recorder.clone()).await;
    let peers = Peers::new(credentials(&authority, "MAIL2", &[Service::Transport]));
    let refused = peers.submit(&server.address, &head(1, 0), no_content()).await.unwrap_err();
    let TransferError::Unreachable { cause, .. } = refused else { panic!("{refused:?}") };
    assert!(cause.contains("certificate"), "{cause}");
    let server = Running::transport(&authority, recorder.clone()).await;
    let mut elsewhere = server.address.clone();
    elsewhere.fqdn = "mail9.contoso.com".parse().unwrap();
    let refused = peers.submit(&elsewhere, &head(1, 0), no_content()).await.unwrap_err();
    let TransferError::Unreachable { cause, .. } = refused else { panic!("{refused:?}") };
    assert!(cause.contains("certificate"), "{cause}");
    assert!(recorder.arrivals.borrow().is_empty());
}

/// Serves Transport with a certificate that is not its own.
async fn posing(authority: &CertificateAuthority, own: KeyedCertificate, recorder: &Arc<Recorder>) -> Running {
    let drain = CancellationToken::new();
    let mut offer = Offer::new(drain.clone());
    offer.transport(recorder.clone());
    let credentials = Arc::new(Credentials::new(own, authority.certificate_pem().to_owned()));
    Running::serving(offer, credentials, (Ipv4Addr::LOCALHOST, 0).into(), drain).await
}

#[tokio::test]
async fn only_the_service_that_was_meant_gets_the_mail() {
    // A stolen key of another service, of another server, or of the server's SMTP, announced as a Transport's.
    let authority = authority();
    let recorder = Recorder::open();
    let stolen = [
        ("a front end's", authority.issue(&identity("MAIL1", &[Service::FrontendTransport]), now()).unwrap()),
        ("another server's", authority.issue(&identity("MAIL3", &Service::ALL), now()).unwrap()),
        ("of SMTP", authority.issue_for_smtp(&name(SERVER), &FQDN.parse().unwrap(), now()).unwrap()),
    ];
    let peers = Peers::new(credentials(&authority, "MAIL2", &[Service::Transport]));
    for (whose, own) in stolen {
        let server = posing(&authority, own, &recorder).await;
        let refused = peers.submit(&server.address, &head(1, 0), no_content()).await.expect_err(whose);
        let TransferError::Unreachable { cause, .. } = refused else { panic!("{whose}: {refused:?}") };
        assert!(cause.contains("certificate"), "{whose}: {cause}");
    }
    assert!(recorder.arrivals.borrow().is_empty());
    let own = authority.issue(&identity(SERVER, &[Service::Transport]), now()).unwrap();
    let server = posing(&authority, own, &recorder).await;
    let _ = peers.submit(&server.address, &head(1, 0), no_content()).await.unwrap();
}

/// An organization of these servers.
fn organization(servers: &[&str]) -> Organization {
    let guid = |at: usize| format!("00000000-0000-0000-0000-{at:012}").parse::<Guid>().unwrap();
    let berlin: SiteName = "Berlin".parse().unwrap();
    let server = |(at, name): (usize, &&str)| Server {
        guid: guid(at + 1),
        name: self::name(name),
        fqdn: format!("{name}.contoso.com").parse().unwrap(),
        site: berlin.clone(),
        role: ServerRole::Mailbox,
        dag: None,
        transport: TransportServiceSettings::default(),
        frontend_transport: topology::FrontendTransportSettings::default(),
        mailbox_transport: topology::MailboxTransportSettings::default(),
        removed_receive_connectors: Default::default(),
        edge: topology::EdgeSubscription::default(),
    };
    let sites = vec![Site {
        guid: guid(0),
        name: berlin.clone(),
        hub_site_enabled: false,
        inbound_mail_enabled: true,
        subnets: vec![],
    }];
    let servers = servers.iter().enumerate().map(server).collect();
    let draft = OrganizationDraft { sites, servers, ..OrganizationDraft::default() };
    Organization::validate(draft, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"))
}

#[tokio::test]
async fn whoever_is_revoked_or_no_member_is_heard_no_more_on_open_streams_too() {
    let authority = authority();
    let recorder = Recorder::open();
    let server = Running::transport(&authority, recorder.clone()).await;
    let own = credentials(&authority, "MAIL2", &[Service::Transport]);
    let peers = Peers::new(own.clone());
    let members = organization(&["MAIL1", "MAIL2"]);
    server.credentials.heed(&name("MAIL1"), &members, &[]).unwrap();
    // As many streams as a peer has.
    for id in 1..=2 {
        let _ = peers.submit(&server.address, &head(id, 0), no_content()).await.unwrap();
    }

    // They are open: the next message on them is refused, for now.
    let subject = Subject::Server("MAIL2".parse().unwrap());
    let revoked = Revocation { subject, issued_until: now() };
    let revoked_now = std::slice::from_ref(&revoked);
    server.credentials.heed(&name("MAIL1"), &members, revoked_now).unwrap();
    let refused = peers.submit(&server.address, &head(6, 0), no_content()).await.unwrap_err();
    let TransferError::Refused { reply, .. } = refused else { panic!("{refused:?}") };
    assert!(reply.to_string().contains("4.7.1") && reply.to_string().contains("revoked"), "{reply}");
    // With a certificate that was issued later its mail goes on, without a restart.
    let later = now().plus(std::time::Duration::from_secs(5));
    let renewed = authority.issue(&identity("MAIL2", &[Service::Transport]), later).unwrap();
    assert!(own.renew(renewed, authority.certificate_pem().to_owned()).unwrap());
    for id in 7..=8 {
        let _ = peers.submit(&server.address, &head(id, 0), no_content()).await.unwrap();
    }
    // A new connection is refused as well.
    let again = Peers::new(credentials(&authority, "MAIL2", &[Service::Transport]));
    let old = Revocation { issued_until: now().plus(std::time::Duration::from_secs(60)), ..revoked };
    server.credentials.heed(&name("MAIL1"), &members, &[old]).unwrap();
    let refused = again.submit(&server.address, &head(3, 0), no_content()).await.unwrap_err();
    assert!(format!("{refused}").contains("revoked"), "{refused}");
    assert_eq!(recorder.arrivals.borrow().len(), 4);

    server.credentials.heed(&name("MAIL1"), &organization(&["MAIL1"]), &[]).unwrap();
    let refused = again.submit(&server.address, &head(4, 0), no_content()).await.unwrap_err();
    assert!(format!("{refused}").contains("MAIL2 is no server of the organization"), "{refused}");
    server.credentials.heed(&name("MAIL1"), &members, &[]).unwrap();
    let _ = again.submit(&server.address, &head(5, 0), no_content()).await.unwrap();
}

#[tokio::test]
async fn one_authority_follows_another_while_mail_goes_on() {
    let (old, new) = (authority(), authority());
    let recorder = Recorder::open();
    let server = Running::transport(&old, recorder.clone()).await;
    let peer = credentials(&old, "MAIL2", &[Service::Transport]);
    let mut sent = 0;
    let mut send = async |credentials: &Arc<Credentials>| {
        sent += 1;
        Peers::new(credentials.clone()).submit(&server.address, &head(sent, 0), no_content()).await.map(drop)
    };
    send(&peer).await.unwrap();
    let renew = |credentials: &Credentials, own, all: &[&CertificateAuthority], name| {
        let (certificate, authorities) = trusting(own, all, name);
        assert!(credentials.renew(certificate, authorities).unwrap());
    };
    // The one that has a certificate of the new authority too early is refused.
    let early = Arc::new({
        let (certificate, authorities) = trusting(&new, &[&old, &new], "MAIL3");
        Credentials::new(certificate, authorities)
    });
    assert!(send(&early).await.is_err());
    // First all believe both, then all have certificates of the new one, then nobody believes the old one.
    renew(&server.credentials, &old, &[&old, &new], SERVER);
    send(&early).await.unwrap();
    send(&peer).await.unwrap();
    renew(&peer, &old, &[&old, &new], "MAIL2");
    renew(&server.credentials, &new, &[&old, &new], SERVER);
    send(&peer).await.unwrap();
    renew(&peer, &new, &[&old, &new], "MAIL2");
    send(&peer).await.unwrap();
    renew(&server.credentials, &new, &[&new], SERVER);
    send(&peer).await.unwrap();
    let late = credentials(&old, "MAIL4", &[Service::Transport]);
    assert!(send(&late).await.is_err());
    assert!(
        server.credentials.renew(trusting(&old, &[], SERVER).0, String::new()).is_err(),
        "what is of no use is not taken"
    );
    send(&peer).await.unwrap();
}

#[tokio::test]
async fn strangers_at_the_port_stop_nobody() {
    let authority = authority();
    let server = Running::transport(&authority, Recorder::open()).await;
    let mut strangers = Vec::new();
    for _ in 0..600 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
        strangers.push(socket.connect(server.address.address).await.unwrap());
    }
    let peers = Peers::new(credentials(&authority, "MAIL2", &[Service::Transport]));
    let _ = peers.submit(&server.address, &head(1, 0), no_content()).await.unwrap();
    // All but as many as one address may have were hung up on.
    let mut silent = 0;
    for stranger in &mut strangers {
        let mut octet = [0; 1];
        let read = tokio::io::AsyncReadExt::read(stranger, &mut octet);
        silent += u32::from(tokio::time::timeout(std::time::Duration::from_millis(5), read).await.is_err());
    }
    assert_eq!(silent, 64);
}
