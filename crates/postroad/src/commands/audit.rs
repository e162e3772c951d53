//! `postroad audit`: what was changed in the organization, by whom, through what, from where.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use logs::audit::{AuditLine, AuditQuery, FIELDS, folder, search};
use serde_json::{Map, Value};

use super::place::Place;
use super::{output, times};

/// Lines told unless told otherwise.
const LIMIT_DEFAULT: u32 = 50;

const EXAMPLES: &str = "\
Examples:
  # The last changes; those of a connector; those by Anna since yesterday.
  postroad audit
  postroad audit --object 'To Partner'
  postroad audit --user anna --start 1d
  # Who touched smart hosts or ports; what was refused.
  postroad audit --parameter smartHosts --parameter port
  postroad audit --refused
  # By the admin service of a server; for a script.
  postroad audit --api mail1.contoso.com --json | jq -r '[.dateTime, .caller, .cmdlet, .objectModified] | @tsv'

A change is written into the audit log of the server on which it was made: by its admin service, or by a command with
its settings. Logs are kept for 90 days.";

/// Arguments of `postroad audit`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AuditArguments {
    /// What was done, as the documented cmdlet: Set-SendConnector. May be given several times, as the next three.
    #[arg(long = "cmdlet", value_name = "NAME")]
    cmdlets: Vec<String>,
    /// Name or identity of what was changed.
    #[arg(long = "object", value_name = "NAME")]
    objects: Vec<String>,
    /// Who changed it.
    #[arg(long = "user", value_name = "NAME")]
    users: Vec<String>,
    /// A property that was set.
    #[arg(long = "parameter", value_name = "NAME")]
    parameters: Vec<String>,
    /// Only what was not done: refused, or not valid.
    #[arg(long)]
    refused: bool,
    /// From this time on: 10:03, 2026-11-22, 2026-11-22T10:03, or 2h for two hours ago; UTC.
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// How many, the newest first.
    #[arg(long, value_name = "COUNT", default_value_t = LIMIT_DEFAULT,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// JSON Lines: one object for each.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(arguments: AuditArguments) -> anyhow::Result<ExitCode> {
    let now = times::now();
    let moment = |text: &Option<String>| text.as_deref().map(|text| times::moment(text, now)).transpose();
    let query = AuditQuery {
        start: moment(&arguments.start).map_err(|error| anyhow!("--start: {error}"))?,
        end: moment(&arguments.end).map_err(|error| anyhow!("--end: {error}"))?,
        cmdlets: arguments.cmdlets,
        object_ids: arguments.objects,
        user_ids: arguments.users,
        parameters: arguments.parameters,
        success: arguments.refused.then_some(false),
        start_index: 0,
    };
    let (reach, limit) = (arguments.place.reach().await?, arguments.limit as usize);
    let lines = match (reach.api(), reach.settings()) {
        (Some(api), _) => api.search_audit(query, limit).await?,
        (None, settings) => {
            let folder = folder(&settings.context("there are no settings")?.state);
            let found = tokio::task::spawn_blocking(move || search(&folder, &query, limit)).await?;
            found.context("the audit log cannot be read")?
        }
    };
    if arguments.json {
        output::print_json(&json(&lines)?)?;
    } else {
        output::print(&text(&lines))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(lines: &[AuditLine]) -> String {
    if lines.is_empty() {
        return "No change that is looked for is in the audit log.\n".to_owned();
    }
    let mut out = String::new();
    for line in lines {
        let get = |name: &str| output::harmless(line.get(name));
        let _ = writeln!(
            out,
            "{}  {}  {} {}\n    by {} ({}), from {}, on {}",
            get("date-time"),
            match line.get("succeeded") {
                "True" if line.get("revision").is_empty() => "done".to_owned(),
                "True" => format!("revision {}", get("revision")),
                _ => "NOT DONE".to_owned(),
            },
            get("cmdlet"),
            get("object-modified"),
            get("caller"),
            get("through"),
            get("client"),
            get("originating-server"),
        );
        for changed in line.get("modified-properties").split("; ").filter(|changed| !changed.is_empty()) {
            let _ = writeln!(out, "    {}", output::harmless(changed));
        }
        if !line.get("error").is_empty() {
            let _ = writeln!(out, "    {}", get("error"));
        }
    }
    out
}

fn json(lines: &[AuditLine]) -> anyhow::Result<String> {
    let mut out = String::new();
    for line in lines {
        let entry = |name: &str| (camel(name), Value::from(line.get(name)));
        let object: Map<String, Value> = FIELDS.split(',').map(entry).collect();
        out.push_str(&serde_json::to_string(&object)?);
        out.push('\n');
    }
    Ok(out)
}

/// `date-time` as `dateTime`.
fn camel(name: &str) -> String {
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(1.min(word.len()));
        name + &initial.to_uppercase() + rest
    })
}
