//! Front End Transport as a whole, between SMTP clients and Transports that are played, over loopback.

#[cfg(test)]
mod authority;
#[cfg(test)]
mod both_ways;
#[cfg(test)]
mod domain_security;
#[cfg(test)]
mod inbound;
#[cfg(test)]
mod kerberos;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod logons;
#[cfg(test)]
mod next_hop;
#[cfg(test)]
mod odd_hosts;
#[cfg(test)]
mod outbound;
#[cfg(test)]
mod protocol_log;
#[cfg(test)]
mod real_hosts;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod spread_logons;
#[cfg(test)]
mod support;
