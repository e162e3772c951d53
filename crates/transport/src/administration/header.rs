//! What a message says of itself, and what antispam said of it, for administrators who ask: its content is opened, and read as far as its header goes.

use admin_api::queues::MessageEntry;
use message::header::HeaderBlock;
use message::split::{HEADER_SIZE_MAX, HeaderCollector};

use crate::core::Core;

/// Where antispam writes its level.
const SCL: &str = "X-MS-Exchange-Organization-SCL";

/// Adds subject and `Message-ID`, where there are any and the content can be read.
pub(crate) async fn added(core: &Core, mut entry: MessageEntry) -> MessageEntry {
    let Ok(mut content) = core.spool.content(entry.id).await else { return entry };
    let mut collector = HeaderCollector::new(HEADER_SIZE_MAX);
    while let Ok(Some(chunk)) = content.chunk().await {
        match collector.push(&chunk) {
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => break,
        }
    }
    let block = collector.into_block();
    let header = HeaderBlock::new(&block);
    entry.subject = header.subject().map(Into::into);
    entry.internet_message_id = header.message_id().map(|id| format!("<{id}>").into());
    entry.scl = header.field(SCL).and_then(|field| field.text().trim().parse().ok());
    entry
}
