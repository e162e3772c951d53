//! Writing commands. Whatever goes in has been parsed before or is encoded here, so no line break can be smuggled in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};
use envelope::{BodyType, DsnReturn, Envelope, Notify, OriginalRecipient, Recipient, ReversePath};
use zeroize::Zeroizing;

use super::capabilities::Capabilities;
use super::message::Needs;
use crate::command::parameters::ORIGINAL_RECIPIENT_OCTETS_MAX;
use crate::credentials::Credentials;
use crate::xtext;

/// `MAIL FROM:<…>` with what the server offers of the parameters.
pub(super) fn mail(envelope: &Envelope, needs: Needs, size: u64, offered: &Capabilities, out: &mut BytesMut) {
    out.put_slice(b"MAIL FROM:<");
    if let ReversePath::Address(address) = &envelope.reverse_path {
        out.put_slice(address.as_str().as_bytes());
    }
    out.put_slice(b">");
    if offered.size {
        out.put_slice(b" SIZE=");
        decimal(size, out);
    }
    if needs.eight_bit_mime && offered.eight_bit_mime {
        out.put_slice(b" BODY=8BITMIME");
    }
    if needs.smtputf8 && offered.smtputf8 {
        out.put_slice(b" SMTPUTF8");
    }
    if offered.dsn {
        match envelope.dsn_return {
            Some(DsnReturn::Full) => out.put_slice(b" RET=FULL"),
            Some(DsnReturn::Headers) => out.put_slice(b" RET=HDRS"),
            None => {}
        }
        if let Some(id) = &envelope.envelope_id {
            out.put_slice(b" ENVID=");
            xtext::encode(id, out);
        }
    }
    out.put_slice(b"\r\n");
}

/// `RCPT TO:<…>` with its DSN parameters if the server offers DSN.
pub(super) fn rcpt(recipient: &Recipient, offered: &Capabilities, out: &mut BytesMut) {
    out.put_slice(b"RCPT TO:<");
    out.put_slice(recipient.address.as_str().as_bytes());
    out.put_slice(b">");
    if offered.dsn {
        if let Some(notify) = recipient.notify {
            put_notify(notify, out);
        }
        if let Some(original) = &recipient.original {
            put_original(original, out);
        }
    }
    out.put_slice(b"\r\n");
}

/// One that is longer than every server takes is left out (RFC 3461 §4.2): with it the recipient would be refused.
fn put_original(original: &OriginalRecipient, out: &mut BytesMut) {
    let mut value = BytesMut::new();
    xtext::encode(&original.kind, &mut value);
    value.put_slice(b";");
    xtext::encode(&original.address, &mut value);
    if value.len() <= ORIGINAL_RECIPIENT_OCTETS_MAX {
        out.put_slice(b" ORCPT=");
        out.put_slice(&value);
    }
}

/// An envelope with these of its recipients as a file for a Replay directory has it: what `MAIL` and `RCPT` would say, in
/// `X-Sender` and `X-Receiver` (PL-62).
pub fn replay_fields<'a>(envelope: &Envelope, recipients: impl Iterator<Item = &'a Recipient>) -> BytesMut {
    let offered = Capabilities { dsn: true, eight_bit_mime: true, smtputf8: true, ..Capabilities::default() };
    let eight_bit_mime = envelope.body == BodyType::EightBitMime;
    let needs = Needs { eight_bit_mime, smtputf8: envelope.smtputf8, long_addresses: false };
    let (mut out, mut line) = (BytesMut::new(), BytesMut::new());
    mail(envelope, needs, 0, &offered, &mut line);
    out.put_slice(b"X-Sender: ");
    out.put_slice(&line["MAIL FROM:".len()..]);
    for recipient in recipients {
        line.clear();
        rcpt(recipient, &offered, &mut line);
        out.put_slice(b"X-Receiver: ");
        out.put_slice(&line["RCPT TO:".len()..]);
    }
    out
}

fn put_notify(notify: Notify, out: &mut BytesMut) {
    let Notify::On { success, failure, delay } = notify else { return out.put_slice(b" NOTIFY=NEVER") };
    let mut separator = " NOTIFY=";
    for (wanted, word) in [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")] {
        if wanted {
            out.put_slice(separator.as_bytes());
            out.put_slice(word.as_bytes());
            separator = ",";
        }
    }
}

/// `BDAT size LAST` (RFC 3030 §2).
pub(super) fn last_chunk(size: usize, out: &mut BytesMut) {
    out.put_slice(b"BDAT ");
    decimal(size as u64, out);
    out.put_slice(b" LAST\r\n");
}

/// `AUTH PLAIN` with its response (RFC 4616).
pub(super) fn auth_plain(credentials: &Credentials, out: &mut BytesMut) {
    out.put_slice(b"AUTH PLAIN ");
    base64_line(&credentials.plain_response(), out);
}

/// The octets of a challenge of the server, `334` and base64.
pub(super) fn challenge(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.trim()).ok()
}

/// One base64 line of an `AUTH` dialogue.
pub(super) fn base64_line(octets: &[u8], out: &mut BytesMut) {
    out.put_slice(Zeroizing::new(STANDARD.encode(octets)).as_bytes());
    out.put_slice(b"\r\n");
}

fn decimal(mut number: u64, out: &mut BytesMut) {
    let mut digits = [0u8; 20];
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + u8::try_from(number % 10).expect("one decimal digit");
        number /= 10;
        if number == 0 {
            break out.put_slice(&digits[from..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use envelope::Address;

    use super::*;
    use crate::command::parameters::{OwnNames, parse_recipient};
    use crate::server::Extensions;

    #[test]
    fn an_original_recipient_is_told_where_every_server_takes_it() {
        // RFC 3461 §4.2; PL-44: mail for a long address goes on under another one.
        for (octets, told) in [(500, true), (501, false), (1860, false)] {
            let original = OriginalRecipient { kind: "rfc822".into(), address: "x".repeat(octets - 7).into() };
            let mut recipient = Recipient::new(Address::parse("ann@contoso.com").unwrap());
            recipient.original = Some(original.clone());
            let mut out = BytesMut::new();
            rcpt(&recipient, &Capabilities { dsn: true, ..Capabilities::default() }, &mut out);
            let line = std::str::from_utf8(&out).unwrap().trim_end();
            let arguments = line.strip_prefix("RCPT TO:").unwrap();
            let domain = recipient.address.domain();
            let own = OwnNames { postmaster_domain: &domain, address: None };
            let read = parse_recipient(arguments, &Extensions::default(), false, own).unwrap();
            assert_eq!(read.original, told.then_some(original), "{octets}");
        }
    }
}
