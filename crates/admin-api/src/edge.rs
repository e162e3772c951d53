//! What an organization has an Edge server do, client and server: it is subscribed once, then told digests of recipients and where
//! the Transports of its site are. Its configuration is changed as any other, by the directory of its admin service.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::directory::{Bucket, Buckets, CommitError, Presence, ReadError};
use async_trait::async_trait;
use authority::{Act, Feature};
use envelope::Domain;
use rpc::{Asker, PeerAddress};
use tonic::{Request, Response, Status, Streaming};

use crate::api::Api;
use crate::directory::convert;
use crate::error::AdminError;
use crate::wire::v1 as wire;
use wire::edge_client::EdgeClient;

/// Octets of digests in one piece of a transfer.
const PIECE_OCTETS: usize = 256 * 1024;
/// Most authorities that an organization has: one, and those that come after it or were before.
const AUTHORITIES_MAX: usize = 8;

/// An organization that subscribes an Edge server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Its forest.
    pub organization: Domain,
    /// Its authorities, PEM each.
    pub authorities: Vec<String>,
    /// A signature over both by the key of the subscription's file.
    pub voucher: Vec<u8>,
}

/// What the admin service of an Edge server does for its organization.
#[async_trait]
pub trait EdgeHandler: Send + Sync + 'static {
    /// Believes the organization from now on, if the voucher is good.
    ///
    /// # Errors
    /// Why not, for whoever administers the other side.
    async fn subscribe(&self, by: Subscriber) -> Result<(), String>;

    /// Marks of the buckets that there are.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn marks(&self) -> Result<BTreeMap<u16, [u8; 32]>, ReadError>;

    /// Replaces buckets of digests that begin with `salt`.
    ///
    /// # Errors
    /// [`CommitError`]
    async fn put(&self, salt: &str, buckets: Buckets, complete: bool) -> Result<(), CommitError>;

    /// Where the Transports of the site are.
    async fn announce(&self, presences: Vec<Presence>);
}

/// `postroad.admin.v1.Edge` over a handler.
pub(crate) struct EdgeService(pub(crate) Arc<dyn EdgeHandler>);

fn may<T>(request: &Request<T>) -> Result<Asker, Status> {
    let asker = Asker::of(request)?;
    if !asker.is_service() {
        return Err(Status::permission_denied("this is for the admin service of the organization"));
    }
    asker.may(Act::Change(Feature::Recipients))?;
    Ok(asker)
}

fn unwritten(error: &CommitError) -> Status {
    Status::unavailable(error.to_string())
}

#[tonic::async_trait]
impl wire::edge_server::Edge for EdgeService {
    async fn subscribe(
        &self,
        request: Request<wire::SubscribeRequest>,
    ) -> Result<Response<wire::SubscribeReply>, Status> {
        let wire::SubscribeRequest { organization, authorities, voucher } = request.into_inner();
        if authorities.len() > AUTHORITIES_MAX {
            return Err(Status::invalid_argument(format!("at most {AUTHORITIES_MAX} authorities")));
        }
        let organization = Domain::parse(&organization).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let by = Subscriber { organization, authorities, voucher: voucher.into() };
        self.0.subscribe(by).await.map_err(Status::permission_denied)?;
        Ok(Response::new(wire::SubscribeReply {}))
    }

    async fn list_buckets(
        &self,
        request: Request<wire::ListBucketsRequest>,
    ) -> Result<Response<wire::ListBucketsReply>, Status> {
        may(&request)?;
        let marks = self.0.marks().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let mark =
            |(number, mark): (u16, [u8; 32])| wire::BucketMark { number: number.into(), mark: mark.to_vec().into() };
        Ok(Response::new(wire::ListBucketsReply { marks: marks.into_iter().map(mark).collect() }))
    }

    async fn put_buckets(
        &self,
        request: Request<Streaming<wire::PutBucketsRequest>>,
    ) -> Result<Response<wire::PutBucketsReply>, Status> {
        may(&request)?;
        let mut pieces = request.into_inner();
        while let Some(piece) = pieces.message().await? {
            let buckets = piece.buckets.iter().map(bucket_from_wire).collect::<Option<Buckets>>();
            let buckets = buckets.ok_or_else(|| Status::invalid_argument("a bucket that is none"))?;
            self.0.put(&piece.salt, buckets, piece.complete).await.map_err(|error| unwritten(&error))?;
        }
        Ok(Response::new(wire::PutBucketsReply {}))
    }

    async fn announce(&self, request: Request<wire::AnnounceRequest>) -> Result<Response<wire::AnnounceReply>, Status> {
        may(&request)?;
        let presences = request.into_inner().presences.into_iter();
        self.0.announce(presences.filter_map(|one| convert::presence_from_wire(&one)).collect()).await;
        Ok(Response::new(wire::AnnounceReply {}))
    }
}

fn bucket_from_wire(bucket: &wire::Bucket) -> Option<(u16, Bucket)> {
    let number = u16::try_from(bucket.number).ok()?;
    let digests = Bucket::from_octets(&bucket.digests).filter(|digests| digests.is_of(number))?;
    Some((number, digests))
}

impl Api {
    /// The admin service of an Edge server that does not know the organization yet: nothing is shown to it, and it is known by
    /// `authorities_pem`, which the subscription's file named.
    ///
    /// # Errors
    /// [`AdminError::Unreachable`]
    pub async fn connect_unknown(at: &PeerAddress, authorities_pem: &str) -> Result<Self, AdminError> {
        let name = format!("the admin service of {at}");
        match rpc::client::connect_unknown(at, envelope::Service::Admin, authorities_pem).await {
            Ok(channel) => Ok(Self::over(channel, name)),
            Err(cause) => Err(AdminError::Unreachable { peer: name, cause }),
        }
    }

    /// Has an Edge server believe an organization.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn subscribe(&self, by: &Subscriber) -> Result<(), AdminError> {
        let request = wire::SubscribeRequest {
            organization: by.organization.to_string(),
            authorities: by.authorities.clone(),
            voucher: by.voucher.clone().into(),
        };
        let answer = EdgeClient::new(self.channel()).subscribe(request).await;
        answer.map(drop).map_err(|status| self.failure(&status))
    }

    /// Marks of the buckets that an Edge server has.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn bucket_marks(&self) -> Result<BTreeMap<u16, [u8; 32]>, AdminError> {
        let answer = EdgeClient::new(self.channel()).list_buckets(wire::ListBucketsRequest {}).await;
        let marks = answer.map_err(|status| self.failure(&status))?.into_inner().marks.into_iter();
        // What is no mark differs from every bucket, which is written anew.
        Ok(marks
            .filter_map(|one| {
                let mark = <[u8; 32]>::try_from(one.mark.as_ref()).unwrap_or_default();
                Some((u16::try_from(one.number).ok()?, mark))
            })
            .collect())
    }

    /// Replaces buckets of an Edge server; what is there then is all.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn put_buckets(&self, salt: &str, buckets: Buckets) -> Result<(), AdminError> {
        let piece = || wire::PutBucketsRequest { salt: salt.to_owned(), ..wire::PutBucketsRequest::default() };
        let mut pieces = vec![piece()];
        let mut octets = 0;
        for (number, bucket) in buckets {
            let digests = bucket.to_octets();
            octets += digests.len();
            if octets > PIECE_OCTETS {
                pieces.push(piece());
                octets = digests.len();
            }
            if let Some(last) = pieces.last_mut() {
                last.buckets.push(wire::Bucket { number: number.into(), digests: digests.into() });
            }
        }
        if let Some(last) = pieces.last_mut() {
            last.complete = true;
        }
        let answer = EdgeClient::new(self.channel()).put_buckets(futures::stream::iter(pieces)).await;
        answer.map(drop).map_err(|status| self.failure(&status))
    }

    /// Tells an Edge server where the Transports of its site are.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn announce(&self, presences: Vec<Presence>) -> Result<(), AdminError> {
        let presences = presences.into_iter().map(convert::presence_to_wire).collect();
        let answer = EdgeClient::new(self.channel()).announce(wire::AnnounceRequest { presences }).await;
        answer.map(drop).map_err(|status| self.failure(&status))
    }
}
