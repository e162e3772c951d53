//! EdgeSync, as administrators ask for it: the admin service of a server in the site of an Edge server synchronizes it, or compares.

use std::sync::Arc;

use async_trait::async_trait;
use authority::{Act, Feature};
use envelope::{Address, ServerName};
use rpc::Asker;
use rpc::convert::without_controls;
use tonic::{Request, Response, Status};

use crate::api::Api;
use crate::audit::AuditTrail;
use crate::error::AdminError;
use crate::wire::v1 as wire;
use wire::edge_sync_client::EdgeSyncClient;
use wire::test_reply::Verified;

/// What a synchronization did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synchronized {
    /// Objects of the configuration that were changed.
    pub configuration: u64,
    /// Addresses that the Edge server knows now.
    pub recipients: u64,
    /// Buckets of digests that were sent, whole or what changed in them.
    pub buckets: u64,
    /// Recipients that were read for it.
    pub recipients_read: u64,
    /// Why it was all of them; empty where it was not.
    pub all_read: String,
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Objects that differ.
    pub configuration: Vec<String>,
    /// Buckets of digests that differ.
    pub buckets_differ: u64,
    /// All of them.
    pub buckets: u64,
    /// Of one address: that nobody has it, or whether the Edge server knows of it what it should.
    pub verified: Option<Option<bool>>,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison<'a> {
    /// Only whether this address is known as it ought to be.
    Address(&'a Address),
    /// The configuration alone.
    Configuration,
    /// Recipients too; those are read of which is not known what was told before.
    All,
    /// Recipients too; each of them is read.
    Full,
}

/// Who synchronizes.
#[async_trait]
pub trait EdgeSyncHandler: Send + Sync + 'static {
    /// Now.
    ///
    /// # Errors
    /// Why not, in words.
    async fn start(&self, edge: &ServerName, full: bool) -> Result<Synchronized, String>;

    /// Compares.
    ///
    /// # Errors
    /// Why not, in words.
    async fn test(&self, edge: &ServerName, what: Comparison<'_>) -> Result<Compared, String>;
}

/// `postroad.admin.v1.EdgeSync` over a handler.
pub(crate) struct EdgeSyncService {
    pub(crate) handler: Arc<dyn EdgeSyncHandler>,
    pub(crate) trail: AuditTrail,
}

fn named(edge: &str) -> Result<ServerName, Status> {
    ServerName::parse(edge).map_err(|error| Status::invalid_argument(error.to_string()))
}

#[tonic::async_trait]
impl wire::edge_sync_server::EdgeSync for EdgeSyncService {
    async fn start(&self, request: Request<wire::StartRequest>) -> Result<Response<wire::StartReply>, Status> {
        self.trail.ruled(&Asker::of(&request)?, Act::Change(Feature::Servers), "Start-EdgeSynchronization")?;
        let wire::StartRequest { edge, full } = request.into_inner();
        let done = self.handler.start(&named(&edge)?, full).await.map_err(Status::failed_precondition)?;
        let Synchronized { configuration, recipients, buckets, recipients_read, all_read } = done;
        Ok(Response::new(wire::StartReply { configuration, recipients, buckets, recipients_read, all_read }))
    }

    async fn test(&self, request: Request<wire::TestRequest>) -> Result<Response<wire::TestReply>, Status> {
        self.trail.ruled(&Asker::of(&request)?, Act::Read(Feature::Servers), "Test-EdgeSynchronization")?;
        let wire::TestRequest { edge, address, without_recipients, full } = request.into_inner();
        let address = (!address.is_empty()).then(|| Address::parse(&address)).transpose();
        let address = address.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let what = match (&address, without_recipients, full) {
            (Some(address), ..) => Comparison::Address(address),
            (None, true, _) => Comparison::Configuration,
            (None, false, true) => Comparison::Full,
            (None, false, false) => Comparison::All,
        };
        let found = self.handler.test(&named(&edge)?, what).await.map_err(Status::failed_precondition)?;
        let verified = match found.verified {
            None => Verified::Unspecified,
            Some(None) => Verified::NotFound,
            Some(Some(true)) => Verified::Synchronized,
            Some(Some(false)) => Verified::Differs,
        };
        let Compared { configuration, buckets_differ, buckets, .. } = found;
        Ok(Response::new(wire::TestReply { configuration, buckets_differ, buckets, verified: verified.into() }))
    }
}

impl Api {
    /// Has an Edge server synchronized now.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn start_edge_synchronization(&self, edge: &ServerName, full: bool) -> Result<Synchronized, AdminError> {
        let request = wire::StartRequest { edge: edge.to_string(), full };
        let answer =
            EdgeSyncClient::new(self.channel()).start(request).await.map_err(|status| self.failure(&status))?;
        let wire::StartReply { configuration, recipients, buckets, recipients_read, all_read } = answer.into_inner();
        let all_read = without_controls(&all_read).into();
        Ok(Synchronized { configuration, recipients, buckets, recipients_read, all_read })
    }

    /// Has an Edge server compared with the organization.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn test_edge_synchronization(
        &self,
        edge: &ServerName,
        what: Comparison<'_>,
    ) -> Result<Compared, AdminError> {
        let mut request = wire::TestRequest { edge: edge.to_string(), ..wire::TestRequest::default() };
        match what {
            Comparison::Address(address) => request.address = address.to_string(),
            Comparison::Configuration => request.without_recipients = true,
            Comparison::All => {}
            Comparison::Full => request.full = true,
        }
        let answer = EdgeSyncClient::new(self.channel()).test(request).await.map_err(|status| self.failure(&status))?;
        let answer = answer.into_inner();
        let verified = match answer.verified() {
            Verified::Unspecified => None,
            Verified::NotFound => Some(None),
            Verified::Synchronized => Some(Some(true)),
            Verified::Differs => Some(Some(false)),
        };
        let wire::TestReply { configuration, buckets_differ, buckets, .. } = answer;
        let configuration = configuration.iter().map(|place| without_controls(place).into()).collect();
        Ok(Compared { configuration, buckets_differ, buckets, verified })
    }
}
