//! Mail that leaves by a Foreign connector: files, as a gateway finds them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use admin_api::queues::{GatewayEntry, GatewayState};
use envelope::{Address, ByteSize, Notify};
use tempfile::TempDir;
use testkit::until;

use crate::support::{MESSAGE, ORGANIZATION, Running, Scene, notified};
use crate::view::administrator;

/// The gateway's side.
struct Gateway {
    root: TempDir,
}

impl Gateway {
    fn new() -> Self {
        Self { root: TempDir::new().unwrap() }
    }

    fn directory(&self) -> PathBuf {
        self.root.path().join("Fax")
    }

    /// EN-65: nobody else makes it.
    fn make_directory(&self) {
        std::fs::create_dir(self.directory()).unwrap();
        std::fs::set_permissions(self.directory(), PermissionsExt::from_mode(0o2770)).unwrap();
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(self.directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
        files
    }

    async fn arrived(&self, count: usize) -> Vec<PathBuf> {
        until("files in the Drop directory", async || Some(self.files()).filter(|files| files.len() == count)).await
    }
}

/// An organization with the connector, whose Transport writes below the gateway's folder.
async fn scene(gateway: &Gateway, properties: &str) -> (Scene, Running) {
    let connector = format!(
        "foreignConnectors: [{{name: Fax, addressSpaces: ['FAX:*;1'], sourceTransportServers: [MAIL1]{properties}}}]\n"
    );
    let scene = Scene::new(&format!("{ORGANIZATION}{connector}")).await;
    let root = gateway.root.path().to_owned();
    let transport = scene
        .start_with("MAIL1", move |node| {
            let mut settings = (*node.settings).clone();
            settings.drop = Some(root);
            node.settings = Arc::new(settings);
        })
        .await;
    (scene, transport)
}

/// What the queue of the connector says last.
async fn last_error(transport: &Running, containing: &str) {
    until(containing, async || {
        let errors = transport.operations.queues().into_iter().filter_map(|queue| queue.last_error);
        errors.into_iter().find(|error| error.contains(containing))
    })
    .await;
}

/// What an administrator is told of the Drop directory: octets, and what is wrong with it. Looking leaves nothing there.
async fn drop_directory(scene: &Scene) -> (Option<ByteSize>, Option<Box<str>>) {
    let told = administrator(scene).gateways(&scene.transport("MAIL1").await).await.unwrap();
    let [GatewayEntry { state: GatewayState::Drop { held, trouble, .. }, .. }] = &told[..] else { panic!("{told:?}") };
    (*held, trouble.clone())
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn a_message_is_a_file_for_the_gateway() {
    // PL-69, PL-70, EN-68, EN-69, PF-29
    let gateway = Gateway::new();
    gateway.make_directory();
    let (scene, transport) = scene(&gateway, "").await;
    scene.submit("ann@contoso.com", &["IMCEAFAX-+2B4930@contoso.com", "IMCEAFAX-2@contoso.com"]).await;
    let file = gateway.arrived(1).await.remove(0);
    let (envelope, content) = (
        "X-Sender: <ann@contoso.com>\r\nX-Receiver: FAX:+4930\r\nX-Receiver: FAX:2\r\nX-CreatedBy: FAX\r\n",
        read(&file),
    );
    let content = content.strip_prefix(envelope).unwrap_or_else(|| panic!("{content}"));
    assert!(content.contains("Received: from MAIL1") && content.ends_with("\r\n\r\nBody\r\n"), "{content}");
    assert!(
        MESSAGE.contains("X-MS-Exchange-Organization") && !content.contains("X-MS-Exchange-Organization"),
        "{content}"
    );
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o660, "as its directory says");
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
    assert_eq!(std::fs::read_dir(gateway.directory()).unwrap().count(), 1, "nothing unfinished is left");
}

#[tokio::test]
async fn mail_waits_for_its_directory() {
    // EN-65
    let gateway = Gateway::new();
    let (scene, transport) = scene(&gateway, "").await;
    scene.submit("ann@contoso.com", &["IMCEAFAX-1@contoso.com"]).await;
    last_error(&transport, "Fax is not there: make it").await;
    let (held, trouble) = drop_directory(&scene).await;
    assert!(held.is_none() && trouble.is_some_and(|trouble| trouble.contains("make it")));
    gateway.make_directory();
    gateway.arrived(1).await;
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn a_full_directory_gets_no_more_until_the_gateway_takes_some() {
    // EN-66
    let gateway = Gateway::new();
    gateway.make_directory();
    let (scene, transport) = scene(&gateway, ", dropDirectoryQuota: 1000 B").await;
    std::fs::write(gateway.directory().join("old.eml"), vec![b'x'; 900]).unwrap();
    scene.submit("ann@contoso.com", &["IMCEAFAX-1@contoso.com"]).await;
    last_error(&transport, "dropDirectoryQuota").await;
    assert_eq!(gateway.files().len(), 1);
    assert_eq!(drop_directory(&scene).await, (Some(ByteSize::bytes(900)), None), "there is room for a small one");
    std::fs::write(gateway.directory().join("more.eml"), vec![b'x'; 200]).unwrap();
    let (held, trouble) = drop_directory(&scene).await;
    assert!(
        held == Some(ByteSize::bytes(1100)) && trouble.is_some_and(|trouble| trouble.contains("dropDirectoryQuota"))
    );
    std::fs::remove_file(gateway.directory().join("more.eml")).unwrap();
    std::fs::remove_file(gateway.directory().join("old.eml")).unwrap();
    let taken = gateway.arrived(1).await;
    assert!(read(&taken[0]).starts_with("X-Sender:"));
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn however_many_come_at_once_the_directory_holds_no_more_than_its_quota() {
    // EN-66
    const QUOTA: u64 = 3_000;
    const MESSAGES: usize = 30;
    let gateway = Gateway::new();
    let (scene, transport) = scene(&gateway, &format!(", dropDirectoryQuota: {QUOTA} B")).await;
    for _ in 0..MESSAGES {
        scene.submit("ann@contoso.com", &["IMCEAFAX-1@contoso.com"]).await;
    }
    last_error(&transport, "Fax is not there: make it").await;
    gateway.make_directory();
    let mut taken = 0;
    while taken < MESSAGES {
        let files = until("files up to the quota", async || {
            let files = gateway.files();
            let held: u64 = files.iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
            assert!(held <= QUOTA, "{held} octets in {} files", files.len());
            let is_full = transport
                .operations
                .queues()
                .into_iter()
                .any(|queue| queue.last_error.is_some_and(|error| error.contains("dropDirectoryQuota")));
            Some(files).filter(|files| is_full || taken + files.len() == MESSAGES)
        })
        .await;
        taken += files.len();
        files.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    }
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn what_is_larger_than_the_quota_is_reported_and_keeps_nobody_waiting() {
    // EN-66
    let gateway = Gateway::new();
    gateway.make_directory();
    let (scene, transport) = scene(&gateway, ", dropDirectoryQuota: 2 KB").await;
    let large = format!("{MESSAGE}{}", "x\r\n".repeat(1_000));
    let asks = Notify::On { success: false, failure: true, delay: false };
    let head = scene.head_with("ann@contoso.com", &["IMCEAFAX-1@contoso.com"], asks);
    let _receipt = scene.submit_as(&head, &large).await.unwrap();
    let report = notified(&scene.mailboxes, "ann@contoso.com", "failed").await.content;
    assert!(report.contains("5.3.4") && report.contains("dropDirectoryQuota"), "{report}");
    scene.submit("ann@contoso.com", &["IMCEAFAX-2@contoso.com"]).await;
    gateway.arrived(1).await;
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn whoever_asked_is_told_that_it_was_handed_over_if_the_connector_says_so() {
    // EN-67, PL-71, DS-24
    for (properties, told) in [("", false), (", relayDsnRequired: true", true)] {
        let gateway = Gateway::new();
        gateway.make_directory();
        let (scene, transport) = scene(&gateway, properties).await;
        let asks = Notify::On { success: true, failure: true, delay: false };
        let head = scene.head_with("ann@contoso.com", &["IMCEAFAX-1@contoso.com"], asks);
        let receipt = scene.submit_as(&head, MESSAGE).await.unwrap();
        assert_eq!(receipt.message(), head.id);
        gateway.arrived(1).await;
        if told {
            let report = notified(&scene.mailboxes, "ann@contoso.com", "relayed").await.content;
            assert!(report.contains("Final-Recipient: ") && report.contains("Action: relayed"), "{report}");
        }
        transport.drain().await;
        assert_eq!(scene.mailboxes.attempts().len(), usize::from(told), "{properties}");
        assert_eq!(scene.spool("MAIL1").await, []);
    }
}

/// An organization whose X.400 gateway takes everything but what is German, for which there is another one; both write into folders, and
/// what comes back is put into the Replay directory.
async fn x400_scene(gateway: &Gateway) -> (Scene, Running) {
    let ann = "{name: ann, address: ann@contoso.com, database: DB1";
    let organization = ORGANIZATION.replace(
        ann,
        &format!("{ann}, proxyAddresses: ['IMCEAX400-c=US+3Ba=Fabrikam+3Bp=Contoso+3Bs=Ann@contoso.com']"),
    );
    let further = "
x400AuthoritativeDomains: [{name: Contoso, x400DomainName: C=US;A=Fabrikam;P=Contoso}]
foreignConnectors:
  - {name: World, addressSpaces: ['X400:c=US;1', 'X400:c=FR;1'], sourceTransportServers: [MAIL1]}
  - {name: Germany, addressSpaces: ['X400:a=Telekom;c=DE;50'], sourceTransportServers: [MAIL1]}
";
    for folder in ["World", "Germany", "replay"] {
        std::fs::create_dir(gateway.root.path().join(folder)).unwrap();
    }
    let scene = Scene::new(&format!("{organization}{further}")).await;
    let root = gateway.root.path().to_owned();
    let transport = scene
        .start_with("MAIL1", move |node| {
            let mut settings = (*node.settings).clone();
            (settings.replay, settings.drop) = (Some(root.join("replay")), Some(root));
            node.settings = Arc::new(settings);
        })
        .await;
    (scene, transport)
}

/// The one file in the Drop directory of that name, which the gateway takes.
async fn taken(gateway: &Gateway, name: &str) -> String {
    let folder = gateway.root.path().join(name);
    until("a file for the gateway", async || {
        let file = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let file = file.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "eml"))?;
        let text = read(&file);
        std::fs::remove_file(file).unwrap();
        Some(text)
    })
    .await
}

#[tokio::test]
async fn mail_goes_to_x400_and_comes_back() {
    // EN-62, EN-69, EN-70, EN-71, EN-72, EN-73, EN-74
    let gateway = Gateway::new();
    let (scene, transport) = x400_scene(&gateway).await;
    scene.submit("ann@contoso.com", &["IMCEAX400-c=DE+3Ba=telekom+3Bp=Bank+3Bs=Eve@contoso.com"]).await;
    let file = taken(&gateway, "Germany").await;
    let expected =
        "X-Sender: <ann@contoso.com>\r\nX-Receiver: X400:c=DE;a=telekom;p=Bank;s=Eve\r\nX-CreatedBy: X400\r\n";
    assert!(file.starts_with(expected), "{file}");
    // The answer, as the gateway writes it: to our X.400 address, its attributes in another order.
    let answer = "X-Sender: X400:c=DE;a=telekom;p=Bank;s=Eve\nX-Receiver: X400:S=Ann;P=Contoso;A=Fabrikam;C=US\n\
                  X-CreatedBy: X400\nSubject: Re: Hello\n\nAnswer\n";
    std::fs::write(gateway.root.path().join("replay/.1.eml"), answer).unwrap();
    std::fs::rename(gateway.root.path().join("replay/.1.eml"), gateway.root.path().join("replay/1.eml")).unwrap();
    let arrived = scene.mailboxes.arrived("ann@contoso.com", 1).await.remove(0);
    assert!(arrived.content.contains("Subject: Re: Hello"), "{}", arrived.content);
    // And the way back to whom that names, by the other gateway, with an address as long as X.400 has them.
    let sender: Address = arrived.head.envelope.reverse_path.address().unwrap().clone();
    assert_eq!(sender.to_string(), "IMCEAX400-c=DE+3Ba=telekom+3Bp=Bank+3Bs=Eve@contoso.com");
    scene.submit("ann@contoso.com", &[sender.as_str()]).await;
    taken(&gateway, "Germany").await;
    let long = format!("c=FR;o=Long;s={}", "x".repeat(900));
    let encoded = long.replace(';', "+3B");
    scene.submit("ann@contoso.com", &[&format!("IMCEAX400-{encoded}@contoso.com")]).await;
    let file = taken(&gateway, "World").await;
    assert!(file.contains(&format!("X-Receiver: X400:{long}\r\n")), "{file}");
    // Nobody of ours has the one, and no connector is for the other: both are reported, and neither waits.
    for (address, status) in [
        ("IMCEAX400-c=US+3Ba=Fabrikam+3Bp=Contoso+3Bs=Nobody@contoso.com", "5.1.1"),
        ("IMCEAX400-c=DE+3Ba=Other@contoso.com", "5.1.2"),
    ] {
        scene.submit("bob@contoso.com", &[address]).await;
        until("the report", async || {
            let reports = scene.mailboxes.attempts_at("bob@contoso.com");
            reports.iter().any(|one| one.is_notification("failed") && one.content.contains(status)).then_some(())
        })
        .await;
    }
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}
