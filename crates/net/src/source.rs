//! Where a client comes from, as limits count it: whoever has one IPv6 address has a network of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bits of an IPv6 address that one customer is given at least (RFC 6177): connections are counted by them.
pub const V6_SUBNET_BITS: u32 = 64;

/// The network of `address` with so many bits, as its first address; an IPv4 address mapped into IPv6 counts as IPv4.
#[must_use]
pub fn network(address: IpAddr, v4_bits: u32, v6_bits: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - v4_bits.min(32)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - v6_bits.min(128)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

/// One source of connections and messages: an IPv4 address, or the IPv6 network around an address.
#[must_use]
pub fn source(address: IpAddr) -> IpAddr {
    network(address, 32, V6_SUBNET_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_begin_with_their_first_address() {
        let of = |text: &str, v4, v6| network(text.parse().unwrap(), v4, v6).to_string();
        assert_eq!(of("192.0.2.77", 24, 64), "192.0.2.0");
        assert_eq!(of("::ffff:192.0.2.77", 32, 64), "192.0.2.77");
        assert_eq!(of("2001:db8:1:2:3:4:5:6", 24, 64), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2ff:3:4:5:6", 24, 56), "2001:db8:1:200::");
        assert_eq!((of("192.0.2.77", 0, 0), of("::1", 0, 0)), ("0.0.0.0".to_owned(), "::".to_owned()));
    }
}
