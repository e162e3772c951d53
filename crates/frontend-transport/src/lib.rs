//! Front End Transport: a stateless proxy for SMTP, inbound and outbound (docs/rules.md, Pipeline).
//!
//! ```text
//!   client ──SMTP──▶ reception: who may send what to whom ─▶ Transports ─▶ Passage ──rpc──▶ Transport
//!          ◀─ 250 only from the receipt ─────────────────────────────────────────────────┘
//!   host outside ◀──SMTP── OutboundProxy ◀──rpc── Transport, which keeps the message in its queue
//! ```
//!
//! It never queues, never looks at content beyond the header, never splits a message, never chooses by Send connector
//! (PL-02). Whatever goes wrong before a Transport's receipt is a 4xx to the client, who still has the message.
//!
//! | module | what | rules |
//! |---|---|---|
//! | `service` | [`FrontendTransport`]: ports, drain | |
//! | `destination`, `passage` | one message to one Transport, or the next | RT-60 ff., PL-25 |
//! | `proxy` | sessions with the outside for Transport | PL-27 ff. |
//!
//! What a client is answered is `reception`'s, for this service and for Transport alike.

mod destination;
mod passage;
mod proxy;
mod service;

pub use service::{FrontendError, FrontendTransport};
