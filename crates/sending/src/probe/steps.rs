//! What was found, told step by step, each step that does not work with what to do. Pure: from a connector and what came of
//! one host.

use std::fmt;

use envelope::Reply;
use smtp::{Failure, FailurePhase};
use smtp_session::client::Phase;
use topology::SendConnector;
use topology::send_connector::SmartHostAuthMechanism;

use super::{Reached, Security};

/// One step towards a host, in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeStep {
    /// The connector as it is written.
    Configuration,
    /// Names.
    Resolve,
    /// The connection, its greeting, `EHLO`.
    Connect,
    /// `STARTTLS`, certificates.
    Tls,
    /// `AUTH`.
    LogOn,
    /// `MAIL`.
    Sender,
    /// `RCPT`, taken back by `RSET`.
    Recipient,
}

impl fmt::Display for ProbeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "connector",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "TLS",
            Self::LogOn => "log on",
            Self::Sender => "MAIL",
            Self::Recipient => "RCPT",
        })
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It works.
    Good,
    /// Mail goes this way, and somebody should know.
    Warning,
    /// Mail waits, or comes back.
    Wrong,
}

/// One step of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which.
    pub step: ProbeStep,
    /// How it ended.
    pub state: State,
    /// What was found.
    pub text: String,
    /// What to do.
    pub advice: Option<String>,
}

impl Told {
    fn good(step: ProbeStep, text: impl Into<String>) -> Self {
        Self { step, state: State::Good, text: text.into(), advice: None }
    }

    fn bad(state: State, step: ProbeStep, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { step, state, text: text.into(), advice: Some(advice.into()) }
    }
}

/// What a host said that took a session.
#[must_use]
pub fn of_reached(connector: &SendConnector, reached: &Reached) -> Vec<Told> {
    let mut told = vec![Told::good(ProbeStep::Connect, reached.peer.to_string())];
    told.push(match &reached.security {
        Security::Encrypted(how) => Told::good(ProbeStep::Tls, how.to_string()),
        Security::Clear if connector.ignore_starttls => Told::bad(
            State::Warning,
            ProbeStep::Tls,
            "not used",
            "mail goes in clear because of ignoreSTARTTLS: remove it",
        ),
        Security::Clear => Told::bad(
            State::Warning,
            ProbeStep::Tls,
            "the host does not offer it",
            "mail goes in clear; requireTLS: true of the connector makes it wait instead",
        ),
        Security::FellBack(why) => Told::bad(
            State::Warning,
            ProbeStep::Tls,
            format!("it failed, and mail goes in clear: {why}"),
            "tell the host's administrator; requireTLS: true of the connector makes mail wait instead",
        ),
    });
    if connector.domain_secure_enabled && connector.frontend_proxy_enabled {
        told.push(Told::bad(
            State::Warning,
            ProbeStep::Tls,
            "domainSecureEnabled has no effect through front ends",
            "mail goes as to everybody; frontendProxyEnabled: false of the connector proves both sides",
        ));
    }
    if let Some(how) = logged_on(connector) {
        told.push(Told::good(ProbeStep::LogOn, how));
    }
    let of_sender = |failure: &&Failure| step_of(failure.phase) <= ProbeStep::Sender;
    let failures: Vec<&Failure> = reached.recipients.iter().filter_map(|said| said.as_ref().err()).collect();
    if let Some(refused) = failures.iter().copied().find(of_sender) {
        told.push(failed(connector, refused));
        return told;
    }
    told.push(Told::good(ProbeStep::Sender, "the host takes mail of this sender"));
    told.extend(reached.recipients.iter().map(|said| recipient(connector, said)));
    told
}

fn recipient(connector: &SendConnector, said: &Result<Reply, Failure>) -> Told {
    match said {
        Ok(_) => Told::good(ProbeStep::Recipient, "the host would take mail for this recipient; nothing was sent"),
        Err(failure) => failed(connector, failure),
    }
}

/// What came of a host that took no session: the steps up to the one that did not work.
#[must_use]
pub fn of_failure(connector: &SendConnector, failure: &Failure) -> Vec<Told> {
    let mut told = Vec::new();
    let step = step_of(failure.phase);
    if step > ProbeStep::Connect
        && let Some(peer) = &failure.peer
    {
        told.push(Told::good(ProbeStep::Connect, peer.to_string()));
    }
    told.push(failed(connector, failure));
    told
}

fn failed(connector: &SendConnector, failure: &Failure) -> Told {
    Told::bad(State::Wrong, step_of(failure.phase), failure.to_string(), advice(connector, failure))
}

/// The step to which a phase belongs.
fn step_of(phase: FailurePhase) -> ProbeStep {
    match phase {
        FailurePhase::Configuration => ProbeStep::Configuration,
        FailurePhase::Resolve => ProbeStep::Resolve,
        FailurePhase::Connect | FailurePhase::Dialogue(Phase::Banner | Phase::Hello) => ProbeStep::Connect,
        FailurePhase::Handshake | FailurePhase::Dialogue(Phase::StartTls) => ProbeStep::Tls,
        FailurePhase::Dialogue(Phase::Authentication) => ProbeStep::LogOn,
        FailurePhase::Dialogue(Phase::Idle | Phase::Mail) => ProbeStep::Sender,
        FailurePhase::Dialogue(_) => ProbeStep::Recipient,
    }
}

/// How a session logged on that got so far; not at all, where the connector does not.
fn logged_on(connector: &SendConnector) -> Option<&'static str> {
    use SmartHostAuthMechanism::{
        BasicAuth, BasicAuthRequireTLS, ExchangeServer, ExternalAuthoritative, None as Nobody,
    };
    match connector.smart_host_auth_mechanism {
        _ if connector.dns_routing_enabled => None,
        BasicAuth | BasicAuthRequireTLS => Some("the host took the credential"),
        ExchangeServer => Some("by Kerberos: the host took this server's ticket and proved who it is"),
        Nobody | ExternalAuthoritative => None,
    }
}

fn advice(connector: &SendConnector, failure: &Failure) -> String {
    let by_kerberos = connector.smart_host_auth_mechanism == SmartHostAuthMechanism::ExchangeServer;
    let words = match (failure.phase, &failure.reply) {
        (FailurePhase::Configuration, _) => {
            "correct the connector in the organization file and run `postroad apply FILE`"
        }
        (FailurePhase::Resolve, _) if connector.dns_routing_enabled => {
            "ask for the domain's MX record with another tool; `postroad check` says which name servers are asked"
        }
        (FailurePhase::Resolve, _) => {
            "check smartHosts of the connector; `postroad check` says which name servers are asked"
        }
        (FailurePhase::Connect, _) => return blocked(connector),
        (FailurePhase::Handshake, _) => {
            "what is shown must satisfy tlsAuthLevel and tlsDomain of the connector, or be for the domain where that is on \
             tlsSendDomainSecureList, whose exchangers ask for this server's certificate too; `trusted-roots` in the settings adds an \
             authority to those of the system; whether it was revoked is asked where the certificate says, by HTTP at port 80"
        }
        (FailurePhase::Dialogue(Phase::Banner), _) => {
            "the host wants no connection from this address now: look for it in block lists, and tell the host's \
             administrator what was replied"
        }
        (FailurePhase::Dialogue(Phase::Hello), _) => {
            "the name in EHLO is fqdn of the connector, else of the server: it has to lead to this server's address in DNS"
        }
        (FailurePhase::Dialogue(Phase::StartTls), _) => {
            "the connector requires TLS (requireTLS, or credentials that go over TLS only) and this host has none: name \
             another host or port, or let its administrator turn it on"
        }
        (FailurePhase::Dialogue(Phase::Authentication), _) if by_kerberos => {
            "ExchangeServer is Kerberos: kerberos.keytab of the settings must hold this server's principal \
             (`kinit -k -t FILE PRINCIPAL` tries it), the realm must know smtp/<the name in smartHosts>, clocks must agree, \
             and the host must offer X-EXPS GSSAPI or AUTH GSSAPI"
        }
        (FailurePhase::Dialogue(Phase::Authentication), Some(_)) => {
            "check authenticationCredential: write user and password anew and run `postroad apply FILE`"
        }
        (FailurePhase::Dialogue(Phase::Authentication), None) => {
            "BasicAuthRequireTLS gives the password only to a host whose trusted certificate is for exactly the name in \
             smartHosts, by AUTH LOGIN or PLAIN"
        }
        (FailurePhase::Dialogue(Phase::Idle | Phase::Mail), Some(_)) => {
            "the host does not take mail of this sender from this server: let it know the server's address, log on with \
             smartHostAuthMechanism, or try another --sender"
        }
        (FailurePhase::Dialogue(Phase::Recipient), Some(_)) => {
            "the host does not know the recipient, or does not relay for this server: try one that it knows with \
             --recipient, or let it know the server's address"
        }
        (FailurePhase::Dialogue(_), _) => "the connection did not last: try again, and ask the host's administrator",
    };
    words.to_owned()
}

fn blocked(connector: &SendConnector) -> String {
    let port = connector.port;
    let smtp = "; many providers close port 25 to the outside: use a smart host at port 587 then";
    let more = if port == topology::send_connector::SMTP_PORT { smtp } else { "" };
    format!(
        "let this server open connections to port {port} (firewall, routing, sourceIPAddress), and check that the host runs{more}"
    )
}
