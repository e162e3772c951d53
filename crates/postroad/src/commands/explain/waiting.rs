//! `--queued`: what waits in the queues of the running servers, as subjects to ask about.

use admin_api::queues::{MESSAGES_MAX, MessageEntry, MessagesRequest};
use anyhow::{Context, bail};
use envelope::{ReversePath, ServerName};
use futures::{StreamExt, pin_mut};
use inquiry::{Sender, Subject};

use super::super::place::Place;
use super::super::queued::Transports;

/// Everything that waits on `servers`, or on all when none is named. A server that cannot be asked ends it: an answer about a
/// part would pass for one about the whole.
pub(super) async fn subjects(place: &Place, servers: &[ServerName]) -> anyhow::Result<Vec<Subject>> {
    let transports = Transports::open(place).await?;
    let servers = if servers.is_empty() { transports.servers() } else { servers.to_vec() };
    let mut subjects = Vec::new();
    for server in servers {
        let request = MessagesRequest { limit: MESSAGES_MAX, ..MessagesRequest::default() };
        let left_out = || format!("the queues of {server} cannot be read; name the servers to ask with --from");
        let messages = transports.messages(&server, request).await.with_context(left_out)?;
        pin_mut!(messages);
        let mut count = 0;
        while let Some(message) = messages.next().await {
            subjects.extend(of_message(&message.with_context(left_out)?, &server));
            count += 1;
        }
        if count == MESSAGES_MAX {
            eprintln!("note: {server} told of its first {MESSAGES_MAX} messages only");
        }
    }
    if subjects.is_empty() {
        bail!("no mail waits in the queues: name recipients instead, or a file of them with --recipients");
    }
    Ok(subjects)
}

fn of_message(message: &MessageEntry, server: &ServerName) -> Vec<Subject> {
    let sender = match &message.sender {
        ReversePath::Address(address) => Sender::Address(address.clone()),
        ReversePath::Null => Sender::Null,
    };
    let subject = |recipient: &envelope::Address| Subject {
        recipient: recipient.clone(),
        sender: sender.clone(),
        size: message.size,
        from: server.clone(),
    };
    message.recipients.iter().map(subject).collect()
}
