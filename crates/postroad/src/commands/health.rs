//! `postroad health`: whether the services of a server are ready, by which configuration they work, what waits in their
//! queues, and which of their resources are short. The health check of a container, which has no other program to ask with.
//!
//! The questions and their table serve `postroad lab status` too.

use std::net::SocketAddr;
use std::process::ExitCode;

use admin_api::ServiceHealth;
use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use futures::StreamExt;
use futures::stream;
use net::Service;
use pressure::Level;
use serde::Serialize;
use telemetry::{catalogue, probe};

use super::place::Place;
use super::{output, times};

const EXAMPLES: &str = "\
Examples:
  # All services of a server; one of them, as the health check of a container.
  postroad health --settings /etc/postroad/server.toml
  postroad health transport --settings /etc/postroad/server.toml
  # Those of another server, by its admin service.
  postroad health --api mail1.contoso.com
  # The admin centre, as the health check of its container.
  postroad health --at 127.0.0.1:9479
  postroad health -s /etc/postroad/server.toml --json | jq -r 'select(.ready | not) | .service'

Ends with status 0 if all that were asked are ready. \"directory away\" is ready: mail goes on by what
was known last, and nothing can be changed until the directory answers (`postroad check` says which members
of etcd do not). \"refused\": the directory holds what is not valid, or older than what is in use
(`postroad servers`). They are asked at services.<service>.metrics of the settings; a service without that
address cannot be.";

/// Services that are asked at the same time: more are not faster, and each is a file to this process.
const ASKED_AT_ONCE: usize = 64;
/// Certificates are told of in the table when they end within so many days.
const CERTIFICATE_SOON_DAYS: u64 = 21;
const SECONDS_OF_DAY: u64 = 24 * 60 * 60;

/// What stands between the parts of a list in a table.
const SEPARATOR: &str = ", ";

/// Arguments of `postroad health`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HealthArguments {
    /// Ask this one alone [default: every service that has an address for metrics].
    #[arg(value_name = "SERVICE", value_parser = service_parser())]
    service: Option<Service>,
    /// Ask what serves /ready there, in place of what the settings name: the admin centre at its --metrics.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with_all = ["service", "settings", "lab"])]
    at: Option<SocketAddr>,
    /// JSON Lines: one object for each service.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
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
    /// The directory does not answer it: it is ready nevertheless, and goes on by what was known last.
    pub(crate) directory_away: bool,
    /// Members of etcd that do not answer it, while the others do.
    pub(crate) directory_members_away: u64,
    /// The directory holds what it does not apply: not valid, or older than what it works by.
    pub(crate) configuration_refused: bool,
    /// Messages that it is responsible for, if it has a queue.
    pub(crate) queued: Option<u64>,
    /// Messages that wait for a next hop, by delivery type; those without any left out.
    pub(crate) waiting: Vec<(String, u64)>,
    /// How short its resources are, if it watches them (BP-19).
    pub(crate) pressure: Vec<Meter>,
    /// Logons of clients that failed or were refused since it started, if it has clients that log on.
    pub(crate) failed_logons: Option<u64>,
    /// What it shows inside the organization is void: no other hears it.
    pub(crate) certificate_revoked: bool,
    /// Its certificates, with the days that are left, the one that ends first in front.
    pub(crate) certificates: Vec<(String, u64)>,
    /// Copies that it became responsible for, and those that ended: what is between waits. Not for programs, who have the metrics.
    #[serde(skip)]
    pub(crate) ledger: Option<(u64, u64)>,
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
    let api = if arguments.at.is_some() { None } else { arguments.place.api().await? };
    let states = match api {
        Some(api) => {
            let told = api.check_health(arguments.service).await?;
            let state = |one: ServiceHealth| {
                of_answers(one.server.into(), one.service.into(), one.reason.map(String::from), &one.metrics)
            };
            told.into_iter().map(state).collect()
        }
        None => here(&arguments).await?,
    };
    if states.is_empty() {
        let service = arguments.service.map_or("<service>", Service::as_str);
        bail!("nobody can be asked: the settings have no services.{service}.metrics");
    }
    if arguments.json {
        let line = |state: &State| serde_json::to_string(state).map(|line| line + "\n");
        output::print_json(&states.iter().map(line).collect::<Result<String, _>>()?)?;
    } else {
        output::print(&table(&states))?;
    }
    Ok(if states.iter().all(|state| state.ready) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The services of the server whose settings there are.
async fn here(arguments: &HealthArguments) -> anyhow::Result<Vec<State>> {
    if let Some(at) = arguments.at {
        return Ok(ask(vec![(at.to_string(), "-".to_owned(), at)]).await);
    }
    let settings = arguments.place.settings()?;
    let wanted = |service: &Service| arguments.service.is_none_or(|wanted| wanted == *service);
    let addresses = Service::ALL.into_iter().filter(wanted);
    let addresses = addresses.filter_map(|service| Some((service, settings.service(service).metrics?)));
    let asked = addresses.map(|(service, at)| (settings.server.to_string(), service.to_string(), at)).collect();
    Ok(ask(asked).await)
}

/// Asks many at once; the answers come in the order of the questions.
pub(crate) async fn ask(asked: Vec<(String, String, SocketAddr)>) -> Vec<State> {
    let questions = asked.into_iter().map(|(server, service, address)| state(server, service, address));
    stream::iter(questions).buffered(ASKED_AT_ONCE).collect().await
}

async fn state(server: String, service: String, address: SocketAddr) -> State {
    let (reason, metrics) = probe::ready(address).await;
    of_answers(server, service, reason, &metrics)
}

/// What a service said, in the words of the table.
pub(crate) fn of_answers(server: String, service: String, reason: Option<String>, metrics: &str) -> State {
    let all = |instrument: &catalogue::Instrument, label: &str| {
        let name = instrument.prometheus_name();
        let found = probe::series(metrics, &name).map(|series| (series.label(label).to_owned(), whole(series.number)));
        found.collect::<Vec<(String, u64)>>()
    };
    let one = |instrument| all(instrument, "").first().map(|(_, number)| *number);
    // Where several services are one process they have one set of metrics.
    let has_queue = service == Service::Transport.as_str();
    let queued = one(&catalogue::QUEUED).filter(|_| has_queue);
    let mut waiting = all(&catalogue::QUEUE_LENGTH, "delivery_type");
    waiting.retain(|(_, length)| has_queue && *length > 0);
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
    let logons = all(&catalogue::LOGONS, "outcome");
    let failed = |(outcome, number): &(String, u64)| if outcome == "succeeded" { 0 } else { *number };
    let days = |(certificate, end): (String, u64)| (certificate, end.saturating_sub(seconds_now()) / SECONDS_OF_DAY);
    let mut certificates: Vec<_> = all(&catalogue::CERTIFICATE_END, "certificate").into_iter().map(days).collect();
    certificates.sort_by(|one, other| (one.1, &one.0).cmp(&(other.1, &other.0)));
    let sum = |instrument: &catalogue::Instrument| all(instrument, "").iter().map(|(_, number)| *number).sum::<u64>();
    let ended = [&catalogue::DELIVERED, &catalogue::FAILED, &catalogue::EXPIRED, &catalogue::REMOVED];
    let ledger = queued.map(|_| (sum(&catalogue::ACCEPTED), ended.into_iter().map(sum).sum()));
    State {
        ledger,
        server,
        service,
        ready: reason.is_none(),
        reason,
        revision: one(&catalogue::REVISION),
        directory_away: one(&catalogue::DIRECTORY_AWAY).is_some_and(|away| away > 0),
        directory_members_away: one(&catalogue::DIRECTORY_MEMBERS_AWAY).unwrap_or_default(),
        configuration_refused: one(&catalogue::CONFIGURATION_REFUSED).is_some_and(|refused| refused > 0),
        queued,
        waiting,
        pressure,
        failed_logons: (!logons.is_empty()).then(|| logons.iter().map(failed).sum()),
        certificate_revoked: one(&catalogue::CERTIFICATE_REVOKED).is_some_and(|revoked| revoked > 0),
        certificates,
    }
}

/// Whether it is ready, and what is wrong with the directory: a health check of one that works must not fail by that.
pub(crate) fn condition(state: &State) -> String {
    let mut condition = state.reason.as_deref().unwrap_or("ready").to_owned();
    match (state.directory_away, state.directory_members_away) {
        (true, _) => condition.push_str(", directory away"),
        (false, 1) => condition.push_str(", 1 member of etcd away"),
        (false, 2..) => condition.push_str(&format!(", {} members of etcd away", state.directory_members_away)),
        (false, 0) => {}
    }
    if state.certificate_revoked {
        condition.push_str(", its certificate revoked");
    }
    if state.configuration_refused {
        condition.push_str(", what the directory holds refused");
    }
    condition
}

fn seconds_now() -> u64 {
    times::now().as_millis() / 1000
}

/// The certificates that end soon.
fn ending(state: &State) -> String {
    let soon = state.certificates.iter().filter(|(_, days)| *days < CERTIFICATE_SOON_DAYS);
    soon.map(|(certificate, days)| format!("{certificate} ends in {days} d")).collect::<Vec<_>>().join(SEPARATOR)
}

/// The resources that are short.
pub(crate) fn pressed(state: &State) -> String {
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
        [
            "SERVER",
            "SERVICE",
            "STATE",
            "REVISION",
            "QUEUED",
            "PRESSURE",
            "FAILED LOGONS",
            "CERTIFICATES",
            "WAITING FOR",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for state in states {
        let number = |number: Option<u64>| number.map_or("–".to_owned(), |number| number.to_string());
        let waiting: Vec<String> = state.waiting.iter().map(|(kind, length)| format!("{kind} {length}")).collect();
        rows.push(vec![
            state.server.clone(),
            state.service.clone(),
            condition(state),
            number(state.revision),
            number(state.queued),
            pressed(state),
            state.failed_logons.map(|failed| failed.to_string()).unwrap_or_default(),
            ending(state),
            waiting.join(SEPARATOR),
        ]);
    }
    output::table(&rows)
}
