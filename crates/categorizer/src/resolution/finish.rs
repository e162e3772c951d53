//! The second half: every final recipient is routed, and equal next hops travel together (RT-31, PL-53, PL-54).

use std::collections::HashMap;
use std::sync::Arc;

use routing::{Destination, NextHopSolutionKey, Outcome, Route};

use super::{Categorization, EXPANSION_SIZE_LIMIT};
use crate::failure::RecipientFailure;
use crate::message::{Detail, Home, ResolvedRecipient};
use crate::outcome::{Categorized, Deferred, Explained, Failed, MessageCopy, Unreachable};

impl Categorization {
    pub(super) fn finish(mut self) -> Categorized {
        let mut copies = Copies::default();
        let mut categorized = Categorized {
            copies: Vec::new(),
            unreachable: Vec::new(),
            failed: self.failed,
            deferred: Vec::new(),
            expanded: self.expanded,
            merged: self.merged,
            explained: Vec::new(),
            revision: self.tables.revision(),
        };
        for recipient in std::mem::take(&mut self.resolved) {
            let domain;
            let destination = match &recipient.home {
                Home::Mailbox(database) => Destination::Mailbox(database),
                Home::NonSmtp { kind, text } => Destination::NonSmtp { kind, text },
                Home::Expansion(server) => Destination::ExpansionServer(server),
                Home::External => {
                    domain = recipient.recipient.address.domain();
                    Destination::External(&domain)
                }
            };
            let outcome = match self.detail {
                Detail::Decision => self.tables.route(destination, self.limits.routed()).outcome,
                Detail::Explanation => {
                    let explanation = self.tables.explain(destination, self.limits.routed());
                    let outcome = explanation.decision.outcome.clone();
                    categorized.explained.push(Explained { address: recipient.recipient.address.clone(), explanation });
                    outcome
                }
            };
            match outcome {
                Outcome::Route(route) => copies.add(route, recipient),
                Outcome::Unreachable(reason) => categorized.unreachable.push(Unreachable { recipient, reason }),
                Outcome::Deferred(reason) => categorized.deferred.push(Deferred { recipient, reason }),
                Outcome::Ndr(reason) => categorized.failed.push(Failed {
                    recipient: recipient.recipient,
                    origin: recipient.origin,
                    failure: RecipientFailure::Routing(reason),
                }),
                Outcome::ExpandHere => unreachable!("a group that is expanded here is never a final recipient"),
            }
        }
        categorized.copies = copies.list;
        categorized
    }
}

/// Copies in the order of their first recipients.
#[derive(Default)]
struct Copies {
    list: Vec<MessageCopy>,
    /// The copy of each key that is still open.
    open: HashMap<Arc<NextHopSolutionKey>, usize>,
}

impl Copies {
    fn add(&mut self, route: Route, recipient: ResolvedRecipient) {
        let open = self.open.get(&route.key).copied();
        match open.filter(|at| self.list[*at].recipients.len() < EXPANSION_SIZE_LIMIT) {
            Some(at) => self.list[at].recipients.push(recipient),
            None => {
                self.open.insert(route.key.clone(), self.list.len());
                self.list.push(MessageCopy { route, recipients: vec![recipient] });
            }
        }
    }
}
