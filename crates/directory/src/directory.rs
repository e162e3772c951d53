//! The traits: what services and administrators ask of a directory, and how it answers.
//!
//! | trait | what is asked |
//! |---|---|
//! | [`Configuration`], [`Recipients`], [`Presences`] | three questions that have nothing to do with each other |
//! | [`Directory`] | all three, and the announcement of a service: what a service is given |
//! | [`Administration`] | all three, changes and the past: what a command is given, over a backend or over the API alike |
//!
//! Reading never waits for long and never invents: either an answer or an error that is transient for mail. Writing is a
//! whole change or nothing.

use std::sync::Arc;

use async_trait::async_trait;
use authority::Revocation;
use envelope::{Address, EnhancedStatus, ObjectName, Revision, Timestamp};
use futures::stream::BoxStream;
use organization::{Kind, Object};
use topology::{DirectoryRecipient, Guid, Organization, Problems};

pub use crate::author::Author;
use crate::digests::{Buckets, DigestsChange, Marks, MarksSum, RecipientDigest};
use crate::moment::{AddressChanges, ChangesError, Moment};
use crate::presence::{Announcement, Presence};
use crate::revocation::RevocationRecord;

/// What is known about one address: its recipient, that it is nobody's, or why that is not known.
pub type Answer = Result<Option<DirectoryRecipient>, ReadError>;

/// Operations of one change of recipients that every backend takes; etcd takes 128.
const OPERATIONS_AT_ONCE: usize = 100;

/// A state of the directory: equal to itself, and to no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateToken {
    /// What whoever changed it last said.
    pub(crate) told: u128,
    /// Of all that is stored.
    pub(crate) revision: Revision,
}

/// The configuration of one forest, as it is read.
#[async_trait]
pub trait Configuration: Send + Sync {
    /// The configuration as it is now.
    ///
    /// # Errors
    /// [`ReadError`]; what is stored but invalid is an error as well, never a half-read snapshot.
    async fn snapshot(&self) -> Result<Arc<Organization>, ReadError>;

    /// Every newer configuration than `after`, and everything that stands in the way of one. The stream does not end by
    /// itself: it outlives disconnections, restarts and compactions of the backend.
    fn watch(&self, after: Revision) -> BoxStream<'static, WatchEvent>;
}

/// The recipients of one forest, looked up and never read as a whole.
#[async_trait]
pub trait Recipients: Send + Sync {
    /// Looks recipients up by any of their addresses, without regard to case; there is one answer for each address, in the
    /// order asked. A recipient that cannot be read is in nobody else's way.
    async fn recipients(&self, addresses: &[Address]) -> Vec<Answer>;

    /// Looks one recipient up by any of its addresses.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn recipient(&self, address: &Address) -> Answer {
        let answer = self.recipients(std::slice::from_ref(address)).await.pop();
        answer.unwrap_or_else(|| Err(ReadError::Unavailable("the directory gave no answer".to_owned())))
    }

    /// Looks a recipient up by its name.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn recipient_by_name(&self, name: &ObjectName) -> Answer;

    /// At most `limit` recipients in the order of their lower-case names, those after `after`.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn list_recipients(
        &self,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<DirectoryRecipient>, ReadError>;

    /// The state of all that is stored, recipients too, where it can be told at once, on the thread that asks. As long as it is the
    /// same, what was answered after it was told is still so.
    fn state_at_once(&self) -> Option<StateToken> {
        None
    }

    /// On an Edge server, which knows no addresses: whether somebody has the one of this digest. Nothing where no digests with this
    /// salt are kept, or not all yet.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn knows_digest(&self, _salt: &str, _digest: &RecipientDigest) -> Result<Option<bool>, ReadError> {
        Ok(None)
    }
}

/// The services of one forest that are there.
#[async_trait]
pub trait Presences: Send + Sync {
    /// The services that are there now.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn presences(&self) -> Result<Vec<Presence>, ReadError>;

    /// The services that are there, now and after each change. Does not end by itself; while the directory is away it is
    /// silent.
    fn watch_presences(&self) -> BoxStream<'static, Vec<Presence>>;
}

/// What a service stands on: it reads, and says that it is there. It changes nothing else.
#[async_trait]
pub trait Directory: Configuration + Recipients + Presences {
    /// Tells the others that a service is there, until the handle is dropped or the process dies. Works while the
    /// directory is away: the announcement is made when it is back.
    fn announce(&self, presence: Presence) -> Announcement;

    /// Certificates that count no more, now and after each change. Does not end by itself; while the directory is away it
    /// is silent.
    fn watch_revocations(&self) -> BoxStream<'static, Vec<Revocation>>;

    /// Asks each member of the backend by itself: one of three that is dead is nobody's trouble, and the next one is
    /// everybody's. Nobody where the directory is one file.
    async fn members(&self) -> Vec<MemberState> {
        Vec::new()
    }
}

/// A member of the backend, and what stands in its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberState {
    /// As the settings name it: `https://etcd1.contoso.com:2379`.
    pub endpoint: String,
    /// Why it does not answer; nothing when it does.
    pub failure: Option<String>,
}

/// What an administrator does: reads, changes, and looks back.
#[async_trait]
pub trait Administration: Configuration + Recipients + Presences {
    /// What can be understood of a configuration that is not valid, for a change that [repairs](Change::repairs) it.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn salvage(&self) -> Result<Salvage, ReadError>;

    /// Makes a whole change or nothing, after checking the organization that would result.
    ///
    /// # Errors
    /// [`CommitError`]
    async fn commit(&self, change: Change) -> Result<Revision, CommitError>;

    /// Of a change of many recipients so many operations (objects, names and addresses, before and after) belong into one
    /// [commit](Self::commit).
    fn operations_at_once(&self) -> usize {
        OPERATIONS_AT_ONCE
    }

    /// For one who makes many changes, one after another, and says only at the end that they are made: from now on a change may be
    /// answered a moment before it is on disk, where that costs less. Nobody else sees it before. `false` ends that; what was
    /// answered is on disk when this returns.
    ///
    /// # Errors
    /// [`CommitError::Unavailable`]: the last changes could not be written, and were not made.
    async fn gather(&self, _gather: bool) -> Result<(), CommitError> {
        Ok(())
    }

    /// Voids certificates, for every service within a moment. The revocation of a subject before is replaced.
    ///
    /// # Errors
    /// [`CommitError::Unavailable`]
    async fn revoke(&self, revocation: Revocation, author: &Author) -> Result<(), CommitError>;

    /// Which certificates are void, and who said so.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn revocations(&self) -> Result<Vec<RevocationRecord>, ReadError>;

    /// After the backend was restored from a backup: makes the stored configuration newer than `beyond`, which is the newest
    /// that a service works by, so that every service takes it and what is committed after it. Nothing else is changed.
    /// Begins another epoch, and gives the revision with which it begins.
    ///
    /// # Errors
    /// [`CommitError`]; [`CommitError::Damaged`] when what was restored has to be repaired first.
    async fn begin_epoch(&self, beyond: Revision, author: &Author) -> Result<Revision, CommitError>;

    /// The directory as it was at `revision`, for reading: every change is refused. Who was there is not kept.
    ///
    /// # Errors
    /// [`HistoryError`]
    async fn at(&self, revision: Revision) -> Result<Arc<dyn Administration>, HistoryError>;

    /// The last changes, the newest first: at most `limit`, and those only that are still kept.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn revisions(&self, limit: usize) -> Result<Vec<RevisionRecord>, ReadError>;

    /// The moment of the last change, of recipients too. `None` where nothing was ever changed, or this directory does not say.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn moment(&self) -> Result<Option<Moment>, ReadError> {
        Ok(None)
    }

    /// Which addresses came and went between two moments: what was changed in between is read, and nothing else.
    ///
    /// # Errors
    /// [`ChangesError`]
    async fn addresses_between(&self, since: &Moment, _until: &Moment) -> Result<AddressChanges, ChangesError> {
        Err(ChangesError::Lost(format!("this directory keeps no history of revision {}", since.revision)))
    }
}

/// What an Edge server keeps of recipients.
#[async_trait]
pub trait RecipientDigests: Send + Sync {
    /// What all digests that there are were told to be, by whoever told the last of them; an empty sum while some are being told.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn told_last(&self) -> Result<MarksSum, ReadError>;

    /// The marks of all buckets, by what is in them: each is read.
    ///
    /// # Errors
    /// [`ReadError`]
    async fn bucket_marks(&self) -> Result<Marks, ReadError>;

    /// Replaces buckets of digests that begin with `salt`; an empty one goes. With `complete` what is kept then is all there is, and
    /// whoever is not in it is nobody: until that has been said of this salt, nothing is known of anybody.
    ///
    /// # Errors
    /// [`CommitError`]
    async fn put_buckets(&self, salt: &str, buckets: &Buckets, complete: Option<&MarksSum>) -> Result<(), CommitError>;

    /// Changes some of what was told, all of it or, where that is too much for one transaction, so that the rest is missed.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when something else was told last, or is there: all has to be told anew.
    async fn change_buckets(&self, change: &DigestsChange) -> Result<(), CommitError>;

    /// Forgets all of them.
    ///
    /// # Errors
    /// [`CommitError`]
    async fn forget_digests(&self) -> Result<(), CommitError>;
}

/// A backend that was opened serves services and administrators.
pub trait Backend: Directory + Administration + RecipientDigests {}

impl<T: Directory + Administration + RecipientDigests> Backend for T {}

/// Why a question was not answered. For mail it is always transient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The backend does not answer.
    #[error("the directory cannot be reached: {0}")]
    Unavailable(String),
    /// What is stored cannot be understood or is no valid organization.
    #[error("the directory holds what is not valid: {0}")]
    Invalid(String),
}

impl ReadError {
    /// `4.4.3`, directory server failure (RFC 3463 §3.5).
    #[must_use]
    pub fn status(&self) -> EnhancedStatus {
        EnhancedStatus::new(4, 4, 3)
    }
}

/// Why a revision cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// It was, and is not kept any more.
    #[error("revision {revision} is no longer kept; the oldest that can be read is {oldest}")]
    Forgotten {
        /// What was asked for.
        revision: Revision,
        /// The oldest that can be read.
        oldest: Revision,
    },
    /// It is still to come.
    #[error("there is no revision {revision} yet; the newest is {newest}")]
    NotYet {
        /// What was asked for.
        revision: Revision,
        /// The revision of now.
        newest: Revision,
    },
    /// This directory keeps no history.
    #[error("revision {revision} cannot be read: this directory keeps no history")]
    NotKept {
        /// What was asked for.
        revision: Revision,
    },
    /// The backend does not answer.
    #[error("the directory cannot be reached: {0}")]
    Unavailable(String),
}

/// What a change did, as it was recorded with the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionRecord {
    /// The revision that it made.
    pub revision: Revision,
    /// When, by the clock of whoever made it.
    pub at: Timestamp,
    /// In one line.
    pub summary: String,
    /// Who made it; `None` for what was recorded before authors were.
    pub author: Option<Author>,
}

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// A newer configuration.
    Snapshot(Arc<Organization>),
    /// Something was written that is not applied; the last snapshot goes on.
    Rejected {
        /// The revision that is not applied.
        revision: Revision,
        /// Why.
        reason: String,
    },
    /// The directory went away. Said once.
    Unavailable(String),
    /// It answers again, with something new or not: what is new comes next.
    Back,
}

/// A change, made as a whole or not at all.
///
/// Configuration and recipients are apart: a change has objects of one sort only. [`crate::apply()`] commits both in order.
#[derive(Clone, Debug)]
pub struct Change {
    /// Who makes it: recorded with it.
    pub author: Author,
    /// Objects to create or replace, by identity.
    pub puts: Vec<Object>,
    /// Objects to delete.
    pub deletes: Vec<(Kind, Guid)>,
    /// What must still hold.
    pub preconditions: Vec<Precondition>,
    /// Whether the configuration is written anew, without what cannot be understood of it. Else that stands in the way.
    pub repairs: bool,
    /// Whether whoever makes it knows that the backend was restored from a backup, and begins an
    /// [epoch](Administration::begin_epoch) with it. Else services that work by something newer stand in the way.
    pub restored: bool,
}

impl Change {
    /// A change by `author` that does nothing yet.
    #[must_use]
    pub fn by(author: Author) -> Self {
        let (puts, deletes, preconditions) = (Vec::new(), Vec::new(), Vec::new());
        Self { author, puts, deletes, preconditions, repairs: false, restored: false }
    }
}

/// What can be understood of a configuration, valid or not.
#[derive(Clone, Debug)]
pub struct Salvage {
    /// Of the configuration as it is stored.
    pub revision: Revision,
    /// Its objects that can be understood.
    pub objects: Vec<Object>,
}

/// What must still hold when a change is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The configuration is still at this revision.
    Revision(Revision),
    /// The object is still stored like this.
    Unchanged(Object),
    /// There is no object of this identity.
    Absent(Kind, Guid),
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A precondition does not hold any more: read again and decide again.
    #[error("somebody else was faster: {0}")]
    Conflict(String),
    /// A name or an address belongs to another object.
    #[error("{0}")]
    NameTaken(String),
    /// Something is stored that cannot be understood; a change that [repairs](Change::repairs) drops it.
    #[error("what is stored is not valid: {0}")]
    Damaged(String),
    /// Services work by something newer than is stored: they would not take the change, until so many others came that they
    /// took what they should not.
    #[error("{0}")]
    Restored(String),
    /// The organization would not be valid.
    #[error("{0}")]
    Invalid(Problems),
    /// Configuration and recipients in one change.
    #[error("a change is either of the configuration or of recipients")]
    Mixed,
    /// Too many recipients in one change.
    #[error("{operations} operations are too many for one change of recipients (at most {max}); split it")]
    TooLarge {
        /// What it would need.
        operations: usize,
        /// What the backend takes.
        max: usize,
    },
    /// Whoever makes the change may not, or says what the other side does not understand.
    #[error("{0}")]
    Refused(String),
    /// The backend did not answer. The change may have been made nevertheless: read again.
    #[error("the directory cannot be reached: {0}")]
    Unavailable(String),
}

impl From<ReadError> for CommitError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(text) => Self::Unavailable(text),
            ReadError::Invalid(text) => Self::Damaged(text),
        }
    }
}
