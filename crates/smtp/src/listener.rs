//! Accepts connections, starts a session for each, and drains when told to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::{Listener, Stream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::handler::{Connection, Reception};
use crate::inbound;

/// One listening address.
pub struct SmtpListener {
    socket: Listener,
    reception: Arc<dyn Reception>,
}

impl SmtpListener {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// As [`net::listen`].
    pub fn bind(address: SocketAddr, reception: Arc<dyn Reception>) -> io::Result<Self> {
        Ok(Self { socket: net::listen(address)?, reception })
    }

    /// Where it listens.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.socket.local()
    }

    /// Serves until `drain` is cancelled; then takes no more connections, sends idle sessions away with
    /// `421 4.3.2 Service shutting down`, lets the others finish their transaction for at most `grace`, and ends what is
    /// left. A broken session loses nothing: it has no `250` yet.
    ///
    /// # Errors
    /// When the listening socket breaks; the sessions are drained all the same.
    pub async fn run(self, drain: CancellationToken, grace: Duration) -> io::Result<()> {
        let sessions = TaskTracker::new();
        let stop = CancellationToken::new();
        let ended = loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = drain.cancelled() => break Ok(()),
            };
            match accepted {
                Ok(stream) => self.start(stream, &sessions, &drain, &stop),
                Err(error) => break Err(error),
            }
        };
        drop(self.socket);
        sessions.close();
        if tokio::time::timeout(grace, sessions.wait()).await.is_err() {
            tracing::warn!(sessions = sessions.len(), "sessions did not finish within the grace period");
            stop.cancel();
            sessions.wait().await;
        }
        ended
    }

    fn start(&self, stream: Stream, sessions: &TaskTracker, drain: &CancellationToken, stop: &CancellationToken) {
        let connection = Connection { peer: stream.peer(), local: stream.local() };
        let entry = self.reception.admit(connection).and_then(|admission| {
            let permit = admission.settings.gate.enter(connection.peer.ip())?;
            Ok((admission, permit))
        });
        let (drain, stop) = (drain.clone(), stop.clone());
        match entry {
            Ok((admission, permit)) => {
                sessions.spawn(async move {
                    let _permit = permit;
                    let session = inbound::run(stream, connection, admission, drain);
                    stop.run_until_cancelled_owned(session).await;
                });
            }
            // A task of its own: a client that does not read must not hold up the others.
            Err(reply) => {
                sessions.spawn(async move { stop.run_until_cancelled_owned(inbound::turn_away(stream, reply)).await });
            }
        }
    }
}
