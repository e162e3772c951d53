//! SMTP from clients, as Front End Transport and Transport serve it: the same Receive connectors, permissions, sessions and
//! header lines. What differs between the two is where an accepted message goes, and that is a [`MessageTaker`].
//!
//! ```text
//!   client ──SMTP──▶ Door ─▶ Session ─▶ policy: who may send what to whom ─▶ Intake ─▶ header ─▶ MessageTaker
//!          ◀─ 250 only from the receipt ──────────────────────────────────────────────────────────┘
//! ```
//!
//! Front End Transport's destination is a Transport somewhere (RT-60 ff.), Transport's own is its spool. Neither does this
//! crate know. It never looks at content beyond the header (PL-02).
//!
//! | module | what | rules |
//! |---|---|---|
//! | `destination` | [`MessageTaker`], [`Taking`]: where messages go | PL-04 |
//! | `doors` | [`Doors`]: the listening addresses, as the configuration wants them | RC-2, RC-27 |
//! | `ports` | [`Ports`]: which of them are open, and why the others are not | RC-27 |
//! | `selection` | which Receive connector | RC-30, RC-31 |
//! | `connectors` | Receive connectors as the listener needs them | RC-11 … RC-15 |
//! | `shared`, `session` | the answers that a client gets | RC-40 ff. |
//! | `authentication` | passwords of mailbox users | TA-72 |
//! | `policy` | senders and recipients | PL-41, PL-42, RC-50 ff. |
//! | `partners` | Domain Security: who proves of which domain he is | TA-41 … TA-45 |
//! | `questions` | what strangers have the directory asked | LM-25 |
//! | `rate` | messages in a minute from one source | LM-21, LM-22 |
//! | `suspicion`, `tally` | who looks as if he was guessing | LM-25 |
//! | `telling`, `news` | failed logons, here and at the other services that take logons | LM-25 |
//! | `header` | hop counts, header firewall, `Received` | RT-74, PL-73 |
//! | `intake` | one message, until its header is complete and then on | |
//! | `memory` | how much of half-received messages is held in all | invariant 7 |

mod authentication;
mod connectors;
mod destination;
mod door;
mod doors;
mod header;
mod intake;
mod keepers;
mod memory;
mod news;
mod partners;
mod policy;
mod ports;
mod questions;
mod rate;
mod selection;
mod session;
mod shared;
mod suspicion;
mod tally;
mod telling;

pub use destination::{Arriving, MessageTaker, Taking};
pub use doors::{DRAIN_GRACE, Doors};
pub use ports::Ports;
