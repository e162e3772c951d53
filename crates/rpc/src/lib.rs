//! The implicit intra-organization connector: how the services of one organization hand each other mail.
//!
//! ```text
//!   Peers::submit(head, content) ──▶ one of a few long-lived streams ──▶ SubmitHandler ──▶ durable commit
//!                      Receipt  ◀── acknowledgement per message     ◀──  Receipt
//! ```
//!
//! * Always mutual TLS; each RPC names the services that may call it ([`Credentials`], `security`).
//! * Many messages in flight on a stream, each acknowledged after the receiver's commit; a message that is sent again under
//!   its id after a lost acknowledgement is not taken twice.
//! * The only crate that knows protobuf. Which server to call, in what order and when again is a routing decision and is
//!   never made here (RT-34 ff.).
//!
//! | module | what |
//! |---|---|
//! | [`transfer`] | messages, outcomes, handlers, without protobuf |
//! | [`client`] | [`Peers`]: the sending side |
//! | [`serve`], `server` | [`Offer`]: the receiving side |
//! | [`proxy`] | the outbound proxy: an SMTP session of a front end, used by Transport |
//! | [`admin`] | what an administrator sees of a Transport's queues |
//! | [`security`] | certificates and authorization |
//! | [`limits`] | HTTP/2 windows, chunk and message limits |
//! | `convert`, `wire` | the nouns and `proto/` |

pub mod admin;
pub mod client;
mod convert;
pub mod limits;
pub mod proxy;
pub mod security;
pub mod serve;
mod server;
pub mod transfer;
mod wire;

pub use admin::{Administrator, QueueHandler};
pub use client::{PeerAddress, Peers};
pub use convert::{WireError, octets};
pub use proxy::{FrontEnds, NotOpened, OpenError, OpenSession, OpenedSession, ProxyRequest, ProxySession};
pub use security::Credentials;
pub use serve::Offer;
pub use transfer::{Content, DeliverHandler, Deliveries, Incoming, RecipientDelivery, SubmitHandler, TransferError};
