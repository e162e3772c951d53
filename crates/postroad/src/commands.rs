//! The subcommands, one module each, and what several of them share: [`output`], [`place`], [`source`],
//! [`organization_file`], [`findings`].

pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod cert;
pub(crate) mod check;
pub(crate) mod database;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod failure;
mod findings;
pub(crate) mod health;
mod impact;
pub(crate) mod import;
pub(crate) mod lab;
mod left_behind;
pub(crate) mod organization_file;
pub(crate) mod output;
pub(crate) mod place;
mod planned;
pub(crate) mod probe;
pub(crate) mod queue;
mod queued;
pub(crate) mod revisions;
pub(crate) mod rollback;
pub(crate) mod rule;
pub(crate) mod sendmail;
pub(crate) mod servers;
pub(crate) mod shell;
mod since;
pub(crate) mod source;
pub(crate) mod sync;
pub(crate) mod test;
mod times;
pub(crate) mod topology;
pub(crate) mod trace;
pub(crate) mod track;
mod tracked;
