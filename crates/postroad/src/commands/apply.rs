//! `postroad apply`: the organization becomes what a file says, after everybody saw what that changes.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use admin_api::RemoteSecrets;
use anyhow::{anyhow, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use directory::{ApplySecrets, Census, Presence, SealError, Sealer};
use envelope::Revision;
use organization::{Document, FileProblems, Kind, Object, Pieces, Plan, Secrets, with_text_messaging};
use topology::{DirectoryRecipient, EdgeSubscription, OrganizationDraft, ServerRole};

use super::impact::{self, Then, Wanted};
use super::left_behind;
use super::organization_file::{self, OrganizationFile};
use super::output;
use super::place::{self, Place, Reach};
use super::planned::{self, Current, advise};
use super::since;

const EXAMPLES: &str = "\
Examples:
  # What would change; then the same, and do it when asked.
  postroad apply contoso.yaml --dry-run
  postroad apply contoso.yaml
  # In a pipeline: do not ask.
  postroad apply contoso.yaml --yes --settings /etc/postroad/server.toml
  # From a workstation, by the admin service of a server, as an administrator; on the server, by its socket.
  postroad apply contoso.yaml --api mail1.contoso.com --identity ~/contoso-identity
  postroad apply contoso.yaml --api /var/lib/postroad/admin.sock
  # What the controller in Kubernetes brings in is not this file's to take out.
  postroad apply contoso.yaml --yes --leave sendConnectors,acceptedDomains
  # etcd was restored from a backup: services refuse it as older than what they have, until this.
  postroad apply contoso.yaml --restored

What a change would leave behind is counted, and the change refused: messages in the queues of a server
that goes, mailboxes of a database that changes its server (`postroad database move` takes them along).
--force does it all the same.

The file describes the whole organization: what it does not name is deleted. A file without a
`recipients:` section leaves recipients alone; what `postroad sync` brought stays either way. `postroad export` writes a file of what is there.
The plan says which of the mail that waits, and of what came in the last three days, would take
another way, where the servers that run can be asked (an administrator's certificate).";

/// Arguments of `postroad apply`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ApplyArguments {
    /// Organization file (YAML).
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show the plan and change nothing.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// The directory was restored from a backup: make what it holds newer than what any service works by, then apply FILE to
    /// it. What was changed after the backup is lost unless FILE says it.
    #[arg(long)]
    restored: bool,
    /// Leave objects of this section alone that FILE does not name, such as sendConnectors; may be given several times. For what
    /// somebody else brings in, the controller in Kubernetes for one.
    #[arg(long, value_name = "SECTION", value_parser = section_parser(), value_delimiter = ',')]
    leave: Vec<Kind>,
    /// Make the change although it leaves mail behind.
    #[arg(long, conflicts_with = "dry_run")]
    force: bool,
    #[command(flatten)]
    place: Place,
}

/// Sections whose objects may be brought in by others. Recipients are left alone by a file that has no section for them.
fn section_parser() -> impl TypedValueParser<Value = Kind> {
    let sections = Kind::ALL.into_iter().filter(|kind| !matches!(kind, Kind::TransportConfig | Kind::Recipient));
    PossibleValuesParser::new(sections.map(Kind::section))
        .try_map(|section| Kind::of_section(&section).ok_or("there is no such section"))
}

/// A plan, and the organization that it leads to.
struct Planned {
    plan: Plan,
    draft: OrganizationDraft,
    /// Where the file speaks of them, and is not in pieces.
    recipients: Option<Vec<DirectoryRecipient>>,
    /// Where it is: what is stored and what of them is wanted.
    census: Option<Census>,
}

pub(crate) async fn run(arguments: ApplyArguments) -> anyhow::Result<ExitCode> {
    let (file, pieces) = organization_file::read_in_pieces(&arguments.file)?;
    let reach = arguments.place.reach().await?;
    let directory = &reach.directory;
    // Before the configuration: who read what somebody changed in between would be taken for one that is ahead of it.
    let presences = directory.presences().await.map_err(|error| reach.explained(&error))?;
    let (current, many) = stored(&reach, pieces).await?;
    let (revision, damage, before) = (current.revision, current.damage.clone(), current.organization.clone());
    let known_as = current.organization.clone();
    let (mailboxes, passwords) = match &many {
        None => (left_behind::mailboxes(&current.recipients), &[] as &[Object]),
        Some((_, census)) => (census.mailboxes().clone(), census.with_passwords()),
    };
    let secrets = SecretsOf::of(&reach, &arguments.file, &[&current.objects, passwords].concat())?;
    let (path, leave) = (arguments.file.clone(), arguments.leave.clone());
    let Planned { mut plan, draft, recipients, census } =
        tokio::task::spawn_blocking(move || secrets.with(|secrets| plan(&path, &file, many, secrets, current, &leave)))
            .await??;
    if let Some(census) = census {
        plan.changes.extend(census.changes(directory.as_ref()).await.map_err(|error| reach.explained(&error))?);
    }
    output::print(&damaged(damage.as_deref()))?;
    output::print(&planned::painted(&plan.to_string(), output::colours()))?;
    if !plan.is_empty() {
        output::print(&since::told(directory.as_ref()).await)?;
    }
    if let (Some(before), false) = (before, plan.is_empty()) {
        let recipients = recipients.map_or(Then::Changed(&plan), Then::These);
        let wanted = Wanted { before, after: draft, recipients };
        output::print(&impact::of(&arguments.place, directory.as_ref(), wanted).await)?;
    }
    let left = left_behind::by(&plan, &mailboxes, &presences, &arguments.place).await;
    output::print(&left.told())?;
    let ahead = ahead(presences, revision);
    output::print(&told(&ahead, revision, arguments.restored))?;
    planned::may(&plan, known_as.as_deref())?;
    if (plan.is_empty() && damage.is_none() && !arguments.restored) || arguments.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if !ahead.is_empty() && !arguments.restored {
        bail!(
            "nothing was changed: `postroad apply --restored FILE` makes what the directory holds count again, and FILE with it"
        );
    }
    left.allow(arguments.force)?;
    if !arguments.yes && !planned::agreed()? {
        bail!("nothing was changed");
    }
    let changes = plan.changes.len();
    let author = place::author(if arguments.restored { "apply --restored" } else { "apply" });
    let newest = ahead.iter().map(|service| service.applied_revision).max().unwrap_or(revision);
    let epoch = arguments.restored && damage.is_none();
    let revision = if epoch { directory.begin_epoch(newest, &author).await.map_err(advise)? } else { revision };
    let applied = match damage {
        None => directory::apply_telling(directory.as_ref(), plan, revision, &author, &progress).await,
        Some(_) => directory::repair(directory.as_ref(), plan, revision, &author, arguments.restored).await,
    };
    let mut last = applied.map_err(advise)?;
    if arguments.restored && !epoch {
        // Repaired by this very plan: only now it can be made to count.
        last = directory.begin_epoch(newest, &author).await.map_err(advise)?;
    }
    planned::done(directory.as_ref(), changes, last).await?;
    Ok(ExitCode::SUCCESS)
}

/// What the directory holds: with its recipients, or with a census of them where the file comes in pieces.
async fn stored(reach: &Reach, pieces: Option<Pieces>) -> anyhow::Result<(Current, Option<(Pieces, Census)>)> {
    let directory = reach.directory.as_ref();
    let Some(pieces) = pieces else {
        return Ok((planned::read(directory).await.map_err(|error| reach.explained(&error))?, None));
    };
    // Recipients first: one that is changed in between refers to what was there before.
    let census = Census::take(directory).await.map_err(|error| reach.explained(&error))?;
    let current = planned::read_configuration(directory).await.map_err(|error| reach.explained(&error))?;
    Ok((current, Some((pieces, census))))
}

fn damaged(damage: Option<&str>) -> String {
    let text = |damage| {
        format!(
            "What is stored is not valid: {damage}.\n\
             This plan is made against what can be read of it; the configuration is written anew, without the rest.\n\n"
        )
    };
    damage.map(text).unwrap_or_default()
}

/// Changes of recipients from which on it is told how far they are.
const MANY: usize = 10_000;

/// Tells on standard error how far a long change is, in steps of a twentieth.
fn progress(done: usize, all: usize) {
    static STEP: AtomicUsize = AtomicUsize::new(0);
    let step = done * 20 / all.max(1);
    if all >= MANY && STEP.swap(step, Ordering::Relaxed) < step {
        eprintln!("{done} of {all} recipients are written");
    }
}

/// Who seals: this command, with the organization's key beside it; or the admin service that is asked.
pub(crate) enum SecretsOf {
    Key { sealer: Sealer, folder: PathBuf, current: Vec<Object> },
    Api(RemoteSecrets),
}

impl SecretsOf {
    pub(crate) fn of(reach: &Reach, file: &Path, current: &[Object]) -> anyhow::Result<Self> {
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        Ok(match (reach.api(), reach.settings()) {
            (Some(api), _) => Self::Api(RemoteSecrets::new(api.clone(), folder, current)),
            (None, settings) => {
                let key = settings.map(|settings| settings.organization_key.clone()).unwrap_or_default();
                let sealer = Sealer::load(&key).map_err(without_key)?;
                Self::Key { sealer, folder, current: current.to_vec() }
            }
        })
    }

    pub(crate) fn with<T>(self, then: impl FnOnce(&dyn Secrets) -> T) -> T {
        match self {
            Self::Key { sealer, folder, current } => then(&ApplySecrets::new(&sealer, folder, &current)),
            Self::Api(secrets) => then(&secrets),
        }
    }
}

/// Services that work by a newer configuration than there is.
fn ahead(mut presences: Vec<Presence>, revision: Revision) -> Vec<Presence> {
    presences.retain(|presence| presence.applied_revision > revision);
    presences
}

fn told(ahead: &[Presence], revision: Revision, restored: bool) -> String {
    let mut text = String::new();
    for Presence { server, service, applied_revision, .. } in ahead {
        let _ =
            writeln!(text, "{server} {service} works by revision {applied_revision}; the directory is at {revision}.");
    }
    match (ahead.is_empty(), restored) {
        (true, _) => {}
        (false, true) => text.push_str("What was changed after the backup counts only as far as the file says it.\n"),
        (false, false) => text.push_str(
            "The directory was restored from a backup: services refuse what it holds, and nothing can be changed, until `postroad \
             apply --restored FILE`.\n",
        ),
    }
    text
}

/// Makes secrets, and compares. Blocks: verifiers of passwords take their time.
fn plan(
    path: &Path,
    file: &OrganizationFile,
    many: Option<(Pieces, Census)>,
    secrets: &dyn Secrets,
    current: Current,
    leave: &[Kind],
) -> anyhow::Result<Planned> {
    let mut planned = plan_document(path, file, secrets, current, leave)?;
    if let Some((pieces, mut census)) = many {
        organization_file::in_pieces(path, &pieces, &planned.draft, secrets, |wanted| census.want(wanted))?;
        planned.census = Some(census);
    }
    Ok(planned)
}

fn plan_document(
    path: &Path,
    file: &OrganizationFile,
    secrets: &dyn Secrets,
    current: Current,
    leave: &[Kind],
) -> anyhow::Result<Planned> {
    let planned = Document::parse(&file.text).and_then(|document| {
        let (draft, recipients) = wanted(&document, secrets, current.recipients)?;
        let draft = with_left(with_subscriptions(draft, &current.objects), &current.objects, leave);
        let speaks = document.has_section(Kind::DeliveryAgentConnector);
        let draft = if speaks { draft } else { with_text_messaging(draft, &current.objects) };
        let plan = organization::plan(current.objects, organization::objects(&draft, &recipients));
        let refused = plan.refused();
        if refused.has_errors() {
            return Err(document.locate(&refused));
        }
        let recipients = document.has_recipients().then_some(recipients);
        Ok(Planned { plan, draft, recipients, census: None })
    });
    planned.or_else(|problems| organization_file::fail(path, &problems))
}

/// What the directory shall hold. Recipients that a file does not speak of stay, and must fit into what it says; so do those
/// that `postroad sync` brought and the file does not name: their directory says when they go.
fn wanted(
    document: &Document,
    secrets: &dyn Secrets,
    stored: Vec<DirectoryRecipient>,
) -> Result<(OrganizationDraft, Vec<DirectoryRecipient>), FileProblems> {
    let (draft, mut recipients) = document.to_draft(secrets)?;
    if document.has_recipients() {
        let (guids, names): (HashSet<_>, HashSet<_>) =
            recipients.iter().map(|one| (one.guid, one.name.clone())).unzip();
        let named = |stored: &DirectoryRecipient| guids.contains(&stored.guid) || names.contains(&stored.name);
        let brought = stored.into_iter().filter(|one| one.provenance.is_some() && !named(one)).collect::<Vec<_>>();
        if brought.is_empty() {
            return Ok((draft, recipients));
        }
        recipients.extend(brought);
    } else {
        recipients = stored;
    }
    let problems = organization::recipients::lint(&draft, &recipients);
    if problems.has_errors() { Err(document.locate(&problems)) } else { Ok((draft, recipients)) }
}

/// The draft with the subscriptions that Edge servers have: a file that does not speak of one ends none.
fn with_subscriptions(mut draft: OrganizationDraft, current: &[Object]) -> OrganizationDraft {
    let silent = draft
        .servers
        .iter_mut()
        .filter(|server| server.role == ServerRole::Edge && server.edge == EdgeSubscription::default());
    for server in silent {
        let there = current.iter().find_map(|object| match object {
            Object::Server(there) if there.name == server.name => Some(&there.edge),
            _ => None,
        });
        server.edge = there.cloned().unwrap_or_default();
    }
    draft
}

/// The draft with what is left alone: objects of these kinds that are there and that it does not name.
fn with_left(draft: OrganizationDraft, current: &[Object], leave: &[Kind]) -> OrganizationDraft {
    if leave.is_empty() {
        return draft;
    }
    let named = organization::objects(&draft, &[]);
    let same = |one: &Object, other: &Object| {
        let folded = |object: &Object| envelope::text::folded(&object.name()).into_owned();
        one.kind() == other.kind() && (one.guid() == other.guid() || folded(one) == folded(other))
    };
    let left = current.iter().filter(|object| leave.contains(&object.kind()));
    let left = left.filter(|object| !named.iter().any(|one| same(one, object))).cloned().collect::<Vec<_>>();
    organization::assemble(named.into_iter().chain(left)).0
}

fn without_key(error: SealError) -> anyhow::Error {
    match error {
        SealError::File { .. } => anyhow!(
            "{error}. `postroad cert init` makes the organization's key, `postroad cert issue` copies it to a server"
        ),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(text: &str) -> OrganizationDraft {
        let contents = organization::load(text, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
        contents.organization.draft().clone()
    }

    #[test]
    fn what_is_left_alone_stays_and_what_the_file_names_becomes_what_it_says() {
        const SERVERS: &str = "sites: [{name: A}]\nservers: [{name: M1, fqdn: m1.contoso.com, site: A}]\n\
                               acceptedDomains: [{name: Contoso, domainName: contoso.com, default: true}]\n";
        let stored = draft(&format!(
            "{SERVERS}sendConnectors: [{{name: ours, addressSpaces: [a.example], sourceTransportServers: [M1]}}, \
             {{name: Theirs, addressSpaces: [b.example], sourceTransportServers: [M1]}}]\n"
        ));
        let file = draft(&format!(
            "{SERVERS}sendConnectors: [{{name: Ours, addressSpaces: [c.example], sourceTransportServers: [M1]}}]\n"
        ));
        let current = organization::objects(&stored, &[]);
        let named = |leave: &[Kind]| {
            let left = with_left(file.clone(), &current, leave);
            left.send_connectors
                .iter()
                .map(|one| format!("{} {:?}", one.name, one.address_spaces.len()))
                .collect::<Vec<_>>()
        };
        assert_eq!(named(&[]), ["Ours 1"]);
        assert_eq!(named(&[Kind::Site]), ["Ours 1"]);
        assert_eq!(named(&[Kind::SendConnector]), ["Ours 1", "Theirs 1"]);
    }

    #[test]
    fn a_new_organization_has_a_connector_for_text_messages_and_a_silent_file_leaves_it() {
        // EN-59
        use topology::gateway_connector::TEXT_MESSAGING;
        let servers = |names: &[&str]| {
            let server = |name: &&str| format!("{{name: {name}, fqdn: {name}.contoso.com, site: A}}");
            let all = names.iter().map(server).collect::<Vec<_>>().join(", ");
            draft(&format!("sites: [{{name: A}}]\nservers: [{all}]\n"))
        };
        let there = |draft: &OrganizationDraft| {
            draft.delivery_agent_connectors.iter().map(|one| one.source_transport_servers.len()).collect::<Vec<_>>()
        };
        let new = with_text_messaging(servers(&["m1", "m2"]), &[]);
        assert_eq!(there(&new), [2]);
        let connector = &new.delivery_agent_connectors[0];
        assert_eq!((connector.name.as_str(), connector.delivery_protocol.as_str()), (TEXT_MESSAGING, "MOBILE"));
        assert_eq!(connector.address_spaces[0].to_string(), "MOBILE:*;1");
        let stored = organization::objects(&new, &[]);
        assert_eq!(there(&with_text_messaging(servers(&["m1", "m2", "m3"]), &stored)), [2], "as it was");
        assert_eq!(there(&with_text_messaging(servers(&["m2"]), &stored)), [1], "a server that goes leaves it");
        assert_eq!(there(&with_text_messaging(servers(&["m3"]), &stored)), [] as [usize; 0]);
        // Who removed it has none, and an organization without Mailbox servers has nobody for it.
        let removed = organization::objects(&servers(&["m1"]), &[]);
        assert_eq!(there(&with_text_messaging(servers(&["m1"]), &removed)), [] as [usize; 0]);
        assert_eq!(there(&with_text_messaging(draft("sites: [{name: A}]\n"), &[])), [] as [usize; 0]);
    }
}
