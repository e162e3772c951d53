//! Names of mailboxes, and where the parts of a mailbox lie (Maildir++).
//!
//! A [`MailboxName`] is a safe path component by construction: no other text from outside ever becomes part of a path.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Longest mailbox name in octets. Aliases have at most 64 characters; a path component may have 255 octets.
pub(crate) const MAILBOX_NAME_OCTETS_MAX: usize = 200;

/// The name of a mailbox in its database, lower-case: the recipient's alias.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Box<str>);

/// A text that cannot name a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a mailbox name: 1 to 200 octets of letters, digits and !#$%&'*+-=?^_`{{|}}~, with dots between them"
)]
pub struct MailboxNameError(pub String);

impl MailboxName {
    /// Checks an alias and folds its case.
    ///
    /// # Errors
    /// [`MailboxNameError`] for what could leave the database's directory, hide in it, or confuse a mail reader.
    pub fn parse(alias: &str) -> Result<Self, MailboxNameError> {
        let name = alias.to_lowercase();
        let allowed = |c: char| c.is_alphanumeric() || "!#$%&'*+-=?^_`{|}~.".contains(c);
        let dots_separate = name.split('.').all(|part| !part.is_empty());
        if dots_separate && name.len() <= MAILBOX_NAME_OCTETS_MAX && name.chars().all(allowed) {
            Ok(Self(name.into_boxed_str()))
        } else {
            Err(MailboxNameError(alias.to_owned()))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MailboxName {
    type Err = MailboxNameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A folder of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folder {
    Inbox,
    Outbox,
    Sent,
    Failed,
}

impl Folder {
    pub(crate) const ALL: [Self; 4] = [Self::Inbox, Self::Outbox, Self::Sent, Self::Failed];

    /// Path below the mailbox.
    const fn path(self) -> &'static str {
        match self {
            Self::Inbox => "Maildir",
            Self::Outbox => "Maildir/.Outbox",
            Self::Sent => "Maildir/.Sent",
            Self::Failed => "Maildir/.Failed",
        }
    }

    pub(crate) fn within(self, mailbox: &Path) -> PathBuf {
        mailbox.join(self.path())
    }
}

/// What precedes the flags in a Maildir file name: `unique:2,FLAGS`.
const FLAGS_MARK: &str = ":2,";

/// The part of a file name that a reader keeps when it moves a message or changes its flags, and the flags.
pub(crate) fn split_flags(file_name: &str) -> (&str, &str) {
    file_name.split_once(FLAGS_MARK).unwrap_or((file_name, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        let long = "x".repeat(201);
        for evil in [
            "",
            ".",
            "..",
            "../ann",
            "ann/../bob",
            "a/b",
            ".staging",
            "a..b",
            "a.",
            "a\0b",
            "a b",
            "a\nb",
            "a:b",
            "a\\b",
            &long,
        ] {
            assert!(MailboxName::parse(evil).is_err(), "{evil:?}");
        }
        for (alias, name) in
            [("Ann", "ann"), ("first.last+x", "first.last+x"), ("Jürgen", "jürgen"), ("$discovery", "$discovery")]
        {
            assert_eq!(MailboxName::parse(alias).unwrap().as_str(), name);
        }
    }

    proptest! {
        #[test]
        fn every_name_is_one_plain_component(alias in "\\PC{0,20}|[./a]{0,6}") {
            if let Ok(name) = MailboxName::parse(&alias) {
                let components: Vec<_> = Path::new(name.as_str()).components().collect();
                prop_assert!(matches!(components.as_slice(), [std::path::Component::Normal(_)]));
                prop_assert!(!name.as_str().starts_with('.'));
                prop_assert_eq!(MailboxName::parse(name.as_str()), Ok(name));
            }
        }
    }
}
