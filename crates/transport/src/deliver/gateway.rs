//! Mail that leaves by a Foreign connector: a file for each message in its Drop directory, which a gateway empties (PL-69, EN-62…EN-69).
//!
//! A file is written under a name that no gateway looks at, synced, and renamed: who sees it may take it. Tried again after a crash, a
//! message has the same name again: it replaces the file that is still there.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use envelope::{ByteSize, EnhancedStatus, Envelope, Limit, Reply};
use routing::Route;
use tokio::fs;
use tokio::io::{AsyncWriteExt, BufWriter};
use topology::{ForeignConnector, Organization};

use super::{Hop, OpenFailure};
use crate::core::Core;
use crate::deliver::outgoing::{self, Outgoing};
use crate::ground::answer::{Answer, Sent, Taken};
use crate::ground::parcel::Parcel;

/// A file that is not there for the gateway yet.
const UNFINISHED: &str = "tmp";
/// One that is.
const FINISHED: &str = "eml";
/// What a file may have of the permissions of its directory: to be read and written.
const FILE_MODE: u32 = 0o666;

/// The Foreign connector of a route.
pub(super) fn connector_of<'a>(organization: &'a Organization, route: &Route) -> Option<&'a ForeignConnector> {
    organization.foreign_connector(route.connector?)
}

/// Opens the Drop directory of the route's connector.
pub(super) async fn open(core: &Arc<Core>, route: &Route) -> Result<Box<dyn Hop>, OpenFailure> {
    let failure = |error: String| OpenFailure { permanent: None, error: error.into() };
    let tables = core.node.tables();
    let Some(connector) = connector_of(tables.organization(), route) else {
        return Err(failure("the Foreign connector was removed; the message is decided anew".to_owned()));
    };
    let place = place_of(core.node.settings.drop.as_deref(), connector).await.map_err(failure)?;
    place.room_for(0, None).await.map_err(failure)?;
    Ok(Box::new(DropDirectory { core: Arc::clone(core), place, reports_itself: !connector.relay_dsn_required }))
}

/// A Drop directory as it is now.
pub(crate) struct Looked {
    /// Where the settings say where.
    pub(crate) directory: Option<PathBuf>,
    /// What is in it.
    pub(crate) held: Option<ByteSize>,
    /// Why no file can be written.
    pub(crate) trouble: Option<String>,
}

/// Looks at the Drop directory of a connector, and writes a file into it that no gateway takes.
pub(crate) async fn look(root: Option<&Path>, connector: &ForeignConnector) -> Looked {
    let place = match place_of(root, connector).await {
        Ok(place) => place,
        Err(trouble) => return Looked { directory: None, held: None, trouble: Some(trouble) },
    };
    let held = held(&place.directory, None).await.ok().map(ByteSize::bytes);
    let trouble = match place.room_for(0, None).await {
        Ok(()) => place.try_to_write().await.err().map(|error| {
            format!("Drop directory {}: this service cannot write there: {error}", place.directory.display())
        }),
        Err(trouble) => Some(trouble),
    };
    Looked { directory: Some(place.directory), held, trouble }
}

/// The Drop directory of a connector, whether or not it is there.
async fn place_of(root: Option<&Path>, connector: &ForeignConnector) -> Result<Place, String> {
    let directory = directory_of(root, connector)?;
    if let Some(root) = root
        && !fs::try_exists(root).await.unwrap_or(true)
    {
        let root = root.display();
        // A process that has confined itself before has no right to it.
        return Err(format!("{root}, the folder `drop` of the settings, is not there: make it and restart Transport"));
    }
    Ok(Place { directory, quota: connector.drop_directory_quota })
}

/// Where the files of a connector go (EN-64): below the folder that this server's settings name, and nowhere else.
fn directory_of(root: Option<&Path>, connector: &ForeignConnector) -> Result<PathBuf, String> {
    let name = connector.drop_directory.as_deref().unwrap_or(connector.name.as_str());
    let Some(root) = root else {
        return Err(format!(
            "Foreign connector {}: the settings of this server name no folder for Drop directories: \
             drop = \"/var/spool/postroad-drop\"",
            connector.name
        ));
    };
    // Right below it: in a folder of the gateway's there may be links of the gateway's.
    let path = root.join(name);
    let below = path.strip_prefix(root).ok().map(Path::components);
    if below.is_some_and(|mut below| matches!((below.next(), below.next()), (Some(Component::Normal(_)), None))) {
        return Ok(path);
    }
    Err(format!(
        "Foreign connector {}: dropDirectory {name} is no folder right below {}, the folder `drop` of this server's settings",
        connector.name,
        root.display()
    ))
}

/// A folder, and what it may hold.
struct Place {
    directory: PathBuf,
    quota: Limit<ByteSize>,
}

struct DropDirectory {
    core: Arc<Core>,
    place: Place,
    /// EN-67: who is told nothing when the file is there.
    reports_itself: bool,
}

#[async_trait]
impl Hop for DropDirectory {
    async fn send(&mut self, copy: &Parcel, content: Outgoing, _span: &mut telemetry::Hop) -> Sent {
        let envelope = envelope_lines(&copy.head.envelope, self.core.node.tables().organization());
        let size = envelope.len() as u64 + content.size().as_u64();
        // It alone is above the quota, whatever the gateway takes: it must not keep the others waiting until it expires.
        if !self.place.quota.allows(&ByteSize::bytes(size)) {
            let text = "Message size exceeds fixed maximum message size (dropDirectoryQuota)";
            let never = || Answer::Never { reply: Reply::new(552, EnhancedStatus::new(5, 3, 4), text), remote: None };
            return Sent::Answers(copy.head.envelope.recipients.iter().map(|_| never()).collect());
        }
        let name = file_name(copy);
        let _turn = match self.place.quota {
            Limit::Unlimited => None,
            Limit::At(_) => Some(self.core.drop_turn(&self.place.directory).await),
        };
        if let Err(full) = self.place.room_for(size, Some(&name)).await {
            return Sent::Busy(full.into());
        }
        match self.place.write(&name, &envelope, content).await {
            Ok(()) => {
                let taken = || Answer::Taken(Taken::Host { reports_itself: self.reports_itself });
                Sent::Answers(copy.head.envelope.recipients.iter().map(|_| taken()).collect())
            }
            Err(error) => Sent::Busy(format!("{}: {error}", self.place.directory.display()).into()),
        }
    }

    async fn is_reusable(&mut self) -> bool {
        true
    }

    fn peer(&self) -> String {
        self.place.directory.display().to_string()
    }

    async fn close(self: Box<Self>) {}
}

impl Place {
    /// EN-65, EN-66: the directory is there, and holds less than its quota with so much more. A file of that name is replaced.
    async fn room_for(&self, octets: u64, name: Option<&str>) -> Result<(), String> {
        let shown = self.directory.display();
        // What nothing limits is not counted.
        let held = match self.quota {
            Limit::Unlimited => fs::metadata(&self.directory).await.map(|_| 0),
            Limit::At(_) => held(&self.directory, name).await,
        };
        let held = held.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => format!(
                "Drop directory {shown} is not there: make it, so that this service may write and the gateway read and \
                 remove files"
            ),
            _ => format!("Drop directory {shown}: {error}"),
        })?;
        if self.quota.allows(&ByteSize::bytes(held.saturating_add(octets))) {
            return Ok(());
        }
        Err(format!(
            "Drop directory {shown} holds {held} octets, and {octets} more are above dropDirectoryQuota: the gateway has to \
             take files first"
        ))
    }

    /// Whether this service may: as whom it runs, and as it has confined itself.
    async fn try_to_write(&self) -> io::Result<()> {
        // Two who ask at once must not be in each other's way.
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let number = ASKED.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!(".postroad-{number}.{UNFINISHED}"));
        let _left_behind = fs::remove_file(&path).await;
        fs::OpenOptions::new().write(true).create_new(true).open(&path).await?;
        fs::remove_file(&path).await
    }

    async fn write(&self, name: &str, envelope: &str, content: Outgoing) -> io::Result<()> {
        let unfinished = self.directory.join(format!(".{name}.{UNFINISHED}"));
        let written = self.write_to(&unfinished, envelope, content).await;
        let written = match written {
            Ok(()) => fs::rename(&unfinished, self.directory.join(format!("{name}.{FINISHED}"))).await,
            Err(error) => Err(error),
        };
        if written.is_err() {
            let _gone = fs::remove_file(&unfinished).await;
        }
        written?;
        fs::File::open(&self.directory).await?.sync_all().await
    }

    async fn write_to(&self, path: &Path, envelope: &str, content: Outgoing) -> io::Result<()> {
        // The gateway may write here as well: a link of its own must not lead this process anywhere.
        let _left_behind = fs::remove_file(path).await;
        let file = fs::OpenOptions::new().write(true).create_new(true).open(path).await?;
        // Whoever may read the directory may read what is in it, whatever this process keeps from others elsewhere.
        let mode = fs::metadata(&self.directory).await?.permissions().mode() & FILE_MODE;
        file.set_permissions(Permissions::from_mode(mode)).await?;
        let mut file = BufWriter::new(file);
        file.write_all(envelope.as_bytes()).await?;
        match content {
            Outgoing::Whole(octets) => file.write_all(&octets).await?,
            Outgoing::Streamed { beginning, rest, .. } => {
                let mut reader = outgoing::reader(beginning, rest);
                tokio::io::copy(&mut reader, &mut file).await?;
            }
        }
        file.flush().await?;
        file.into_inner().sync_all().await
    }
}

/// Octets of the files that the gateway finds in a directory, but for one of that name.
async fn held(directory: &Path, but: Option<&str>) -> io::Result<u64> {
    let but = but.map(|name| format!("{name}.{FINISHED}"));
    let mut entries = fs::read_dir(directory).await?;
    let mut octets = 0;
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") || but.as_ref().is_some_and(|but| name == but.as_str()) {
            continue;
        }
        // The gateway takes files meanwhile.
        if let Ok(about) = entry.metadata().await
            && about.is_file()
        {
            octets += about.len();
        }
    }
    Ok(octets)
}

/// The same for the same recipients of the same message.
fn file_name(copy: &Parcel) -> String {
    let first = copy.item.recipients.as_slice().first().copied().unwrap_or_default();
    format!("{}-{first}", copy.head.id)
}

/// EN-69: the envelope as Replay reads it, in front of the message's header. In the words of the gateway: an address that travels
/// inside an SMTP address is taken out of it.
fn envelope_lines(envelope: &Envelope, organization: &Organization) -> String {
    let mut lines = format!("X-Sender: <{}>\r\n", envelope.reverse_path);
    let mut created_by: Box<str> = "SMTP".into();
    for recipient in &envelope.recipients {
        let _ = match organization.carried(&recipient.address) {
            Some((kind, address)) => {
                let line = write!(lines, "X-Receiver: {kind}:{address}\r\n");
                created_by = kind;
                line
            }
            None => write!(lines, "X-Receiver: <{}>\r\n", recipient.address),
        };
    }
    let _ = write!(lines, "X-CreatedBy: {created_by}\r\n");
    lines
}

#[cfg(test)]
mod tests;
