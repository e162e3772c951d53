//! An Edge server and the organization that it is subscribed to: what either believes of the other, and that whoever has broken into
//! the perimeter can hand in anonymous mail and nothing else (EN-27, EN-37).

use std::sync::Arc;
use std::time::Duration;

use authority::{Revocation, Subject};
use bytes::Bytes;
use envelope::head::OriginKind;
use envelope::{Domain, Revision, ServerName, SiteName};
use net::{CertificateAuthority, NodeIdentity, Service};
use rpc::{Credentials, Peers, TransferError};
use topology::{
    EdgeSubscription, Guid, Organization, OrganizationDraft, Server, ServerRole, Site, TransportServiceSettings,
};

use crate::support::{
    Deliverer, Recorder, Running, SERVER, authority, credentials, head, name, no_content, now, pieces,
};

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn server(server: &str, site: &str, edge: Option<EdgeSubscription>) -> Server {
    let role = if edge.is_some() { ServerRole::Edge } else { ServerRole::Mailbox };
    Server {
        guid: Guid::derived("server", server),
        name: name(server),
        fqdn: domain(&format!("{server}.contoso.com")),
        site: SiteName::parse(site).unwrap(),
        role,
        dag: None,
        removed_receive_connectors: Vec::new(),
        edge: edge.unwrap_or_default(),
        transport: TransportServiceSettings::of(role),
        frontend_transport: topology::FrontendTransportSettings::default(),
        mailbox_transport: topology::MailboxTransportSettings::default(),
    }
}

fn organization(servers: Vec<Server>) -> Organization {
    let mut names: Vec<SiteName> = servers.iter().map(|server| server.site.clone()).collect();
    names.sort();
    names.dedup();
    let site = |name: SiteName| Site {
        guid: Guid::derived("site", name.as_str()),
        name,
        hub_site_enabled: false,
        inbound_mail_enabled: true,
        subnets: vec![],
    };
    let sites = names.into_iter().map(site).collect();
    let draft = OrganizationDraft { sites, servers, ..OrganizationDraft::default() };
    Organization::validate(draft, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"))
}

/// An Edge server's own forest, and what it shows.
struct Edge {
    authority: CertificateAuthority,
    credentials: Arc<Credentials>,
}

impl Edge {
    fn new(server: &str) -> Self {
        let authority = CertificateAuthority::create(&domain(&format!("{server}.contoso.com")), now()).unwrap();
        let credentials = credentials(&authority, server, &[Service::Transport]);
        Self { authority, credentials }
    }

    /// What it is known by in the organization.
    fn known(&self) -> EdgeSubscription {
        let (forest, authorities) =
            (self.authority.forest().clone(), vec![self.authority.certificate_pem().to_owned()]);
        EdgeSubscription { forest: Some(forest), authorities, ..EdgeSubscription::default() }
    }

    /// It believes that organization, which has these servers in its site.
    fn subscribed(&self, own: &str, to: &CertificateAuthority, servers: &[&str]) {
        let edge = EdgeSubscription {
            organization: Some(to.forest().clone()),
            organization_authorities: vec![to.certificate_pem().to_owned()],
            ..self.known()
        };
        let others = servers.iter().map(|other| server(other, "Berlin", None));
        let known = organization(others.chain([server(own, "Berlin", Some(edge))]).collect());
        self.credentials.heed(&name(own), &known, &[]).unwrap();
    }
}

/// MAIL1 of the organization, to whose site EDGE1 is subscribed.
async fn inside(edge: &Edge, recorder: Arc<Recorder>) -> (CertificateAuthority, Running) {
    let authority = authority();
    let mail1 = Running::transport(&authority, recorder).await;
    let known = organization(vec![
        server(SERVER, "Berlin", None),
        server("MAIL2", "Berlin", None),
        server("EDGE1", "Berlin", Some(edge.known())),
    ]);
    mail1.credentials.heed(&name(SERVER), &known, &[]).unwrap();
    (authority, mail1)
}

#[tokio::test]
async fn an_edge_server_hands_in_anonymous_mail_whatever_it_says_of_it() {
    let (edge, recorder) = (Edge::new("EDGE1"), Recorder::open());
    let (authority, mail1) = inside(&edge, recorder.clone()).await;
    edge.subscribed("EDGE1", &authority, &[SERVER]);
    let mut forged = head(7, 4);
    forged.origin.kind = OriginKind::Mailbox;
    forged.origin.connector = "Outbox".into();
    forged.revision = Revision(99);
    forged.backed_off = vec![SiteName::parse("Oslo").unwrap()];
    forged.original_size = Some(envelope::ByteSize::bytes(1));
    let peers = Peers::new(edge.credentials.clone());
    let content = || pieces([Bytes::from_static(b"mail")]);
    let receipt = peers.submit(&mail1.address, &forged, content()).await.unwrap();
    assert_eq!(receipt.message(), forged.id);
    let arrived = &recorder.arrived(1).await[0];
    assert_eq!((arrived.head.origin.kind, &*arrived.head.origin.connector), (OriginKind::Anonymous, "Edge EDGE1"));
    assert_eq!((arrived.head.revision, arrived.head.original_size), (Revision(0), None));
    assert!(arrived.head.backed_off.is_empty() && arrived.history.is_none());
    assert_ne!(arrived.head.id, forged.id, "a message of ours may have that id");
    // The same message again is the same.
    let _ = peers.submit(&mail1.address, &forged, content()).await.unwrap();
    let arrived = recorder.arrived(2).await;
    assert_eq!(arrived[0].head.id, arrived[1].head.id);
}

#[tokio::test]
async fn whoever_has_broken_into_an_edge_server_can_hand_in_anonymous_mail_and_nothing_else() {
    let (edge, recorder) = (Edge::new("EDGE1"), Recorder::open());
    let (authority, mail1) = inside(&edge, recorder.clone()).await;
    edge.subscribed("EDGE1", &authority, &[SERVER]);

    // Another service of the same server.
    let address = (std::net::Ipv4Addr::LOCALHOST, 0).into();
    let add = |offer: &mut rpc::Offer| offer.mailbox_delivery(Arc::new(Deliverer(Vec::new())));
    let delivery = Running::start(&authority, Service::MailboxDelivery, address, add).await;
    let known = organization(vec![server(SERVER, "Berlin", None), server("EDGE1", "Berlin", Some(edge.known()))]);
    delivery.credentials.heed(&name(SERVER), &known, &[]).unwrap();
    let peers = Peers::new(edge.credentials.clone());
    let refused = peers.deliver(&delivery.address, &head(1, 0), no_content()).await.unwrap_err();
    assert!(refused.to_string().contains("hands in mail alone"), "{refused}");

    // A server of another site than the one that it is subscribed to.
    let far = Running::transport(&authority, recorder.clone()).await;
    let known = organization(vec![server(SERVER, "Oslo", None), server("EDGE1", "Berlin", Some(edge.known()))]);
    far.credentials.heed(&name(SERVER), &known, &[]).unwrap();
    let refused = Peers::new(edge.credentials.clone()).submit(&far.address, &head(2, 0), no_content()).await;
    assert!(matches!(refused, Err(TransferError::Unreachable { .. })), "{refused:?}");

    // Certificates that its authority issues for somebody else: a server of ours in our forest, another server of its own.
    let forged = |forest: &CertificateAuthority, server: &str, fqdn: &str| {
        let services = [Service::Transport, Service::Admin].into_iter().collect();
        let identity = NodeIdentity { server: name(server), fqdn: domain(fqdn), services };
        let own = forest.issue(&identity, now()).unwrap();
        let credentials = Arc::new(Credentials::new(own, authority.certificate_pem().to_owned()));
        Peers::new(credentials)
    };
    let ours = CertificateAuthority::create(&domain("contoso.com"), now()).unwrap();
    for (forest, server) in [(&ours, "MAIL2"), (&edge.authority, "EDGE2"), (&edge.authority, "MAIL2")] {
        let peers = forged(forest, server, "mail2.contoso.com");
        let refused = peers.submit(&mail1.address, &head(3, 0), no_content()).await;
        assert!(matches!(refused, Err(TransferError::Unreachable { .. })), "{server}: {refused:?}");
    }
    assert!(recorder.arrivals.borrow().is_empty());

    // What the server had before it was subscribed: a certificate of ours counts no more, as a member's.
    let before = Peers::new(credentials(&authority, "EDGE1", &[Service::Transport]));
    let refused = before.submit(&mail1.address, &head(5, 0), no_content()).await.unwrap_err();
    assert!(refused.to_string().contains("no server of the organization (rule `member`)"), "{refused}");
    assert!(recorder.arrivals.borrow().is_empty());

    // When its certificate is revoked, nothing at all.
    let known = organization(vec![server(SERVER, "Berlin", None), server("EDGE1", "Berlin", Some(edge.known()))]);
    let revoked =
        Revocation { subject: Subject::Server(name("EDGE1")), issued_until: now().plus(Duration::from_secs(60)) };
    mail1.credentials.heed(&name(SERVER), &known, &[revoked]).unwrap();
    let refused = peers.submit(&mail1.address, &head(6, 0), no_content()).await;
    assert!(refused.is_err(), "{refused:?}");

    // And when the subscription is removed, neither.
    let known = organization(vec![server(SERVER, "Berlin", None)]);
    mail1.credentials.heed(&name(SERVER), &known, &[]).unwrap();
    let refused = peers.submit(&mail1.address, &head(4, 0), no_content()).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn an_edge_server_takes_mail_from_transports_of_its_site_alone() {
    let (edge, recorder) = (Edge::new("EDGE1"), Recorder::open());
    let authority = authority();
    let running = {
        let mut offer = rpc::Offer::new(tokio_util::sync::CancellationToken::new());
        offer.transport(recorder.clone());
        let address = (std::net::Ipv4Addr::LOCALHOST, 0).into();
        let drain = tokio_util::sync::CancellationToken::new();
        Running::serving(offer, edge.credentials.clone(), address, drain).await
    };
    let at =
        rpc::PeerAddress { server: name("EDGE1"), fqdn: domain("EDGE1.contoso.com"), address: running.address.address };
    // Who knows the Edge server, as the organization does.
    let caller = |server: &str, service: Service| {
        let own = credentials(&authority, server, &[service]);
        let known = organization(vec![
            self::server(server, "Berlin", None),
            self::server("EDGE1", "Berlin", Some(edge.known())),
        ]);
        own.heed(&ServerName::parse(server).unwrap(), &known, &[]).unwrap();
        Peers::new(own)
    };
    let transport = caller("MAIL1", Service::Transport);
    let before = transport.submit(&at, &head(1, 0), no_content()).await;
    assert!(before.is_err(), "it is not subscribed: {before:?}");
    edge.subscribed("EDGE1", &authority, &["MAIL1"]);
    let _ = transport.submit(&at, &head(2, 0), no_content()).await.unwrap();
    for (server, service) in [("MAIL2", Service::Transport), ("MAIL1", Service::FrontendTransport)] {
        let refused = caller(server, service).submit(&at, &head(3, 0), no_content()).await;
        assert!(refused.is_err(), "{server} {service}: {refused:?}");
    }
    let arrived = recorder.arrived(1).await;
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].head.revision, Revision(1), "what the organization says of its mail counts");
}
