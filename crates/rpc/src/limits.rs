//! Limits of the implicit connector's HTTP/2 and messages, each with its reason.

use std::time::Duration;

use tonic::transport::{Endpoint, Server};

/// Octets of content in one request. Large enough to carry most mail whole, small enough to interleave.
pub const CHUNK_OCTETS: usize = 256 * 1024;
/// Messages that one stream may have in flight, content or acknowledgement outstanding. A front end passes slow clients'
/// content on as it comes, so this is as many as it may have clients on one connector, over all its streams.
pub const TRANSFERS_IN_FLIGHT_MAX: usize = 2048;
/// Octets of content of one stream that wait for their receivers; then the reader waits, the HTTP/2 window closes and the
/// peer waits. This is the memory that a slow disk costs per stream.
pub const CONTENT_WAITING_OCTETS_MAX: u32 = 16 * 1024 * 1024;
/// What even an empty chunk counts as: it is not free.
pub(crate) const CHUNK_OCTETS_CHARGED_MIN: u32 = 256;
/// Replies of one stream that wait to be sent.
pub(crate) const REPLIES_WAITING_MAX: usize = 256;
/// Largest protobuf message accepted: a chunk and a head with many recipients. Longer heads are refused by the decoder.
pub const REQUEST_OCTETS_MAX: usize = 64 * 1024 * 1024;
/// Flow-control window of a stream: several chunks in flight over a link with delay.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// Flow-control window of a connection.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// Streams that one peer may open on a connection: transfers use one, outbound proxy sessions one each.
const STREAMS_MAX: u32 = 2048;
/// Octets of request metadata accepted.
const METADATA_OCTETS_MAX: u32 = 16 * 1024;
/// Streams reset before they were accepted, against rapid reset (CVE-2023-44487).
const RESETS_PENDING_MAX: usize = 64;
/// How long a peer may give no sign of a message: take nothing of it, and say nothing about it. 30 s: the next candidate has
/// it within tens of seconds. A peer that needs longer, for its delay under back pressure or for a mailbox database that is
/// busy, says every [`SIGN_INTERVAL`] that it is at it.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often a receiver that keeps a message waiting says so: 5 s.
pub const SIGN_INTERVAL: Duration = Duration::from_secs(5);
/// How long the next piece of a message may take whose length is known, so that it is on a disk and not on its way from a
/// client: 60 s, more than what its sender waits for that disk.
pub(crate) const STORED_CONTENT_PATIENCE: Duration = Duration::from_secs(60);
/// The same for content that a front end passes on as it comes: longer than it lets its client be silent.
pub(crate) const STREAMED_CONTENT_PATIENCE: Duration = Duration::from_secs(15 * 60);
/// A silent connection is asked whether it lives after this time; without, one cut by a partition stays forever.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// And is given up after this time without an answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn client_endpoint(endpoint: Endpoint) -> Endpoint {
    endpoint
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
}

pub(crate) fn server_builder() -> Server {
    Server::builder()
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_header_list_size(METADATA_OCTETS_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS_PENDING_MAX))
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}
