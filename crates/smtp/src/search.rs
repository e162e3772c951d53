//! Whom one message may be offered to, one host after the other (RFC 5321 §5.1): names are looked up when their turn
//! comes, and a session is opened with the first host that takes one.
//!
//! A search goes on where it stopped: what the first host does not take is offered to the second in the same attempt. It is
//! bounded in calls and in time; whoever did not answer lately is called after the others, so that the next attempt reaches
//! the hosts that this one had no room for.

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use envelope::Severity;
use net::{Host, forbidden_target};
use tokio::time::Instant;

use crate::call::Caller;
use crate::failure::{Failure, FailurePhase, Peer};
use crate::outbound::SmtpSession;
use crate::plan::NextHop;
pub use crate::silent::LATELY;
use crate::silent::Whom;
use crate::targets::{self, Target};

/// Most addresses called for one message, over all hosts: a domain with a hundred dead exchangers must not hold a lane for
/// an hour. Default 10 calls; the next attempt begins with the others.
pub const CALLS_MAX: usize = 10;
/// Most sessions for one message that end without its being done. Default 5; Postfix opens 2, Exim one per address.
pub const SESSIONS_MAX: usize = 5;
/// Time after which no further host is looked for. Default 5 minutes: names that do not resolve take it too.
pub const SEARCH_TIME_MAX: Duration = Duration::from_mins(5);
/// What is to be done next.
#[derive(Clone)]
enum Step {
    /// A smart host: it may stand for its exchangers.
    SmartHost(Host),
    /// A host whose addresses are to be looked up.
    Host(Target),
    Call(Target, SocketAddr),
}

/// The hosts of one plan, and how far this message has come among them.
pub(crate) struct Search {
    caller: Caller,
    turn: u64,
    /// As they were in the beginning.
    all: Vec<Step>,
    steps: VecDeque<Step>,
    /// Those that did not answer lately.
    last: VecDeque<Step>,
    /// Who was offered the message already.
    offered: HashSet<SocketAddr>,
    calls: usize,
    sessions: usize,
    deadline: Instant,
    failure: Option<Box<Failure>>,
    /// All of them, in order: at most one for each call and name.
    noted: Vec<Failure>,
}

impl Search {
    /// Finds out whom a plan means.
    pub(crate) async fn begin(caller: Caller, turn: u64) -> Result<Self, Box<Failure>> {
        let all: Vec<Step> = match &caller.plan.next_hop {
            NextHop::Mx(domain) => {
                let found = targets::exchangers(domain, &caller.resolver, turn).await?;
                targets::without_ourselves(found, &caller.plan.ourselves, domain)?.into_iter().map(Step::Host).collect()
            }
            NextHop::SmartHosts(hosts) => targets::rotated(hosts, turn).into_iter().map(Step::SmartHost).collect(),
            NextHop::Addresses(addresses) => addresses.iter().map(|address| direct(*address)).collect(),
        };
        let mut search = Self {
            caller,
            turn,
            all,
            steps: VecDeque::new(),
            last: VecDeque::new(),
            offered: HashSet::new(),
            calls: 0,
            sessions: 0,
            deadline: Instant::now(),
            failure: None,
            noted: Vec::new(),
        };
        search.restart(None);
        Ok(search)
    }

    /// Another message: every host may be offered it, but for the one whose session it begins with.
    pub(crate) fn restart(&mut self, with: Option<SocketAddr>) {
        self.steps = self.all.clone().into();
        self.last.clear();
        self.offered = with.into_iter().collect();
        (self.calls, self.sessions) = (0, 0);
        self.deadline = Instant::now() + SEARCH_TIME_MAX;
        self.failure = None;
        self.noted.clear();
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Why no host was found, where one was looked for.
    pub(crate) fn failure(&mut self) -> Option<Box<Failure>> {
        self.failure.take()
    }

    /// Every failure since this was asked last, in order.
    pub(crate) fn take_noted(&mut self) -> Vec<Failure> {
        std::mem::take(&mut self.noted)
    }

    /// Whether there may be another host for the message.
    pub(crate) fn may_go_on(&self) -> bool {
        let left = self.steps.iter().chain(&self.last).any(|step| match step {
            Step::Call(_, address) => !self.offered.contains(address),
            Step::SmartHost(_) | Step::Host(_) => true,
        });
        left && self.calls < CALLS_MAX && self.sessions < SESSIONS_MAX && Instant::now() < self.deadline
    }

    /// A session with the next host that takes one.
    pub(crate) async fn next(&mut self) -> Option<SmtpSession> {
        while self.may_go_on() {
            let (step, again) = match self.steps.pop_front() {
                Some(step) => (step, false),
                None => (self.last.pop_front()?, true),
            };
            if !again && self.whom(&step).is_some_and(|whom| self.caller.silent.has(&whom)) {
                self.last.push_back(step);
                continue;
            }
            match step {
                Step::SmartHost(host) => self.look_up_smart_host(&host).await,
                Step::Host(target) => self.look_up(target).await,
                Step::Call(target, address) => {
                    if let Some(session) = self.call(&target, address).await {
                        self.sessions += 1;
                        return Some(session);
                    }
                }
            }
        }
        None
    }

    fn whom(&self, step: &Step) -> Option<Whom> {
        match step {
            Step::SmartHost(_) => None,
            Step::Host(target) => Some(Whom::Host(target.host.clone())),
            Step::Call(_, address) => Some(Whom::Address(*address)),
        }
    }

    async fn look_up_smart_host(&mut self, host: &Host) {
        match targets::smart_host(host, &self.caller.resolver, self.turn).await {
            Ok(targets) => targets.into_iter().rev().for_each(|target| self.steps.push_front(Step::Host(target))),
            Err(failure) => self.note(failure),
        }
    }

    async fn look_up(&mut self, target: Target) {
        let found = match &target.host {
            Host::Address(address) => Ok(vec![*address]),
            Host::Name(name) => self.caller.resolver.addresses(name).await.map_err(|error| (name.clone(), error)),
        };
        match found {
            Ok(addresses) => self.put_calls(&target, &addresses),
            Err((name, error)) => {
                if error.is_transient() {
                    self.caller.silent.note(Whom::Host(target.host));
                }
                let failure = match &self.caller.plan.next_hop {
                    NextHop::Mx(_) => Box::new(Failure::no_such_domain(&name, &error)),
                    _ => targets::transient(&name, &error),
                };
                self.note(failure);
            }
        }
    }

    fn put_calls(&mut self, target: &Target, addresses: &[IpAddr]) {
        let port = self.caller.plan.port;
        for address in addresses.iter().rev() {
            self.steps.push_front(Step::Call(target.clone(), SocketAddr::new(*address, port)));
        }
    }

    async fn call(&mut self, target: &Target, address: SocketAddr) -> Option<SmtpSession> {
        if self.offered.contains(&address) {
            return None;
        }
        if let NextHop::Mx(domain) = &self.caller.plan.next_hop {
            if self.caller.plan.ourselves.has(address) {
                // RFC 5321 §5.1: neither this server nor what is not better than it.
                let failure = Failure::mx_loopback(domain, Some((target.host.clone(), address)));
                self.drop_from(target.preference);
                self.note(Box::new(failure));
                return None;
            }
            if let Some(why) = forbidden_target(address.ip(), &self.caller.plan.targets) {
                let peer = Peer { host: target.host.clone(), address: Some(address) };
                self.note(Box::new(Failure::forbidden(peer, why)));
                return None;
            }
        }
        self.calls += 1;
        self.offered.insert(address);
        let whom = Whom::Address(address);
        match self.caller.call(target, address).await {
            Ok(session) => {
                self.caller.silent.forget(&whom);
                Some(session)
            }
            Err(failure) => {
                if failure.phase == FailurePhase::Connect {
                    self.caller.silent.note(whom);
                }
                self.note(failure);
                None
            }
        }
    }

    fn drop_from(&mut self, preference: Option<u16>) {
        let better = |step: &Step| match step {
            Step::Host(target) | Step::Call(target, _) => target.preference < preference,
            Step::SmartHost(_) => true,
        };
        self.steps.retain(better);
        self.last.retain(better);
    }

    /// The last failure counts, but none that bounces mail while another host may still take it.
    fn note(&mut self, failure: Box<Failure>) {
        self.noted.push((*failure).clone());
        let known_transient = self.failure.as_ref().is_some_and(|known| known.severity == Severity::Transient);
        if failure.severity == Severity::Transient || !known_transient {
            self.failure = Some(failure);
        }
    }
}

fn direct(address: SocketAddr) -> Step {
    let host = Host::Address(address.ip());
    Step::Call(Target { configured: host.clone(), host, preference: None }, address)
}

pub(crate) fn nobody_to_call() -> Box<Failure> {
    let status = envelope::EnhancedStatus::new(4, 4, 4);
    Box::new(Failure::new(status, FailurePhase::Resolve, None, "there is no host to send to"))
}
