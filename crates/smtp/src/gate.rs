//! How many connections a Receive connector takes at a time: in all, from one source, and as a share of what is left.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use envelope::{EnhancedStatus, Limit, Reply};
use parking_lot::Mutex;

/// `MaxInboundConnection` default.
pub const CONNECTIONS_DEFAULT: u32 = 5000;
/// `MaxInboundConnectionPerSource` default.
pub const CONNECTIONS_PER_SOURCE_DEFAULT: u32 = 20;
/// `MaxInboundConnectionPercentagePerSource` default, in per cent of the connections that are left; 1 to 100.
pub const PERCENTAGE_PER_SOURCE_DEFAULT: u8 = 2;

/// Limits of one connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// `MaxInboundConnection`.
    pub connections: Limit<u32>,
    /// `MaxInboundConnectionPerSource`.
    pub per_source: Limit<u32>,
    /// `MaxInboundConnectionPercentagePerSource`: of the connections that are left, at least one; 100 is no limit.
    pub percentage_per_source: u8,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: Limit::At(CONNECTIONS_DEFAULT),
            per_source: Limit::At(CONNECTIONS_PER_SOURCE_DEFAULT),
            percentage_per_source: PERCENTAGE_PER_SOURCE_DEFAULT,
        }
    }
}

/// Counts the connections of one connector.
#[derive(Debug)]
pub struct ConnectionGate {
    limits: ConnectionLimits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: u32,
    by_source: HashMap<IpAddr, u32>,
}

/// One counted connection; dropping it gives the place back.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<ConnectionGate>,
    source: IpAddr,
}

impl ConnectionGate {
    /// A gate with nobody inside.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default() })
    }

    /// What holds.
    #[must_use]
    pub fn limits(&self) -> ConnectionLimits {
        self.limits
    }

    /// Connections inside.
    #[must_use]
    pub fn open_connections(&self) -> u32 {
        self.open.lock().total
    }

    /// Lets `source` in. An IPv6 source is its /64: whoever has one address has as many as he likes.
    ///
    /// # Errors
    /// The `421` for a connection over a limit.
    pub fn enter(self: &Arc<Self>, source: IpAddr) -> Result<Permit, Reply> {
        let source = net::source::source(source);
        let mut open = self.open.lock();
        let of_source = open.by_source.get(&source).copied().unwrap_or(0);
        if !self.limits.connections.allows(&(open.total + 1)) {
            return Err(busy("Service not available, too many connections"));
        }
        if of_source >= self.share_of_source(open.total) {
            return Err(busy("The maximum number of concurrent connections from your address has exceeded a limit"));
        }
        open.total += 1;
        open.by_source.insert(source, of_source + 1);
        Ok(Permit { gate: Arc::clone(self), source })
    }

    /// How many connections one source may have when `total` are open.
    fn share_of_source(&self, total: u32) -> u32 {
        let by_count = match self.limits.per_source {
            Limit::At(limit) => limit,
            Limit::Unlimited => u32::MAX,
        };
        let Limit::At(connections) = self.limits.connections else { return by_count };
        if self.limits.percentage_per_source >= 100 {
            return by_count;
        }
        let left = u64::from(connections.saturating_sub(total));
        let by_share = left * u64::from(self.limits.percentage_per_source) / 100;
        by_count.min(u32::try_from(by_share).unwrap_or(u32::MAX).max(1))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock();
        open.total -= 1;
        if let Some(count) = open.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                open.by_source.remove(&self.source);
            }
        }
    }
}

fn busy(text: &str) -> Reply {
    Reply::new(421, EnhancedStatus::new(4, 3, 2), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(connections: Limit<u32>, per_source: Limit<u32>, percentage_per_source: u8) -> Arc<ConnectionGate> {
        ConnectionGate::new(ConnectionLimits { connections, per_source, percentage_per_source })
    }

    fn source(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn each_limit_holds_and_places_come_back() {
        let gate = gate(Limit::At(3), Limit::At(2), 100);
        let first = gate.enter(source(1)).unwrap();
        let _second = gate.enter("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!(gate.enter(source(1)).unwrap_err().code, 421, "per source");
        let _third = gate.enter(source(2)).unwrap();
        assert_eq!(gate.enter(source(3)).unwrap_err().code, 421, "in all");
        drop(first);
        assert!(gate.enter(source(1)).is_ok());
        assert_eq!(gate.open_connections(), 2);
    }

    #[test]
    fn the_share_is_of_what_is_left_and_never_nothing() {
        let gate = gate(Limit::At(100), Limit::Unlimited, 2);
        let _first = gate.enter(source(1)).unwrap();
        assert!(gate.enter(source(1)).is_err(), "two per cent of 99 is one");
        assert!(gate.enter(source(2)).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let limits = ConnectionLimits { per_source: Limit::At(1), ..ConnectionLimits::default() };
        let gate = ConnectionGate::new(limits);
        let enter = |text: &str| gate.enter(text.parse().unwrap());
        let _first = enter("2001:db8::1").unwrap();
        assert!(enter("2001:db8::2").is_err() && enter("2001:db8:0:1::1").is_ok());
    }
}
