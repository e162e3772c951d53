//! `Test-SmtpConnectivity`: whether each binding of each Receive connector of a server takes a connection and greets.
//! [`Connectivity`] is what whoever embeds the commands implements.

use std::net::SocketAddr;
use std::rc::Rc;

use envelope::ServerName;
use shell::{Call, Failure, Object, Objects, Parameter, Signature, Takes, Value};
use topology::{OrganizationDraft, ReceiveConnector, Server};

use crate::queues::server_of;

/// The type of what is found.
const OUTCOME: &str = "SmtpConnectivityStatus";
/// The command.
pub(crate) const TEST: &str = "Test-SmtpConnectivity";

/// Who connects.
pub trait Connectivity {
    /// Connects to a binding of a Receive connector as a client would, and waits for the greeting.
    fn greet(&mut self, server: &Server, connector: &ReceiveConnector, binding: SocketAddr) -> Greeting;
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Where the connection was opened to.
    pub endpoint: String,
    /// What was said, or why nothing was.
    pub outcome: Result<String, String>,
}

impl Greeting {
    /// The documented word for it.
    fn status(&self) -> &'static str {
        match self.outcome.as_deref().map(|reply| reply.as_bytes().first().copied()) {
            Ok(Some(b'2')) => "Success",
            Ok(Some(b'4')) => "Transient error",
            Ok(Some(b'5')) => "Permanent error",
            Ok(_) => "External error",
            Err(_) => "Unable to connect",
        }
    }
}

/// The command.
pub(crate) fn signature() -> Signature {
    let example = |command: &str, meaning: &str| (Rc::from(command), Rc::from(meaning));
    let identity = Parameter {
        accepts: vec!["ExchangeServer".into(), "TransportServer".into()],
        ..Parameter::new("Identity", Takes::Text, "The server: this one unless told otherwise.").at(0).piped()
    };
    Signature {
        name: TEST.into(),
        synopsis: "Connects to each binding of each Receive connector of a server, from here, and tells whether it is greeted."
            .into(),
        examples: vec![
            example("Test-SmtpConnectivity MBX01", "one server"),
            example("Get-TransportService | Test-SmtpConnectivity", "all of them"),
        ],
        returns: OUTCOME.into(),
        parameters: vec![
            identity,
            Parameter::new("MonitoringContext", Takes::Bool, "Accepted without effect: metrics are for monitoring."),
            Parameter::new("DomainController", Takes::Text, "Accepted without effect: there is one directory."),
        ],
        ..Signature::default()
    }
}

/// The columns of its table.
pub(crate) fn view(of: &str) -> Option<Vec<(&'static str, &'static str)>> {
    let names = ["Server", "ReceiveConnector", "Binding", "StatusCode", "Details"];
    (of == OUTCOME).then(|| names.map(|name| (name, name)).to_vec())
}

/// `Test-SmtpConnectivity`
pub(crate) fn test(
    connectivity: &mut dyn Connectivity,
    draft: &OrganizationDraft,
    local: Option<ServerName>,
    call: &Call<'_>,
) -> Result<Objects, Failure> {
    let name = match call.bound.text("Identity").filter(|text| !text.is_empty()) {
        Some(named) => server_of(draft, &named)?,
        None => local.ok_or_else(|| {
            let failure = Failure::new("InvalidArgument", "ServerMissing", "It is not known which server this is.");
            failure.advise("name one: Test-SmtpConnectivity SERVER")
        })?,
    };
    let Some(server) = draft.servers.iter().find(|server| server.name == name) else {
        return Ok(Box::new(std::iter::empty()));
    };
    let connectors = draft.receive_connectors.iter().filter(|connector| connector.server == name && connector.enabled);
    let mut found = Vec::new();
    for connector in connectors {
        for binding in &connector.bindings {
            let greeting = connectivity.greet(server, connector, *binding);
            let details = match &greeting.outcome {
                Ok(text) | Err(text) => text.as_str(),
            };
            let properties = vec![
                ("Server".into(), Value::of(name.as_str())),
                ("ReceiveConnector".into(), Value::of(connector.name.as_str())),
                ("Binding".into(), Value::of(binding.to_string())),
                ("EndPoint".into(), Value::of(greeting.endpoint.as_str())),
                ("StatusCode".into(), Value::of(greeting.status())),
                ("Details".into(), Value::of(details)),
            ];
            found.push(Value::Object(Object::new(OUTCOME, None, properties)));
        }
    }
    Ok(Box::new(found.into_iter()))
}
