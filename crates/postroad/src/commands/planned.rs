//! What changes the organization and shows its plan first: `postroad apply` and `postroad rollback`.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use directory::{Administration, CommitError, ReadError, Salvage};
use envelope::{Revision, ServerName};
use organization::{Change, Object, Plan};
use perimeter::view::is_replicated;
use topology::{DirectoryRecipient, Organization, TransportConfig};

use super::output;

/// What a directory holds now.
pub(crate) struct Current {
    pub(crate) revision: Revision,
    pub(crate) objects: Vec<Object>,
    pub(crate) recipients: Vec<DirectoryRecipient>,
    /// Nothing, when it is no valid organization.
    pub(crate) organization: Option<Arc<Organization>>,
    /// Why it is none.
    pub(crate) damage: Option<String>,
}

/// Reads what is there, or what can be understood of it.
pub(crate) async fn read(directory: &dyn Administration) -> Result<Current, ReadError> {
    read_with(directory, directory::all_recipients(directory).await?).await
}

/// The same for whoever deals with recipients apart.
pub(crate) async fn read_configuration(directory: &dyn Administration) -> Result<Current, ReadError> {
    read_with(directory, Vec::new()).await
}

async fn read_with(directory: &dyn Administration, recipients: Vec<DirectoryRecipient>) -> Result<Current, ReadError> {
    let (Salvage { revision, mut objects }, organization, damage) = match directory.snapshot().await {
        Ok(valid) => {
            let objects = organization::objects(valid.draft(), &[]);
            (Salvage { revision: valid.revision(), objects }, Some(valid), None)
        }
        Err(ReadError::Invalid(damage)) => (directory.salvage().await?, None, Some(damage)),
        Err(error) => return Err(error),
    };
    objects.extend(recipients.iter().cloned().map(|recipient| Object::Recipient(Box::new(recipient))));
    Ok(Current { revision, objects, recipients, organization, damage })
}

/// Whether a plan may be carried out here: a subscription ends by its own command, and on a subscribed Edge server what the
/// organization told it is EdgeSync's (EN-14).
pub(crate) fn may(plan: &Plan, before: Option<&Organization>) -> anyhow::Result<()> {
    let ended = plan.changes.iter().find_map(|change| match change {
        Change::Delete(Object::Server(server)) if server.edge.is_elsewhere() => Some(&server.name),
        _ => None,
    });
    if let Some(edge) = ended {
        bail!(
            "{edge} has an Edge subscription. Nothing was changed; name the server with role: Edge, or end the subscription \
             with Remove-EdgeSubscription {edge} first"
        );
    }
    let own = before.and_then(|before| {
        before.servers().iter().find(|server| server.edge.is_subscribed() || server.edge.is_pending())
    });
    let Some(own) = own else { return Ok(()) };
    let taken = plan.changes.iter().find(|change| is_taken(change, &own.name)).map(Change::object);
    let Some(object) = taken else { return Ok(()) };
    bail!(
        "{} is a subscribed Edge server: {} is changed in the organization alone (EN-14). Nothing was changed; leave it as \
         `postroad export` shows it here, or end the subscription with Remove-EdgeSubscription",
        own.name,
        object.place()
    )
}

/// Whether an Edge server leaves a change to EdgeSync.
fn is_taken(change: &Change, own: &ServerName) -> bool {
    match change {
        Change::Update { from: Object::Server(from), to: Object::Server(to) } if from.edge != to.edge => true,
        Change::Update { from: Object::TransportConfig(from), to: Object::TransportConfig(to) } => {
            let told = |config: &TransportConfig| {
                let secure = (&config.tls_send_domain_secure_list, &config.tls_receive_domain_secure_list);
                (secure.0.clone(), secure.1.clone(), config.plus_addressing_enabled)
            };
            told(from) != told(to) // TA-42
        }
        change => is_replicated(change.object(), own),
    }
}

/// Whether somebody who is there says yes.
pub(crate) fn agreed() -> anyhow::Result<bool> {
    let unasked = "nothing was changed, because there is nobody to ask; look at the plan and add --yes";
    output::agreed("Apply this plan?", unasked)
}

/// What was not done, and the next step.
pub(crate) fn advise(error: CommitError) -> anyhow::Error {
    match error {
        CommitError::Conflict(_) => {
            anyhow!("{error}; nothing else of this plan was done. Apply again to see a new plan")
        }
        CommitError::Unavailable(_) => anyhow!("{error}. A part may have been done: apply again when it is back"),
        other => other.into(),
    }
}

/// Says what was done: `last` is the revision of the last change.
pub(crate) async fn done(directory: &dyn Administration, changes: usize, last: Revision) -> anyhow::Result<()> {
    // Changes of recipients alone leave the configuration at its revision, which is what servers report.
    let revision = directory.snapshot().await?.revision();
    let changes = if changes == 1 { "1 change".to_owned() } else { format!("{changes} changes") };
    // Recipients are written after the configuration that they refer to: what was applied is whole with the last of them.
    let whole = if last > revision { format!("; with its recipients, {last}") } else { String::new() };
    output::print(&format!("Applied: {changes}; the configuration is at revision {revision}{whole}.\n"))
}

/// Additions green, changes yellow, deletions red.
pub(crate) fn painted(plan: &str, colours: bool) -> String {
    if !colours {
        return plan.to_owned();
    }
    let mut out = String::with_capacity(plan.len() * 2);
    for line in plan.lines() {
        let colour = match line.trim_start().chars().next() {
            Some('+') => "\x1b[32m",
            Some('~') => "\x1b[33m",
            Some('-') => "\x1b[31m",
            _ => "",
        };
        let plain = if colour.is_empty() { "" } else { "\x1b[0m" };
        writeln!(out, "{colour}{line}{plain}").expect("a text can be written to");
    }
    out
}
