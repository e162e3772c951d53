//! What an organization has an Edge server do, client and server: it is subscribed once, then told digests of recipients and where
//! the Transports of its site are. Its configuration is changed as any other, by the directory of its admin service.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::directory::{
    Bucket, BucketChange, Buckets, CommitError, DigestsChange, Mark, Marks, MarksSum, Presence, ReadError,
    RecipientDigest,
};
use async_trait::async_trait;
use authority::{Act, Feature};
use envelope::Domain;
use rpc::{Asker, PeerAddress};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::api::Api;
use crate::directory::convert;
use crate::error::AdminError;
use crate::wire::v1 as wire;
use wire::edge_client::EdgeClient;

/// Octets of digests in one piece of a transfer, but for its last bucket.
const PIECE_OCTETS: usize = 256 * 1024;
/// What a bucket is beside its digests, at most.
const BUCKET_OCTETS: usize = 16;
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

    /// With what sum all digests were told last.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn told_last(&self) -> Result<MarksSum, ReadError>;

    /// Marks of the buckets that there are.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn marks(&self) -> Result<Marks, ReadError>;

    /// Replaces buckets of digests that begin with `salt`; with `complete` what is there then is all.
    ///
    /// # Errors
    /// [`CommitError`]
    async fn put(&self, salt: &str, buckets: Buckets, complete: Option<&MarksSum>) -> Result<(), CommitError>;

    /// Changes some digests.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when something else was told last, or is there.
    async fn change(&self, change: DigestsChange) -> Result<(), CommitError>;

    /// Whether a digest is there; nothing while not all were told.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn knows(&self, salt: &str, digest: &RecipientDigest) -> Result<Option<bool>, ReadError>;

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

fn unread(error: &ReadError) -> Status {
    Status::unavailable(error.to_string())
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
        let sum = self.0.told_last().await.map_err(|error| unread(&error))?;
        let known = request.into_inner().sum;
        if !known.is_empty() && sum.as_octets() == &*known {
            return Ok(Response::new(wire::ListBucketsReply { marks: Vec::new(), sum: known }));
        }
        let marks = self.0.marks().await.map_err(|error| unread(&error))?;
        let mark = |(number, mark): (u16, Mark)| wire::BucketMark {
            number: number.into(),
            mark: mark.as_octets().to_vec().into(),
        };
        let sum = sum.as_octets().to_vec().into();
        Ok(Response::new(wire::ListBucketsReply { marks: marks.some().map(mark).collect(), sum }))
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
            let sum = piece.complete.then(|| MarksSum::from_octets(&piece.sum));
            self.0.put(&piece.salt, buckets, sum.as_ref()).await.map_err(|error| unwritten(&error))?;
        }
        Ok(Response::new(wire::PutBucketsReply {}))
    }

    async fn change_buckets(
        &self,
        request: Request<wire::ChangeBucketsRequest>,
    ) -> Result<Response<wire::ChangeBucketsReply>, Status> {
        may(&request)?;
        let change = change_from_wire(request.into_inner());
        let change = change.ok_or_else(|| Status::invalid_argument("a change of buckets that is none"))?;
        self.0.change(change).await.map_err(|error| match error {
            CommitError::Conflict(why) => Status::failed_precondition(why),
            other => unwritten(&other),
        })?;
        Ok(Response::new(wire::ChangeBucketsReply {}))
    }

    async fn find_digest(
        &self,
        request: Request<wire::FindDigestRequest>,
    ) -> Result<Response<wire::FindDigestReply>, Status> {
        may(&request)?;
        let wire::FindDigestRequest { salt, digest } = request.into_inner();
        let digest = RecipientDigest::from_octets(&digest);
        let digest = digest.ok_or_else(|| Status::invalid_argument("a digest that is none"))?;
        let found = self.0.knows(&salt, &digest).await.map_err(|error| unread(&error))?;
        Ok(Response::new(wire::FindDigestReply { found }))
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

fn digests_to_wire(digests: &BTreeSet<RecipientDigest>) -> bytes::Bytes {
    digests.iter().flat_map(RecipientDigest::as_octets).copied().collect()
}

fn digests_from_wire(octets: &[u8]) -> Option<BTreeSet<RecipientDigest>> {
    octets.chunks(RecipientDigest::OCTETS).map(RecipientDigest::from_octets).collect()
}

fn change_to_wire(change: &DigestsChange) -> wire::ChangeBucketsRequest {
    let buckets = change.buckets.iter().map(|(number, bucket)| wire::BucketChange {
        number: (*number).into(),
        gone: digests_to_wire(&bucket.gone),
        come: digests_to_wire(&bucket.come),
        mark: bucket.mark.as_octets().to_vec().into(),
    });
    wire::ChangeBucketsRequest {
        salt: change.salt.clone(),
        from: change.from.as_octets().to_vec().into(),
        to: change.to.as_octets().to_vec().into(),
        buckets: buckets.collect(),
    }
}

fn change_from_wire(change: wire::ChangeBucketsRequest) -> Option<DigestsChange> {
    let bucket = |bucket: wire::BucketChange| {
        let number = u16::try_from(bucket.number).ok()?;
        let (gone, come) = (digests_from_wire(&bucket.gone)?, digests_from_wire(&bucket.come)?);
        let change = BucketChange { gone, come, mark: Mark::from_octets(&bucket.mark) };
        change.is_of(number).then_some((number, change))
    };
    Some(DigestsChange {
        salt: change.salt,
        from: MarksSum::from_octets(&change.from),
        to: MarksSum::from_octets(&change.to),
        buckets: change.buckets.into_iter().map(bucket).collect::<Option<_>>()?,
    })
}

/// Buckets in pieces of a transfer; at least one, which may have none. The last says that it is, where `complete` says so.
struct InPieces<I: Iterator> {
    buckets: std::iter::Peekable<I>,
    salt: String,
    complete: Option<MarksSum>,
    is_over: bool,
}

impl<I: Iterator<Item = (u16, Bucket)>> Iterator for InPieces<I> {
    type Item = wire::PutBucketsRequest;

    fn next(&mut self) -> Option<Self::Item> {
        if std::mem::replace(&mut self.is_over, true) {
            return None;
        }
        let mut piece = wire::PutBucketsRequest { salt: self.salt.clone(), ..wire::PutBucketsRequest::default() };
        let mut octets = 0;
        while octets < PIECE_OCTETS {
            let Some((number, bucket)) = self.buckets.next() else { break };
            let digests = bucket.to_octets();
            octets += digests.len() + BUCKET_OCTETS;
            piece.buckets.push(wire::Bucket { number: number.into(), digests: digests.into() });
        }
        self.is_over = self.buckets.peek().is_none();
        if self.is_over
            && let Some(sum) = self.complete.take()
        {
            (piece.complete, piece.sum) = (true, sum.as_octets().to_vec().into());
        }
        Some(piece)
    }
}

/// What an Edge server has of recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldLast {
    /// With what sum all were told last, if nothing was begun since.
    pub sum: MarksSum,
    /// Marks of the buckets that there are; `None` where the sum is the one that was asked about.
    pub marks: Option<Marks>,
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

    /// What an Edge server has of recipients: the marks of its buckets, unless it was told last what `known` is the sum of.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn told_last(&self, known: &MarksSum) -> Result<ToldLast, AdminError> {
        let request = wire::ListBucketsRequest { sum: known.as_octets().to_vec().into() };
        let answer = EdgeClient::new(self.channel()).list_buckets(request).await;
        let wire::ListBucketsReply { marks: listed, sum } =
            answer.map_err(|status| self.failure(&status))?.into_inner();
        let sum = MarksSum::from_octets(&sum);
        if sum == *known && sum != MarksSum::default() {
            return Ok(ToldLast { sum, marks: None });
        }
        let mut marks = Marks::default();
        for one in listed {
            marks.set(u16::try_from(one.number).unwrap_or(u16::MAX), Mark::from_octets(&one.mark));
        }
        Ok(ToldLast { sum, marks: Some(marks) })
    }

    /// Replaces buckets of an Edge server, as they come; with `complete` what is there then is all.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn put_buckets(
        &self,
        salt: &str,
        buckets: impl Iterator<Item = (u16, Bucket)> + Send + 'static,
        complete: Option<MarksSum>,
    ) -> Result<(), AdminError> {
        let pieces = InPieces { buckets: buckets.peekable(), salt: salt.to_owned(), complete, is_over: false };
        let answer = EdgeClient::new(self.channel()).put_buckets(futures::stream::iter(pieces)).await;
        answer.map(drop).map_err(|status| self.failure(&status))
    }

    /// Changes some digests of an Edge server. `false` when it was told something else last, or does not know how: all have to be
    /// told anew.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn change_buckets(&self, change: &DigestsChange) -> Result<bool, AdminError> {
        match EdgeClient::new(self.channel()).change_buckets(change_to_wire(change)).await {
            Ok(_) => Ok(true),
            Err(status) if matches!(status.code(), Code::FailedPrecondition | Code::Unimplemented) => Ok(false),
            Err(status) => Err(self.failure(&status)),
        }
    }

    /// Whether an Edge server has a digest; nothing while not all were told.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn knows_digest(&self, salt: &str, digest: &RecipientDigest) -> Result<Option<bool>, AdminError> {
        let request = wire::FindDigestRequest { salt: salt.to_owned(), digest: digest.as_octets().to_vec().into() };
        let answer = EdgeClient::new(self.channel()).find_digest(request).await;
        Ok(answer.map_err(|status| self.failure(&status))?.into_inner().found)
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
