//! [`Session`]: an SMTP client that does what it is told, octet by octet, and is not surprised to be hung up on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use net::tls::TrustedRoots;
use net::{Stream, TlsClient, Verification};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

/// A server that says nothing for so long, and does not hang up either, hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A reply.
#[derive(Clone, Debug)]
pub(in crate::soak) struct Answer {
    pub code: u16,
    /// With all its lines.
    pub text: String,
}

impl Answer {
    pub(in crate::soak) fn is_good(&self) -> bool {
        (200..400).contains(&self.code)
    }
}

/// One connection.
pub(in crate::soak) struct Session {
    stream: Stream,
    unread: Vec<u8>,
    /// Said when the server hangs.
    name: String,
}

impl Session {
    /// Connects, and waits for nothing. When `abrupt`, the end of the connection is a reset.
    pub(in crate::soak) async fn connect(
        name: &str,
        to: SocketAddr,
        source: Ipv4Addr,
        abrupt: bool,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        if abrupt {
            socket.set_zero_linger()?;
        }
        let stream = Stream::plain(socket.connect(to).await?)?;
        Ok(Self { stream, unread: Vec::new(), name: name.to_owned() })
    }

    pub(in crate::soak) async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let written = async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        };
        in_time(&self.name, written).await
    }

    /// The next reply.
    pub(in crate::soak) async fn answer(&mut self) -> io::Result<Answer> {
        let mut text = String::new();
        loop {
            let Some(end) = self.unread.iter().position(|octet| *octet == b'\n') else {
                if in_time(&self.name, self.stream.read_buf(&mut self.unread)).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                continue;
            };
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let code = line.get(..3).and_then(|code| code.parse().ok()).filter(|code| (200..600).contains(code));
            let code: u16 = code.unwrap_or_else(|| panic!("{}: that is no reply: {line:?}", self.name));
            text.push_str(&line);
            if line.as_bytes().get(3) == Some(&b' ') {
                return Ok(Answer { code, text });
            }
        }
    }

    /// Sends a line and waits for the reply.
    pub(in crate::soak) async fn say(&mut self, line: impl AsRef<[u8]>) -> io::Result<Answer> {
        self.write(&[line.as_ref(), b"\r\n"].concat()).await?;
        self.answer().await
    }

    /// The same, where going on makes no sense unless the server agrees.
    pub(super) async fn agree(&mut self, line: impl AsRef<[u8]>) -> io::Result<Answer> {
        agreed(self.say(line).await?)
    }

    /// Waits for the banner and says EHLO.
    pub(in crate::soak) async fn greet(&mut self) -> io::Result<Answer> {
        agreed(self.answer().await?)?;
        self.agree("EHLO evil.example").await
    }

    /// STARTTLS, whatever the certificate, and EHLO again.
    pub(super) async fn encrypt(mut self) -> io::Result<Self> {
        self.agree("STARTTLS").await?;
        let mut session = self.handshake().await?;
        session.agree("EHLO evil.example").await?;
        Ok(session)
    }

    /// The handshake alone.
    pub(super) async fn handshake(self) -> io::Result<Self> {
        let host = "evil.example".parse().unwrap();
        let client = TlsClient::new(TrustedRoots::none());
        let shaking = async { client.connect(self.stream, &host, &Verification::None).await.map_err(io::Error::other) };
        let (stream, _) = in_time(&self.name, shaking).await?;
        Ok(Self { stream, unread: self.unread, name: self.name })
    }

    /// Sends everything without listening, ends its side of the connection, and gives all that was said, and whether the
    /// connection ended in order: after a reset more may have been said than was heard.
    pub(super) async fn blurt(self, octets: &[u8]) -> (String, bool) {
        let Self { stream, unread: mut heard, name } = self;
        let (mut reading, mut writing) = tokio::io::split(stream);
        let talking = async {
            writing.write_all(octets).await?;
            writing.shutdown().await
        };
        let both = async {
            let (read, written) = tokio::join!(reading.read_to_end(&mut heard), talking);
            Ok(read.is_ok() && written.is_ok())
        };
        let in_order = in_time(&name, both).await.unwrap_or(false);
        (String::from_utf8_lossy(&heard).into_owned(), in_order)
    }
}

fn agreed(answer: Answer) -> io::Result<Answer> {
    if answer.is_good() { Ok(answer) } else { Err(io::Error::other(answer.text)) }
}

async fn in_time<T>(name: &str, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.unwrap_or_else(|_| panic!("{name}: the server neither answers nor hangs up"))
}
