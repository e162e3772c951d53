//! SMTP straight into the spool: what Transport's own Receive connectors take (RC-14, RC-15) needs no other server, and its
//! `250` is the spool's own receipt.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{MessageHead, Receipt, Reply};
use queue::{Draft, StoredMessage};
use reception::{Arriving, MessageTaker, Taking};
use telemetry::metrics::Source;

use crate::core::Core;
use crate::ground::seen::Seen;
use crate::receive::accept;

/// The spool, as the destination of SMTP sessions.
pub(crate) struct SpoolDestination(pub(crate) Arc<Core>);

#[async_trait]
impl MessageTaker for SpoolDestination {
    async fn admit(&self) -> Result<(), Reply> {
        self.0.admit(Source::Smtp).await
    }

    fn take(&self, arriving: Arriving) -> Box<dyn Taking> {
        let Arriving { head, client_name, client_address, message_id, subject, .. } = arriving;
        let seen = Seen {
            client_name,
            client_address: Some(client_address),
            message_id: Some(message_id),
            subject,
            source: None,
        };
        Box::new(Receiving { core: Arc::clone(&self.0), head, draft: self.0.spool.begin(), seen })
    }
}

/// One message being received.
struct Receiving {
    core: Arc<Core>,
    head: MessageHead,
    draft: Draft,
    seen: Seen,
}

#[async_trait]
impl Taking for Receiving {
    async fn write(&mut self, piece: Bytes) -> Result<(), Reply> {
        self.draft.write(piece).await.map_err(|error| accept::refusal(&error))
    }

    async fn finish(self: Box<Self>) -> Result<Receipt, Reply> {
        let Self { core, mut head, draft, seen } = *self;
        head.size = draft.size();
        head.original_size = Some(head.size); // LM-02
        accept::commit(&core, draft, StoredMessage::new(head), Source::Smtp, seen).await
    }
}
