//! Every parser of foreign bytes, as a function over bytes that must neither panic nor break what it promises.
//!
//! ```text
//!   corpus/<target>/*  ──▶ mutation (seeded) ──▶ targets: parse, and hold what was parsed against its promise
//!                                                ├─ tests/short.rs    a moment of each, in every run of the tests
//!                                                ├─ src/bin/fuzz.rs   as long as you like, on stable
//!                                                └─ libfuzzer/        guided by coverage (make fuzz)
//! ```
//!
//! A promise is: what is parsed prints, and what is printed parses to the same; what is fed in pieces is understood as the
//! whole; what is encoded decodes.

#![expect(clippy::unwrap_used, reason = "all of it is for tests, which fail where they cannot go on")]

mod corpus;
mod mutation;
mod session;
mod spool;
mod targets;

pub use corpus::{corpus, keep};
pub use mutation::Mutator;
pub use targets::{TARGETS, Target, target};
