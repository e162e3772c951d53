//! `postroad import`: a configuration of Exchange or of Postfix becomes objects here, after everybody saw what is taken, changed,
//! assumed, ignored and lost.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::import::{ASSUMED_SITE, Assumptions, Imported, import, organization_file as write_file, postfix};
use anyhow::{Context, anyhow, bail};
use organization::{Document, FileProblems, Kind, Object, Plan, Secrets};

use super::apply::SecretsOf;
use super::failure;
use super::organization_file;
use super::output;
use super::place::{self, Place};

const EXAMPLES: &str = "\
Examples:
  # On the Exchange server, in its shell; --print-script writes a script that exports everything without loss.
  Get-SendConnector | Export-Clixml send.xml
  # What would come of it, as an organization file; then into the directory, in one transaction.
  postroad import send.xml domains.json --organization-file contoso.yaml
  postroad import send.xml domains.json --dry-run
  postroad import send.xml domains.json --yes
  # What an export has lost can be said.
  postroad import send.json --assume maxMessageSize=35MB --organization-file contoso.yaml
  # From Postfix, with the maps that main.cf names.
  postroad import postfix /etc/postfix/main.cf --server MAIL1 --organization-file contoso.yaml

Files may be Export-Clixml, ConvertTo-Json, Export-Csv or Format-List output, of Get-SendConnector,
-ReceiveConnector, -AcceptedDomain, -ADSite, -ADSiteLink, -ExchangeServer, -TransportService,
-TransportConfig, -Mailbox, -MailContact and -DistributionGroup, in any encoding.
Exit status: 0 when all was taken, 1 when something was lost, 2 when a file cannot be read.";

/// Arguments of `postroad import`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImportArguments {
    /// Files of an export; or the word postfix and a main.cf.
    #[arg(value_name = "FILE", required_unless_present = "print_script")]
    files: Vec<PathBuf>,
    /// Write an organization file in place of changing a directory; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    organization_file: Option<PathBuf>,
    /// A value for what the exports have lost.
    #[arg(long, value_name = "PROPERTY=VALUE", value_parser = assumption)]
    assume: Vec<(String, String)>,
    /// From Postfix: the server that becomes the source of the connectors.
    #[arg(long, value_name = "NAME", default_value = "MAIL1")]
    server: String,
    /// Show what would change, and change nothing.
    #[arg(long, conflicts_with_all = ["yes", "organization_file"])]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Print a script for the shell of Exchange that exports everything without loss.
    #[arg(long)]
    print_script: bool,
    #[command(flatten)]
    place: Place,
}

fn assumption(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| "write PROPERTY=VALUE, such as maxMessageSize=35MB".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Exit status of a file that cannot be read.
const UNREADABLE: u8 = 2;

pub(crate) async fn run(arguments: ImportArguments) -> anyhow::Result<ExitCode> {
    if arguments.print_script {
        output::print_raw(SCRIPT)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut imported = match read(&arguments) {
        Ok(imported) => imported,
        Err(error) => return Ok(failure::failed(&error, UNREADABLE)),
    };
    let yaml = write_file(&mut imported);
    eprint!("{}", output::harmless(&imported.report.to_string()));
    let status = if imported.report.has_losses() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    if let Some(path) = &arguments.organization_file {
        if path == Path::new("-") {
            output::print_raw(&yaml)?;
        } else {
            std::fs::write(path, &yaml).with_context(|| format!("cannot write {}", path.display()))?;
            output::print(&format!(
                "{}: {} objects; `postroad apply {0}` makes them the organization\n",
                path.display(),
                imported.objects.len()
            ))?;
        }
        // It must be readable by whoever applies it.
        if let Err(problems) = organization::load(&yaml, envelope::Revision(0)) {
            return organization_file::fail(path, &problems);
        }
        return Ok(status);
    }
    apply(&arguments, &yaml).await?;
    Ok(status)
}

fn read(arguments: &ImportArguments) -> anyhow::Result<Imported> {
    let open = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    if arguments.files[0] == Path::new("postfix") {
        let [_, main] = &arguments.files[..] else {
            bail!("name the main.cf of Postfix: postroad import postfix /etc/postfix/main.cf")
        };
        let folder = main.parent().unwrap_or(Path::new("")).to_owned();
        let text = String::from_utf8(open(main)?).with_context(|| format!("{} is not UTF-8", main.display()))?;
        // A map that is named where it is not found lies beside main.cf: a copy of the folder does as well.
        let map = |name: &str| {
            let named = Path::new(name);
            let beside = folder.join(named.file_name()?);
            std::fs::read_to_string(named).or_else(|_| std::fs::read_to_string(beside)).ok()
        };
        return Ok(postfix(&text, &arguments.server, &map));
    }
    let mut files = Vec::new();
    for path in &arguments.files {
        files.push((path.display().to_string(), open(path)?));
    }
    let assumed: Assumptions = arguments.assume.clone();
    import(&files, &assumed).map_err(|why| anyhow!(why))
}

/// What files of an export give, as they came from somewhere else than a disk: a `main.cf` among them is that of Postfix, the others
/// its maps.
pub(super) fn read_texts(files: &[(String, Vec<u8>)], assumed: &Assumptions, server: &str) -> Result<Imported, String> {
    let is_main = |name: &str| Path::new(name).file_name().is_some_and(|name| name == "main.cf");
    let Some(main) = files.iter().position(|(name, _)| is_main(name)) else { return import(files, assumed) };
    let text = |body: &[u8]| String::from_utf8(body.to_vec());
    let main_text = text(&files[main].1).map_err(|_| "main.cf is not UTF-8".to_owned())?;
    let map = |name: &str| {
        let wanted = Path::new(name).file_name()?;
        let found = files.iter().find(|(known, _)| Path::new(known).file_name() == Some(wanted));
        text(&found?.1).ok()
    };
    Ok(postfix(&main_text, server, &map))
}

/// Puts what was imported beside what is there, in one transaction.
async fn apply(arguments: &ImportArguments, yaml: &str) -> anyhow::Result<()> {
    let reach = arguments.place.reach().await?;
    let organization = reach.organization().await?;
    let directory = &reach.directory;
    let recipients = directory::all_recipients(directory.as_ref()).await?;
    let current = organization::objects(organization.draft(), &recipients);
    let secrets = SecretsOf::of(&reach, Path::new(""), &current)?;
    let text = yaml.to_owned();
    let plan = tokio::task::spawn_blocking(move || secrets.with(|secrets| planned(&text, secrets, current))).await?;
    let plan = match plan {
        Ok(plan) => plan,
        Err(problems) => return organization_file::fail(Path::new("what was imported"), &problems),
    };
    output::print(&plan.to_string())?;
    if plan.is_empty() || arguments.dry_run {
        return Ok(());
    }
    if !arguments.yes && !super::planned::agreed()? {
        bail!("nothing was changed");
    }
    let author = place::author("import");
    let revision = directory::apply(directory.as_ref(), plan, organization.revision(), &author).await?;
    output::print(&format!("Imported; the directory is at revision {revision}.\n"))?;
    Ok(())
}

/// What is there with what was imported. Servers and sites that are there stay as they are: an export of connectors only refers
/// to them.
pub(super) fn planned(yaml: &str, secrets: &dyn Secrets, current: Vec<Object>) -> Result<Plan, FileProblems> {
    let (draft, recipients) = Document::parse(yaml).and_then(|document| document.to_draft(secrets))?;
    let same = |one: &Object, other: &Object| {
        one.kind() == other.kind() && one.name().to_lowercase() == other.name().to_lowercase()
    };
    let mut desired = current.clone();
    for object in organization::objects(&draft, &recipients) {
        let known = desired.iter_mut().find(|known| same(known, &object));
        match known {
            Some(_) if matches!(object.kind(), Kind::Server | Kind::Site | Kind::TransportConfig) => {}
            Some(known) => *known = object.with_guid(known.guid()),
            None => desired.push(object),
        }
    }
    // A site that was assumed for servers which are there already is not needed.
    let is_assumed = |object: &Object| object.kind() == Kind::Site && object.name() == ASSUMED_SITE;
    let needed = desired.iter().any(|object| match object {
        Object::Server(server) => server.site.as_str() == ASSUMED_SITE,
        _ => false,
    });
    desired.retain(|object| needed || !is_assumed(object) || current.iter().any(|known| same(known, object)));
    let begun = organization::made_at_the_beginning(&current, &desired);
    desired.extend(begun);
    Ok(organization::plan(current, desired))
}

/// For the shell of Exchange: listed properties, values as texts, sizes in octets too; it changes nothing.
pub(super) const SCRIPT: &str = r"# Exports what `postroad import` reads, without loss. It changes nothing. Windows PowerShell 5.1 or later,
# in the Exchange Management Shell or in a remote session: .\Export-ForPostroad.ps1 -Folder .\export
param([string]$Folder = '.')
function Text($value) {
    if ($null -eq $value) { return $null }
    if ($value -is [bool] -or $value -is [int]) { return $value }
    if ($value -is [System.Collections.IEnumerable] -and $value -isnot [string]) { return @($value | ForEach-Object { $_.ToString() }) }
    return $value.ToString()
}
function Save($name, $objects) {
    $rows = foreach ($object in $objects) {
        $row = [ordered]@{}
        foreach ($property in $object.PSObject.Properties) {
            if ($property.Name -eq 'AuthenticationCredential' -and $property.Value) {
                $row['AuthenticationCredential'] = @{ UserName = $property.Value.UserName }
            } else { $row[$property.Name] = Text $property.Value }
        }
        [pscustomobject]$row
    }
    ConvertTo-Json -InputObject @($rows) -Depth 4 | Set-Content -Encoding UTF8 (Join-Path $Folder ($name + '.json'))
}
New-Item -ItemType Directory -Force $Folder | Out-Null
Save 'send-connectors' (Get-SendConnector)
Save 'foreign-connectors' (Get-ForeignConnector)
Save 'delivery-agent-connectors' (Get-DeliveryAgentConnector)
Save 'receive-connectors' (Get-ReceiveConnector)
Save 'accepted-domains' (Get-AcceptedDomain)
Save 'x400-authoritative-domains' (Get-X400AuthoritativeDomain)
Save 'edge-subscriptions' (Get-EdgeSubscription)
Save 'sites' (Get-ADSite)
Save 'site-links' (Get-ADSiteLink)
Save 'servers' (Get-ExchangeServer)
Save 'transport-services' (Get-TransportService)
Save 'transport-config' (Get-TransportConfig)
";
