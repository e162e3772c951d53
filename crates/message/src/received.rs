//! Trace lines: writes our `Received` field, and reads who wrote one (RFC 5321 §4.4).
//!
//! What a peer said about itself is cut and made printable; it can add no field and no comment. Reading is forgiving,
//! linear, and trusts nothing: it serves loop detection only (RT-74).

use std::net::IpAddr;

use envelope::{Domain, MessageId, Recipient, Timestamp};

use crate::date;
use crate::encode::{printable, push_field};

/// Longest name of a peer that is repeated in a trace line (a domain name has at most 255 octets).
const HELO_OCTETS_MAX: usize = 255;
/// Longest description of a TLS session that is repeated.
const TLS_OCTETS_MAX: usize = 120;
/// Longest text that can be an IP address, with `IPv6:` before it.
const ADDRESS_LITERAL_OCTETS_MAX: usize = 64;

/// How a message arrived: the `with` clause (RFC 3848, RFC 6531 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// After `HELO`, and no extension.
    Smtp,
    /// After `EHLO`, or with extensions.
    Extended {
        /// After `STARTTLS`.
        tls: bool,
        /// After `AUTH`.
        authenticated: bool,
        /// `MAIL` had `SMTPUTF8`.
        smtputf8: bool,
    },
    /// Between services of the organization. A single atom, since the grammar of `with` allows no more.
    Rpc,
}

impl Protocol {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "SMTP",
            Self::Extended { tls, authenticated, smtputf8: false } => match (tls, authenticated) {
                (false, false) => "ESMTP",
                (true, false) => "ESMTPS",
                (false, true) => "ESMTPA",
                (true, true) => "ESMTPSA",
            },
            Self::Extended { tls, authenticated, smtputf8: true } => match (tls, authenticated) {
                (false, false) => "UTF8SMTP",
                (true, false) => "UTF8SMTPS",
                (false, true) => "UTF8SMTPA",
                (true, true) => "UTF8SMTPSA",
            },
            Self::Rpc => "Postroad-RPC",
        }
    }
}

/// Contents of the `Received` field that this server adds.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// What the peer called itself in `HELO` or `EHLO`.
    pub helo: &'a str,
    /// Address of the peer; `None` for mail that was submitted on this machine.
    pub peer: Option<IpAddr>,
    /// Name of this server (`Fqdn` of the Receive connector).
    pub by: &'a Domain,
    /// How it arrived.
    pub protocol: Protocol,
    /// Version and cipher, when TLS was used.
    pub tls: Option<&'a str>,
    /// Network message id.
    pub id: MessageId,
    /// All recipients of the transaction. One is named in `for`; of several none is, lest they learn of each other.
    pub recipients: &'a [Recipient],
    /// When the message was accepted.
    pub date: Timestamp,
}

impl Received<'_> {
    /// The folded field with its line end, to stand above the header block.
    #[must_use]
    pub fn to_field(&self) -> String {
        let mut value = format!("from {}", self.peer_name());
        if let Some(address) = self.peer {
            value.push_str(&format!(" ({})", literal(address)));
        }
        value.push_str(&format!(" by {} with {}", self.by.ascii(), self.protocol.as_str()));
        if let Some(tls) = self.tls {
            value.push_str(&format!(" ({})", without_specials(tls, TLS_OCTETS_MAX)));
        }
        value.push_str(&format!(" id {}", self.id));
        if let [only] = self.recipients
            && only.address.is_ascii()
            // Its line would be longer than one may be (RFC 5322 §2.1.1).
            && !only.address.is_long()
        {
            value.push_str(&format!(" for <{}>", only.address));
        }
        value.push_str(&format!("; {}", date::rfc5322(self.date)));
        let mut field = String::new();
        push_field(&mut field, "Received", &value);
        field
    }

    fn peer_name(&self) -> String {
        let name: String = without_specials(self.helo, HELO_OCTETS_MAX).split(' ').collect();
        if name.is_empty() { "unknown".to_owned() } else { name }
    }
}

/// Printable, and free of what would end a comment or the clause list.
fn without_specials(text: &str, max: usize) -> String {
    printable(text, max).replace(['(', ')', ';', '\\', '"', '<', '>'], "?")
}

/// Address literal of RFC 5321 §4.1.3.
fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("[{v4}]"),
        IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
    }
}

/// IP addresses that stand before the date, as `[…]` or `(…)`.
pub(crate) fn addresses(value: &[u8]) -> impl Iterator<Item = IpAddr> {
    let clauses = memchr::memchr(b';', value).map_or(value, |end| &value[..end]);
    clauses
        .split(|byte| byte.is_ascii_whitespace() || b"[](),".contains(byte))
        .filter(|word| (2..=ADDRESS_LITERAL_OCTETS_MAX).contains(&word.len()))
        .filter_map(|word| {
            let text = std::str::from_utf8(word).ok()?;
            let tagged = text.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
            text[tagged.map_or(0, str::len)..].parse().ok()
        })
}

/// The first word outside of comments, without quotes, up to white space or a semicolon: the `authserv-id` of RFC 8601 §2.2.
pub(crate) fn first_word(value: &[u8]) -> String {
    let (mut depth, mut escaped, mut word) = (0_usize, false, Vec::new());
    for byte in value {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if depth > 0 => escaped = true,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            b'"' => {}
            byte if byte.is_ascii_whitespace() && word.is_empty() => {}
            byte if byte.is_ascii_whitespace() || matches!(byte, b';' | b'/') => break,
            byte => word.push(*byte),
        }
    }
    String::from_utf8_lossy(&word).into_owned()
}

/// The word after `by`, outside comments: who wrote the field.
pub(crate) fn written_by(value: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_usize;
    let mut by_seen = false;
    for word in value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        if depth == 0 && by_seen {
            let end = word.iter().position(|byte| matches!(byte, b'(' | b';')).unwrap_or(word.len());
            return Some(&word[..end]);
        }
        by_seen = depth == 0 && word.eq_ignore_ascii_case(b"by");
        for byte in word {
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::HeaderBlock;
    use envelope::Address;
    use proptest::prelude::*;

    fn field(helo: &str, recipients: &[&str], tls: Option<&str>) -> String {
        let recipients: Vec<_> = recipients.iter().map(|r| Recipient::new(Address::parse(r).unwrap())).collect();
        Received {
            helo,
            peer: Some("192.0.2.7".parse().unwrap()),
            by: &Domain::parse("mbx1.contoso.com").unwrap(),
            protocol: Protocol::Extended { tls: true, authenticated: false, smtputf8: false },
            tls,
            id: MessageId::from_bytes([7; 16]),
            recipients: &recipients,
            date: Timestamp::from_millis(1_795_251_600_000),
        }
        .to_field()
    }

    #[test]
    fn names_the_recipient_only_when_there_is_one() {
        assert_eq!(
            field("mail.fabrikam.com", &["ann@contoso.com"], Some("version=TLS1_3, cipher=TLS_AES_256_GCM_SHA384")),
            "Received: from mail.fabrikam.com ([192.0.2.7]) by mbx1.contoso.com with ESMTPS\r\n \
             (version=TLS1_3, cipher=TLS_AES_256_GCM_SHA384) id\r\n \
             07070707-0707-0707-0707-070707070707 for <ann@contoso.com>; Sat, 21 Nov 2026\r\n 09:00:00 +0000\r\n"
        );
        assert!(!field("a", &["ann@contoso.com", "bob@contoso.com"], None).contains(" for "));
    }

    #[test]
    fn a_peer_cannot_write_into_the_header_by_its_name() {
        // peers E2-17
        assert!(field("", &[], None).starts_with("Received: from unknown "));
        let field = field("evil\r\nX-MS-Exchange-Organization-SCL: -1\r\n\r\nby x) by mbx9 (;", &[], Some("(a\r\nb"));
        assert_eq!(HeaderBlock::new(field.as_bytes()).fields().count(), 1);
        assert_eq!(HeaderBlock::new(field.as_bytes()).glimpse("mbx1.contoso.com").visits, 1, "{field}");
    }

    #[test]
    fn reads_who_wrote_a_line_and_which_addresses_it_names() {
        for (value, by, count) in [
            ("from a (by b [10.0.0.1]) by c.example (10.0.0.2) with SMTP; 10.0.0.3", "c.example", 2),
            ("from a by\r\n\tc.example(x) with ESMTP", "c.example", 0),
            ("from [IPv6:2001:db8::1] by c.example;date", "c.example", 1),
            ("by c.example", "c.example", 0),
        ] {
            assert_eq!(written_by(value.as_bytes()), Some(by.as_bytes()), "{value}");
            assert_eq!(addresses(value.as_bytes()).count(), count, "{value}");
        }
        assert_eq!(written_by(b"(qmail 1 invoked by uid 0); date"), None);
    }

    #[test]
    fn the_word_that_names_a_host_is_found_where_it_may_stand() {
        for (value, word) in [
            ("mail1.contoso.com; spf=pass", "mail1.contoso.com"),
            ("(a \\) b) \"mail1.contoso.com\" 1; spf=pass", "mail1.contoso.com"),
            ("\r\n mail1.contoso.com/1; x", "mail1.contoso.com"),
            ("", ""),
        ] {
            assert_eq!(first_word(value.as_bytes()), word, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(value in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (written_by(&value), first_word(&value));
            let _ = addresses(&value).count();
        }
    }
}
