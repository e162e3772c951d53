//! Mail that leaves by a Foreign connector: files, as a gateway finds them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use envelope::Notify;
use tempfile::TempDir;
use testkit::until;

use crate::support::{MESSAGE, ORGANIZATION, Running, Scene, notified};

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
    std::fs::remove_file(gateway.directory().join("old.eml")).unwrap();
    let taken = gateway.arrived(1).await;
    assert!(read(&taken[0]).starts_with("X-Sender:"));
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
