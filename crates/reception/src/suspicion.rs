//! Who looks as if he was guessing: recipients that are refused and logons that fail, over all connections of the service.
//! Pure: the time is an argument.
//!
//! A session has a budget of its own (`smtp-session`); this is for those who come again and again. Counted are networks, not
//! addresses: IPv4 /24, IPv6 /64, and /56 with a larger budget. The machine itself is not counted.

use std::net::IpAddr;
use std::time::Duration;

use envelope::{EnhancedStatus, Reply, Timestamp};
use smtp::source::{V6_SUBNET_BITS, network};

use crate::tally::Tally;

/// Refused recipients of a network that are forgotten, each after the one before it.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(6);
/// Refused recipients of a /24 or /64 before it is sent away.
const REFUSALS_MAX: u32 = 200;
/// The same of a /56.
const REFUSALS_WIDE_MAX: u32 = 800;
/// Failed logons that are forgotten, each after the one before it.
const LOGON_INTERVAL: Duration = Duration::from_mins(1);
/// Failed logons of a network before no password of it is looked at.
const LOGONS_MAX: u32 = 20;
/// The first failed logon waits so long, each further one twice as long.
const LOGON_DELAY: Duration = Duration::from_secs(1);
/// But never longer.
const LOGON_DELAY_MAX: Duration = Duration::from_secs(60);

/// What is known of clients.
#[derive(Debug)]
pub(crate) struct Suspicion {
    refusals: Tally<IpAddr>,
    refusals_wide: Tally<IpAddr>,
    logons: Tally<IpAddr>,
    accounts: Tally<Box<str>>,
}

impl Default for Suspicion {
    fn default() -> Self {
        Self {
            refusals: Tally::draining_each(REFUSAL_INTERVAL),
            refusals_wide: Tally::draining_each(REFUSAL_INTERVAL),
            logons: Tally::draining_each(LOGON_INTERVAL),
            accounts: Tally::draining_each(LOGON_INTERVAL),
        }
    }
}

impl Suspicion {
    /// A recipient was refused.
    pub(crate) fn refused(&mut self, peer: IpAddr, now: Timestamp) {
        if let Some((narrow, wide)) = networks(peer) {
            self.refusals.add(narrow, now);
            if let Some(wide) = wide {
                self.refusals_wide.add(wide, now);
            }
        }
    }

    /// Whether a client may ask about recipients.
    ///
    /// # Errors
    /// The `421` for one that is sent away.
    pub(crate) fn check(&self, peer: IpAddr, now: Timestamp) -> Result<(), Reply> {
        let Some((narrow, wide)) = networks(peer) else { return Ok(()) };
        let spent = self.refusals.count(&narrow, now) > REFUSALS_MAX
            || wide.is_some_and(|wide| self.refusals_wide.count(&wide, now) > REFUSALS_WIDE_MAX);
        if spent { Err(away("Too many refused recipients from your network; try again later")) } else { Ok(()) }
    }

    /// Whether a password of this client is looked at.
    ///
    /// # Errors
    /// The `421` for one that has guessed too often.
    pub(crate) fn check_logon(&self, peer: IpAddr, now: Timestamp) -> Result<(), Reply> {
        let Some((narrow, _)) = networks(peer) else { return Ok(()) };
        let spent = self.logons.count(&narrow, now) >= LOGONS_MAX;
        if spent { Err(away("Too many logon failures from your network; try again later")) } else { Ok(()) }
    }

    /// A logon failed; gives how many of late, by account and by network, and how long its reply waits.
    pub(crate) fn logon_failed(&mut self, peer: IpAddr, account: &str, now: Timestamp) -> FailedLogon {
        let of_account = self.accounts.add(account_key(account), now);
        let of_network = networks(peer).map_or(0, |(narrow, _)| self.logons.add(narrow, now));
        // One wrong password of somebody else is no reason to let a whole network wait.
        let worse = of_account.max(of_network / 2).max(1);
        let delay = LOGON_DELAY.saturating_mul(2_u32.saturating_pow(worse - 1)).min(LOGON_DELAY_MAX);
        FailedLogon { of_account, of_network, delay }
    }

    /// A logon was good: what was mistyped before is forgiven.
    pub(crate) fn logon_succeeded(&mut self, account: &str) {
        self.accounts.forget(&account_key(account));
    }
}

/// What is known after a failed logon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FailedLogon {
    pub(crate) of_account: u32,
    pub(crate) of_network: u32,
    pub(crate) delay: Duration,
}

fn account_key(account: &str) -> Box<str> {
    account.to_lowercase().into()
}

/// The networks around a client; none around this machine.
fn networks(peer: IpAddr) -> Option<(IpAddr, Option<IpAddr>)> {
    let peer = peer.to_canonical();
    if peer.is_loopback() {
        return None;
    }
    Some((network(peer, 24, V6_SUBNET_BITS), peer.is_ipv6().then(|| network(peer, 24, 56))))
}

fn away(text: &str) -> Reply {
    Reply::new(421, EnhancedStatus::new(4, 7, 0), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1000)
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_that_guesses_is_sent_away_and_comes_back() {
        let mut suspicion = Suspicion::default();
        for last in 0..=200_u8 {
            assert!(suspicion.check(peer("192.0.2.9"), at(0)).is_ok());
            suspicion.refused([192, 0, 2, last].into(), at(0));
        }
        assert_eq!(suspicion.check(peer("192.0.2.250"), at(0)).unwrap_err().code, 421);
        assert!(suspicion.check(peer("192.0.3.1"), at(0)).is_ok(), "neighbours are not to blame");
        assert!(suspicion.check(peer("192.0.2.250"), at(6)).is_ok());
        for _ in 0..1000 {
            suspicion.refused(peer("127.0.0.1"), at(0));
        }
        assert!(suspicion.check(peer("127.0.0.1"), at(0)).is_ok(), "the machine itself");
    }

    #[test]
    fn whoever_has_many_networks_has_one_budget() {
        let mut suspicion = Suspicion::default();
        for subnet in 0..=800_u16 {
            let address = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, subnet % 256, subnet, 0, 0, 1);
            suspicion.refused(address.into(), at(0));
        }
        assert!(suspicion.check(peer("2001:db8:0:ff::7"), at(0)).is_err());
        assert!(suspicion.check(peer("2001:db8:0:100::7"), at(0)).is_ok());
    }

    #[test]
    fn logons_are_delayed_more_each_time_and_forgiven() {
        let mut suspicion = Suspicion::default();
        let delays: Vec<u64> = (0..8)
            .map(|host| suspicion.logon_failed([198, 51, host, 1].into(), "Ann", at(0)).delay.as_secs())
            .collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60], "by account, wherever from");
        suspicion.logon_succeeded("ann");
        assert_eq!(suspicion.logon_failed(peer("198.51.100.1"), "ANN", at(0)).of_account, 1);
        // Names that are tried one after the other from one place.
        for name in 0..30 {
            suspicion.logon_failed(peer("192.0.2.1"), &format!("user{name}"), at(0));
        }
        assert_eq!(suspicion.check_logon(peer("192.0.2.2"), at(0)).unwrap_err().code, 421);
        assert!(suspicion.check_logon(peer("192.0.3.2"), at(0)).is_ok());
        assert!(suspicion.check_logon(peer("192.0.2.2"), at(11 * 60)).is_ok());
    }
}
