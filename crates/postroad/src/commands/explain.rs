//! `postroad explain`: what production would do with mail for recipients, or does with what waits, and why; and what a change
//! would do to it.

pub(super) mod difference;
mod gateways;
mod list;
mod perimeter;
mod waiting;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use envelope::{ByteSize, ObjectName, ServerName};
use inquiry::{Answer, Sender, Subject};
use topology::{Organization, Problem};

use self::perimeter::{Perimeter, Then};
use super::source::{Opened, Source};
use super::{failure, output};
use crate::answers::{self, Candidates, Gateways, Line, Palette};

/// Size of the message when none is given: a short text.
pub(crate) const SIZE_DEFAULT: &str = "10KB";

const EXAMPLES: &str = "\
Examples:
  # By the lab in .postroad/lab; then as another server decides, for a large message.
  postroad explain bob@fabrikam.com
  postroad explain bob@fabrikam.com --from OSLO1 --size 20MB
  # By a file: no server, no network.
  postroad explain anna@contoso.com team@contoso.com --organization contoso.yaml
  # As it was decided at an older revision of the configuration.
  postroad explain bob@fabrikam.com --revision 42
  # What a change would do, before it is made: whose mail takes another way, and why.
  postroad explain --recipients partners.txt --diff contoso.yaml
  # What it would do to the mail that waits in the queues now.
  postroad explain --queued --diff contoso.yaml
  # For programs.
  postroad explain bob@fabrikam.com --json | jq .targets

Mail that passes an Edge server is decided twice. In a lab, where the directories of both sides
can be read, both halves are told; elsewhere it is said whose half it is, and how to ask for the
other one.

Each candidate says which rule eliminated it, and what would have to change for it to be chosen.
Without --sender, limits for senders and recipients are told but do not decide; with it they
decide, as they do for mail. docs/explain.md documents every field of --json.

Exit status: 0 answered; 1 no answer; 2 wrong usage. With --diff: 0 nothing changes; 1 something
changes; 2 no answer.";

/// Arguments of `postroad explain`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArguments {
    /// Addresses of recipients; of another type as TYPE:ADDRESS, such as FAX:+4930123456.
    #[arg(value_name = "RECIPIENT", required_unless_present_any = ["recipients", "queued"])]
    recipient: Vec<list::Asked>,
    /// More of them: a file with one address in a line, `-` for standard input.
    #[arg(long, value_name = "FILE")]
    recipients: Option<PathBuf>,
    /// Everything that waits in the queues of the running servers, with its own sender and size; needs an administrator's
    /// certificate, as `postroad queue` does.
    #[arg(long, conflicts_with_all = ["recipient", "recipients", "size", "sender", "organization", "revision"])]
    queued: bool,
    /// The server that has the message; several as A,B [default: that of the settings, or the first of a file].
    #[arg(long, value_name = "SERVER", value_delimiter = ',')]
    from: Vec<ServerName>,
    /// How large the message is, such as 500KB or 5MB.
    #[arg(long, value_name = "SIZE", default_value = SIZE_DEFAULT)]
    size: ByteSize,
    /// Who sends it. An address of an accepted domain counts as authenticated, any other as anonymous; `<>` is a
    /// notification of the organization, which no size limit concerns.
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<Sender>,
    /// Tell what would change if the organization became what this file says.
    #[arg(long, value_name = "FILE")]
    diff: Option<PathBuf>,
    /// Tell of every connector, however many there are; --json always does.
    #[arg(long, conflicts_with_all = ["json", "diff"])]
    all: bool,
    /// JSON Lines: one object for each recipient.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

pub(crate) async fn run(arguments: ExplainArguments) -> anyhow::Result<ExitCode> {
    match &arguments.diff {
        Some(file) => match compare(&arguments, file.clone()).await {
            Ok(code) => Ok(code),
            Err(error) => Ok(failure::failed(&error, output::NO_ANSWER)),
        },
        None => answer(&arguments).await,
    }
}

async fn answer(arguments: &ExplainArguments) -> anyhow::Result<ExitCode> {
    let opened = arguments.source.open().await?;
    let subjects = asked(arguments, &opened).await?.within(&opened.organization)?;
    let mut inquiry = opened.inquiry(&subjects).await?;
    let palette = Palette::of_output();
    let candidates = if arguments.all { Candidates::All } else { Candidates::Near };
    let mut told = String::new();
    let mut used = BTreeSet::new();
    let mut perimeter = Perimeter::around(&arguments.source);
    let mut asking = gateways::Asking::new(&arguments.source);
    for subject in &subjects {
        let answer = match perimeter.instead(subject, &opened.organization).await? {
            Some(answer) => answer,
            None => inquiry.ask(subject)?,
        };
        asking.ask(&answer).await;
        used.extend(answer.ends.iter().filter_map(|end| end.connector().cloned()));
        let then = perimeter.then(&answer).await?;
        if arguments.json {
            output::print_json(&format!("{}\n", serde_json::to_string(&line(&answer, &then, asking.told()))?))?;
        } else {
            let text = text((&answer, &then), asking.told(), candidates, palette);
            output::print(&format!("{}{text}", if told.is_empty() { "" } else { "\n" }))?;
            told.push_str(&text);
        }
    }
    if !arguments.json {
        let legend = answers::legend(&told, palette);
        output::print(&format!("{}{legend}", if legend.is_empty() { "" } else { "\n" }))?;
        idle(&opened.organization, &used).iter().for_each(|warning| eprintln!("{warning}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// An answer, and behind it what the other side of the perimeter does.
fn text((answer, then): (&Answer, &[Then]), gateways: &Gateways, candidates: Candidates, palette: Palette) -> String {
    let mut text = answers::text(answer, gateways, candidates, palette);
    for one in then {
        text += &match one {
            Then::Answer(answer) => {
                let heading = palette.bold(&perimeter::heading(answer));
                format!("\n{heading}\n{}", answers::text(answer, gateways, candidates, palette))
            }
            Then::Ask(advice) => format!("\n{}", answers::wrapped("  ", 2, advice, palette.columns())),
        };
    }
    text
}

fn line(answer: &Answer, then: &[Then], gateways: &Gateways) -> Line {
    let mut line = answers::line(answer, gateways);
    for one in then {
        match one {
            Then::Answer(answer) => line.then.push(answers::line(answer, gateways)),
            Then::Ask(advice) => line.elsewhere.push(advice.clone()),
        }
    }
    line
}

/// What the connectors that mail goes by say, and nothing follows.
fn idle(organization: &Organization, used: &BTreeSet<ObjectName>) -> Vec<String> {
    let places: Vec<String> = used.iter().map(|name| format!("onnectors[\"{name}\"]")).collect();
    let of_used = |problem: &Problem| places.iter().any(|place| problem.place.contains(place));
    let found = organization::schema::without_effect(organization.draft());
    found.into_iter().filter(of_used).map(|problem| problem.to_string()).collect()
}

async fn compare(arguments: &ExplainArguments, file: PathBuf) -> anyhow::Result<ExitCode> {
    let opened = arguments.source.open().await?;
    let asked = asked(arguments, &opened).await?;
    difference::run(&opened, &asked, &file, arguments.json).await
}

/// What is asked about: what an address of another type stands in depends on the organization (EN-73).
struct Questions {
    recipients: Vec<list::Asked>,
    sender: Sender,
    size: ByteSize,
    from: Vec<ServerName>,
    /// What waits, which has addresses already.
    waiting: Vec<Subject>,
}

impl Questions {
    /// Each recipient, as each server sees it; or what waits on each.
    fn within(&self, organization: &Organization) -> anyhow::Result<Vec<Subject>> {
        let mut subjects = self.waiting.clone();
        for asked in &self.recipients {
            let recipient = asked.in_default_domain(organization)?;
            subjects.extend(self.from.iter().map(|from| Subject {
                recipient: recipient.clone(),
                sender: self.sender.clone(),
                size: self.size,
                from: from.clone(),
            }));
        }
        Ok(subjects)
    }
}

async fn asked(arguments: &ExplainArguments, opened: &Opened) -> anyhow::Result<Questions> {
    let sender = arguments.sender.clone().unwrap_or(Sender::Unnamed);
    let (recipients, size, from) = (Vec::new(), arguments.size, Vec::new());
    if arguments.queued {
        let waiting = waiting::subjects(arguments.source.place(), &arguments.from).await?;
        return Ok(Questions { recipients, sender, size, from, waiting });
    }
    let mut recipients = arguments.recipient.clone();
    if let Some(path) = &arguments.recipients {
        recipients.extend(list::read(path)?);
    }
    if recipients.is_empty() {
        bail!("there is no recipient to ask about: the list is empty");
    }
    let mut from = arguments.from.clone();
    if from.is_empty() {
        let usual = opened.server()?;
        if opened.organization.servers().len() > 1 {
            eprintln!("note: as decided on {usual}; --from names another server");
        }
        from.push(usual);
    }
    Ok(Questions { recipients, sender, size, from, waiting: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::Revision;

    #[test]
    fn what_a_chosen_connector_says_for_nothing_is_told() {
        let file = "sites: [{name: Berlin}]\nservers: [{name: A1, fqdn: a1.contoso.com, site: Berlin}]\nsendConnectors:\n\
                    - {name: Internet, addressSpaces: ['*'], sourceTransportServers: [A1], connectorType: XPremises}\n\
                    - {name: Other, addressSpaces: [a.example], sourceTransportServers: [A1], connectorType: XPremises}\n";
        let organization = organization::load(file, Revision(1)).unwrap().organization;
        let used = BTreeSet::from([ObjectName::parse("Internet").unwrap()]);
        let expected =
            "warning: sendConnectors[\"Internet\"].connectorType: it is stored and has no effect: it is a label";
        assert_eq!(idle(&organization, &used), [expected]);
    }
}
