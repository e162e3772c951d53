//! Sessions told while they happen, for whoever keeps a protocol log (docs/rules.md, LG-06…LG-12). Who that is, is not known here:
//! services hand it in. Commands and replies are told word for word, content and secrets never; a session that nobody wants to
//! know of costs a look at an empty option for each line.

use std::net::SocketAddr;
use std::sync::Arc;

use net::PeerTls;
use smtp_session::Spoken;

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The connection is there.
    Connected,
    /// It is over.
    Disconnected,
    /// This side said something.
    Sent,
    /// The other side did.
    Received,
    /// Something else is to be known.
    Information,
}

/// One line of a transcript.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// What it is about.
    pub happening: Happening,
    /// A command, a reply, a fact.
    pub data: &'a str,
    /// What `data` is, where that is not plain.
    pub context: &'a str,
    /// This side, once there is a connection.
    pub local: Option<SocketAddr>,
    /// The other side.
    pub remote: SocketAddr,
}

/// One session. Its first line is [`Happening::Connected`], its last [`Happening::Disconnected`]; a connection that did not
/// come about has one of information alone.
pub trait Transcript: Send + Sync {
    /// Takes a line. Never waits.
    fn line(&mut self, line: Line<'_>);
}

/// Where transcripts are kept.
pub trait Transcripts: Send + Sync {
    /// Begins that of a session by this connector.
    fn begin(&self, connector: &str) -> Box<dyn Transcript>;
}

/// A connector whose sessions are told.
#[derive(Clone)]
pub struct ToldConnector {
    /// Where.
    pub transcripts: Arc<dyn Transcripts>,
    /// Under which name.
    pub name: Box<str>,
}

impl ToldConnector {
    /// Begins the transcript of a session.
    #[must_use]
    pub fn begin(&self) -> Box<dyn Transcript> {
        self.transcripts.begin(&self.name)
    }
}

/// Tells one session, if it is told; its end with itself.
pub(crate) struct Teller(Option<Telling>);

struct Telling {
    transcript: Box<dyn Transcript>,
    local: SocketAddr,
    remote: SocketAddr,
    /// The other side ended it.
    hung_up: bool,
}

impl Teller {
    /// The connection is there.
    pub(crate) fn connected(transcript: Option<Box<dyn Transcript>>, local: SocketAddr, remote: SocketAddr) -> Self {
        let mut telling = transcript.map(|transcript| Telling { transcript, local, remote, hung_up: false });
        if let Some(telling) = &mut telling {
            telling.line(Happening::Connected, "", "");
        }
        Self(telling)
    }

    /// Whether anybody wants to know.
    pub(crate) fn is_telling(&self) -> bool {
        self.0.is_some()
    }

    /// Tells all that `next` gives.
    pub(crate) fn spoken(&mut self, mut next: impl FnMut() -> Option<Spoken>) {
        let Some(telling) = &mut self.0 else { return };
        while let Some(spoken) = next() {
            match spoken {
                Spoken::Sent(text) => telling.line(Happening::Sent, &text, ""),
                Spoken::Received(text) => telling.line(Happening::Received, &text, ""),
            }
        }
    }

    /// Tells something that nobody said.
    pub(crate) fn note(&mut self, data: &str, context: &str) {
        if let Some(telling) = &mut self.0 {
            telling.line(Happening::Information, data, context);
        }
    }

    /// The handshake was made.
    pub(crate) fn secured(&mut self, about: &PeerTls) {
        if self.0.is_none() {
            return;
        }
        self.note(&format!("{} {} {}", about.version, about.cipher, about.key_exchange), "TLS");
        if let Some(certificate) = &about.certificate {
            let names: Vec<String> = certificate.names.iter().map(ToString::to_string).collect();
            let shown = format!("{} of {} for {}", certificate.subject, certificate.issuer, names.join(" "));
            self.note(&shown, "certificate of the other side");
        }
    }

    /// The other side ended the connection.
    pub(crate) fn hung_up(&mut self) {
        if let Some(telling) = &mut self.0 {
            telling.hung_up = true;
        }
    }
}

impl Telling {
    fn line(&mut self, happening: Happening, data: &str, context: &str) {
        self.transcript.line(Line { happening, data, context, local: Some(self.local), remote: self.remote });
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let by = if self.hung_up { "Remote" } else { "Local" };
        self.line(Happening::Disconnected, "", by);
    }
}

/// Tells of a connection that did not come about.
pub(crate) fn not_connected(told: Option<&ToldConnector>, remote: SocketAddr, why: &str) {
    if let Some(told) = told {
        let line = Line { happening: Happening::Information, data: why, context: "not connected", local: None, remote };
        told.begin().line(line);
    }
}
