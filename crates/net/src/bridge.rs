//! A connection for a library that wants a socket of the operating system: one end of a pair, and a task that carries octets
//! between the other end and the connection. So whatever speaks a protocol of its own has our sockets, our TLS and a bound.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::stream::Stream;

/// The end for the library. When either side closes, or more than `octets_max` have come in, both are closed.
///
/// # Errors
/// As the system says: no descriptor is left.
pub fn bridge(stream: Stream, octets_max: u64) -> io::Result<std::os::unix::net::UnixStream> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    tokio::spawn(carry(stream, UnixStream::from_std(ours)?, octets_max));
    Ok(theirs)
}

async fn carry(stream: Stream, local: UnixStream, octets_max: u64) {
    let (outer_read, mut outer_write) = tokio::io::split(stream);
    let (mut inner_read, mut inner_write) = local.into_split();
    let mut outer_read = outer_read.take(octets_max);
    // An error is an end like any other: the library sees its socket closed.
    tokio::select! {
        _ = tokio::io::copy(&mut outer_read, &mut inner_write) => {}
        _ = tokio::io::copy(&mut inner_read, &mut outer_write) => {}
    }
    let _ = outer_write.shutdown().await;
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::stream::{CONNECT_TIMEOUT, connect};

    #[tokio::test]
    async fn octets_go_both_ways_up_to_the_bound_and_an_end_ends_both() {
        let listener = crate::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let stream = connect(listener.local(), None, CONNECT_TIMEOUT).await.unwrap();
        let mut peer = listener.accept().await.unwrap();
        let socket = bridge(stream, 6).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut library = UnixStream::from_std(socket).unwrap();
        library.write_all(b"ask").await.unwrap();
        let mut asked = [0; 3];
        peer.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"ask");
        peer.write_all(b"answer and more").await.unwrap();
        let mut answer = String::new();
        library.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
        let mut rest = Vec::new();
        // Closed with octets unread: an end or a reset.
        let ended = peer.read_to_end(&mut rest).await;
        assert!(ended.is_err() || rest.is_empty(), "{rest:?}");
    }
}
