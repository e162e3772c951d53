//! The administrator's commands as a user meets them: the real program, its output, its status.

#![expect(clippy::unwrap_used, reason = "a test")]

mod api;
mod centre;
mod cert;
mod check;
mod directory;
mod dovecot;
mod explain;
mod health;
mod help;
mod kerberos;
mod operations;
mod permissions;
mod preview;
mod provider;
mod queue;
mod sendmail;
mod support;
mod sync;
mod tests;
mod topology;
mod trace;
