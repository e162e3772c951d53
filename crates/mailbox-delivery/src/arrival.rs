//! The copy of a database that comes from another server, pass after pass.
//!
//! A pass compares each mailbox there with the copy and fetches what differs. While mail goes on there, a pass leaves some
//! behind; when the database is held there, passes are made until one finds nothing, which is how it is known to be whole.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use admin_api::ArriveProgress;
use bytes::Bytes;
use envelope::{MessageId, ServerName, Service};
use mailbox_store::{Entry, EntryKind, IncomingDatabase, Opened, steps};
use rpc::mailboxes::FILES_MAX;
use rpc::{DatabaseMove, MailboxPiece, MailboxSource};
use runtime::Node;
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

use crate::entries::{entry_from_rpc, file_from_rpc, in_words, path_to_rpc};

/// Passes over a database that is held before it is given up: whatever changes in it is not ours.
const LAST_PASSES_MAX: usize = 10;
/// Names of shared files that are remembered in a pass; further ones come as files of their own.
const SHARED_MAX: usize = 100_000;

/// Octets of a file that is written at once: 1 MiB.
const SMALL_OCTETS_MAX: usize = 1024 * 1024;

type Told = mpsc::Sender<Result<ArriveProgress, String>>;

/// Databases that come.
pub(crate) struct Arriving {
    node: Arc<Node>,
    /// One at a time: a copy has one writer.
    turn: Mutex<()>,
}

impl Arriving {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node, turn: Mutex::default() }
    }

    /// One pass; with `last` as many as it takes, and then the copy is put at its place.
    pub(crate) async fn copy(
        &self,
        of: &DatabaseMove,
        from: &ServerName,
        last: bool,
        told: &Told,
    ) -> Result<(), String> {
        let _turn = self.turn.lock().await;
        let tables = self.node.tables();
        match tables.organization().database(&of.database) {
            None => return Err(format!("{} knows no database {}", self.node.server(), of.database)),
            Some(database) if database.active_server() == self.node.server() => {
                return Err(format!("{} is on {} already", of.database, self.node.server()));
            }
            Some(_) => {}
        }
        let place = self.node.settings.mailbox_database(&of.database);
        let arrival = match IncomingDatabase::open(place, Uuid::from_bytes(of.id)).await.map_err(in_words)? {
            Opened::Whole => return tell(told, ArriveProgress { whole: true, ..ArriveProgress::default() }).await,
            Opened::Partly(arrival) => arrival,
        };
        let at = self.node.find(from, Service::MailboxDelivery).await;
        let at = at.ok_or_else(|| format!("{} does not know where {from} is", self.node.server()))?;
        let source = MailboxSource::connect(&at, &self.node.credentials, of.clone()).await?;
        let mut progress = ArriveProgress::default();
        for _ in 0..LAST_PASSES_MAX {
            let mut pass =
                Pass { source: &source, arrival: &arrival, told, shared: HashMap::new(), waiting: Vec::new() };
            let changed = pass.run(&mut progress).await?;
            let waiting = pass.waiting;
            tell(told, ArriveProgress { changed: Some(changed), ..progress }).await?;
            if !last {
                return Ok(());
            }
            if changed == 0 {
                arrival.finish(waiting).await.map_err(in_words)?;
                tracing::info!(database = %of.database, %from, files = progress.files, "a database has come whole");
                return tell(told, ArriveProgress { whole: true, ..progress }).await;
            }
        }
        Err(format!("{} changes on {from} all the time: stop whatever else works on its mailboxes there", of.database))
    }
}

async fn tell(told: &Told, progress: ArriveProgress) -> Result<(), String> {
    told.send(Ok(progress)).await.map_err(|_| "nobody listens".to_owned())
}

/// One look at everything.
struct Pass<'a> {
    source: &'a MailboxSource,
    arrival: &'a IncomingDatabase,
    told: &'a Told,
    /// Where the copy has a file of which there are several names.
    shared: HashMap<u64, PathBuf>,
    /// Messages in outboxes, with the ids that they keep.
    waiting: Vec<(PathBuf, MessageId)>,
}

impl Pass<'_> {
    /// How much had to be changed.
    async fn run(&mut self, progress: &mut ArriveProgress) -> Result<u64, String> {
        let parts: Vec<OsString> =
            self.source.parts().await?.into_iter().map(|part| OsString::from_vec(part.to_vec())).collect();
        let mut changed = 0;
        for part in self.arrival.parts().await.map_err(in_words)? {
            if !parts.contains(&part) {
                self.arrival.remove(&part).await.map_err(in_words)?;
                changed += 1;
            }
        }
        (progress.parts, progress.parts_of) = (0, parts.len() as u64);
        for part in parts {
            changed += self.part(part, progress).await?;
            progress.parts += 1;
            tell(self.told, *progress).await?;
        }
        Ok(changed)
    }

    async fn part(&mut self, part: OsString, progress: &mut ArriveProgress) -> Result<u64, String> {
        let there = self.source.list(Bytes::from(part.clone().into_vec())).await?;
        let there: Vec<Entry> = there.iter().map(entry_from_rpc).collect();
        if there.iter().any(|entry| !entry.path.starts_with(&part)) {
            return Err("the other server named files of another mailbox".to_owned());
        }
        let steps = steps(&there, &self.arrival.list(part).await.map_err(in_words)?);
        self.arrival.prepare(&steps).await.map_err(in_words)?;
        let mut missing = Vec::new();
        for entry in &steps.fetch {
            if !self.link(entry).await {
                missing.push(entry.path.clone());
            }
            if missing.len() == FILES_MAX {
                self.fetch(&std::mem::take(&mut missing), progress).await?;
            }
        }
        self.fetch(&missing, progress).await?;
        for entry in there {
            let EntryKind::File(file) = entry.kind else { continue };
            self.waiting.extend(file.message.map(|id| (entry.path.clone(), id)));
            if let Some(shared) = file.shared.filter(|_| self.shared.len() < SHARED_MAX) {
                self.shared.entry(shared).or_insert(entry.path);
            }
        }
        Ok(steps.count() as u64)
    }

    /// A file of which the copy has another name already needs no octets.
    async fn link(&self, entry: &Entry) -> bool {
        let EntryKind::File(file) = &entry.kind else { return false };
        match file.shared.and_then(|shared| self.shared.get(&shared)) {
            Some(there) => self.arrival.link(there, &entry.path).await,
            None => false,
        }
    }

    async fn fetch(&self, paths: &[PathBuf], progress: &mut ArriveProgress) -> Result<(), String> {
        if paths.is_empty() {
            return Ok(());
        }
        let mut pieces = self.source.fetch(paths.iter().map(|path| path_to_rpc(path)).collect()).await?;
        for path in paths {
            // A file of usual size is written at once; a large one as it comes.
            let (mut small, mut large) = (Vec::new(), None);
            loop {
                match pieces.next().await? {
                    MailboxPiece::Octets(octets) => {
                        progress.octets += octets.len() as u64;
                        small.extend_from_slice(&octets);
                        if small.len() > SMALL_OCTETS_MAX {
                            let mut receiving = match large.take() {
                                Some(receiving) => receiving,
                                None => self.arrival.receive(path).await.map_err(in_words)?,
                            };
                            receiving.write(&std::mem::take(&mut small)).await.map_err(in_words)?;
                            large = Some(receiving);
                        }
                    }
                    MailboxPiece::End(file) => {
                        // One that came short is missing in the next pass.
                        let file = file_from_rpc(&file);
                        let is_whole = match large.take() {
                            None => self.arrival.put(path, small, &file).await.map_err(in_words)?,
                            Some(mut receiving) => {
                                receiving.write(&small).await.map_err(in_words)?;
                                receiving.finish(&file).await.map_err(in_words)?
                            }
                        };
                        progress.files += u64::from(is_whole);
                        break;
                    }
                    MailboxPiece::Gone => {
                        if let Some(receiving) = large.take() {
                            receiving.abandon().await;
                        }
                        break;
                    }
                }
            }
            tell(self.told, *progress).await?;
        }
        Ok(())
    }
}
