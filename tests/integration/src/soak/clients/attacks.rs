//! What evil clients do, one session each. An error means only that the server has had enough of it; what was acknowledged
//! stands in the [`Book`].

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rpc::TransferError;

use super::book::{Book, Fate, MARK};
use super::session::{Answer, Session};
use crate::{Wire, submit_content_by_connector, test_message};

/// Those who are written to.
const MAILBOXES: [&str; 2] = ["anna", "ben"];
/// What some server or other has taken for the end of a message (peers E2 1).
const ENDINGS: [&[u8]; 10] = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r\n.\r",
    b"\r.\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\r\n.\r\r\n",
    b"\n\r\n.\n\r\n",
];
/// `\0anna@contoso.example\0demo-anna`.
const ANNA: &str = "AGFubmFAY29udG9zby5leGFtcGxlAGRlbW8tYW5uYQ==";

/// What an attacker is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Smuggling,
    ChunkSmuggling,
    Insider,
    Injection,
    EarlyTalk,
    Pipelining,
    LongLine,
    EndlessHeader,
    StrangeOctets,
    ManyRecipients,
    WrongChunks,
    LyingSize,
    Logons,
    HangingUp,
    ByteByByte,
    Noise,
    Quits,
    Nonsense,
    OtherProtocol,
    Relaying,
}

impl Kind {
    pub(super) const ALL: [Self; 20] = [
        Self::Smuggling,
        Self::ChunkSmuggling,
        Self::Insider,
        Self::Injection,
        Self::EarlyTalk,
        Self::Pipelining,
        Self::LongLine,
        Self::EndlessHeader,
        Self::StrangeOctets,
        Self::ManyRecipients,
        Self::WrongChunks,
        Self::LyingSize,
        Self::Logons,
        Self::HangingUp,
        Self::ByteByByte,
        Self::Noise,
        Self::Quits,
        Self::Nonsense,
        Self::OtherProtocol,
        Self::Relaying,
    ];
}

/// One evil client.
pub(super) struct Attacker {
    pub number: usize,
    pub kind: Kind,
    pub random: StdRng,
    pub book: Arc<Book>,
    /// Where it comes in.
    pub at: SocketAddr,
    /// Whether passwords are taken there in clear.
    pub clear_logons: bool,
    /// From where.
    pub source: Ipv4Addr,
    /// To a Transport, for those who are inside.
    pub wire: Wire,
}

impl Attacker {
    /// Does it.
    pub(super) async fn run(mut self) {
        self.book.count(&format!("{:?}", self.kind));
        let ended = match self.kind {
            Kind::Smuggling => self.smuggle().await,
            Kind::ChunkSmuggling => self.smuggle_in_chunks().await,
            Kind::Insider => self.smuggle_from_inside().await,
            Kind::Injection => self.inject().await,
            Kind::EarlyTalk => self.talk_early().await,
            Kind::Pipelining => self.pipeline().await,
            Kind::LongLine => self.write_long_lines().await,
            Kind::EndlessHeader => self.write_endless_header().await,
            Kind::StrangeOctets => self.say_strange_octets().await,
            Kind::ManyRecipients => self.name_many_recipients().await,
            Kind::WrongChunks => self.send_wrong_chunks().await,
            Kind::LyingSize => self.lie_about_size().await,
            Kind::Logons => self.log_on().await,
            Kind::HangingUp => self.hang_up().await,
            Kind::ByteByByte => self.write_byte_by_byte().await,
            Kind::Noise => self.make_noise().await,
            Kind::Quits => self.quit().await,
            Kind::Nonsense => self.talk_nonsense().await,
            Kind::OtherProtocol => self.speak_otherwise().await,
            Kind::Relaying => self.relay().await,
        };
        self.book.count(if ended.is_ok() { "sessions to the end" } else { "sessions cut short" });
    }

    fn name(&self) -> String {
        format!("attack {} ({:?}) at {}", self.number, self.kind, self.at)
    }

    fn id(&self, what: &str) -> String {
        format!("<{}.{what}{MARK}", self.number)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        *all.choose(&mut self.random).unwrap()
    }

    async fn connect(&mut self) -> io::Result<Session> {
        let abrupt = self.random.random_bool(0.3);
        Session::connect(&self.name(), self.at, self.source, abrupt).await
    }

    /// A session after EHLO.
    async fn open(&mut self) -> io::Result<Session> {
        let mut session = self.connect().await?;
        session.greet().await?;
        Ok(session)
    }

    /// A session after RCPT, and whom it writes to.
    async fn begin(&mut self) -> io::Result<(Session, &'static str)> {
        let to = self.one_of(&MAILBOXES);
        let mut session = self.open().await?;
        session.agree("MAIL FROM:<mallory@evil.example>").await?;
        session.agree(format!("RCPT TO:<{to}@contoso.example>")).await?;
        Ok((session, to))
    }

    /// The end of data was sent: notes what the server says to that.
    async fn hear(&self, session: &mut Session, id: &str, to: &str) -> io::Result<Answer> {
        let answer = session.answer().await;
        match &answer {
            Ok(answer) if answer.is_good() => self.book.note(id, to, Fate::Acknowledged),
            Ok(_) => {}
            Err(_) => self.book.note(id, to, Fate::Unknown),
        }
        answer
    }

    /// Says all of it at once and notes which of the messages the server has taken.
    async fn blurt(&self, session: Session, octets: &[u8], ids: &[(&str, &str)]) {
        let (said, in_order) = session.blurt(octets).await;
        for (id, to) in ids {
            if said.contains(&format!("250 2.6.0 {id}")) {
                self.book.note(id, to, Fate::Acknowledged);
            } else if !in_order {
                self.book.note(id, to, Fate::Unknown);
            }
        }
    }

    /// Writes in pieces of any size.
    async fn write_in_pieces(&mut self, session: &mut Session, octets: &[u8]) -> io::Result<()> {
        let mut rest = octets;
        while !rest.is_empty() {
            let (piece, others) = rest.split_at(self.random.random_range(1..=rest.len()));
            session.write(piece).await?;
            rest = others;
        }
        Ok(())
    }

    /// A message with another one, and the commands for it, after what some take for the end of the first.
    fn smuggled(&mut self, to: &str) -> Vec<u8> {
        let ending = self.one_of(&ENDINGS);
        [
            message(&self.id("outer"), "the first").as_slice(),
            ending,
            b"MAIL FROM:<mallory@evil.example>\r\n",
            format!("RCPT TO:<{to}@contoso.example>\r\nDATA\r\n").as_bytes(),
            &message(&self.id("smuggled"), "the second"),
        ]
        .concat()
    }

    async fn smuggle(&mut self) -> io::Result<()> {
        let (mut session, to) = self.begin().await?;
        let content = [&self.smuggled(to)[..], b"\r\n.\r\n"].concat();
        session.agree("DATA").await?;
        if self.random.random_bool(0.5) {
            session.write(&content).await?;
        } else {
            self.write_in_pieces(&mut session, &content).await?;
        }
        self.hear(&mut session, &self.id("outer"), to).await?;
        let farewell = session.say("QUIT").await?;
        assert_eq!(farewell.code, 221, "{}: more replies than messages: {farewell:?}", self.name());
        Ok(())
    }

    /// In a chunk even a dot of its own is content; on the way out it must be stuffed again.
    async fn smuggle_in_chunks(&mut self) -> io::Result<()> {
        let as_anna = self.random.random_bool(0.2);
        let (mut session, to) = if as_anna { self.log_on_as_anna().await? } else { self.begin().await? };
        let ending = if self.random.random_bool(0.5) { &b"\r\n.\r\n"[..] } else { b"" };
        let content = [&self.smuggled("anna")[..], ending, b"and more\r\n"].concat();
        let middle = self.random.random_range(0..content.len());
        for (chunk, last) in [(&content[..middle], ""), (&content[middle..], " LAST")] {
            session.write(format!("BDAT {}{last}\r\n", chunk.len()).as_bytes()).await?;
            session.write(chunk).await?;
            if last.is_empty() {
                session.answer().await?;
            }
        }
        self.hear(&mut session, &self.id("outer"), to).await?;
        let farewell = session.say("QUIT").await?;
        assert_eq!(farewell.code, 221, "{}: more replies than messages: {farewell:?}", self.name());
        Ok(())
    }

    /// As a user, to the outside.
    async fn log_on_as_anna(&mut self) -> io::Result<(Session, &'static str)> {
        let mut session = self.open().await?.encrypt().await?;
        session.agree(format!("AUTH PLAIN {ANNA}")).await?;
        session.agree("MAIL FROM:<anna@contoso.example>").await?;
        session.agree("RCPT TO:<sales@fabrikam.example>").await?;
        Ok((session, "sales"))
    }

    /// Somebody who is let in, with a message for the outside.
    async fn smuggle_from_inside(&mut self) -> io::Result<()> {
        let outside = self.one_of(&["sales@fabrikam.example", "clerk@bank.example", "anna@contoso.example"]);
        let (to, _) = outside.split_once('@').unwrap();
        let content = [&self.smuggled("anna")[..], b"\r\n.\r\nQUIT\r\n"].concat();
        let message = test_message("ben@contoso.example", outside);
        let Wire::Connector(peers, transport) = &self.wire else { unreachable!("those inside have a connector") };
        match submit_content_by_connector(peers, transport, &message, content).await {
            Ok(()) => self.book.note(&self.id("outer"), to, Fate::Acknowledged),
            Err(TransferError::Refused { .. }) => {}
            Err(_) => self.book.note(&self.id("outer"), to, Fate::Unknown),
        }
        Ok(())
    }

    /// Commands in clear behind STARTTLS: never executed, before the handshake or after it (CVE-2011-0411).
    async fn inject(&mut self) -> io::Result<()> {
        let to = self.one_of(&MAILBOXES);
        let mut session = self.open().await?;
        let injected = transaction(&self.id("injected"), to);
        session.write(&[b"STARTTLS\r\n", &injected[..]].concat()).await?;
        if session.answer().await?.is_good() {
            // It came in two pieces. What was sent in clear is no handshake.
            let mut session = session.handshake().await?;
            let answer = session.say("NOOP").await?;
            assert_eq!(answer.code, 250, "{}: {answer:?}", self.name());
        }
        Ok(())
    }

    /// Before the banner.
    async fn talk_early(&mut self) -> io::Result<()> {
        let (id, to) = (self.id("early"), self.one_of(&MAILBOXES));
        let session = self.connect().await?;
        let all = [b"EHLO evil.example\r\n", &transaction(&id, to)[..]].concat();
        self.blurt(session, &all, &[(&id, to)]).await;
        Ok(())
    }

    /// Content before DATA was answered, and a second message behind it.
    async fn pipeline(&mut self) -> io::Result<()> {
        let (one, other, to) = (self.id("pipelined"), self.id("behind"), self.one_of(&MAILBOXES));
        let session = self.open().await?;
        let all = [transaction(&one, to), transaction(&other, to), b"QUIT\r\n".to_vec()].concat();
        self.blurt(session, &all, &[(&one, to), (&other, to)]).await;
        Ok(())
    }

    async fn write_long_lines(&mut self) -> io::Result<()> {
        let length = self.one_of(&[511, 513, 2049, 12_289, 70_000, 1_000_000]);
        let long = "a".repeat(length);
        match self.random.random_range(0..4) {
            0 => {
                let mut session = self.open().await?;
                session.say(&long).await?;
                session.say(format!("MAIL FROM:<{long}@evil.example>")).await?;
                session.say("NOOP").await?;
            }
            1 => {
                // No end at all.
                let session = self.open().await?;
                self.blurt(session, long.as_bytes(), &[]).await;
            }
            2 => {
                let (mut session, to) = self.begin().await?;
                let id = self.id("long");
                session.agree("DATA").await?;
                session.write(&message(&id, &long)).await?;
                session.write(b"\r\n.\r\n").await?;
                self.hear(&mut session, &id, to).await?;
            }
            _ => {
                let mut session = self.connect().await?;
                session.answer().await?;
                session.say(format!("EHLO {long}")).await?;
                session.say("QUIT").await?;
            }
        }
        Ok(())
    }

    async fn write_endless_header(&mut self) -> io::Result<()> {
        let (mut session, to) = self.begin().await?;
        let id = self.id("header");
        session.agree("DATA").await?;
        session.write(format!("Message-ID: {id}\r\n").as_bytes()).await?;
        let lines = "X-Endless: and on and on and on\r\n".repeat(1000);
        for _ in 0..self.random.random_range(1..40) {
            session.write(lines.as_bytes()).await?;
        }
        session.write(b"\r\nbody\r\n.\r\n").await?;
        self.hear(&mut session, &id, to).await?;
        Ok(())
    }

    async fn say_strange_octets(&mut self) -> io::Result<()> {
        let mut session = self.open().await?;
        loop {
            let mut line =
                self.one_of(&[&b"MAIL FROM:<"[..], b"RCPT TO:<", b"EHLO ", b"AUTH ", b"VRFY ", b""]).to_vec();
            let length = self.random.random_range(1..60);
            line.extend((0..length).map(|_| self.random.random::<u8>()).filter(|octet| !b"\r\n".contains(octet)));
            let answer = session.say(&line).await?;
            assert_ne!(answer.code, 354, "{}: {line:?} was taken for DATA", self.name());
        }
    }

    async fn name_many_recipients(&mut self) -> io::Result<()> {
        const AT_ONCE: usize = 100;
        let (mut session, to) = self.begin().await?;
        let mut accepted = 1;
        for _ in 0..self.random.random_range(5..30) {
            session.write(format!("RCPT TO:<{to}@contoso.example>\r\n").repeat(AT_ONCE).as_bytes()).await?;
            for _ in 0..AT_ONCE {
                accepted += usize::from(session.answer().await?.is_good());
            }
        }
        assert!(accepted <= 5000, "{}: {accepted} recipients", self.name());
        let id = self.id("recipients");
        session.agree("DATA").await?;
        session.write(&[&message(&id, "to many")[..], b"\r\n.\r\n"].concat()).await?;
        self.hear(&mut session, &id, to).await?;
        Ok(())
    }

    async fn send_wrong_chunks(&mut self) -> io::Result<()> {
        let (id, inner) = (self.id("chunks"), transaction(&self.id("in-chunk"), "anna"));
        let content = message(&id, "in chunks");
        match self.random.random_range(0..7) {
            // More announced than comes: commands in it are content.
            0 => {
                let (session, _) = self.begin().await?;
                let all = [format!("BDAT {} LAST\r\n", content.len() + 100_000).as_bytes(), &content, &inner].concat();
                self.blurt(session, &all, &[]).await;
            }
            // Refused, but content all the same.
            1 => {
                let mut session = self.open().await?;
                let all = [format!("BDAT {} LAST\r\n", inner.len()).as_bytes(), &inner].concat();
                session.write(&all).await?;
                let answer = session.answer().await?;
                assert_eq!(answer.code, 503, "{}: {answer:?}", self.name());
                session.agree("NOOP").await?;
            }
            2 => {
                let (mut session, _) = self.begin().await?;
                session.write(&[format!("BDAT {}\r\n", content.len()).as_bytes(), &content].concat()).await?;
                session.answer().await?;
                let (data, rcpt) = (session.say("DATA").await?, session.say("RCPT TO:<ben@contoso.example>").await?);
                assert!(data.code == 503 && rcpt.code == 503, "{}: {data:?} {rcpt:?}", self.name());
                session.agree("RSET").await?;
                session.say("BDAT 0 LAST").await?;
            }
            // RSET in the middle of a chunk is content.
            3 => {
                let (session, _) = self.begin().await?;
                let announced = format!("BDAT {}\r\n", content.len() + 6);
                let all = [announced.as_bytes(), &content[..], b"RSET\r\nRSET\r\nQUIT\r\n"].concat();
                self.blurt(session, &all, &[]).await;
            }
            // Less announced than comes.
            4 => {
                let (session, _) = self.begin().await?;
                self.blurt(session, &[b"BDAT 7\r\n", &content[..], b"\r\n.\r\nQUIT\r\n"].concat(), &[]).await;
            }
            5 => {
                let (mut session, _) = self.begin().await?;
                let sizes =
                    ["-1", "18446744073709551615 LAST", "99999999999999999999", "0x10", "", "1 2 LAST", "4294967296"];
                let size = self.one_of(&sizes);
                assert!(!session.say(format!("BDAT {size}")).await?.is_good(), "{}: BDAT {size}", self.name());
            }
            // As it should be, and the end has nothing.
            _ => {
                let (mut session, to) = self.begin().await?;
                session.write(&[format!("BDAT {}\r\n", content.len()).as_bytes(), &content].concat()).await?;
                session.answer().await?;
                session.write(b"BDAT 0 LAST\r\n").await?;
                self.hear(&mut session, &id, to).await?;
            }
        }
        Ok(())
    }

    async fn lie_about_size(&mut self) -> io::Result<()> {
        let mut session = self.open().await?;
        let (size, to) = (self.one_of(&["0", "1", "999999999999", "18446744073709551616", "-5", "many"]), "anna");
        session.agree(format!("MAIL FROM:<mallory@evil.example> SIZE={size}")).await?;
        session.agree("RCPT TO:<anna@contoso.example>").await?;
        session.agree("DATA").await?;
        let id = self.id("size");
        let lines = self.random.random_range(1..20_000);
        session.write(&message(&id, &"more than was said\r\n".repeat(lines))).await?;
        session.write(b"\r\n.\r\n").await?;
        self.hear(&mut session, &id, to).await?;
        Ok(())
    }

    async fn log_on(&mut self) -> io::Result<()> {
        let mut session = self.open().await?;
        let early = session.say(format!("AUTH PLAIN {ANNA}")).await?;
        let taken = early.code == 235 || early.code == 334;
        assert!(!taken || self.clear_logons, "{}: a password in clear was taken: {early:?}", self.name());
        if taken || self.random.random_bool(0.5) {
            return Ok(());
        }
        let mut session = session.encrypt().await?;
        let long = "QUFB".repeat(3000);
        loop {
            let garbage =
                ["=", "*", "AAAA", "AAAAAA==", "not base64", "AGFubmEAd3Jvbmc=", "AGFubmENClJDUFQAeA==", &long];
            let response = self.one_of(&garbage);
            let mut answer =
                session.say(format!("AUTH {} {response}", self.one_of(&["PLAIN", "LOGIN", "NTLM"]))).await?;
            while answer.code == 334 {
                let response = self.one_of(&garbage);
                answer = session.say(response).await?;
            }
            assert_ne!(answer.code, 235, "{}: {response:?} was taken for a password", self.name());
        }
    }

    /// At any step, in order or not.
    async fn hang_up(&mut self) -> io::Result<()> {
        let to = self.one_of(&MAILBOXES);
        let id = self.id("hung-up");
        let step = self.random.random_range(0..9);
        let mut session = self.connect().await?;
        let lines = [
            "EHLO evil.example",
            "MAIL FROM:<mallory@evil.example>",
            &format!("RCPT TO:<{to}@contoso.example>"),
            "DATA",
        ];
        if step == 0 {
            return Ok(());
        }
        session.answer().await?;
        for line in &lines[..lines.len().min(step - 1)] {
            session.agree(line).await?;
        }
        let content = [&message(&id, "perhaps")[..], b"\r\n.\r\n"].concat();
        match step {
            0..=5 => {}
            // All but the last octet is nothing.
            6 => session.write(&content[..self.random.random_range(0..content.len())]).await?,
            7 => {
                self.book.note(&id, to, Fate::Unknown);
                session.write(&content).await?;
            }
            _ => {
                session.write(&content).await?;
                self.hear(&mut session, &id, to).await?;
            }
        }
        Ok(())
    }

    async fn write_byte_by_byte(&mut self) -> io::Result<()> {
        let (to, id) = (self.one_of(&MAILBOXES), self.id("bytes"));
        let mut session = self.connect().await?;
        session.answer().await?;
        let content = [&message(&id, "slowly")[..], b"\r\n."].concat();
        let lines: [&[u8]; 5] = [
            b"EHLO evil.example",
            b"MAIL FROM:<mallory@evil.example>",
            &format!("RCPT TO:<{to}@contoso.example>").into_bytes(),
            b"DATA",
            &content,
        ];
        for (position, line) in lines.iter().enumerate() {
            for octet in line.iter().chain(b"\r\n") {
                session.write(&[*octet]).await?;
            }
            if position + 1 < lines.len() && !session.answer().await?.is_good() {
                return Ok(());
            }
        }
        self.hear(&mut session, &id, to).await?;
        Ok(())
    }

    async fn make_noise(&mut self) -> io::Result<()> {
        let mut session = self.connect().await?;
        if self.random.random_bool(0.5) {
            session.greet().await?;
        }
        let length = self.random.random_range(1..65_536);
        let noise: Vec<u8> = (0..length).map(|_| self.random.random()).collect();
        self.blurt(session, &noise, &[]).await;
        Ok(())
    }

    async fn quit(&mut self) -> io::Result<()> {
        for _ in 0..self.random.random_range(1..50) {
            let mut session = self.connect().await?;
            if self.random.random_bool(0.5) {
                session.answer().await?;
            }
            session.write(b"QUIT\r\n").await?;
        }
        Ok(())
    }

    /// Commands in any order, one at a time; whatever is taken is a message.
    async fn talk_nonsense(&mut self) -> io::Result<()> {
        let (to, mut session) = (self.one_of(&MAILBOXES), self.open().await?);
        let rcpt = format!("RCPT TO:<{to}@contoso.example>");
        let lines = [
            "MAIL FROM:<mallory@evil.example>",
            "MAIL FROM:<>",
            &rcpt,
            &rcpt,
            "RCPT TO:<nobody@contoso.example>",
            "RCPT TO:<@a.example,@b.example:anna@contoso.example>",
            "DATA",
            "RSET",
            "NOOP",
            "EHLO [127.0.0.1]",
            "HELO x",
            "VRFY anna",
            "BDAT 0",
            "EXPN all",
            "HELP",
            "XCLIENT ADDR=127.0.0.1",
        ];
        for turn in 0..40 {
            let line = self.one_of(&lines);
            if session.say(line).await?.code == 354 {
                let id = self.id(&format!("nonsense{turn}"));
                session.write(&[&message(&id, "after all")[..], b"\r\n.\r\n"].concat()).await?;
                // To whom, is as random as everything.
                let answer = session.answer().await;
                for mailbox in MAILBOXES {
                    match &answer {
                        Ok(answer) if !answer.is_good() => {}
                        _ => self.book.note(&id, mailbox, Fate::Unknown),
                    }
                }
                answer?;
            }
        }
        Ok(())
    }

    async fn speak_otherwise(&mut self) -> io::Result<()> {
        let session = self.connect().await?;
        let inner = transaction(&self.id("otherwise"), "anna");
        let start: &[u8] = self.one_of(&[
            &b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n",
            b"PROXY TCP4 127.0.0.1 127.0.0.1 25 25\r\nEHLO evil.example\r\n",
            b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\0\x19\0\x19",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
            b"XCLIENT ADDR=127.0.0.1 LOGIN=anna\r\nEHLO evil.example\r\n",
        ]);
        // Whoever forwards what a browser was made to send: nothing of it may be executed.
        self.blurt(session, &[start, &inner].concat(), &[]).await;
        Ok(())
    }

    /// To the outside, unknown.
    async fn relay(&mut self) -> io::Result<()> {
        let mut session = self.open().await?;
        session.agree("MAIL FROM:<mallory@evil.example>").await?;
        for to in [
            "sales@fabrikam.example",
            "\"sales@fabrikam.example\"@contoso.example",
            "@contoso.example:sales@fabrikam.example",
        ] {
            let answer = session.say(format!("RCPT TO:<{to}>")).await?;
            assert!(!answer.is_good(), "{}: {to} was taken: {answer:?}", self.name());
        }
        Ok(())
    }
}

/// A message without its end.
fn message(id: &str, body: &str) -> Vec<u8> {
    let header = format!("From: <mallory@evil.example>\r\nMessage-ID: {id}\r\nSubject: evil\r\n");
    format!("{header}\r\n{body}").into_bytes()
}

/// Everything that a message takes after EHLO, without waiting for any reply.
fn transaction(id: &str, to: &str) -> Vec<u8> {
    let commands = format!("MAIL FROM:<mallory@evil.example>\r\nRCPT TO:<{to}@contoso.example>\r\nDATA\r\n");
    [commands.as_bytes(), &message(id, "at once"), b"\r\n.\r\n"].concat()
}
