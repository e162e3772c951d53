//! The directory as somebody has it who reaches only an admin service: the traits, each question one call.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use authority::Revocation;
use directory::{
    Administration, Answer, Author, Change, CommitError, Configuration, HistoryError, Presence, Presences, ReadError,
    Recipients, RevisionRecord, RevocationRecord, Salvage, WatchEvent, organization_of,
};
use envelope::{Address, ObjectName, Revision};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use organization::Object;
use rpc::limits::REQUEST_OCTETS_MAX;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use topology::{DirectoryRecipient, Organization};

use super::convert;
use crate::api::Api;
use crate::wire::v1 as wire;
use wire::directory_client::DirectoryClient;

/// Time until a watch that broke off is begun anew.
const RETRY: Duration = Duration::from_secs(1);

/// A configuration that a server tells may have as much: several times what etcd holds of one. Whoever asks an Edge server asks
/// somebody who may be in wrong hands.
const CONFIGURATION_OCTETS_MAX: usize = 256 * 1024 * 1024;

/// A directory behind an admin service.
#[derive(Clone)]
pub struct RemoteDirectory {
    api: Api,
    /// As it was then.
    revision: Option<Revision>,
}

impl RemoteDirectory {
    /// As it is now.
    #[must_use]
    pub fn new(api: Api) -> Self {
        Self { api, revision: None }
    }

    fn client(&self) -> DirectoryClient<Channel> {
        DirectoryClient::new(self.api.channel()).max_decoding_message_size(REQUEST_OCTETS_MAX)
    }

    fn then(&self) -> Option<u64> {
        self.revision.map(|revision| revision.0)
    }

    fn unread(&self, status: &Status) -> ReadError {
        match status.code() {
            Code::FailedPrecondition => ReadError::Invalid(rpc::convert::without_controls(status.message()).into()),
            _ => ReadError::Unavailable(self.api.in_words(status)),
        }
    }

    fn unchanged(&self, status: &Status) -> CommitError {
        match status.code() {
            Code::PermissionDenied | Code::Unauthenticated => CommitError::Refused(self.api.in_words(status)),
            Code::InvalidArgument => CommitError::Refused(rpc::convert::without_controls(status.message()).into()),
            _ => CommitError::Unavailable(self.api.in_words(status)),
        }
    }

    async fn read(&self, salvage: bool) -> Result<Salvage, ReadError> {
        let request = wire::ReadConfigurationRequest { revision: self.then(), salvage };
        let answer = self.client().read_configuration(request).await.map_err(|status| self.unread(&status))?;
        let mut pieces = answer.into_inner();
        let mut read = Salvage { revision: Revision(0), objects: Vec::new() };
        let mut octets = 0;
        while let Some(piece) = pieces.message().await.map_err(|status| self.unread(&status))? {
            octets += prost::Message::encoded_len(&piece);
            if octets > CONFIGURATION_OCTETS_MAX {
                let why = format!("it is larger than {} MiB", CONFIGURATION_OCTETS_MAX / (1024 * 1024));
                return Err(ReadError::Invalid(why));
            }
            read.revision = Revision(piece.revision);
            read.objects.extend(objects(&piece).map_err(ReadError::Invalid)?);
        }
        Ok(read)
    }

    async fn find(&self, addresses: Vec<String>, names: Vec<String>) -> Result<Vec<Answer>, ReadError> {
        let request = wire::FindRecipientsRequest { revision: self.then(), addresses, names };
        let answer = self.client().find_recipients(request).await.map_err(|status| self.unread(&status))?;
        Ok(answer.into_inner().answers.into_iter().map(convert::answer_from_wire).collect())
    }
}

fn objects(piece: &wire::ConfigurationPiece) -> Result<Vec<Object>, String> {
    piece.objects.iter().map(|object| convert::told_object(object)).collect()
}

#[async_trait]
impl Configuration for RemoteDirectory {
    async fn snapshot(&self) -> Result<Arc<Organization>, ReadError> {
        let Salvage { revision, objects } = self.read(false).await?;
        let organization = organization_of(objects, revision);
        organization.map(Arc::new).map_err(|problems| ReadError::Invalid(problems.to_string()))
    }

    fn watch(&self, after: Revision) -> BoxStream<'static, WatchEvent> {
        let watch = Watch { directory: self.clone(), after, events: None, told_away: false };
        stream::unfold(watch, |mut watch| async move { Some((watch.next().await, watch)) }).boxed()
    }
}

/// A configuration that is followed over connections that end.
struct Watch {
    directory: RemoteDirectory,
    after: Revision,
    events: Option<Streaming<wire::ConfigurationEvent>>,
    /// That it is away has been said.
    told_away: bool,
}

impl Watch {
    async fn next(&mut self) -> WatchEvent {
        loop {
            match self.try_next().await {
                Ok(Some(event)) => {
                    self.told_away = matches!(event, WatchEvent::Unavailable(_));
                    return event;
                }
                Ok(None) => {}
                Err(status) => {
                    self.events = None;
                    if !std::mem::replace(&mut self.told_away, true) {
                        return WatchEvent::Unavailable(self.directory.api.in_words(&status));
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn try_next(&mut self) -> Result<Option<WatchEvent>, Status> {
        use wire::configuration_event::Event;
        let events = match &mut self.events {
            Some(events) => events,
            None => {
                let request = wire::WatchConfigurationRequest { after: self.after.0 };
                self.events.insert(self.directory.client().watch_configuration(request).await?.into_inner())
            }
        };
        let event = events.message().await?.ok_or_else(|| Status::unavailable("the watch has ended"))?;
        Ok(match event.event {
            Some(Event::Snapshot(piece)) => {
                let revision = Revision(piece.revision);
                self.after = self.after.max(revision);
                let read = objects(&piece);
                let read =
                    read.and_then(|objects| organization_of(objects, revision).map_err(|error| error.to_string()));
                Some(match read {
                    Ok(organization) => WatchEvent::Snapshot(Arc::new(organization)),
                    Err(reason) => WatchEvent::Rejected { revision, reason },
                })
            }
            Some(Event::Rejected(rejected)) => {
                Some(WatchEvent::Rejected { revision: Revision(rejected.revision), reason: rejected.reason })
            }
            Some(Event::Unavailable(why)) => Some(WatchEvent::Unavailable(why)),
            Some(Event::Back(_)) => Some(WatchEvent::Back),
            None => None,
        })
    }
}

#[async_trait]
impl Recipients for RemoteDirectory {
    async fn recipients(&self, addresses: &[Address]) -> Vec<Answer> {
        let wanted = addresses.iter().map(ToString::to_string).collect();
        match self.find(wanted, Vec::new()).await {
            Ok(answers) if answers.len() == addresses.len() => answers,
            Ok(_) => {
                vec![Err(ReadError::Unavailable("the answer does not fit the question".to_owned())); addresses.len()]
            }
            Err(error) => vec![Err(error); addresses.len()],
        }
    }

    async fn recipient_by_name(&self, name: &ObjectName) -> Answer {
        let answer = self.find(Vec::new(), vec![name.to_string()]).await?.pop();
        answer.unwrap_or_else(|| Err(ReadError::Unavailable("the directory gave no answer".to_owned())))
    }

    async fn list_recipients(
        &self,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<DirectoryRecipient>, ReadError> {
        let after = after.map(ToString::to_string).unwrap_or_default();
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let request = wire::ListRecipientsRequest { revision: self.then(), after, limit };
        let answer = self.client().list_recipients(request).await.map_err(|status| self.unread(&status))?;
        answer.into_inner().objects.iter().map(|object| convert::told_recipient(object)).collect()
    }
}

#[async_trait]
impl Presences for RemoteDirectory {
    async fn presences(&self) -> Result<Vec<Presence>, ReadError> {
        let answer = self.client().list_presences(wire::ListPresencesRequest {}).await;
        let answer = answer.map_err(|status| self.unread(&status))?;
        Ok(presences(&answer.into_inner()))
    }

    fn watch_presences(&self) -> BoxStream<'static, Vec<Presence>> {
        let begin = (self.clone(), None::<Streaming<wire::ListPresencesReply>>);
        let next = |(directory, mut replies): (Self, Option<Streaming<_>>)| async move {
            loop {
                let asked = async {
                    let replies = match &mut replies {
                        Some(replies) => replies,
                        None => {
                            let answer = directory.client().watch_presences(wire::ListPresencesRequest {}).await?;
                            replies.insert(answer.into_inner())
                        }
                    };
                    replies.message().await?.ok_or_else(|| Status::unavailable("the watch has ended"))
                };
                match asked.await {
                    Ok(reply) => return Some((presences(&reply), (directory, replies))),
                    Err(_) => {
                        replies = None;
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
        };
        stream::unfold(begin, next).boxed()
    }
}

fn presences(reply: &wire::ListPresencesReply) -> Vec<Presence> {
    reply.presences.iter().filter_map(convert::presence_from_wire).collect()
}

#[async_trait]
impl Administration for RemoteDirectory {
    async fn salvage(&self) -> Result<Salvage, ReadError> {
        self.read(true).await
    }

    async fn commit(&self, change: Change) -> Result<Revision, CommitError> {
        let answer = self.client().commit(convert::change_to_wire(&change)).await;
        convert::committed_from_wire(answer.map_err(|status| self.unchanged(&status))?.into_inner())
    }

    async fn revoke(&self, revocation: Revocation, author: &Author) -> Result<(), CommitError> {
        let revocation = Some(convert::revocation_to_wire(&revocation));
        let request = wire::RevokeRequest { through: author.through.clone(), revocation };
        let answer = self.client().revoke(request).await;
        convert::committed_from_wire(answer.map_err(|status| self.unchanged(&status))?.into_inner()).map(drop)
    }

    async fn revocations(&self) -> Result<Vec<RevocationRecord>, ReadError> {
        let answer = self.client().list_revocations(wire::ListRevocationsRequest {}).await;
        let records = answer.map_err(|status| self.unread(&status))?.into_inner().records;
        records.into_iter().map(convert::revoked_from_wire).collect()
    }

    async fn begin_epoch(&self, beyond: Revision, author: &Author) -> Result<Revision, CommitError> {
        let request = wire::BeginEpochRequest { through: author.through.clone(), beyond: beyond.0 };
        let answer = self.client().begin_epoch(request).await;
        convert::committed_from_wire(answer.map_err(|status| self.unchanged(&status))?.into_inner())
    }

    async fn at(&self, revision: Revision) -> Result<Arc<dyn Administration>, HistoryError> {
        let answer = self.client().has_revision(wire::HasRevisionRequest { revision: revision.0 }).await;
        let answer = answer.map_err(|status| HistoryError::Unavailable(self.api.in_words(&status)))?;
        convert::history_from_wire(answer.into_inner(), revision)?;
        Ok(Arc::new(Self { api: self.api.clone(), revision: Some(revision) }))
    }

    async fn revisions(&self, limit: usize) -> Result<Vec<RevisionRecord>, ReadError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let answer = self.client().list_revisions(wire::ListRevisionsRequest { limit }).await;
        let records = answer.map_err(|status| self.unread(&status))?.into_inner().records;
        Ok(records.iter().map(convert::record_from_wire).collect())
    }
}
