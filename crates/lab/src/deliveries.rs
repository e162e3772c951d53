//! What the hosts of the simulated internet accepted, kept in a directory that any process may read.
//!
//! ```text
//!   <directory>/deliveries.jsonl     one line for each message, in the order of acceptance
//!   <directory>/<id>.eml             its content, complete before the line is there
//! ```
//!
//! `DeliveryLog` writes, [`Deliveries`] reads. One process writes. Nothing is synced: the lab promises nothing across a
//! power loss.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use envelope::{Address, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Messages that one lab keeps; beyond it hosts answer 452.
pub const DELIVERIES_MAX: usize = 1_000_000;
/// Pause between two looks at the directory while waiting: nobody notices it, and it costs nothing.
pub const LOOK_AGAIN: Duration = Duration::from_millis(20);

const INDEX: &str = "deliveries.jsonl";

/// One message that a host accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delivery {
    /// Names the file of the content.
    pub id: String,
    /// Which host.
    pub host: String,
    /// Milliseconds since the Unix epoch.
    pub time_millis: u64,
    /// Address from which it came.
    pub peer: std::net::SocketAddr,
    /// What the peer called itself in EHLO.
    pub hello: String,
    /// TLS version and cipher, `None` in clear.
    pub tls: Option<String>,
    /// Who authenticated.
    pub user: Option<String>,
    /// `MAIL FROM`, empty for `<>`.
    pub sender: String,
    /// What followed the path of `MAIL`, as sent.
    pub sender_parameters: String,
    /// `RCPT TO` that were accepted, in order.
    pub recipients: Vec<DeliveredTo>,
    /// The `Message-ID` header field, angle brackets included.
    pub message_id: Option<String>,
    /// Octets of content.
    pub size: u64,
}

/// One recipient of a [`Delivery`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveredTo {
    /// The address as sent.
    pub address: String,
    /// What followed the path of `RCPT`, as sent.
    pub parameters: String,
}

impl Delivery {
    /// Whether `address` was among the recipients, without regard to case.
    #[must_use]
    pub fn is_to(&self, address: &Address) -> bool {
        self.recipients.iter().any(|recipient| recipient.address.eq_ignore_ascii_case(address.as_str()))
    }

    /// When it was accepted.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.time_millis)
    }
}

/// Why a message cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error("the lab already keeps {DELIVERIES_MAX} messages")]
    Full,
    #[error(transparent)]
    File(#[from] io::Error),
}

/// Appends to a directory.
#[derive(Debug)]
pub(crate) struct DeliveryLog {
    directory: PathBuf,
    index: Mutex<(File, usize)>,
}

impl DeliveryLog {
    /// Goes on in `directory`, which is made where it is missing.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(INDEX);
        let index = File::options().create(true).append(true).open(&path)?;
        let kept = std::fs::read(&path)?.split(|byte| *byte == b'\n').count() - 1;
        Ok(Self { directory: directory.to_owned(), index: Mutex::new((index, kept)) })
    }

    /// Writes the content, then the line. Blocks on the file system.
    pub(crate) fn keep(&self, delivery: &Delivery, content: &[u8]) -> Result<(), KeepError> {
        let mut line = serde_json::to_vec(delivery).expect("a delivery is plain data");
        line.push(b'\n');
        let mut index = self.index.lock();
        if index.1 >= DELIVERIES_MAX {
            return Err(KeepError::Full);
        }
        std::fs::write(content_path(&self.directory, delivery), content)?;
        // One write: a reader sees a line whole or, for a moment, without its end, which it waits for.
        index.0.write_all(&line)?;
        index.1 += 1;
        Ok(())
    }
}

fn content_path(directory: &Path, delivery: &Delivery) -> PathBuf {
    directory.join(format!("{}.eml", delivery.id))
}

/// Why deliveries cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DeliveriesError {
    /// The file system.
    #[error("cannot read {}: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A line that is no delivery, counted from one.
    #[error("{} line {line}: {cause}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
    /// The deadline passed.
    #[error("no such delivery in {waited:?}; there are {seen} others")]
    Timeout {
        /// How long it was waited for.
        waited: Duration,
        /// Deliveries that did not fit.
        seen: usize,
    },
}

/// Reads a directory, from its beginning; each line is read once.
#[derive(Debug)]
pub struct Deliveries {
    directory: PathBuf,
    read_octets: u64,
    /// A line whose end has not been written yet.
    partial: Vec<u8>,
    known: Vec<Delivery>,
}

impl Deliveries {
    /// Reads `directory`; it may come into being later.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), read_octets: 0, partial: Vec::new(), known: Vec::new() }
    }

    /// All there are now, in the order of acceptance.
    ///
    /// # Errors
    /// [`DeliveriesError`] when the directory cannot be read or holds something else.
    pub fn all(&mut self) -> Result<&[Delivery], DeliveriesError> {
        let path = self.directory.join(INDEX);
        self.read_on(&path).map_err(|cause| DeliveriesError::File { path: path.clone(), cause })?;
        let mut begin = 0;
        while let Some(length) = memchr::memchr(b'\n', &self.partial[begin..]) {
            let parsed = serde_json::from_slice(&self.partial[begin..begin + length]);
            let line = self.known.len() + 1;
            self.known.push(parsed.map_err(|cause| DeliveriesError::Line { path: path.clone(), line, cause })?);
            begin += length + 1;
        }
        self.partial.drain(..begin);
        Ok(&self.known)
    }

    fn read_on(&mut self, path: &Path) -> io::Result<()> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        file.seek(SeekFrom::Start(self.read_octets))?;
        self.read_octets += u64::try_from(file.read_to_end(&mut self.partial)?).expect("a file's length");
        Ok(())
    }

    /// The first delivery, old or new, that `wanted` accepts.
    ///
    /// # Errors
    /// [`DeliveriesError::Timeout`] after `deadline`; else as [`Self::all`].
    pub async fn wait_for(
        &mut self,
        wanted: impl Fn(&Delivery) -> bool,
        deadline: Duration,
    ) -> Result<Delivery, DeliveriesError> {
        Ok(self.wait_for_count(1, wanted, deadline).await?.remove(0))
    }

    /// The first `count` deliveries that `wanted` accepts.
    ///
    /// # Errors
    /// [`DeliveriesError::Timeout`] after `deadline`; else as [`Self::all`].
    pub async fn wait_for_count(
        &mut self,
        count: usize,
        wanted: impl Fn(&Delivery) -> bool,
        deadline: Duration,
    ) -> Result<Vec<Delivery>, DeliveriesError> {
        let started = Instant::now();
        loop {
            let all = self.all()?;
            let found: Vec<_> = all.iter().filter(|delivery| wanted(delivery)).take(count).cloned().collect();
            if found.len() == count {
                return Ok(found);
            }
            if started.elapsed() >= deadline {
                return Err(DeliveriesError::Timeout { waited: deadline, seen: all.len() });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The content of one of them, as it was after the dots were unstuffed.
    ///
    /// # Errors
    /// [`DeliveriesError::File`].
    pub fn content(&self, delivery: &Delivery) -> Result<Vec<u8>, DeliveriesError> {
        let path = content_path(&self.directory, delivery);
        std::fs::read(&path).map_err(|cause| DeliveriesError::File { path, cause })
    }
}

/// The value of the first `Message-ID` field, unfolded; only the header is looked at.
pub(crate) fn message_id(content: &[u8]) -> Option<String> {
    let header = memchr::memmem::find(content, b"\r\n\r\n").map_or(content, |end| &content[..end]);
    let header = String::from_utf8_lossy(header).replace("\r\n ", " ").replace("\r\n\t", " ");
    let fields = header.split("\r\n").filter_map(|line| line.split_once(':'));
    let mut values = fields.filter(|(name, _)| name.trim_end().eq_ignore_ascii_case("message-id"));
    values.next().map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(id: u32) -> Delivery {
        Delivery {
            id: id.to_string(),
            host: "mx1.fabrikam.example".to_owned(),
            time_millis: 7,
            peer: "127.0.0.1:25".parse().unwrap(),
            hello: "client.example".to_owned(),
            tls: None,
            user: None,
            sender: String::new(),
            sender_parameters: "SIZE=3".to_owned(),
            recipients: vec![DeliveredTo { address: "Info@fabrikam.example".to_owned(), parameters: String::new() }],
            message_id: None,
            size: 3,
        }
    }

    #[tokio::test]
    async fn a_reader_sees_what_is_written_before_and_after_it_came() {
        let directory = tempfile::tempdir().unwrap();
        let mut reader = Deliveries::in_directory(&directory.path().join("later"));
        assert_eq!(reader.all().unwrap(), []);
        let log = DeliveryLog::open(&directory.path().join("later")).unwrap();
        log.keep(&delivery(1), b"abc").unwrap();
        assert_eq!(reader.all().unwrap(), [delivery(1)]);
        assert!(reader.known[0].is_to(&Address::parse("info@FABRIKAM.example").unwrap()));
        assert_eq!(reader.content(&delivery(1)).unwrap(), b"abc");

        let waiting =
            tokio::spawn(async move { reader.wait_for(|delivery| delivery.id == "2", Duration::from_secs(60)).await });
        drop(log);
        DeliveryLog::open(&directory.path().join("later")).unwrap().keep(&delivery(2), b"").unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), delivery(2));
    }

    #[tokio::test]
    async fn waiting_ends_and_a_strange_line_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let mut reader = Deliveries::in_directory(directory.path());
        let error = reader.wait_for(|_| true, Duration::ZERO).await.unwrap_err();
        assert!(matches!(error, DeliveriesError::Timeout { seen: 0, .. }));
        std::fs::write(directory.path().join(INDEX), "{\"half\"").unwrap();
        assert_eq!(reader.all().unwrap(), []);
        std::fs::write(directory.path().join(INDEX), "{\"half\":1}\n").unwrap();
        assert!(matches!(reader.all().unwrap_err(), DeliveriesError::Line { line: 1, .. }));
    }

    #[test]
    fn the_message_id_is_found_folded_and_in_any_case() {
        let id = |text: &str| message_id(text.as_bytes());
        assert_eq!(id("Subject: x\r\nmessage-ID:\r\n <a@b>\r\n\r\nMessage-ID: <c@d>\r\n"), Some("<a@b>".to_owned()));
        assert_eq!(id("Subject: x\r\n\r\nMessage-ID: <c@d>\r\n"), None);
    }
}
