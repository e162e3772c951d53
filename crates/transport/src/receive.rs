//! Mail on its way in: over the implicit connector, from SMTP clients and from files into the spool, as long as back pressure allows it.

pub(crate) mod accept;
pub(crate) mod agents;
pub(crate) mod entrance;
pub(crate) mod files;
pub(crate) mod pressure;
mod stranger;
