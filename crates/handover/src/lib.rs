//! Handing a message to a Transport of the organization. Front End Transport, Mailbox Transport Submission and Transport do
//! it alike; what differs is where the content comes from and what follows when nobody takes it.
//!
//! ```text
//!   order (routing, who failed lately) ─▶ Candidates ─▶ one after the other, under the same id ─▶ receipt
//!                                             ▲   │ not there, silent, busy: passed over, and remembered as failed
//!                                             └───┘
//! ```
//!
//! A candidate that gives no sign of the message for half a minute (`rpc`'s patience) is passed over like one that is not there. It may
//! have taken it all the same: the id is what makes that harmless, here and one hop on ([`copy_id`]).
//!
//! | module | what | rules |
//! |---|---|---|
//! | `order` | who may take it, in what order | RT-24, RT-34 ff., RT-60 ff. |
//! | `candidates` | [`Candidates`]: one after the other | PL-25, RT-39 |
//! | `copy` | [`copy_id`]: by which a copy is known | QU-03 |
//!
//! It never keeps a message, and never decides when to try again.

mod candidates;
mod copy;
mod order;

pub use candidates::{Candidates, NotHandedOver, Offered, Taken, Taker};
pub use copy::copy_id;
