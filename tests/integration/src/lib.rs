//! The product as its users have it, for tests: processes of the real `postroad` program in a lab of their own, clients that
//! send, a ledger of what was acknowledged against what has arrived, and faults made on purpose.
//!
//! The tests are in `tests/it`; `soak` is the same faults for hours, as a command.

#![expect(clippy::unwrap_used, reason = "all of it is for tests, which fail where they cannot go on")]

mod counts;
pub mod faulty_disk;
mod lab;
mod ledger;
mod program;
mod sending;
pub mod soak;

pub use self::counts::Counts;
pub use self::lab::{Inbox, Lab, ONE_SERVER, organization_text};
pub use ledger::{Balance, Ledger};
pub use program::{faulty_transport, program, run, run_postroad};
pub use sending::{
    Wire, deliver_by_connector, peer_address, peers, stranger, submit_by_connector, submit_content_by_connector,
    submit_from_outside, test_message,
};
