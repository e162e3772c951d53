//! Asking a service how it is, as its operator does: the other side of [`crate::operations`], plain enough not to need an
//! HTTP client, and the few lines of Prometheus text that a command reads.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Time for one answer. A service that takes longer is not well.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Octets of an answer that are read. The metrics of a service are some ten thousand.
pub const ANSWER_OCTETS_MAX: u64 = 1024 * 1024;

/// What a service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// Of HTTP: 200 is good.
    pub status: u16,
    /// The reason, or the metrics.
    pub body: String,
}

impl ProbeAnswer {
    /// Whether the answer is yes.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.status == 200
    }

    fn parse(text: &str) -> io::Result<Self> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "that is no answer of HTTP");
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(wrong)?;
        let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
        let status = status.and_then(|status| status.parse().ok()).ok_or_else(wrong)?;
        Ok(Self { status, body: body.to_owned() })
    }
}

/// `GET path` of an operations endpoint: `/ready`, `/live` or `/metrics`.
///
/// # Errors
/// Nobody listens there, or there is no answer within [`ANSWER_TIMEOUT`].
pub async fn ask(address: SocketAddr, path: &str) -> io::Result<ProbeAnswer> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        // 1.0, so that nobody chops the answer into chunks.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_OCTETS_MAX).read_to_end(&mut answer).await?;
        ProbeAnswer::parse(&String::from_utf8_lossy(&answer))
    };
    let in_time = tokio::time::timeout(ANSWER_TIMEOUT, asking).await;
    in_time.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
}

/// Why a service is not ready, if it is not, and its metrics, if it gives them.
pub async fn ready(address: SocketAddr) -> (Option<String>, String) {
    let reason = match ask(address, "/ready").await {
        Ok(answer) if answer.is_good() => None,
        Ok(answer) => Some(answer.body.trim_end().to_owned()),
        Err(error) => Some(format!("no answer at {address}: {error}")),
    };
    (reason, ask(address, "/metrics").await.map(|answer| answer.body).unwrap_or_default())
}

/// One series of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<'a> {
    labels: Vec<(&'a str, String)>,
    /// What was measured, in the unit of the catalogue.
    pub number: f64,
}

impl Series<'_> {
    /// What a label says; empty where there is none, which is the same to Prometheus.
    #[must_use]
    pub fn label(&self, key: &str) -> &str {
        self.labels.iter().find(|(label, _)| *label == key).map_or("", |(_, value)| value)
    }
}

/// The series of one metric in a text of Prometheus.
pub fn series<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = Series<'a>> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(inside) => labels(inside)?,
            None => (Vec::new(), rest.strip_prefix(' ')?), // else a longer name
        };
        Some(Series { labels, number: rest.trim().parse().ok()? })
    })
}

/// The labels up to the brace that ends them, and what follows. A value may hold commas, braces and quotes: names of the
/// configuration do.
fn labels(mut text: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (key, rest) = text.split_once("=\"")?;
        let (value, rest) = quoted(rest)?;
        labels.push((key, value));
        text = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// A value up to the quote that ends it, with backslash escapes undone, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "# TYPE postroad_queue_length gauge\n\
        postroad_queue_length{delivery_type=\"Unreachable\",otel_scope_name=\"postroad\"} 2\n\
        postroad_queue_length{otel_scope_name=\"postroad\",delivery_type=\"SmtpRelayToRemote\"} 3\n\
        postroad_queue_length_max 7\npostroad_messages_queued{otel_scope_name=\"postroad\"} 5\nplain 1\n";

    #[test]
    fn a_metric_is_read_with_its_label_and_not_taken_for_one_with_a_longer_name() {
        let numbers = |name| series(METRICS, name).map(|series| series.number).collect::<Vec<_>>();
        let lengths: Vec<_> = series(METRICS, "postroad_queue_length").collect();
        let said: Vec<_> = lengths.iter().map(|series| (series.label("delivery_type"), series.number)).collect();
        assert_eq!(said, [("Unreachable", 2.0), ("SmtpRelayToRemote", 3.0)]);
        assert_eq!(lengths[0].label("none"), "");
        assert_eq!((numbers("postroad_messages_queued"), numbers("plain")), (vec![5.0], vec![1.0]));
        assert!(numbers("postroad_queue").is_empty());
    }

    #[test]
    fn a_label_may_say_anything_that_an_administrator_calls_a_connector() {
        let text = "sent{connector=\"To \\\"a\\\", b} c\\\\\",outcome=\"failed\"} 4\nsent{torn=\"";
        let all: Vec<_> = series(text, "sent").collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].label("connector"), all[0].label("outcome")), ("To \"a\", b} c\\", "failed"));
    }

    #[test]
    fn an_answer_is_a_status_and_a_text() {
        let answer =
            ProbeAnswer::parse("HTTP/1.0 503 Service Unavailable\r\ncontent-length: 9\r\n\r\ndraining\n").unwrap();
        assert_eq!((answer.status, answer.body.as_str(), answer.is_good()), (503, "draining\n", false));
        for wrong in ["", "220 smtp.example\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 good\r\n\r\n"] {
            assert!(ProbeAnswer::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(ask(address, "/ready").await.is_err());
    }
}
