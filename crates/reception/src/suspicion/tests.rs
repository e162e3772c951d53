//! Who is delayed and who is sent away: by what happens here, and by what others tell.

use super::*;
use crate::authentication::account_digest;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + seconds * 1000)
}

fn peer(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn teller(name: &str) -> Teller {
    name.into()
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
    let mut fail = |peer, account, now| suspicion.logon_failed(peer, account_digest(account), now);
    let delays: Vec<u64> = (0..8).map(|host| fail([198, 51, host, 1].into(), "Ann", at(0)).delay.as_secs()).collect();
    assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60], "by account, wherever from");
    suspicion.logon_succeeded(&account_digest("ann"));
    assert_eq!(suspicion.logon_failed(peer("198.51.100.1"), account_digest("ANN"), at(0)).of_account.all, 1);
    // Names that are tried one after the other from one place.
    for name in 0..30 {
        suspicion.logon_failed(peer("192.0.2.1"), account_digest(&format!("user{name}")), at(0));
    }
    assert_eq!(suspicion.check_logon(peer("192.0.2.2"), at(0)).unwrap_err().code, 421);
    assert!(suspicion.check_logon(peer("192.0.3.2"), at(0)).is_ok());
    assert!(suspicion.check_logon(peer("192.0.2.2"), at(11 * 60)).is_ok());
}

#[test]
fn whatever_happened_nobody_waits_for_longer_than_an_hour() {
    let mut suspicion = Suspicion::default();
    for _ in 0..100_000 {
        suspicion.logon_failed(peer("192.0.2.1"), account_digest("ann"), at(0));
    }
    assert!(suspicion.check_logon(peer("192.0.2.1"), at(39 * 60)).is_err());
    assert!(suspicion.check_logon(peer("192.0.2.1"), at(41 * 60)).is_ok());
    assert_eq!(suspicion.logon_failed(peer("198.51.100.1"), account_digest("ann"), at(60 * 60)).of_account.all, 1);
}

/// Several services; what one counts it tells all others.
struct Organization(Vec<Suspicion>);

impl Organization {
    fn new(services: usize) -> Self {
        Self((0..services).map(|_| Suspicion::default()).collect())
    }

    fn fail(&mut self, at_service: usize, from: IpAddr, account: &str, now: Timestamp) -> FailedLogon {
        let failed = self.0[at_service].logon_failed(from, account_digest(account), now);
        let news = self.0[at_service].take_news().unwrap();
        for (other, suspicion) in self.0.iter_mut().enumerate().filter(|(other, _)| *other != at_service) {
            let counted = suspicion.told(&teller(&at_service.to_string()), news.clone(), now);
            assert_eq!(counted, Ok(1), "{other}");
            assert_eq!(suspicion.take_news(), None, "news of others is no news");
        }
        failed
    }
}

#[test]
fn guesses_spread_over_servers_are_delayed_and_refused_like_guesses_at_one() {
    for services in [1, 2, 6] {
        let mut all = Organization::new(services);
        // One account, from everywhere.
        for (guess, expected) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
            let failed = all.fail(guess % services, [198, 51, u8::try_from(guess).unwrap(), 1].into(), "ann", at(0));
            assert_eq!(failed.delay.as_secs(), expected, "guess {guess} at one of {services}");
            let elsewhere = guess - guess / services;
            assert_eq!(
                failed.of_account,
                Count { all: u32::try_from(guess + 1).unwrap(), told: u32::try_from(elsewhere).unwrap() }
            );
        }
        // Many accounts, from one network.
        for guess in 0..20_usize {
            let now = at(2 + guess as u64);
            assert!(all.0.iter().all(|one| one.check_logon(peer("192.0.2.1"), now).is_ok()), "guess {guess}");
            all.fail(guess % services, peer("192.0.2.1"), &format!("user{guess}"), now);
        }
        for one in &all.0 {
            assert_eq!(one.check_logon(peer("192.0.2.200"), at(22)).unwrap_err().code, 421);
            assert!(one.check_logon(peer("192.0.3.1"), at(22)).is_ok());
            assert!(one.check_logon(peer("192.0.2.200"), at(2 + 60)).is_ok(), "as at one, after a minute");
        }
    }
}

#[test]
fn who_logs_on_is_forgiven_where_he_did() {
    let mut all = Organization::new(2);
    for _ in 0..3 {
        all.fail(0, peer("198.51.100.1"), "ann", at(0));
    }
    all.0[1].logon_succeeded(&account_digest("ann"));
    assert_eq!(all.fail(1, peer("198.51.101.1"), "ann", at(0)).of_account.all, 1);
    assert_eq!(all.fail(0, peer("198.51.102.1"), "ann", at(0)).of_account.all, 5);
}

#[test]
fn what_others_take_for_a_network_is_counted_as_one_of_ours() {
    let mut suspicion = Suspicion::default();
    let networks = ["192.0.2.77", "::ffff:192.0.2.78", "127.0.0.1", "::1", "2001:db8::7"];
    let news = FailedLogons { accounts: vec![], networks: networks.map(|text| (peer(text), 10)).into() };
    assert_eq!(suspicion.told(&teller("OSLO1"), news, at(0)), Ok(0));
    assert!(suspicion.check_logon(peer("192.0.2.1"), at(0)).is_err(), "twice ten");
    assert!(suspicion.check_logon(peer("127.0.0.1"), at(0)).is_ok(), "this machine is not counted, whoever tells");
    assert!(suspicion.check_logon(peer("2001:db8::1"), at(0)).is_ok());
    assert_eq!(suspicion.logon_failed(peer("2001:db8::2"), [0; 16], at(0)).of_network, Count { all: 11, told: 10 });
}

#[test]
fn whoever_tells_again_and_again_is_not_heard() {
    let mut suspicion = Suspicion::default();
    let mut tell = |who: &str, account: u8, now| {
        let news = FailedLogons { accounts: vec![([account; 16], 1000)], networks: vec![] };
        suspicion.told(&teller(who), news, now)
    };
    for turn in 0..100 {
        let heard = tell("OSLO1", turn, at(0)).is_ok();
        assert_eq!(heard, turn < 10, "{turn}");
    }
    assert!(tell("BERLIN1", 100, at(0)).is_ok(), "others are");
    assert!((1..100).all(|second| tell("OSLO1", 101, at(second)).is_ok()), "once a second always");
}
