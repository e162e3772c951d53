//! Where a recipient's mail goes: a mailbox of a database that is active on this server, or nowhere here (PL-13).
//!
//! Decides from the directory's answer and one snapshot; asks nobody and writes nothing.

use std::path::PathBuf;

use envelope::{EnhancedStatus, Reply};
use mailbox_store::MailboxName;
use routing::RoutingTables;
use rpc::RecipientDelivery;
use runtime::Settings;
use topology::{DirectoryRecipient, RecipientKind};

/// A mailbox here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Folder of the database.
    pub(crate) database: PathBuf,
    pub(crate) mailbox: MailboxName,
}

/// The recipient's mailbox, or the outcome when there is none here.
pub(crate) fn place(
    found: Option<&DirectoryRecipient>,
    tables: &RoutingTables,
    settings: &Settings,
) -> Result<Place, RecipientDelivery> {
    let Some(recipient) = found else { return Err(unknown()) };
    let RecipientKind::Mailbox { database, .. } = &recipient.kind else {
        return Err(rerouted("the recipient is no mailbox any more"));
    };
    let Some(database) = tables.organization().database(database) else {
        // The directory is ahead of the snapshot, or behind it; either ends by itself.
        return Err(retry(EnhancedStatus::new(4, 3, 2), "the mailbox database is not known on this server yet"));
    };
    if database.active_server() != &settings.server {
        return Err(rerouted("the mailbox database is active on another server"));
    }
    let Ok(mailbox) = MailboxName::parse(recipient.name.as_str()) else {
        tracing::error!(recipient = %recipient.name, "the name of this mailbox cannot be that of a folder; rename it");
        return Err(retry(EnhancedStatus::new(4, 2, 0), "the mailbox cannot be opened"));
    };
    Ok(Place { database: settings.mailbox_database(&database.name), mailbox })
}

/// PL-46.
fn unknown() -> RecipientDelivery {
    let status = EnhancedStatus::new(5, 1, 1);
    RecipientDelivery::Failed(Reply::new(550, status, "RESOLVER.ADR.ExRecipNotFound; not found"))
}

fn rerouted(why: &str) -> RecipientDelivery {
    let status = EnhancedStatus::new(4, 3, 2);
    RecipientDelivery::Reroute(Reply::new(451, status, format!("STOREDRV.Deliver; rerouted: {why}")))
}

/// Later, here.
pub(crate) fn retry(status: EnhancedStatus, why: &str) -> RecipientDelivery {
    RecipientDelivery::Retry(Reply::new(451, status, format!("STOREDRV.Deliver; {why}")))
}

#[cfg(test)]
mod tests;
