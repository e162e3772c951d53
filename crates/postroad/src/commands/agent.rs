//! `postroad agent`: delivery agents of this program, each taking the mail of Delivery Agent connectors to another system.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use agents::http::Http;
use agents::lmtp::{Lmtp, Place};
use agents::{Agent, Attending};
use anyhow::{Context, bail};
use envelope::ServerName;
use net::TlsClient;
use net::dns::Resolver;
use net::http::HttpPlace;
use net::tls::TrustedRoots;
use runtime::drain_on_signals;
use telemetry::{LogSettings, Telemetry, TelemetrySettings};
use zeroize::Zeroizing;

const EXAMPLES: &str = "\
Examples:
  # Mail of a connector with deliveryProtocol LMTP to Dovecot's LMTP, by its socket or by TCP.
  postroad agent lmtp --socket /run/postroad-agents/transport.sock --to /run/dovecot/lmtp
  postroad agent lmtp --socket /run/postroad-agents/transport.sock --protocol LISTS --to 127.0.0.1:8024 --connections 4

  # Text messages by a gateway that takes JSON, signed with the secret in that file.
  postroad agent http --socket /run/postroad-agents/transport.sock --protocol MOBILE \\
    --to https://sms.example/messages --secret-file /etc/postroad-sms.secret

Run it beside Transport on each source server of the connector, as a user whom [agents] in the settings
names; Transport's socket is services.transport.socket. It keeps nothing: what it has not answered is given
again. SIGTERM ends it after the messages under way. docs/agents.md says how to write one.";

/// Arguments of `postroad agent`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AgentArguments {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(clap::Subcommand)]
enum Kind {
    /// Deliver to a server that speaks LMTP (RFC 2033), such as Dovecot.
    Lmtp(LmtpArguments),
    /// Post each message as a JSON document: to gateways of text messages, ticket systems, chats.
    Http(HttpArguments),
}

/// Arguments of every agent.
#[derive(clap::Args)]
struct CommonArguments {
    /// Unix socket of Transport on this server.
    #[arg(long, value_name = "FILE")]
    socket: PathBuf,
    /// Messages that are delivered at once; the connector's maxConcurrentConnections holds too.
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    connections: u32,
    /// What is logged, as RUST_LOG says it.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log: String,
}

/// Arguments of `postroad agent http`.
#[derive(clap::Args)]
struct HttpArguments {
    #[command(flatten)]
    common: CommonArguments,
    /// Where documents are posted: `https://…`; `http://` on this machine alone.
    #[arg(long, value_name = "URL", value_parser = http_place)]
    to: HttpPlace,
    /// `deliveryProtocol` of the connectors whose mail is taken.
    #[arg(long, value_name = "NAME", default_value = "MOBILE")]
    protocol: String,
    /// File whose content signs each document (HMAC with SHA-256, in the field Postroad-Signature); a line end after it does not count.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Further authorities (PEM) by which the server is known, besides the system's.
    #[arg(long, value_name = "FILE")]
    trusted_roots: Option<PathBuf>,
}

/// Arguments of `postroad agent lmtp`.
#[derive(clap::Args)]
struct LmtpArguments {
    #[command(flatten)]
    common: CommonArguments,
    /// Where the LMTP server is: an address with its port, or a Unix socket.
    #[arg(long, value_name = "PLACE", value_parser = place)]
    to: Place,
    /// `deliveryProtocol` of the connectors whose mail is taken.
    #[arg(long, value_name = "NAME", default_value = "LMTP")]
    protocol: String,
    /// How this host calls itself in LHLO.
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    host: String,
}

fn http_place(text: &str) -> Result<HttpPlace, String> {
    let place = HttpPlace::of(text).ok_or("write an address such as https://sms.example/messages")?;
    if place.is_secure() || place.is_local() {
        return Ok(place);
    }
    Err("mail leaves this machine by https:// alone".to_owned())
}

fn place(text: &str) -> Result<Place, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Place::Address(address));
    }
    if text.starts_with('/') {
        return Ok(Place::Socket(text.into()));
    }
    Err("write an address with its port, such as 127.0.0.1:24, or the whole path of a socket".to_owned())
}

pub(crate) async fn run(arguments: AgentArguments) -> anyhow::Result<ExitCode> {
    let (common, protocol, kind, agent): (_, _, _, Arc<dyn Agent>) = match arguments.kind {
        Kind::Lmtp(LmtpArguments { common, to, protocol, host }) => {
            (common, protocol, "lmtp", Arc::new(Lmtp { place: to, host: host.into() }))
        }
        Kind::Http(arguments) => {
            let agent = Arc::new(http(&arguments)?);
            (arguments.common, arguments.protocol, "http", agent)
        }
    };
    let CommonArguments { socket, connections, log } = common;
    let telemetry = Telemetry::install(&TelemetrySettings {
        service: "agent",
        version: env!("CARGO_PKG_VERSION"),
        server: ServerName::parse("agent")?,
        site: None,
        logs: LogSettings { filter: log, ..LogSettings::default() },
        collector: None,
    })?;
    let drain = drain_on_signals().context("cannot listen for signals")?;
    let name = format!("postroad-{kind} {}", env!("CARGO_PKG_VERSION"));
    let source = Attending { socket, protocol: protocol.into(), name: name.into(), connections };
    agents::serve(&source, &agent, &drain).await;
    telemetry.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

fn http(arguments: &HttpArguments) -> anyhow::Result<Http> {
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let secret = arguments.secret_file.as_ref().map(read).transpose()?.map(|octets| {
        let line = octets.strip_suffix(b"\n").unwrap_or(&octets);
        Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
    });
    if secret.as_ref().is_some_and(|secret| secret.is_empty()) {
        bail!("the secret file is empty");
    }
    let mut roots = TrustedRoots::system();
    if let Some(path) = &arguments.trusted_roots {
        let text = String::from_utf8(read(path)?).with_context(|| format!("{} is no text", path.display()))?;
        roots = roots.and_pem(&text).with_context(|| format!("{}", path.display()))?;
    }
    let resolver = Resolver::system().context("the name servers of this machine cannot be found")?;
    Ok(Http { place: arguments.to.clone(), resolver, tls: TlsClient::new(roots), secret })
}
