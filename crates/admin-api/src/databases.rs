//! A mailbox database changes its server: an administrator has the old and the new one do their parts.

use std::sync::Arc;

use async_trait::async_trait;
use authority::{Act, Feature};
use envelope::{ObjectName, ServerName};
use futures::StreamExt;
use futures::stream::BoxStream;
use rpc::convert::WireError;
use rpc::{Asker, DatabaseMove, PeerAddress};
use tonic::{Request, Response, Status};

use crate::administrator::{Administrator, entries, failure};
use crate::error::AdminError;
use crate::wire::v1 as wire;
use wire::databases_client::DatabasesClient;

/// How far a copy is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArriveProgress {
    /// Parts looked at in this pass.
    pub parts: u64,
    /// Of how many.
    pub parts_of: u64,
    /// Files that came since the call.
    pub files: u64,
    /// And their octets.
    pub octets: u64,
    /// The pass has ended, and had to change so much.
    pub changed: Option<u64>,
    /// The copy is whole, durable and at its place.
    pub whole: bool,
}

/// What Mailbox Transport Delivery does for administrators. Each `Err` says why not, for people.
#[async_trait]
pub trait DatabaseHandler: Send + Sync + 'static {
    /// Old server: the database goes to `to`.
    async fn depart(&self, database: &ObjectName, to: &ServerName) -> Result<DatabaseMove, String>;
    /// Old server: nobody writes into it any more.
    async fn hold(&self, of: &DatabaseMove) -> Result<(), String>;
    /// Old server: it stays.
    async fn stay(&self, database: &ObjectName) -> Result<(), String>;
    /// New server: makes the copy what the database on `from` is. Ends when the stream is dropped.
    fn arrive(
        self: Arc<Self>,
        of: DatabaseMove,
        from: ServerName,
        last: bool,
    ) -> BoxStream<'static, Result<ArriveProgress, String>>;
}

/// `postroad.admin.v1.Databases` over a handler.
pub(crate) struct DatabasesService<H>(pub(crate) Arc<H>);

fn asked<T>(request: Request<T>) -> Result<T, Status> {
    let asker = Asker::of(&request)?;
    asker.may(Act::Change(Feature::Servers))?;
    tracing::info!(administrator = asker.name(), "an administrator moves a database");
    Ok(request.into_inner())
}

fn malformed(error: &WireError) -> Status {
    Status::invalid_argument(error.to_string())
}

fn named(database: &str) -> Result<ObjectName, Status> {
    ObjectName::parse(database).map_err(|_| malformed(&WireError::Invalid("name of a database")))
}

fn server(name: &str) -> Result<ServerName, Status> {
    ServerName::parse(name).map_err(|_| malformed(&WireError::Invalid("name of a server")))
}

fn moved(database: &str, id: &[u8]) -> Result<DatabaseMove, Status> {
    let id = id.try_into().map_err(|_| malformed(&WireError::Invalid("id of a move")))?;
    Ok(DatabaseMove { database: named(database)?, id })
}

#[tonic::async_trait]
impl<H: DatabaseHandler> wire::databases_server::Databases for DatabasesService<H> {
    type ArriveStream = BoxStream<'static, Result<wire::ArriveProgress, Status>>;

    async fn depart(&self, request: Request<wire::DepartRequest>) -> Result<Response<wire::DepartReply>, Status> {
        let wire::DepartRequest { database, to } = asked(request)?;
        let begun = self.0.depart(&named(&database)?, &server(&to)?).await.map_err(Status::failed_precondition)?;
        Ok(Response::new(wire::DepartReply { id: begun.id.to_vec().into() }))
    }

    async fn hold(&self, request: Request<wire::HoldRequest>) -> Result<Response<wire::HoldReply>, Status> {
        let wire::HoldRequest { database, id } = asked(request)?;
        self.0.hold(&moved(&database, &id)?).await.map_err(Status::failed_precondition)?;
        Ok(Response::new(wire::HoldReply {}))
    }

    async fn stay(&self, request: Request<wire::StayRequest>) -> Result<Response<wire::StayReply>, Status> {
        let wire::StayRequest { database } = asked(request)?;
        self.0.stay(&named(&database)?).await.map_err(Status::failed_precondition)?;
        Ok(Response::new(wire::StayReply {}))
    }

    async fn arrive(&self, request: Request<wire::ArriveRequest>) -> Result<Response<Self::ArriveStream>, Status> {
        let wire::ArriveRequest { database, id, from, last } = asked(request)?;
        let progress = Arc::clone(&self.0).arrive(moved(&database, &id)?, server(&from)?, last);
        Ok(Response::new(progress.map(|told| told.map(to_wire).map_err(Status::failed_precondition)).boxed()))
    }
}

fn to_wire(progress: ArriveProgress) -> wire::ArriveProgress {
    let ArriveProgress { parts, parts_of, files, octets, changed, whole } = progress;
    wire::ArriveProgress { parts, parts_of, files, octets, changed, whole }
}

fn from_wire(progress: wire::ArriveProgress) -> Result<ArriveProgress, WireError> {
    let wire::ArriveProgress { parts, parts_of, files, octets, changed, whole } = progress;
    Ok(ArriveProgress { parts, parts_of, files, octets, changed, whole })
}

impl Administrator {
    /// Has the old server let a database go to `to`.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn depart(
        &self,
        at: &PeerAddress,
        database: &ObjectName,
        to: &ServerName,
    ) -> Result<DatabaseMove, AdminError> {
        let request = wire::DepartRequest { database: database.to_string(), to: to.to_string() };
        let asked = self.databases(at).await?.depart(request).await;
        let id = asked.map_err(|status| failure(at, &status))?.into_inner().id;
        let unusable = || AdminError::Answer { peer: at.to_string(), cause: "it names no move".to_owned() };
        Ok(DatabaseMove { database: database.clone(), id: id.as_ref().try_into().map_err(|_| unusable())? })
    }

    /// Has the old server write nothing more into it.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn hold(&self, at: &PeerAddress, of: &DatabaseMove) -> Result<(), AdminError> {
        let request = wire::HoldRequest { database: of.database.to_string(), id: of.id.to_vec().into() };
        let asked = self.databases(at).await?.hold(request).await;
        asked.map(drop).map_err(|status| failure(at, &status))
    }

    /// Has the old server keep it.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn stay(&self, at: &PeerAddress, database: &ObjectName) -> Result<(), AdminError> {
        let asked = self.databases(at).await?.stay(wire::StayRequest { database: database.to_string() }).await;
        asked.map(drop).map_err(|status| failure(at, &status))
    }

    /// Has the new server copy it from `from`.
    ///
    /// # Errors
    /// [`AdminError`], at once or as the last entry.
    pub async fn arrive(
        &self,
        at: &PeerAddress,
        of: &DatabaseMove,
        from: &ServerName,
        last: bool,
    ) -> Result<BoxStream<'static, Result<ArriveProgress, AdminError>>, AdminError> {
        let (database, id, from) = (of.database.to_string(), of.id.to_vec().into(), from.to_string());
        let asked = self.databases(at).await?.arrive(wire::ArriveRequest { database, id, from, last }).await;
        Ok(entries(at, asked.map_err(|status| failure(at, &status))?.into_inner(), from_wire))
    }

    async fn databases(&self, at: &PeerAddress) -> Result<DatabasesClient<tonic::transport::Channel>, AdminError> {
        Ok(DatabasesClient::new(self.direct(at).await?))
    }
}
