//! The subcommands, one module each, and what several of them share: [`output`], [`place`], [`source`],
//! [`organization_file`].

pub(crate) mod apply;
pub(crate) mod cert;
pub(crate) mod check;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod lab;
pub(crate) mod organization_file;
pub(crate) mod output;
pub(crate) mod place;
pub(crate) mod queue;
mod queued;
pub(crate) mod revisions;
pub(crate) mod rule;
pub(crate) mod servers;
pub(crate) mod source;
pub(crate) mod test;
mod times;
pub(crate) mod topology;
pub(crate) mod trace;
pub(crate) mod track;
mod tracked;
