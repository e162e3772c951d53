//! Files that somebody brings by a page: an export of another system, and a certificate that is tried before it is put into place. The
//! same is done with them as by `postroad import` and `postroad cert preview`.

use std::path::Path;
use std::sync::Arc;

use ::import::{Finding, Verdict, organization_file};
use admin_centre::estate::{Export, ImportFinding, ImportView, ShownView, Tell, TriedCertificate, TriedStep};
use envelope::Address;
use net::KeyedCertificate;
use net::certificate::PrivateKeyPem;
use organization::Plan;
use runtime::Settings;
use topology::Organization;

use super::views;
use crate::commands::apply::SecretsOf;
use crate::commands::cert::preview::{Rehearsal, rehearsed, shown_now};
use crate::commands::findings::State;
use crate::commands::import::{planned, read_texts};
use crate::commands::place::Reach;
use crate::commands::probe::Way;

/// What becomes of an export, against the configuration that the page is about.
pub(super) async fn import(
    reach: &Reach,
    export: Export,
    organization: Arc<Organization>,
) -> Result<ImportView, String> {
    let recipients = directory::all_recipients(reach.directory.as_ref()).await.map_err(|error| error.to_string())?;
    let current = organization::objects(organization.draft(), &recipients);
    let secrets = SecretsOf::of(reach, Path::new(""), &current).map_err(|error| format!("{error:#}"))?;
    let read = move || {
        let mut imported = read_texts(&export.files, &export.assumed, &export.server)?;
        let yaml = organization_file(&mut imported);
        let plan = secrets.with(|secrets| planned(&yaml, secrets, current)).map_err(|problems| {
            let said = problems.to_string();
            let first: Vec<&str> = said.lines().take(5).collect();
            format!("what was exported is no valid configuration: {}", first.join("; "))
        })?;
        Ok((plan, imported.report.0))
    };
    let read: Result<(Plan, Vec<Finding>), String> =
        tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?;
    let (plan, findings) = read?;
    Ok(ImportView { changes: plan.changes, findings: findings.into_iter().map(finding).collect() })
}

fn finding(one: Finding) -> ImportFinding {
    let verdict = match one.verdict {
        Verdict::Changed => "changed",
        Verdict::Assumed => "assumed",
        Verdict::Ignored => "ignored",
        Verdict::Lost => "lost",
    };
    ImportFinding { file: one.file, line: one.line, object: one.object, verdict, text: one.text }
}

/// What each connector of this server shows.
pub(super) async fn shown(settings: Settings, organization: Arc<Organization>) -> Result<Vec<ShownView>, String> {
    let read = move || {
        let server = settings.server.clone();
        let all = shown_now(&settings, &organization).map_err(|error| format!("{error:#}"))?;
        let view = |(connector, receives, shown): (String, bool, Option<_>)| ShownView {
            server: server.clone(),
            connector,
            receives,
            certificate: shown.as_ref().map(views::certificate),
        };
        Ok(all.into_iter().map(view).collect())
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?
}

/// Tries a certificate on this server.
pub(super) async fn rehearse(
    settings: &Settings,
    organization: &Organization,
    candidate: TriedCertificate,
    tell: Tell,
) -> Result<(), String> {
    let TriedCertificate { chain, key, recipient, instead, offline } = candidate;
    let new = KeyedCertificate::from_pem(chain, PrivateKeyPem::new(key))
        .map_err(|error| format!("{error}: a certificate and its key are wanted, both as PEM"))?;
    let recipient = recipient.as_deref().map(Address::parse).transpose().map_err(|error| error.to_string())?;
    let rehearsal = Rehearsal { new, instead, recipient, offline };
    let mut of = String::new();
    let mut told = |way: Way| {
        // What has no heading of its own is of the one before.
        let heading = way.heading.trim();
        if !heading.is_empty() {
            of = heading.to_owned();
        }
        tell(steps(&of, way));
    };
    rehearsed(settings, organization, &rehearsal, &mut told).await.map_err(|error| format!("{error:#}"))
}

fn steps(of: &str, way: Way) -> Vec<TriedStep> {
    let step = |one: crate::commands::findings::Finding| TriedStep {
        of: of.to_owned(),
        name: one.subject,
        tone: match one.state {
            State::Good => "good",
            State::Warning => "warn",
            State::Wrong => "bad",
        },
        text: one.text,
        advice: one.advice.unwrap_or_default(),
    };
    way.findings.into_all().into_iter().map(step).collect()
}
