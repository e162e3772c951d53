//! Who may call (ARCHITECTURE.md): nobody without a certificate of the organization's authority that names a
//! service which the RPC is for.

use std::net::Ipv4Addr;
use std::sync::Arc;

use authority::{Revocation, Subject};
use envelope::{ObjectName, Revision, SiteName};
use futures::StreamExt;
use net::{CertificateAuthority, KeyedCertificate, Service};
use rpc::admin::{AdminError, MessagesRequest};
use rpc::{Administrator, Credentials, Offer, Peers, TransferError};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use topology::{Guid, Organization, OrganizationDraft, Server, ServerRole, Site, TransportServiceSettings};

use crate::proxy::Stage;
use crate::support::{
    Deliverer, FQDN, Nothing, Recorder, Running, SERVER, authority, credentials, head, identity, name, no_content, now,
};

/// Every RPC, and who may call it.
const CALLERS: [(&str, &[Service]); 4] = [
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
];

/// RPCs that no service may call, whatever its certificate says: they are for administrators.
const FOR_ADMINISTRATORS: [&str; 3] = [
    "/postroad.admin.v1.Queues/ListQueues",
    "/postroad.admin.v1.Queues/ListMessages",
    "/postroad.admin.v1.Queues/ListPeers",
];

async fn everything(authority: &CertificateAuthority) -> Running {
    Running::start(authority, Service::Transport, (Ipv4Addr::LOCALHOST, 0).into(), |offer| {
        offer.transport(Recorder::open());
        offer.mailbox_delivery(Arc::new(Deliverer(vec![])));
        offer.outbound_proxy(Arc::new(Stage::default()));
        offer.queues(Arc::new(Nothing));
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
                Err(error) => {
                    assert!(!callers.contains(&service), "{service} could not call {path}: {error}");
                    assert!(error.starts_with("PermissionDenied"), "{error}");
                }
            }
        }
    }
}

#[tokio::test]
async fn administrators_look_at_queues_and_do_nothing_that_services_do() {
    let authority = authority();
    let server = everything(&authority).await;
    let own = authority.issue_administrator(&ObjectName::parse("anna").unwrap(), now()).unwrap();
    let identity = tonic::transport::Identity::from_pem(&own.cert_pem, own.key_pem.expose());
    for (path, _) in CALLERS {
        let refused = call(&server, tls(&authority).identity(identity.clone()), path).await.expect_err(path);
        assert!(refused.starts_with("PermissionDenied"), "{path}: {refused}");
    }
    let credentials = Credentials::new(own, authority.certificate_pem().to_owned());
    let administrator = Administrator::new(Arc::new(credentials));
    assert_eq!(administrator.queues(&server.address).await.unwrap(), []);
    assert_eq!(administrator.peers(&server.address).await.unwrap(), []);
    let messages = administrator.messages(&server.address, MessagesRequest::default()).await.unwrap();
    assert_eq!(messages.count().await, 0);
}

#[tokio::test]
async fn no_service_looks_at_queues() {
    let authority = authority();
    let server = everything(&authority).await;
    for path in FOR_ADMINISTRATORS {
        for services in [&Service::ALL[..], &[Service::Transport], &[Service::Admin]] {
            let own = authority.issue(&identity("MAIL1", services), now()).unwrap();
            let identity = tonic::transport::Identity::from_pem(&own.cert_pem, own.key_pem.expose());
            let refused = call(&server, tls(&authority).identity(identity), path).await.expect_err(path);
            assert!(refused.starts_with("PermissionDenied"), "{path} {services:?}: {refused}");
        }
    }
    let service = Administrator::new(credentials(&authority, "MAIL1", &Service::ALL));
    let refused = service.queues(&server.address).await.unwrap_err();
    assert!(matches!(refused, AdminError::Refused { .. }), "{refused:?}");
    let stranger = self::authority().issue_administrator(&ObjectName::parse("anna").unwrap(), now()).unwrap();
    let stranger = Credentials::new(stranger, authority.certificate_pem().to_owned());
    let refused = Administrator::new(Arc::new(stranger)).queues(&server.address).await.unwrap_err();
    assert!(matches!(refused, AdminError::Unreachable { .. } | AdminError::Answer { .. }), "{refused:?}");
}

#[tokio::test]
async fn nobody_calls_without_a_certificate_of_the_organization() {
    let authority = authority();
    let other = self::authority();
    let server = everything(&authority).await;
    let smtp =
        authority.issue_for_smtp(&"MAIL2".parse().unwrap(), &"mail2.contoso.com".parse().unwrap(), now()).unwrap();
    let foreign = other.issue(&identity("MAIL2", &Service::ALL), now()).unwrap();
    let none = authority.issue(&identity("MAIL2", &[]), now()).unwrap();
    for path in CALLERS.iter().map(|(path, _)| *path).chain(FOR_ADMINISTRATORS) {
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
        removed_receive_connectors: Default::default(),
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
    server.credentials.heed(&members, &[]);
    // As many streams as a peer has.
    for id in 1..=2 {
        let _ = peers.submit(&server.address, &head(id, 0), no_content()).await.unwrap();
    }

    // They are open: the next message on them is refused, for now.
    let subject = Subject::Server("MAIL2".parse().unwrap());
    let revoked = Revocation { subject, issued_until: now() };
    server.credentials.heed(&members, std::slice::from_ref(&revoked));
    let refused = peers.submit(&server.address, &head(6, 0), no_content()).await.unwrap_err();
    let TransferError::Refused { reply, .. } = refused else { panic!("{refused:?}") };
    assert!(reply.to_string().contains("4.7.1") && reply.to_string().contains("revoked"), "{reply}");
    // With a certificate that was issued later its mail goes on, without a restart.
    let later = now().plus(std::time::Duration::from_secs(5));
    assert!(own.renew(&authority.issue(&identity("MAIL2", &[Service::Transport]), later).unwrap()));
    for id in 7..=8 {
        let _ = peers.submit(&server.address, &head(id, 0), no_content()).await.unwrap();
    }
    // A new connection is refused as well.
    let again = Peers::new(credentials(&authority, "MAIL2", &[Service::Transport]));
    let old = Revocation { issued_until: now().plus(std::time::Duration::from_secs(60)), ..revoked };
    server.credentials.heed(&members, &[old]);
    let refused = again.submit(&server.address, &head(3, 0), no_content()).await.unwrap_err();
    assert!(format!("{refused}").contains("revoked"), "{refused}");
    assert_eq!(recorder.arrivals.borrow().len(), 4);

    server.credentials.heed(&organization(&["MAIL1"]), &[]);
    let refused = again.submit(&server.address, &head(4, 0), no_content()).await.unwrap_err();
    assert!(format!("{refused}").contains("MAIL2 is no server of the organization"), "{refused}");
    server.credentials.heed(&members, &[]);
    let _ = again.submit(&server.address, &head(5, 0), no_content()).await.unwrap();
}
