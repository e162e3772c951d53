//! Listening sockets and an accept that outlives bad moments (no descriptors left, a peer gone before it was accepted).
//!
//! Does not limit connections: who accepts holds a permit first, and that is the receive connector's business.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::stream::Stream;

/// Connections that the kernel completes before they are accepted (the system caps it at `net.core.somaxconn`).
pub const LISTEN_BACKLOG: i32 = 1024;
/// Pause after the process or the machine has run out of descriptors or memory: long enough not to spin, short enough
/// that nobody notices.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
}

/// Listens on `address`; port 0 takes a free one. `SO_REUSEADDR`, so that a restart need not wait. An IPv6 socket takes
/// IPv6 only: receive connectors bind `0.0.0.0:25` and `[::]:25` side by side.
///
/// # Errors
/// As the system says (address in use, no permission for a port below 1024).
pub fn listen(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Listener::of(TcpListener::from_std(socket.into())?)
}

/// The address by which this machine reaches the world, found without sending anything. Loopback where there is no route.
#[must_use]
pub fn outward_address() -> IpAddr {
    // An address of documentation (RFC 5737): a datagram socket that is connected asks the routing table, no more.
    let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect(("192.0.2.1", 9))?;
        socket.local_addr()
    });
    probe.map_or(Ipv4Addr::LOCALHOST.into(), |address| address.ip())
}

/// What a failed accept means.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// This connection is gone, the next may come.
    Connection,
    /// Out of descriptors or memory: wait for others to end.
    Exhausted,
    /// The listening socket itself is of no use any more.
    Listener,
}

impl Listener {
    pub(crate) fn of(socket: TcpListener) -> io::Result<Self> {
        let local = socket.local_addr()?;
        Ok(Self { socket, local })
    }

    /// Where it listens.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The next connection. Waits through lost connections and shortages, which it logs. Cancel-safe.
    ///
    /// # Errors
    /// Only when the listening socket itself is broken; calling again is of no use.
    pub async fn accept(&self) -> io::Result<Stream> {
        loop {
            let error = match self.socket.accept().await {
                Ok((socket, _)) => match Stream::plain(socket) {
                    Ok(stream) => return Ok(stream),
                    // The peer hung up between the kernel's accept and ours.
                    Err(_) => continue,
                },
                Err(error) => error,
            };
            if !accept_again(&error).await {
                return Err(error);
            }
        }
    }
}

/// Whether accepting goes on after this error, which is waited for and logged where the machine is short of something.
pub(crate) async fn accept_again(error: &io::Error) -> bool {
    match failure(error) {
        Failure::Connection => true,
        Failure::Exhausted => {
            tracing::warn!(%error, "cannot accept connections for the moment");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            true
        }
        Failure::Listener => false,
    }
}

fn failure(error: &io::Error) -> Failure {
    let Some(code) = error.raw_os_error() else { return Failure::Connection };
    match Errno::from_raw(code) {
        Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM => Failure::Exhausted,
        Errno::EBADF | Errno::EINVAL | Errno::ENOTSOCK | Errno::EOPNOTSUPP => Failure::Listener,
        // accept(2): Linux hands out pending network errors of the new socket here; they mean "again".
        _ => Failure::Connection,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use socket2::SockRef;

    use super::*;

    #[test]
    fn a_failed_accept_is_the_connections_the_machines_or_the_listeners() {
        for (code, expected) in [
            (Errno::EMFILE, Failure::Exhausted),
            (Errno::ENFILE, Failure::Exhausted),
            (Errno::ENOMEM, Failure::Exhausted),
            (Errno::ECONNABORTED, Failure::Connection),
            (Errno::EPROTO, Failure::Connection),
            (Errno::EHOSTUNREACH, Failure::Connection),
            (Errno::EPERM, Failure::Connection), // a firewall rule
            (Errno::EBADF, Failure::Listener),
            (Errno::EINVAL, Failure::Listener),
        ] {
            assert_eq!(failure(&io::Error::from(code)), expected, "{code}");
        }
    }

    #[tokio::test]
    async fn an_ipv6_listener_leaves_the_port_free_for_ipv4() {
        let listener = listen((Ipv6Addr::LOCALHOST, 0).into()).unwrap();
        assert!(SockRef::from(&listener.socket).only_v6().unwrap());
    }
}
