//! A database changes its server. The old one lets it go and is read; the new one copies it pass after pass, and puts it at its
//! place when it is whole. Who asks is an administrator; which server the database is on is said by the configuration alone.
//!
//! ```text
//!   administrator ─ depart, hold ─▶ old server ◀─ parts, list, fetch ─ new server ◀─ arrive ─ administrator
//! ```

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use admin_api::{ArriveProgress, DatabaseHandler};
use async_trait::async_trait;
use bytes::Bytes;
use envelope::{ObjectName, ServerName};
use futures::StreamExt;
use futures::stream::BoxStream;
use mailbox_store::{Departing, Departure};
use net::PeerIdentity;
use rpc::{DatabaseMove, MailboxEntry, MailboxPiece, MailboxesHandler};
use runtime::Node;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::arrival::Arriving;
use crate::databases::Databases;
use crate::entries::{entry_to_rpc, in_words};

/// Octets of a file that are read at once.
const PIECE_OCTETS: u64 = 256 * 1024;
/// Pieces, and reports of progress, that wait to be sent.
const WAITING_MAX: usize = 8;

/// Databases that come and go.
pub(crate) struct Moves {
    node: Arc<Node>,
    databases: Arc<Databases>,
    arriving: Arc<Arriving>,
    drain: CancellationToken,
}

impl Moves {
    pub(crate) fn new(node: Arc<Node>, databases: Arc<Databases>, drain: CancellationToken) -> Self {
        let arriving = Arc::new(Arriving::new(Arc::clone(&node)));
        Self { node, databases, arriving, drain }
    }

    /// Puts aside what has gone to its new server, whenever the configuration says so.
    pub(crate) async fn follow(self: Arc<Self>) {
        let mut tables = self.node.watch_tables();
        loop {
            let organization = Arc::clone(&tables.borrow_and_update());
            for database in organization.organization().databases() {
                self.put_aside(&database.name, database.active_server()).await;
            }
            tokio::select! {
                () = self.drain.cancelled() => return,
                changed = tables.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn put_aside(&self, database: &ObjectName, active: &ServerName) {
        let root = self.node.settings.mailbox_database(database);
        let departing = Departing::of(&root);
        match departing.state().await {
            Ok(Some(departure)) if departure.held && departure.to == *active && active != self.node.server() => {
                self.databases.forget(&root);
                match departing.put_aside(&departure).await {
                    Ok(to) => {
                        tracing::info!(%database, server = %active, folder = %to.display(), "a database has gone to \
                        its new server; what it was here may be removed")
                    }
                    Err(error) => tracing::error!(%database, %error, "a database that has gone cannot be put aside"),
                }
            }
            Ok(Some(Departure { held: true, to, .. })) if active == self.node.server() => tracing::warn!(
                %database, %to,
                "mail for this database waits until it has moved: `postroad database move` goes on with that, --cancel ends it"
            ),
            Ok(_) => {}
            Err(error) => tracing::error!(%database, %error, "it cannot be read whether a database moves"),
        }
    }

    /// The folder of a database that is active here.
    fn own(&self, database: &ObjectName) -> Result<Departing, String> {
        let tables = self.node.tables();
        let found = tables.organization().database(database);
        let found = found.ok_or_else(|| format!("{} knows no database {database}", self.node.server()))?;
        if found.active_server() != self.node.server() {
            return Err(format!("{database} is on {}, not on {}", found.active_server(), self.node.server()));
        }
        Ok(Departing::of(self.node.settings.mailbox_database(database)))
    }

    /// The folder of a database, for the server that it was promised to.
    async fn promised(&self, peer: &PeerIdentity, of: &DatabaseMove) -> Result<Departing, String> {
        let departing = self.own(&of.database)?;
        match departing.state().await.map_err(in_words)? {
            Some(departure) if departure.to == peer.server && departure.id.as_bytes() == &of.id => Ok(departing),
            _ => Err(format!("{} does not go to {} by this move", of.database, peer.server)),
        }
    }
}

#[async_trait]
impl DatabaseHandler for Moves {
    async fn depart(&self, database: &ObjectName, to: &ServerName) -> Result<DatabaseMove, String> {
        if to == self.node.server() {
            return Err(format!("{database} is on {to}"));
        }
        let departure = self.own(database)?.begin(to).await.map_err(in_words)?;
        tracing::info!(%database, %to, "a database begins to move");
        Ok(DatabaseMove { database: database.clone(), id: departure.id.into_bytes() })
    }

    async fn hold(&self, of: &DatabaseMove) -> Result<(), String> {
        self.own(&of.database)?.hold(Uuid::from_bytes(of.id)).await.map_err(in_words)?;
        tracing::info!(database = %of.database, "nothing is written into a database that moves any more");
        Ok(())
    }

    async fn stay(&self, database: &ObjectName) -> Result<(), String> {
        self.own(database)?.stay().await.map_err(in_words)?;
        tracing::info!(%database, "a database stays");
        Ok(())
    }

    fn arrive(
        self: Arc<Self>,
        of: DatabaseMove,
        from: ServerName,
        last: bool,
    ) -> BoxStream<'static, Result<ArriveProgress, String>> {
        let (told, progress) = mpsc::channel(WAITING_MAX);
        tokio::spawn(async move {
            let copying = self.arriving.copy(&of, &from, last, &told);
            let failed = tokio::select! {
                ended = copying => ended.err(),
                // Nobody listens any more.
                () = told.closed() => return,
                () = self.drain.cancelled() => Some("the service is being stopped".to_owned()),
            };
            if let Some(why) = failed {
                let _gone = told.send(Err(why)).await;
            }
        });
        received(progress)
    }
}

/// What comes through a channel.
fn received<T: Send + 'static>(receiver: mpsc::Receiver<T>) -> BoxStream<'static, T> {
    futures::stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) }).boxed()
}

#[async_trait]
impl MailboxesHandler for Moves {
    async fn parts(&self, peer: &PeerIdentity, of: &DatabaseMove) -> Result<Vec<Bytes>, String> {
        let parts = self.promised(peer, of).await?.parts().await.map_err(in_words)?;
        Ok(parts.into_iter().map(|part| Bytes::from(part.into_vec())).collect())
    }

    async fn list(&self, peer: &PeerIdentity, of: &DatabaseMove, part: Bytes) -> Result<Vec<MailboxEntry>, String> {
        let entries = self.promised(peer, of).await?.list(OsString::from_vec(part.to_vec())).await;
        Ok(entries.map_err(in_words)?.iter().map(entry_to_rpc).collect())
    }

    async fn fetch(
        &self,
        peer: &PeerIdentity,
        of: &DatabaseMove,
        paths: Vec<Bytes>,
    ) -> Result<BoxStream<'static, Result<MailboxPiece, String>>, String> {
        let departing = self.promised(peer, of).await?;
        let (told, pieces) = mpsc::channel(WAITING_MAX);
        // One thread reads all of it, and waits there for whoever fetches.
        tokio::task::spawn_blocking(move || {
            for path in paths {
                if let Err(error) = send_file(&departing, PathBuf::from(OsString::from_vec(path.to_vec())), &told) {
                    let _gone = told.blocking_send(Err(error));
                    return;
                }
                if told.is_closed() {
                    return;
                }
            }
        });
        Ok(received(pieces))
    }
}

/// One file to its end, as what it was when it was opened. One that changes meanwhile is as good as gone.
fn send_file(
    departing: &Departing,
    path: PathBuf,
    told: &mpsc::Sender<Result<MailboxPiece, String>>,
) -> Result<(), String> {
    let Some((mut file, entry)) = departing.open(path).map_err(in_words)? else {
        let _gone = told.blocking_send(Ok(MailboxPiece::Gone));
        return Ok(());
    };
    let before = entry_to_rpc(&entry).file.ok_or("it is no file")?;
    let mut sent = 0;
    loop {
        let mut piece = Vec::new();
        let part = (&mut file).take(PIECE_OCTETS).read_to_end(&mut piece);
        part.map_err(|error| format!("a file cannot be read: {error}"))?;
        if piece.is_empty() {
            break;
        }
        sent += piece.len() as u64;
        if told.blocking_send(Ok(MailboxPiece::Octets(piece.into()))).is_err() {
            return Ok(());
        }
    }
    let end = if sent == before.size { MailboxPiece::End(before) } else { MailboxPiece::Gone };
    let _gone = told.blocking_send(Ok(end));
    Ok(())
}
