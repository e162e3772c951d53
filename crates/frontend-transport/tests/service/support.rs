//! An organization with one front end, Transports that do as the test says, and a client that talks SMTP line by line.

#![expect(clippy::disallowed_methods, reason = "certificates and messages of a test are of now")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use directory::{Announcement, Presence};
use envelope::{MessageHead, Receipt, Reply, Revision, ServerName};
use frontend_transport::FrontendTransport;
use futures::StreamExt;
use net::{CertificateAuthority, NodeIdentity, PeerIdentity, Service};
use rpc::{Credentials, Incoming, Offer, SubmitHandler};
use runtime::{Node, Settings};
use testkit::entrances::{Entrances, receive_connectors};
use testkit::{Client, World, until};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use testkit::entrances::{DEVICES, STRANGERS};

const ORGANIZATION: &str = "
sites: [{name: Berlin}, {name: Hamburg}]
siteLinks: [{name: Elbe, sites: [Berlin, Hamburg], cost: 10}]
servers:
  - {name: MAIL1, fqdn: mail1.contoso.com, site: Berlin}
  - {name: MAIL2, fqdn: mail2.contoso.com, site: Hamburg}
databases: [{name: DB1, server: MAIL1}, {name: DB2, server: MAIL2}]
acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]
";

/// With the entrances that every service with SMTP is tested at.
pub(crate) fn organization() -> String {
    format!("{ORGANIZATION}{}", receive_connectors("FrontendTransport"))
}

/// A message as a Transport got it.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub server: ServerName,
    pub head: MessageHead,
    /// `Err`: it was cut short.
    pub content: Result<String, String>,
}

/// What a Transport does with messages.
#[derive(Clone)]
pub(crate) enum Conduct {
    Take,
    /// Before it reads anything.
    Refuse(Reply),
    /// When it has everything: its disk is full.
    RefuseAtEnd(Reply),
    /// At the question before large content, and everything else.
    RefuseWhenAsked(Reply),
}

struct Transport {
    server: ServerName,
    conduct: Conduct,
    arrivals: Arc<watch::Sender<Vec<Arrival>>>,
}

#[async_trait]
impl SubmitHandler for Transport {
    fn admits(&self, _: &PeerIdentity) -> Result<(), Reply> {
        match &self.conduct {
            Conduct::RefuseWhenAsked(reply) => Err(reply.clone()),
            _ => Ok(()),
        }
    }

    async fn submit(&self, _: &PeerIdentity, message: Incoming) -> Result<Receipt, Reply> {
        if let Conduct::Refuse(reply) | Conduct::RefuseWhenAsked(reply) = &self.conduct {
            return Err(reply.clone());
        }
        let Incoming { head, mut content, .. } = message;
        let mut octets = Vec::new();
        let mut ended = Ok(());
        while let Some(piece) = content.next().await {
            match piece {
                Ok(piece) => octets.extend_from_slice(&piece),
                Err(error) => ended = Err(error.to_string()),
            }
        }
        let content = ended.map(|()| String::from_utf8(octets).unwrap());
        if let Conduct::RefuseAtEnd(reply) = &self.conduct {
            return Err(reply.clone());
        }
        let (whole, id) = (content.is_ok(), head.id);
        let arrival = Arrival { server: self.server.clone(), head, content };
        self.arrivals.send_modify(|arrivals| arrivals.push(arrival));
        if whole { Ok(Receipt::after_commit(id, self.server.clone())) } else { Err(Reply::plain(451, "cut short")) }
    }
}

/// The organization, its front end and its Transports.
pub(crate) struct Scene {
    pub world: World,
    pub node: Arc<Node>,
    pub arrivals: Arc<watch::Sender<Vec<Arrival>>>,
    pub drain: CancellationToken,
    pub organization_address: SocketAddr,
    pub ended: JoinHandle<Result<(), frontend_transport::FrontendError>>,
    addresses: Vec<(SocketAddr, SocketAddr)>,
    _announcements: Vec<Announcement>,
}

impl Scene {
    /// With these Transports; those not named are not there.
    pub(crate) async fn new(transports: &[(&str, Conduct)]) -> Self {
        Self::with(transports, |_| ()).await
    }

    /// The same with settings of the front end that are changed before it starts.
    pub(crate) async fn with(transports: &[(&str, Conduct)], change: impl FnOnce(&mut Settings)) -> Self {
        let settings = |world: &World| {
            let mut settings = world.settings("MAIL1");
            change(&mut settings);
            settings
        };
        Self::of(&organization(), transports, settings).await
    }

    /// The same in another organization of these servers, with these settings.
    pub(crate) async fn of(
        organization: &str,
        transports: &[(&str, Conduct)],
        settings: impl FnOnce(&World) -> Settings,
    ) -> Self {
        let world = World::new(organization).await;
        certificate(&world, "smtp", "mail1.contoso.com");
        testkit::entrances::add_mailboxes(&world).await;
        let arrivals = Arc::default();
        let mut announcements = Vec::new();
        let mut addresses = Vec::new();
        for name in ["MAIL1", "MAIL2"] {
            let server = ServerName::parse(name).unwrap();
            let conduct = transports.iter().find(|(named, _)| *named == name).map(|(_, conduct)| conduct.clone());
            let address = transport(world.authority(), &server, conduct, &arrivals).await;
            addresses.push((name, address));
            announcements.push(world.directory().announce(Presence {
                server,
                service: Service::Transport,
                addresses: vec![address],
                started: envelope::Timestamp::from_millis(1),
                version: "0".to_owned(),
                applied_revision: Revision(1),
                out_of_reach: Vec::new(),
            }));
        }
        // A front end has no key of the organization.
        let mut settings = settings(&world);
        settings.organization_key = settings.state.join("no such key");
        let node = world.node_with(settings, Service::FrontendTransport).await;
        for (name, address) in addresses {
            let server = ServerName::parse(name).unwrap();
            until("the Transports to be known", async || {
                node.find(&server, Service::Transport).await.filter(|found| found.address == address)
            })
            .await;
        }
        let drain = CancellationToken::new();
        let front_end = FrontendTransport::build(Arc::clone(&node), drain.clone()).await.unwrap();
        let addresses = front_end.smtp_addresses();
        let organization_address = front_end.organization_address().unwrap();
        let ended = tokio::spawn(front_end.run());
        Self { world, node, arrivals, drain, organization_address, ended, addresses, _announcements: announcements }
    }

    /// Where an entrance is.
    pub(crate) fn address(&self, entrance: &str) -> SocketAddr {
        self.addresses.iter().find(|(binding, _)| binding.to_string() == entrance).unwrap().1
    }

    /// A client that has said EHLO.
    pub(crate) async fn client(&self, entrance: &str) -> Client {
        Client::connect(self.address(entrance)).await
    }

    pub(crate) fn entrances(&self) -> Entrances {
        Entrances::new(&self.addresses)
    }

    pub(crate) async fn arrived(&self, count: usize) -> Vec<Arrival> {
        self.arrivals.subscribe().wait_for(|arrivals| arrivals.len() >= count).await.unwrap().clone()
    }
}

/// Gives MAIL1 a certificate for SMTP, so that none has to be made.
pub(crate) fn certificate(world: &World, folder: &str, name: &str) -> net::KeyedCertificate {
    let server = ServerName::parse(name.split('.').next().unwrap()).unwrap();
    let now = std::time::SystemTime::now().into();
    let issued = world.authority().issue_for_smtp(&server, &name.parse().unwrap(), now).unwrap();
    issued.save_to(&world.settings("MAIL1").identity.join(folder)).unwrap();
    issued
}

/// Serves, or only gives an address at which nobody listens.
async fn transport(
    authority: &CertificateAuthority,
    server: &ServerName,
    conduct: Option<Conduct>,
    arrivals: &Arc<watch::Sender<Vec<Arrival>>>,
) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    if let Some(conduct) = conduct {
        let fqdn = format!("{server}.contoso.com").parse().unwrap();
        let identity = NodeIdentity { server: server.clone(), fqdn, services: [Service::Transport].into() };
        let own = authority.issue(&identity, std::time::SystemTime::now().into()).unwrap();
        let credentials = Credentials::new(own, authority.certificate_pem().to_owned());
        let mut offer = Offer::new(CancellationToken::new());
        offer.transport(Arc::new(Transport { server: server.clone(), conduct, arrivals: Arc::clone(arrivals) }));
        tokio::spawn(offer.serve(listener.into(), &credentials).unwrap());
    }
    address
}

/// Servers of others look into folders of tests as users of their own.
pub(crate) fn readable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}
