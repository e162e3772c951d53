//! The words of the outbound proxy on the wire.

use bytes::Bytes;
use envelope::{Domain, EnhancedStatus, Revision, Severity};
use net::Host;
use smtp::{Failure, FailurePhase, Lack, MessageOutcome, Peer, Turn};
use smtp_session::client::Phase;
use smtp_session::{Credentials, Secret};

use super::{WireError, printable, reply_from_wire, reply_to_wire};
use crate::proxy::{HandedCredential, ProxyRequest};
use crate::wire::proxy::v1 as wire;
use wire::failure::Phase as WirePhase;
use wire::recipient_outcome::Result as WireResult;

/// Phases by their number on the wire.
const PHASES: [(WirePhase, FailurePhase); 15] = [
    (WirePhase::Configuration, FailurePhase::Configuration),
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
    let ProxyRequest { connector, name, revision, properties, domain, credential, turn, trace } = request;
    wire::Open {
        turn: *turn,
        traceparent: trace.map(|trace| trace.to_string()).unwrap_or_default(),
        connector: name.to_string(),
        connector_guid: connector.to_string(),
        revision: revision.0,
        properties: properties.iter().map(ToString::to_string).collect(),
        domain: domain.as_ref().map(ToString::to_string),
        credential: credential.as_ref().map(credential_to_wire),
    }
}

fn credential_to_wire(handed: &HandedCredential) -> wire::Credential {
    wire::Credential {
        user: handed.credentials.user.to_string(),
        password: Bytes::copy_from_slice(handed.credentials.secret.expose()),
        smart_hosts: handed.smart_hosts.iter().map(ToString::to_string).collect(),
        mechanism: handed.mechanism.to_string(),
    }
}

fn credential_from_wire(handed: wire::Credential) -> Result<HandedCredential, WireError> {
    let credentials = Credentials { user: printable(handed.user)?, secret: Secret::new(handed.password.to_vec()) };
    Ok(HandedCredential {
        credentials,
        smart_hosts: handed.smart_hosts.into_iter().map(printable).collect::<Result<_, _>>()?,
        mechanism: printable(handed.mechanism)?,
    })
}

pub(crate) fn open_from_wire(open: wire::Open) -> Result<ProxyRequest, WireError> {
    Ok(ProxyRequest {
        connector: open.connector_guid.parse().map_err(|_| WireError::Invalid("connector"))?,
        name: printable(open.connector)?,
        revision: Revision(open.revision),
        properties: open.properties.into_iter().map(printable).collect::<Result<_, _>>()?,
        domain: open.domain.as_deref().map(Domain::parse).transpose()?,
        credential: open.credential.map(credential_from_wire).transpose()?,
        turn: open.turn,
        trace: open.traceparent.parse().ok(),
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
        lacks: match failure.lacks {
            None => wire::failure::Lack::Unspecified,
            Some(Lack::Chunking) => wire::failure::Lack::Chunking,
            Some(Lack::EightBitMime) => wire::failure::Lack::EightBitMime,
            Some(Lack::SmtpUtf8) => wire::failure::Lack::SmtpUtf8,
        }
        .into(),
        ours: failure.ours,
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
        lacks: match failure.lacks() {
            wire::failure::Lack::Unspecified => None,
            wire::failure::Lack::Chunking => Some(Lack::Chunking),
            wire::failure::Lack::EightBitMime => Some(Lack::EightBitMime),
            wire::failure::Lack::SmtpUtf8 => Some(Lack::SmtpUtf8),
        },
        ours: failure.ours,
    })
}

pub(crate) fn turn_to_wire(turn: Turn) -> i32 {
    match turn {
        Turn::First => wire::begin::Turn::First,
        Turn::Again => wire::begin::Turn::Again,
        Turn::NextHost => wire::begin::Turn::NextHost,
    }
    .into()
}

pub(crate) fn turn_from_wire(begin: &wire::Begin) -> Turn {
    match begin.turn() {
        wire::begin::Turn::First => Turn::First,
        wire::begin::Turn::Again => Turn::Again,
        wire::begin::Turn::NextHost => Turn::NextHost,
    }
}

pub(crate) fn outcome_to_wire(outcome: &MessageOutcome) -> wire::Outcome {
    let result = |result: &Result<_, Failure>| match result {
        Ok(reply) => WireResult::Delivered(reply_to_wire(reply)),
        Err(failure) => WireResult::Failed(failure_to_wire(failure)),
    };
    let recipients = outcome.recipients.iter().map(|one| wire::RecipientOutcome { result: Some(result(one)) });
    wire::Outcome {
        recipients: recipients.collect(),
        reusable: outcome.reusable,
        again: outcome.again,
        peer: Some(peer_to_wire(&outcome.peer)),
        dsn: outcome.dsn,
    }
}

pub(crate) fn outcome_from_wire(outcome: wire::Outcome) -> Result<MessageOutcome, WireError> {
    let one = |one: wire::RecipientOutcome| match one.result.ok_or(WireError::Missing("an outcome"))? {
        WireResult::Delivered(reply) => Ok(Ok(reply_from_wire(&reply)?)),
        WireResult::Failed(failure) => Ok(Err(failure_from_wire(&failure)?)),
    };
    let recipients = outcome.recipients.into_iter().map(one).collect::<Result<_, WireError>>()?;
    let peer = peer_from_wire(&outcome.peer.ok_or(WireError::Missing("the peer"))?)?;
    Ok(MessageOutcome { recipients, reusable: outcome.reusable, again: outcome.again, peer, dsn: outcome.dsn })
}

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::{Reply, TraceContext};

    #[test]
    fn a_request_survives_the_wire() {
        for domain in [None, Some(Domain::parse("fabrikam.com").unwrap())] {
            let request = ProxyRequest {
                connector: "5fd9e1a2-7b7d-4c3a-9f3e-0d9a1d6d7c11".parse().unwrap(),
                name: "To Internet".into(),
                revision: Revision(12),
                properties: vec!["requireTLS".into(), "fqdn".into()],
                domain,
                credential: Some(HandedCredential {
                    credentials: Credentials { user: "relay".into(), secret: Secret::new(vec![0xc3, 0xbc, b'2']) },
                    smart_hosts: vec!["[192.0.2.1]".into(), "a.example".into()],
                    mechanism: "BasicAuth".into(),
                }),
                turn: 7,
                trace: Some(TraceContext { trace_id: [1; 16], span_id: [2; 8], sampled: true }),
            };
            assert_eq!(open_from_wire(open_to_wire(&request)).unwrap(), request);
        }
    }

    #[test]
    fn a_request_in_the_form_that_said_everything_is_refused() {
        assert!(matches!(open_from_wire(wire::Open::default()), Err(WireError::Invalid("connector"))));
    }

    #[test]
    fn failures_and_replies_survive_the_wire() {
        let reply = Reply::new(550, EnhancedStatus::new(5, 1, 1), "User\nunknown");
        let peer = Peer { host: "mx.fabrikam.com".parse().unwrap(), address: Some("192.0.2.1:25".parse().unwrap()) };
        let failures = PHASES.iter().map(|(_, phase)| {
            let failure = Failure::new(EnhancedStatus::new(5, 1, 1), *phase, Some(peer.clone()), "in words");
            Err(Failure { reply: Some(reply.clone()), ambiguous: true, ..failure })
        });
        let lacking = [Lack::Chunking, Lack::EightBitMime, Lack::SmtpUtf8].map(|lack| {
            let phase = FailurePhase::Dialogue(Phase::Mail);
            let failure = Failure::new(EnhancedStatus::new(5, 6, 3), phase, Some(peer.clone()), "in words");
            Err(Failure { lacks: Some(lack), ours: true, ..failure })
        });
        let mut recipients: Vec<_> = failures.chain(lacking).collect();
        recipients.push(Ok(Reply::plain(250, "queued as 4711")));
        recipients.push(Err(Failure::new(
            EnhancedStatus::new(4, 4, 3),
            FailurePhase::Resolve,
            None,
            "DNS query failed",
        )));
        let outcome = MessageOutcome { recipients, reusable: true, again: true, peer, dsn: true };
        assert_eq!(outcome_from_wire(outcome_to_wire(&outcome)).unwrap(), outcome);
    }
}
