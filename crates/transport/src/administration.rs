//! What is there for administrators: the queues and their messages, the metrics of the other servers, the routing table log.

pub(crate) mod counted;
mod header;
pub(crate) mod operations;
pub(crate) mod routing_log;
pub(crate) mod view;
