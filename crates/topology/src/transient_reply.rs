//! A transient answer of a next hop, by its number: what `UpgradeCustomFailures` makes permanent (SC-115).

use std::fmt;
use std::str::FromStr;

use envelope::{EnhancedStatus, Reply, Severity};

/// A reply that says *later*: by its code, or by its enhanced status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransientReply {
    /// `450`, whatever its status.
    Code(u16),
    /// `4.2.2`, whatever its code.
    Status(EnhancedStatus),
}

impl TransientReply {
    /// Whether a reply is meant.
    #[must_use]
    pub fn is(&self, reply: &Reply) -> bool {
        match self {
            Self::Code(code) => reply.code == *code,
            Self::Status(status) => reply.status == Some(*status),
        }
    }
}

impl FromStr for TransientReply {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error =
            || format!("{text:?} is no transient reply: write a code from 400 to 499, or a status such as 4.2.2");
        if let Ok(status) = text.parse::<EnhancedStatus>() {
            return if status.severity() == Severity::Transient { Ok(Self::Status(status)) } else { Err(error()) };
        }
        let code = text.parse().ok().filter(|code| (400..500).contains(code));
        code.map(Self::Code).ok_or_else(error)
    }
}

impl fmt::Display for TransientReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => code.fmt(f),
            Self::Status(status) => status.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_named_by_its_code_or_by_its_status() {
        // SC-115
        let full = Reply::new(452, EnhancedStatus::new(4, 2, 2), "Mailbox full");
        for (text, is) in [("452", true), ("4.2.2", true), ("450", false), ("4.2.1", false)] {
            let named: TransientReply = text.parse().unwrap();
            assert_eq!((named.is(&full), named.to_string().as_str()), (is, text));
        }
        for wrong in ["550", "5.1.1", "", "later", "4.2", "4000"] {
            assert!(wrong.parse::<TransientReply>().is_err(), "{wrong}");
        }
    }
}
