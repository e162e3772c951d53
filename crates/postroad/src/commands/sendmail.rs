//! `postroad sendmail`: takes a message on standard input, as sendmail(8) does, and hands it to a server by SMTP. For cron and
//! applications: link it to /usr/sbin/sendmail.
//!
//! It queues nothing: when no server takes the message, the exit status says so, and whoever called tries again.

mod letter;
mod options;

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use envelope::{Domain, Notify, Severity};
use net::tls::TrustedRoots;
use net::{Resolver, TlsClient};
use serde::Deserialize;
use smtp::{Content, Failure, FailurePhase, NextHop, OutboundMessage, OutboundSession, Sender, SessionPlan};

use self::letter::{Circumstances, Letter};
use self::options::Options;
use super::{output, times};

/// Where it is told whom to hand messages to.
const CONFIGURATION: &str = "/etc/postroad/sendmail.toml";
/// The name of this machine in mail, on Debian.
const MAILNAME: &str = "/etc/mailname";
/// Largest message: more than any connector takes by default.
const CONTENT_OCTETS_MAX: u64 = 128 << 20;

// sysexits.h
const USAGE: u8 = 64;
const DATA_ERROR: u8 = 65;
const NO_USER: u8 = 67;
const UNAVAILABLE: u8 = 69;
const TEMPORARY_FAILURE: u8 = 75;
const CONFIGURATION_ERROR: u8 = 78;

const EXAMPLES: &str = "\
Options, as of sendmail(8):
  -t             recipients are those of To, Cc and Bcc, and Bcc is removed
  -i, -oi        a line with a dot alone does not end the message
  -f ADDRESS     who gets notifications [default: the user who runs it]; -r is the same; '<>' is nobody
  -F NAME        full name in From, where there is none
  -N CONDITIONS  when to notify: never, or success, failure, delay
  -v             tell what the server said
  -C FILE        another file than /etc/postroad/sendmail.toml
  -bm, -oem, -B, -R, -V and what else changes nothing here are taken and passed over.

/etc/postroad/sendmail.toml, if there is one (every user has to be able to read it):
  servers = [\"127.0.0.1:25\", \"[::1]:25\"]   # tried in this order; this is the default
  domain = \"contoso.example\"               # behind names without one [default: /etc/mailname, else the host's name]

Examples:
  echo 'Subject: backup done' | postroad sendmail -i root
  ln -s /usr/bin/postroad /usr/sbin/sendmail

Nothing is queued here. Exit status: 0 a server has the message; 75 no server answers, or it says later: try again; 67, 69 a
recipient or the message is refused for good; 64, 65, 78 options, message, configuration.";

/// Arguments of `postroad sendmail`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, disable_version_flag = true)]
pub(crate) struct SendmailArguments {
    /// Options of sendmail(8), and recipients.
    #[arg(value_name = "OPTIONS AND RECIPIENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// What the configuration says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    #[serde(default)]
    servers: Vec<SocketAddr>,
    domain: Option<String>,
}

/// Why nothing was sent, and the exit status.
struct Refusal(u8, String);

/// The arguments, when the program is called as sendmail or as `postroad sendmail`: they are no options of ours.
pub(crate) fn called() -> Option<Vec<String>> {
    let mut arguments = std::env::args();
    let name = arguments.next().unwrap_or_default();
    if Path::new(&name).file_name().is_some_and(|name| name == "sendmail") {
        return Some(arguments.collect());
    }
    let rest: Vec<String> = arguments.skip_while(|word| word != "sendmail").skip(1).collect();
    let is_first = std::env::args().nth(1).is_some_and(|word| word == "sendmail");
    (is_first && !rest.iter().any(|word| word == "--help")).then_some(rest)
}

/// Without our own arguments there is nobody to send to.
pub(crate) async fn run(arguments: SendmailArguments) -> ExitCode {
    send(&arguments.arguments).await
}

pub(crate) async fn send(arguments: &[String]) -> ExitCode {
    match try_to(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refusal(status, text)) => {
            eprintln!("sendmail: {}", output::harmless(&text));
            ExitCode::from(status)
        }
    }
}

async fn try_to(arguments: &[String]) -> Result<(), Refusal> {
    let options = options::parse(arguments).map_err(|text| Refusal(USAGE, text))?;
    let configuration = configuration(options.configuration.as_deref())?;
    let domain = domain(&configuration)?;
    let mut text = Vec::new();
    let read = std::io::stdin().lock().take(CONTENT_OCTETS_MAX + 1).read_to_end(&mut text);
    read.map_err(|error| Refusal(DATA_ERROR, format!("the message cannot be read: {error}")))?;
    if text.len() as u64 > CONTENT_OCTETS_MAX {
        return Err(Refusal(DATA_ERROR, format!("the message is larger than {CONTENT_OCTETS_MAX} octets")));
    }
    let now = times::now();
    let id = format!("{}.{}", now.as_millis(), std::process::id());
    let around = Circumstances { domain: &domain, user: &user(), id: &id, now };
    let mut letter = letter::compose(&text, &options, &around).map_err(|text| Refusal(DATA_ERROR, text))?;
    notify(&mut letter, &options)?;
    hand_over(&letter, &configuration, &domain, options.verbose).await
}

fn configuration(named: Option<&str>) -> Result<Configuration, Refusal> {
    let path = PathBuf::from(named.unwrap_or(CONFIGURATION));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Refusal(CONFIGURATION_ERROR, format!("{}: {error}", path.display()))),
    };
    toml::from_str(&text).map_err(|error| Refusal(CONFIGURATION_ERROR, format!("{}: {error}", path.display())))
}

fn domain(configuration: &Configuration) -> Result<Domain, Refusal> {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let mailname = || std::fs::read_to_string(MAILNAME).ok();
    let name = configuration.domain.clone().or_else(mailname).or_else(host).unwrap_or_default();
    Domain::parse(name.trim()).map_err(|error| {
        Refusal(
            CONFIGURATION_ERROR,
            format!("the name of this machine is no domain ({error}): say `domain` in {CONFIGURATION}"),
        )
    })
}

fn user() -> String {
    let named = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    named.map_or_else(|| "nobody".to_owned(), |user| user.name)
}

fn notify(letter: &mut Letter, options: &Options) -> Result<(), Refusal> {
    let Some(conditions) = &options.notify else { return Ok(()) };
    let wrong = || Refusal(USAGE, format!("-N {conditions}: never, or some of success, failure, delay"));
    let words: Vec<String> = conditions.split(',').map(|word| word.trim().to_ascii_lowercase()).collect();
    let known = ["success", "failure", "delay"];
    let has = |word: &str| words.iter().any(|one| one == word);
    let notify = match words.as_slice() {
        [never] if never == "never" => Notify::Never,
        some if some.iter().all(|word| known.contains(&word.as_str())) => {
            Notify::On { success: has("success"), failure: has("failure"), delay: has("delay") }
        }
        _ => return Err(wrong()),
    };
    letter.envelope.recipients.iter_mut().for_each(|recipient| recipient.notify = Some(notify));
    Ok(())
}

/// The servers of the configuration, or this machine's.
fn servers(configuration: &Configuration) -> Vec<SocketAddr> {
    if configuration.servers.is_empty() {
        return vec![SocketAddr::from(([127, 0, 0, 1], 25)), SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 25))];
    }
    configuration.servers.clone()
}

async fn hand_over(
    letter: &Letter,
    configuration: &Configuration,
    domain: &Domain,
    verbose: bool,
) -> Result<(), Refusal> {
    let resolver = Resolver::system()
        .or_else(|_| Resolver::with_servers(&[SocketAddr::from(([127, 0, 0, 1], 53))], net::dns::DnsProtocol::Any));
    let resolver = resolver.map_err(|error| Refusal(TEMPORARY_FAILURE, error.to_string()))?;
    let plan = SessionPlan::new(NextHop::Addresses(servers(configuration)), domain.clone());
    let sender = Sender::new(resolver, TlsClient::new(TrustedRoots::none()));
    let mut session = sender.open(&plan, 0).await.map_err(|failure| no_server(&failure))?;
    let outcome = session.send(OutboundMessage::new(&letter.envelope, Content::Whole(&letter.content))).await;
    Box::new(session).close().await;
    let mut refusal = None;
    for (recipient, result) in letter.envelope.recipients.iter().zip(outcome.recipients) {
        match result {
            Ok(reply) if verbose => eprintln!("{}: {}", recipient.address, output::harmless(&reply.to_string())),
            Ok(_) => {}
            Err(failure) => {
                let status = status(&failure);
                let text = format!("{}: {failure}", recipient.address);
                // Of several the one that may still be mended counts.
                if refusal.as_ref().is_none_or(|Refusal(known, _)| *known != TEMPORARY_FAILURE) {
                    refusal = Some(Refusal(status, text));
                }
            }
        }
    }
    refusal.map_or(Ok(()), Err)
}

fn no_server(failure: &Failure) -> Refusal {
    let text = match failure.phase {
        FailurePhase::Connect => {
            format!(
                "no server answers: {failure}. Nothing was sent, and nothing is kept here: try again later, or name servers in {CONFIGURATION}"
            )
        }
        _ => format!("{failure}. Nothing was sent, and nothing is kept here"),
    };
    Refusal(TEMPORARY_FAILURE, text)
}

fn status(failure: &Failure) -> u8 {
    match (failure.severity, failure.phase) {
        (Severity::Transient, _) => TEMPORARY_FAILURE,
        (_, FailurePhase::Dialogue(smtp_session::client::Phase::Recipient)) => NO_USER,
        _ => UNAVAILABLE,
    }
}
