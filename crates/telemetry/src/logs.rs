//! Logs: what happened, for whoever watches the process. Text on a terminal, JSON lines for a collector, on stderr.
//!
//! Lines about a message carry the fields `message_id` and `trace_id` ([`crate::TraceId`]), which lead to its trace. Logs
//! are not exported by OTLP: container platforms collect stderr.

use std::io::{self, IsTerminal};
use std::str::FromStr;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::error::TelemetryError;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people; in colour on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A text that names no log format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a log format: write text or json")]
pub struct LogFormatError(pub String);

impl FromStr for LogFormat {
    type Err = LogFormatError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogFormatError(text.to_owned())),
        }
    }
}

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Levels by module, in the notation of `tracing-subscriber`: `info,queue=debug`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::default() }
    }
}

/// Libraries whose own chatter would drown ours. A filter that names one of them wins.
const QUIET: &str = "h2=warn,hyper=warn,tonic=warn,tower=warn,opentelemetry=warn,opentelemetry_sdk=warn,\
                     opentelemetry-otlp=warn,hickory_resolver=warn,hickory_net=warn,rustls=warn";

/// What systemd sets where standard error is its journal (systemd.exec(5)).
const JOURNAL_VARIABLE: &str = "JOURNAL_STREAM";

/// Begins each line with its priority, as the journal reads it (sd-daemon(3)): `journalctl -p err` finds errors.
struct WithPriority<W>(W);

struct Prefixed<W> {
    writer: W,
    /// To be written before the first octet.
    prefix: Option<&'static str>,
}

impl<W: io::Write> io::Write for Prefixed<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if let Some(prefix) = self.prefix.take() {
            // One write: lines of several threads would mix otherwise.
            self.writer.write_all(&[prefix.as_bytes(), octets].concat())?;
            return Ok(octets.len());
        }
        self.writer.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for WithPriority<W> {
    type Writer = Prefixed<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Prefixed { writer: self.0.make_writer(), prefix: None }
    }

    fn make_writer_for(&'a self, meta: &tracing::Metadata<'_>) -> Self::Writer {
        let prefix = match *meta.level() {
            tracing::Level::ERROR => "<3>",
            tracing::Level::WARN => "<4>",
            tracing::Level::INFO => "<6>",
            tracing::Level::DEBUG | tracing::Level::TRACE => "<7>",
        };
        Prefixed { writer: self.0.make_writer_for(meta), prefix: Some(prefix) }
    }
}

/// Makes these the logs of the process. Where some are set up already (several services in one process), they stay.
pub(crate) fn install(settings: &LogSettings) -> Result<(), TelemetryError> {
    let terminal = io::stderr().is_terminal();
    let subscriber = if !terminal && std::env::var_os(JOURNAL_VARIABLE).is_some() {
        subscriber(settings, WithPriority(io::stderr), false)?
    } else {
        subscriber(settings, io::stderr, terminal)?
    };
    let _already_set_up = subscriber.try_init();
    Ok(())
}

pub(crate) fn subscriber<W>(
    settings: &LogSettings,
    writer: W,
    colour: bool,
) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Later directives win over earlier ones for the same target.
    let filter = EnvFilter::builder()
        .parse(format!("{QUIET},{}", settings.filter))
        .map_err(|error| TelemetryError::LogFilter { filter: settings.filter.clone(), cause: error.to_string() })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colour);
    Ok(match settings.format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use envelope::TraceContext;

    use super::*;
    use crate::TraceId;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    pub(crate) fn logged(settings: &LogSettings, work: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(settings, move || writer.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, work);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_lines_carry_trace_ids_as_fields() {
        let context: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        let settings = LogSettings { format: "json".parse().unwrap(), ..LogSettings::default() };
        let text = logged(&settings, || {
            tracing::info!(trace_id = %TraceId::from(context), "accepted");
            tracing::debug!("too much");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with('{') && text.contains(r#""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736""#), "{text}");
        assert!(text.contains(r#""message":"accepted""#) && text.contains(r#""level":"INFO""#), "{text}");
    }

    #[test]
    fn lines_for_the_journal_begin_with_their_priority() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(&LogSettings::default(), WithPriority(move || writer.clone()), false).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!("one");
            tracing::warn!("two");
            tracing::info!("three");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let begins: Vec<&str> = text.lines().map(|line| &line[..3]).collect();
        assert_eq!(begins, ["<3>", "<4>", "<6>"], "{text}");
    }

    #[test]
    fn libraries_are_quiet_unless_named() {
        let chatter = || {
            tracing::info!(target: "h2", "frame");
            tracing::info!(target: "queue", "opened");
        };
        let loud = LogSettings { filter: "info,h2=info".to_owned(), ..LogSettings::default() };
        let lines = |settings| logged(settings, chatter).lines().count();
        assert_eq!((lines(&LogSettings::default()), lines(&loud)), (1, 2));
    }

    #[test]
    fn a_filter_that_is_none_is_an_error_that_shows_it() {
        let settings = LogSettings { filter: "queue=loudly".to_owned(), ..LogSettings::default() };
        let error = subscriber(&settings, io::sink, false).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("queue=loudly"), "{error}");
        assert!("xml".parse::<LogFormat>().is_err());
    }
}
