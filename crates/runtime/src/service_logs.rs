//! The logs of a service follow the configuration: whether they are written, and what is kept of them (LG-03, LG-04).

use envelope::{ByteSize, Limit};
use logs::{LogLimits, LogRules};
use topology::{LogRetention, Server};

use crate::node::Node;

/// Has a log kept as the configuration says of this server, now and whenever that changes: `of` says whether, and how much.
pub fn follow(node: &Node, rules: LogRules, of: impl Fn(&Server) -> (bool, LogRetention) + Send + 'static) {
    let mut tables = node.watch_tables();
    let told = move |server: &Server| {
        let (enabled, kept) = of(server);
        rules.set(enabled, limits(&kept));
    };
    told(tables.borrow_and_update().local_server());
    tokio::spawn(async move {
        while tables.changed().await.is_ok() {
            told(tables.borrow_and_update().local_server());
        }
    });
}

/// What the writer of a log is told.
#[must_use]
pub fn limits(kept: &LogRetention) -> LogLimits {
    let octets = |size: Limit<ByteSize>| match size {
        Limit::At(size) => size.as_u64(),
        Limit::Unlimited => u64::MAX,
    };
    LogLimits {
        file_octets: octets(kept.max_file_size),
        folder_octets: octets(kept.max_directory_size),
        age: kept.max_age.0,
    }
}

/// Of message tracking, which is one log with the files of three services (LG-16).
#[must_use]
pub fn message_tracking(server: &Server) -> (bool, LogRetention) {
    (server.transport.logs.message_tracking_enabled, server.transport.logs.message_tracking)
}
