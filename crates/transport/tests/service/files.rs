//! Files in the Pickup and Replay directories become mail.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use testkit::until;

use crate::support::{ORGANIZATION, Running, Scene};

struct Folders {
    root: TempDir,
}

impl Folders {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        for folder in ["pickup", "replay"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Whole at once, as a careful program does it.
    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::write(path.with_extension("new"), text).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    }

    async fn is_gone(&self, name: &str) {
        until(name, async || (!self.path(name).exists()).then_some(())).await;
    }
}

async fn scene(folders: &Folders) -> (Scene, Running) {
    let scene = Scene::new(ORGANIZATION).await;
    let (pickup, replay) = (folders.path("pickup"), folders.path("replay"));
    let transport = scene
        .start_with("MAIL1", move |node| {
            let mut settings = (*node.settings).clone();
            (settings.pickup, settings.replay) = (Some(pickup), Some(replay));
            node.settings = Arc::new(settings);
        })
        .await;
    (scene, transport)
}

/// The message tracking log of MAIL1.
fn tracked(scene: &Scene) -> String {
    let folder = logs::tracking::folder(&scene.world.settings("MAIL1").state);
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.map(|file| std::fs::read_to_string(file.path()).unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_file_is_sent_and_gone() {
    // PL-57, PL-58, PL-61
    let folders = Folders::new();
    folders.write("pickup/one.eml", "From: ann@contoso.com\nTo: bob@contoso.com\nSubject: Picked up\n\nText\n");
    folders.write("replay/two.eml", "X-Sender: <>\nX-Receiver: <eve@contoso.com>\nSubject: Replayed\n\nText\n");
    // A service that ended in the middle of it left this.
    folders.write("pickup/three.tmp", "From: ann@contoso.com\nTo: ann@contoso.com\n\nText\n");
    let (scene, transport) = scene(&folders).await;
    let content = &scene.mailboxes.arrived("bob@contoso.com", 1).await[0].content;
    assert!(
        content.contains("Received: from localhost by Pickup with ") && content.contains("Subject: Picked up"),
        "{content}"
    );
    let content = &scene.mailboxes.arrived("eve@contoso.com", 1).await[0].content;
    assert!(
        content.contains("Received: from mail1.contoso.com by Replay with ") && !content.contains("X-Receiver"),
        "{content}"
    );
    scene.mailboxes.arrived("ann@contoso.com", 1).await;
    for name in ["pickup/one.eml", "pickup/one.tmp", "replay/two.eml", "replay/two.tmp", "pickup/three.tmp"] {
        folders.is_gone(name).await;
    }
    transport.drain().await;
    assert_eq!(scene.spool("MAIL1").await, []);
}

#[tokio::test]
async fn what_is_no_message_is_set_aside_and_the_next_one_goes() {
    // PL-65
    let folders = Folders::new();
    folders.write("pickup/1.eml", "To: bob@contoso.com\n\nFrom nobody\n");
    folders.write("pickup/1.bad", "of yesterday");
    // A link does not lead to what this service may read and others may not.
    folders.write("secret", "From: ann@contoso.com\nTo: bob@contoso.com\nSubject: Secret\n\n");
    std::os::unix::fs::symlink(folders.path("secret"), folders.path("pickup/2.eml")).unwrap();
    folders.write("pickup/3.eml", "From: ann@contoso.com\nTo: bob@contoso.com\nSubject: Good\n\n");
    let (scene, transport) = scene(&folders).await;
    let content = &scene.mailboxes.arrived("bob@contoso.com", 1).await[0].content;
    assert!(content.contains("Subject: Good"), "{content}");
    folders.is_gone("pickup/3.tmp").await;
    let mut left: Vec<String> = std::fs::read_dir(folders.path("pickup"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left.len(), 3, "{left:?}");
    // PL-68: the time, where the name was taken: 1yyyyMMddHHmmssfff.bad
    let renamed = left.iter().find(|name| name.len() > "1.bad".len()).unwrap();
    let time = renamed.strip_prefix('1').and_then(|rest| rest.strip_suffix(".bad")).unwrap();
    assert!(
        time.len() == 17 && time.starts_with("20") && time.bytes().all(|octet| octet.is_ascii_digit()),
        "{renamed}"
    );
    assert!(left.iter().all(|name| name.ends_with(".bad")) && left.contains(&"2.bad".to_owned()), "{left:?}");
    assert_eq!(std::fs::read_to_string(folders.path("pickup/1.bad")).unwrap(), "of yesterday");
    // PL-65, LG-22
    until("lines of the log", async || {
        let lines = |what: &str| tracked(&scene).lines().filter(|line| line.contains(what)).count();
        (lines(",PICKUP,BADMAIL,") == 2 && lines(",PICKUP,RECEIVE,") == 1).then_some(())
    })
    .await;
    transport.drain().await;
}
