//! `postroad revisions`: the last changes that the directory still keeps, and who made them.

use std::process::ExitCode;
use std::time::SystemTime;

use directory::RevisionRecord;
use serde::Serialize;

use super::output;
use super::place::Place;

/// Changes listed unless told otherwise.
const LIMIT_DEFAULT: u16 = 20;

const EXAMPLES: &str = "\
Examples:
  # The last changes; then how a message was routed before the newest, and the whole of it as a file.
  postroad revisions
  postroad explain bob@fabrikam.com --revision 41
  postroad export --revision 41 > before.yaml

How far back this goes is the directory's: etcd keeps everything until it is compacted
(--auto-compaction-retention), the embedded file the last 20,000 replaced values. A revision is
counted for every change in the directory; between two that are listed, the configuration is that
of the older one. Each change says who made it and through what.";

/// Arguments of `postroad revisions`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RevisionsArguments {
    /// How many, the newest first.
    #[arg(long, value_name = "NUMBER", default_value_t = LIMIT_DEFAULT)]
    limit: u16,
    /// JSON Lines: one object for each change.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Serialize)]
struct Entry {
    revision: u64,
    at: String,
    summary: String,
    /// Who made it, and through what; absent in what was changed before that was recorded.
    author: Option<String>,
    through: Option<String>,
}

pub(crate) async fn run(arguments: RevisionsArguments) -> anyhow::Result<ExitCode> {
    let reach = arguments.place.reach().await?;
    let records = reach.directory.revisions(usize::from(arguments.limit)).await;
    let records = records.map_err(|error| reach.explained(&error))?;
    let entries: Vec<Entry> = records.into_iter().map(entry).collect();
    if arguments.json {
        let line = |entry: &Entry| serde_json::to_string(entry).map(|line| line + "\n");
        output::print_json(&entries.iter().map(line).collect::<Result<String, _>>()?)?;
    } else if entries.is_empty() {
        output::print("The directory keeps no change.\n")?;
    } else {
        let mut rows = vec![["REVISION", "TIME", "AUTHOR", "CHANGE"].map(str::to_owned).to_vec()];
        rows.extend(entries.into_iter().map(|entry| {
            let author = entry.author.zip(entry.through);
            let author = author.map_or_else(|| "-".to_owned(), |(who, through)| format!("{who} ({through})"));
            vec![entry.revision.to_string(), entry.at, author, entry.summary]
        }));
        output::print(&output::table(&rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn entry(record: RevisionRecord) -> Entry {
    let at = output::time(SystemTime::from(record.at));
    let (author, through) = record.author.map(|author| (author.who, author.through)).unzip();
    Entry { revision: record.revision.0, at, summary: record.summary, author, through }
}
