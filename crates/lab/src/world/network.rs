//! A loopback network of one's own: labs on one machine must not meet on an address.
//!
//! Whoever listens on [`NETWORK_RESERVATION_PORT`] of the network's first address has it. The kernel gives it back when
//! the process ends, however it ends.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::internet::NETWORK_DEFAULT;

/// Port that stands for the whole network; nobody connects to it.
pub const NETWORK_RESERVATION_PORT: u16 = 4177;
/// Last second octet tried.
const LAST: u8 = 250;

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Another lab has it.
    #[error("another lab uses the network {0}: stop it, or give this one another lab.network")]
    Taken(Ipv4Addr),
    /// Other labs have all of them.
    #[error("other labs use all networks from {NETWORK_DEFAULT} on")]
    NoneFree,
    /// No loopback at all.
    #[error("cannot use the network {network}: {cause}")]
    Unusable {
        /// Which.
        network: Ipv4Addr,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// A network, reserved as long as this lives.
#[derive(Debug)]
pub(super) struct Network {
    address: Ipv4Addr,
    _reservation: TcpListener,
}

impl Network {
    /// `wanted`, or else the first that is free.
    pub(super) fn reserve(wanted: Option<Ipv4Addr>) -> Result<Self, NetworkError> {
        if let Some(network) = wanted {
            return Self::try_reserve(network)?.ok_or(NetworkError::Taken(network));
        }
        let [first, second, ..] = NETWORK_DEFAULT.octets();
        for octet in second..=LAST {
            if let Some(network) = Self::try_reserve(Ipv4Addr::new(first, octet, 0, 0))? {
                return Ok(network);
            }
        }
        Err(NetworkError::NoneFree)
    }

    fn try_reserve(network: Ipv4Addr) -> Result<Option<Self>, NetworkError> {
        let [first, second, ..] = network.octets();
        let address = Ipv4Addr::new(first, second, 0, 1);
        match TcpListener::bind(SocketAddr::from((address, NETWORK_RESERVATION_PORT))) {
            Ok(reservation) => Ok(Some(Self { address, _reservation: reservation })),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
            Err(cause) => Err(NetworkError::Unusable { network, cause }),
        }
    }

    /// Its first address, where the lab itself listens.
    pub(super) fn address(&self) -> Ipv4Addr {
        self.address
    }
}
