//! `Suspend-`, `Resume-`, `Retry-Queue`; `Suspend-`, `Resume-`, `Remove-Message`; `Export-` and `Redirect-Message`: who is meant,
//! told and asked about one by one, then done.

use envelope::ServerName;
use shell::{Call, Failure, Objects, Session, Value};

use super::filter;
use super::identity::{MessageIdentity, QueueIdentity, Which, server};
use super::look::{Ground, away, filter_of, not_found};
use super::show::{self, message_identity, queue_identity};
use super::{QueueAction, QueueTarget};

/// Runs one of them.
pub(crate) fn act(ground: &mut Ground<'_>, call: &Call<'_>, session: &mut Session<'_>) -> Result<Objects, Failure> {
    let nothing = || -> Objects { Box::new(std::iter::empty()) };
    match &*call.signature.name {
        "Redirect-Message" => return redirect(ground, call, session).map(|()| nothing()),
        "Export-Message" => return export(ground, call, session),
        _ => {}
    }
    let (action, doing) = action(call);
    let is_of_messages = call.signature.name.ends_with("-Message");
    let (server, targets) = if is_of_messages { messages(ground, call, session)? } else { queues(ground, call)? };
    let identity = |target: &QueueTarget| match target.message {
        Some(message) => message_identity(&server, target.queue, message),
        None => queue_identity(&server, target.queue),
    };
    let mut agreed = Vec::new();
    for target in targets {
        if session.should(&format!("{doing} \"{}\".", identity(&target)))? {
            agreed.push(target);
        }
    }
    if agreed.is_empty() {
        return Ok(nothing());
    }
    let done = ground.queues.act(&server, action, &agreed, &call.signature.name).map_err(away)?;
    let refused = agreed.iter().zip(done).filter_map(|(target, done)| Some((identity(target), done.err()?)));
    let refused: Vec<(String, String)> = refused.collect();
    match &refused[..] {
        [] => Ok(nothing()),
        [(identity, why), ..] => {
            let lines: Vec<String> = refused.iter().map(|(identity, why)| format!("{identity}: {why}")).collect();
            let failure =
                Failure::new("InvalidOperation", "QueueOperationFailed", lines.join("\n")).about(identity.as_str());
            Err(if why.contains("in Retry") { failure.by("QU-39") } else { failure })
        }
    }
}

/// What is done, and how it is told.
fn action(call: &Call<'_>) -> (QueueAction, &'static str) {
    match &*call.signature.name {
        "Suspend-Queue" => (QueueAction::SuspendQueue, "Suspending the queue"),
        "Resume-Queue" => (QueueAction::ResumeQueue, "Resuming the queue"),
        "Retry-Queue" if call.bound.is_on("Resubmit") => {
            (QueueAction::ResubmitQueue, "Resubmitting the messages of the queue")
        }
        "Retry-Queue" => (QueueAction::RetryQueue, "Retrying the queue"),
        "Suspend-Message" => (QueueAction::SuspendMessage, "Suspending the message"),
        "Resume-Message" => (QueueAction::ResumeMessage, "Resuming the message"),
        _ => {
            // QU-58: the sender is told unless somebody says otherwise.
            let with_ndr = call.bound.get("WithNDR").is_none_or(Value::truth);
            let doing = if with_ndr {
                "Removing with a report to its sender the message"
            } else {
                "Removing without any report the message"
            };
            (QueueAction::RemoveMessage { with_ndr }, doing)
        }
    }
}

fn several(identity: &str) -> Failure {
    let message = format!("'{identity}' matches several objects.");
    let failure = Failure::new("InvalidArgument", "AmbiguousIdentity", message).by("QU-56").about(identity);
    failure.advise("write the integer of the queue, or use -Filter")
}

/// The queues that are meant.
fn queues(ground: &mut Ground<'_>, call: &Call<'_>) -> Result<(ServerName, Vec<QueueTarget>), Failure> {
    if let Some(text) = call.bound.text("Identity") {
        let identity = QueueIdentity::parse(&text)?;
        let (server, queue) = one_queue(ground, &identity, &text)?;
        return Ok((server, vec![QueueTarget { queue, message: None }]));
    }
    let filter = filter_of(call, filter::QUEUE)?;
    let server = call.bound.text("Server");
    if filter.is_none() && server.is_none() {
        return Err(nothing_meant());
    }
    // CM-47: a server alone means all of its queues.
    let server = ground.one_server(server.as_deref())?;
    let mut found = ground.queues.queues(&server).map_err(away)?;
    found.retain(|queue| filter.as_ref().is_none_or(|filter| filter.holds(&show::queue(&server, queue))));
    Ok((server, found.iter().map(|queue| QueueTarget { queue: queue.number, message: None }).collect()))
}

fn nothing_meant() -> Failure {
    let message = "Cannot process command because of one or more missing mandatory parameters: Identity.";
    Failure::new("InvalidArgument", "MissingMandatoryParameter", message)
        .by("QU-55")
        .advise("give -Identity or -Filter")
}

/// The one queue of an identity.
fn one_queue(ground: &mut Ground<'_>, identity: &QueueIdentity, text: &str) -> Result<(ServerName, u64), Failure> {
    if let Which::Number(number) = identity.queue {
        return Ok((ground.one_server(identity.server.as_deref())?, number));
    }
    let (server, found) = ground.queues_of(identity, text)?;
    match &found[..] {
        [one] => Ok((server, one.number)),
        [] => Err(not_found(text, &server)),
        _ => Err(several(text)),
    }
}

/// The one message of an identity.
fn one_message(ground: &mut Ground<'_>, text: &str) -> Result<(ServerName, QueueTarget), Failure> {
    let identity = MessageIdentity::parse(text)?;
    if identity.queue.queue != Which::All {
        let (server, queue) = one_queue(ground, &identity.queue, text)?;
        return Ok((server, QueueTarget { queue, message: Some(identity.message) }));
    }
    let found = ground.messages_of(&identity, text, false)?;
    match &found[..] {
        [(server, message)] => {
            Ok((server.clone(), QueueTarget { queue: message.queue, message: Some(message.number) }))
        }
        [] => Err(not_found(text, &ground.one_server(identity.queue.server.as_deref())?)),
        _ => Err(several(text)),
    }
}

/// The messages that are meant.
fn messages(
    ground: &mut Ground<'_>,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<(ServerName, Vec<QueueTarget>), Failure> {
    if let Some(text) = call.bound.text("Identity") {
        let (server, target) = one_message(ground, &text)?;
        return Ok((server, vec![target]));
    }
    let Some(filter) = filter_of(call, filter::MESSAGE)? else { return Err(nothing_meant()) };
    let server = ground.one_server(call.bound.text("Server").as_deref())?;
    let found = ground.filtered_messages(&server, &filter, session)?;
    let target = |message: &super::MessageInfo| QueueTarget { queue: message.queue, message: Some(message.number) };
    // A message of several recipients may be told more than once in a queue.
    let mut targets: Vec<QueueTarget> = Vec::new();
    for (_, message) in &found {
        if !targets.contains(&target(message)) {
            targets.push(target(message));
        }
    }
    Ok((server, targets))
}

/// `Export-Message`
fn export(ground: &mut Ground<'_>, call: &Call<'_>, session: &mut Session<'_>) -> Result<Objects, Failure> {
    let text = call.bound.text("Identity").unwrap_or_default();
    let (server, target) = one_message(ground, &text)?;
    let identity = message_identity(&server, target.queue, target.message.unwrap_or_default());
    if !session.should(&format!("Exporting the message \"{identity}\"."))? {
        return Ok(Box::new(std::iter::empty()));
    }
    let exported = ground.queues.export(&server, target, &call.signature.name);
    let octets =
        exported.map_err(|why| Failure::new("InvalidOperation", "NotExported", why).about(identity.as_str()))?;
    Ok(Box::new(std::iter::once(show::exported(&identity, octets))))
}

/// `Redirect-Message`
fn redirect(ground: &mut Ground<'_>, call: &Call<'_>, session: &mut Session<'_>) -> Result<(), Failure> {
    let from = ground.one_server(call.bound.text("Server").as_deref())?;
    let targets = call.bound.get("Target").map(Value::each).unwrap_or_default();
    let [target] = &targets[..] else {
        let message = "Mail is redirected to one server: name one with -Target.";
        return Err(Failure::new("InvalidArgument", "SeveralTargets", message).by("QU-60"));
    };
    let target = server(&ground.draft, &target.text())?;
    let description =
        format!("Redirecting the messages of \"{from}\", which takes no new mail from then on, to \"{target}\".");
    if !session.should(&description)? {
        return Ok(());
    }
    let redirected = ground.queues.redirect(&from, &target, &call.signature.name);
    redirected.map_err(|why| Failure::new("InvalidOperation", "NotRedirected", why).about(from.as_str()))
}
