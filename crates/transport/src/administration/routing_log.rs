//! The routing table log: each time tables are calculated they are written down, one file for each (LG-31, LG-32, RT-05), in
//! `logs/Routing` of the server's state directory. A log that cannot be written is told once a time and harms no mail.

use std::io;
use std::sync::Arc;

use logs::Documents;
use logs::documents::routing_folder;
use routing::{LogTime, log_file_name};
use runtime::service_logs;

use crate::core::Core;

/// Runs until the service drains.
pub(crate) async fn run(core: Arc<Core>) {
    let log = Documents::routing_table(routing_folder(&core.node.settings.state));
    let mut tables = core.node.watch_tables();
    for number in 1.. {
        let present = tables.borrow_and_update().clone();
        let kept = service_logs::limits(&present.local_server().transport.logs.routing_table);
        let (log, now) = (log.clone().keeping(kept), core.now());
        let writing = tokio::task::spawn_blocking(move || {
            let written = now.to_iso8601();
            let written = LogTime(&written);
            log.write(&log_file_name(number, written), &present.log_document(written), now)
        });
        if let Err(error) = writing.await.map_err(io::Error::other).flatten() {
            tracing::warn!(%error, "the routing table log cannot be written");
        }
        tokio::select! {
            () = core.drain.cancelled() => return,
            changed = tables.changed() => if changed.is_err() { return },
        }
    }
}
