//! What categorization decided, put into effect: the stored recipients are brought up to date, failures are reported, the
//! rest goes into the delivery queues. The message is in exactly one place at any time (QU-03, invariant 4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use categorizer::{Categorized, Origin, ResolvedRecipient};
use envelope::{Recipient, Revision, Timestamp};
use queue::{CommitError, RecipientState, SharedMessage, Update};
use scheduler::{Destination, RecipientIndexes, Share};
use telemetry::{Hop, HopOutcome, keys};

use super::Work;
use crate::core::Core;
use crate::ground::fate::{Fate, FateKind};
use crate::settle::{self, track};

pub(super) async fn apply(core: &Arc<Core>, mut work: Work, decided: Categorized, hop: Hop) {
    let retry = core.node.tables().local_server().transport.resolver_retry_interval;
    let until = core.now().plus(retry.0);
    let mut plan = Plan::new(&work, &decided, until);
    work.trace = end_hop(core, hop, &decided, plan.recipients);
    track::decided(core, work.stored.as_read(), work.trace, &work.positions, &decided);
    let result = if plan.list.is_some() && work.hand.is_divided() {
        // Another item of the message may have got recipients of its own, or an outcome, since this one was read.
        let _alone = core.recipients.write().await;
        match refreshed(core, &mut work).await {
            Ok(()) => {
                plan = Plan::new(&work, &decided, until);
                plan.record(core, &work).await
            }
            Err(error) => Err(error),
        }
    } else {
        let _others_too = core.recipients.read().await;
        plan.record(core, &work).await
    };
    match result {
        Ok(shares) => put_into_queues(core, work, shares, decided.revision),
        // Nothing has been done: what was decided is decided anew when there is space again.
        Err(error) => {
            tracing::error!(message = %work.hand.message(), %error, "what was decided cannot be stored");
            work.hand.defer_submitted(until, error.to_string().into());
        }
    }
}

/// Reads again what is stored, with everything that was recorded up to now.
async fn refreshed(core: &Core, work: &mut Work) -> Result<(), CommitError> {
    core.spool.flush().await?;
    let id = work.hand.message();
    work.stored = core.spool.head(id).await.map_err(|_| CommitError::Unknown(id))?.into();
    Ok(())
}

/// A decision as changes of what is stored.
struct Plan {
    /// Another list of recipients, if it is another one.
    list: Option<Update>,
    /// How many it has.
    recipients: usize,
    shares: Vec<Share>,
    fates: Vec<Fate>,
}

impl Plan {
    /// RT-43: what is deferred is looked at again as often as a directory that does not answer: at `until`.
    fn new(work: &Work, decided: &Categorized, until: Timestamp) -> Self {
        let mut list = List::new(work);
        let shares = shares(decided, &mut list, until);
        let fates = fates(decided, &mut list);
        Self { recipients: list.len(), list: list.into_update(), shares, fates }
    }

    /// Stores the new list of recipients and all outcomes at once: whoever delivers reads the list back, and a group must
    /// never stand beside its members after a crash. Gives what is to be queued.
    async fn record(self, core: &Arc<Core>, work: &Work) -> Result<Vec<Share>, CommitError> {
        let Self { list, shares, fates, .. } = self;
        // Most messages have nothing to record, and need not make room for what does.
        if list.is_some() || !fates.is_empty() {
            Box::pin(record(core, work, list, &fates)).await?;
        }
        Ok(shares)
    }
}

async fn record(core: &Arc<Core>, work: &Work, list: Option<Update>, fates: &[Fate]) -> Result<(), CommitError> {
    let Some(update) = list else {
        return settle::record(core, work.stored.as_read(), work.trace, Update::default(), fates).await;
    };
    let mut stored = work.stored.as_read().clone();
    update.clone().apply_to(&mut stored);
    settle::record(core, &stored, work.trace, update, fates).await
}

fn end_hop(core: &Core, mut hop: Hop, decided: &Categorized, recipients: usize) -> Option<envelope::TraceContext> {
    let now = core.now();
    for explained in &decided.explained {
        hop.event("decision", now, |attributes| {
            attributes.set(keys::RECIPIENT, &explained.address);
            attributes.set(keys::EXPLANATION, explained.explanation.to_string().as_str());
        });
    }
    for failed in &decided.failed {
        hop.event("failed", now, |attributes| {
            attributes.set(keys::RECIPIENT, &failed.recipient.address);
            attributes.set(keys::REPLY, &failed.failure.reply());
        });
    }
    for unreachable in &decided.unreachable {
        hop.event("unreachable", now, |attributes| {
            attributes.set(keys::RECIPIENT, &unreachable.recipient.recipient.address);
            attributes.set(keys::EXPLANATION, unreachable.reason.to_string().as_str());
        });
    }
    let retry = core.node.tables().local_server().transport.resolver_retry_interval;
    for deferred in &decided.deferred {
        hop.event("deferred", now, |attributes| {
            attributes.set(keys::RECIPIENT, &deferred.recipient.recipient.address);
            attributes.set(keys::WAIT_REASON, deferred.reason.to_string().as_str());
            attributes.set(keys::WAIT_UNTIL, &now.plus(retry.0));
        });
    }
    hop.attribute(keys::RECIPIENTS, &(recipients as u64));
    let context = hop.context();
    hop.end(now, HopOutcome::Done);
    context
}

/// Recipients whose way ends with the categorizer.
fn fates(decided: &Categorized, list: &mut List) -> Vec<Fate> {
    let mut fates = Vec::new();
    for failed in &decided.failed {
        let position = list.position(&failed.recipient, failed.origin);
        fates.push(Fate {
            position,
            kind: FateKind::Failed { reply: failed.failure.reply(), remote: None, last_error: None },
        });
    }
    for expanded in &decided.expanded {
        fates.push(Fate { position: list.original(expanded.position.0), kind: FateKind::Expanded });
    }
    for merged in &decided.merged {
        if let Origin::Envelope(position) = merged.origin {
            fates.push(Fate { position: list.original(position.0), kind: FateKind::Merged });
        }
    }
    fates
}

/// Recipients by where they go, with their positions in the stored list.
fn shares(decided: &Categorized, list: &mut List, until: Timestamp) -> Vec<Share> {
    let mut share = |recipients: &[ResolvedRecipient], to: Destination| {
        let mut positions: Vec<u32> = recipients.iter().map(|r| list.position(&r.recipient, r.origin)).collect();
        positions.sort_unstable();
        Some(Share { recipients: RecipientIndexes::new(&positions)?, to })
    };
    let mut shares: Vec<Option<Share>> = Vec::new();
    for copy in &decided.copies {
        shares.push(share(&copy.recipients, Destination::NextHop(copy.route.clone())));
    }
    for unreachable in &decided.unreachable {
        let to = Destination::Unreachable(unreachable.reason.to_string().into());
        shares.push(share(std::slice::from_ref(&unreachable.recipient), to));
    }
    for deferred in &decided.deferred {
        let to = Destination::Later(until, deferred.reason.to_string().into());
        shares.push(share(std::slice::from_ref(&deferred.recipient), to));
    }
    shares.into_iter().flatten().collect()
}

fn put_into_queues(core: &Core, work: Work, shares: Vec<Share>, by: Revision) {
    if shares.is_empty() {
        core.node.metrics.failed.increment();
        return settle::finish(core, work.hand);
    }
    for share in &shares {
        if let Destination::Unreachable(reason) = &share.to {
            let message = work.hand.message();
            tracing::info!(%message, reason = &**reason, "unreachable: waits for a change of the configuration");
        }
    }
    work.hand.decide(shares, by);
}

/// The stored list of recipients as it becomes: resolved ones in the place of what they were resolved from, further ones
/// of a group or a contact behind, so that positions never change their meaning. Only what changes is kept here: one of a
/// thousand items of a message costs its own recipients.
struct List<'a> {
    stored: &'a SharedMessage,
    /// Stored position of each recipient that the categorizer was given.
    given: &'a [u32],
    taken: BTreeSet<u32>,
    replaced: BTreeMap<u32, Recipient>,
    added: Vec<Recipient>,
}

impl<'a> List<'a> {
    fn new(work: &'a Work) -> Self {
        Self {
            stored: &work.stored,
            given: &work.positions,
            taken: BTreeSet::new(),
            replaced: BTreeMap::new(),
            added: Vec::new(),
        }
    }

    fn len(&self) -> usize {
        self.stored.as_read().states.len() + self.added.len()
    }

    fn original(&self, given: usize) -> u32 {
        self.given[given]
    }

    fn position(&mut self, recipient: &Recipient, origin: Origin) -> u32 {
        if let Origin::Envelope(position) = origin {
            let at = self.original(position.0);
            if self.taken.insert(at) {
                if self.stored.as_read().head.envelope.recipients[at as usize] != *recipient {
                    self.replaced.insert(at, recipient.clone());
                }
                return at;
            }
        }
        self.added.push(recipient.clone());
        u32::try_from(self.len() - 1).expect("the categorizer bounds the number of recipients")
    }

    /// The list as a whole, if it has changed.
    fn into_update(mut self) -> Option<Update> {
        if self.replaced.is_empty() && self.added.is_empty() {
            return None;
        }
        let stored = self.stored;
        let present = (0u32..).zip(&stored.as_read().head.envelope.recipients);
        let replaced = &mut self.replaced;
        let present = present.map(|(at, recipient)| {
            (replaced.remove(&at).unwrap_or_else(|| recipient.clone()), stored.state(at).unwrap_or_default())
        });
        let added = self.added.into_iter().map(|recipient| (recipient, RecipientState::default()));
        Some(Update::recipients(present.chain(added)))
    }
}
