//! What a status means in plain words: one table, cause and remedy by enhanced status code (DS-40, DS-41).
//!
//! Written in our own words after the meanings of RFC 3463 and docs/rules.md, Notifications. A code without an entry is explained by its
//! subject, an unknown subject by the last entry, so there is always something to say.

use envelope::{EnhancedStatus, Severity};

use super::Action;

/// Cause and remedy, a sentence or two each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub cause: &'static str,
    pub remedy: &'static str,
}

const fn text(cause: &'static str, remedy: &'static str) -> Text {
    Text { cause, remedy }
}

/// The words for a status in a notification of this kind. Class 4 and 5 of a code share their words.
pub(super) fn for_status(status: EnhancedStatus, action: Action) -> Text {
    if action == Action::Delayed {
        return DELAYED;
    }
    let key = status.with_severity(Severity::Permanent);
    let exact = BY_CODE.iter().find(|(detail, _)| EnhancedStatus::new(5, detail.0, detail.1) == key);
    exact.map_or_else(|| by_subject(status.subject()), |(_, text)| *text)
}

const DELAYED: Text = text(
    "The mail system at the destination could not be reached, or asked to try again later.",
    "Nothing for now. You will be told if the message cannot be delivered in the end.",
);

const RESERVED: Text = text(
    "The address ends in a domain that is reserved for examples and tests or is not complete.",
    "Check what stands after the @ and send the message again.",
);

const TOO_LARGE: Text = text(
    "The message is larger than the recipient or a mail system on the way accepts.",
    "Make the attachments smaller, or share them in another way, and send the message again.",
);

const LOOP: Text = text(
    "The message went round in circles between mail systems.",
    "Tell your administrator, who can correct the forwarding or routing that causes the loop.",
);

const NOT_ALLOWED: Text = text(
    "You are not allowed to send to this recipient, or the mail system refused the message by its rules.",
    "Ask the recipient by other means whether mail from you is accepted, or ask your administrator.",
);

/// `(subject, detail)` and its words.
const BY_CODE: &[((u16, u16), Text)] = &[
    ((1, 1), text("The address was not found.", "Check the address for spelling mistakes and send the message again.")),
    ((1, 2), text("The domain of the address does not exist or takes no mail.", "Check what stands after the @.")),
    ((1, 3), text("The address is not written correctly.", "Correct the address and send the message again.")),
    (
        (1, 4),
        text(
            "The address is reserved, or belongs to more than one recipient.",
            "Check the address with the recipient.",
        ),
    ),
    ((1, 5), RESERVED),
    ((1, 6), RESERVED),
    ((1, 7), text("Your sender address was not accepted.", "Check the address that your mail program sends from.")),
    (
        (1, 8),
        text(
            "Your account has been blocked from sending.",
            "Ask your administrator; the account may have been misused.",
        ),
    ),
    ((1, 10), text("The domain of the address states that it takes no mail.", "Check what stands after the @.")),
    ((2, 1), text("The mailbox cannot take messages now.", "Reach the recipient by other means, or try again later.")),
    ((2, 2), text("The mailbox is full.", "Tell the recipient by other means, and send the message again later.")),
    ((2, 3), TOO_LARGE),
    (
        (2, 4),
        text("The members of the group could not be determined.", "Tell the owner of the group or your administrator."),
    ),
    ((3, 4), TOO_LARGE),
    ((3, 5), LOOP),
    (
        (4, 0),
        text("The message was taken out of a queue by an administrator.", "Ask your administrator for the reason."),
    ),
    ((4, 1), text("The mail system at the destination did not answer.", "Send the message again later.")),
    ((4, 4), text("The domain of the address was not found.", "Check what stands after the @ for spelling mistakes.")),
    ((4, 6), LOOP),
    (
        (4, 7),
        text(
            "The mail system at the destination could not be reached in the time that messages are kept.",
            "Send the message again later. If it keeps failing, tell the recipient by other means.",
        ),
    ),
    ((5, 3), text("The message has too many recipients.", "Send it to fewer recipients at a time.")),
    (
        (5, 6),
        text("The content of the message was not accepted.", "Send it again in a simpler form, such as plain text."),
    ),
    ((7, 1), NOT_ALLOWED),
    (
        (7, 3),
        text("Mail systems on the way could not identify each other.", "Tell your administrator about this message."),
    ),
];

const fn by_subject(subject: u16) -> Text {
    match subject {
        1 => text("Something is wrong with an address.", "Check the address and send the message again."),
        2 => text("The mailbox could not take the message.", "Tell the recipient by other means, or try again later."),
        3 => text("A mail system could not take the message.", "Send it again later, or tell your administrator."),
        4 => text("The message could not be carried to its destination.", "Send it again later."),
        6 => text("The content of the message could not be handled.", "Send it again in a simpler form."),
        7 => NOT_ALLOWED,
        _ => text(
            "A mail system refused the message.",
            "See the diagnostic information below, or ask your administrator.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_words_and_no_code_has_two() {
        for subject in 0..10 {
            for detail in 0..30 {
                let found = for_status(EnhancedStatus::new(5, subject, detail), Action::Failed);
                assert!(found.cause.ends_with('.') && found.remedy.ends_with('.'));
            }
        }
        for (index, (code, _)) in BY_CODE.iter().enumerate() {
            assert!(BY_CODE[index + 1..].iter().all(|(other, _)| other > code), "{code:?} is out of order or doubled");
        }
    }

    #[test]
    fn classes_share_their_words() {
        let find = |class| for_status(EnhancedStatus::new(class, 4, 7), Action::Failed);
        assert_eq!(find(4), find(5));
        assert_eq!(for_status(EnhancedStatus::new(4, 4, 7), Action::Delayed), DELAYED);
    }
}
