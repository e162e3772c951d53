//! Passwords guessed at several front ends of one organization: counted, delayed and refused as if all of it happened at one.

#![expect(clippy::disallowed_methods, reason = "certificates of a test are of now, and the delays are real")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use directory::{Announcement, Presence};
use envelope::{Revision, ServerName, Timestamp};
use frontend_transport::FrontendTransport;
use net::{NodeIdentity, Service};
use rpc::{Colleagues, Credentials, FailedLogons, PeerAddress};
use runtime::Node;
use testkit::entrances::PASSWORD;
use testkit::{Client, World, until};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const GOOD: &str = "235 2.7.0 Authentication successful";
const WRONG: &str = "535 5.7.3 Authentication unsuccessful";
const AWAY: &str = "421 4.7.0 Too many logon failures from your network; try again later";
/// Where mail clients come in, everywhere.
const CLIENTS: &str = "127.0.0.2:0";

/// Servers of which each has one entrance for clients, and no other that listens. All say to be the same host, as servers behind
/// one name do.
fn organization(servers: &[&str]) -> String {
    let mut text =
        "sites: [{name: Berlin}]\nacceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]\n\
                    databases: [{name: DB1, server: MAIL1}, {name: DB2, server: MAIL2}]\nservers:\n"
            .to_owned();
    for server in servers {
        text += &format!("  - {{name: {server}, fqdn: {server}.contoso.com, site: Berlin}}\n");
    }
    text += "receiveConnectors:\n";
    for server in servers {
        text += &format!(
            "  - {{name: Client {server}, server: {server}, transportRole: FrontendTransport, bindings: ['{CLIENTS}'],\n     \
             fqdn: mail1.contoso.com, maxLogonFailures: 0, authTarpitInterval: '00:00:00',\n     \
             authMechanism: [Tls, BasicAuth, BasicAuthRequireTLS], permissionGroups: [ExchangeUsers]}}\n"
        );
        for default in ["Default Frontend", "Client Frontend", "Default", "Client Proxy"] {
            text += &format!("  - {{name: {default} {server}, server: {server}, enabled: false}}\n");
        }
    }
    text
}

/// A front end that runs. Its clients come by a load balancer, which says where from.
struct FrontEnd {
    node: Arc<Node>,
    clients: SocketAddr,
    organization: SocketAddr,
    drain: CancellationToken,
}

struct Scene {
    world: World,
    front_ends: Vec<FrontEnd>,
}

impl Scene {
    /// With front ends of these servers, which know of one another, in an organization that has more servers.
    async fn new(running: &[&str], others: &[&str]) -> Self {
        let world = World::new(&organization(&[running, others].concat())).await;
        testkit::entrances::add_mailboxes(&world).await;
        let mut scene = Self { world, front_ends: Vec::new() };
        for server in running {
            scene.start(server).await;
        }
        for front_end in &scene.front_ends {
            for server in running {
                scene.world.found_by_presence(&front_end.node, server, Service::FrontendTransport).await;
            }
        }
        scene
    }

    async fn start(&mut self, server: &str) {
        let mut settings = self.world.settings_behind_balancer(server);
        settings.organization_key = settings.state.join("no such key");
        let (name, fqdn) = (ServerName::parse(server).unwrap(), "mail1.contoso.com".parse().unwrap());
        let smtp = self.world.authority().issue_for_smtp(&name, &fqdn, now()).unwrap();
        smtp.save_to(&settings.identity.join("smtp")).unwrap();
        let node = self.world.node_with(settings, Service::FrontendTransport).await;
        let drain = CancellationToken::new();
        let front_end = FrontendTransport::build(Arc::clone(&node), drain.clone()).await.unwrap();
        let clients = front_end.smtp_addresses().iter().find(|(wanted, _)| wanted.to_string() == CLIENTS).unwrap().1;
        let organization = front_end.organization_address().unwrap();
        tokio::spawn(front_end.run());
        self.front_ends.push(FrontEnd { node, clients, organization, drain });
    }

    async fn client(&self, at: usize, from: IpAddr) -> Client {
        Client::connect_behind(self.front_ends[at].clients, from).await.start_tls().await
    }

    /// The reply to a logon, and how long it took.
    async fn log_on(&self, at: usize, from: IpAddr, user: &str, password: &str) -> (String, Duration) {
        let mut client = self.client(at, from).await;
        let asked = Instant::now();
        (client.log_on(user, password).await, asked.elapsed())
    }

    /// Guesses without waiting for the reply: its delay is for whoever guesses one after the other. The session has to be kept.
    async fn guess(&self, at: usize, from: IpAddr, user: &str) -> Client {
        let mut client = self.client(at, from).await;
        let line = format!("AUTH PLAIN {}\r\n", testkit::smtp::plain(user, "wrong"));
        client.write(line.as_bytes()).await;
        client
    }

    /// What somebody with these services of a server has to tell front ends by.
    fn colleagues(&self, server: &str, services: &[Service]) -> Colleagues {
        let fqdn = format!("{server}.contoso.com").parse().unwrap();
        let identity = NodeIdentity {
            server: ServerName::parse(server).unwrap(),
            fqdn,
            services: services.iter().copied().collect(),
        };
        let own = self.world.authority().issue(&identity, now()).unwrap();
        let authority = self.world.authority().certificate_pem().to_owned();
        Colleagues::new(Arc::new(Credentials::new(own, authority)))
    }

    fn organization_address(&self, at: usize) -> PeerAddress {
        let front_end = &self.front_ends[at];
        let server = front_end.node.server().clone();
        let fqdn = format!("{server}.contoso.com").parse().unwrap();
        PeerAddress { server, fqdn, address: front_end.organization }
    }

    /// Says that there is a front end of a server where there is none.
    fn announce(&self, server: &str, address: SocketAddr) -> Announcement {
        self.world.directory().announce(Presence {
            server: ServerName::parse(server).unwrap(),
            service: Service::FrontendTransport,
            addresses: vec![address],
            started: Timestamp::from_millis(1),
            version: "0".to_owned(),
            applied_revision: Revision(1),
            out_of_reach: Vec::new(),
        })
    }
}

fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

fn network(third: u8, last: u8) -> IpAddr {
    [198, 51, third, last].into()
}

/// Guesses at one account at each of these front ends, one after the other, each from elsewhere; how long each took.
async fn guesses_in_turn(scene: &Scene, front_ends: &[usize], user: &str, third: u8) -> Vec<Duration> {
    let mut delays = Vec::new();
    for at in front_ends {
        let from = network(third, u8::try_from(*at).unwrap());
        let (reply, took) = scene.log_on(*at, from, user, "wrong").await;
        assert_eq!(reply, WRONG, "{user}");
        delays.push(took);
    }
    delays
}

#[tokio::test]
async fn guesses_at_one_account_are_delayed_wherever_they_are_made() {
    let scene = Scene::new(&["MAIL1", "MAIL2", "MAIL3"], &[]).await;
    let mut turn = 0_u8;
    // Each attempt is at another account, in another way to write it at each front end: one that nobody told of waits for a
    // second at each.
    until("a guess to be counted at all front ends", async || {
        turn += 1;
        let mut delays = Vec::new();
        for (at, user) in
            [(0, format!("Guess{turn}")), (1, format!("CONTOSO\\guess{turn}")), (2, format!("X\\GUESS{turn}"))]
        {
            delays.extend(guesses_in_turn(&scene, &[at], &user, turn).await);
        }
        let seconds: Vec<u64> = delays.iter().map(Duration::as_secs).collect();
        (seconds[1] >= 2 && seconds[2] >= 4).then_some(())
    })
    .await;
    // Whoever knows the password waits nowhere.
    for at in 0..3 {
        let (reply, took) = scene.log_on(at, network(0, 1), "ann@contoso.com", PASSWORD).await;
        assert_eq!(reply, GOOD);
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

#[tokio::test]
async fn a_network_that_guesses_at_two_front_ends_is_sent_away_by_the_third() {
    let scene = Scene::new(&["MAIL1", "MAIL2", "MAIL3"], &[]).await;
    let mut guessing = Vec::new();
    for guess in 0..20_u8 {
        guessing.push(scene.guess(usize::from(guess % 2), network(100, guess), &format!("user{guess}")).await);
    }
    // A good logon counts for nobody: asking does not bring about what is asked for. Should news be lost on a machine that is
    // busy, guesses go on elsewhere.
    for (at, elsewhere) in [(2, 0), (0, 1)] {
        until("the network to be sent away", async || {
            let (reply, _) = scene.log_on(at, network(100, 200), "ann@contoso.com", PASSWORD).await;
            assert!([GOOD, AWAY].contains(&reply.as_str()), "{reply}");
            let away = reply == AWAY;
            if !away {
                guessing.push(scene.guess(elsewhere, network(100, 201), "one more").await);
            }
            away.then_some(())
        })
        .await;
        assert_eq!(scene.log_on(at, network(101, 200), "ann@contoso.com", PASSWORD).await.0, GOOD, "another network");
    }
}

#[tokio::test]
async fn a_front_end_that_is_away_costs_nobody_anything() {
    let mut scene = Scene::new(&["MAIL1", "MAIL2"], &["MAIL3", "MAIL4"]).await;
    // One takes connections and says nothing, at the address of the other nobody listens.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let _announcements = [scene.announce("MAIL3", silent.local_addr().unwrap()), scene.announce("MAIL4", gone)];
    for at in 0..2 {
        for server in ["MAIL3", "MAIL4"] {
            scene.world.found_by_presence(&scene.front_ends[at].node, server, Service::FrontendTransport).await;
        }
    }
    let mut guessing = Vec::new();
    for guess in 0..20_u8 {
        guessing.push(scene.guess(0, network(100, guess), &format!("user{guess}")).await);
    }
    until("the network to be sent away by the other", async || {
        let away = scene.log_on(1, network(100, 200), "ann@contoso.com", PASSWORD).await.0 == AWAY;
        if !away {
            guessing.push(scene.guess(0, network(100, 201), "one more").await);
        }
        away.then_some(())
    })
    .await;
    // A drain is not held up by whoever is not told yet.
    guessing.clear();
    let drained = scene.front_ends.remove(0);
    drained.drain.cancel();
    let (reply, took) = scene.log_on(0, network(101, 1), "guess", "wrong").await;
    assert_eq!(reply, WRONG);
    assert!(took < Duration::from_secs(5), "the silent one is not waited for: {took:?}");
}

#[tokio::test]
async fn only_services_that_take_logons_tell_and_only_of_so_much() {
    let scene = Scene::new(&["MAIL1"], &["MAIL2", "MAIL3"]).await;
    let (at, service) = (scene.organization_address(0), Service::FrontendTransport);
    let network_of =
        |third: u8, failures| FailedLogons { accounts: vec![], networks: vec![(network(third, 0), failures)] };
    let answer = async |third| scene.log_on(0, network(third, 9), "ann@contoso.com", PASSWORD).await.0;
    // Another service of a member, and a front end of a server that is none.
    for (server, services) in
        [("MAIL2", &[Service::MailboxDelivery, Service::MailboxSubmission, Service::Admin][..]), ("MAIL9", &[service])]
    {
        let refused = scene.colleagues(server, services).tell(&at, service, &network_of(50, 20)).await.unwrap_err();
        assert!(refused.starts_with("PermissionDenied"), "{server}: {refused}");
    }
    assert_eq!(answer(50).await, GOOD);
    // Too much at a time counts for nothing.
    let member = scene.colleagues("MAIL2", &[service]);
    let mut much = network_of(50, 20);
    much.networks = vec![much.networks[0]; rpc::logons::TOLD_MAX + 1];
    let refused = member.tell(&at, service, &much).await.unwrap_err();
    assert!(refused.starts_with("InvalidArgument"), "{refused}");
    assert_eq!(answer(50).await, GOOD);
    // A flood: of thousands of accounts and networks, again and again, each as often as can be said.
    let mut refused = 0;
    for flood in 0..100_u8 {
        let accounts = (0..1000_u128).map(|at| ((u128::from(flood) << 64 | at).to_be_bytes(), 1000)).collect();
        let networks = (0..1000_u16).map(|at| {
            let [high, low] = at.to_be_bytes();
            ([10 + flood, high, low, 0].into(), 1000)
        });
        match member.tell(&at, service, &FailedLogons { accounts, networks: networks.collect() }).await {
            Ok(()) => {}
            Err(error) => {
                assert!(error.starts_with("ResourceExhausted"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused >= 50, "{refused} of 100");
    assert_eq!(answer(50).await, GOOD, "nobody else is sent away");
    // The others are heard as before.
    scene.colleagues("MAIL3", &[Service::Transport]).tell(&at, service, &network_of(51, 20)).await.unwrap();
    assert_eq!(answer(51).await, AWAY);
}
