//! What administrators do to queues and messages is written down by whoever has heard them: a Transport, or the admin service that
//! asks it.

use authority::{Act, Feature};
use envelope::Revision;
use logs::audit::{AuditRecord, AuditedProperty};
use rpc::Asker;
use rpc::convert::without_controls;
use tonic::Status;

use super::operation::{Caller, Operated, Operation, Outcome};
use crate::audit::AuditTrail;

/// Recipients of a message that are written; the rest is counted.
const RECIPIENTS_WRITTEN: usize = 100;

/// Somebody who acts, and where that is written.
pub(crate) struct Actor {
    trail: AuditTrail,
    pub(crate) caller: Caller,
    /// Whether another has heard him, and writes it.
    pub(crate) is_heard: bool,
    ruling: Result<(), Status>,
}

impl Actor {
    /// Who asks. A service of ours asks for somebody whom it has heard, and names him; nobody else can name another.
    pub(crate) fn of(asker: &Asker, said: &Caller, trail: &AuditTrail) -> Self {
        let is_heard = asker.is_service();
        let through = without_controls(&said.through).into_string();
        let caller = if is_heard {
            let clean = |text: &str| without_controls(text).into_string();
            Caller { name: clean(&said.name), through, client: clean(&said.client) }
        } else {
            Caller { name: asker.name(), through, client: asker.from().to_owned() }
        };
        Self { trail: trail.clone(), caller, is_heard, ruling: asker.may(Act::Change(Feature::Queues)) }
    }

    /// Whether he may. That he may not is written down.
    pub(crate) fn may(&self, cmdlet: &str, object: &str) -> Result<(), Status> {
        let Err(status) = &self.ruling else { return Ok(()) };
        self.write(cmdlet, object, "", Vec::new(), Err(status.message().into()));
        Err(status.clone())
    }

    /// Writes down what was done to a queue or a message of that server.
    pub(crate) fn operated(&self, server: &str, operation: Operation, operated: &Operated) {
        let mut properties = vec![property("Status", &operated.status, new_status(operation, &operated.outcome))];
        match operation {
            Operation::RemoveMessage { with_ndr } => properties.push(given("WithNDR", &with_ndr.to_string())),
            Operation::ResubmitQueue => properties.push(given("Resubmit", "true")),
            _ => {}
        }
        let outcome = match &operated.outcome {
            Outcome::Done { .. } | Outcome::Pending => Ok(Revision(0)),
            Outcome::Refused(why) | Outcome::NotDurable(why) => Err(why.clone()),
        };
        self.touched(server, operation.cmdlet(), operated, properties, outcome);
    }

    /// Writes down that a message was read.
    pub(crate) fn exported(&self, server: &str, operated: &Operated, outcome: Result<(), Box<str>>) {
        self.touched(server, "Export-Message", operated, Vec::new(), outcome.map(|()| Revision(0)));
    }

    fn touched(
        &self,
        server: &str,
        cmdlet: &str,
        operated: &Operated,
        mut properties: Vec<AuditedProperty>,
        outcome: Result<Revision, Box<str>>,
    ) {
        let name = match &*operated.queue_name {
            "" => operated.target.queue.to_string(),
            name => name.to_owned(),
        };
        let (kind, object, id) = match operated.target.message {
            None => ("queues", format!("{server}\\{name}"), format!("{server}\\{}", operated.target.queue)),
            Some(number) => {
                let object = format!("{server}\\{name}\\{number}");
                let id = operated.message.as_ref().map_or_else(String::new, |message| message.id.to_string());
                ("messages", object, id)
            }
        };
        if let Some(message) = &operated.message {
            properties.push(given("FromAddress", message.sender.shown()));
            let mut named: Vec<&str> =
                message.recipients.iter().take(RECIPIENTS_WRITTEN).map(|one| one.as_str()).collect();
            let further = message.recipients.len().saturating_sub(RECIPIENTS_WRITTEN);
            let further = format!("{further} more");
            if message.recipients.len() > RECIPIENTS_WRITTEN {
                named.push(&further);
            }
            properties.push(given("Recipients", &named.join(", ")));
        }
        self.write(cmdlet, &format!("{kind}[\"{object}\"]"), &id, properties, outcome);
    }

    /// Writes down where the mail of a server goes.
    pub(crate) fn redirected(&self, server: &str, target: &str, refused: &str) {
        let outcome = if refused.is_empty() { Ok(Revision(0)) } else { Err(refused.into()) };
        let target = given("Target", if target.is_empty() { "(none)" } else { target });
        self.write("Redirect-Message", &server_object(server), server, vec![target], outcome);
    }

    fn write(
        &self,
        cmdlet: &str,
        object: &str,
        object_id: &str,
        properties: Vec<AuditedProperty>,
        outcome: Result<Revision, Box<str>>,
    ) {
        let Caller { name, through, client } = &self.caller;
        // Whoever has heard him writes it.
        if self.is_heard {
            tracing::info!(administrator = name, cmdlet, object, refused = outcome.is_err(), "an administrator acts");
            return;
        }
        self.trail.log.record(AuditRecord {
            at: (self.trail.now)(),
            caller: name.as_str().into(),
            through: through.as_str().into(),
            client: client.as_str().into(),
            server: self.trail.server.clone(),
            cmdlet: cmdlet.into(),
            object: object.into(),
            object_id: object_id.into(),
            properties,
            outcome,
        });
    }
}

/// A server as the audit log names it.
pub(crate) fn server_object(server: &str) -> String {
    format!("servers[\"{server}\"]")
}

fn property(name: &str, old: &str, new: &str) -> AuditedProperty {
    AuditedProperty { name: name.to_owned(), old: old.to_owned(), new: new.to_owned() }
}

/// What was said with the operation, or what it was done to.
fn given(name: &str, value: &str) -> AuditedProperty {
    property(name, "", value)
}

fn new_status(operation: Operation, outcome: &Outcome) -> &'static str {
    match (operation, outcome) {
        (_, Outcome::Refused(_)) => "(not changed)",
        (Operation::SuspendMessage, Outcome::Pending) => "PendingSuspend",
        (Operation::RemoveMessage { .. }, Outcome::Pending) => "PendingRemove",
        (Operation::SuspendQueue | Operation::SuspendMessage, _) => "Suspended",
        (Operation::ResumeQueue | Operation::ResumeMessage, _) => "(resumed)",
        (Operation::RetryQueue, _) => "(tried again)",
        (Operation::ResubmitQueue, _) => "(resubmitted)",
        (Operation::RemoveMessage { .. }, _) => "(removed)",
    }
}
