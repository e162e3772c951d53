//! Which services of other servers failed lately: they are tried last among their equals, until they succeed once
//! (RT-24). One record for all services of a process, because what one of them found out the others need not.
//!
//! ```text
//!            failed                      failed: counted on
//!   unknown ───────▶ failed ◀──────────────────────────────┐
//!      │               │ │ └───────────────────────────────┘
//!      │ succeeded     │ └─ FAILURE_MEMORY without another try: among its equals again, the count stays
//!      └────▶ well ◀───┘ succeeded, or it has started anew
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use envelope::{ServerName, Timestamp};
use net::Service;
use parking_lot::Mutex;

use crate::clock::Clock;

/// How long a failure counts when nobody tries again: a server that is well again is found out by then even if its equals
/// never fail.
pub const FAILURE_MEMORY: Duration = Duration::from_secs(300);
/// What nobody has spoken to for this long is forgotten when something new is heard of: servers come and go.
pub const PEER_MEMORY: Duration = Duration::from_secs(24 * 3600);
/// Octets of a cause that are kept.
const CAUSE_OCTETS_MAX: usize = 1024;

/// What this process knows of a service of another server, as it is told (RT-24).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerState {
    /// Which server.
    pub server: ServerName,
    /// Which service.
    pub service: Service,
    /// It failed lately and has not succeeded since: tried last among its equals.
    pub failed: bool,
    /// Failures in a row.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
    /// When the last of them was.
    pub last_failure: Option<Timestamp>,
    /// When it worked last.
    pub last_success: Option<Timestamp>,
    /// Why it failed last.
    pub last_error: Option<Box<str>>,
}

/// What is known of one service of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Record {
    failures: u32,
    failing_since: Option<Timestamp>,
    last_failure: Option<Timestamp>,
    last_success: Option<Timestamp>,
    last_error: Option<Box<str>>,
}

impl Record {
    fn has_failed(&self, now: Timestamp) -> bool {
        self.failures > 0 && self.last_failure.is_some_and(|at| now.since(at) < FAILURE_MEMORY)
    }

    fn last_heard(&self) -> Option<Timestamp> {
        self.last_failure.max(self.last_success)
    }
}

/// Records of all peers; time is an argument.
#[derive(Debug, Default)]
struct Records(HashMap<ServerName, BTreeMap<Service, Record>>);

impl Records {
    fn failed(&mut self, server: &ServerName, service: Service, cause: &str, now: Timestamp) {
        let record = self.record(server, service, now);
        record.failing_since = record.failing_since.or(Some(now));
        record.failures = record.failures.saturating_add(1);
        record.last_failure = Some(now);
        record.last_error = Some(cause[..cause.floor_char_boundary(CAUSE_OCTETS_MAX)].into());
    }

    fn succeeded(&mut self, server: &ServerName, service: Service, now: Timestamp) {
        let record = self.record(server, service, now);
        if record.failures > 0 {
            *record = Record::default();
        }
        record.last_success = Some(now);
    }

    /// What is known of a service from before its last start says nothing about it now.
    fn started(&mut self, server: &ServerName, service: Service) {
        if let Some(record) = self.0.get_mut(server).and_then(|services| services.get_mut(&service)) {
            *record = Record { last_success: record.last_success, ..Record::default() };
        }
    }

    fn record(&mut self, server: &ServerName, service: Service, now: Timestamp) -> &mut Record {
        if !self.0.get(server).is_some_and(|services| services.contains_key(&service)) {
            self.forget_old(now);
            self.0.entry(server.clone()).or_default().insert(service, Record::default());
        }
        let services = self.0.get_mut(server);
        services.and_then(|services| services.get_mut(&service)).expect("it was put there if it was missing")
    }

    fn forget_old(&mut self, now: Timestamp) {
        let lately = |record: &Record| record.last_heard().is_some_and(|at| now.since(at) < PEER_MEMORY);
        self.0.retain(|_, services| {
            services.retain(|_, record| lately(record));
            !services.is_empty()
        });
    }

    fn has_failed(&self, server: &ServerName, service: Service, now: Timestamp) -> bool {
        self.0.get(server).and_then(|services| services.get(&service)).is_some_and(|record| record.has_failed(now))
    }

    fn entries(&self, now: Timestamp) -> Vec<PeerState> {
        let services = self.0.iter().flat_map(|(server, services)| services.iter().map(move |peer| (server, peer)));
        let entry = |(server, (service, record)): (&ServerName, (&Service, &Record))| PeerState {
            server: server.clone(),
            service: *service,
            failed: record.has_failed(now),
            failures: record.failures,
            failing_since: record.failing_since,
            last_failure: record.last_failure,
            last_success: record.last_success,
            last_error: record.last_error.clone(),
        };
        let mut entries: Vec<PeerState> = services.map(entry).collect();
        entries.sort_by(|one, other| (&one.server, one.service).cmp(&(&other.server, other.service)));
        entries
    }
}

/// What the services of a process know of those of other servers. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct PeerHealth {
    records: Arc<Mutex<Records>>,
    clock: Clock,
}

impl PeerHealth {
    /// A connection or transfer failed.
    pub fn failed(&self, server: &ServerName, service: Service, cause: &dyn Display) {
        let cause = cause.to_string();
        self.records.lock().failed(server, service, &cause, self.clock.now());
    }

    /// It worked.
    pub fn succeeded(&self, server: &ServerName, service: Service) {
        self.records.lock().succeeded(server, service, self.clock.now());
    }

    /// It has started anew: it stands among its equals again.
    pub fn started(&self, server: &ServerName, service: Service) {
        self.records.lock().started(server, service);
    }

    /// Whether it failed lately and has not succeeded since.
    #[must_use]
    pub fn has_failed(&self, server: &ServerName, service: Service) -> bool {
        self.records.lock().has_failed(server, service, self.clock.now())
    }

    /// Everything that is known, by server and service.
    #[must_use]
    pub fn entries(&self) -> Vec<PeerState> {
        self.records.lock().entries(self.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * SECOND)
    }

    fn name(text: &str) -> ServerName {
        ServerName::parse(text).unwrap()
    }

    #[test]
    fn a_failure_counts_until_a_success_or_until_it_is_old() {
        // RT-24
        let (mut records, server) = (Records::default(), name("OSLO1"));
        let failed = |records: &Records, now| records.has_failed(&server, Service::Transport, now);
        assert!(!failed(&records, at(0)), "nothing is known");
        records.failed(&server, Service::Transport, "refused", at(10));
        assert!(failed(&records, at(11)));
        assert!(!records.has_failed(&server, Service::MailboxDelivery, at(11)), "another service of the same server");
        assert!(!records.has_failed(&name("OSLO2"), Service::Transport, at(11)), "another server");
        records.succeeded(&server, Service::Transport, at(12));
        assert!(!failed(&records, at(12)), "it succeeded once");
        records.failed(&server, Service::Transport, "refused", at(20));
        let memory = FAILURE_MEMORY.as_secs();
        assert!(failed(&records, at(20 + memory - 1)));
        assert!(!failed(&records, at(20 + memory)), "it may be tried again");
        records.failed(&server, Service::Transport, "refused", at(20 + memory));
        assert!(failed(&records, at(20 + memory + memory - 1)), "and it failed again");
    }

    #[test]
    fn failures_in_a_row_are_counted_from_the_first_and_told_with_the_last_cause() {
        let (mut records, server) = (Records::default(), name("OSLO1"));
        records.succeeded(&server, Service::Transport, at(1));
        records.failed(&server, Service::Transport, "refused", at(2));
        records.failed(&server, Service::Transport, &"ö".repeat(CAUSE_OCTETS_MAX), at(5));
        let [entry] = records.entries(at(6)).try_into().unwrap();
        assert_eq!((entry.failed, entry.failures), (true, 2));
        assert_eq!((entry.failing_since, entry.last_failure), (Some(at(2)), Some(at(5))));
        assert_eq!(entry.last_success, Some(at(1)));
        assert!(entry.last_error.is_some_and(|cause| cause.starts_with("öö") && cause.len() <= CAUSE_OCTETS_MAX));
        records.succeeded(&server, Service::Transport, at(7));
        let [entry] = records.entries(at(8)).try_into().unwrap();
        assert_eq!((entry.failed, entry.failures, entry.failing_since, entry.last_error), (false, 0, None, None));
        assert_eq!(entry.last_success, Some(at(7)));
    }

    #[test]
    fn a_service_that_has_started_anew_has_not_failed() {
        let (mut records, server) = (Records::default(), name("OSLO1"));
        records.started(&server, Service::Transport);
        assert!(records.entries(at(0)).is_empty(), "nothing is known of it");
        records.failed(&server, Service::Transport, "refused", at(1));
        records.started(&server, Service::MailboxDelivery);
        assert!(records.has_failed(&server, Service::Transport, at(2)), "another service did");
        records.started(&server, Service::Transport);
        assert!(!records.has_failed(&server, Service::Transport, at(2)));
    }

    #[test]
    fn servers_that_are_gone_are_forgotten() {
        let mut records = Records::default();
        records.failed(&name("OLD1"), Service::Transport, "refused", at(0));
        records.succeeded(&name("OLD2"), Service::Transport, at(1));
        let day = PEER_MEMORY.as_secs();
        records.succeeded(&name("NEW1"), Service::Transport, at(day));
        let known: Vec<_> = records.entries(at(day)).into_iter().map(|entry| entry.server.to_string()).collect();
        assert_eq!(known, ["NEW1", "OLD2"], "of a day ago, and of just less");
    }

    #[test]
    fn what_one_service_of_a_process_found_out_the_others_know() {
        let (one, server) = (PeerHealth::default(), name("OSLO1"));
        let other = one.clone();
        let failed = |health: &PeerHealth| health.entries().iter().filter(|entry| entry.failed).count();
        one.failed(&server, Service::Transport, &"refused");
        assert!(other.has_failed(&server, Service::Transport));
        assert_eq!(failed(&other), 1);
        other.succeeded(&server, Service::Transport);
        assert!(!one.has_failed(&server, Service::Transport));
        assert_eq!(failed(&one), 0);
    }
}
