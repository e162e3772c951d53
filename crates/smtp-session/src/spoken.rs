//! What was said in a session, line by line, for a protocol log (docs/rules.md, LG-12): commands and replies, never content,
//! never a secret. The machines keep it themselves, because only they know what a line is, and only where somebody wants it.

use std::collections::VecDeque;

use envelope::Reply;

/// Stands where a secret was, or where one may have been.
pub(crate) const WITHHELD: &str = "*****";
/// Longest word of an unknown command that is kept.
const WORD_OCTETS_MAX: usize = 12;
/// Commands whose arguments hold no secret.
const OPEN: [&str; 13] =
    ["HELO", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP", "STARTTLS"];
/// Mechanisms that are named; any other word after `AUTH` may be a response already.
const MECHANISMS: [&str; 9] =
    ["PLAIN", "LOGIN", "NTLM", "GSSAPI", "EXTERNAL", "CRAM-MD5", "DIGEST-MD5", "XOAUTH2", "SCRAM-SHA-256"];

/// A command or a reply, without its line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// By this side.
    Sent(Box<str>),
    /// By the other side.
    Received(Box<str>),
}

/// What was said and not asked for yet. Costs a look at an empty option for each line where nobody wants it.
#[derive(Debug, Default)]
pub(crate) struct KeptWords {
    kept: Option<VecDeque<Spoken>>,
    /// Octets of the output that are kept already.
    noted: usize,
    /// Somebody has begun to log on: what is no command may be a password that came too late.
    secretive: bool,
}

impl KeptWords {
    pub(crate) fn keep(&mut self) {
        self.kept.get_or_insert_default();
    }

    pub(crate) fn next(&mut self) -> Option<Spoken> {
        self.kept.as_mut()?.pop_front()
    }

    /// Notes the replies that `output` has more than before.
    pub(crate) fn replies(&mut self, output: &[u8]) {
        let Some(kept) = &mut self.kept else { return };
        let new = String::from_utf8_lossy(output.get(self.noted..).unwrap_or_default());
        self.noted = output.len();
        let mut reply = String::new();
        for line in new.lines() {
            let text = line.get(4..).unwrap_or_default();
            if reply.is_empty() {
                reply.push_str(line.get(..3).unwrap_or(line));
            }
            if !text.is_empty() {
                reply.push(' ');
                reply.push_str(text);
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                kept.push_back(Spoken::Sent(std::mem::take(&mut reply).into()));
            }
        }
    }

    /// The output was taken.
    pub(crate) fn transmitted(&mut self) {
        self.noted = 0;
    }

    /// Notes a line of a client, before it is known to be a command.
    pub(crate) fn command(&mut self, line: &[u8]) {
        let Some(kept) = &mut self.kept else { return };
        let text = String::from_utf8_lossy(line);
        let (verb, rest) = text.split_at(text.find([' ', '\t', ':']).unwrap_or(text.len()));
        let verb = verb.to_ascii_uppercase();
        self.secretive |= verb.starts_with("AUTH");
        kept.push_back(Spoken::Received(match verb.as_str() {
            "AUTH" => authentication(rest).into(),
            verb if OPEN.contains(&verb) => text.into(),
            // A password that was typed where a command was wanted, or a line of another protocol.
            verb if self.secretive || !is_word(verb) => WITHHELD.into(),
            verb if rest.trim().is_empty() => verb.into(),
            verb => format!("{verb} {WITHHELD}").into(),
        }));
    }

    /// Notes a line of which nothing can be shown.
    pub(crate) fn withheld(&mut self) {
        self.push(|| Spoken::Received(WITHHELD.into()));
    }

    /// Notes the first line of what a client sends: a chunk of content may follow it.
    pub(crate) fn sent(&mut self, octets: &[u8]) {
        self.push(|| {
            let end = memchr::memchr(b'\r', octets).unwrap_or(octets.len());
            Spoken::Sent(String::from_utf8_lossy(&octets[..end]).into())
        });
    }

    /// Notes that a client sent a secret, after these words of the same line.
    pub(crate) fn sent_secret(&mut self, before: &str) {
        self.push(|| Spoken::Sent(format!("{before}{WITHHELD}").into()));
    }

    /// Notes a reply of a server.
    pub(crate) fn reply(&mut self, reply: &Reply) {
        self.push(|| Spoken::Received(reply.to_string().replace('\n', " ").into()));
    }

    fn push(&mut self, spoken: impl FnOnce() -> Spoken) {
        if let Some(kept) = &mut self.kept {
            kept.push_back(spoken());
        }
    }
}

fn is_word(verb: &str) -> bool {
    verb.len() <= WORD_OCTETS_MAX && verb.bytes().all(|octet| octet.is_ascii_alphabetic())
}

/// `AUTH` with its mechanism and without its response.
fn authentication(rest: &str) -> String {
    let mut words = rest.split_ascii_whitespace();
    let Some(mechanism) = words.next() else { return "AUTH".to_owned() };
    let known = MECHANISMS.iter().find(|known| known.eq_ignore_ascii_case(mechanism));
    match (known, words.next()) {
        (Some(mechanism), None) => format!("AUTH {mechanism}"),
        (Some(mechanism), Some(_)) => format!("AUTH {mechanism} {WITHHELD}"),
        (None, _) => format!("AUTH {WITHHELD}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(lines: &[&str]) -> Vec<String> {
        let mut kept = KeptWords::default();
        kept.keep();
        lines.iter().for_each(|line| kept.command(line.as_bytes()));
        std::iter::from_fn(|| kept.next())
            .map(|spoken| match spoken {
                Spoken::Received(text) | Spoken::Sent(text) => text.into(),
            })
            .collect()
    }

    #[test]
    fn what_may_be_a_secret_is_not_kept() {
        // LG-12
        for (line, kept) in [
            ("MAIL FROM:<ann@contoso.com> SIZE=10", "MAIL FROM:<ann@contoso.com> SIZE=10"),
            ("rcpt to:<bob@contoso.com>", "rcpt to:<bob@contoso.com>"),
            ("AUTH LOGIN", "AUTH LOGIN"),
            ("auth plain AGFubgBzZWNyZXQ=", "AUTH PLAIN *****"),
            ("AUTH\tPLAIN\tAGFubgBzZWNyZXQ=", "AUTH PLAIN *****"),
            ("AUTH AGFubgBzZWNyZXQ=", "AUTH *****"),
            ("AUTHPLAIN AGFubgBzZWNyZXQ=", "*****"),
            ("AUTH", "AUTH"),
            ("hunter2", "*****"),
            ("PASS hunter2", "PASS *****"),
            ("Authorization: Basic AGFubgBzZWNyZXQ=", "*****"),
            ("TURN", "TURN"),
        ] {
            assert_eq!(received(&[line]), [kept], "{line}");
        }
        // The lines of somebody who was refused and did not read that.
        let typed = ["AUTH LOGIN", "secret", "RSET"];
        assert_eq!(received(&typed), ["AUTH LOGIN", WITHHELD, "RSET"]);
    }

    #[test]
    fn a_reply_of_several_lines_is_one_and_nothing_is_kept_unasked() {
        let mut kept = KeptWords::default();
        kept.replies(b"250 2.1.0 ok\r\n");
        assert_eq!(kept.next(), None);
        kept.keep();
        let output = b"220 hi\r\n250-a Hello\r\n250-SIZE 10\r\n250 DSN\r\n334 \r\n";
        kept.replies(&output[..8]);
        kept.replies(output);
        kept.replies(output);
        kept.transmitted();
        kept.replies(b"221 bye\r\n");
        let said: Vec<_> = std::iter::from_fn(|| kept.next()).collect();
        let expected = ["220 hi", "250 a Hello SIZE 10 DSN", "334", "221 bye"].map(|text| Spoken::Sent(text.into()));
        assert_eq!(said, expected);
    }
}
