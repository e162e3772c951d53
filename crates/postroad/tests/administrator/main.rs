//! The administrator's commands as a user meets them: the real program, its output, its status.

#![expect(clippy::unwrap_used, reason = "a test")]

mod cert;
mod check;
mod directory;
mod explain;
mod health;
mod help;
mod queue;
mod support;
mod tests;
mod topology;
mod trace;
