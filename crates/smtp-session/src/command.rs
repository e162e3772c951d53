//! The strict command parser (RFC 5321 §4.1.1, RFC 3030, RFC 3207, RFC 4954).
//!
//! A line comes without its CRLF, already known to be UTF-8 without control characters ([`text`]). Tolerated beyond the
//! grammar, because devices in the field do it and no meaning depends on it: spaces after `FROM:` and `TO:` and at the end
//! of a line, and paths without their brackets. Whether a command may come now is not decided here; the paths and their parameters are in [`parameters`].

pub mod parameters;

pub use parameters::{MailCommand, ParameterError};

/// One command line, split but with paths and parameters not yet looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `HELO name`.
    Helo(&'a str),
    /// `EHLO name`.
    Ehlo(&'a str),
    /// `MAIL FROM:` and what follows.
    Mail(&'a str),
    /// `RCPT TO:` and what follows.
    Rcpt(&'a str),
    /// `DATA`; the content follows once it is answered `354`.
    Data,
    /// `BDAT size [LAST]`.
    Bdat {
        /// Octets that follow the line.
        size: u64,
        /// Whether they are the last of the message.
        last: bool,
    },
    /// `RSET`: the transaction is forgotten, the session stays.
    Rset,
    /// `NOOP`, with or without an argument that nobody reads.
    Noop,
    /// `QUIT`: answered `221`, then closed.
    Quit,
    /// `VRFY`: answered `252`, whoever is asked for.
    Vrfy,
    /// `EXPN`: members of groups are told to nobody.
    Expn,
    /// `HELP`, with or without a topic.
    Help,
    /// `STARTTLS`.
    StartTls,
    /// `AUTH mechanism [initial-response]`.
    Auth {
        /// As written.
        mechanism: &'a str,
        /// Still base64; `=` stands for an empty response.
        initial: Option<&'a str>,
    },
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// `501 5.5.2`: octets that may stand in no command.
    #[error("a command holds only UTF-8 text without control characters")]
    Characters,
    /// `500 5.3.3`.
    #[error("unknown verb")]
    Unknown,
    /// `501 5.5.4`.
    #[error("wrong or missing argument")]
    Argument,
    /// `BDAT` without a usable size: what follows cannot be told apart from commands, so the session must end.
    #[error("BDAT without a usable size")]
    ChunkSize,
}

/// The line as text.
///
/// # Errors
/// [`CommandError::Characters`] for NUL, bare CR or LF, other control characters, and what is not UTF-8.
pub fn text(line: &[u8]) -> Result<&str, CommandError> {
    let text = std::str::from_utf8(line).map_err(|_| CommandError::Characters)?;
    if text.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
        return Err(CommandError::Characters);
    }
    Ok(text)
}

/// Whether a line starts with `EHLO` or `HELO`.
pub(crate) fn is_hello(line: &[u8]) -> bool {
    line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"EHLO") || verb.eq_ignore_ascii_case(b"HELO"))
}

impl<'a> Command<'a> {
    /// Parses one line.
    ///
    /// # Errors
    /// [`CommandError`] says which reply the line earns.
    pub fn parse(line: &'a str) -> Result<Self, CommandError> {
        let line = line.trim_end_matches([' ', '\t']);
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let argument = argument.trim_start_matches(' ');
        let is = |name: &str| verb.eq_ignore_ascii_case(name);
        let bare = |command| if argument.is_empty() { Ok(command) } else { Err(CommandError::Argument) };
        match verb.len() {
            4 if is("MAIL") => path_argument(argument, "FROM:").map(Self::Mail),
            4 if is("RCPT") => path_argument(argument, "TO:").map(Self::Rcpt),
            4 if is("BDAT") => bdat(argument),
            4 if is("DATA") => bare(Self::Data),
            4 if is("EHLO") => Ok(Self::Ehlo(argument)),
            4 if is("HELO") => Ok(Self::Helo(argument)),
            4 if is("RSET") => bare(Self::Rset),
            4 if is("QUIT") => bare(Self::Quit),
            4 if is("NOOP") => Ok(Self::Noop),
            4 if is("VRFY") => Ok(Self::Vrfy),
            4 if is("EXPN") => Ok(Self::Expn),
            4 if is("HELP") => Ok(Self::Help),
            4 if is("AUTH") => auth(argument),
            8 if is("STARTTLS") => bare(Self::StartTls),
            _ => Err(CommandError::Unknown),
        }
    }
}

/// Longest permitted line, CRLF included, judged by the verb that it starts with, and by whether long addresses are taken.
#[must_use]
pub fn line_octets_max(line: &[u8], long_addresses: bool) -> usize {
    let starts = |verb: &[u8]| line.get(..verb.len()).is_some_and(|head| head.eq_ignore_ascii_case(verb));
    let has_path = starts(b"MAIL") || starts(b"RCPT");
    if has_path && long_addresses {
        crate::limits::LONG_PATH_LINE_OCTETS_MAX
    } else if has_path {
        crate::limits::PATH_LINE_OCTETS_MAX
    } else if starts(b"AUTH ") {
        crate::limits::AUTH_LINE_OCTETS_MAX
    } else {
        crate::limits::COMMAND_LINE_OCTETS_MAX
    }
}

fn path_argument<'a>(argument: &'a str, keyword: &str) -> Result<&'a str, CommandError> {
    let head = argument.get(..keyword.len()).filter(|head| head.eq_ignore_ascii_case(keyword));
    head.map(|_| argument[keyword.len()..].trim_start_matches(' ')).ok_or(CommandError::Argument)
}

/// RFC 3030 §2: `chunk-size SP [ "LAST" ]`.
fn bdat(argument: &str) -> Result<Command<'_>, CommandError> {
    let mut words = argument.split_ascii_whitespace();
    let digits = words.next().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    let size = digits.and_then(|word| word.parse().ok()).ok_or(CommandError::ChunkSize)?;
    match (words.next(), words.next()) {
        (None, _) => Ok(Command::Bdat { size, last: false }),
        (Some(word), None) if word.eq_ignore_ascii_case("LAST") => Ok(Command::Bdat { size, last: true }),
        _ => Err(CommandError::ChunkSize),
    }
}

fn auth(argument: &str) -> Result<Command<'_>, CommandError> {
    let mut words = argument.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(mechanism), initial, None) => Ok(Command::Auth { mechanism, initial }),
        _ => Err(CommandError::Argument),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_parse_or_say_what_is_wrong() {
        for (line, expected) in [
            ("EHLO client.example", Ok(Command::Ehlo("client.example"))),
            ("ehlo", Ok(Command::Ehlo(""))),
            ("MAIL FROM:<a@b.example> SIZE=1", Ok(Command::Mail("<a@b.example> SIZE=1"))),
            ("mail from: <>", Ok(Command::Mail("<>"))),
            ("MAIL <a@b>", Err(CommandError::Argument)),
            ("RCPT TO:<a@b.example>", Ok(Command::Rcpt("<a@b.example>"))),
            ("RCPT ü", Err(CommandError::Argument)),
            ("DATA  ", Ok(Command::Data)),
            ("DATA x", Err(CommandError::Argument)),
            ("BDAT 0 last", Ok(Command::Bdat { size: 0, last: true })),
            ("BDAT 10", Ok(Command::Bdat { size: 10, last: false })),
            ("BDAT -1", Err(CommandError::ChunkSize)),
            ("BDAT +1", Err(CommandError::ChunkSize)),
            ("BDAT 99999999999999999999", Err(CommandError::ChunkSize)),
            ("BDAT", Err(CommandError::ChunkSize)),
            ("BDAT 1 FIRST", Err(CommandError::ChunkSize)),
            ("AUTH LOGIN", Ok(Command::Auth { mechanism: "LOGIN", initial: None })),
            ("AUTH PLAIN =", Ok(Command::Auth { mechanism: "PLAIN", initial: Some("=") })),
            ("AUTH", Err(CommandError::Argument)),
            ("STARTTLS now", Err(CommandError::Argument)),
            ("XCLIENT ADDR=127.0.0.1", Err(CommandError::Unknown)),
            ("", Err(CommandError::Unknown)),
            ("GET / HTTP/1.1", Err(CommandError::Unknown)),
        ] {
            assert_eq!(Command::parse(line), expected, "{line}");
        }
    }

    #[test]
    fn control_characters_and_broken_utf8_are_refused() {
        for line in [&b"NO\0OP"[..], b"NOOP\rx", b"NOOP\nx", b"NOOP\x7f", b"NOOP \xff", b"NOOP \xc3"] {
            assert_eq!(text(line), Err(CommandError::Characters));
        }
        assert_eq!(text("RCPT TO:<ü@b>".as_bytes()), Ok("RCPT TO:<ü@b>"));
    }
}
