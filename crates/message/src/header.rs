//! A view of a header block: its fields one after the other, without copying (RFC 5322 §2.2).
//!
//! Reading never fails. Whatever stands between two line ends is a [`Field`]; one without a colon has no name. The
//! fields joined again are the block, octet for octet. Every octet is visited a fixed number of times, and values are cut
//! before they are decoded, so hostile headers cost no more than their length.

use std::borrow::Cow;
use std::net::IpAddr;

use envelope::{Address, ByteSize, Timestamp, TraceContext};
use mail_parser::DateTime;
use mail_parser::parsers::MessageStream;

use crate::{decode, received};

/// Most `Received` fields that a message may carry between servers of the organization: the most that a Receive connector may
/// let in (RT-74: default 30, range 1 to 500), and as many again for the way inside. Circles inside are found long before.
pub const INSIDE_HOP_COUNT_MAX: usize = 1000;
/// Most `Received` fields by which one server has taken a message over from another: a circle inside (RT-74: default of
/// `MaxLocalHopCount`).
pub const OWN_HOP_COUNT_MAX: usize = 8;
/// Octets of a list of addresses that are read; the rest is ignored. 64 KB: above 500 recipients in one `To`.
pub const VALUE_OCTETS_MAX: usize = 64 * 1024;
/// Octets of a `Subject` or `Message-ID` that are decoded; the rest is ignored. They are for a line of a log: 2 KB.
pub const TEXT_OCTETS_MAX: usize = 2 * 1024;
/// Octets of a `Date` that are read.
const DATE_OCTETS_MAX: usize = 128;

/// Size of the message on entry to the organization, in octets (LM-02).
pub const ORIGINAL_SIZE: &str = "X-MS-Exchange-Organization-OriginalSize";
/// Position in the distributed trace (W3C Trace Context). From outside it is only ever linked to, never continued.
pub const TRACE_PARENT: &str = "Traceparent";

/// One field: its name, its value, and the lines that they came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    raw: &'a [u8],
    colon: Option<usize>,
}

impl<'a> Field<'a> {
    /// The lines as they stand in the message, line ends included.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// What precedes the first colon, without the white space that RFC 5322 §4.5 once allowed there. Empty for a line
    /// that is no field.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        self.colon.map_or(&[], |colon| self.raw[..colon].trim_ascii_end())
    }

    /// The colon and all that follows, line ends included; the line itself where there is no colon.
    #[must_use]
    pub fn from_colon(&self) -> &'a [u8] {
        self.colon.map_or(self.raw, |colon| &self.raw[colon..])
    }

    /// What follows the colon, folds included, without the last line end.
    #[must_use]
    pub fn value(&self) -> &'a [u8] {
        let value = self.colon.map_or(self.raw, |colon| &self.raw[colon + 1..]);
        value.trim_ascii()
    }

    /// The value on one line, octets that are no UTF-8 replaced. Encoded words stay as they are.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        let value = self.value();
        if memchr::memchr2(b'\r', b'\n', value).is_none() {
            return String::from_utf8_lossy(value);
        }
        // RFC 5322 §2.2.3: unfolding removes the line end and keeps the white space after it.
        let unfolded: Vec<u8> = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        Cow::Owned(String::from_utf8_lossy(&unfolded).into_owned())
    }

    /// Whether the line is a field: a name of printable ASCII before a colon (RFC 5322 §2.2, with the white space of §4.5).
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let name = self.name();
        !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
    }

    /// Whether the field has this name; case does not matter (RFC 5322 §1.2.2).
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// The beginning of the value, at most so many octets.
    fn beginning(&self, octets_max: usize) -> &'a [u8] {
        let value = self.value();
        &value[..value.len().min(octets_max)]
    }

    /// The entries of the list in the value, in order: an address, or the text that is none.
    fn address_entries(&self) -> Vec<Result<Address, String>> {
        decode::address_entries(self.beginning(VALUE_OCTETS_MAX))
    }

    /// The addresses in the value that are valid mailbox addresses, in order.
    fn addresses(&self) -> Vec<Address> {
        self.address_entries().into_iter().filter_map(Result::ok).collect()
    }
}

/// What one look at a header tells of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glimpse {
    /// `Subject` with encoded words decoded.
    pub subject: Option<String>,
    /// The text in the angle brackets of `Message-ID`.
    pub message_id: Option<String>,
    /// Number of `Received` fields, for the hop limits (RT-74).
    pub hops: usize,
    /// How many of them the server wrote that was asked for: how often the message has been there.
    pub visits: usize,
}

fn decode_subject(field: &Field<'_>) -> Option<String> {
    let subject = decode::unstructured(field.beginning(TEXT_OCTETS_MAX));
    (!subject.is_empty()).then_some(subject)
}

fn is_written_by(field: &Field<'_>, host: &str) -> bool {
    received::written_by(field.value()).is_some_and(|by| by.eq_ignore_ascii_case(host.as_bytes()))
}

/// A header block, with or without the empty line that ends it. Anything after that line is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderBlock<'a>(&'a [u8]);

impl<'a> HeaderBlock<'a> {
    /// Views `block`, usually from [`HeaderCollector`](crate::HeaderCollector), which bounds it.
    #[must_use]
    pub const fn new(block: &'a [u8]) -> Self {
        Self(block)
    }

    /// All octets of the block, the empty line included.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The fields from top to bottom.
    #[must_use]
    pub const fn fields(&self) -> Fields<'a> {
        Fields { rest: self.0 }
    }

    /// The first field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Field<'a>> {
        self.fields().find(|field| field.is(name))
    }

    /// Octets up to the first line that is neither a field nor the empty line: what a sender that knows no header began with
    /// its text. `None` when all are fields.
    #[must_use]
    pub fn text_begins(&self) -> Option<usize> {
        let mut octets = 0;
        for field in self.fields() {
            if !field.is_well_formed() {
                return Some(octets);
            }
            octets += field.raw().len();
        }
        None
    }

    /// `Message-ID` without its angle brackets.
    #[must_use]
    pub fn message_id(&self) -> Option<String> {
        decode::message_id(self.field("Message-ID")?.beginning(TEXT_OCTETS_MAX))
    }

    /// `Subject` with encoded words decoded.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        decode_subject(&self.field("Subject")?)
    }

    /// `Date`, when it is a valid date after 1970.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        let text = [self.field("Date")?.beginning(DATE_OCTETS_MAX), b"\r\n"].concat();
        let date: DateTime = MessageStream::new(&text).parse_date().into_datetime()?;
        let seconds = date.is_valid().then(|| date.to_timestamp())?;
        u64::try_from(seconds).ok()?.checked_mul(1000).map(Timestamp::from_millis)
    }

    /// The first address of `From`.
    #[must_use]
    pub fn from(&self) -> Option<Address> {
        self.field("From")?.addresses().into_iter().next()
    }

    /// All valid addresses of all fields of this name (`To`, `Cc`, `Bcc`), in order, duplicates kept.
    #[must_use]
    pub fn addresses(&self, name: &str) -> Vec<Address> {
        self.fields().filter(|field| field.is(name)).flat_map(|field| field.addresses()).collect()
    }

    /// Every entry of all fields of this name, in order, for whoever may not pass one over: an address, or the text that
    /// is none.
    #[must_use]
    pub fn address_entries(&self, name: &str) -> Vec<Result<Address, String>> {
        self.fields().filter(|field| field.is(name)).flat_map(|field| field.address_entries()).collect()
    }

    /// Number of `Received` fields, for the hop limits (RT-74).
    #[must_use]
    pub fn hop_count(&self) -> usize {
        self.received().count()
    }

    /// Number of `Received` fields naming an address of this server (RT-74, `MaxLocalHopCount`).
    #[must_use]
    pub fn local_hop_count(&self, is_local: impl Fn(IpAddr) -> bool) -> usize {
        self.received().filter(|field| received::addresses(field.value()).any(&is_local)).count()
    }

    /// What is told of a message that came from another server, by one look at its header: `Subject` and `Message-ID` as
    /// [`Self::subject`] and [`Self::message_id`] give them, and the hops, with those that `host` wrote.
    #[must_use]
    pub fn glimpse(&self, host: &str) -> Glimpse {
        let (mut subject, mut message_id, mut glimpse) = (None, None, Glimpse::default());
        for field in self.fields() {
            if field.is("Received") {
                glimpse.hops += 1;
                glimpse.visits += usize::from(is_written_by(&field, host));
            } else if subject.is_none() && field.is("Subject") {
                subject = Some(field);
            } else if message_id.is_none() && field.is("Message-ID") {
                message_id = Some(field);
            }
        }
        glimpse.subject = subject.and_then(|field| decode_subject(&field));
        glimpse.message_id = message_id.and_then(|field| decode::message_id(field.beginning(TEXT_OCTETS_MAX)));
        glimpse
    }

    /// Whether a field says what `host` found out about the sender (`Authentication-Results`, RFC 8601 §2.2).
    #[must_use]
    pub fn is_result_of(field: &Field<'_>, host: impl Fn(&str) -> bool) -> bool {
        field.is("Authentication-Results") && host(&received::first_word(field.value()))
    }

    /// The recorded size on entry (LM-02). The effective size is the smaller of this and the present one.
    #[must_use]
    pub fn original_size(&self) -> Option<ByteSize> {
        self.field(ORIGINAL_SIZE)?.text().trim().parse().ok().map(ByteSize::bytes)
    }

    /// The trace that the message claims to belong to; whether to believe it is the caller's decision.
    #[must_use]
    pub fn trace_context(&self) -> Option<TraceContext> {
        self.field(TRACE_PARENT)?.text().trim().parse().ok()
    }

    fn received(&self) -> impl Iterator<Item = Field<'a>> {
        self.fields().filter(|field| field.is("Received"))
    }
}

/// Fields of a [`HeaderBlock`], from top to bottom.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// What has not been read yet; after the last field the empty line and what follows it.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() || self.rest.starts_with(b"\n") || self.rest.starts_with(b"\r\n") {
            return None;
        }
        let mut end = line_end(self.rest, 0);
        let colon = memchr::memchr(b':', &self.rest[..end]);
        while self.rest.get(end).is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            end = line_end(self.rest, end);
        }
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        // A fold above every field continues nothing, so it is not a field either.
        let colon = colon.filter(|_| !raw.starts_with(b" ") && !raw.starts_with(b"\t"));
        Some(Field { raw, colon })
    }
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    memchr::memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |index| from + index + 1)
}

#[cfg(test)]
mod tests;
