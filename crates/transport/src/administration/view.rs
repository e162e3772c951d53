//! What an administrator sees: the queues, the messages in them with the decision that put them there, and the health of the
//! other servers as this process knows it; and the way to what he does to them. Long lists are read in pieces, so that mail never waits for somebody who looks.

use std::sync::Arc;

use admin_api::QueueHandler;
use admin_api::queues::{
    ExportedContent, GatewayEntry, MessageEntry, MessagesRequest, NotDone, Operated, Operation, PeerEntry, QueueEntry,
    Target,
};
use async_trait::async_trait;
use envelope::ServerName;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use scheduler::{ItemId, ItemView, QueueView};

use super::entry::{entry, peer_entry, queue_entry};
use super::operations::Operations;
use super::{export, gateways, header, perform};
use crate::core::Core;

/// Items that are looked up at once, under the locks that mail needs.
const PIECE: usize = 256;

/// Answers administrators.
pub(crate) struct Viewer(pub(crate) Arc<Core>);

#[async_trait]
impl QueueHandler for Viewer {
    fn queues(&self) -> Vec<QueueEntry> {
        let (core, now) = (&self.0, self.0.now());
        let views: Vec<QueueView> = core.ledger(|ledger| ledger.queues(now).collect());
        views.iter().map(|view| queue_entry(core, view)).collect()
    }

    fn messages(&self, request: MessagesRequest) -> BoxStream<'static, MessageEntry> {
        let core = Arc::clone(&self.0);
        let (number, header) = (request.queue, request.header);
        let in_queue = move |found: &ItemView| number.is_none_or(|number| number == found.queue.number());
        let opened = Arc::clone(&core);
        found(Arc::clone(&core))
            .flat_map(stream::iter)
            .filter(move |found| std::future::ready(in_queue(found)))
            .filter_map(move |found| entry(Arc::clone(&core), found))
            .filter(move |entry| std::future::ready(request.wants(entry)))
            .then(move |entry| {
                let core = Arc::clone(&opened);
                async move { if header { header::added(&core, entry).await } else { entry } }
            })
            .boxed()
    }

    fn peers(&self) -> Vec<PeerEntry> {
        self.0.node.health.entries().into_iter().map(peer_entry).collect()
    }

    async fn gateways(&self) -> Vec<GatewayEntry> {
        gateways::entries(&self.0).await
    }

    async fn operate(&self, operation: Operation, target: Target) -> Operated {
        perform::operate(&self.0, operation, target).await
    }

    async fn redirect(&self, target: Option<&ServerName>) -> Result<(), NotDone> {
        let operations = Operations(Arc::clone(&self.0));
        match target {
            Some(server) => operations.redirect(server).map_err(|error| NotDone(error.to_string().into())),
            None => {
                operations.end_redirection();
                Ok(())
            }
        }
    }

    async fn export(&self, target: Target) -> (Operated, Result<ExportedContent, NotDone>) {
        export::export(&self.0, target).await
    }
}

/// Every item, in pieces.
fn found(core: Arc<Core>) -> BoxStream<'static, Vec<ItemView>> {
    stream::unfold((core, None), |(core, after): (Arc<Core>, Option<ItemId>)| async move {
        let piece = core.ledger(|ledger| ledger.items_after(after, PIECE));
        let after = Some(piece.last()?.id);
        Some((piece, (core, after)))
    })
    .boxed()
}
