//! Front End Transport as a whole, between SMTP clients and Transports that are played, over loopback.

#[cfg(test)]
mod both_ways;
#[cfg(test)]
mod inbound;
#[cfg(test)]
mod next_hop;
#[cfg(test)]
mod odd_hosts;
#[cfg(test)]
mod outbound;
#[cfg(test)]
mod support;
