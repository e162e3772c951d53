//! The serving side of the directory: each call is ruled about by what it touches, made as its author, and written down.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::directory::{Administration, Author, HistoryError, ReadError, Salvage, WatchEvent};
use authority::{Act, Feature};
use envelope::{Address, ObjectName, Revision};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use organization::{Kind, Object};
use rpc::Asker;
use tonic::{Request, Response, Status};
use topology::{DirectoryRecipient, Organization, RecipientKind};

use super::{convert, seals};
use crate::audit::Audited;
use crate::managed::Managed;
use crate::wire::v1 as wire;

/// Objects in one piece of an answer.
const PIECE: usize = 500;
/// Most recipients told, and looked up, at once. Ours.
const RECIPIENTS_MAX: usize = 1_000;
/// Most changes told. Ours: each is a question to the backend.
const REVISIONS_MAX: usize = 10_000;

/// `postroad.admin.v1.Directory` over a backend.
pub(crate) struct DirectoryService(pub(crate) Managed);

type Streamed<T> = BoxStream<'static, Result<T, Status>>;

impl DirectoryService {
    /// The directory as it is, or was then.
    async fn directory(&self, revision: Option<u64>) -> Result<Arc<dyn Administration>, Status> {
        let Some(revision) = revision else { return Ok(Arc::clone(&self.0.directory)) };
        let then = self.0.directory.at(Revision(revision)).await;
        then.map_err(|error| match error {
            HistoryError::Unavailable(text) => Status::unavailable(text),
            other => Status::out_of_range(other.to_string()),
        })
    }

    /// The directory, whose changes are written down as those of `asker`.
    fn audited(&self, asker: &Asker) -> Audited {
        Audited::new(Arc::clone(&self.0.directory), self.0.trail.clone(), asker.from())
    }

    /// Who asks, if he may read it.
    fn reads<T>(&self, request: &Request<T>, feature: Feature) -> Result<Asker, Status> {
        let asker = Asker::of(request)?;
        let cmdlet = match feature {
            Feature::Recipients => "Get-Recipient",
            Feature::Certificates => "Get-ExchangeCertificate",
            _ => "Get-OrganizationConfig",
        };
        self.0.trail.ruled(&asker, Act::Read(feature), cmdlet)?;
        Ok(asker)
    }

    /// Who asks, if he may change it.
    fn changes<T>(&self, request: &Request<T>, feature: Feature, cmdlet: &'static str) -> Result<Asker, Status> {
        let asker = Asker::of(request)?;
        self.0.trail.ruled(&asker, Act::Change(feature), cmdlet)?;
        Ok(asker)
    }

    fn author(&self, asker: &Asker, through: &str) -> Author {
        let through = rpc::convert::without_controls(through);
        Author::new(asker.name(), format!("{through}, admin API of {}", self.0.trail.server))
    }
}

fn unread(error: ReadError) -> Status {
    match error {
        ReadError::Unavailable(text) => Status::unavailable(text),
        ReadError::Invalid(text) => Status::failed_precondition(text),
    }
}

/// Passwords of users, even as verifiers, are for those who administer recipients.
fn told(asker: &Asker, mut recipient: DirectoryRecipient) -> DirectoryRecipient {
    if let RecipientKind::Mailbox { password, .. } = &mut recipient.kind
        && asker.may(Act::Change(Feature::Recipients)).is_err()
    {
        *password = None;
    }
    recipient
}

/// What a change touches.
async fn touched(directory: &dyn Administration, request: &wire::CommitRequest) -> Result<BTreeSet<Feature>, Status> {
    let puts: Result<Vec<Object>, String> =
        request.puts.iter().map(|object| convert::object_from_wire(object)).collect();
    let puts = puts.map_err(Status::invalid_argument)?;
    let kinds = request.deletes.iter().map(|id| Kind::from_name(&id.kind));
    let deletes: Option<Vec<Kind>> = kinds.collect();
    let deletes = deletes.ok_or_else(|| Status::invalid_argument("no kind of object"))?;
    let has_servers = puts.iter().any(|object| object.kind() == Kind::Server);
    let known = if has_servers { directory.snapshot().await.ok() } else { None };
    let mut touched = features(&puts, &deletes, known.as_deref());
    if request.repairs || request.restored {
        touched.insert(Feature::Organization);
    }
    Ok(touched)
}

/// The parts of the organization that are changed by putting these objects and deleting objects of these kinds.
#[must_use]
pub fn features(puts: &[Object], deletes: &[Kind], known: Option<&Organization>) -> BTreeSet<Feature> {
    let is_new = |object: &Object| match object {
        Object::Server(server) => {
            let known = known.and_then(|known| known.server(&server.name));
            // Moved to another site or role, it is another server.
            known.is_none_or(|known| (&known.site, known.role) != (&server.site, server.role))
        }
        _ => true,
    };
    let of_puts = puts.iter().map(|object| object.kind().feature(is_new(object)));
    of_puts.chain(deletes.iter().map(|kind| kind.feature(true))).collect()
}

fn piece(revision: Revision, objects: &[Object]) -> wire::ConfigurationPiece {
    wire::ConfigurationPiece { revision: revision.0, objects: objects.iter().map(convert::object_to_wire).collect() }
}

fn event(event: WatchEvent) -> wire::ConfigurationEvent {
    use wire::configuration_event::{Back, Event, Rejected};
    let event = match event {
        WatchEvent::Snapshot(organization) => {
            Event::Snapshot(piece(organization.revision(), &organization::objects(organization.draft(), &[])))
        }
        WatchEvent::Rejected { revision, reason } => Event::Rejected(Rejected { revision: revision.0, reason }),
        WatchEvent::Unavailable(why) => Event::Unavailable(why),
        WatchEvent::Back => Event::Back(Back {}),
    };
    wire::ConfigurationEvent { event: Some(event) }
}

#[tonic::async_trait]
impl wire::directory_server::Directory for DirectoryService {
    type ReadConfigurationStream = Streamed<wire::ConfigurationPiece>;
    type WatchConfigurationStream = Streamed<wire::ConfigurationEvent>;
    type WatchPresencesStream = Streamed<wire::ListPresencesReply>;

    async fn read_configuration(
        &self,
        request: Request<wire::ReadConfigurationRequest>,
    ) -> Result<Response<Self::ReadConfigurationStream>, Status> {
        self.reads(&request, Feature::Organization)?;
        let wire::ReadConfigurationRequest { revision, salvage } = request.into_inner();
        let directory = self.directory(revision).await?;
        let Salvage { revision, objects } = if salvage {
            directory.salvage().await.map_err(unread)?
        } else {
            let organization = directory.snapshot().await.map_err(unread)?;
            let objects = organization::objects(organization.draft(), &[]);
            Salvage { revision: organization.revision(), objects }
        };
        let mut pieces: Vec<_> = objects.chunks(PIECE).map(|objects| Ok(piece(revision, objects))).collect();
        if pieces.is_empty() {
            pieces.push(Ok(piece(revision, &[])));
        }
        Ok(Response::new(stream::iter(pieces).boxed()))
    }

    async fn watch_configuration(
        &self,
        request: Request<wire::WatchConfigurationRequest>,
    ) -> Result<Response<Self::WatchConfigurationStream>, Status> {
        let asker = self.reads(&request, Feature::Organization)?;
        let events = self.0.directory.watch(Revision(request.into_inner().after));
        // A watch lasts long: who is shut out meanwhile hears no more.
        let told = events.map(move |one| asker.may(Act::Read(Feature::Organization)).map(|()| event(one)));
        Ok(Response::new(told.boxed()))
    }

    async fn find_recipients(
        &self,
        request: Request<wire::FindRecipientsRequest>,
    ) -> Result<Response<wire::FindRecipientsReply>, Status> {
        let asker = self.reads(&request, Feature::Recipients)?;
        let wire::FindRecipientsRequest { revision, addresses, names } = request.into_inner();
        if addresses.len() + names.len() > RECIPIENTS_MAX {
            return Err(Status::invalid_argument(format!("at most {RECIPIENTS_MAX} recipients at once")));
        }
        let directory = self.directory(revision).await?;
        let wanted: Result<Vec<Address>, _> = addresses.iter().map(|address| Address::parse(address)).collect();
        let wanted = wanted.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let mut answers = directory.recipients(&wanted).await;
        for name in names {
            let name = ObjectName::parse(&name).map_err(|error| Status::invalid_argument(error.to_string()))?;
            answers.push(directory.recipient_by_name(&name).await);
        }
        let one = |answer: ::directory::Answer| answer.map(|found| found.map(|recipient| told(&asker, recipient)));
        let answers = answers.into_iter().map(|answer| convert::answer_to_wire(one(answer))).collect();
        Ok(Response::new(wire::FindRecipientsReply { answers }))
    }

    async fn list_recipients(
        &self,
        request: Request<wire::ListRecipientsRequest>,
    ) -> Result<Response<wire::ListRecipientsReply>, Status> {
        let asker = self.reads(&request, Feature::Recipients)?;
        let wire::ListRecipientsRequest { revision, after, limit } = request.into_inner();
        let after = (!after.is_empty()).then(|| ObjectName::parse(&after)).transpose();
        let after = after.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let limit = usize::try_from(limit).unwrap_or(RECIPIENTS_MAX).min(RECIPIENTS_MAX);
        let page = self.directory(revision).await?.list_recipients(after.as_ref(), limit).await.map_err(unread)?;
        let objects = page.into_iter().map(|one| convert::recipient_to_wire(told(&asker, one))).collect();
        Ok(Response::new(wire::ListRecipientsReply { objects }))
    }

    async fn list_presences(
        &self,
        request: Request<wire::ListPresencesRequest>,
    ) -> Result<Response<wire::ListPresencesReply>, Status> {
        self.reads(&request, Feature::Organization)?;
        let presences = self.0.directory.presences().await.map_err(unread)?;
        let presences = presences.into_iter().map(convert::presence_to_wire).collect();
        Ok(Response::new(wire::ListPresencesReply { presences }))
    }

    async fn watch_presences(
        &self,
        request: Request<wire::ListPresencesRequest>,
    ) -> Result<Response<Self::WatchPresencesStream>, Status> {
        let asker = self.reads(&request, Feature::Organization)?;
        let told = self.0.directory.watch_presences().map(move |presences| {
            asker.may(Act::Read(Feature::Organization))?;
            let presences = presences.into_iter().map(convert::presence_to_wire).collect();
            Ok(wire::ListPresencesReply { presences })
        });
        Ok(Response::new(told.boxed()))
    }

    async fn list_revisions(
        &self,
        request: Request<wire::ListRevisionsRequest>,
    ) -> Result<Response<wire::ListRevisionsReply>, Status> {
        self.reads(&request, Feature::Organization)?;
        let limit = usize::try_from(request.into_inner().limit).unwrap_or(REVISIONS_MAX).min(REVISIONS_MAX);
        let records = self.0.directory.revisions(limit).await.map_err(unread)?;
        let records = records.into_iter().map(convert::record_to_wire).collect();
        Ok(Response::new(wire::ListRevisionsReply { records }))
    }

    async fn has_revision(
        &self,
        request: Request<wire::HasRevisionRequest>,
    ) -> Result<Response<wire::HasRevisionReply>, Status> {
        self.reads(&request, Feature::Organization)?;
        let then = self.0.directory.at(Revision(request.into_inner().revision)).await;
        Ok(Response::new(convert::history_to_wire(then.err())))
    }

    async fn commit(&self, request: Request<wire::CommitRequest>) -> Result<Response<wire::CommitReply>, Status> {
        let asker = Asker::of(&request)?;
        let request = request.into_inner();
        let features = touched(self.0.directory.as_ref(), &request).await?;
        // A change of nothing tells whether its preconditions hold: that is reading.
        if features.is_empty() {
            self.0.trail.ruled(&asker, Act::Read(Feature::Organization), "Get-OrganizationConfig")?;
        }
        let refused = features.into_iter().find_map(|feature| asker.may(Act::Change(feature)).err());
        let change = convert::change_from_wire(&request, self.author(&asker, &request.through));
        let change = change.map_err(Status::invalid_argument)?;
        let audited = self.audited(&asker);
        if let Some(status) = refused {
            audited.refused(&change, status.message()).await;
            return Err(status);
        }
        Ok(Response::new(convert::committed_to_wire(audited.commit(change).await)))
    }

    async fn begin_epoch(
        &self,
        request: Request<wire::BeginEpochRequest>,
    ) -> Result<Response<wire::CommitReply>, Status> {
        let asker = self.changes(&request, Feature::Organization, "Restore-Directory")?;
        let wire::BeginEpochRequest { through, beyond } = request.into_inner();
        let author = self.author(&asker, &through);
        let begun = self.audited(&asker).begin_epoch(Revision(beyond), &author).await;
        Ok(Response::new(convert::committed_to_wire(begun)))
    }

    async fn revoke(&self, request: Request<wire::RevokeRequest>) -> Result<Response<wire::CommitReply>, Status> {
        let asker = self.changes(&request, Feature::Certificates, "Revoke-Certificate")?;
        let wire::RevokeRequest { through, revocation } = request.into_inner();
        let revocation = convert::revocation_from_wire(revocation);
        let revocation = revocation.ok_or_else(|| Status::invalid_argument("nobody is named"))?;
        let author = self.author(&asker, &through);
        let revoked = self.audited(&asker).revoke(revocation, &author).await;
        Ok(Response::new(convert::committed_to_wire(revoked.map(|()| Revision(0)))))
    }

    async fn list_revocations(
        &self,
        request: Request<wire::ListRevocationsRequest>,
    ) -> Result<Response<wire::ListRevocationsReply>, Status> {
        self.reads(&request, Feature::Certificates)?;
        let records = self.0.directory.revocations().await.map_err(unread)?;
        let records = records.iter().map(convert::revoked_to_wire).collect();
        Ok(Response::new(wire::ListRevocationsReply { records }))
    }

    async fn seal(&self, request: Request<wire::SealRequest>) -> Result<Response<wire::SealReply>, Status> {
        self.changes(&request, Feature::SendConnectors, "Protect-Credential")?;
        let Some(sealer) = self.0.sealer.clone() else {
            let text = "this server has no key of the organization; ask the admin service of a server with Transport";
            return Err(Status::failed_precondition(text));
        };
        let organization = self.0.directory.snapshot().await.map_err(unread)?;
        let request = request.into_inner();
        let sealing = tokio::task::spawn_blocking(move || {
            seals::answer(&sealer, &organization::objects(organization.draft(), &[]), request)
        });
        use wire::seal_reply::Result as Sealed;
        let result = match sealing.await.map_err(|error| Status::internal(error.to_string()))? {
            Ok(sealed) => Sealed::Sealed(sealed.0.into()),
            Err(why) => Sealed::Failure(why),
        };
        Ok(Response::new(wire::SealReply { result: Some(result) }))
    }
}
