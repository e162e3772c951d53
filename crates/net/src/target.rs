//! Which addresses mail routed by DNS never goes to (peers of the public Internet must not steer us into our own machine).
//!
//! Anyone can publish an MX record that points at loopback, at a link-local address or at a cloud's metadata service.
//! Smart hosts are the administrator's choice and are not checked. Private networks are fine: internal DNS uses them.
//! Source: RFC 6890 special-purpose registries, RFC 5321 §5.1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What DNS-routed mail may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TargetPolicy {
    /// Special-purpose addresses are refused.
    #[default]
    RefuseSpecial,
    /// Every address is allowed: the lab, whose Internet lives on loopback.
    AllowAll,
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
    /// `240.0.0.0/4`.
    #[error("a reserved address")]
    Reserved,
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

/// Why DNS-routed mail may not go to `address`, if it may not.
#[must_use]
pub fn forbidden_target(address: IpAddr, policy: TargetPolicy) -> Option<ForbiddenTarget> {
    if policy == TargetPolicy::AllowAll {
        return None;
    }
    let address = unwrapped(address);
    if METADATA_SERVICES.contains(&address) {
        return Some(ForbiddenTarget::Metadata);
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
        [240..=255, ..] => Some(ForbiddenTarget::Reserved),
        _ => None,
    }
}

fn forbidden_v6(address: Ipv6Addr) -> Option<ForbiddenTarget> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(ForbiddenTarget::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(ForbiddenTarget::Loopback),
        [first, ..] if first & 0xffc0 == 0xfe80 => Some(ForbiddenTarget::LinkLocal),
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
            ("192.0.2.1", None),
            ("10.0.0.1", None),
            ("fd00::1", None),
            ("2001:db8::1", None),
        ] {
            let address = text.parse().unwrap();
            assert_eq!(forbidden_target(address, TargetPolicy::RefuseSpecial), expected, "{text}");
            assert_eq!(forbidden_target(address, TargetPolicy::AllowAll), None, "{text}");
        }
    }
}
