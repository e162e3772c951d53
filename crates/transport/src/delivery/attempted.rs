//! The span of one attempt, from the last reply to its end: what it came to, and what the message waits for then.

use std::sync::Arc;

use envelope::{EnhancedStatus, Timestamp};
use telemetry::{Hop, Outcome, keys};

use super::{Answer, Sent};

/// Status of an attempt that decided nothing: RFC 3463 X.4.0, other or undefined network status.
pub(super) const TRANSIENT: EnhancedStatus = EnhancedStatus::new(4, 4, 0);

/// What a message waits for before it is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Until then, unless somebody or something wakes it earlier.
    pub(crate) until: Timestamp,
    /// Why.
    pub(crate) why: Arc<str>,
}

impl Wait {
    /// Notes it in a span.
    pub(crate) fn note(&self, span: &mut Hop) {
        span.attribute(keys::WAIT_UNTIL, &self.until);
        span.attribute(keys::WAIT_REASON, &*self.why);
    }
}

/// An attempt that was answered and is not settled yet.
pub(super) struct Attempted {
    span: Hop,
    answered: Timestamp,
    failure: Option<(EnhancedStatus, Arc<str>)>,
}

impl Attempted {
    pub(super) fn new(span: Hop, answered: Timestamp, sent: &Sent) -> Self {
        let failure = match sent {
            Sent::Lost(error) => Some((TRANSIENT, Arc::clone(error))),
            Sent::Answers(answers) => answers.iter().find_map(|answer| match answer {
                Answer::Never { reply, .. } => Some((reply.status_or_generic(), reply.to_string().into())),
                Answer::Later(why) | Answer::Elsewhere(why) => Some((TRANSIENT, Arc::clone(why))),
                Answer::Taken(_) => None,
            }),
        };
        Self { span, answered, failure }
    }

    /// Ends the span at the time of the answer. What is to come is known only now.
    pub(super) fn end(mut self, wait: Option<Wait>) {
        if let Some(wait) = wait {
            wait.note(&mut self.span);
        }
        match &self.failure {
            Some((status, cause)) => self.span.end(self.answered, Outcome::Failed { status: *status, cause }),
            None => self.span.end(self.answered, Outcome::Done),
        }
    }
}
