//! Hosts outside that do not behave: what they do at which step, and what becomes of mail with one of them and with a good
//! host after it, by a session of Transport's own and through a front end. `docs/interoperability.md` shows the table.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use envelope::{Address, BodyType, Domain, Envelope, Recipient, ReversePath, Severity};
use net::tls::ClientCertificates;
use net::{KeyedCertificate, Listener, Stream, TlsServer};
use parking_lot::Mutex;
use rpc::OpenError;
use sending::{ContentSource, Delivered, Errand, Opened, deliver};
use smtp::{Failure, OutboundSession};
use testkit::dns::{self, Record};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::both_ways::Ways;
use crate::support::{self, Scene};

/// What a host offers, and how it misbehaves: `RCPT=450 4.2.0 Later` answers so, `RCPT=` hangs up.
#[derive(Clone, Copy, Debug)]
struct Odd {
    offers: &'static str,
    does: &'static str,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mail {
    Plain,
    /// ASCII, submitted with BODY=8BITMIME and SMTPUTF8 as many clients do.
    Flagged,
    EightBit,
    /// Larger than what is sent from memory, and of seven bits.
    LargeFlagged,
    LargeEightBit,
    Signed,
    Utf8Recipient,
    ULabel,
    Seventeen,
}

/// Name of the case, the host, the message; what becomes of it with this host alone, and with a good one after it.
type Case = (&'static str, Odd, Mail, &'static str, &'static str);

const ALL: &str = "PIPELINING 8BITMIME SMTPUTF8 CHUNKING";
/// What the good host offers where TLS is required.
const ALL_AND_TLS: &str = "PIPELINING 8BITMIME SMTPUTF8 CHUNKING STARTTLS";

/// What a connector wants beside what all want.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Usual,
    RequireTls,
    Impatient,
}

impl Manner {
    const ALL: [Self; 3] = [Self::Usual, Self::RequireTls, Self::Impatient];

    const fn properties(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::RequireTls => ", requireTLS: true",
            Self::Impatient => ", connectionInactivityTimeOut: '00:00:01'",
        }
    }
}

/// Whom a message is sent to.
#[derive(Clone, Copy, Debug)]
enum To {
    /// The exchangers of this domain.
    Mx(&'static str),
    /// `a` alone, or `a` and then `b`, as smart hosts.
    SmartHosts(usize),
}

impl To {
    fn connector(self, manner: Manner) -> String {
        match self {
            Self::Mx(_) => format!("{manner:?} by MX"),
            Self::SmartHosts(count) => format!("{manner:?} by {count} smart hosts"),
        }
    }
}

/// Every way to `a` alone, and every way to both.
const ALONE: [To; 2] = [To::Mx("one.test"), To::SmartHosts(1)];
const WITH_ANOTHER: [To; 2] = [To::Mx("two.test"), To::SmartHosts(2)];

const fn odd(does: &'static str) -> Odd {
    Odd { offers: "PIPELINING", does }
}

const fn offers(offers: &'static str) -> Odd {
    Odd { offers, does: "" }
}

const CASES: [Case; 37] = [
    ("behaves", odd(""), Mail::Plain, "a", "a"),
    ("greets with 554", odd("banner=554 5.7.1 No"), Mail::Plain, "waits: banner: 554 5.7.1 No", "b"),
    ("greets with 421", odd("banner=421 4.3.2 Busy"), Mail::Plain, "waits: banner: 421 4.3.2 Busy", "b"),
    ("hangs up at once", odd("banner="), Mail::Plain, "waits: banner: ", "b"),
    ("EHLO 421", odd("EHLO=421 4.3.2 Busy"), Mail::Plain, "waits: EHLO: 421 4.3.2 Busy", "b"),
    ("knows HELO only", odd("EHLO=502 What"), Mail::Plain, "a", "a"),
    ("STARTTLS 454", Odd { offers: "STARTTLS", does: "STARTTLS=454 4.7.0 Not now" }, Mail::Plain, "a", "a"),
    ("STARTTLS hangs up", Odd { offers: "STARTTLS", does: "STARTTLS=" }, Mail::Plain, "a", "a"),
    ("no handshake after 220", Odd { offers: "STARTTLS", does: "handshake=" }, Mail::Plain, "a", "a"),
    ("hangs up after the handshake", Odd { offers: "STARTTLS", does: "tls=" }, Mail::Plain, "a", "a"),
    ("MAIL 421", odd("MAIL=421 4.3.2 Busy"), Mail::Plain, "waits: MAIL: 421 4.3.2 Busy", "b"),
    ("MAIL 451", odd("MAIL=451 4.3.0 Later"), Mail::Plain, "waits: MAIL: 451 4.3.0 Later", "b"),
    ("MAIL 550", odd("MAIL=550 5.7.1 No"), Mail::Plain, "bounces: MAIL: 550 5.7.1 No", "bounces: MAIL: 550 5.7.1 No"),
    ("MAIL hangs up", odd("MAIL="), Mail::Plain, "waits: MAIL: ", "b"),
    ("RCPT 450", odd("RCPT=450 4.2.0 Later"), Mail::Plain, "waits: RCPT: 450 4.2.0 Later", "b"),
    (
        "RCPT 550",
        odd("RCPT=550 5.1.1 Who"),
        Mail::Plain,
        "bounces: RCPT: 550 5.1.1 Who",
        "bounces: RCPT: 550 5.1.1 Who",
    ),
    ("RCPT hangs up", odd("RCPT="), Mail::Plain, "waits: RCPT: ", "b"),
    ("RCPT 452 for all", odd("RCPT=452 4.5.3 Full"), Mail::Plain, "waits: RCPT: 452 4.5.3 Full", "b"),
    ("takes five at a time", odd("five=452 4.5.3 Too many recipients"), Mail::Seventeen, "a*4", "a*4"),
    ("takes five and hangs up", odd("five=452 4.5.3 Too many recipients,taken="), Mail::Seventeen, "a*4", "a*4"),
    ("DATA 451", odd("DATA=451 4.3.0 Later"), Mail::Plain, "waits: DATA: 451 4.3.0 Later", "b"),
    ("DATA 554", odd("DATA=554 5.6.0 No"), Mail::Plain, "bounces: DATA: 554 5.6.0 No", "bounces: DATA: 554 5.6.0 No"),
    ("DATA hangs up", odd("DATA="), Mail::Plain, "waits: DATA: ", "b"),
    ("content 451", odd("dot=451 4.3.0 Disk"), Mail::Plain, "waits: end of data: 451 4.3.0 Disk", "b"),
    (
        "content 554",
        odd("dot=554 5.7.1 Spam"),
        Mail::Plain,
        "bounces: end of data: 554 5.7.1 Spam",
        "bounces: end of data: 554 5.7.1 Spam",
    ),
    ("hangs up after the content", odd("dot="), Mail::Plain, "waits: end of data: ", "b"),
    ("refuses BDAT", Odd { offers: "PIPELINING CHUNKING", does: "BDAT=500 5.5.1 What" }, Mail::Plain, "a", "a"),
    ("ends replies in a bare LF", odd("bare"), Mail::Plain, "a", "a"),
    ("no 8BITMIME, no SMTPUTF8", odd(""), Mail::Flagged, "a", "a"),
    ("no 8BITMIME, no SMTPUTF8", odd(""), Mail::LargeFlagged, "a", "a"),
    ("no 8BITMIME", odd(""), Mail::EightBit, "a as 7 bits", "a as 7 bits"),
    ("no 8BITMIME", odd(""), Mail::LargeEightBit, "a as 7 bits", "a as 7 bits"),
    ("8BITMIME", offers(ALL), Mail::EightBit, "a as 8 bits", "a as 8 bits"),
    ("no 8BITMIME", odd(""), Mail::Signed, "bounces: MAIL: 550 5.6.3 ", "b as 8 bits"),
    ("no SMTPUTF8", odd(""), Mail::Utf8Recipient, "bounces: MAIL: 550 5.6.7 ", "b"),
    ("no SMTPUTF8", odd(""), Mail::ULabel, "a", "a"),
    ("too small", offers("SIZE 10"), Mail::Plain, "bounces: MAIL: 550 5.3.4 ", "b"),
];

/// Connectors with `requireTLS`: nothing leaves in clear.
const TLS_CASES: [Case; 6] = [
    ("behaves", offers("STARTTLS"), Mail::Plain, "a", "a"),
    ("no STARTTLS", odd(""), Mail::Plain, "waits: STARTTLS: 454 4.7.5 ", "b"),
    (
        "STARTTLS 454",
        Odd { offers: "STARTTLS", does: "STARTTLS=454 4.7.0 Not now" },
        Mail::Plain,
        "waits: STARTTLS: 454 4.7.0 Not now",
        "b",
    ),
    ("STARTTLS hangs up", Odd { offers: "STARTTLS", does: "STARTTLS=" }, Mail::Plain, "waits: STARTTLS: ", "b"),
    (
        "no handshake after 220",
        Odd { offers: "STARTTLS", does: "handshake=" },
        Mail::Plain,
        "waits: TLS handshake: ",
        "b",
    ),
    ("hangs up after the handshake", Odd { offers: "STARTTLS", does: "tls=" }, Mail::Plain, "waits: EHLO: ", "b"),
];

/// A reply has its time as a whole, however many letters of it have come.
const SLOW_CASES: [Case; 2] = [
    ("greets one letter at a time", odd("letters=2"), Mail::Plain, "waits: banner: 451 4.4.2 ", "b"),
    ("answers RCPT one letter at a time", odd("letters=RCPT"), Mail::Plain, "waits: RCPT: 451 4.4.2 ", "b"),
];

impl Mail {
    pub(crate) fn recipients(self) -> Vec<String> {
        match self {
            Self::Utf8Recipient => vec!["jörg@fabrikam.com".to_owned()],
            Self::ULabel => vec!["bob@müller.example".to_owned()],
            Self::Seventeen => (1..=17).map(|number| format!("r{number}@fabrikam.com")).collect(),
            _ => vec!["bob@fabrikam.com".to_owned()],
        }
    }

    pub(crate) fn envelope(self) -> Envelope {
        let recipient = |text: &String| Recipient::new(Address::parse(text).unwrap());
        let recipients = self.recipients().iter().map(recipient).collect();
        let mut envelope = Envelope::new(ReversePath::parse("ann@contoso.com").unwrap(), recipients);
        if matches!(self, Self::Flagged | Self::LargeFlagged | Self::EightBit | Self::LargeEightBit | Self::Signed) {
            envelope.body = BodyType::EightBitMime;
        }
        envelope.smtputf8 = matches!(self, Self::Flagged | Self::LargeFlagged);
        envelope
    }

    fn content(self) -> String {
        let head = "Subject: x\r\nMIME-Version: 1.0\r\n";
        match self {
            Self::EightBit | Self::LargeEightBit => {
                let text = "Grüße\r\n".repeat(if matches!(self, Self::EightBit) { 1 } else { 60_000 });
                format!(
                    "{head}Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}"
                )
            }
            Self::LargeFlagged => format!("{head}\r\n{}", "Body\r\n".repeat(60_000)),
            Self::Signed => {
                let signed =
                    "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n--b\r\n\r\nsignature\r\n--b--\r\n";
                format!("{head}Content-Type: multipart/signed; boundary=b\r\n\r\n{signed}")
            }
            _ => format!("{head}\r\nBody\r\n"),
        }
    }

    fn is_large(self) -> bool {
        matches!(self, Self::LargeFlagged | Self::LargeEightBit)
    }
}

/// As Transport reads its spool.
pub(crate) struct Content(pub(crate) Mail);

#[async_trait::async_trait]
impl ContentSource for Content {
    async fn open(&mut self) -> std::io::Result<Opened> {
        let content = self.0.content().into_bytes();
        Ok(if self.0.is_large() {
            Opened::Streamed { size: content.len() as u64, reader: Box::new(std::io::Cursor::new(content)) }
        } else {
            Opened::Whole(content.into())
        })
    }
}

/// One transaction that a host took.
struct Took {
    recipients: Vec<String>,
    eight_bits: bool,
}

/// A host of this name, at one address of loopback.
struct Host {
    name: &'static str,
    odd: Mutex<Odd>,
    took: Mutex<Vec<Took>>,
    tls: TlsServer,
}

impl Host {
    async fn serve(name: &'static str, at: SocketAddr, certificate: &KeyedCertificate) -> (Arc<Self>, SocketAddr) {
        let tls = TlsServer::new(certificate, ClientCertificates::Ignored).unwrap();
        let host = Arc::new(Self { name, odd: Mutex::new(offers(ALL)), took: Mutex::default(), tls });
        let listener = net::listen(at).unwrap();
        let address = listener.local();
        tokio::spawn(accept(Arc::clone(&host), listener));
        (host, address)
    }

    /// What it says instead of what would be usual; an empty word is that it hangs up.
    fn instead(&self, step: &str) -> Option<&'static str> {
        let does = self.odd.lock().does;
        does.split(',').find_map(|one| one.strip_prefix(step)?.strip_prefix('='))
    }
}

async fn accept(host: Arc<Host>, listener: Listener) {
    while let Ok(stream) = listener.accept().await {
        let host = Arc::clone(&host);
        // A client that hangs up is what some cases are about.
        tokio::spawn(async move { drop(Session { host, under_tls: false }.run(stream).await) });
    }
}

struct Session {
    host: Arc<Host>,
    under_tls: bool,
}

impl Session {
    async fn run(mut self, stream: Stream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let banner = self.host.instead("banner").unwrap_or("220 here");
        if self.host.instead("letters") == Some("2") {
            return one_letter_at_a_time(&mut stream, banner).await;
        }
        if !self.say(&mut stream, banner).await? {
            return Ok(());
        }
        let (mut recipients, mut in_transaction): (Vec<String>, bool) = (Vec::new(), false);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let (line, verb) = (line.trim_end(), line.get(..4).unwrap_or_default().to_ascii_uppercase());
            let verb = if verb == "STAR" { "STARTTLS".to_owned() } else { verb };
            let instead = self.host.instead(&verb);
            if self.host.instead("letters") == Some(verb.as_str()) {
                return one_letter_at_a_time(&mut stream, "250 ok").await;
            }
            let full = self.host.instead("five").filter(|_| verb == "RCPT" && recipients.len() >= 5);
            if let Some(reply) = instead.or(full) {
                // Whoever does not know BDAT takes its content for commands.
                if !self.say(&mut stream, reply).await? {
                    return Ok(());
                }
                continue;
            }
            let reply = match verb.as_str() {
                "EHLO" => self.hello(),
                "STARTTLS" => {
                    self.say(&mut stream, "220 go").await?;
                    match self.secure(stream.into_inner()).await {
                        Some(secured) => stream = BufReader::new(secured),
                        None => return Ok(()),
                    }
                    continue;
                }
                "RCPT" if !in_transaction => "503 MAIL first".to_owned(),
                "DATA" if recipients.is_empty() => "503 RCPT first".to_owned(),
                "RCPT" => {
                    recipients.push(line.to_owned());
                    "250 ok".to_owned()
                }
                "MAIL" | "RSET" => {
                    recipients.clear();
                    in_transaction = verb == "MAIL";
                    "250 ok".to_owned()
                }
                "DATA" | "BDAT" => {
                    let content = self.content(&mut stream, line).await?;
                    let reply = self.host.instead("dot").unwrap_or("250 taken");
                    if reply.starts_with("250") {
                        let recipients = std::mem::take(&mut recipients);
                        self.host.took.lock().push(Took { recipients, eight_bits: !content.is_ascii() });
                    }
                    self.say(&mut stream, reply).await?;
                    if reply.is_empty() || self.host.instead("taken").is_some() {
                        return Ok(());
                    }
                    continue;
                }
                _ => "250 ok".to_owned(),
            };
            self.say(&mut stream, &reply).await?;
        }
    }

    fn hello(&self) -> String {
        let offers = self.host.odd.lock().offers;
        let usable = offers
            .split("  ")
            .flat_map(|part| if part.starts_with("SIZE") { vec![part] } else { part.split(' ').collect() });
        let lines: String = usable
            .filter(|keyword| !(self.under_tls && *keyword == "STARTTLS"))
            .map(|keyword| format!("250-{keyword}\r\n"))
            .collect();
        format!("250-here\r\n{lines}250 HELP")
    }

    async fn secure(&mut self, stream: Stream) -> Option<Stream> {
        if self.host.instead("handshake").is_some() {
            return None;
        }
        let (stream, _) = self.host.tls.accept(stream).await.ok()?;
        self.under_tls = true;
        self.host.instead("tls").is_none().then_some(stream)
    }

    async fn content(&self, stream: &mut BufReader<Stream>, command: &str) -> std::io::Result<Vec<u8>> {
        if let Some(size) = command.split(' ').nth(1).filter(|_| command.starts_with("BDAT")) {
            let mut content = vec![0; size.parse().unwrap()];
            stream.read_exact(&mut content).await?;
            return Ok(content);
        }
        self.say(stream, "354 go").await?;
        let mut content = Vec::new();
        loop {
            let mut line = Vec::new();
            if stream.read_until(b'\n', &mut line).await? == 0 || line == b".\r\n" {
                return Ok(content);
            }
            content.extend(line);
        }
    }

    /// Gives whether it goes on.
    async fn say(&self, stream: &mut BufReader<Stream>, reply: &str) -> std::io::Result<bool> {
        if reply.is_empty() {
            return Ok(false);
        }
        let end = if self.host.odd.lock().does == "bare" { "\n" } else { "\r\n" };
        stream.write_all(format!("{reply}{end}").replace("\r\n", end).as_bytes()).await?;
        stream.flush().await?;
        Ok(!reply.starts_with("421"))
    }
}

/// Never comes to the end of its reply; the client hangs up at some time.
async fn one_letter_at_a_time(stream: &mut BufReader<Stream>, reply: &str) -> std::io::Result<()> {
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(100));
    for letter in reply.bytes().chain(std::iter::repeat(b'.')) {
        pace.tick().await;
        stream.write_all(&[letter]).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// The organization, two hosts outside, and the DNS that knows them.
struct Stage {
    scene: Scene,
    ways: Ways,
    a: Arc<Host>,
    b: Arc<Host>,
}

impl Stage {
    async fn new() -> Self {
        let scene = Scene::new(&[]).await;
        let certificate = support::certificate(&scene.world, "elsewhere", "mx.fabrikam.com");
        let ways = Ways::new(&scene).await;
        let (a, address) = Host::serve("a", (Ipv4Addr::new(127, 0, 0, 2), 0).into(), &certificate).await;
        let (b, _) = Host::serve("b", (Ipv4Addr::new(127, 0, 0, 3), address.port()).into(), &certificate).await;
        let mut table = vec![
            ("one.test", Record::Mx(10, "a.test")),
            ("two.test", Record::Mx(10, "a.test")),
            ("two.test", Record::Mx(20, "b.test")),
            ("after-dead.test", Record::Mx(10, "dead.test")),
            ("after-dead.test", Record::Mx(20, "b.test")),
            ("a.test", Record::A(Ipv4Addr::new(127, 0, 0, 2))),
            ("b.test", Record::A(Ipv4Addr::new(127, 0, 0, 3))),
            ("dead.test", Record::A(Ipv4Addr::new(127, 0, 0, 99))),
            ("many.test", Record::Mx(99, "b.test")),
            ("ours.test", Record::Mx(10, "mail2.contoso.com")),
            ("backup.test", Record::Mx(10, "dead.test")),
            ("backup.test", Record::Mx(20, "mail1.contoso.com")),
            ("backup.test", Record::Mx(30, "b.test")),
            ("better.test", Record::Mx(10, "a.test")),
            ("better.test", Record::Mx(20, "mail1.contoso.com")),
            ("mx-alias.test", Record::Mx(10, "alias.test")),
            ("alias.test", Record::Cname("a.test")),
            ("domain-alias.test", Record::Cname("one.test")),
        ];
        const DEAD: [&str; 12] = [
            "d1.test", "d2.test", "d3.test", "d4.test", "d5.test", "d6.test", "d7.test", "d8.test", "d9.test",
            "d10.test", "d11.test", "d12.test",
        ];
        for (number, name) in (1..).zip(DEAD) {
            table.push(("many.test", Record::Mx(u16::from(number), name)));
            table.push((name, Record::A(Ipv4Addr::new(127, 0, 1, number))));
        }
        let servers = format!(", transport: {{internalDNSServers: ['{}']}}", dns::serve(&table).await);
        ways.configure(&scene, &servers, &connectors(address.port())).await;
        Self { scene, ways, a, b }
    }

    async fn open(&self, manner: Manner, to: To, proxied: bool) -> Result<Box<dyn OutboundSession>, Box<Failure>> {
        let (tables, name) = (self.ways.node.tables(), to.connector(manner));
        let connectors = tables.organization().send_connectors();
        let connector = connectors.iter().find(|connector| connector.name.as_str() == name).unwrap();
        let domain = match to {
            To::Mx(domain) => Some(Domain::parse(domain).unwrap()),
            To::SmartHosts(_) => None,
        };
        let errand = Errand { connector, domain: domain.as_ref(), turn: 0 };
        if !proxied {
            return Ok(Box::new(self.ways.direct.open(errand).await?));
        }
        let request = self.ways.direct.request(&tables, errand)?;
        match self.ways.front_ends.open(&self.ways.at, &request).await {
            Ok(session) => Ok(Box::new(session)),
            Err(OpenError::Session(failure)) => Err(failure),
            Err(error) => panic!("{error}"),
        }
    }

    /// What becomes of a message, in words.
    async fn send(&self, mail: Mail, domain: &'static str, proxied: bool) -> String {
        self.send_to(mail, Manner::Usual, To::Mx(domain), proxied).await
    }

    async fn send_to(&self, mail: Mail, manner: Manner, to: To, proxied: bool) -> String {
        let mut session = match self.open(manner, to, proxied).await {
            Ok(session) => session,
            Err(failure) => return in_words(&failure),
        };
        let Delivered { recipients, reusable, .. } =
            deliver(session.as_mut(), &mail.envelope(), &mut Content(mail)).await;
        assert_eq!(recipients.len(), mail.recipients().len());
        if reusable {
            session.close().await;
        }
        let failed = recipients.iter().find_map(|result| result.as_ref().err());
        let mut words = Vec::new();
        for host in [&self.a, &self.b] {
            let took = std::mem::take(&mut *host.took.lock());
            for one in &took {
                assert!(
                    one.recipients.iter().all(|line| line.is_ascii() || matches!(mail, Mail::Utf8Recipient)),
                    "{:?}",
                    one.recipients
                );
            }
            let times = if took.len() > 1 { format!("*{}", took.len()) } else { String::new() };
            let content_matters = matches!(mail, Mail::EightBit | Mail::LargeEightBit | Mail::Signed);
            let form = match took.first() {
                Some(one) if content_matters => {
                    if one.eight_bits {
                        " as 8 bits"
                    } else {
                        " as 7 bits"
                    }
                }
                _ => "",
            };
            if !took.is_empty() {
                words.push(format!("{}{times}{form}", host.name));
            }
        }
        words.extend(failed.map(in_words));
        words.join(" and ")
    }
}

/// A connector for each manner and each way; the first is what the test of the properties uses.
fn connectors(port: u16) -> String {
    let mut all = vec![format!("port: {port}")];
    for manner in Manner::ALL {
        for (to, hosts) in [(To::Mx(""), ""), (To::SmartHosts(1), "a.test"), (To::SmartHosts(2), "a.test, b.test")] {
            let by = if hosts.is_empty() { String::new() } else { format!(", smartHosts: [{hosts}]") };
            all.push(format!(
                "name: {}, addressSpaces: ['c{}.test'], sourceTransportServers: [MAIL1], port: {port}{by}{}",
                to.connector(manner),
                all.len(),
                manner.properties()
            ));
        }
    }
    all.join("}\n  - {")
}

pub(crate) fn in_words(failure: &Failure) -> String {
    let what = if failure.severity == Severity::Permanent { "bounces" } else { "waits" };
    format!("{what}: {}: {}", failure.phase, failure.as_reply())
}

/// Each case directly and through a front end, by MX and by smart hosts, alone and with a good host after it.
async fn check(stage: &Stage, manner: Manner, cases: &[Case]) {
    let mut wrong = Vec::new();
    for (name, odd, mail, alone, with_another) in cases {
        *stage.a.odd.lock() = *odd;
        let ways = ALONE.map(|to| (to, *alone)).into_iter().chain(WITH_ANOTHER.map(|to| (to, *with_another)));
        for (to, expected) in ways {
            for proxied in [false, true] {
                let became = stage.send_to(*mail, manner, to, proxied).await;
                let fits = if expected.ends_with(' ') { became.starts_with(expected) } else { became == expected };
                if !fits {
                    wrong.push(format!("{name}, {mail:?}, {to:?}, proxied {proxied}: {became:?}, not {expected:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_becomes_of_mail_with_odd_hosts() {
    check(&Stage::new().await, Manner::Usual, &CASES).await;
}

#[tokio::test]
async fn nothing_leaves_in_clear_where_tls_is_required() {
    // TA-3, RFC 5321 §5.1
    let stage = Stage::new().await;
    *stage.b.odd.lock() = offers(ALL_AND_TLS);
    check(&stage, Manner::RequireTls, &TLS_CASES).await;
}

#[tokio::test]
async fn a_reply_has_its_time_as_a_whole() {
    check(&Stage::new().await, Manner::Impatient, &SLOW_CASES).await;
}

#[tokio::test]
async fn dead_exchangers_are_called_last_so_that_the_thirteenth_has_its_turn() {
    for proxied in [false, true] {
        let stage = Stage::new().await;
        assert_eq!(stage.send(Mail::Plain, "after-dead.test", proxied).await, "b");
        let first = stage.send(Mail::Plain, "many.test", proxied).await;
        assert!(first.starts_with("waits: connect: 451 4.4.1"), "ten calls are enough for one attempt: {first}");
        assert_eq!(stage.send(Mail::Plain, "many.test", proxied).await, "b", "proxied {proxied}");
    }
}

#[tokio::test]
async fn aliases_in_dns_are_followed_and_the_address_stays_as_it_was() {
    // SC-39, RFC 5321 §5.1
    let stage = Stage::new().await;
    for proxied in [false, true] {
        for domain in ["mx-alias.test", "domain-alias.test"] {
            assert_eq!(stage.send(Mail::Plain, domain, proxied).await, "a", "{domain}, proxied {proxied}");
        }
    }
}

#[tokio::test]
async fn servers_know_themselves_among_the_exchangers() {
    // RFC 5321 §5.1, ER-10
    let stage = Stage::new().await;
    for proxied in [false, true] {
        let looped = "bounces: DNS: 550 5.4.4 SMTPSEND.DNS.MxLoopback; the exchangers of ours.test are servers of this organization";
        assert_eq!(stage.send(Mail::Plain, "ours.test", proxied).await, looped);
        let waits = stage.send(Mail::Plain, "backup.test", proxied).await;
        assert!(waits.starts_with("waits: connect: 451 4.4.1"), "neither itself nor what is behind it: {waits}");
        assert_eq!(stage.send(Mail::Plain, "better.test", proxied).await, "a");
    }
    drop(stage.scene);
}
