//! Whom to call, in which order (RFC 5321 §5.1, SC-39, SC-42, SC-45). Hosts are named here; their addresses are looked
//! up one host at a time, when its turn comes.

use envelope::Domain;
use net::{DnsError, Host, MailExchanger, MxAnswer, Resolver};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use crate::failure::Failure;
use crate::plan::Ourselves;

/// One host to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host to connect to.
    pub host: Host,
    /// As the connector names it: what a certificate must show where it must be for exactly the smart host (TA-21).
    pub configured: Host,
    /// Of its MX record; lower is better.
    pub preference: Option<u16>,
}

/// The mail exchangers of `domain`, best first, equal ones in an order drawn from `turn`; without MX the domain itself.
///
/// # Errors
/// Permanent for a null MX (RFC 7505) and a domain that does not exist, transient while DNS does not answer.
pub async fn exchangers(domain: &Domain, resolver: &Resolver, turn: u64) -> Result<Vec<Target>, Box<Failure>> {
    match resolver.mx(domain).await {
        Ok(MxAnswer::NullMx) => Err(Box::new(Failure::null_mx(domain))),
        Ok(MxAnswer::NoMx) => Ok(vec![same(Host::Name(domain.clone()))]),
        Ok(MxAnswer::Exchangers(found)) => {
            let target = |found: MailExchanger| {
                let host = Host::Name(found.host);
                Target { configured: host.clone(), host, preference: Some(found.preference) }
            };
            Ok(in_order(found, turn).map(target).collect())
        }
        Err(error) => Err(Box::new(Failure::no_such_domain(domain, &error))),
    }
}

/// RFC 5321 §5.1: who finds itself among the exchangers uses only those that are better than itself. Without it two servers
/// would hand the message to and fro.
///
/// # Errors
/// Permanent when nobody is left (ER-10).
pub(crate) fn without_ourselves(
    targets: Vec<Target>,
    ourselves: &Ourselves,
    domain: &Domain,
) -> Result<Vec<Target>, Box<Failure>> {
    let is_ours = |target: &&Target| matches!(&target.host, Host::Name(name) if ourselves.names.contains(name));
    let Some(first) = targets.iter().filter(is_ours).min_by_key(|target| target.preference) else { return Ok(targets) };
    let limit = first.preference;
    let left: Vec<Target> = targets.into_iter().filter(|target| target.preference < limit).collect();
    if left.is_empty() { Err(Box::new(Failure::mx_loopback(domain, None))) } else { Ok(left) }
}

/// The smart hosts, beginning with the one whose turn it is (SC-45).
#[must_use]
pub fn rotated(hosts: &[Host], turn: u64) -> Vec<Host> {
    let mut hosts = hosts.to_vec();
    if let Some(start) = turn.checked_rem(hosts.len() as u64) {
        hosts.rotate_left(usize::try_from(start).expect("less than the number of hosts"));
    }
    hosts
}

/// What one smart host stands for: its mail exchangers if it has any, else itself (SC-42).
///
/// # Errors
/// Transient, whatever DNS says: a smart host is configured, so its absence is a mistake to be mended, not a bounce.
pub async fn smart_host(host: &Host, resolver: &Resolver, turn: u64) -> Result<Vec<Target>, Box<Failure>> {
    let Host::Name(name) = host else { return Ok(vec![same(host.clone())]) };
    match resolver.mx(name).await {
        Ok(MxAnswer::Exchangers(found)) => {
            let target = |found: MailExchanger| Target {
                host: Host::Name(found.host),
                configured: host.clone(),
                preference: Some(found.preference),
            };
            Ok(in_order(found, turn).map(target).collect())
        }
        Ok(MxAnswer::NullMx | MxAnswer::NoMx) => Ok(vec![same(host.clone())]),
        Err(error) => Err(transient(name, &error)),
    }
}

/// A DNS failure that must not bounce anything.
pub(crate) fn transient(name: &Domain, error: &DnsError) -> Box<Failure> {
    let mut failure = Failure::no_such_domain(name, error);
    failure.severity = envelope::Severity::Transient;
    failure.status = failure.status.with_severity(failure.severity);
    Box::new(failure)
}

fn same(host: Host) -> Target {
    Target { configured: host.clone(), host, preference: None }
}

/// RFC 5321 §5.1: by preference, and shuffled among equals to spread the load.
fn in_order(mut found: Vec<MailExchanger>, turn: u64) -> impl Iterator<Item = MailExchanger> {
    found.shuffle(&mut SmallRng::seed_from_u64(turn));
    found.sort_by_key(|exchanger| exchanger.preference);
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smart_hosts_take_turns() {
        let hosts: Vec<Host> = ["a.test", "[192.0.2.1]", "c.test"].map(|host| host.parse().unwrap()).into();
        let printed = |turn| rotated(&hosts, turn).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(printed(0), ["a.test", "[192.0.2.1]", "c.test"]); // SC-45
        assert_eq!(printed(4), ["[192.0.2.1]", "c.test", "a.test"]);
        assert!(rotated(&[], 7).is_empty());
    }

    #[test]
    fn preference_comes_first_and_equals_are_shuffled_by_turn() {
        let found: Vec<MailExchanger> = [(20, "z.test"), (10, "a.test"), (10, "b.test"), (10, "c.test")]
            .map(|(preference, host)| MailExchanger { preference, host: Domain::parse(host).unwrap() })
            .into();
        let order = |turn| in_order(found.clone(), turn).map(|found| found.host.to_string()).collect::<Vec<_>>();
        assert!((0..50).all(|turn| order(turn)[3] == "z.test"));
        let firsts: std::collections::BTreeSet<String> = (0..50).map(|turn| order(turn)[0].clone()).collect();
        assert_eq!(firsts.len(), 3, "each of the equals comes first now and then");
        assert_eq!(order(7), order(7));
    }
}
