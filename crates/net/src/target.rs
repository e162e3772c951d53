//! Which addresses mail routed by DNS never goes to (peers of the public Internet must not steer us into our own machine).
//!
//! Anyone can publish an MX record that points at loopback, at a cloud's metadata service, or at a host of a private network
//! that only we reach. Smart hosts are the administrator's choice and are not checked; where mail goes to inner hosts by DNS,
//! the organization lists their networks (`privateTargetRanges`). Addresses of documentation lead nowhere and are let be.
//! Source: RFC 6890 special-purpose registries, RFC 1918, RFC 6598, RFC 4193, RFC 5321 §5.1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// What DNS-routed mail may reach beside the public Internet: nothing, unless it says so.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TargetPolicy {
    allowed: Arc<[RangeInclusive<IpAddr>]>,
    own: Arc<[RangeInclusive<IpAddr>]>,
}

impl TargetPolicy {
    /// Private and special addresses in `allowed` are targets; those in `own`, the organization's networks, are not, whatever
    /// they are, unless `allowed` has them.
    pub fn new(
        allowed: impl IntoIterator<Item = RangeInclusive<IpAddr>>,
        own: impl IntoIterator<Item = RangeInclusive<IpAddr>>,
    ) -> Self {
        Self { allowed: allowed.into_iter().collect(), own: own.into_iter().collect() }
    }
}

/// Why an address is no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenTarget {
    /// `127.0.0.0/8`, `::1`.
    #[error("a loopback address")]
    Loopback,
    /// `0.0.0.0/8`, `::`.
    #[error("an unspecified address")]
    Unspecified,
    /// `169.254.0.0/16`, `fe80::/10`.
    #[error("a link-local address")]
    LinkLocal,
    /// `224.0.0.0/4`, `ff00::/8`, `255.255.255.255`.
    #[error("a multicast or broadcast address")]
    Multicast,
    /// `240.0.0.0/4`, `192.0.0.0/24`, `198.18.0.0/15`, `fec0::/10`.
    #[error("a reserved address")]
    Reserved,
    /// `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`, `fc00::/7`.
    #[error("a private network that is not listed in privateTargetRanges of transportConfig")]
    Private,
    /// `100.64.0.0/10`.
    #[error("the shared network of a provider that is not listed in privateTargetRanges of transportConfig")]
    Shared,
    /// One of the organization's sites.
    #[error("a network of this organization that is not listed in privateTargetRanges of transportConfig")]
    Own,
    /// Where clouds hand out credentials to whoever asks.
    #[error("the metadata service of a cloud")]
    Metadata,
}

/// Addresses of cloud metadata services: AWS, Azure, Google and others share the first; AWS over IPv6; Alibaba.
const METADATA_SERVICES: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
];

/// Why DNS-routed mail may not go to `address`, if it may not. No list makes a metadata service a target.
#[must_use]
pub fn forbidden_target(address: IpAddr, policy: &TargetPolicy) -> Option<ForbiddenTarget> {
    let address = unwrapped(address);
    if METADATA_SERVICES.contains(&address) {
        return Some(ForbiddenTarget::Metadata);
    }
    let is_in = |ranges: &[RangeInclusive<IpAddr>]| ranges.iter().any(|range| range.contains(&address));
    if is_in(&policy.allowed) {
        return None;
    }
    if is_in(&policy.own) {
        return Some(ForbiddenTarget::Own);
    }
    match address {
        IpAddr::V4(v4) => forbidden_v4(v4),
        IpAddr::V6(v6) => forbidden_v6(v6),
    }
}

fn forbidden_v4(address: Ipv4Addr) -> Option<ForbiddenTarget> {
    match address.octets() {
        [0, ..] => Some(ForbiddenTarget::Unspecified),
        [127, ..] => Some(ForbiddenTarget::Loopback),
        [169, 254, ..] => Some(ForbiddenTarget::LinkLocal),
        [224..=239, ..] | [255, 255, 255, 255] => Some(ForbiddenTarget::Multicast),
        [240..=255, ..] | [192, 0, 0, _] | [198, 18..=19, ..] => Some(ForbiddenTarget::Reserved),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some(ForbiddenTarget::Private),
        [100, 64..=127, ..] => Some(ForbiddenTarget::Shared),
        _ => None,
    }
}

fn forbidden_v6(address: Ipv6Addr) -> Option<ForbiddenTarget> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(ForbiddenTarget::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(ForbiddenTarget::Loopback),
        [first, ..] if first & 0xffc0 == 0xfe80 => Some(ForbiddenTarget::LinkLocal),
        [first, ..] if first & 0xffc0 == 0xfec0 => Some(ForbiddenTarget::Reserved),
        [first, ..] if first & 0xfe00 == 0xfc00 => Some(ForbiddenTarget::Private),
        [first, ..] if first & 0xff00 == 0xff00 => Some(ForbiddenTarget::Multicast),
        _ => None,
    }
}

/// The IPv4 address inside an IPv6 one (mapped, compatible, NAT64, 6to4): the other side of a gateway is a target too.
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        [0x2002, high, low, ..] => inner(high, low),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_refused_and_ordinary_ones_are_not() {
        use ForbiddenTarget as F;
        for (text, expected) in [
            ("127.0.0.1", Some(F::Loopback)),
            ("127.255.0.9", Some(F::Loopback)),
            ("::1", Some(F::Loopback)),
            ("::ffff:127.0.0.1", Some(F::Loopback)),
            ("::127.0.0.1", Some(F::Loopback)),
            ("64:ff9b::7f00:1", Some(F::Loopback)),
            ("2002:7f00:1::1", Some(F::Loopback)),
            ("0.0.0.0", Some(F::Unspecified)),
            ("0.1.2.3", Some(F::Unspecified)),
            ("::", Some(F::Unspecified)),
            ("169.254.1.1", Some(F::LinkLocal)),
            ("fe80::1", Some(F::LinkLocal)),
            ("febf::1", Some(F::LinkLocal)),
            ("169.254.169.254", Some(F::Metadata)),
            ("::ffff:169.254.169.254", Some(F::Metadata)),
            ("fd00:ec2::254", Some(F::Metadata)),
            ("224.0.0.1", Some(F::Multicast)),
            ("ff02::1", Some(F::Multicast)),
            ("255.255.255.255", Some(F::Multicast)),
            ("240.0.0.1", Some(F::Reserved)),
            ("10.0.0.1", Some(F::Private)),
            ("172.15.255.255", None),
            ("172.16.0.1", Some(F::Private)),
            ("172.31.255.255", Some(F::Private)),
            ("172.32.0.0", None),
            ("192.168.7.7", Some(F::Private)),
            ("::ffff:192.168.7.7", Some(F::Private)),
            ("2002:c0a8:101::1", Some(F::Private)),
            ("fd00::1", Some(F::Private)),
            ("fc12::1", Some(F::Private)),
            ("fec0::1", Some(F::Reserved)),
            ("100.64.0.1", Some(F::Shared)),
            ("100.127.255.255", Some(F::Shared)),
            ("100.128.0.1", None),
            ("100.100.100.200", Some(F::Metadata)),
            ("198.18.0.1", Some(F::Reserved)),
            ("192.0.0.8", Some(F::Reserved)),
            ("192.0.2.1", None),
            ("2001:db8::1", None),
            ("9.255.255.255", None),
        ] {
            let address = text.parse().unwrap();
            assert_eq!(forbidden_target(address, &TargetPolicy::default()), expected, "{text}");
        }
    }

    #[test]
    fn what_the_organization_lists_is_a_target_and_its_own_networks_are_none() {
        use ForbiddenTarget as F;
        let range = |first: &str, last: &str| first.parse::<IpAddr>().unwrap()..=last.parse().unwrap();
        let listed =
            [range("10.1.0.0", "10.1.255.255"), range("::", "ffff::"), range("169.254.0.0", "169.254.255.255")];
        let policy =
            TargetPolicy::new(listed, [range("10.0.0.0", "10.255.255.255"), range("203.0.113.0", "203.0.113.9")]);
        for (text, expected) in [
            ("10.1.2.3", None),
            ("::ffff:10.1.2.3", None),
            ("10.2.0.0", Some(F::Own)),
            ("203.0.113.5", Some(F::Own)),
            ("203.0.113.10", None),
            ("192.168.0.1", Some(F::Private)),
            ("fd00::1", None),
            ("::1", None),
            ("127.0.0.1", Some(F::Loopback)),
            ("::ffff:127.0.0.1", Some(F::Loopback)),
            // Listed or not.
            ("169.254.169.254", Some(F::Metadata)),
            ("64:ff9b::a9fe:a9fe", Some(F::Metadata)),
            ("fd00:ec2::254", Some(F::Metadata)),
        ] {
            assert_eq!(forbidden_target(text.parse().unwrap(), &policy), expected, "{text}");
        }
    }
}
