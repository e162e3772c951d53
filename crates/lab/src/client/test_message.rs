//! Messages to send through a lab: a header that can be found again, and a body of the size wanted.

use envelope::{Address, ByteSize, ReversePath, Timestamp};
use mail_send::mail_builder::MessageBuilder;
use mail_send::mail_builder::headers::raw::Raw;
use uuid::Uuid;

/// Octets of one line of a filled body, CRLF included (RFC 5322 §2.1.1 asks for at most 80).
const LINE_OCTETS: usize = 72;

/// A plain message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestMessage {
    /// Stands in `Subject`.
    pub subject: String,
    /// Stands in `From`; nothing does for the null path.
    pub sender: ReversePath,
    /// Stand in `To`.
    pub recipients: Vec<Address>,
    /// Stands in `Date`.
    pub date: Timestamp,
    /// At least so many octets of text.
    pub body_size: ByteSize,
    /// What comes before the `@` of `Message-ID`; a random one is unique.
    pub unique: Uuid,
}

impl TestMessage {
    /// A short message made now.
    #[must_use]
    pub fn new(subject: &str, sender: ReversePath, recipients: Vec<Address>, date: Timestamp) -> Self {
        let (subject, body_size) = (subject.to_owned(), ByteSize::bytes(0));
        Self { subject, sender, recipients, date, body_size, unique: Uuid::new_v4() }
    }

    /// The `Message-ID`, angle brackets included.
    #[must_use]
    pub fn message_id(&self) -> String {
        format!("<{}@client.lab.example>", self.unique)
    }

    /// The message as it goes over the wire, dots not yet stuffed.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        let seconds = i64::try_from(self.date.as_millis() / 1000).unwrap_or_default();
        // `Raw`, because the builder would encode the brackets.
        let mut message = MessageBuilder::new()
            .header("Message-ID", Raw::new(self.message_id()))
            .date(seconds)
            .subject(self.subject.as_str());
        if let Some(address) = self.sender.address() {
            message = message.from(address.as_str());
        }
        let to: Vec<_> = self.recipients.iter().map(Address::as_str).collect();
        let message = message.to(to).text_body(self.body());
        message.write_to_vec().expect("writing to memory does not fail")
    }

    fn body(&self) -> String {
        let mut body = format!("A message of the lab: {}\r\n", self.subject);
        let wanted = usize::try_from(self.body_size.as_u64()).unwrap_or(usize::MAX);
        while body.len() < wanted {
            let rest = (wanted - body.len()).clamp(3, LINE_OCTETS);
            body.extend(std::iter::repeat_n('x', rest - 2));
            body.push_str("\r\n");
        }
        body
    }
}
