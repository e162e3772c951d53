//! One-time codes (RFC 6238 over RFC 4226): six digits, thirty seconds, SHA-1, as authenticator apps have them; and random tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use envelope::Timestamp;
use net::digest::{hmac_sha1, sha256};
use rand::TryRngCore as _;

/// Octets of a secret (RFC 4226 §4 recommends 160 bits).
pub(crate) const SECRET_OCTETS: usize = 20;
/// Octets of a session, a link, a plan's id: 256 bits (WA-61).
const TOKEN_OCTETS: usize = 32;
/// Length of a step (RFC 6238 §4.1).
const STEP_MILLIS: u64 = 30_000;
/// Steps before and after now whose code is taken: clocks differ (RFC 6238 §5.2).
const STEPS_AROUND: u64 = 1;
const DIGITS: u32 = 1_000_000;
/// Light modules around a QR code (ISO/IEC 18004 §6.3.8), and pixels of one.
const QUIET: i32 = 4;
const PIXELS: i32 = 5;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Octets that nobody guesses.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    rand::rngs::OsRng.try_fill_bytes(&mut octets).expect("the system has randomness");
    octets
}

/// A token for an address or a cookie.
pub(crate) fn token() -> String {
    URL_SAFE_NO_PAD.encode(random::<TOKEN_OCTETS>())
}

/// What is kept of a token.
pub(crate) fn digest(purpose: &str, token: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(&[purpose.as_bytes(), b"\0", token.as_bytes()]))
}

/// Compares without telling by its time where two texts differ.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// RFC 4648 §6, without padding.
pub(crate) fn base32(octets: &[u8]) -> String {
    let (mut out, mut bits, mut held) = (String::new(), 0_u32, 0_u32);
    for octet in octets {
        held = (held << 8) | u32::from(*octet);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(ALPHABET[(held >> bits & 31) as usize] as char);
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(ALPHABET[(held << (5 - bits) & 31) as usize] as char);
    }
    out
}

fn unbase32(text: &str) -> Vec<u8> {
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for letter in text.bytes() {
        let Some(value) = ALPHABET.iter().position(|known| *known == letter) else { continue };
        held = (held << 5) | u32::try_from(value).unwrap_or_default();
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(held >> bits & 255).unwrap_or_default());
            held &= (1 << bits) - 1;
        }
    }
    out
}

/// The code of a step.
fn code(secret: &str, step: u64) -> u32 {
    let digest = hmac_sha1(&unbase32(secret), &step.to_be_bytes());
    let at = usize::from(digest[19] & 15);
    let word = [digest[at] & 0x7f, digest[at + 1], digest[at + 2], digest[at + 3]];
    u32::from_be_bytes(word) % DIGITS
}

/// The step whose code was typed, if it is one of now and later than `last`: a code is taken once.
pub(crate) fn step_of(secret: &str, typed: &str, now: Timestamp, last: u64) -> Option<u64> {
    let typed: String = typed.chars().filter(char::is_ascii_digit).collect();
    if typed.len() != 6 {
        return None;
    }
    let current = now.as_millis() / STEP_MILLIS;
    let steps = current.saturating_sub(STEPS_AROUND)..=current + STEPS_AROUND;
    steps.filter(|step| *step > last).find(|step| same(&format!("{:06}", code(secret, *step)), &typed))
}

/// What authenticator apps take.
pub(crate) fn address(secret: &str, name: &str, organization: &str) -> String {
    let plain =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    format!("otpauth://totp/{}:{}?secret={secret}&issuer={}", plain(organization), plain(name), plain(organization))
}

/// The same as a drawing that a phone reads: SVG without styles, dark on light in dark colours too.
pub(crate) fn drawing(address: &str) -> Option<String> {
    let code = qrcodegen::QrCode::encode_text(address, qrcodegen::QrCodeEcc::Medium).ok()?;
    let size = code.size();
    let mut path = String::new();
    for y in 0..size {
        for x in (0..size).filter(|x| code.get_module(*x, y)) {
            path.push_str(&format!("M{} {}h1v1h-1z", x + QUIET, y + QUIET));
        }
    }
    let side = size + 2 * QUIET;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" width=\"{width}\" height=\"{width}\" role=\"img\" \
         shape-rendering=\"crispEdges\"><title>QR code of the key</title><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/>\
         <path d=\"{path}\" fill=\"#000\"/></svg>",
        width = side * PIXELS,
    ))
}

#[cfg(test)]
pub(crate) fn code_at(secret: &str, now: Timestamp) -> String {
    format!("{:06}", code(secret, now.as_millis() / STEP_MILLIS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, the last six of eight digits.
        let secret = base32(b"12345678901234567890");
        assert_eq!(secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        for (seconds, expected) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            let now = Timestamp::from_millis(seconds * 1000);
            assert_eq!(code_at(&secret, now), expected);
            let step = step_of(&secret, expected, now, 0);
            assert_eq!(step, Some(seconds / 30));
            assert_eq!(step_of(&secret, expected, now, seconds / 30), None, "a code is taken once");
            let later = now.plus(std::time::Duration::from_secs(90));
            assert_eq!(step_of(&secret, expected, later, 0), None, "and not for long");
        }
        assert_eq!(step_of(&secret, "", Timestamp::from_millis(59_000), 0), None);
        let octets = random::<SECRET_OCTETS>();
        assert_eq!(unbase32(&base32(&octets)), octets);
    }
}
