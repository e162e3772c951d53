//! `postroad health`: whether the services of a server are ready, by which configuration they work, what waits in their
//! queues, and which of their resources are short. The health check of a container, which has no other program to ask with.
//!
//! The questions and their table serve `postroad lab status` too.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use net::Service;
use pressure::Level;
use runtime::Settings;
use serde::Serialize;
use telemetry::{catalogue, probe};
use tokio::task::JoinSet;

use super::output;

const EXAMPLES: &str = "\
Examples:
  # All services of a server; one of them, as the health check of a container.
  postroad health --settings /etc/postroad/server.toml
  postroad health transport --settings /etc/postroad/server.toml
  postroad health -s /etc/postroad/server.toml --json | jq -r 'select(.ready | not) | .service'

Ends with status 0 if all that were asked are ready. They are asked at services.<service>.metrics of
the settings; a service without that address cannot be.";

/// What stands between the parts of a list in a table.
const SEPARATOR: &str = ", ";

/// Arguments of `postroad health`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HealthArguments {
    /// Ask this one alone [default: every service that has an address for metrics].
    #[arg(value_name = "SERVICE", value_parser = service_parser())]
    service: Option<Service>,
    /// Settings of the server (TOML).
    #[arg(long, short, value_name = "FILE", env = "POSTROAD_SETTINGS",
          default_value = postroad::service::SETTINGS_DEFAULT)]
    settings: std::path::PathBuf,
    /// JSON Lines: one object for each service.
    #[arg(long)]
    json: bool,
}

fn service_parser() -> impl TypedValueParser<Value = Service> {
    PossibleValuesParser::new(Service::ALL.map(Service::as_str)).try_map(|name| name.parse::<Service>())
}

/// What a service said of itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    pub(crate) server: String,
    pub(crate) service: String,
    pub(crate) ready: bool,
    /// Why not.
    pub(crate) reason: Option<String>,
    /// Of the configuration that it has applied.
    pub(crate) revision: Option<u64>,
    /// Messages that it is responsible for, if it has a queue.
    pub(crate) queued: Option<u64>,
    /// Messages that wait for a next hop, by delivery type; those without any left out.
    pub(crate) waiting: Vec<(String, u64)>,
    /// How short its resources are, if it watches them (BP-19).
    pub(crate) pressure: Vec<Meter>,
}

/// One resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Meter {
    pub(crate) resource: String,
    /// `Low`, `Medium` or `High`.
    pub(crate) level: &'static str,
    /// Percent used, or messages; what could not be measured has none.
    pub(crate) measure: Option<u64>,
}

pub(crate) async fn run(arguments: HealthArguments) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(&arguments.settings)?;
    let wanted = |service: &Service| arguments.service.is_none_or(|only| only == *service);
    let addresses = Service::ALL.into_iter().filter(wanted);
    let addresses = addresses.filter_map(|service| Some((service, settings.service(service).metrics?)));
    let asked: Vec<_> = addresses.map(|(service, at)| (settings.server.to_string(), service.to_string(), at)).collect();
    if asked.is_empty() {
        let service = arguments.service.map_or("<service>", Service::as_str);
        bail!("nobody can be asked: {} has no services.{service}.metrics", arguments.settings.display());
    }
    let states = ask(asked).await;
    if arguments.json {
        let line = |state: &State| serde_json::to_string(state).map(|line| line + "\n");
        output::print_json(&states.iter().map(line).collect::<Result<String, _>>()?)?;
    } else {
        output::print(&table(&states))?;
    }
    Ok(if states.iter().all(|state| state.ready) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks all at once; the answers come in the order of the questions.
pub(crate) async fn ask(asked: Vec<(String, String, SocketAddr)>) -> Vec<State> {
    let mut answers = JoinSet::new();
    for (at, (server, service, address)) in asked.into_iter().enumerate() {
        answers.spawn(async move { (at, state(server, service, address).await) });
    }
    let mut answers = answers.join_all().await;
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, state)| state).collect()
}

async fn state(server: String, service: String, address: SocketAddr) -> State {
    let reason = match probe::ask(address, "/ready").await {
        Ok(answer) if answer.is_good() => None,
        Ok(answer) => Some(answer.body.trim_end().to_owned()),
        Err(error) => Some(format!("no answer at {address}: {error}")),
    };
    let metrics = probe::ask(address, "/metrics").await.map(|answer| answer.body).unwrap_or_default();
    let all = |instrument: &catalogue::Instrument, label: &str| {
        let name = instrument.prometheus_name();
        let found = probe::series(&metrics, &name).map(|series| (series.label(label).to_owned(), whole(series.number)));
        found.collect::<Vec<(String, u64)>>()
    };
    let one = |instrument| all(instrument, "").first().map(|(_, number)| *number);
    let mut waiting = all(&catalogue::QUEUE_LENGTH, "delivery_type");
    waiting.retain(|(_, length)| *length > 0);
    waiting.sort();
    let measures = all(&catalogue::PRESSURE_MEASURE, "resource");
    let mut pressure: Vec<Meter> = all(&catalogue::PRESSURE_LEVEL, "resource")
        .into_iter()
        .filter_map(|(resource, level)| {
            let measure = measures.iter().find(|(measured, _)| *measured == resource).map(|(_, measure)| *measure);
            Some(Meter { level: Level::from_number(level)?.as_str(), resource, measure })
        })
        .collect();
    pressure.sort_by(|one, other| one.resource.cmp(&other.resource));
    State {
        server,
        service,
        ready: reason.is_none(),
        reason,
        revision: one(&catalogue::REVISION),
        queued: one(&catalogue::QUEUED),
        waiting,
        pressure,
    }
}

/// The resources that are short.
fn pressed(state: &State) -> String {
    let short = state.pressure.iter().filter(|meter| meter.level != Level::Low.as_str());
    let text = |meter: &Meter| {
        let measure = meter.measure.map(|measure| format!(" {measure}")).unwrap_or_default();
        format!("{} {}{measure}", meter.resource, meter.level)
    };
    short.map(text).collect::<Vec<_>>().join(SEPARATOR)
}

/// Counts are whole and far below the point from which on a double is not.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of messages, or a revision")]
fn whole(number: f64) -> u64 {
    number as u64
}

/// One line for each service.
pub(crate) fn table(states: &[State]) -> String {
    let mut rows = vec![
        ["SERVER", "SERVICE", "STATE", "REVISION", "QUEUED", "PRESSURE", "WAITING FOR"].map(str::to_owned).to_vec(),
    ];
    for state in states {
        let number = |number: Option<u64>| number.map_or("–".to_owned(), |number| number.to_string());
        let waiting: Vec<String> = state.waiting.iter().map(|(kind, length)| format!("{kind} {length}")).collect();
        rows.push(vec![
            state.server.clone(),
            state.service.clone(),
            state.reason.clone().unwrap_or_else(|| "ready".to_owned()),
            number(state.revision),
            number(state.queued),
            pressed(state),
            waiting.join(SEPARATOR),
        ]);
    }
    output::table(&rows)
}
