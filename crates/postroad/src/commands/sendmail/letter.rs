//! What was written on standard input becomes a message: an envelope, a header with what it lacks, a body as it is. Pure: who
//! writes, where and when are arguments.

use envelope::{Address, BodyType, Domain, Envelope, Recipient, ReversePath, Timestamp};
use message::{HeaderBlock, date, firewall};

use super::options::Options;

/// Fields that name recipients, for `-t`.
const RECIPIENT_FIELDS: [&str; 3] = ["To", "Cc", "Bcc"];

/// What does not stand in the message.
pub(super) struct Circumstances<'a> {
    /// Behind names without one.
    pub(super) domain: &'a Domain,
    /// Who runs the command.
    pub(super) user: &'a str,
    /// Left side of a new `Message-ID`.
    pub(super) id: &'a str,
    pub(super) now: Timestamp,
}

/// A message that can be sent.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) envelope: Envelope,
    pub(super) content: Vec<u8>,
}

/// Makes it of the text; what is wrong with it otherwise.
pub(super) fn compose(text: &[u8], options: &Options, around: &Circumstances<'_>) -> Result<Letter, String> {
    let text = whole_lines(if options.ignore_dots { text } else { until_dot(text) });
    let text = with_header(text);
    let (header, body) = message::split_header(&text);
    let block = HeaderBlock::new(header);
    let sender = match options.sender.as_deref() {
        Some("") => ReversePath::Null,
        Some(named) => ReversePath::Address(qualified(named, around.domain)?),
        None => ReversePath::Address(qualified(around.user, around.domain)?),
    };
    let recipients = recipients(block, options, around)?;
    let header = complete(header, &sender, options, around);
    let content = [header.as_bytes_with_end().as_slice(), body].concat();
    let mut envelope = Envelope::new(sender, recipients);
    let ascii = content.is_ascii();
    envelope.body = if ascii { BodyType::SevenBit } else { BodyType::EightBitMime };
    envelope.smtputf8 = !header.0.is_ascii() || !addresses_are_ascii(&envelope);
    Ok(Letter { envelope, content })
}

fn addresses_are_ascii(envelope: &Envelope) -> bool {
    envelope.reverse_path.address().is_none_or(Address::is_ascii)
        && envelope.recipients.iter().all(|recipient| recipient.address.is_ascii())
}

/// Up to a line with a dot alone, as a terminal ends a message.
fn until_dot(text: &[u8]) -> &[u8] {
    if text.starts_with(b".\n") {
        return &[];
    }
    let end = text.windows(3).position(|window| window == b"\n.\n").map(|at| at + 1);
    &text[..end.unwrap_or(text.len())]
}

/// Every line ends with CRLF.
fn whole_lines(text: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(text.len() + text.len() / 32 + 2);
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        lines.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

/// Text that begins with no field is all body.
fn with_header(text: Vec<u8>) -> Vec<u8> {
    let first = text.split(|octet| *octet == b'\n').next().unwrap_or_default();
    let name = first.split(|octet| *octet == b':').next().unwrap_or_default();
    let is_field = name.len() < first.len() && !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    if is_field || text.starts_with(b"\r\n") { text } else { [b"\r\n", text.as_slice()].concat() }
}

/// A name without a domain is one of ours.
fn qualified(text: &str, domain: &Domain) -> Result<Address, String> {
    let bare = text.trim().trim_start_matches('<').trim_end_matches('>');
    let address = if bare.contains('@') { Address::parse(bare) } else { Address::new(bare, domain) };
    address.map_err(|error| format!("{text:?}: {error}"))
}

fn recipients(block: HeaderBlock<'_>, options: &Options, around: &Circumstances<'_>) -> Result<Vec<Recipient>, String> {
    let mut addresses = Vec::new();
    for named in &options.recipients {
        addresses.push(qualified(named, around.domain)?);
    }
    if options.from_header {
        for name in RECIPIENT_FIELDS {
            for entry in block.address_entries(name) {
                addresses.push(match entry {
                    Ok(address) => address,
                    Err(written) => qualified(&written, around.domain)?,
                });
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(address.key()));
    if addresses.is_empty() {
        return Err("the header names no recipient (To, Cc, Bcc)".to_owned());
    }
    Ok(addresses.into_iter().map(Recipient::new).collect())
}

struct Header(Vec<u8>);

impl Header {
    fn as_bytes_with_end(&self) -> Vec<u8> {
        [self.0.as_slice(), b"\r\n"].concat()
    }
}

/// Without `Bcc`, and with what RFC 5322 §3.6 wants.
fn complete(header: &[u8], sender: &ReversePath, options: &Options, around: &Circumstances<'_>) -> Header {
    let header = firewall::without(HeaderBlock::new(header), "Bcc").into_owned();
    let block = HeaderBlock::new(&header);
    let mut added = String::new();
    if block.field("From").is_none() {
        let address =
            sender.address().map_or_else(|| format!("{}@{}", around.user, around.domain), ToString::to_string);
        added += &match &options.full_name {
            Some(name) => format!("From: {} <{address}>\r\n", quoted(name)),
            None => format!("From: {address}\r\n"),
        };
    }
    if block.field("Date").is_none() {
        added += &format!("Date: {}\r\n", date::rfc5322(around.now));
    }
    if block.field("Message-ID").is_none() {
        added += &format!("Message-ID: <{}@{}>\r\n", around.id, around.domain);
    }
    let fields = header.strip_suffix(b"\r\n\r\n").map_or(header.as_slice(), |_| &header[..header.len() - 2]);
    let fields = if fields == b"\r\n" { &[][..] } else { fields };
    Header([added.as_bytes(), fields].concat())
}

/// A display name that nothing can break out of (RFC 5322 §3.2.4).
fn quoted(name: &str) -> String {
    let plain: String = name.chars().filter(|character| !character.is_control()).collect();
    format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(text: &str, line: &str) -> Result<(String, Vec<String>, String), String> {
        let options = super::super::options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())?;
        let domain = Domain::parse("contoso.com").unwrap();
        let now = Timestamp::from_millis(1_764_457_200_000);
        let around = Circumstances { domain: &domain, user: "cron", id: "1.2", now };
        let Letter { envelope, content } = compose(text.as_bytes(), &options, &around)?;
        let recipients = envelope.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
        Ok((envelope.reverse_path.to_string(), recipients, String::from_utf8(content).unwrap()))
    }

    #[test]
    fn what_cron_writes_gets_the_fields_that_it_lacks() {
        let (sender, recipients, content) = letter("Subject: Cron\nTo: root\n\nhello\n", "-FCron -i root").unwrap();
        assert_eq!((sender.as_str(), recipients), ("cron@contoso.com", vec!["root@contoso.com".to_owned()]));
        let (header, body) = content.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "hello\r\n");
        for field in ["From: \"Cron\" <cron@contoso.com>", "Date: ", "Message-ID: <1.2@contoso.com>", "Subject: Cron"] {
            assert!(header.contains(field), "{field}: {header}");
        }
    }

    #[test]
    fn recipients_of_the_header_are_taken_and_hidden_ones_are_not_shown() {
        let text =
            "From: Anna <anna@contoso.com>\nTo: Bo <bo@fabrikam.com>, cat@fabrikam.com\nBcc: dan@fabrikam.com\n\nx\n";
        let (sender, recipients, content) = letter(text, "-t -f anna@contoso.com").unwrap();
        assert_eq!(sender, "anna@contoso.com");
        assert_eq!(recipients, ["bo@fabrikam.com", "cat@fabrikam.com", "dan@fabrikam.com"]);
        assert!(!content.contains("dan@") && content.contains("From: Anna"), "{content}");
        assert_eq!(letter("Subject: x\n\nx\n", "-t").unwrap_err(), "the header names no recipient (To, Cc, Bcc)");
    }

    #[test]
    fn a_dot_ends_a_message_unless_told_otherwise_and_plain_text_is_a_body() {
        let dotted = "Subject: x\n\none\n.\ntwo\n";
        assert!(letter(dotted, "root").unwrap().2.ends_with("\r\n\r\none\r\n"));
        assert!(letter(dotted, "-i root").unwrap().2.ends_with("\r\n\r\none\r\n.\r\ntwo\r\n"));
        let (sender, _, content) = letter("just text: no field\n", "-f <> root").unwrap();
        assert_eq!(sender, "");
        assert!(content.contains("From: cron@contoso.com\r\n") && content.ends_with("\r\n\r\njust text: no field\r\n"));
    }
}
