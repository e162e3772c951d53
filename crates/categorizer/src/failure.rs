//! Why a recipient is given up: status and reply text as documented (docs/rules.md, Notifications, DS-05).

use std::fmt;

use envelope::{EnhancedStatus, ObjectName, Reply};
use routing::{NdrReason, RuleId};
use topology::Restricted;

/// Why a recipient is given up. All of them are permanent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientFailure {
    /// Nobody has the address in a domain for which the organization answers alone (PL-46).
    UnknownRecipient,
    /// Nobody has the address in an X.400 domain of the organization, of this name (EN-72).
    UnknownInX400Domain(ObjectName),
    /// Over the sender's own limit.
    SenderSizeLimit,
    /// Over the organization's limit for senders.
    OrganizationSendLimit,
    /// Over the recipient's own limit.
    RecipientSizeLimit,
    /// Over the organization's limit for recipients.
    OrganizationReceiveLimit,
    /// The envelope has too many recipients (LM-12).
    TooManyRecipients,
    /// Only senders of the organization may send to it.
    SenderNotAuthenticated,
    /// The recipient does not take mail from this sender.
    SenderNotAccepted,
    /// A report is not for the members of a group (PL-51).
    ReportToGroup,
    /// Contacts forward to each other and nowhere else (PL-50).
    ForwardingLoop,
    /// The message would have more recipients than [`EXPANDED_RECIPIENTS_MAX`](crate::EXPANDED_RECIPIENTS_MAX).
    ExpansionTooLarge,
    /// Routing gave it up.
    Routing(NdrReason),
}

impl RecipientFailure {
    /// What the notification states.
    #[must_use]
    pub fn status(&self) -> EnhancedStatus {
        match self {
            Self::UnknownRecipient | Self::UnknownInX400Domain(_) => EnhancedStatus::new(5, 1, 1),
            Self::SenderSizeLimit | Self::OrganizationSendLimit | Self::OrganizationReceiveLimit => {
                EnhancedStatus::new(5, 3, 4)
            }
            Self::RecipientSizeLimit => EnhancedStatus::new(5, 2, 3),
            Self::TooManyRecipients | Self::ExpansionTooLarge => EnhancedStatus::new(5, 5, 3),
            Self::SenderNotAuthenticated | Self::SenderNotAccepted | Self::ReportToGroup => {
                EnhancedStatus::new(5, 7, 1)
            }
            Self::ForwardingLoop => EnhancedStatus::new(5, 4, 6),
            Self::Routing(reason) => reason.status(),
        }
    }

    /// `550` with status and the text that tools parse.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let text = match self {
            Self::UnknownRecipient | Self::UnknownInX400Domain(_) => "RESOLVER.ADR.ExRecipNotFound; not found",
            Self::SenderSizeLimit => "RESOLVER.RST.SendSizeLimit; message too large for this sender",
            Self::OrganizationSendLimit => "RESOLVER.RST.SendSizeLimit.Org; message too large for this organization",
            Self::RecipientSizeLimit => "RESOLVER.RST.RecipSizeLimit; message too large for this recipient",
            Self::OrganizationReceiveLimit => {
                "RESOLVER.RST.RecipSizeLimit.Org; message too large for this organization"
            }
            Self::TooManyRecipients => "RESOLVER.ADR.RecipLimit; too many recipients",
            Self::SenderNotAuthenticated => "RESOLVER.RST.AuthRequired; authentication required",
            Self::SenderNotAccepted => "RESOLVER.RST.NotAuthorized; not authorized",
            Self::ReportToGroup => "RESOLVER.GRP.Report; reports are not for the members of a group",
            Self::ForwardingLoop => "RESOLVER.FWD.Loop; there is a forwarding loop configured in the directory",
            Self::ExpansionTooLarge => "RESOLVER.GRP.Limit; the group has too many members for one message",
            Self::Routing(reason) => reason.reply_text(),
        };
        Reply::new(550, self.status(), text)
    }

    /// The rule behind it.
    #[must_use]
    pub fn rule(&self) -> RuleId {
        RuleId(match self {
            Self::UnknownRecipient => "PL-46",
            Self::UnknownInX400Domain(_) => "EN-72",
            Self::SenderSizeLimit | Self::RecipientSizeLimit => "LM-10",
            Self::OrganizationSendLimit | Self::OrganizationReceiveLimit => "LM-05",
            Self::TooManyRecipients => "LM-12",
            Self::SenderNotAuthenticated | Self::SenderNotAccepted => "RC-53",
            Self::ReportToGroup => "PL-51",
            Self::ForwardingLoop => "PL-50",
            Self::ExpansionTooLarge => "PL-49",
            Self::Routing(reason) => return reason.rule(),
        })
    }
}

impl From<Restricted> for RecipientFailure {
    fn from(restricted: Restricted) -> Self {
        match restricted {
            Restricted::NotAuthenticated => Self::SenderNotAuthenticated,
            Restricted::NotAccepted => Self::SenderNotAccepted,
        }
    }
}

impl fmt::Display for RecipientFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reply().fmt(f)
    }
}
