//! Mail on its way in: over the implicit connector and from SMTP clients into the spool, as long as back pressure allows it.

pub(crate) mod accept;
pub(crate) mod entrance;
pub(crate) mod pressure;
