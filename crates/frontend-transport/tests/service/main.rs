//! Front End Transport as a whole, between SMTP clients and Transports that are played, over loopback.

#[cfg(test)]
mod inbound;
#[cfg(test)]
mod outbound;
#[cfg(test)]
mod support;
