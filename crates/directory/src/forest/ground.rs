//! What changes of recipients stand on: the configuration that they refer to, and that nobody works by a newer one.
//!
//! Who brings in a million recipients makes thousands of changes, and the configuration is the same for all of them: it is read
//! and checked once, and each change is made only while it has not changed, which its transaction says.

use std::sync::Arc;
use std::time::Duration;

use envelope::Revision;
use organization::recipients::References;
use tokio::time::Instant;

use super::Forest;
use super::epoch::nobody_is_ahead;
use crate::directory::CommitError;
use crate::store::{Condition, Store};

/// So long it is believed that nobody works by a newer configuration, which would be one that a backup does not have.
const BELIEVED_FOR: Duration = Duration::from_secs(5);

/// So long somebody else's look is waited for.
const LOOKED_WITHIN: Duration = Duration::from_secs(1);

/// A configuration that holds as long as its condition does.
pub(super) struct Ground {
    pub(super) revision: Revision,
    /// That the configuration is still the same.
    pub(super) unchanged: Condition,
    /// What recipients may refer to, or why the configuration is none.
    pub(super) references: Result<References, String>,
    looked: Instant,
}

impl<S: Store> Forest<S> {
    /// The ground of a change of recipients. `restored`: who works by something newer does not count.
    pub(super) async fn ground(&self, restored: bool) -> Result<Arc<Ground>, CommitError> {
        // Of many who need it at once one looks. While the store does not answer him the others do not wait one behind the other.
        let kept = tokio::time::timeout(LOOKED_WITHIN, self.ground.lock()).await.ok();
        let known = kept.as_ref().and_then(|kept| kept.as_ref());
        if let Some(known) = known.filter(|known| known.looked.elapsed() < BELIEVED_FOR) {
            return Ok(Arc::clone(known));
        }
        let looked = Instant::now();
        // First who is there: what somebody works by was stored before he said so.
        let presences = if restored { Vec::new() } else { self.list_presences().await?.1 };
        let view = self.view().await?;
        nobody_is_ahead(&presences, view.revision)?;
        let references = view.organization().map(|organization| References::of(organization.draft()));
        let unchanged = view.unchanged(&self.keys);
        let ground = Arc::new(Ground { revision: view.revision, unchanged, references, looked });
        // A ground that was not asked about is nobody else's.
        if let Some(mut kept) = kept.filter(|_| !restored && ground.references.is_ok()) {
            *kept = Some(Arc::clone(&ground));
        }
        Ok(ground)
    }

    /// It did not hold, or may not any more: the next change looks anew.
    pub(super) async fn forget_ground(&self) {
        *self.ground.lock().await = None;
    }
}
