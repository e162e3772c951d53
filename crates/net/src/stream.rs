//! One connection, in clear or encrypted, that knows both of its ends; and how to open one.
//!
//! Does not choose addresses and does not retry. Encryption is added by [`crate::tls`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use envelope::{EnhancedStatus, Severity};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

/// Time for a TCP connection to come up, where the caller has no opinion (RFC 5321 leaves it open; Postfix uses 30 s).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A TCP connection, in clear or under TLS.
#[derive(Debug)]
pub struct Stream {
    pub(crate) transport: Transport,
    peer: SocketAddr,
    local: SocketAddr,
}

#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
    // Boxed: the rustls state is about a kilobyte, and streams move through many futures.
    Tls(Box<tokio_rustls::TlsStream<TcpStream>>),
}

impl Stream {
    /// Takes over a connected socket.
    ///
    /// # Errors
    /// When the socket is no longer connected.
    pub fn plain(socket: TcpStream) -> io::Result<Self> {
        let (peer, local) = (socket.peer_addr()?, socket.local_addr()?);
        // SMTP is commands and replies: waiting to fill segments only costs time.
        socket.set_nodelay(true)?;
        Ok(Self { transport: Transport::Plain(socket), peer, local })
    }

    pub(crate) fn encrypted(tls: tokio_rustls::TlsStream<TcpStream>, peer: SocketAddr, local: SocketAddr) -> Self {
        Self { transport: Transport::Tls(Box::new(tls)), peer, local }
    }

    /// The other end.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// This end.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether the connection is under TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Transport::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Transport::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Transport::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(socket) => socket.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// Why no connection came up.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {peer}{}: {cause}", from(*source_address))]
pub struct ConnectError {
    /// Who was called.
    pub peer: SocketAddr,
    /// The address that was to be called from (`SourceIPAddress`), where one was set.
    pub source_address: Option<IpAddr>,
    /// What came back; [`io::ErrorKind::TimedOut`] when nothing did.
    #[source]
    pub cause: io::Error,
}

fn from(source_address: Option<IpAddr>) -> String {
    source_address.map(|address| format!(" from {address}")).unwrap_or_default()
}

impl ConnectError {
    /// Always transient: the peer may come back.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.status().severity()
    }

    /// `4.4.1`, no answer from host (RFC 3463 §3.5).
    #[must_use]
    pub const fn status(&self) -> EnhancedStatus {
        EnhancedStatus::new(4, 4, 1)
    }
}

/// Opens a connection to `peer`, from `source` where one is given, within `timeout`.
///
/// # Errors
/// [`ConnectError`] with both addresses and what the system said.
pub async fn connect(peer: SocketAddr, source: Option<IpAddr>, timeout: Duration) -> Result<Stream, ConnectError> {
    let opened = tokio::time::timeout(timeout, open(peer, source)).await;
    let expired = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {} s", timeout.as_secs_f32()));
    opened.unwrap_or_else(|_| Err(expired())).map_err(|cause| ConnectError { peer, source_address: source, cause })
}

async fn open(peer: SocketAddr, source: Option<IpAddr>) -> io::Result<Stream> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(address) = source {
        socket.bind(SocketAddr::new(address, 0))?;
    }
    Stream::plain(socket.connect(peer).await?)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_connection_knows_both_ends_and_uses_the_source_address() {
        let listener = crate::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let source = Ipv4Addr::new(127, 0, 0, 7).into();
        let mut client = connect(listener.local(), Some(source), CONNECT_TIMEOUT).await.unwrap();
        let mut server = listener.accept().await.unwrap();
        assert_eq!((client.local().ip(), client.peer()), (source, listener.local()));
        assert_eq!((server.peer(), server.is_encrypted()), (client.local(), false));
        client.write_all(b"hello").await.unwrap();
        client.shutdown().await.unwrap();
        let mut received = String::new();
        server.read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "hello");
    }

    #[tokio::test]
    async fn a_refused_connection_names_both_addresses_and_is_transient() {
        // A port that was free a moment ago: bound, never listened on.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let peer = socket.local_addr().unwrap();
        let error = connect(peer, Some(Ipv4Addr::new(127, 0, 0, 8).into()), CONNECT_TIMEOUT).await.unwrap_err();
        assert_eq!((error.severity(), error.cause.kind()), (Severity::Transient, io::ErrorKind::ConnectionRefused));
        assert!(error.to_string().starts_with(&format!("cannot connect to {peer} from 127.0.0.8: ")), "{error}");
    }
}
