//! Accepts connections, starts a session for each, and drains when told to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envelope::Reply;
use net::{Listener, Stream, proxy_protocol};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gate::Permit;
use crate::handler::{Admission, Connection, Preamble, Reception};
use crate::inbound;
use crate::transcript::Transcript;

/// One listening address.
pub struct SmtpListener {
    socket: Listener,
    reception: Arc<dyn Reception>,
}

impl SmtpListener {
    /// Answers on a socket that listens.
    #[must_use]
    pub fn on(socket: Listener, reception: Arc<dyn Reception>) -> Self {
        Self { socket, reception }
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

    fn start(&self, mut stream: Stream, sessions: &TaskTracker, drain: &CancellationToken, stop: &CancellationToken) {
        let connection = Connection { peer: stream.peer(), local: stream.local() };
        let (drain, stop) = (drain.clone(), stop.clone());
        let Preamble { balanced, tls } = self.reception.preamble(connection.peer);
        if !balanced {
            let entry = Entry::of(self.reception.as_ref(), connection, tls);
            // A task of its own: a client that does not read must not hold up the others.
            sessions.spawn(async move { stop.run_until_cancelled_owned(Box::pin(entry.serve(stream, drain))).await });
            return;
        }
        let reception = Arc::clone(&self.reception);
        let session = async move {
            match client_of(&mut stream).await {
                Ok(client) => {
                    let connection = Connection { peer: client.unwrap_or(connection.peer), ..connection };
                    Entry::of(reception.as_ref(), connection, tls).serve(stream, drain).await;
                }
                Err(error) => tracing::warn!(
                    balancer = %connection.peer, %error,
                    "a load balancer does not say who its client is: let it send the PROXY protocol, or take it out of \
                     `load-balancers`"
                ),
            }
        };
        sessions.spawn(async move { stop.run_until_cancelled_owned(Box::pin(session)).await });
    }
}

/// Who is behind a load balancer.
async fn client_of(stream: &mut Stream) -> io::Result<Option<SocketAddr>> {
    let read = tokio::time::timeout(proxy_protocol::HEADER_TIMEOUT, proxy_protocol::read(stream));
    read.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A client that has come in, or is turned away.
struct Entry {
    connection: Connection,
    tls: bool,
    admitted: Result<(Admission, Permit), TurnedAway>,
}

/// What somebody is told for whom there is no session.
struct TurnedAway {
    reply: Reply,
    /// Where the reply is told too.
    transcript: Option<Box<dyn Transcript>>,
}

impl Entry {
    fn of(reception: &dyn Reception, connection: Connection, tls: bool) -> Self {
        let admitted = reception.admit(connection).map_err(|reply| TurnedAway { reply, transcript: None });
        let admitted = admitted.and_then(|admission| match admission.settings.gate.enter(connection.peer.ip()) {
            Ok(permit) => Ok((admission, permit)),
            Err(reply) => Err(TurnedAway { reply, transcript: admission.transcript }),
        });
        Self { connection, tls, admitted }
    }

    async fn serve(self, stream: Stream, drain: CancellationToken) {
        let Self { connection, tls, admitted } = self;
        match admitted {
            Ok((admission, _permit)) => inbound::run(stream, connection, admission, tls, drain).await,
            // Words in clear would be no TLS.
            Err(_) if tls => {}
            Err(TurnedAway { reply, transcript }) => inbound::turn_away(stream, reply, transcript).await,
        }
    }
}
