//! The file of spans and the search in it.
//!
//! `traces.jsonl` holds one span a line; at [`FILE_OCTETS_MAX`] it becomes `traces.1.jsonl`, in place of an older one,
//! and a new one begins. A line that is no span is passed over: the process that writes may be killed in the middle.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use envelope::MessageId;
use parking_lot::Mutex;
use telemetry::keys;
use tokio::time::Instant;

use super::span::{Span, hex};
use crate::deliveries::LOOK_AGAIN;

/// Octets after which a new file begins; two are kept.
pub const FILE_OCTETS_MAX: u64 = 64 * 1024 * 1024;
/// Spans of one trace; further ones are left out. A message to a thousand recipients has a few thousand.
pub const SPANS_MAX: usize = 20_000;

const CURRENT: &str = "traces.jsonl";
const PREVIOUS: &str = "traces.1.jsonl";

/// Appends to a directory. One process writes.
#[derive(Debug)]
pub(super) struct SpanLog {
    directory: PathBuf,
    current: Mutex<(File, u64)>,
    octets_max: u64,
}

impl SpanLog {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        Self::with_limit(directory, FILE_OCTETS_MAX)
    }

    pub(super) fn with_limit(directory: &Path, octets_max: u64) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let current = open_current(directory)?;
        let length = current.metadata()?.len();
        Ok(Self { directory: directory.to_owned(), current: Mutex::new((current, length)), octets_max })
    }

    /// Blocks on the file system.
    pub(super) fn append(&self, spans: &[Span]) -> io::Result<()> {
        let mut lines = Vec::new();
        for span in spans {
            serde_json::to_writer(&mut lines, span).expect("a span is plain data");
            lines.push(b'\n');
        }
        let mut current = self.current.lock();
        if current.1 > 0 && current.1 + lines.len() as u64 > self.octets_max {
            std::fs::rename(self.directory.join(CURRENT), self.directory.join(PREVIOUS))?;
            *current = (open_current(&self.directory)?, 0);
        }
        current.0.write_all(&lines)?;
        current.1 += lines.len() as u64;
        Ok(())
    }
}

fn open_current(directory: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(directory.join(CURRENT))
}

/// What a trace is looked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceQuery {
    /// The network message id.
    Message(MessageId),
    /// The `Message-ID` header field, angle brackets included.
    InternetMessageId(String),
    /// 32 hexadecimal digits.
    Trace(String),
}

/// A text that names no trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a message id, nor a Message-ID header, nor a trace id of 32 hexadecimal digits")]
pub struct QueryError(String);

impl FromStr for TraceQuery {
    type Err = QueryError;

    /// `0192…-…-…` is a message id, `<x@y>` or `x@y` a header, 32 hexadecimal digits a trace id.
    fn from_str(text: &str) -> Result<Self, QueryError> {
        let text = text.trim();
        if text.contains('@') {
            let bare = text.trim_start_matches('<').trim_end_matches('>');
            return Ok(Self::InternetMessageId(format!("<{bare}>")));
        }
        if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self::Trace(text.to_ascii_lowercase()));
        }
        text.parse().map(Self::Message).map_err(|_| QueryError(text.to_owned()))
    }
}

impl From<envelope::TraceContext> for TraceQuery {
    fn from(context: envelope::TraceContext) -> Self {
        Self::Trace(hex(&context.trace_id))
    }
}

impl TraceQuery {
    fn fits(&self, span: &Span) -> bool {
        match self {
            Self::Message(id) => span.attribute(keys::MESSAGE_ID.name()) == Some(&id.to_string()),
            Self::InternetMessageId(id) => span.attribute(keys::INTERNET_MESSAGE_ID.name()) == Some(id),
            Self::Trace(id) => span.trace_id == *id,
        }
    }
}

/// All spans of one message's traces. Usually that is one trace; a message that came twice from outside has two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// In order of their start, at most [`SPANS_MAX`].
    pub spans: Vec<Span>,
}

impl Trace {
    /// In order of their start, however they come; a span that was sent twice counts once.
    #[must_use]
    pub fn new(spans: Vec<Span>) -> Self {
        let mut by_id = HashMap::new();
        for span in spans {
            by_id.entry((span.trace_id.clone(), span.span_id.clone())).or_insert(span);
        }
        let mut spans: Vec<_> = by_id.into_values().collect();
        spans.sort_by(|a, b| (a.start_nanos, a.end_nanos, &a.span_id).cmp(&(b.start_nanos, b.end_nanos, &b.span_id)));
        Self { spans }
    }

    /// The spans of that name, in order of their start.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Span> {
        self.spans.iter().filter(move |span| span.name == name)
    }

    /// The trace ids, sorted.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<&str> {
        self.spans.iter().map(|span| span.trace_id.as_str()).collect()
    }
}

/// Why traces cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceStoreError {
    /// The file system.
    #[error("cannot read {}: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The deadline passed.
    #[error("no such trace in {waited:?}; {} spans of it are there", .found.as_ref().map_or(0, |trace| trace.spans.len()))]
    Timeout {
        /// How long it was waited for.
        waited: Duration,
        /// What there was in the end.
        found: Option<Trace>,
    },
}

/// Searches a directory that a [`super::TraceReceiver`] writes to, perhaps in another process.
#[derive(Clone, Debug)]
pub struct TraceStore {
    directory: PathBuf,
}

impl TraceStore {
    /// Searches `directory`; it may come into being later.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Everything known now, `None` when nothing is. Reads the files from beginning to end, twice.
    ///
    /// # Errors
    /// [`TraceStoreError::File`].
    pub fn find(&self, query: &TraceQuery) -> Result<Option<Trace>, TraceStoreError> {
        let mut ids = BTreeSet::new();
        self.each_span(|span| {
            if query.fits(&span) {
                ids.insert(span.trace_id);
            }
        })?;
        let mut spans = Vec::new();
        self.each_span(|span| {
            if ids.contains(&span.trace_id) && spans.len() < SPANS_MAX {
                spans.push(span);
            }
        })?;
        Ok((!spans.is_empty()).then(|| Trace::new(spans)))
    }

    /// The trace, once `complete` accepts it: spans come late, and in any order.
    ///
    /// # Errors
    /// [`TraceStoreError::Timeout`] after `deadline`, with what there is; else as [`Self::find`].
    pub async fn wait_for(
        &self,
        query: &TraceQuery,
        complete: impl Fn(&Trace) -> bool,
        deadline: Duration,
    ) -> Result<Trace, TraceStoreError> {
        let started = Instant::now();
        loop {
            let found = self.find(query)?;
            if let Some(trace) = found.as_ref().filter(|trace| complete(trace)) {
                return Ok(trace.clone());
            }
            if started.elapsed() >= deadline {
                return Err(TraceStoreError::Timeout { waited: deadline, found });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn each_span(&self, mut visit: impl FnMut(Span)) -> Result<(), TraceStoreError> {
        for name in [PREVIOUS, CURRENT] {
            let path = self.directory.join(name);
            read_spans(&path, &mut visit).map_err(|cause| TraceStoreError::File { path, cause })?;
        }
        Ok(())
    }
}

fn read_spans(path: &Path, visit: &mut impl FnMut(Span)) -> io::Result<()> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    for line in BufReader::new(file).split(b'\n') {
        if let Ok(span) = serde_json::from_slice(&line?) {
            visit(span);
        }
    }
    Ok(())
}
