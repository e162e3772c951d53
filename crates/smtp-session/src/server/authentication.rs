//! `AUTH PLAIN` (RFC 4616) and `AUTH LOGIN` (of the field) step by step; who the user is, the shell finds out.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::credentials::{Credentials, Secret};

/// What the server waits for.
#[derive(Debug)]
pub(super) enum Exchange {
    Plain,
    LoginUser,
    LoginPassword { user: Box<str> },
}

/// What one answer of the client leads to.
#[derive(Debug)]
pub(super) enum Step {
    /// Send this `334` line and wait on.
    Ask(&'static str, Exchange),
    Done(Credentials),
    /// Answer with this line; the exchange is over.
    Fail(&'static str),
}

/// Clients in the field leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const CANCELLED: &str = "501 5.7.0 Authentication cancelled";
const MALFORMED: &str = "501 5.5.2 Cannot decode authentication response";
const OTHER_IDENTITY: &str = "535 5.7.8 Authorization as another user is not supported";
/// `Username:` in base64.
const ASK_USER: &str = "334 VXNlcm5hbWU6";
/// `Password:` in base64.
const ASK_PASSWORD: &str = "334 UGFzc3dvcmQ6";

/// The first step, with the response that may stand in the `AUTH` line; `None` for other mechanisms.
pub(super) fn begin(mechanism: &str, initial: Option<&str>) -> Option<Step> {
    let (first, question) = if mechanism.eq_ignore_ascii_case("LOGIN") {
        (Exchange::LoginUser, ASK_USER)
    } else if mechanism.eq_ignore_ascii_case("PLAIN") {
        (Exchange::Plain, "334 ")
    } else {
        return None;
    };
    Some(match initial {
        None => Step::Ask(question, first),
        // RFC 4954 §4: a lone `=` is an empty response.
        Some("=") => first.answer(b""),
        Some(response) => first.answer(response.as_bytes()),
    })
}

impl Exchange {
    /// Takes the client's next line, without CRLF.
    pub(super) fn answer(self, line: &[u8]) -> Step {
        if line == b"*" {
            return Step::Fail(CANCELLED);
        }
        let Ok(decoded) = BASE64.decode(line).map(Zeroizing::new) else { return Step::Fail(MALFORMED) };
        match self {
            Self::Plain => plain(&decoded),
            Self::LoginUser => match user_name(&decoded) {
                Some(user) => Step::Ask(ASK_PASSWORD, Self::LoginPassword { user }),
                None => Step::Fail(MALFORMED),
            },
            Self::LoginPassword { user } => Step::Done(Credentials { user, secret: Secret::new(decoded.to_vec()) }),
        }
    }
}

/// `[authzid] NUL authcid NUL passwd`.
fn plain(decoded: &[u8]) -> Step {
    let mut parts = decoded.split(|&byte| byte == 0);
    let (Some(identity), Some(user), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Step::Fail(MALFORMED);
    };
    // Names of users are compared without regard to case, so this is the same one.
    let same = |identity: &[u8]| match (std::str::from_utf8(identity), std::str::from_utf8(user)) {
        (Ok(identity), Ok(user)) => identity.to_lowercase() == user.to_lowercase(),
        _ => false,
    };
    if !identity.is_empty() && !same(identity) {
        return Step::Fail(OTHER_IDENTITY);
    }
    match user_name(user) {
        Some(user) if !password.is_empty() => Step::Done(Credentials { user, secret: Secret::new(password.to_vec()) }),
        _ => Step::Fail(MALFORMED),
    }
}

/// Not empty, UTF-8, no control characters: a user name goes into logs and look-ups.
fn user_name(octets: &[u8]) -> Option<Box<str>> {
    let text = std::str::from_utf8(octets).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.into())
}
