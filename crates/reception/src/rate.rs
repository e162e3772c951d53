//! `MessageRateLimit`: messages in a minute from one source (LM-21, LM-22). Pure: the time is an argument.

use std::net::IpAddr;
use std::time::Duration;

use envelope::{EnhancedStatus, Limit, Reply, Timestamp};
use net::source::source;
use topology::{MessageRateSource, ReceiveConnector};

use crate::tally::{Bounds, Tally};

const MINUTE: Duration = Duration::from_mins(1);
const EXCEEDED: &str = "Message submission rate for this client has exceeded the configured limit";

/// Messages of one connector lately.
#[derive(Debug)]
pub(crate) struct Rates {
    limit: Limit<u32>,
    source: MessageRateSource,
    addresses: Tally<IpAddr>,
    users: Tally<Box<str>>,
}

impl Rates {
    pub(crate) fn of(connector: &ReceiveConnector) -> Self {
        let limit = connector.message_rate_limit;
        let most = match limit {
            Limit::At(limit) => limit.max(1),
            Limit::Unlimited => 1,
        };
        let bounds = Bounds::draining_each(MINUTE / most, most);
        let (addresses, users) = (Tally::new(bounds), Tally::new(bounds));
        Self { limit, source: connector.message_rate_source, addresses, users }
    }

    /// Whether it counts as `connector` wants it.
    pub(crate) fn fits(&self, connector: &ReceiveConnector) -> bool {
        self.limit == connector.message_rate_limit && self.source == connector.message_rate_source
    }

    /// Counts a message of `user`: who authenticated, or else the sender of the envelope (LM-21).
    ///
    /// # Errors
    /// The refusal of one that is too many: `421` for an address, which ends the session, `450` for a user.
    pub(crate) fn count(&mut self, peer: IpAddr, user: &str, now: Timestamp) -> Result<(), Reply> {
        let Limit::At(limit) = self.limit else { return Ok(()) };
        let (by_address, by_user) = match self.source {
            MessageRateSource::None => (false, false),
            MessageRateSource::IPAddress => (true, false),
            MessageRateSource::User => (false, true),
            MessageRateSource::All => (true, true),
        };
        let by_address = by_address && !is_local(peer);
        let (address, user) = (source(peer), Box::from(user.to_lowercase()));
        // What is refused is not counted: whoever keeps trying comes through as often as the limit says.
        if by_address && self.addresses.count(&address, now).all >= limit {
            return Err(Reply::new(421, EnhancedStatus::new(4, 4, 2), EXCEEDED));
        }
        if by_user && self.users.count(&user, now).all >= limit {
            return Err(Reply::new(450, EnhancedStatus::new(4, 4, 2), EXCEEDED));
        }
        if by_address {
            self.addresses.add(address, now);
        }
        if by_user {
            self.users.add(user, now);
        }
        Ok(())
    }
}

/// New connections of a service lately (`MaxConnectionRatePerMinute`): so many in a minute, and then as time goes.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// When all that came has been taken at the rate of the limit.
    drained: Option<Timestamp>,
}

impl Arrivals {
    /// Counts a connection.
    ///
    /// # Errors
    /// The refusal of one that is too many; it is not counted.
    pub(crate) fn count(&mut self, limit: u32, now: Timestamp) -> Result<(), Reply> {
        let interval = MINUTE / limit.max(1);
        let drained = self.drained.filter(|drained| *drained > now).unwrap_or(now).plus(interval);
        // A limit that became lower drains what came before it within a minute.
        if drained.since(now) > MINUTE {
            self.drained = Some(now.plus(MINUTE).min(self.drained.unwrap_or(now)));
            return Err(Reply::new(
                421,
                EnhancedStatus::new(4, 3, 2),
                "Too many connections in a minute; try again later",
            ));
        }
        self.drained = Some(drained);
        Ok(())
    }
}

/// RC-54: link-local and site-local IPv6 addresses are not limited.
fn is_local(peer: IpAddr) -> bool {
    match peer.to_canonical() {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.segments()[0] & 0xffc0 == 0xfec0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::ServerName;
    use topology::receive_connector::defaults;

    fn rates(limit: u32, source: MessageRateSource) -> Rates {
        let [mut connector, _] = defaults::front_end(&ServerName::parse("MAIL1").unwrap());
        (connector.message_rate_limit, connector.message_rate_source) = (Limit::At(limit), source);
        Rates::of(&connector)
    }

    #[test]
    fn so_many_connections_come_in_a_minute() {
        // limits §3: MaxConnectionRatePerMinute
        let at = |seconds: u64| Timestamp::from_millis(1_000_000 + seconds * 1000);
        let mut arrivals = Arrivals::default();
        assert!((0..60).all(|_| arrivals.count(60, at(0)).is_ok()));
        assert_eq!(arrivals.count(60, at(0)).unwrap_err().code, 421);
        assert!(arrivals.count(60, at(1)).is_ok() && arrivals.count(60, at(1)).is_err());
        // Another limit counts at once.
        assert!(arrivals.count(120, at(1)).is_err() && arrivals.count(120, at(2)).is_ok());
        assert!((0..60).all(|_| arrivals.count(60, at(70)).is_ok()));
        assert!(arrivals.count(1, at(70)).is_err() && arrivals.count(1, at(131)).is_ok());
    }

    #[test]
    fn so_many_in_a_minute_and_then_as_time_goes() {
        // LM-21, LM-22, RC-54
        let at = |seconds: u64| Timestamp::from_millis(1_000_000 + seconds * 1000);
        let (here, there): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let code = |result: Result<(), Reply>| result.err().map(|reply| reply.code);
        let mut by_address = rates(3, MessageRateSource::IPAddress);
        for _ in 0..3 {
            assert_eq!(code(by_address.count(here, "a@b", at(0))), None);
        }
        assert_eq!(code(by_address.count(here, "c@d", at(0))), Some(421));
        assert_eq!(code(by_address.count(there, "a@b", at(0))), None);
        assert_eq!(
            (code(by_address.count(here, "a@b", at(20))), code(by_address.count(here, "a@b", at(21)))),
            (None, Some(421))
        );
        let link_local = "fe80::1".parse().unwrap();
        assert!((0..9).all(|_| by_address.count(link_local, "a@b", at(0)).is_ok()));

        let mut by_user = rates(1, MessageRateSource::User);
        assert_eq!(code(by_user.count(here, "Ann", at(0))), None);
        assert_eq!(
            (code(by_user.count(there, "ann", at(1))), code(by_user.count(here, "bob", at(1)))),
            (Some(450), None)
        );
        let mut off = rates(1, MessageRateSource::None);
        assert!((0..9).all(|_| off.count(here, "a@b", at(0)).is_ok()));
    }
}
