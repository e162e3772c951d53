//! Which queues and messages an identity means (docs/rules.md, Queues): `Server\Queue`, `Server\Queue\Message`, by names or by
//! integers, `*` for all queues; without a server, of the local one (QU-23).

use envelope::ServerName;
use shell::Failure;
use topology::OrganizationDraft;

use super::QueueInfo;

/// A queue, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// All of a server.
    All,
    /// By its integer.
    Number(u64),
    /// By the name of its next hop, or its own.
    Name(String),
}

/// `[Server\]Queue`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueIdentity {
    pub(crate) server: Option<String>,
    pub(crate) queue: Which,
}

/// `[Server\]Queue\Message`, `Message`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessageIdentity {
    pub(crate) queue: QueueIdentity,
    pub(crate) message: u64,
}

impl Which {
    fn parse(text: &str) -> Self {
        match text.parse() {
            _ if text == "*" => Self::All,
            Ok(number) => Self::Number(number),
            Err(_) => Self::Name(text.to_owned()),
        }
    }

    /// Whether a queue is one of them.
    pub(crate) fn means(&self, queue: &QueueInfo) -> bool {
        match self {
            Self::All => true,
            Self::Number(number) => queue.number == *number,
            // QU-26
            Self::Name(name) => queue.name.eq_ignore_ascii_case(name),
        }
    }
}

fn wrong(text: &str, form: &str) -> Failure {
    let message = format!("'{text}' is not the identity of {form}.");
    Failure::new("InvalidArgument", "InvalidIdentity", message).about(text)
}

impl QueueIdentity {
    /// # Errors
    /// A text of another form.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || wrong(text, "a queue").advise("write SERVER\\QUEUE: the name of a queue or its integer");
        let (server, queue) = match text.split('\\').collect::<Vec<_>>()[..] {
            [queue] => (None, queue),
            [server, queue] => (Some(server), queue),
            _ => return Err(wrong()),
        };
        if queue.is_empty() || server == Some("") {
            return Err(wrong());
        }
        Ok(Self { server: server.map(str::to_owned), queue: Which::parse(queue) })
    }
}

impl MessageIdentity {
    /// # Errors
    /// A text of another form.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong =
            || wrong(text, "a message").advise("write SERVER\\QUEUE\\MESSAGE: a message is named by its integer");
        let (queue, message) = match text.rsplit_once('\\') {
            Some((queue, message)) => (QueueIdentity::parse(queue).map_err(|_| wrong())?, message),
            // QU-23: a number alone is a message in commands of messages.
            None => (QueueIdentity { server: None, queue: Which::All }, text),
        };
        Ok(Self { queue, message: message.parse().map_err(|_| wrong())? })
    }
}

/// The server of a name, in any form (CM-55).
///
/// # Errors
/// A server that the organization does not have.
pub(crate) fn server(draft: &OrganizationDraft, text: &str) -> Result<ServerName, Failure> {
    let text = text.trim_start_matches("CN=").split(",CN=").next().unwrap_or(text);
    let is = |server: &&topology::Server| {
        server.name.as_str().eq_ignore_ascii_case(text) || server.fqdn.as_str().eq_ignore_ascii_case(text)
    };
    draft.servers.iter().find(is).map(|server| server.name.clone()).ok_or_else(|| {
        let message = format!(
            "The operation couldn't be performed because object '{text}' couldn't be found on 'the directory'."
        );
        let failure = Failure::new("InvalidData", "ManagementObjectNotFoundException", message).about(text);
        failure.by("CM-53").advise("Get-ExchangeServer lists the servers")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_read_as_they_are_documented() {
        // QU-23, QU-24
        let queue = |server: Option<&str>, queue| QueueIdentity { server: server.map(str::to_owned), queue };
        let name = |name: &str| Which::Name(name.to_owned());
        for (text, expected) in [
            ("Submission", queue(None, name("Submission"))),
            ("MAIL1\\contoso.com", queue(Some("MAIL1"), name("contoso.com"))),
            ("MAIL1\\7", queue(Some("MAIL1"), Which::Number(7))),
            ("7", queue(None, Which::Number(7))),
            ("MAIL1\\*", queue(Some("MAIL1"), Which::All)),
            ("[192.0.2.1],relay.example", queue(None, name("[192.0.2.1],relay.example"))),
        ] {
            assert_eq!(QueueIdentity::parse(text).unwrap(), expected, "{text}");
        }
        for (text, expected, message) in [
            ("Mailbox01\\Unreachable\\3", queue(Some("Mailbox01"), name("Unreachable")), 3),
            ("contoso.com\\1234", queue(None, name("contoso.com")), 1234),
            ("MAIL1\\*\\12", queue(Some("MAIL1"), Which::All), 12),
            ("12", queue(None, Which::All), 12),
        ] {
            assert_eq!(MessageIdentity::parse(text).unwrap(), MessageIdentity { queue: expected, message }, "{text}");
        }
        for text in ["", "\\7", "a\\b\\c", "MAIL1\\"] {
            assert!(QueueIdentity::parse(text).is_err(), "{text}");
        }
        for text in ["", "contoso.com", "MAIL1\\7\\x", "a\\b\\c\\4"] {
            assert!(MessageIdentity::parse(text).is_err(), "{text}");
        }
    }
}
