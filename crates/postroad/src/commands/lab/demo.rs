//! The demo: one message for each way that mail can take, each with what has to come of it.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use envelope::{Address, ByteSize, Domain, ReversePath};
use lab::client::{Encryption, submit};
use lab::traces::TraceQuery;
use lab::world::ServerStatus;
use lab::{ClientError, Deliveries, LabStatus, Submission, TestMessage, Trace, TraceStore};
use net::Verification;
use net::tls::TrustedRoots;
use smtp_session::{Credentials, Secret};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::mailboxes::Mailbox;
use super::{DemoArguments, gateway, page, report, start};
use crate::commands::times;

/// The lab file of the demo.
const FILE: &str = "deploy/lab/demo.yaml";

/// Time for one message to end as it should. Everything is on one machine; a loaded one is slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time for the last spans of a message to come in: they are sent in batches.
const TRACE_PATIENCE: Duration = Duration::from_secs(15);

const ANNA: Mailbox = Mailbox { server: "BERLIN1", database: "DB-Berlin1", name: "anna" };
const BEN: Mailbox = Mailbox { server: "BERLIN2", database: "DB-Berlin2", name: "ben" };
const OLGA: Mailbox = Mailbox { server: "OSLO1", database: "DB-Oslo1", name: "olga" };
const PER: Mailbox = Mailbox { server: "OSLO2", database: "DB-Oslo2", name: "per" };

/// How a message is handed in.
enum Entry {
    /// Through an outbox.
    Outbox(Mailbox),
    /// By a mail client that logs on at a front end.
    Client(Mailbox),
    /// From the internet, at the front end of a server.
    Internet { server: &'static str, sender: &'static str },
    /// As a file that a gateway puts into the Pickup directory of a server.
    Pickup { server: &'static str, sender: &'static str },
}

/// What has to come of it.
enum End {
    /// It is in these mailboxes.
    Mailboxes(&'static [Mailbox]),
    /// The host of the internet has it; `encrypted` and `authenticated` as the connector demands.
    Host { host: &'static str, encrypted: bool, user: Option<&'static str> },
    /// A gateway takes it as a file, for this address of its own, from the Drop directory of a server's Foreign connector.
    Gateway { server: &'static str, connector: &'static str, address: &'static str },
    /// Both.
    Group { mailboxes: &'static [Mailbox], host: &'static str },
    /// The sender has a notification with this status in it.
    Notification { to: Mailbox, status: &'static str },
    /// The front end refuses the recipient with this status.
    Refused { status: &'static str },
}

/// One message of the demo.
struct Step {
    title: &'static str,
    entry: Entry,
    to: &'static str,
    size: ByteSize,
    end: End,
    /// The lab has to have this server, which not every lab has.
    needs: Option<&'static str>,
}

const SMALL: ByteSize = ByteSize::kib(4);

fn steps() -> Vec<Step> {
    let step = |title, entry, to, end| Step { title, entry, to, size: SMALL, end, needs: None };
    let mx2 = "mx2.fabrikam.example";
    vec![
        step("within a site", Entry::Outbox(ANNA), "ben@contoso.example", End::Mailboxes(&[BEN])),
        step("across sites", Entry::Client(OLGA), "anna@contoso.example", End::Mailboxes(&[ANNA])),
        step("to another address of a mailbox", Entry::Outbox(BEN), "p.hansen@contoso.example", End::Mailboxes(&[PER])),
        step(
            "out by MX, the first exchanger is down",
            Entry::Outbox(ANNA),
            "sales@fabrikam.example",
            End::Host { host: mx2, encrypted: true, user: None },
        ),
        step(
            "out by smart host with a password",
            Entry::Outbox(BEN),
            "orders@partner.example",
            End::Host { host: "relay.partner.example", encrypted: true, user: Some("contoso") },
        ),
        step(
            "out through a front end, TLS verified",
            Entry::Client(ANNA),
            "clerk@legal.bank.example",
            End::Host { host: "mx.bank.example", encrypted: true, user: None },
        ),
        step(
            "in from the internet",
            Entry::Internet { server: "OSLO2", sender: "visitor@tailspin.example" },
            "anna@contoso.example",
            End::Mailboxes(&[ANNA]),
        ),
        step(
            "to a group, one member outside",
            Entry::Outbox(PER),
            "team@contoso.example",
            End::Group { mailboxes: &[ANNA, OLGA], host: mx2 },
        ),
        step(
            "in to nobody",
            Entry::Internet { server: "BERLIN1", sender: "visitor@tailspin.example" },
            "nobody@contoso.example",
            End::Refused { status: "5.1.1" },
        ),
        step(
            "within, to nobody",
            Entry::Outbox(OLGA),
            "nobody@contoso.example",
            End::Notification { to: OLGA, status: "5.1.1" },
        ),
        Step {
            title: "too big to leave",
            entry: Entry::Outbox(BEN),
            to: "sales@fabrikam.example",
            size: ByteSize::mib(12),
            end: End::Notification { to: BEN, status: "5.3.4" },
            needs: None,
        },
    ]
}

/// What the perimeter has to do with: an Edge server, and a gateway for faxes.
fn steps_of_the_perimeter() -> Vec<Step> {
    let step = |title, entry, to, end| Step { title, entry, to, size: SMALL, end, needs: Some("EDGE1") };
    vec![
        step(
            "out by the Edge server in the perimeter",
            Entry::Outbox(OLGA),
            "desk@tailspin.example",
            End::Host { host: "mx.tailspin.example", encrypted: true, user: None },
        ),
        step(
            "in by the Edge server, which asks nobody inside",
            Entry::Internet { server: "EDGE1", sender: "visitor@tailspin.example" },
            "olga@contoso.example",
            End::Mailboxes(&[OLGA]),
        ),
        step(
            "to a fax, by a file that its gateway takes",
            Entry::Outbox(ANNA),
            "fax.carol@contoso.example",
            End::Gateway { server: "BERLIN1", connector: "Fax", address: "FAX:+4930123456" },
        ),
        step(
            "back from the fax gateway, by a file in Pickup",
            Entry::Pickup { server: "BERLIN1", sender: "fax@contoso.example" },
            "anna@contoso.example",
            End::Mailboxes(&[ANNA]),
        ),
    ]
}

/// The running lab: what runs where, and its files.
struct Stage {
    status: LabStatus,
    lab: PathBuf,
}

impl Stage {
    fn server(&self, name: &str) -> anyhow::Result<&ServerStatus> {
        let found = self.status.servers.iter().find(|server| server.name == name);
        found.with_context(|| format!("the lab file has no server {name}; the demo is made for {FILE}"))
    }

    /// What can be shown here.
    fn steps(&self) -> Vec<Step> {
        let here = |step: &Step| step.needs.is_none_or(|server| self.server(server).is_ok());
        steps().into_iter().chain(steps_of_the_perimeter()).filter(here).collect()
    }
}

pub(super) async fn run(arguments: &DemoArguments) -> anyhow::Result<ExitCode> {
    let directory = &arguments.up.place.directory;
    if arguments.running {
        let status = LabStatus::read(directory).context("start one, or leave out --running")?;
        return perform(&Stage { status, lab: directory.canonicalize()? }).await;
    }
    let world = start(&arguments.up, FILE).await?;
    let drain = CancellationToken::new();
    let _page = page(directory, drain.clone()).await;
    let ended = perform(&Stage { status: world.status(), lab: directory.canonicalize()? }).await;
    drain.cancel();
    world.stop().await;
    ended
}

async fn perform(stage: &Stage) -> anyhow::Result<ExitCode> {
    let mut wrong = 0;
    let steps = stage.steps();
    for (number, step) in steps.iter().enumerate() {
        let outcome = play(stage, step).await;
        let ended = outcome.is_ok();
        wrong += usize::from(!ended);
        println!("\n{} {:>2}  {}", if ended { "✔" } else { "✘" }, number + 1, step.title);
        println!("      from    {}", sender(step));
        println!("      to      {}", step.to);
        match outcome {
            Ok(ended) => ended.print(),
            Err(error) => println!("      wrong   {error:#}"),
        }
    }
    println!("\n{} of {} messages ended as they should.", steps.len() - wrong, steps.len());
    if wrong > 0 {
        let logs = stage.status.servers.iter().flat_map(|server| &server.processes);
        let folders: BTreeSet<_> =
            logs.filter_map(|process| process.log.parent()).map(Path::display).map(|path| path.to_string()).collect();
        println!("The services' logs: {}", folders.into_iter().collect::<Vec<_>>().join(" "));
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn sender(step: &Step) -> String {
    match &step.entry {
        Entry::Outbox(mailbox) => format!("{}@contoso.example, outbox on {}", mailbox.name, mailbox.server),
        Entry::Client(mailbox) => format!("{}@contoso.example, a mail client at {}", mailbox.name, mailbox.server),
        Entry::Internet { server, sender } => format!("{sender}, from the internet to {server}"),
        Entry::Pickup { server, sender } => format!("{sender}, a file in the Pickup directory of {server}"),
    }
}

/// A message that ended as it should.
struct Ended {
    outcome: String,
    trace: Option<Trace>,
}

impl Ended {
    fn print(&self) {
        println!("      outcome {}", self.outcome);
        let Some(trace) = &self.trace else { return };
        for (at, way) in report::ways(trace).iter().enumerate() {
            println!("      {:<7} {way}", if at == 0 { "way" } else { "" });
        }
        println!("      time    {} ms", report::duration(trace).as_millis());
        for (at, line) in report::reasons(trace).iter().enumerate() {
            println!("      {:<7} {line}", if at == 0 { "why" } else { "" });
        }
    }
}

async fn play(stage: &Stage, step: &Step) -> anyhow::Result<Ended> {
    let address = |text: &str| Address::parse(text).context("the demo has a wrong address");
    let from = match &step.entry {
        Entry::Outbox(mailbox) | Entry::Client(mailbox) => address(&format!("{}@contoso.example", mailbox.name))?,
        Entry::Internet { sender, .. } | Entry::Pickup { sender, .. } => address(sender)?,
    };
    let now = times::now();
    let to = address(step.to)?;
    let mut message = TestMessage::new(step.title, ReversePath::Address(from), vec![to], now);
    message.body_size = step.size;
    let handed_in = hand_in(stage, step, &message).await;
    if let End::Refused { status } = step.end {
        return match handed_in {
            Err(error) if error.to_string().contains(status) => {
                Ok(Ended { outcome: format!("{error:#}"), trace: None })
            }
            Err(error) => Err(error.context(format!("it should have been refused with {status}"))),
            Ok(()) => anyhow::bail!("it should have been refused with {status} and was taken"),
        };
    }
    handed_in?;
    let outcome = arrive(stage, step, &message).await?;
    let query = TraceQuery::InternetMessageId(message.message_id());
    let complete = |trace: &Trace| is_complete(trace, step);
    let traces = TraceStore::in_directory(&stage.status.traces);
    let trace = match traces.wait_for(&query, complete, TRACE_PATIENCE).await {
        Ok(trace) => Some(trace),
        Err(lab::traces::TraceStoreError::Timeout { found, .. }) => found,
        Err(error) => return Err(error.into()),
    };
    anyhow::ensure!(trace.is_some(), "it has no trace");
    Ok(Ended { outcome, trace })
}

/// Whether the last hop has told of itself.
fn is_complete(trace: &Trace, step: &Step) -> bool {
    let count = |name| trace.named(name).count();
    let known: HashSet<&str> = trace.spans.iter().map(|span| span.span_id.as_str()).collect();
    if trace.spans.iter().filter_map(|span| span.parent.as_deref()).any(|parent| !known.contains(parent)) {
        return false; // a hop in between has not
    }
    match &step.end {
        End::Mailboxes(mailboxes) => count("deliver") >= mailboxes.len(),
        End::Group { mailboxes, .. } => count("deliver") >= mailboxes.len() && count("send") >= 1,
        End::Host { .. } | End::Gateway { .. } => count("send") >= 1,
        End::Notification { .. } => count("notify") >= 1 && count("deliver") >= 1,
        End::Refused { .. } => true,
    }
}

async fn hand_in(stage: &Stage, step: &Step, message: &TestMessage) -> anyhow::Result<()> {
    const NO_FRONT_END: &str = "the server has no front end";
    match &step.entry {
        Entry::Outbox(mailbox) => mailbox.send(&stage.lab, &message.unique.to_string(), &message.content()),
        Entry::Client(mailbox) => {
            let server = stage.server(mailbox.server)?;
            let name = Domain::parse(&server.fqdn).context("the server has a strange name")?;
            let submission = log_on(&stage.lab, mailbox, &name, server.submission.context(NO_FRONT_END)?, message)?;
            taken(submit(&submission).await)
        }
        Entry::Internet { server: name, .. } => {
            let server = stage.server(name)?;
            let (sender, to) = (message.sender.clone(), message.recipients.clone());
            taken(submit(&Submission::new(server.smtp.context(NO_FRONT_END)?, sender, to, message.content())).await)
        }
        Entry::Pickup { server, .. } => {
            gateway::bring(&stage.lab, server, &message.unique.to_string(), &message.content())
        }
    }
}

fn log_on(
    lab: &Path,
    mailbox: &Mailbox,
    name: &Domain,
    at: std::net::SocketAddr,
    message: &TestMessage,
) -> anyhow::Result<Submission> {
    let authority = std::fs::read_to_string(lab.join("servers").join(mailbox.server).join("identity/ca.pem"))?;
    let roots = TrustedRoots::none().and_pem(&authority)?;
    let (sender, to) = (message.sender.clone(), message.recipients.clone());
    let mut submission = Submission::new(at, sender, to, message.content());
    submission.encryption = Encryption::StartTls { name: name.clone(), verification: Verification::Chain, roots };
    let user = format!("{}@contoso.example", mailbox.name).into();
    let secret = Secret::new(format!("demo-{}", mailbox.name).into_bytes());
    submission.login = Some(Credentials { user, secret });
    Ok(submission)
}

fn taken(result: Result<lab::Submitted, ClientError>) -> anyhow::Result<()> {
    Ok(result.map(drop)?)
}

async fn arrive(stage: &Stage, step: &Step, message: &TestMessage) -> anyhow::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let (lab, id) = (&stage.lab, message.message_id());
    match &step.end {
        End::Mailboxes(mailboxes) => in_mailboxes(lab, mailboxes, &id, deadline).await,
        End::Host { host, encrypted, user } => at_host(stage, host, &id, *encrypted, *user).await,
        End::Group { mailboxes, host } => {
            let within = in_mailboxes(lab, mailboxes, &id, deadline).await?;
            Ok(format!("{within}; {}", at_host(stage, host, &id, true, None).await?))
        }
        End::Notification { to, status } => {
            to.wait_for(lab, &[&id, "multipart/report", status], deadline).await?;
            Ok(format!("{} was told: {status}", to.name))
        }
        End::Gateway { server, connector, address } => {
            let name = gateway::take(lab, server, connector, &id, address, deadline).await?;
            Ok(format!("the gateway of {connector} took {name} for {address}"))
        }
        End::Refused { .. } => Ok(String::new()),
    }
}

async fn in_mailboxes(lab: &Path, mailboxes: &[Mailbox], id: &str, deadline: Instant) -> anyhow::Result<String> {
    let mut names = Vec::new();
    for mailbox in mailboxes {
        mailbox.wait_for(lab, &[id], deadline).await?;
        names.push(format!("{} ({})", mailbox.name, mailbox.database));
    }
    Ok(format!("in the mailbox of {}", names.join(" and ")))
}

async fn at_host(stage: &Stage, host: &str, id: &str, encrypted: bool, user: Option<&str>) -> anyhow::Result<String> {
    let wanted = |delivery: &lab::Delivery| delivery.host == host && delivery.message_id.as_deref() == Some(id);
    let delivery = Deliveries::in_directory(&stage.status.deliveries).wait_for(wanted, PATIENCE).await?;
    anyhow::ensure!(!encrypted || delivery.tls.is_some(), "{host} got it in clear");
    anyhow::ensure!(delivery.user.as_deref() == user, "{host} got it from user {:?}", delivery.user);
    let tls = delivery.tls.as_deref().unwrap_or("in clear");
    let login = user.map(|user| format!(", logged on as {user}")).unwrap_or_default();
    Ok(format!("{host} took it ({tls}{login})"))
}
