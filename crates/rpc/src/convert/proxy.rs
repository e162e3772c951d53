//! The words of the outbound proxy on the wire.

use std::time::Duration;

use envelope::{Domain, EnhancedStatus, Severity};
use net::{Host, TargetPolicy, Verification};
use smtp::{CredentialRequirement, Failure, FailurePhase, MessageOutcome, NextHop, Peer, SessionPlan, TlsPolicy};
use smtp_session::client::Phase;
use topology::SealedCredential;

use super::{WireError, printable, reply_from_wire, reply_to_wire};
use crate::proxy::{ProxyRequest, SealedAuthentication};
use crate::wire::proxy::v1 as wire;
use wire::failure::Phase as WirePhase;
use wire::open::NextHop as WireNextHop;
use wire::recipient_outcome::Result as WireResult;
use wire::tls::Policy;

/// Phases by their number on the wire.
const PHASES: [(WirePhase, FailurePhase); 14] = [
    (WirePhase::Resolve, FailurePhase::Resolve),
    (WirePhase::Connect, FailurePhase::Connect),
    (WirePhase::Handshake, FailurePhase::Handshake),
    (WirePhase::Banner, FailurePhase::Dialogue(Phase::Banner)),
    (WirePhase::Hello, FailurePhase::Dialogue(Phase::Hello)),
    (WirePhase::Starttls, FailurePhase::Dialogue(Phase::StartTls)),
    (WirePhase::Authentication, FailurePhase::Dialogue(Phase::Authentication)),
    (WirePhase::Idle, FailurePhase::Dialogue(Phase::Idle)),
    (WirePhase::Reset, FailurePhase::Dialogue(Phase::Reset)),
    (WirePhase::Mail, FailurePhase::Dialogue(Phase::Mail)),
    (WirePhase::Recipient, FailurePhase::Dialogue(Phase::Recipient)),
    (WirePhase::Data, FailurePhase::Dialogue(Phase::Data)),
    (WirePhase::EndOfData, FailurePhase::Dialogue(Phase::EndOfData)),
    (WirePhase::Quit, FailurePhase::Dialogue(Phase::Quit)),
];

pub(crate) fn open_to_wire(request: &ProxyRequest) -> wire::Open {
    let ProxyRequest { plan, authentication, external_dns, turn, connector, trace } = request;
    wire::Open {
        next_hop: Some(next_hop_to_wire(&plan.next_hop)),
        port: plan.port.into(),
        hello_name: plan.hello_name.to_string(),
        force_helo: plan.force_helo,
        tls: Some(tls_to_wire(&plan.tls)),
        credential: authentication.as_ref().map(|authentication| wire::Credential {
            sealed: authentication.credential.0.to_string(),
            require_validated_tls: authentication.requirement == CredentialRequirement::ValidatedTls,
        }),
        external_dns: *external_dns,
        inactivity_timeout_millis: u64::try_from(plan.inactivity_timeout.as_millis()).unwrap_or(u64::MAX),
        turn: *turn,
        traceparent: trace.map(|trace| trace.to_string()).unwrap_or_default(),
        connector: connector.to_string(),
    }
}

pub(crate) fn open_from_wire(open: wire::Open) -> Result<ProxyRequest, WireError> {
    let plan = SessionPlan {
        next_hop: next_hop_from_wire(open.next_hop.ok_or(WireError::Missing("the next hop"))?)?,
        port: u16::try_from(open.port).map_err(|_| WireError::Invalid("port"))?,
        hello_name: Domain::parse(&open.hello_name)?,
        force_helo: open.force_helo,
        tls: tls_from_wire(&open.tls.ok_or(WireError::Missing("the TLS policy"))?)?,
        authentication: None,
        inactivity_timeout: Duration::from_millis(open.inactivity_timeout_millis),
        source: None,
        targets: TargetPolicy::default(),
    };
    let authentication = open.credential.map(|credential| SealedAuthentication {
        credential: SealedCredential(credential.sealed.into()),
        requirement: if credential.require_validated_tls {
            CredentialRequirement::ValidatedTls
        } else {
            CredentialRequirement::AnyConnection
        },
    });
    Ok(ProxyRequest {
        plan,
        authentication,
        external_dns: open.external_dns,
        turn: open.turn,
        connector: printable(open.connector)?,
        trace: open.traceparent.parse().ok(),
    })
}

fn next_hop_to_wire(next_hop: &NextHop) -> WireNextHop {
    match next_hop {
        NextHop::Mx(domain) => WireNextHop::MxDomain(domain.to_string()),
        NextHop::SmartHosts(hosts) => {
            WireNextHop::SmartHosts(wire::Hosts { hosts: hosts.iter().map(ToString::to_string).collect() })
        }
        NextHop::Addresses(addresses) => {
            WireNextHop::Addresses(wire::Hosts { hosts: addresses.iter().map(ToString::to_string).collect() })
        }
    }
}

fn next_hop_from_wire(next_hop: WireNextHop) -> Result<NextHop, WireError> {
    Ok(match next_hop {
        WireNextHop::MxDomain(domain) => NextHop::Mx(Domain::parse(&domain)?),
        WireNextHop::SmartHosts(hosts) => {
            NextHop::SmartHosts(hosts.hosts.iter().map(|host| host.parse()).collect::<Result<_, _>>()?)
        }
        WireNextHop::Addresses(hosts) => {
            let parse = |address: &String| address.parse().map_err(|_| WireError::Invalid("address"));
            NextHop::Addresses(hosts.hosts.iter().map(parse).collect::<Result<_, _>>()?)
        }
    })
}

fn tls_to_wire(tls: &TlsPolicy) -> wire::Tls {
    let (policy, name) = match tls {
        TlsPolicy::Ignore => (Policy::Ignore, String::new()),
        TlsPolicy::Opportunistic => (Policy::Opportunistic, String::new()),
        TlsPolicy::Require(Verification::None) => (Policy::Encrypt, String::new()),
        TlsPolicy::Require(Verification::Chain) => (Policy::ValidateChain, String::new()),
        TlsPolicy::Require(Verification::Host(host)) => (Policy::ValidateHost, host.to_string()),
        TlsPolicy::Require(Verification::Domain(domain)) => (Policy::ValidateDomain, domain.to_string()),
        TlsPolicy::Require(Verification::Subdomains(domain)) => (Policy::ValidateSubdomains, domain.to_string()),
    };
    wire::Tls { policy: policy.into(), name }
}

/// A policy that this version does not know is refused: mail must not leave less protected than it was meant to.
fn tls_from_wire(tls: &wire::Tls) -> Result<TlsPolicy, WireError> {
    Ok(match tls.policy() {
        Policy::Unspecified => return Err(WireError::Invalid("TLS policy")),
        Policy::Ignore => TlsPolicy::Ignore,
        Policy::Opportunistic => TlsPolicy::Opportunistic,
        Policy::Encrypt => TlsPolicy::Require(Verification::None),
        Policy::ValidateChain => TlsPolicy::Require(Verification::Chain),
        Policy::ValidateHost => TlsPolicy::Require(Verification::Host(tls.name.parse()?)),
        Policy::ValidateDomain => TlsPolicy::Require(Verification::Domain(Domain::parse(&tls.name)?)),
        Policy::ValidateSubdomains => TlsPolicy::Require(Verification::Subdomains(Domain::parse(&tls.name)?)),
    })
}

pub(crate) fn peer_to_wire(peer: &Peer) -> wire::Peer {
    wire::Peer {
        host: peer.host.to_string(),
        address: peer.address.map(|address| address.to_string()).unwrap_or_default(),
    }
}

pub(crate) fn peer_from_wire(peer: &wire::Peer) -> Result<Peer, WireError> {
    let address = match peer.address.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| WireError::Invalid("address"))?),
    };
    Ok(Peer { host: peer.host.parse::<Host>()?, address })
}

pub(crate) fn failure_to_wire(failure: &Failure) -> wire::Failure {
    let phase =
        PHASES.iter().find(|(_, phase)| *phase == failure.phase).map_or(WirePhase::Unspecified, |(wire, _)| *wire);
    wire::Failure {
        permanent: failure.severity == Severity::Permanent,
        status: failure.status.to_string(),
        phase: phase.into(),
        peer: failure.peer.as_ref().map(peer_to_wire),
        reply: failure.reply.as_ref().map(reply_to_wire),
        text: failure.text.to_string(),
        ambiguous: failure.ambiguous,
    }
}

pub(crate) fn failure_from_wire(failure: &wire::Failure) -> Result<Failure, WireError> {
    // A phase that this version does not know is somewhere in the dialogue.
    let phase = PHASES
        .iter()
        .find(|(wire, _)| *wire == failure.phase())
        .map_or(FailurePhase::Dialogue(Phase::Idle), |(_, phase)| *phase);
    let severity = if failure.permanent { Severity::Permanent } else { Severity::Transient };
    let status: EnhancedStatus = failure.status.parse().map_err(|()| WireError::Invalid("status"))?;
    Ok(Failure {
        severity,
        status: status.with_severity(severity),
        phase,
        peer: failure.peer.as_ref().map(peer_from_wire).transpose()?,
        reply: failure.reply.as_ref().map(reply_from_wire).transpose()?,
        text: super::without_controls(&failure.text),
        ambiguous: failure.ambiguous,
    })
}

pub(crate) fn outcome_to_wire(outcome: &MessageOutcome) -> wire::Outcome {
    let result = |result: &Result<_, Failure>| match result {
        Ok(reply) => WireResult::Delivered(reply_to_wire(reply)),
        Err(failure) => WireResult::Failed(failure_to_wire(failure)),
    };
    let recipients = outcome.recipients.iter().map(|one| wire::RecipientOutcome { result: Some(result(one)) });
    wire::Outcome { recipients: recipients.collect(), reusable: outcome.reusable }
}

pub(crate) fn outcome_from_wire(outcome: wire::Outcome) -> Result<MessageOutcome, WireError> {
    let one = |one: wire::RecipientOutcome| match one.result.ok_or(WireError::Missing("an outcome"))? {
        WireResult::Delivered(reply) => Ok(Ok(reply_from_wire(&reply)?)),
        WireResult::Failed(failure) => Ok(Err(failure_from_wire(&failure)?)),
    };
    let recipients = outcome.recipients.into_iter().map(one).collect::<Result<_, WireError>>()?;
    Ok(MessageOutcome { recipients, reusable: outcome.reusable })
}

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::{Reply, TraceContext};

    fn request(next_hop: NextHop, tls: TlsPolicy) -> ProxyRequest {
        let plan = SessionPlan {
            port: 587,
            force_helo: true,
            tls,
            inactivity_timeout: Duration::from_secs(61),
            ..SessionPlan::new(next_hop, Domain::parse("mail.contoso.com").unwrap())
        };
        ProxyRequest {
            plan,
            authentication: Some(SealedAuthentication {
                credential: SealedCredential("sealed".into()),
                requirement: CredentialRequirement::ValidatedTls,
            }),
            external_dns: true,
            turn: 7,
            connector: "To Internet".into(),
            trace: Some(TraceContext { trace_id: [1; 16], span_id: [2; 8], sampled: true }),
        }
    }

    #[test]
    fn every_plan_survives_the_wire() {
        let domain = || Domain::parse("fabrikam.com").unwrap();
        let hops = [
            NextHop::Mx(domain()),
            NextHop::SmartHosts(vec![
                Host::Name(domain()),
                "[192.0.2.1]".parse().unwrap(),
                "2001:db8::1".parse().unwrap(),
            ]),
            NextHop::Addresses(vec!["192.0.2.1:2525".parse().unwrap(), "[2001:db8::1]:25".parse().unwrap()]),
        ];
        let policies = [
            TlsPolicy::Ignore,
            TlsPolicy::Opportunistic,
            TlsPolicy::Require(Verification::None),
            TlsPolicy::Require(Verification::Chain),
            TlsPolicy::Require(Verification::Host("[192.0.2.1]".parse().unwrap())),
            TlsPolicy::Require(Verification::Domain(domain())),
            TlsPolicy::Require(Verification::Subdomains(domain())),
        ];
        for (hop, tls) in hops.iter().flat_map(|hop| policies.iter().map(move |tls| (hop.clone(), tls.clone()))) {
            let request = request(hop, tls);
            assert_eq!(open_from_wire(open_to_wire(&request)).unwrap(), request);
        }
    }

    #[test]
    fn a_secret_in_a_plan_stays_behind() {
        let mut with_secret = request(NextHop::Mx(Domain::parse("a.example").unwrap()), TlsPolicy::Ignore);
        with_secret.plan.authentication = Some(smtp::Authentication {
            credentials: smtp_session::Credentials {
                user: "relay".into(),
                secret: smtp_session::Secret::new(b"hunter2".to_vec()),
            },
            requirement: CredentialRequirement::AnyConnection,
        });
        assert!(!format!("{:?} {:?}", open_to_wire(&with_secret), with_secret).contains("hunter2"));
        assert_eq!(open_from_wire(open_to_wire(&with_secret)).unwrap().plan.authentication, None);
    }

    #[test]
    fn an_unknown_tls_policy_is_refused_not_weakened() {
        let mut open = open_to_wire(&request(NextHop::Mx(Domain::parse("a.example").unwrap()), TlsPolicy::Ignore));
        open.tls = Some(wire::Tls { policy: 99, name: String::new() });
        assert!(matches!(open_from_wire(open), Err(WireError::Invalid("TLS policy"))));
    }

    #[test]
    fn failures_and_replies_survive_the_wire() {
        let reply = Reply::new(550, EnhancedStatus::new(5, 1, 1), "User\nunknown");
        let peer = Peer { host: "mx.fabrikam.com".parse().unwrap(), address: Some("192.0.2.1:25".parse().unwrap()) };
        let failures = PHASES.iter().map(|(_, phase)| {
            let failure = Failure::new(EnhancedStatus::new(5, 1, 1), *phase, Some(peer.clone()), "in words");
            Err(Failure { reply: Some(reply.clone()), ambiguous: true, ..failure })
        });
        let mut recipients: Vec<_> = failures.collect();
        recipients.push(Ok(Reply::plain(250, "queued as 4711")));
        recipients.push(Err(Failure::new(
            EnhancedStatus::new(4, 4, 3),
            FailurePhase::Resolve,
            None,
            "DNS query failed",
        )));
        let outcome = MessageOutcome { recipients, reusable: true };
        assert_eq!(outcome_from_wire(outcome_to_wire(&outcome)).unwrap(), outcome);
    }
}
