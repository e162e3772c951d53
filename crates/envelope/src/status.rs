//! Replies and enhanced status codes (RFC 5321 §4.2, RFC 3463).
//!
//! Whether a failure is permanent is typed data here ([`Severity`]), never something read back out of a text.

use std::fmt;
use std::str::FromStr;

/// What a reply or a failure means for what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// 2yz, 3yz: done, or go on.
    Success,
    /// 4yz: try again later.
    Transient,
    /// 5yz: will not work by trying again.
    Permanent,
}

/// `class.subject.detail` (RFC 3463 §2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnhancedStatus {
    class: u8,
    subject: u16,
    detail: u16,
}

impl EnhancedStatus {
    /// Builds a status from its three numbers.
    ///
    /// # Panics
    /// When `class` is not 2, 4 or 5, or a number exceeds 999: statuses are written in code, not received here.
    #[must_use]
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        assert!(matches!(class, 2 | 4 | 5) && subject <= 999 && detail <= 999, "RFC 3463 section 2");
        Self { class, subject, detail }
    }

    /// Permanent, transient or success, by class.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self.class {
            2 => Severity::Success,
            4 => Severity::Transient,
            _ => Severity::Permanent,
        }
    }

    /// The middle number: what the failure is about (RFC 3463 §3): 1 address, 2 mailbox, 3 mail system, 4 network and
    /// routing, 5 protocol, 6 content, 7 security or policy.
    #[must_use]
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The same subject and detail in the class of `severity`.
    #[must_use]
    pub const fn with_severity(self, severity: Severity) -> Self {
        let class = match severity {
            Severity::Success => 2,
            Severity::Transient => 4,
            Severity::Permanent => 5,
        };
        Self { class, ..self }
    }

    /// Reads a status at the start of a reply text; gives the rest of the text.
    #[must_use]
    pub fn strip_from(text: &str) -> Option<(Self, &str)> {
        let end = text.find(' ').unwrap_or(text.len());
        let status = text[..end].parse().ok()?;
        Some((status, text[end..].trim_start_matches(' ')))
    }
}

impl FromStr for EnhancedStatus {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.');
        let mut number = |width: usize| {
            let part = parts.next().filter(|p| (1..=width).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()));
            part.and_then(|p| p.parse::<u16>().ok()).ok_or(())
        };
        let (class, subject, detail) = (number(1)?, number(3)?, number(3)?);
        let class = u8::try_from(class).map_err(|_| ())?;
        if parts.next().is_some() || !matches!(class, 2 | 4 | 5) {
            return Err(());
        }
        Ok(Self { class, subject, detail })
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl fmt::Debug for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An SMTP reply: code, enhanced status where there is one, and text (lines joined with `\n`).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// RFC 2034 status at the start of the text, taken out of it.
    pub status: Option<EnhancedStatus>,
    /// Text without code and status. Only printable characters and, between lines, `\n`.
    pub text: Box<str>,
}

impl Reply {
    /// A reply with a status.
    #[must_use]
    pub fn new(code: u16, status: EnhancedStatus, text: impl Into<Box<str>>) -> Self {
        Self { code, status: Some(status), text: text.into() }
    }

    /// A reply without a status (banner, EHLO, 354, 334).
    #[must_use]
    pub fn plain(code: u16, text: impl Into<Box<str>>) -> Self {
        Self { code, status: None, text: text.into() }
    }

    /// What the reply means, by its first digit.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self.code / 100 {
            2 | 3 => Severity::Success,
            4 => Severity::Transient,
            _ => Severity::Permanent,
        }
    }

    /// The status, or the generic one of the reply's class (`4.0.0`, `5.0.0`, `2.0.0`).
    #[must_use]
    pub fn status_or_generic(&self) -> EnhancedStatus {
        self.status.unwrap_or(EnhancedStatus::new(2, 0, 0).with_severity(self.severity()))
    }

    /// Whether it says nothing about the message, and would be given to any other as well for now: the server goes away
    /// (RFC 5321 §3.8), has no room or takes nothing (RFC 3463 X.3.1, X.3.2), or is congested (X.4.5).
    #[must_use]
    pub fn is_about_system(&self) -> bool {
        const ABOUT_SYSTEM: [EnhancedStatus; 3] =
            [EnhancedStatus::new(4, 3, 1), EnhancedStatus::new(4, 3, 2), EnhancedStatus::new(4, 4, 5)];
        self.code == 421
            || (self.severity() == Severity::Transient
                && self.status.is_some_and(|status| ABOUT_SYSTEM.contains(&status)))
    }
}

impl fmt::Display for Reply {
    /// `550 5.1.1 User unknown`, several lines joined with ` / `: for logs and diagnostics, not for the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        if !self.text.is_empty() {
            write!(f, " {}", self.text.replace('\n', " / "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_round_trip_and_say_what_they_mean() {
        for (text, severity) in
            [("2.1.5", Severity::Success), ("4.4.7", Severity::Transient), ("5.7.900", Severity::Permanent)]
        {
            let status: EnhancedStatus = text.parse().unwrap();
            assert_eq!((status.to_string().as_str(), status.severity()), (text, severity));
        }
        for wrong in ["", "5", "5.1", "5.1.1.1", "3.1.1", "5.1234.1", "5.-1.1", "5. 1.1", "55.1.1"] {
            assert!(wrong.parse::<EnhancedStatus>().is_err(), "{wrong}");
        }
        assert_eq!(
            EnhancedStatus::strip_from("5.1.1 User unknown"),
            Some((EnhancedStatus::new(5, 1, 1), "User unknown"))
        );
        assert_eq!(EnhancedStatus::strip_from("Hello"), None);
    }

    #[test]
    fn a_reply_without_status_gets_the_generic_one_of_its_class() {
        assert_eq!(Reply::plain(450, "later").status_or_generic(), EnhancedStatus::new(4, 0, 0));
        assert_eq!(
            Reply::new(550, EnhancedStatus::new(5, 1, 1), "User\nunknown").to_string(),
            "550 5.1.1 User / unknown"
        );
    }

    #[test]
    fn what_is_said_about_the_system_is_told_from_what_is_said_about_a_message() {
        let status = |code, subject, detail| Reply::new(code, EnhancedStatus::new(4, subject, detail), "");
        for busy in [Reply::plain(421, ""), status(452, 3, 1), status(451, 3, 2), status(451, 4, 5)] {
            assert!(busy.is_about_system(), "{busy}");
        }
        let full = Reply::new(552, EnhancedStatus::new(5, 3, 1), "");
        for other in [Reply::plain(451, ""), status(452, 2, 2), status(451, 3, 0), status(450, 7, 1), full] {
            assert!(!other.is_about_system(), "{other}");
        }
    }
}
