//! Listening sockets that systemd opened before this process and keeps while it is away (`LISTEN_FDS`, sd_listen_fds(3)): no
//! port below 1024 needs a capability then, and nobody is refused during a restart.
//!
//! Not here: which addresses are wanted. The configuration says so, and a socket is taken by its address.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use sd_listen_fds::Error;
use socket2::SockRef;
use tokio::net::TcpListener;

use crate::listener::{Listener, listen};

/// The sockets that this process was given. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct InheritedSockets(Arc<Vec<Inherited>>);

#[derive(Debug)]
struct Inherited {
    socket: std::net::TcpListener,
    local: SocketAddr,
}

impl InheritedSockets {
    /// Takes those that systemd gave; none where it gave none. Once in a process, before it is confined.
    ///
    /// # Errors
    /// When what was given is no listening socket of TCP.
    pub fn take() -> io::Result<Self> {
        let given = sd_listen_fds::get().map_err(|error: Error| io::Error::other(error.to_string()))?;
        Self::of(given.into_iter().map(|(name, descriptor)| (name.unwrap_or_default(), descriptor.into_std())))
    }

    fn of(given: impl IntoIterator<Item = (String, OwnedFd)>) -> io::Result<Self> {
        let taken = given.into_iter().map(|(name, descriptor)| {
            Inherited::of(descriptor).map_err(|error| {
                let advice = "give the service stream sockets only: ListenStream=ADDRESS:PORT, without Accept=";
                io::Error::other(format!("the socket {name:?} of systemd cannot be used: {error}; {advice}"))
            })
        });
        Ok(Self(Arc::new(taken.collect::<io::Result<_>>()?)))
    }

    /// Listens on `address`: with the socket that was given for it, else with a new one, as [`listen`] does. What comes in between
    /// an end and a new beginning of a given one waits in the kernel.
    ///
    /// # Errors
    /// As [`listen`].
    pub fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        let Some(given) = self.0.iter().find(|given| given.local == address) else {
            return listen(address);
        };
        Listener::of(TcpListener::from_std(given.socket.try_clone()?)?)
    }

    /// Where all of them listen.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.0.iter().map(|given| given.local)
    }
}

impl Inherited {
    fn of(descriptor: OwnedFd) -> io::Result<Self> {
        let about = SockRef::from(&descriptor);
        if !about.is_listener()? {
            return Err(io::Error::other("it does not listen"));
        }
        about.set_cloexec(true)?;
        about.set_nonblocking(true)?;
        let local = about.local_addr()?.as_socket().ok_or_else(|| io::Error::other("it is no socket of TCP"))?;
        Ok(Self { socket: descriptor.into(), local })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_socket_that_was_given_is_used_for_its_address_again_and_again() {
        let given = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = given.local_addr().unwrap();
        let sockets = InheritedSockets::of([("smtp".to_owned(), given.into())]).unwrap();
        assert_eq!(sockets.addresses().collect::<Vec<_>>(), [address]);
        assert!(listen(address).is_err(), "the port is taken");
        drop(sockets.listen(address).unwrap());
        // Nobody accepts at the moment, and nobody is refused.
        let client = std::net::TcpStream::connect(address).unwrap();
        let accepted = sockets.listen(address).unwrap().accept().await.unwrap();
        assert_eq!(accepted.peer(), client.local_addr().unwrap());
        let other = sockets.listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        assert_ne!(other.local(), address);
    }

    #[test]
    fn what_does_not_listen_is_refused_by_name() {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let error = InheritedSockets::of([("metrics".to_owned(), socket.into())]).unwrap_err().to_string();
        assert!(error.contains("metrics") && error.contains("ListenStream"), "{error}");
    }
}
