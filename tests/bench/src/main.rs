//! Sends mail over many SMTP sessions at once and says how long each message took, from `MAIL` to the reply after the
//! final dot. Like Postfix's `smtp-source` it waits for every reply, so that a server sees the same load from both.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;
use serde_json::json;

/// A server that does not answer for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Stack of one session's thread.
const STACK_OCTETS: usize = 256 * 1024;

/// Sends mail and prints one JSON object: messages, seconds, and latencies in milliseconds.
#[derive(Parser)]
struct Arguments {
    /// The server.
    to: SocketAddr,
    /// Sessions at once, each kept open.
    #[arg(long, default_value_t = 8)]
    sessions: usize,
    /// Messages in all.
    #[arg(long, default_value_t = 1000)]
    messages: u64,
    /// Octets of each message.
    #[arg(long, default_value_t = 4096)]
    octets: usize,
    #[arg(long, default_value = "sender@bench.example")]
    sender: String,
    #[arg(long, default_value = "recipient@sink.example")]
    recipient: String,
    /// A file with a recipient on each line: the messages go to one after the other, and from the last to the first again.
    #[arg(long, conflicts_with = "recipient")]
    recipients: Option<PathBuf>,
}

impl Arguments {
    fn recipients(&self) -> anyhow::Result<Vec<String>> {
        let Some(path) = &self.recipients else { return Ok(vec![self.recipient.clone()]) };
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let recipients: Vec<String> = text.lines().map(str::to_owned).collect();
        anyhow::ensure!(!recipients.is_empty(), "{} has no line", path.display());
        Ok(recipients)
    }
}

/// What all sessions send.
struct Load {
    messages: u64,
    sender: String,
    recipients: Vec<String>,
    content: Vec<u8>,
    taken: AtomicU64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let load = Arc::new(Load {
        messages: arguments.messages,
        sender: arguments.sender.clone(),
        recipients: arguments.recipients()?,
        content: content(arguments.octets),
        taken: AtomicU64::new(0),
    });
    let mut sessions = Vec::new();
    for _ in 0..arguments.sessions {
        sessions.push(Session::open(arguments.to).context("the server does not talk SMTP")?);
    }
    let started = Instant::now();
    let mut threads = Vec::new();
    for session in sessions {
        let load = Arc::clone(&load);
        let work = move || session.send_share(&load);
        threads.push(thread::Builder::new().stack_size(STACK_OCTETS).spawn(work)?);
    }
    let mut latencies = Vec::new();
    for thread in threads {
        latencies.extend(thread.join().expect("a session does not panic")?);
    }
    let seconds = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |share: f64| {
        let rank = (latencies.len() as f64 * share).ceil() as usize;
        latencies.get(rank.saturating_sub(1)).map(|latency| latency.as_secs_f64() * 1000.0)
    };
    let result = json!({
        "messages": latencies.len(), "seconds": seconds,
        "p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": at(1.0),
    });
    println!("{result}");
    Ok(())
}

/// A header and lines of usual length, with the final dot.
fn content(octets: usize) -> Vec<u8> {
    let mut content = b"Subject: load\r\nFrom: <sender@bench.example>\r\n\r\n".to_vec();
    let line = b"The quick brown fox jumps over the lazy dog and waits there for a reply.\r\n";
    while content.len() < octets {
        content.extend_from_slice(line);
    }
    content.truncate(octets.saturating_sub(2).max(50));
    content.extend_from_slice(b"\r\n.\r\n");
    content
}

/// One session.
struct Session {
    input: BufReader<TcpStream>,
    output: TcpStream,
    line: String,
}

impl Session {
    fn open(to: SocketAddr) -> anyhow::Result<Self> {
        let output = TcpStream::connect(to)?;
        output.set_nodelay(true)?;
        output.set_read_timeout(Some(PATIENCE))?;
        let input = BufReader::new(output.try_clone()?);
        let mut session = Self { input, output, line: String::new() };
        session.expect(b'2')?;
        session.say(b"EHLO load.example\r\n", b'2')?;
        Ok(session)
    }

    /// Sends messages until all sessions together have sent enough. Gives how long each took.
    fn send_share(mut self, load: &Load) -> anyhow::Result<Vec<Duration>> {
        let mail = format!("MAIL FROM:<{}>\r\n", load.sender);
        let mut latencies = Vec::new();
        loop {
            let number = load.taken.fetch_add(1, Ordering::Relaxed);
            if number >= load.messages {
                break;
            }
            let recipient = &load.recipients[usize::try_from(number)? % load.recipients.len()];
            let rcpt = format!("RCPT TO:<{recipient}>\r\n");
            let started = Instant::now();
            self.say(mail.as_bytes(), b'2')?;
            self.say(rcpt.as_bytes(), b'2')?;
            self.say(b"DATA\r\n", b'3')?;
            self.say(&load.content, b'2')?;
            latencies.push(started.elapsed());
        }
        self.say(b"QUIT\r\n", b'2')?;
        Ok(latencies)
    }

    fn say(&mut self, octets: &[u8], expected: u8) -> anyhow::Result<()> {
        self.output.write_all(octets)?;
        self.expect(expected)
    }

    /// Reads a reply to its last line.
    fn expect(&mut self, class: u8) -> anyhow::Result<()> {
        loop {
            self.line.clear();
            if self.input.read_line(&mut self.line)? == 0 {
                bail!("the server hung up");
            }
            match self.line.as_bytes() {
                [first, _, _, b'-', ..] if *first == class => {}
                [first, ..] if *first == class => return Ok(()),
                _ => bail!("the server said {:?}", self.line.trim_end()),
            }
        }
    }
}
