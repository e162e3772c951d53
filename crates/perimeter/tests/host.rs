//! The Edge server's end over a real directory: a file is good once, in its time, and as it was written.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use admin_api::{EdgeHandler, Subscriber};
use directory::{Author, Backend, Change, EmbeddedSettings, RecipientDigest, into_buckets, open_embedded};
use envelope::{Address, Domain, ServerName, SiteName, Timestamp};
use net::CertificateAuthority;
use organization::Object;
use perimeter::file::{SubscriptionFile, Written};
use perimeter::{EdgeHost, FileError};
use topology::{EdgeSubscription, Guid, Server, ServerRole, Site, TransportServiceSettings};

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

/// Later than certificates begin to count.
const NOW: u64 = 1_800_000_000_000;

struct Edge {
    directory: Arc<dyn Backend>,
    host: EdgeHost,
    now: Arc<AtomicU64>,
    _folder: tempfile::TempDir,
}

impl Edge {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory =
            open_embedded(&EmbeddedSettings::new(folder.path().join("directory.db")), "edge1.contoso.com").unwrap();
        let site = SiteName::parse("Perimeter").unwrap();
        let now = Arc::new(AtomicU64::new(NOW));
        let clock = Arc::clone(&now);
        let server = ServerName::parse("EDGE1").unwrap();
        let tell = Arc::new(move || Timestamp::from_millis(clock.load(Ordering::Relaxed)));
        let host = EdgeHost::new(directory.clone(), directory.clone(), server, tell);
        let edge = Self { directory, host, now, _folder: folder };
        edge.put(vec![
            Object::Site(Box::new(Site {
                guid: Guid::derived("site", "Perimeter"),
                name: site,
                hub_site_enabled: false,
                inbound_mail_enabled: true,
                subnets: vec![],
            })),
            edge.server(EdgeSubscription::default()),
        ])
        .await;
        edge
    }

    fn server(&self, edge: EdgeSubscription) -> Object {
        Object::Server(Box::new(Server {
            guid: Guid::derived("server", "EDGE1"),
            name: ServerName::parse("EDGE1").unwrap(),
            fqdn: domain("edge1.contoso.com"),
            site: SiteName::parse("Perimeter").unwrap(),
            role: ServerRole::Edge,
            dag: None,
            removed_receive_connectors: Vec::new(),
            edge,
            transport: TransportServiceSettings::of(ServerRole::Edge),
            frontend_transport: topology::FrontendTransportSettings::default(),
            mailbox_transport: topology::MailboxTransportSettings::default(),
        }))
    }

    async fn put(&self, puts: Vec<Object>) {
        let change = Change { puts, ..Change::by(Author::new("root", "a test")) };
        self.directory.commit(change).await.unwrap();
    }

    /// Writes a file, as New-EdgeSubscription does.
    async fn file(&self, authority: &CertificateAuthority) -> SubscriptionFile {
        let file = SubscriptionFile::new(Written {
            server: ServerName::parse("EDGE1").unwrap(),
            fqdn: domain("edge1.contoso.com"),
            forest: domain("edge1.contoso.com"),
            authorities: vec![authority.certificate_pem().to_owned()],
            transport_port: 7525,
            sync_port: 5477,
            effective: Timestamp::from_millis(self.now.load(Ordering::Relaxed)),
            duration: Duration::from_secs(120),
        })
        .unwrap();
        let known = self.own().await;
        let edge = EdgeSubscription {
            forest: Some(file.written.forest.clone()),
            authorities: file.written.authorities.clone(),
            pending_key: Some(file.public_key().unwrap()),
            pending_until: Some(file.until().as_millis() / 1000),
            ..known
        };
        self.put(vec![self.server(edge)]).await;
        file
    }

    async fn own(&self) -> EdgeSubscription {
        let organization = self.directory.snapshot().await.unwrap();
        organization.server(&ServerName::parse("EDGE1").unwrap()).unwrap().edge.clone()
    }
}

fn authority(forest: &str) -> CertificateAuthority {
    CertificateAuthority::create(&domain(forest), Timestamp::from_millis(NOW)).unwrap()
}

fn subscriber(file: &SubscriptionFile, by: &CertificateAuthority) -> Subscriber {
    let authorities = vec![by.certificate_pem().to_owned()];
    let voucher = file.voucher(by.forest(), &authorities).unwrap();
    Subscriber { organization: by.forest().clone(), authorities, voucher }
}

#[tokio::test]
async fn a_file_is_good_once_in_its_time_and_as_it_was_written() {
    let (edge, own) = (Edge::new().await, authority("edge1.contoso.com"));
    let (contoso, fabrikam) = (authority("contoso.com"), authority("fabrikam.com"));
    let mut stranger = subscriber(&edge.file(&own).await, &contoso);
    edge.put(vec![edge.server(EdgeSubscription::default())]).await;
    let refused = edge.host.subscribe(stranger.clone()).await.unwrap_err();
    assert!(refused.contains("expects no organization"), "{refused}");

    // EN-13: late.
    let file = edge.file(&own).await;
    edge.now.store(NOW + 120_000, Ordering::Relaxed);
    let refused = edge.host.subscribe(subscriber(&file, &contoso)).await.unwrap_err();
    assert!(refused.contains("has ended"), "{refused}");
    let late = file.in_time(Timestamp::from_millis(NOW + 120_000), |_| String::new());
    assert!(matches!(late, Err(FileError::Late(_))));

    // A newer file takes the place of an older one.
    let newer = edge.file(&own).await;
    let refused = edge.host.subscribe(subscriber(&file, &contoso)).await.unwrap_err();
    assert!(refused.contains("wrote last"), "{refused}");
    // The voucher is for what it was made for.
    stranger = subscriber(&newer, &contoso);
    stranger.organization = fabrikam.forest().clone();
    assert!(edge.host.subscribe(stranger).await.unwrap_err().contains("wrote last"));
    let mut other = subscriber(&newer, &contoso);
    other.authorities = vec![fabrikam.certificate_pem().to_owned()];
    assert!(edge.host.subscribe(other).await.unwrap_err().contains("wrote last"));
    // EN-1: it must be another forest.
    let refused = edge.host.subscribe(subscriber(&newer, &own)).await.unwrap_err();
    assert!(refused.contains("needs another one"), "{refused}");
    assert!(!edge.own().await.is_subscribed());

    edge.host.subscribe(subscriber(&newer, &contoso)).await.unwrap();
    let known = edge.own().await;
    assert!(known.is_subscribed() && !known.is_pending());
    assert_eq!(known.organization, Some(domain("contoso.com")));
    // The same organization again, whose answer was lost; and another one with the same file.
    edge.host.subscribe(subscriber(&newer, &contoso)).await.unwrap();
    let refused = edge.host.subscribe(subscriber(&newer, &fabrikam)).await.unwrap_err();
    assert!(refused.contains("the file was used"), "{refused}");

    // EN-43: with a new file another one may, and the old one counts until it comes.
    let again = edge.file(&own).await;
    assert!(edge.own().await.is_subscribed());
    edge.host.subscribe(subscriber(&again, &fabrikam)).await.unwrap();
    assert_eq!(edge.own().await.organization, Some(domain("fabrikam.com")));
}

#[tokio::test]
async fn nobody_is_unknown_before_all_are_told_with_the_salt_of_now() {
    let edge = Edge::new().await;
    let digest =
        |salt: &str, name: &str| RecipientDigest::of(salt, &Address::parse(&format!("{name}@contoso.com")).unwrap());
    let knows = async |salt: &str, name: &str| edge.directory.knows_digest(salt, &digest(salt, name)).await.unwrap();
    assert_eq!(knows("one", "anna").await, None);
    let told = into_buckets(["anna", "ben"].map(|name| digest("one", name)));
    let sum = |salt: &str| ["anna"].map(|name| digest(salt, name)).into_iter().collect::<directory::Marks>().sum(salt);
    edge.host.put("one", told.clone(), None).await.unwrap();
    assert_eq!(knows("one", "anna").await, None, "there may be more");
    edge.host.put("one", told.clone(), Some(&sum("one"))).await.unwrap();
    assert_eq!(knows("one", "anna").await, Some(true));
    assert_eq!(knows("one", "nobody").await, Some(false));
    // A new subscription has another salt: what was told tells nothing of anybody.
    assert_eq!(knows("two", "anna").await, None);
    let marks = edge.host.marks().await.unwrap();
    let mut news = into_buckets([digest("two", "anna")]);
    for (number, _) in marks.some() {
        news.entry(number).or_default();
    }
    edge.host.put("two", news, Some(&sum("two"))).await.unwrap();
    assert_eq!((knows("two", "anna").await, knows("two", "ben").await), (Some(true), Some(false)));
    assert_eq!(knows("one", "anna").await, None);
    assert_eq!(edge.host.marks().await.unwrap().some().count(), 1);
}

#[tokio::test]
async fn what_was_told_is_gone_with_the_subscription() {
    // EN-42
    let (edge, own) = (Edge::new().await, authority("edge1.contoso.com"));
    let contoso = authority("contoso.com");
    edge.host.subscribe(subscriber(&edge.file(&own).await, &contoso)).await.unwrap();
    let digest = RecipientDigest::of("one", &Address::parse("anna@contoso.com").unwrap());
    let sum = [digest].into_iter().collect::<directory::Marks>().sum("one");
    let presence = directory::Presence {
        server: ServerName::parse("BERLIN1").unwrap(),
        service: envelope::Service::Transport,
        addresses: Vec::new(),
        started: Timestamp::from_millis(1),
        version: "1".to_owned(),
        applied_revision: envelope::Revision(0),
        out_of_reach: Vec::new(),
    };
    edge.host.put("one", into_buckets([digest]), Some(&sum)).await.unwrap();
    edge.host.announce(vec![presence]).await;
    // Before the configuration has come, which says with which salt: what is being told stays.
    edge.host.tidy_up().await.unwrap();
    assert_eq!(edge.directory.knows_digest("one", &digest).await.unwrap(), Some(true));
    let announced = async || edge.directory.presences().await.unwrap().len();
    while announced().await == 0 {
        tokio::task::yield_now().await;
    }
    edge.put(vec![edge.server(EdgeSubscription::default())]).await;
    edge.host.tidy_up().await.unwrap();
    assert_eq!(edge.directory.knows_digest("one", &digest).await.unwrap(), None);
    assert_eq!(edge.host.marks().await.unwrap().some().count(), 0);
    while announced().await > 0 {
        tokio::task::yield_now().await;
    }
}
