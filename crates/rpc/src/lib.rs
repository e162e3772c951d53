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
//! * It alone knows protobuf, and `admin-api`, which stands on it. Which server to call, in what order and when again is a
//!   routing decision and is never made here (RT-34 ff.).
//!
//! | module | what |
//! |---|---|
//! | [`transfer`] | messages, outcomes, handlers, without protobuf |
//! | [`client`] | [`Peers`]: the sending side |
//! | [`serve`], `server` | [`Offer`]: the receiving side |
//! | [`proxy`] | the outbound proxy: an SMTP session of a front end, used by Transport |
//! | [`mailboxes`] | files of a database that changes its server |
//! | [`logons`] | failed logons, which the services that take logons tell one another |
//! | [`agents`] | delivery agents on this machine, by a Unix socket |
//! | [`security`] | certificates, local users, authorization |
//! | [`limits`] | HTTP/2 windows, chunk and message limits |
//! | `convert`, `wire` | the nouns and `proto/` |

mod address;
pub mod agents;
pub mod client;
pub mod convert;
pub mod limits;
pub mod logons;
pub mod mailboxes;
pub mod proxy;
pub mod security;
pub mod serve;
mod server;
pub mod transfer;
mod wire;

pub use address::PeerAddress;
pub use agents::{AgentAnswer, AgentConnection, AgentDelivery, AgentsHandler, Attendance};
pub use client::Peers;
pub use convert::{WireError, octets};
pub use logons::{AccountDigest, Colleagues, FailedLogons, FailedLogonsHandler, ToldTooOften};
pub use mailboxes::{
    DatabaseMove, MailboxEntry, MailboxFile, MailboxPiece, MailboxPieces, MailboxSource, MailboxesHandler,
};
pub use proxy::{
    FrontEnds, HandedCredential, NotOpened, OpenError, OpenSession, OpenedSession, ProxyRequest, ProxySession,
};
pub use security::{Asker, Credentials, LocalUsers, principal};
pub use serve::Offer;
pub use transfer::{
    Content, DeliverHandler, Deliveries, History, Incoming, RecipientDelivery, RecipientHistory, Signs, SubmitHandler,
    TransferError,
};
