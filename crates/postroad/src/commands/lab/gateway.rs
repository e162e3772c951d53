//! A gateway of the lab, such as a fax server: takes what a Foreign connector writes, and brings mail by Pickup (docs/gateways.md).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

/// Pause between two looks while waiting.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

fn folder(lab: &Path, server: &str, name: &str) -> PathBuf {
    lab.join("servers").join(server).join(name)
}

/// Takes the message of that identification for `address` out of a connector's Drop directory; the name of its file.
pub(super) async fn take(
    lab: &Path,
    server: &str,
    connector: &str,
    id: &str,
    address: &str,
    deadline: Instant,
) -> anyhow::Result<String> {
    let folder = folder(lab, server, "drop").join(connector);
    let wanted = [format!("X-Receiver: {address}"), id.to_owned()];
    loop {
        let files = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for path in files.flatten().map(|file| file.path()) {
            let finished = path.extension().is_some_and(|extension| extension == "eml");
            let text = if finished { std::fs::read(&path).unwrap_or_default() } else { Vec::new() };
            let text = String::from_utf8_lossy(&text);
            if wanted.iter().all(|needle| text.contains(needle.as_str())) {
                std::fs::remove_file(&path).with_context(|| format!("cannot take {}", path.display()))?;
                return Ok(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
            }
        }
        anyhow::ensure!(Instant::now() < deadline, "{} has not got it", folder.display());
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Puts a message into the Pickup directory of a server: written aside, then moved in whole.
pub(super) fn bring(lab: &Path, server: &str, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let folder = folder(lab, server, "pickup");
    let aside = folder.join(format!(".{name}.eml"));
    std::fs::write(&aside, content).with_context(|| format!("cannot write {}", aside.display()))?;
    std::fs::rename(&aside, folder.join(format!("{name}.eml"))).context("cannot put a message into a Pickup directory")
}
