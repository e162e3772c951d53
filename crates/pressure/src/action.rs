//! What is done about a resource that is short: the table of the documentation (docs/rules.md, Back pressure).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::level::Level;
use crate::measure::Resource;

/// Something that Transport does, or does no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// R: mail from outside of the organization's Transports is refused: SMTP clients, here and at front ends.
    RefuseClients,
    /// X: mail from other servers' Transports is refused.
    RefuseServers,
    /// S: mail out of mailboxes is refused.
    RefuseMailboxes,
    /// What a restart found in the queue is not taken up yet.
    PauseBootScan,
    /// Contents that are held in memory besides on disk are dropped (BP-07).
    Dehydrate,
}

impl Action {
    /// In words, for a log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefuseClients => "mail from clients is refused",
            Self::RefuseServers => "mail from other servers is refused",
            Self::RefuseMailboxes => "mail out of mailboxes is refused",
            Self::PauseBootScan => "what a restart found waits",
            Self::Dehydrate => "contents are dropped from memory",
        }
    }
}

/// Whether delaying has been of no use for the whole history (BP-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Left,
    Over,
}

/// What all resources together ask for (BP-17).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    taken: BTreeMap<Action, Resource>,
    /// How long `MAIL FROM` waits for its reply (BP-08).
    pub tarpit: Duration,
}

impl Actions {
    /// Why an action is taken; `None` when it is not. The first resource that asks for it, in the documentation's order.
    #[must_use]
    pub fn because(&self, action: Action) -> Option<Resource> {
        self.taken.get(&action).copied()
    }

    /// What is done.
    pub fn iter(&self) -> impl Iterator<Item = Action> {
        self.taken.keys().copied()
    }

    /// Nothing but the delay.
    pub(crate) fn delayed(tarpit: Duration) -> Self {
        Self { tarpit, ..Self::default() }
    }

    pub(crate) fn add(&mut self, resource: Resource, level: Level, patience: Patience) {
        for action in table(resource, level, patience) {
            self.taken.entry(*action).or_insert(resource);
        }
    }
}

/// BP-11, without what does not exist here (see the crate). High has what Medium has.
fn table(resource: Resource, level: Level, patience: Patience) -> &'static [Action] {
    use Action::{Dehydrate, PauseBootScan, RefuseClients, RefuseMailboxes, RefuseServers};
    match (resource, level, patience) {
        (_, Level::Low, _) | (Resource::SubmissionQueue, Level::Medium, Patience::Left) => &[],
        (Resource::DatabaseUsedSpace, Level::Medium, _) => &[RefuseClients],
        (Resource::DatabaseUsedSpace, Level::High, _) => &[RefuseClients, RefuseServers, RefuseMailboxes],
        (Resource::PrivateBytes, Level::Medium, _) => &[RefuseClients, PauseBootScan, Dehydrate],
        (Resource::SubmissionQueue, Level::Medium, Patience::Over) => &[RefuseClients, PauseBootScan],
        (Resource::PrivateBytes | Resource::SubmissionQueue, Level::High, _) => {
            &[RefuseClients, RefuseServers, RefuseMailboxes, PauseBootScan, Dehydrate]
        }
        (Resource::SystemMemory, Level::Medium | Level::High, _) => &[Dehydrate],
    }
}
