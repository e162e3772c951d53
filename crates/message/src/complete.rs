//! What every message has that leaves here: a date, an identification, an empty line behind the header (RFC 5322 §3.6, PL-61).

use envelope::{Domain, MessageId, Timestamp};

use crate::{HeaderBlock, date, firewall};

/// The header with `Date` and `Message-ID` where it has none that can be read, the latter made of `id` and `domain`; it ends with an
/// empty line.
#[must_use]
pub fn with_date_and_id(header: HeaderBlock<'_>, now: Timestamp, id: MessageId, domain: &Domain) -> Vec<u8> {
    let mut added = Vec::new();
    let mut kept = header.as_bytes().to_vec();
    // A field that cannot be read is as good as missing, and two would be one too many.
    let mut add = |name: &str, value: String| {
        kept = firewall::without(HeaderBlock::new(&kept), name).into_owned();
        added.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    };
    if header.date().is_none() {
        add("Date", date::rfc5322(now));
    }
    if header.message_id().is_none() {
        add("Message-ID", format!("<{id}@{}>", domain.ascii()));
    }
    added.extend_from_slice(&kept);
    end(&mut added);
    added
}

/// A message may end with its header; what is sent always has the empty line.
fn end(header: &mut Vec<u8>) {
    if !header.ends_with(b"\r\n") {
        header.extend_from_slice(b"\r\n");
    }
    if !header.ends_with(b"\r\n\r\n") {
        header.extend_from_slice(b"\r\n");
    }
}
