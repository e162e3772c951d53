//! Dialogues of the client machine with careful, careless and hostile servers.

mod opening;
mod round_trip;
mod sending;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use envelope::{Address, Domain, Envelope, Recipient, ReversePath};

use super::*;

pub(super) fn config() -> ClientConfig {
    ClientConfig {
        hello_name: Domain::parse("mbx01.contoso.com").unwrap(),
        force_helo: false,
        starttls: StartTlsUse::IfOffered,
        logon: None,
        credentials_in_clear: CredentialUse::Withheld,
        chunking: true,
        inactivity_timeout: Duration::from_mins(10),
    }
}

pub(super) fn envelope(recipients: &[&str]) -> Envelope {
    let recipients = recipients.iter().map(|text| Recipient::new(Address::parse(text).unwrap())).collect();
    Envelope::new(ReversePath::parse("a@contoso.com").unwrap(), recipients)
}

/// A machine, and a server that says what the test says.
pub(super) struct Line {
    pub session: ClientSession,
    events: VecDeque<ClientEvent>,
}

impl Line {
    pub(super) fn new(config: ClientConfig) -> Self {
        Self { session: ClientSession::new(config, Instant::now()), events: VecDeque::new() }
    }

    /// Past EHLO, with these keywords offered.
    pub(super) fn ready(keywords: &[&str]) -> Self {
        let mut line = Self::new(config());
        assert_eq!(line.says("220 mx\r\n"), "EHLO mbx01.contoso.com\r\n");
        let lines: String = keywords.iter().map(|keyword| format!("250-{keyword}\r\n")).collect();
        line.says(&format!("250-mx\r\n{lines}250 HELP\r\n"));
        assert_eq!(line.event(), Some(ClientEvent::Ready));
        line
    }

    /// The server says `input`; gives what the machine sends. Events wait until asked for.
    pub(super) fn says(&mut self, input: &str) -> String {
        self.session.handle_input(input.as_bytes());
        while let Some(event) = self.session.poll_event() {
            self.events.push_back(event);
        }
        self.sent()
    }

    pub(super) fn sent(&mut self) -> String {
        self.session.poll_transmit().map(|octets| String::from_utf8(octets.to_vec()).unwrap()).unwrap_or_default()
    }

    pub(super) fn event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front().or_else(|| self.session.poll_event())
    }

    /// The outcome as text: `reusable` or `closed`, then a line for each recipient.
    pub(super) fn outcome(&mut self) -> String {
        let Some(ClientEvent::Finished(outcome)) = self.event() else { panic!("no outcome") };
        let shown = outcome.recipients.iter().map(|result| match result {
            Ok(reply) => format!("|ok {reply}"),
            Err(failure) => format!("|{:?} {} {failure}{}", failure.severity(), failure.status(), ambiguous(failure)),
        });
        let state = if outcome.reusable { "reusable" } else { "closed" };
        format!("{state}{}", shown.collect::<String>())
    }
}

fn ambiguous(failure: &SessionFailure) -> &'static str {
    if failure.is_ambiguous() { " AMBIGUOUS" } else { "" }
}
