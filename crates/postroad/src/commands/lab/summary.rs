//! A lab of many servers in few lines: how its sites are, and in detail whatever is not well. `--all` names every server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use lab::LabStatus;
use lab::world::{Links, ServerStatus};

use super::super::health::{self, State};
use super::super::output;

/// Services that are not well, shown in detail; the others are counted.
const UNWELL_SHOWN_MAX: usize = 40;

/// What a site amounts to.
#[derive(Default)]
struct Site {
    servers: usize,
    services: usize,
    ready: usize,
    queued: u64,
    waiting: BTreeMap<String, u64>,
    revisions: BTreeSet<u64>,
    processes: BTreeSet<u32>,
}

impl Site {
    fn row(&self, name: &str) -> Vec<String> {
        let waiting: Vec<String> = self.waiting.iter().map(|(kind, length)| format!("{kind} {length}")).collect();
        let revisions: Vec<String> = self.revisions.iter().map(ToString::to_string).collect();
        let ready = if self.ready == self.services {
            self.services.to_string()
        } else {
            format!("{} of {}", self.ready, self.services)
        };
        let (servers, queued, processes) = (self.servers, self.queued, self.processes.len());
        vec![
            name.to_owned(),
            servers.to_string(),
            ready,
            queued.to_string(),
            waiting.join(", "),
            revisions.join(", "),
            processes.to_string(),
        ]
    }
}

/// Where the lab is, as `lab up` says it.
pub(super) fn place(status: &LabStatus) -> String {
    let mut text = around(status);
    if let Some(server) = status.servers.first() {
        let processes: BTreeSet<u32> = pids(&status.servers).collect();
        let _ = writeln!(
            text,
            "servers      {} in {} sites, {} processes; `postroad lab status --all` names every one",
            status.servers.len(),
            sites(&status.servers).count(),
            processes.len()
        );
        let address = |address: Option<std::net::SocketAddr>| address.map_or("–".to_owned(), |at| at.to_string());
        let (smtp, clients) = (address(server.smtp), address(server.submission));
        let _ = writeln!(text, "such as      {}: SMTP {smtp}, clients {clients}", server.name);
        let _ = writeln!(text, "             settings {}", server.settings.display());
    }
    text
}

fn around(status: &LabStatus) -> String {
    format!("internet     DNS {}, hosts on port {}\ntraces       {}\n", status.dns, status.smtp_port, status.otlp)
}

fn sites(servers: &[ServerStatus]) -> impl Iterator<Item = &str> {
    let sites: BTreeSet<&str> = servers.iter().map(|server| server.site.as_str()).collect();
    sites.into_iter()
}

fn pids(servers: &[ServerStatus]) -> impl Iterator<Item = u32> {
    servers.iter().flat_map(|server| server.processes.iter().map(|process| process.pid))
}

/// How its sites are, by what the services say; in detail what is not well.
pub(super) fn report(status: &LabStatus, states: &[State], links: Option<&Links>) -> String {
    let mut sites: BTreeMap<&str, Site> = BTreeMap::new();
    let site_of: BTreeMap<&str, &str> =
        status.servers.iter().map(|server| (server.name.as_str(), server.site.as_str())).collect();
    for server in &status.servers {
        let site = sites.entry(&server.site).or_default();
        site.servers += 1;
        site.processes.extend(server.processes.iter().map(|process| process.pid));
    }
    for state in states {
        let Some(site) = site_of.get(state.server.as_str()).and_then(|site| sites.get_mut(site)) else { continue };
        site.services += 1;
        site.ready += usize::from(state.ready);
        site.queued += state.queued.unwrap_or_default();
        site.revisions.extend(state.revision);
        for (kind, length) in &state.waiting {
            *site.waiting.entry(kind.clone()).or_default() += length;
        }
    }
    let heading = ["SITE", "SERVERS", "SERVICES READY", "QUEUED", "WAITING FOR", "REVISION", "PROCESSES"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(sites.iter().map(|(name, site)| site.row(name)));
    let mut text = format!("{}\n{}", around(status), output::table(&rows));
    let gone: Vec<&str> =
        status.servers.iter().filter(|server| server.processes.is_empty()).map(|server| server.name.as_str()).collect();
    if !gone.is_empty() {
        let _ = writeln!(text, "\nnothing runs on {}", gone.join(", "));
    }
    let unwell: Vec<State> = states.iter().filter(|state| is_unwell(state)).cloned().collect();
    if !unwell.is_empty() {
        let _ = write!(text, "\n{}", health::table(&unwell[..unwell.len().min(UNWELL_SHOWN_MAX)]));
        if let Some(more) = unwell.len().checked_sub(UNWELL_SHOWN_MAX).filter(|more| *more > 0) {
            let _ = writeln!(text, "… {more} more that are not well (--all)");
        }
    }
    let ready = states.iter().filter(|state| state.ready).count();
    let _ = writeln!(
        text,
        "\n{} servers in {} sites, {ready} of {} services ready; `--all` names every one",
        status.servers.len(),
        sites.len(),
        states.len()
    );
    text + &links.map(cuts).unwrap_or_default()
}

/// What somebody would want to look at.
fn is_unwell(state: &State) -> bool {
    health::condition(state) != "ready" || !health::pressed(state).is_empty()
}

/// How many links there are, and those that are cut.
pub(super) fn cuts(links: &Links) -> String {
    let cut: Vec<String> = links.cut.iter().map(ToString::to_string).collect();
    let cut = if cut.is_empty() { "none is cut".to_owned() } else { format!("cut: {}", cut.join(", ")) };
    format!("{} links between sites, {} of the perimeter; {cut}\n", links.pairs.len(), links.perimeter.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(site: &str, number: usize) -> ServerStatus {
        let process = |service: &str| lab::world::ProcessStatus {
            service: service.to_owned(),
            pid: 7,
            metrics: "127.0.0.1:1".parse().unwrap(),
            log: "log".into(),
        };
        ServerStatus {
            name: format!("{site}-{number}"),
            site: site.to_owned(),
            fqdn: "x.example".to_owned(),
            address: "127.0.0.1".parse().unwrap(),
            settings: "server.toml".into(),
            smtp: None,
            submission: None,
            processes: vec![process("transport"), process("mailbox-delivery")],
        }
    }

    #[test]
    fn a_site_is_a_line_and_only_what_is_not_well_is_named() {
        let status = LabStatus {
            pid: None,
            network: "127.77.0.1".parse().unwrap(),
            dns: "127.77.0.53:53".parse().unwrap(),
            smtp_port: 25,
            otlp: "http://127.77.0.1:4317".to_owned(),
            deliveries: "d".into(),
            traces: "t".into(),
            servers: (0..20).map(|number| server(if number < 10 { "Berlin" } else { "Oslo" }, number)).collect(),
        };
        let state = |server: &ServerStatus, service: &str| {
            let reason = (server.name == "Oslo-13" && service == "transport").then(|| "draining".to_owned());
            health::of_answers(server.name.clone(), service.to_owned(), reason, "")
        };
        let states: Vec<State> = status
            .servers
            .iter()
            .flat_map(|server| server.processes.iter().map(|process| state(server, &process.service)))
            .collect();
        let text = report(&status, &states, None);
        let line = |start: &str| text.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
        assert!(line("Berlin ")[0].contains(" 20 ") && line("Oslo ")[0].contains("19 of 20"), "{text}");
        assert_eq!((line("Oslo-").len(), line("Berlin-").len()), (1, 0), "{text}");
        assert!(text.contains("20 servers in 2 sites, 39 of 40 services ready"), "{text}");
    }
}
