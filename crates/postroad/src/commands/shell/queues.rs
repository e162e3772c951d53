//! The queues of running servers for the shell: asked as `postroad queue` asks for them, when the first command wants them.

use admin_api::queues::{self as api, MESSAGES_MAX, MessageEntry, MessagesRequest, Operation, QueueEntry};
use cmdlets::Queues;
use cmdlets::queues::{MessageInfo, QueueAction, QueueInfo, QueueTarget, WantedMessages};
use envelope::ServerName;
use futures::TryStreamExt;

use super::super::place::Place;
use super::super::queued::Transports;

/// Servers of the organization of a place.
pub(super) struct LiveQueues {
    place: Place,
    runtime: tokio::runtime::Handle,
    transports: Option<Transports>,
}

impl LiveQueues {
    pub(super) fn new(place: Place, runtime: tokio::runtime::Handle) -> Self {
        Self { place, runtime, transports: None }
    }

    /// Asks. What cannot be asked is looked for anew by the next command: it may have moved.
    fn ask<T>(&mut self, question: impl AsyncFnOnce(&Transports) -> anyhow::Result<T>) -> Result<T, String> {
        let Self { place, runtime, transports } = self;
        let answer = runtime.block_on(async {
            let known = match transports.take() {
                Some(known) => known,
                None => Transports::open(place).await?,
            };
            let answer = question(&known).await?;
            *transports = Some(known);
            anyhow::Ok(answer)
        });
        answer.map_err(|error| format!("{error:#}"))
    }
}

fn through(command: &str) -> String {
    format!("postroad shell: {command}")
}

impl Queues for LiveQueues {
    fn queues(&mut self, server: &ServerName) -> Result<Vec<QueueInfo>, String> {
        let told = self.ask(async |transports| transports.ask(server, None).await)?;
        Ok(told.queues.into_iter().map(queue).collect())
    }

    fn messages(&mut self, server: &ServerName, wanted: &WantedMessages) -> Result<Vec<MessageInfo>, String> {
        let request = MessagesRequest {
            queue: wanted.queue,
            number: wanted.message,
            header: wanted.header,
            limit: wanted.limit.unwrap_or(MESSAGES_MAX).min(MESSAGES_MAX),
            ..MessagesRequest::default()
        };
        let listed = self.ask(async |transports| {
            let coming = transports.messages(server, request).await?;
            Ok(coming.try_collect::<Vec<MessageEntry>>().await?)
        })?;
        Ok(listed.into_iter().map(message).collect())
    }

    fn act(
        &mut self,
        server: &ServerName,
        action: QueueAction,
        on: &[QueueTarget],
        command: &str,
    ) -> Result<Vec<Result<(), String>>, String> {
        let targets: Vec<api::Target> = on.iter().map(target).collect();
        let operated = self
            .ask(async |transports| transports.operate(server, operation(action), &targets, &through(command)).await)?;
        Ok(operated.into_iter().map(|one| one.outcome.complaint().map_or(Ok(()), |why| Err(why.to_owned()))).collect())
    }

    fn redirect(&mut self, server: &ServerName, target: &ServerName, command: &str) -> Result<(), String> {
        self.ask(async |transports| transports.redirect(server, Some(target), &through(command)).await)
    }

    fn export(&mut self, server: &ServerName, on: QueueTarget, command: &str) -> Result<Vec<u8>, String> {
        let (_, octets) =
            self.ask(async |transports| transports.export(server, target(&on), &through(command)).await)?;
        Ok(octets)
    }
}

fn target(target: &QueueTarget) -> api::Target {
    let QueueTarget { queue, message } = *target;
    api::Target { queue, message }
}

fn operation(action: QueueAction) -> Operation {
    match action {
        QueueAction::RetryQueue => Operation::RetryQueue,
        QueueAction::ResubmitQueue => Operation::ResubmitQueue,
        QueueAction::SuspendQueue => Operation::SuspendQueue,
        QueueAction::ResumeQueue => Operation::ResumeQueue,
        QueueAction::SuspendMessage => Operation::SuspendMessage,
        QueueAction::ResumeMessage => Operation::ResumeMessage,
        QueueAction::RemoveMessage { with_ndr } => Operation::RemoveMessage { with_ndr },
    }
}

fn queue(entry: QueueEntry) -> QueueInfo {
    QueueInfo {
        number: entry.number,
        name: entry.name.into(),
        delivery_type: entry.delivery_type.into(),
        next_hop_domain: entry.next_hop_domain.into(),
        next_hop_connector: entry.next_hop_connector.into(),
        next_hop_category: entry.next_hop_category.into(),
        tls_domain: entry.tls_domain.map(String::from),
        status: entry.status.into(),
        message_count: entry.message_count,
        deferred_message_count: entry.deferred_message_count,
        retry_count: entry.retry_count,
        first_retry: entry.first_failure,
        last_retry: entry.last_failure,
        next_retry: entry.next_retry,
        last_error: entry.last_error.map(String::from),
        incoming_rate: entry.incoming_rate,
        outgoing_rate: entry.outgoing_rate,
    }
}

fn message(entry: MessageEntry) -> MessageInfo {
    let from = entry.sender.shown().to_owned();
    let decision = entry.decision.map(|decision| format!("{} {}", decision.delivery_type, decision.next_hop_domain));
    MessageInfo {
        number: entry.number,
        queue: entry.queue,
        queue_name: entry.queue_name.into(),
        id: entry.id.to_string(),
        status: entry.status.into(),
        from,
        recipients: entry.recipients.iter().map(ToString::to_string).collect(),
        size: entry.size,
        received: entry.arrived,
        expires: entry.expires,
        retry_count: entry.retry_count,
        last_error: entry.last_error.map(String::from),
        source: entry.source.into(),
        originating: entry.originating,
        subject: entry.subject.map(String::from),
        internet_message_id: entry.internet_message_id.map(String::from),
        scl: entry.scl,
        final_destination: decision,
    }
}
