//! The protocol logs: what was said in SMTP sessions, one of those that clients open here and one of those that are opened to
//! hosts outside (docs/rules.md, LG-06…LG-12). Which sessions are told, their connectors say (`ProtocolLoggingLevel`).

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use envelope::{MessageId, Timestamp};
use smtp::{Happening, Line, Transcript, Transcripts};

use crate::log::{Log, LogRules, LogSettings};
use crate::record::{LogForm, LogLimits, Record, Row};

/// The fields of a line, as the header names them (SC-122).
const FIELDS: &str =
    "date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context";

/// One of the two logs.
pub trait Side: Send + Sync + 'static {
    /// Of the header.
    const LOG_TYPE: &'static str;
    /// What its files are called (LG-10).
    const PREFIX: &'static str;
    /// Their folder below `ProtocolLog` (LG-06).
    const FOLDER: &'static str;
}

/// Sessions of Receive connectors.
pub struct Receiving;

impl Side for Receiving {
    const LOG_TYPE: &'static str = "SMTP Receive Protocol Log";
    const PREFIX: &'static str = "RECV";
    const FOLDER: &'static str = "SmtpReceive";
}

/// Sessions of Send connectors.
pub struct Sending;

impl Side for Sending {
    const LOG_TYPE: &'static str = "SMTP Send Protocol Log";
    const PREFIX: &'static str = "SEND";
    const FOLDER: &'static str = "SmtpSend";
}

/// Folder of a log in a state directory, for a service that the documentation calls so: `FrontEnd`, `Hub`, `Edge` (LG-06).
#[must_use]
pub fn folder<S: Side>(state: &Path, service: &str) -> PathBuf {
    state.join("logs").join(service).join("ProtocolLog").join(S::FOLDER)
}

/// One line.
#[derive(Debug)]
struct ProtocolEvent<S> {
    at: Timestamp,
    connector: Arc<str>,
    session: MessageId,
    /// From 0, within the session.
    number: u64,
    local: Option<SocketAddr>,
    remote: SocketAddr,
    happening: Happening,
    data: Box<str>,
    context: Box<str>,
    side: PhantomData<S>,
}

impl<S: Side> Record for ProtocolEvent<S> {
    const FORM: LogForm = LogForm { log_type: S::LOG_TYPE, fields: FIELDS, limits: LogLimits::PROTOCOL };

    fn at(&self) -> Timestamp {
        self.at
    }

    fn write(&self, _: u64, row: &mut Row) {
        row.value(self.at.to_iso8601())
            .text(&self.connector)
            .value(self.session)
            .value(self.number)
            .value(self.local.map(|local| local.to_string()).unwrap_or_default())
            .value(self.remote)
            .value(sign(self.happening))
            .text(&self.data)
            .text(&self.context);
    }
}

/// The documented sign.
const fn sign(happening: Happening) -> &'static str {
    match happening {
        Happening::Connected => "+",
        Happening::Disconnected => "-",
        Happening::Sent => ">",
        Happening::Received => "<",
        Happening::Information => "*",
    }
}

/// What a session needs to know of time.
pub trait Moments: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;

    /// A new identity.
    fn id(&self) -> MessageId;
}

/// A protocol log of one service: all of its connectors share its files (LG-09).
pub struct ProtocolLog<S: Side>(Arc<Kept<S>>);

struct Kept<S: Side> {
    log: Log<ProtocolEvent<S>>,
    moments: Box<dyn Moments>,
}

impl<S: Side> ProtocolLog<S> {
    /// A log with nothing in it; the first line starts its writer and makes its file. `on_loss` is called for each line that is lost.
    pub fn new(
        folder: PathBuf,
        version: &'static str,
        moments: impl Moments,
        on_loss: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let log = Log::new(LogSettings { folder, prefix: S::PREFIX, version }, on_loss);
        Self(Arc::new(Kept { log, moments: Box::new(moments) }))
    }
}

impl<S: Side> ProtocolLog<S> {
    /// By what it is written.
    #[must_use]
    pub fn rules(&self) -> LogRules {
        self.0.log.rules()
    }
}

impl<S: Side> Transcripts for ProtocolLog<S> {
    fn begin(&self, connector: &str) -> Box<dyn Transcript> {
        let session = self.0.moments.id();
        Box::new(Session { kept: Arc::clone(&self.0), connector: connector.into(), session, number: 0 })
    }
}

struct Session<S: Side> {
    kept: Arc<Kept<S>>,
    connector: Arc<str>,
    session: MessageId,
    number: u64,
}

impl<S: Side> Transcript for Session<S> {
    fn line(&mut self, line: Line<'_>) {
        let Line { happening, data, context, local, remote } = line;
        self.kept.log.record(ProtocolEvent {
            at: self.kept.moments.now(),
            connector: Arc::clone(&self.connector),
            session: self.session,
            number: self.number,
            local,
            remote,
            happening,
            data: data.into(),
            context: context.into(),
            side: PhantomData,
        });
        self.number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fields;

    struct Fixed;

    impl Moments for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_795_335_330_250)
        }

        fn id(&self) -> MessageId {
            MessageId::from_bytes([7; 16])
        }
    }

    #[test]
    fn a_session_is_told_line_by_line_with_the_documented_fields() {
        // LG-10, LG-11, SC-121, SC-122
        let state = tempfile::tempdir().unwrap();
        let folder = folder::<Sending>(state.path(), "Hub");
        assert!(folder.ends_with("logs/Hub/ProtocolLog/SmtpSend"));
        let log = ProtocolLog::<Sending>::new(folder.clone(), "0.1.0", Fixed, || ());
        let mut session = log.begin("Internet, by Oslo");
        let (local, remote) = ("192.0.2.1:4711".parse().ok(), "[2001:db8::1]:25".parse().unwrap());
        let mut tell = |happening, data, context| session.line(Line { happening, data, context, local, remote });
        tell(Happening::Connected, "", "");
        tell(Happening::Received, "220 mx.example\r\n=cmd", "");
        tell(Happening::Sent, "EHLO mail1.contoso.com", "");
        tell(Happening::Information, "TLSv1.3", "TLS");
        tell(Happening::Disconnected, "", "Local");
        drop((session, log));
        let text = std::fs::read_to_string(folder.join("SEND20261122-1.log")).unwrap();
        let (header, lines): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('#'));
        assert_eq!(header[2], "#Log-Type: SMTP Send Protocol Log");
        assert_eq!(header[4], format!("#Fields: {FIELDS}"));
        let lines: Vec<Vec<String>> = lines.into_iter().map(fields).collect();
        assert!(lines.iter().all(|line| line.len() == FIELDS.split(',').count()), "{text}");
        let start = ["2026-11-22T08:15:30.250Z", "Internet, by Oslo", "07070707-0707-0707-0707-070707070707"];
        assert_eq!(lines[1][..3], start);
        assert_eq!(lines[1][3..], ["1", "192.0.2.1:4711", "[2001:db8::1]:25", "<", "220 mx.example  =cmd", ""]);
        let told: Vec<(&str, &str)> = lines.iter().map(|line| (line[3].as_str(), line[6].as_str())).collect();
        assert_eq!(told, [("0", "+"), ("1", "<"), ("2", ">"), ("3", "*"), ("4", "-")]);
    }
}
