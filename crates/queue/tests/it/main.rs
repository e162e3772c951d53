//! Tests of the spool from outside: what survives a crash, a full disk, a failing disk and damage.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod basics;
mod common;
mod crash;
mod damage;
mod format;
mod ledger;
mod space;
mod state;
