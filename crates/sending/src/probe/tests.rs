//! Each way in which a host may fail is told at its step, with what to do, after the steps that worked.

use envelope::{EnhancedStatus, Reply, Revision};
use smtp::{Failure, FailurePhase, Peer};
use smtp_session::client::Phase;
use topology::SendConnector;

use super::{ProbeStep, Reached, Security, State, of_failure, of_reached};

fn connector(line: &str) -> SendConnector {
    let text = format!(
        "sites: [{{name: A}}]\nservers: [{{name: MAIL1, fqdn: mail1.contoso.com, site: A}}]\n\
         acceptedDomains: [{{name: Contoso, domainName: contoso.com, default: true}}]\n\
         sendConnectors: [{{name: Out, addressSpaces: ['*'], sourceTransportServers: [MAIL1]{line}}}]\n"
    );
    let contents = organization::load(&text, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
    contents.organization.send_connectors()[0].clone()
}

fn peer() -> Peer {
    Peer { host: "mx.fabrikam.com".parse().unwrap(), address: Some("192.0.2.25:25".parse().unwrap()) }
}

fn failure(phase: FailurePhase, reply: Option<&str>) -> Failure {
    let status = EnhancedStatus::new(4, 4, 2);
    let failure = Failure::new(status, phase, Some(peer()), "what happened");
    Failure { reply: reply.map(|text| Reply::new(550, status, text.to_owned())), ..failure }
}

#[test]
fn every_phase_has_its_step_and_its_advice() {
    let smart = connector(", smartHosts: [mx.fabrikam.com], port: 587");
    let plain = connector("");
    let kerberos = connector(", smartHosts: [mx.fabrikam.com], smartHostAuthMechanism: ExchangeServer");
    for (connector, phase, reply, steps, wanted) in [
        (&plain, FailurePhase::Configuration, None, &[ProbeStep::Configuration][..], "postroad apply"),
        (&plain, FailurePhase::Resolve, None, &[ProbeStep::Resolve], "MX record"),
        (&smart, FailurePhase::Resolve, None, &[ProbeStep::Resolve], "smartHosts"),
        (&plain, FailurePhase::Connect, None, &[ProbeStep::Connect], "port 25 to the outside"),
        (&smart, FailurePhase::Connect, None, &[ProbeStep::Connect], "port 587"),
        (&plain, FailurePhase::Handshake, None, &[ProbeStep::Connect, ProbeStep::Tls], "trusted-roots"),
        (&plain, FailurePhase::Dialogue(Phase::Banner), Some("go away"), &[ProbeStep::Connect], "block lists"),
        (&plain, FailurePhase::Dialogue(Phase::Hello), Some("who?"), &[ProbeStep::Connect], "fqdn"),
        (&plain, FailurePhase::Dialogue(Phase::StartTls), None, &[ProbeStep::Connect, ProbeStep::Tls], "requireTLS"),
        (
            &smart,
            FailurePhase::Dialogue(Phase::Authentication),
            Some("no"),
            &[ProbeStep::Connect, ProbeStep::LogOn],
            "authenticationCredential",
        ),
        (
            &smart,
            FailurePhase::Dialogue(Phase::Authentication),
            None,
            &[ProbeStep::Connect, ProbeStep::LogOn],
            "exactly the name",
        ),
        (
            &kerberos,
            FailurePhase::Dialogue(Phase::Authentication),
            None,
            &[ProbeStep::Connect, ProbeStep::LogOn],
            "kerberos.keytab",
        ),
    ] {
        let told = of_failure(connector, &failure(phase, reply));
        assert_eq!(told.iter().map(|one| one.step).collect::<Vec<_>>(), steps, "{phase}");
        let last = told.last().unwrap();
        assert_eq!(last.state, State::Wrong, "{phase}");
        assert!(last.advice.as_ref().unwrap().contains(wanted), "{phase}: {:?}", last.advice);
        assert!(told.iter().rev().skip(1).all(|one| one.state == State::Good), "{phase}");
    }
}

#[test]
fn a_host_that_takes_a_session_is_told_to_the_last_recipient() {
    let plain = connector("");
    let said = vec![
        Ok(Reply::new(250, EnhancedStatus::new(2, 0, 0), "Reset")),
        Err(failure(FailurePhase::Dialogue(Phase::Recipient), Some("nobody here"))),
    ];
    let reached = Reached { peer: peer(), security: Security::Encrypted("TLSv1.3".into()), recipients: said };
    let states = |told: Vec<super::Told>| told.into_iter().map(|one| (one.step, one.state)).collect::<Vec<_>>();
    let expected = [
        (ProbeStep::Connect, State::Good),
        (ProbeStep::Tls, State::Good),
        (ProbeStep::Sender, State::Good),
        (ProbeStep::Recipient, State::Good),
        (ProbeStep::Recipient, State::Wrong),
    ];
    assert_eq!(states(of_reached(&plain, &reached)), expected);
    // Mail in clear is told; a refused sender is told once, not for each recipient.
    let refused = failure(FailurePhase::Dialogue(Phase::Mail), Some("not you"));
    let recipients = vec![Err(refused.clone()), Err(refused)];
    let clear = Reached { peer: peer(), security: Security::Clear, recipients };
    let expected =
        [(ProbeStep::Connect, State::Good), (ProbeStep::Tls, State::Warning), (ProbeStep::Sender, State::Wrong)];
    assert_eq!(states(of_reached(&plain, &clear)), expected);
}
