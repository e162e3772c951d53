//! Who looks as if he was guessing: recipients that are refused and logons that fail, over all connections of the service.
//! Pure: the time is an argument.
//!
//! A session has a budget of its own (`smtp-session`); this is for those who come again and again. Counted are networks, not
//! addresses: IPv4 /24, IPv6 /64, and /56 with a larger budget. The machine itself is not counted.
//!
//! Failed logons of other services count like those of here ([`crate::telling`] brings them), by the same accounts and networks.
//! What others told is not told again.

use std::net::IpAddr;
use std::time::Duration;

use envelope::{EnhancedStatus, Reply, Timestamp};
use net::source::{V6_SUBNET_BITS, network};
use rpc::{AccountDigest, FailedLogons, ToldTooOften};

use crate::news::News;
use crate::tally::{Bounds, Count, Tally, Teller};

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

/// Failed logons of an account or a network that are remembered. So many are forgotten within an hour: whatever happened
/// before, and whatever others tell, nobody waits for longer.
const LOGONS_KEPT_MAX: u32 = 60;
/// Refused recipients that are remembered: an hour and a half.
const REFUSALS_KEPT_MAX: u32 = 900;
/// Whoever tells has told so often at once: ten times what he has reason to.
const TELLINGS_MAX: u32 = 10;
/// And may again, each after the one before it. Half of [`crate::telling::INTERVAL`]: clocks differ.
const TELLING_INTERVAL: Duration = Duration::from_millis(500);

/// What is known of clients.
#[derive(Debug)]
pub(crate) struct Suspicion {
    refusals: Tally<IpAddr>,
    refusals_wide: Tally<IpAddr>,
    logons: Tally<IpAddr>,
    accounts: Tally<AccountDigest>,
    tellings: Tally<Teller>,
    news: News,
}

impl Default for Suspicion {
    fn default() -> Self {
        Self {
            refusals: Tally::new(Bounds::draining_each(REFUSAL_INTERVAL, REFUSALS_KEPT_MAX)),
            refusals_wide: Tally::new(Bounds::draining_each(REFUSAL_INTERVAL, REFUSALS_KEPT_MAX)),
            logons: Tally::new(Bounds::draining_each(LOGON_INTERVAL, LOGONS_KEPT_MAX)),
            accounts: Tally::new(Bounds::draining_each(LOGON_INTERVAL, LOGONS_KEPT_MAX)),
            tellings: Tally::new(Bounds::draining_each(TELLING_INTERVAL, 2 * TELLINGS_MAX)),
            news: News::default(),
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
        let spent = self.refusals.count(&narrow, now).all > REFUSALS_MAX
            || wide.is_some_and(|wide| self.refusals_wide.count(&wide, now).all > REFUSALS_WIDE_MAX);
        if spent { Err(away("Too many refused recipients from your network; try again later")) } else { Ok(()) }
    }

    /// Whether a password of this client is looked at.
    ///
    /// # Errors
    /// The `421` for one that has guessed too often.
    pub(crate) fn check_logon(&self, peer: IpAddr, now: Timestamp) -> Result<(), Reply> {
        let Some((narrow, _)) = networks(peer) else { return Ok(()) };
        let spent = self.logons.count(&narrow, now).all >= LOGONS_MAX;
        if spent { Err(away("Too many logon failures from your network; try again later")) } else { Ok(()) }
    }

    /// A logon failed here; gives how many of late, by account and by network, and how long its reply waits. The others are to
    /// be told.
    pub(crate) fn logon_failed(&mut self, peer: IpAddr, account: AccountDigest, now: Timestamp) -> FailedLogon {
        let network = networks(peer).map(|(narrow, _)| narrow);
        self.news.note(account, network);
        let of_account = self.accounts.add(account, now);
        let of_network = network.map_or_else(Count::default, |network| self.logons.add(network, now));
        // One wrong password of somebody else is no reason to let a whole network wait.
        let worse = of_account.all.max(of_network.all / 2).max(1);
        let delay = LOGON_DELAY.saturating_mul(2_u32.saturating_pow(worse - 1)).min(LOGON_DELAY_MAX);
        FailedLogon { of_account, of_network, delay }
    }

    /// A logon was good: what was mistyped before is forgiven. Here alone: nobody waits for the others' forgiveness, because a
    /// good password is never delayed, and nobody can have them forget.
    pub(crate) fn logon_succeeded(&mut self, account: &AccountDigest) {
        self.accounts.forget(account);
    }

    /// What failed here since this was asked last.
    pub(crate) fn take_news(&mut self) -> Option<FailedLogons> {
        self.news.take()
    }

    /// Logons failed elsewhere; gives how many of them count here.
    ///
    /// # Errors
    /// [`ToldTooOften`]: none.
    pub(crate) fn told(&mut self, by: &Teller, news: FailedLogons, now: Timestamp) -> Result<u64, ToldTooOften> {
        if self.tellings.count(by, now).all >= TELLINGS_MAX {
            return Err(ToldTooOften);
        }
        self.tellings.add(Teller::clone(by), now);
        let FailedLogons { accounts, networks: told } = news;
        // As it is counted here, whatever the other one takes for a network.
        let known = |(peer, failures)| networks(peer).map(|(narrow, _)| (narrow, failures));
        let told: Vec<(IpAddr, u32)> = told.into_iter().filter_map(known).collect();
        self.logons.add_told(by, told.into_iter(), now);
        Ok(self.accounts.add_told(by, accounts.into_iter(), now))
    }
}

/// What is known after a failed logon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FailedLogon {
    pub(crate) of_account: Count,
    pub(crate) of_network: Count,
    pub(crate) delay: Duration,
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
mod tests;
