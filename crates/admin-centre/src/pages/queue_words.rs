//! The words of queues: what is done to them, how they are, why messages wait.

use envelope::ServerName;

use crate::estate::{Handling, QueueView};
use crate::view::{Bit, Bits, Tone};

/// Actions on queues: word, label, class.
pub(crate) const ACTIONS: [(&str, &str, &str); 6] = [
    ("retry", "Retry …", ""),
    ("suspend", "Suspend …", ""),
    ("resume", "Resume …", ""),
    ("resubmit", "Resubmit …", ""),
    ("remove-ndr", "Remove messages (with NDR) …", "danger"),
    ("remove", "Remove messages (without NDR) …", "danger"),
];

/// A line for why messages wait.
pub(crate) fn reason(queue: &QueueView) -> String {
    match (&queue.last_error, queue.status.as_str()) {
        (_, "Suspended") => "suspended by an administrator".to_owned(),
        (Some(error), _) => error.clone(),
        (None, "Retry") => "waits for the next attempt".to_owned(),
        (None, _) if queue.messages > 0 && queue.delivery_type == "Unreachable" => "no way leads there".to_owned(),
        (None, _) => String::new(),
    }
}

pub(crate) fn status(queue: &QueueView) -> Bits {
    let tone = match queue.status.as_str() {
        "Retry" => Tone::Bad,
        "Suspended" => Tone::Warn,
        "Active" | "Connecting" => Tone::Good,
        _ if queue.delivery_type == "Unreachable" && queue.messages > 0 => Tone::Bad,
        _ => Tone::Plain,
    };
    Bit::Badge(tone, queue.status.clone()).into()
}

/// `MAIL1\3`, or `MAIL1\Submission` (QU-20).
pub(crate) fn queue_id(server: &ServerName, queue: &QueueView) -> String {
    let persistent = matches!(queue.delivery_type.as_str(), "Undefined" | "Unreachable") || queue.domain.is_empty();
    let last = queue.name.rsplit('\\').next().unwrap_or(&queue.name);
    if persistent { format!("{server}\\{last}") } else { format!("{server}\\{}", queue.number) }
}

/// QU-32: above zero, the queue drains.
pub(crate) fn velocity(queue: &QueueView) -> String {
    let velocity = queue.outgoing - queue.incoming;
    if velocity.abs() < 0.05 { "0".to_owned() } else { format!("{velocity:+.1}") }
}

/// What a word of a form does.
pub(crate) fn handling(word: &str) -> Option<Handling> {
    Some(match word {
        "retry" => Handling::Retry,
        "suspend" => Handling::Suspend,
        "resume" => Handling::Resume,
        "resubmit" => Handling::Resubmit,
        "remove" => Handling::Remove { ndr: false },
        "remove-ndr" => Handling::Remove { ndr: true },
        "suspend-message" => Handling::SuspendMessage,
        "resume-message" => Handling::ResumeMessage,
        _ => return None,
    })
}
