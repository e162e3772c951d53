//! `postroad lab internet`: what is around an organization, alone: DNS, the hosts of the internet and the trace receiver,
//! for an organization whose services somebody else starts, such as the containers of `deploy/compose`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use lab::{Internet, InternetOptions, TraceReceiver};
use net::{CertificateAuthority, KeyedCertificate};
use runtime::drain_on_signals;

use super::read;

/// Fourth octet of the trace receiver, in the network of DNS (53).
const TRACES_HOST: u8 = 4;
/// Registered for OTLP over gRPC.
const TRACES_PORT: u16 = 4317;

/// Arguments of `postroad lab internet`.
#[derive(clap::Args)]
pub(super) struct InternetArguments {
    /// Lab file: its `internet:` and `lab:` sections count.
    #[arg(value_name = "FILE", default_value = "deploy/lab/two-sites.yaml")]
    file: PathBuf,
    /// Network of it all, first two octets: DNS at N.N.0.53, traces at N.N.0.4:4317, hosts from N.N.1.1 on. This machine
    /// must have the addresses.
    #[arg(long, value_name = "ADDRESS", default_value = "127.77.0.0")]
    network: Ipv4Addr,
    /// Folder for `deliveries` and `traces`.
    #[arg(long, value_name = "FOLDER")]
    path: PathBuf,
    /// Authority of the hosts' certificates: the folder `ca` of a `postroad cert init` of its own.
    #[arg(long, value_name = "FOLDER")]
    authority: PathBuf,
}

pub(super) async fn run(arguments: InternetArguments) -> anyhow::Result<ExitCode> {
    let drain = drain_on_signals().context("cannot listen for signals")?;
    let file = read(&arguments.file)?;
    let authority = KeyedCertificate::load_from(&arguments.authority).and_then(CertificateAuthority::load);
    let authority = authority.context("--authority is the folder ca of a `postroad cert init`")?;
    let options = InternetOptions {
        network: arguments.network,
        smtp_port: file.settings.smtp_port,
        dns_port: file.settings.dns_port,
        deliveries: arguments.path.join("deliveries"),
        names: BTreeMap::new(),
    };
    let internet = Internet::start(&file.internet, &options, Arc::new(authority)).await?;
    let [first, second, ..] = arguments.network.octets();
    let address = SocketAddr::from(([first, second, 0, TRACES_HOST], TRACES_PORT));
    let traces = TraceReceiver::start(address, &arguments.path.join("traces")).await?;
    println!("DNS {}, hosts on port {}, traces {}", internet.dns_address(), internet.smtp_port(), traces.endpoint());
    drain.cancelled().await;
    internet.stop().await;
    traces.stop().await;
    Ok(ExitCode::SUCCESS)
}
