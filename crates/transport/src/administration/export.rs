//! A suspended message as a file for a Replay directory (QU-59): its envelope in X- fields, which stand first (PL-62), then its
//! content as it is stored.

use std::collections::BTreeSet;
use std::sync::Arc;

use admin_api::queues::{ExportedContent, NotDone, Operated, Target};
use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use futures::stream;
use queue::{ContentReader, StoredMessage};
use scheduler::{ItemStatus, QueueId};
use smtp_session::client::replay_fields;

use super::entry::source;
use super::perform::{items, seen};
use crate::core::Core;

/// The message with what it is.
pub(crate) async fn export(core: &Arc<Core>, target: Target) -> (Operated, Result<ExportedContent, NotDone>) {
    let what = seen(core, target).await;
    let content = content(core, target).await;
    (what, content)
}

async fn content(core: &Arc<Core>, target: Target) -> Result<ExportedContent, NotDone> {
    let refused = |why: &str| NotDone(why.into());
    if target.queue == QueueId::SUBMISSION.number() {
        return Err(refused("a message of the Submission queue is not exported; it is when it has left it"));
    }
    let items = items(core, target);
    let Some(first) = items.first() else { return Err(refused("there is no such message")) };
    if items.iter().any(|view| view.status != ItemStatus::Suspended) {
        return Err(refused("only a suspended message is exported: suspend it first"));
    }
    let message = first.item.message;
    let unread = |error: queue::ReadError| NotDone(format!("it cannot be read: {error}").into());
    let stored = core.spool.head(message).await.map_err(unread)?;
    let reader = core.spool.content(message).await.map_err(unread)?;
    let waiting: BTreeSet<u32> = items.iter().flat_map(|view| view.item.recipients.as_slice()).copied().collect();
    let fields = fields(&stored, &waiting);
    Ok(stream::iter([Ok(fields)]).chain(pieces(reader)).boxed())
}

/// The fields for whoever replays it, for the recipients that still wait.
fn fields(stored: &StoredMessage, waiting: &BTreeSet<u32>) -> Bytes {
    let envelope = &stored.head.envelope;
    let recipients = waiting.iter().filter_map(|at| envelope.recipients.get(*at as usize));
    let mut fields: BytesMut = replay_fields(envelope, recipients);
    fields.put_slice(b"X-CreatedBy: MSExchange15\r\nX-Source: ");
    fields.put_slice(source(&stored.head.origin).as_bytes());
    fields.put_slice(b"\r\n");
    let last = format!("X-EndOfInjectedXHeaders: {}\r\n", fields.len());
    fields.put_slice(last.as_bytes());
    fields.freeze()
}

fn pieces(reader: ContentReader) -> impl futures::Stream<Item = Result<Bytes, NotDone>> + Send + 'static {
    stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        match reader.chunk().await {
            Ok(None) => None,
            Ok(Some(chunk)) => Some((Ok(chunk), Some(reader))),
            Err(error) => Some((Err(NotDone(format!("it cannot be read to its end: {error}").into())), None)),
        }
    })
}
