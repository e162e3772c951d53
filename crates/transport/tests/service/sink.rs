//! A host outside that speaks SMTP: it answers by the first word of a recipient, keeps what it takes, and misbehaves on
//! request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use testkit::until;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// What the sink does once at the end of a message instead of taking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `421` in place of the answer to `MAIL FROM`, then the end.
    Goes,
    /// The end, right after the dot: it may have the message.
    HangsUp,
    /// `550 5.7.1` to `MAIL FROM`.
    Refuses,
    /// `452 4.3.1` to `MAIL FROM`: no room for anybody's mail; the session goes on.
    Busy,
}

/// A message that the sink took.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub recipients: Vec<String>,
    pub content: String,
}

pub(crate) struct Sink {
    pub address: SocketAddr,
    pub connections: AtomicUsize,
    /// Keywords of its reply to `EHLO`, separated by commas.
    offers: &'static str,
    taken: Mutex<Vec<Taken>>,
    /// Recipients named, refused ones too.
    asked: Mutex<Vec<String>>,
    faults: Mutex<Vec<Fault>>,
    /// A permit for each message that may be taken.
    pub patience: Semaphore,
}

impl Sink {
    pub(crate) async fn serve() -> Arc<Self> {
        Self::offering("").await
    }

    /// One that offers extensions.
    pub(crate) async fn offering(offers: &'static str) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            connections: AtomicUsize::new(0),
            offers,
            taken: Mutex::default(),
            asked: Mutex::default(),
            faults: Mutex::default(),
            patience: Semaphore::new(1000),
        });
        let serving = Arc::clone(&sink);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Ordering::SeqCst);
                let sink = Arc::clone(&serving);
                tokio::spawn(async move { sink.session(stream).await });
            }
        });
        sink
    }

    /// A Send connector for everything outside that leads here.
    pub(crate) fn connector(&self) -> String {
        format!(
            "sendConnectors:\n  - {{name: Out, addressSpaces: ['*'], sourceTransportServers: [MAIL1], \
             dnsRoutingEnabled: false, smartHosts: ['127.0.0.1'], port: {}}}\n",
            self.address.port()
        )
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.faults.lock().push(fault);
    }

    /// How often a recipient was named.
    pub(crate) fn asked(&self, recipient: &str) -> usize {
        self.asked.lock().iter().filter(|asked| *asked == recipient).count()
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.taken.lock().clone()
    }

    /// Waits for so many messages for a recipient.
    pub(crate) async fn arrived(&self, recipient: &str, count: usize) -> Vec<Taken> {
        until(&format!("{count} messages for {recipient}"), async || {
            let taken = self.taken().into_iter();
            let taken: Vec<_> = taken.filter(|taken| taken.recipients.iter().any(|one| one == recipient)).collect();
            (taken.len() >= count).then_some(taken)
        })
        .await
    }

    fn fault(&self, wanted: Fault) -> bool {
        let mut faults = self.faults.lock();
        let found = faults.iter().position(|fault| *fault == wanted);
        found.map(|at| faults.remove(at)).is_some()
    }

    async fn session(&self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 sink.example\r\n").await.ok()?;
        let mut recipients = Vec::new();
        loop {
            let line = read_line(&mut stream).await?;
            let verb = line.trim_end().split([' ', ':']).next().unwrap_or_default().to_uppercase();
            let answer = match verb.as_str() {
                "MAIL" if self.fault(Fault::Goes) => {
                    let _ = stream.write_all(b"421 4.3.2 going away\r\n").await;
                    return None;
                }
                "EHLO" if !self.offers.is_empty() => {
                    let offers = self.offers.split(',').map(|keyword| format!("250-{keyword}\r\n"));
                    format!("250-sink.example\r\n{}250 HELP", offers.collect::<String>())
                }
                "MAIL" if self.fault(Fault::Refuses) => "550 5.7.1 not from you".to_owned(),
                "MAIL" if self.fault(Fault::Busy) => "452 4.3.1 Insufficient system storage".to_owned(),
                "MAIL" => {
                    recipients.clear();
                    "250 2.1.0 fine".to_owned()
                }
                "RCPT" => self.recipient(&line, &mut recipients),
                "DATA" if recipients.is_empty() => "554 5.5.1 nobody wants it".to_owned(),
                "DATA" => {
                    stream.write_all(b"354 go ahead\r\n").await.ok()?;
                    let mut content = String::new();
                    loop {
                        match read_line(&mut stream).await?.as_str() {
                            ".\r\n" => break,
                            line => content.push_str(line.strip_prefix('.').unwrap_or(line)),
                        }
                    }
                    if self.fault(Fault::HangsUp) {
                        return None;
                    }
                    self.patience.acquire().await.unwrap().forget();
                    self.taken.lock().push(Taken { recipients: std::mem::take(&mut recipients), content });
                    "250 2.0.0 taken".to_owned()
                }
                "QUIT" => {
                    let _ = stream.write_all(b"221 2.0.0 bye\r\n").await;
                    return None;
                }
                _ => "250 sink.example".to_owned(),
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        }
    }

    /// `later…` is deferred when it is named first, `never…` always refused.
    fn recipient(&self, line: &str, recipients: &mut Vec<String>) -> String {
        let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let is_first = self.asked(&address) == 0;
        self.asked.lock().push(address.clone());
        if address.starts_with("never") {
            return "550 5.1.1 no such person".to_owned();
        }
        if address.starts_with("later") && is_first {
            return "450 4.2.0 come again".to_owned();
        }
        recipients.push(address);
        "250 2.1.5 fine".to_owned()
    }
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let count = stream.read_line(&mut line).await.ok()?;
    (count > 0).then_some(line)
}
