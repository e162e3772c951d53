//! `postroad agent`: delivery agents of this program, each taking the mail of Delivery Agent connectors to another system.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use agents::lmtp::{Lmtp, Place};
use agents::{Agent, Attending};
use anyhow::Context;
use envelope::ServerName;
use runtime::drain_on_signals;
use telemetry::{LogSettings, Telemetry, TelemetrySettings};

const EXAMPLES: &str = "\
Examples:
  # Mail of a connector with deliveryProtocol LMTP to Dovecot's LMTP, by its socket or by TCP.
  postroad agent lmtp --socket /run/postroad-agents/transport.sock --to /run/dovecot/lmtp
  postroad agent lmtp --socket /run/postroad-agents/transport.sock --protocol LISTS --to 127.0.0.1:8024 --connections 4

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
}

/// Arguments of `postroad agent lmtp`.
#[derive(clap::Args)]
struct LmtpArguments {
    /// Unix socket of Transport on this server.
    #[arg(long, value_name = "FILE")]
    socket: PathBuf,
    /// Where the LMTP server is: an address with its port, or a Unix socket.
    #[arg(long, value_name = "PLACE", value_parser = place)]
    to: Place,
    /// `deliveryProtocol` of the connectors whose mail is taken.
    #[arg(long, value_name = "NAME", default_value = "LMTP")]
    protocol: String,
    /// Messages that are delivered at once; the connector's maxConcurrentConnections holds too.
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    connections: u32,
    /// How this host calls itself in LHLO.
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    host: String,
    /// What is logged, as RUST_LOG says it.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log: String,
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
    let Kind::Lmtp(LmtpArguments { socket, to, protocol, connections, host, log }) = arguments.kind;
    let telemetry = Telemetry::install(&TelemetrySettings {
        service: "agent",
        version: env!("CARGO_PKG_VERSION"),
        server: ServerName::parse("agent")?,
        site: None,
        logs: LogSettings { filter: log, ..LogSettings::default() },
        collector: None,
    })?;
    let drain = drain_on_signals().context("cannot listen for signals")?;
    let name = concat!("postroad-lmtp ", env!("CARGO_PKG_VERSION"));
    let source = Attending { socket, protocol: protocol.into(), name: name.into(), connections };
    let agent: Arc<dyn Agent> = Arc::new(Lmtp { place: to, host: host.into() });
    agents::serve(&source, &agent, &drain).await;
    telemetry.shutdown().await;
    Ok(ExitCode::SUCCESS)
}
