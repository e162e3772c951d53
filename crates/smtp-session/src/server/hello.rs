//! Names after `EHLO` and `HELO`, and the EHLO reply in the documented wording and order.

use std::net::IpAddr;

use super::config::{AuthOffer, ServerConfig};
use bytes::{BufMut, BytesMut};

/// Longest name after `EHLO` in octets (RFC 5321 §4.5.3.1.2).
const HELLO_NAME_OCTETS_MAX: usize = 255;

/// The name after `EHLO` or `HELO` as it is kept: nothing depends on it (RFC 5321 §4.1.4), and devices send `my printer`,
/// `PC#1`, `(null)` or Latin-1, so any is taken, also none at all (`RequireEHLODomain` is `$false`). Whoever shows it shows
/// letters, digits and printable ASCII; the rest is `?`. `None` when it is longer than a name may be.
pub(super) fn kept_name(name: &str) -> Option<Box<str>> {
    let shown = |c: char| if c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric() { c } else { '?' };
    (name.len() <= HELLO_NAME_OCTETS_MAX).then(|| name.chars().map(shown).collect::<String>().into())
}

/// Whether the session is encrypted and who it belongs to, as far as EHLO shows it.
pub(super) struct Standing {
    pub under_tls: bool,
    pub authenticated: bool,
}

/// Appends the reply to `EHLO`.
pub(super) fn write_ehlo_reply(config: &ServerConfig, peer: IpAddr, standing: &Standing, out: &mut BytesMut) {
    let mut lines = vec![format!("{} Hello [{peer}]", config.hostname)];
    let offered = &config.extensions;
    let mut offer = |condition: bool, line: &str| {
        if condition {
            lines.push(line.to_owned());
        }
    };
    offer(offered.size, &format!("SIZE {}", config.message_size_max.as_u64()));
    offer(offered.pipelining, "PIPELINING");
    offer(offered.dsn, "DSN");
    offer(offered.enhanced_status_codes, "ENHANCEDSTATUSCODES");
    offer(config.starttls && !standing.under_tls, "STARTTLS");
    let auth_open = match config.auth {
        AuthOffer::Never => false,
        AuthOffer::UnderTls => standing.under_tls,
        AuthOffer::Always => true,
    };
    offer(auth_open && !standing.authenticated, "AUTH LOGIN PLAIN");
    offer(offered.eight_bit_mime, "8BITMIME");
    offer(offered.chunking, "CHUNKING");
    offer(offered.smtputf8, "SMTPUTF8");
    offer(offered.long_addresses, "XLONGADDR");
    let last = lines.len() - 1;
    for (index, line) in lines.iter().enumerate() {
        out.put_slice(if index == last { b"250 " } else { b"250-" });
        out.put_slice(line.as_bytes());
        out.put_slice(b"\r\n");
    }
}
