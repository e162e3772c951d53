//! `postroad sync`: brings recipients from where they are kept, and keeps them like there.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use directory::Administration;
use envelope::{ObjectName, Revision};
use ldap::search::Search;
use ldap::{Entry, Identity, LdapError, Merge, Terms};
use organization::{Change, Object, Plan};
use runtime::settings::sources::LdapSettings;
use runtime::{Settings, certificate};
use serde_json::{Value, json};
use topology::{DirectoryRecipient, Organization, RecipientKind};
use zeroize::Zeroizing;

use super::output;
use super::place::{self, Place};
use super::planned::{self, advise};

const EXAMPLES: &str = "\
Examples:
  # What would change; then the same, and do it: from a timer, nobody is asked.
  postroad sync ldap --dry-run
  postroad sync ldap
  # Of several sources in the settings one; for programs; by the admin service of a server.
  postroad sync ldap contoso --json
  postroad sync ldap contoso --settings server.toml --api mail1.contoso.com

[ldap.<source>] of the settings says where the other directory is (docs/ldap.md). Recipients that came
from there are kept like there and deleted with their entries; what was made here is never touched. An
entry whose name or address somebody else has is left out and said with both places: the command does
the rest and ends with status 1.";

/// Arguments of `postroad sync`.
#[derive(clap::Args)]
pub(crate) struct SyncArguments {
    #[command(subcommand)]
    from: From,
}

#[derive(clap::Subcommand)]
enum From {
    /// From Active Directory, OpenLDAP or another directory that speaks LDAP.
    Ldap(LdapArguments),
}

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
struct LdapArguments {
    /// The source, as [ldap.<source>] of the settings names it [default: the only one].
    #[arg(value_name = "SOURCE")]
    source: Option<ObjectName>,
    /// Show the plan and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
    /// Delete up to so many percent of the recipients that came from the source [default: deletions-percent-max of the source, or
    /// 10].
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    deletions_percent_max: Option<u8>,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(arguments: SyncArguments) -> anyhow::Result<ExitCode> {
    match arguments.from {
        From::Ldap(arguments) => ldap(arguments).await,
    }
}

/// A plan, and what it comes from.
struct Sync {
    source: ObjectName,
    plan: Plan,
    merge: Merge,
    /// How many recipients came from the source before.
    brought: usize,
    planned_at: Revision,
}

async fn ldap(arguments: LdapArguments) -> anyhow::Result<ExitCode> {
    let settings = arguments.place.settings()?;
    let (source, own) = chosen(&settings, arguments.source.as_ref())?;
    let reach = arguments.place.reach().await?;
    let directory = reach.directory.as_ref();
    let current = planned::read(directory).await.map_err(|error| reach.explained(&error))?;
    let Some(organization) = current.organization else {
        bail!(
            "what is stored is not valid: {}. `postroad apply FILE` with the whole organization repairs it",
            current.damage.unwrap_or_default()
        );
    };
    let entries = entries(&settings, source, own).await?;
    let sync = planned(source, own, &entries, current.recipients, &organization);
    let percent = arguments.deletions_percent_max.unwrap_or(own.deletions_percent_max);
    if !arguments.json {
        told(&sync)?;
    }
    fits(&sync, &organization)?;
    let refused = too_many_deletions(&sync, percent);
    let does = !arguments.dry_run && refused.is_none() && !sync.plan.is_empty();
    let revision = if does { Some(commit(directory, &sync).await?) } else { None };
    if arguments.json {
        output::print_json(&format!("{:#}\n", document(&sync, revision)))?;
    } else if let Some(revision) = revision {
        planned::done(directory, sync.plan.changes.len(), revision).await?;
    }
    if let Some(refused) = refused {
        bail!(refused);
    }
    let conflicts = sync.merge.left_out.iter().filter(|left_out| left_out.conflict).count();
    Ok(if conflicts == 0 { ExitCode::SUCCESS } else { ExitCode::from(output::CHANGED) })
}

/// The source that is meant.
fn chosen<'a>(
    settings: &'a Settings,
    wanted: Option<&ObjectName>,
) -> anyhow::Result<(&'a ObjectName, &'a LdapSettings)> {
    let names = || settings.ldap.keys().map(ObjectName::as_str).collect::<Vec<_>>().join(", ");
    match wanted {
        Some(name) => settings
            .ldap
            .get_key_value(name)
            .ok_or_else(|| anyhow!("the settings have no [ldap.{name}]; there are: {}", names())),
        None if settings.ldap.len() > 1 => bail!("the settings have several sources; name one of them: {}", names()),
        None => settings.ldap.iter().next().context(
            "the settings have no source: say where the other directory is in [ldap.<a name for it>] (docs/ldap.md)",
        ),
    }
}

async fn entries(settings: &Settings, name: &ObjectName, own: &LdapSettings) -> anyhow::Result<Vec<Entry>> {
    let roots = certificate::trusted_roots(settings)?;
    let source = own.source(settings, &roots).map_err(|error| anyhow!("[ldap.{name}]: {error}"))?;
    let identity = match (&own.bind_dn, &own.password_file) {
        (Some(reader), Some(path)) => {
            let text = std::fs::read_to_string(path).map(Zeroizing::new);
            let text =
                text.with_context(|| format!("cannot read password-file of [ldap.{name}], {}", path.display()))?;
            let password = Zeroizing::new(text.lines().next().unwrap_or_default().to_owned());
            let identity = Identity::new(reader, password);
            Some(identity.with_context(|| format!("{} holds no password", path.display()))?)
        }
        _ => None,
    };
    let search = Search { base: own.base.clone(), filter: own.filter.clone(), schema: own.schema };
    ldap::search(&source, identity.as_ref(), &search).await.map_err(|error| match error {
        LdapError::Away(text) => anyhow!("no server of [ldap.{name}] answers: {text}"),
        other => anyhow!("[ldap.{name}]: {other}"),
    })
}

fn planned(
    source: &ObjectName,
    own: &LdapSettings,
    entries: &[Entry],
    stored: Vec<DirectoryRecipient>,
    organization: &Arc<Organization>,
) -> Sync {
    let terms = Terms { source: source.clone(), schema: own.schema, database: own.database.clone() };
    let merge = ldap::merge(&terms, entries, &stored, organization.draft());
    let ours =
        |one: &&DirectoryRecipient| one.provenance.as_ref().is_some_and(|provenance| provenance.source == *source);
    let brought = stored.iter().filter(ours).count();
    let objects = |recipients: Vec<DirectoryRecipient>| -> Vec<Object> {
        recipients.into_iter().map(|recipient| Object::Recipient(Box::new(recipient))).collect()
    };
    let plan = organization::plan(objects(stored), objects(merge.recipients.clone()));
    Sync { source: source.clone(), plan, merge, brought, planned_at: organization.revision() }
}

/// Says what would change to people, and what was left out on standard error.
fn told(sync: &Sync) -> anyhow::Result<()> {
    if sync.plan.is_empty() {
        output::print(&format!("No changes. The recipients are as {} has them.\n", sync.source))?;
    } else {
        output::print(&planned::painted(&sync.plan.to_string(), output::colours()))?;
    }
    let mut text = String::new();
    for left_out in &sync.merge.left_out {
        writeln!(text, "left out: {}: {}", left_out.entry, left_out.reason)?;
    }
    if sync.merge.members_unknown > 0 {
        writeln!(text, "{} members of groups have no address in {}", sync.merge.members_unknown, sync.source)?;
    }
    eprint!("{}", output::harmless(&text));
    Ok(())
}

/// Whether the organization takes the recipients that change.
fn fits(sync: &Sync, organization: &Organization) -> anyhow::Result<()> {
    let problems = organization::recipients::lint(organization.draft(), &sync.merge.recipients);
    if problems.has_errors() { Err(anyhow!("{problems}").context("nothing was changed")) } else { Ok(()) }
}

/// Why nothing is changed, when more would be deleted than is believed.
fn too_many_deletions(sync: &Sync, percent: u8) -> Option<String> {
    let deletions = sync.plan.changes.iter().filter(|change| matches!(change, Change::Delete(_))).count();
    let allowed = (sync.brought * usize::from(percent)).div_ceil(100);
    (deletions > allowed).then(|| {
        let needed = (deletions * 100).div_ceil(sync.brought.max(1)).min(100);
        format!(
            "nothing was changed: {deletions} of the {} recipients that came from {} would be deleted, and one run may delete \
             {percent} % of them, {allowed}. If their entries are gone on purpose, allow it once with --deletions-percent-max \
             {needed}; else check base and filter of [ldap.{}]",
            sync.brought, sync.source, sync.source
        )
    })
}

async fn commit(directory: &dyn Administration, sync: &Sync) -> anyhow::Result<Revision> {
    let author = place::author(&format!("sync ldap {}", sync.source));
    directory::apply(directory, sync.plan.clone(), sync.planned_at, &author).await.map_err(advise)
}

fn document(sync: &Sync, revision: Option<Revision>) -> Value {
    let change = |change: &Change| {
        let (kind, object) = match change {
            Change::Create(object) => ("create", object),
            Change::Update { to, .. } => ("update", to),
            Change::Delete(object) => ("delete", object),
        };
        let properties = change.properties();
        let properties = properties.iter().map(|one| json!({"name": one.name, "old": one.old, "new": one.new}));
        json!({
            "change": kind,
            "recipient": object.name(),
            "kind": kind_of(object),
            "properties": properties.collect::<Vec<_>>(),
        })
    };
    let left_out = sync.merge.left_out.iter();
    let left_out = left_out.map(|out| json!({"entry": out.entry, "reason": out.reason, "conflict": out.conflict}));
    json!({
        "source": sync.source.as_str(),
        "applied": revision.is_some(),
        "revision": revision.map(|revision| revision.0),
        "changes": sync.plan.changes.iter().map(change).collect::<Vec<_>>(),
        "leftOut": left_out.collect::<Vec<_>>(),
        "membersUnknown": sync.merge.members_unknown,
    })
}

fn kind_of(object: &Object) -> &'static str {
    let Object::Recipient(recipient) = object else { return "" };
    match recipient.kind {
        RecipientKind::Mailbox { .. } => "mailbox",
        RecipientKind::MailContact { .. } => "contact",
        RecipientKind::DistributionGroup { .. } => "group",
    }
}
