//! What is there for administrators: the queues and their messages, what is done to them, the metrics of the other servers, the
//! routing table log.

pub(crate) mod counted;
mod entry;
mod export;
mod gateways;
mod header;
pub(crate) mod operations;
mod perform;
pub(crate) mod routing_log;
pub(crate) mod view;
