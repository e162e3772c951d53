//! One message to one next hop: to one host after the other, in as many transactions as they want, in the form that they
//! understand, until everybody has an answer or nobody is left to ask.
//!
//! The session knows who is next; here is what belongs to the message: who is left, which answer counts, and another form of
//! the content where a host cannot take it as it is.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{Address, BodyType, Domain, Envelope, Reply, Severity};
use message::seven_bit;
use smtp::{Content, Failure, FailurePhase, Lack, MessageOutcome, OutboundMessage, OutboundSession, Peer, Turn};
use smtp_session::client::Phase;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Largest message that is given another form, in octets: that is done in memory. Default 32 MiB, about what connectors let
/// pass (SC-23).
pub const CONVERTED_OCTETS_MAX: u64 = 32 << 20;

/// Content that can be read from its beginning once for every turn.
#[async_trait]
pub trait ContentSource: Send {
    /// Opens it.
    ///
    /// # Errors
    /// As the storage says: the message is not sent, and waits.
    async fn open(&mut self) -> io::Result<Opened>;
}

/// Content from its beginning.
pub enum Opened {
    /// All of it.
    Whole(Bytes),
    /// Read while it is sent.
    Streamed {
        /// Octets of all of it.
        size: u64,
        /// Gives exactly the content.
        reader: Box<dyn AsyncRead + Send + Unpin>,
    },
}

/// Who took responsibility for a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The reply to end-of-data.
    pub reply: Reply,
    /// The host.
    pub peer: Peer,
    /// It understands DSN, and reports further itself (DS-24).
    pub reports_itself: bool,
}

/// What became of a message.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// One for each recipient, in the order of the envelope.
    pub recipients: Vec<Result<Taken, Failure>>,
    /// Who was asked last.
    pub peer: Peer,
    /// Whether another message may follow on the session.
    pub reusable: bool,
}

/// Sends a message over a session.
pub async fn deliver(
    session: &mut dyn OutboundSession,
    envelope: &Envelope,
    source: &mut dyn ContentSource,
) -> Delivered {
    let mut delivery = Delivery::new(envelope);
    let mut turn = Turn::First;
    loop {
        let outcome = match source.open().await {
            Ok(opened) => delivery.send(session, opened, turn).await,
            Err(error) => return delivery.unreadable(session, &error).await,
        };
        turn = match (delivery.lack(&outcome), outcome.again) {
            (Some(lack), _) if delivery.form.change_for(lack, &delivery.envelope, source).await => Turn::Again,
            // Perhaps another host can take it as it is.
            (Some(_), true) => Turn::NextHost,
            (None, true) if !delivery.left().is_empty() => Turn::Again,
            (_, _) => return delivery.end(outcome),
        };
    }
}

/// How the message goes.
struct Form {
    body: BodyType,
    smtputf8: bool,
    /// The content as it was made for hosts of seven bits.
    converted: Option<Bytes>,
}

struct Delivery {
    /// With every domain as DNS has it.
    envelope: Envelope,
    form: Form,
    results: Vec<Option<Result<Taken, Failure>>>,
    /// Positions of whom the transaction under way is for.
    asked: Vec<usize>,
}

impl Delivery {
    fn new(envelope: &Envelope) -> Self {
        let envelope = with_a_labels(envelope);
        let form = Form { body: envelope.body, smtputf8: envelope.smtputf8, converted: None };
        let results = vec![None; envelope.recipients.len()];
        Self { envelope, form, results, asked: Vec::new() }
    }

    /// Who has no answer that stands.
    fn left(&self) -> Vec<usize> {
        let open = |result: &Option<Result<Taken, Failure>>| match result {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(failure)) => !is_final(failure),
        };
        (0..self.results.len()).filter(|at| open(&self.results[*at])).collect()
    }

    async fn send(&mut self, session: &mut dyn OutboundSession, opened: Opened, turn: Turn) -> MessageOutcome {
        self.asked = self.left();
        let recipients = self.asked.iter().map(|at| self.envelope.recipients[*at].clone()).collect();
        let opened = match &self.form.converted {
            Some(converted) => Opened::Whole(converted.clone()),
            None => opened,
        };
        if let Opened::Whole(octets) = &opened {
            self.form.look(octets);
        }
        let (body, smtputf8) = (self.form.body, self.form.smtputf8);
        let envelope = Envelope { recipients, body, smtputf8, ..self.envelope.clone() };
        let (octets, content);
        match opened {
            Opened::Whole(whole) => {
                octets = whole;
                content = Content::Whole(&octets);
            }
            Opened::Streamed { size, reader } => content = Content::Streamed { size, source: reader },
        }
        let outcome = session.send(OutboundMessage { envelope: &envelope, content, turn }).await;
        self.take(&outcome);
        outcome
    }

    fn take(&mut self, outcome: &MessageOutcome) {
        for (at, result) in self.asked.iter().zip(&outcome.recipients) {
            let new =
                result.clone().map(|reply| Taken { reply, peer: outcome.peer.clone(), reports_itself: outcome.dsn });
            let known = &mut self.results[*at];
            match (&known, &new) {
                (Some(Err(known)), Err(new)) if !counts_more(new, known) => {}
                _ => *known = Some(new),
            }
        }
    }

    /// What the host has not, where that is why nobody has an answer.
    fn lack(&self, outcome: &MessageOutcome) -> Option<Lack> {
        let mut lacks = outcome.recipients.iter().filter_map(|result| result.as_ref().err()?.lacks);
        lacks.find(|lack| *lack != Lack::Chunking)
    }

    async fn unreadable(mut self, session: &mut dyn OutboundSession, error: &io::Error) -> Delivered {
        tracing::error!(%error, "the content of a message cannot be read");
        let status = envelope::EnhancedStatus::new(4, 3, 0);
        let text = format!("the content could not be read: {error}");
        let failure = Failure::new(status, FailurePhase::Dialogue(Phase::Data), None, text);
        for at in self.left() {
            self.results[at].get_or_insert_with(|| Err(Failure { ours: true, ..failure.clone() }));
        }
        let nobody = Peer { host: net::Host::Address(std::net::Ipv4Addr::UNSPECIFIED.into()), address: None };
        let reusable = session.is_reusable().await;
        self.ended(nobody, reusable)
    }

    fn end(self, outcome: MessageOutcome) -> Delivered {
        self.ended(outcome.peer, outcome.reusable)
    }

    fn ended(self, peer: Peer, reusable: bool) -> Delivered {
        let nothing = || {
            let status = envelope::EnhancedStatus::new(4, 4, 2);
            Failure::new(status, FailurePhase::Dialogue(Phase::Idle), None, "the recipient was not asked for")
        };
        let recipients = self.results.into_iter().map(|result| result.unwrap_or_else(|| Err(nothing())));
        Delivered { recipients: recipients.collect(), peer, reusable }
    }
}

/// Whether no other host is to be asked: a host has refused for good.
fn is_final(failure: &Failure) -> bool {
    failure.severity == Severity::Permanent && failure.reply.is_some()
}

/// Whether what came of a further host is what to tell. A host that could not be reached says less than what another one
/// said, and what one host cannot take another one may take later.
fn counts_more(new: &Failure, known: &Failure) -> bool {
    let spoke = |failure: &Failure| matches!(failure.phase, FailurePhase::Dialogue(phase) if phase >= Phase::Mail);
    match (new.severity, known.severity) {
        (Severity::Permanent, Severity::Transient) => is_final(new),
        (Severity::Transient, Severity::Permanent) => true,
        _ => spoke(new) || !spoke(known),
    }
}

impl Form {
    /// What is there counts, not what whoever submitted it said.
    fn look(&mut self, content: &[u8]) {
        let eight_bits = !content.is_ascii();
        self.body = if eight_bits { BodyType::EightBitMime } else { BodyType::SevenBit };
        self.smtputf8 &= eight_bits && !message::split_header(content).0.is_ascii();
    }

    /// Finds another form for a host that lacks something; `false` when there is none.
    async fn change_for(&mut self, lack: Lack, envelope: &Envelope, source: &mut dyn ContentSource) -> bool {
        match lack {
            Lack::Chunking => false,
            Lack::SmtpUtf8 => {
                let named = envelope.reverse_path.address().into_iter();
                let mut named = named.chain(envelope.recipients.iter().map(|recipient| &recipient.address));
                let flag_only = self.smtputf8 && named.all(Address::is_ascii);
                self.smtputf8 &= !(flag_only && has_ascii_header(source).await);
                flag_only && !self.smtputf8
            }
            Lack::EightBitMime if self.converted.is_some() => false,
            Lack::EightBitMime => match seven_bits(source).await {
                Some(Converted::AsItIs) if self.body == BodyType::EightBitMime => {
                    self.body = BodyType::SevenBit;
                    true
                }
                Some(Converted::To(content)) => {
                    (self.body, self.converted) = (BodyType::SevenBit, Some(content));
                    true
                }
                Some(Converted::AsItIs) | None => false,
            },
        }
    }
}

enum Converted {
    /// It holds no octet above 127.
    AsItIs,
    To(Bytes),
}

/// The content for a host without 8BITMIME; `None` when it cannot be had (RFC 6152 §3: it comes back then).
async fn seven_bits(source: &mut dyn ContentSource) -> Option<Converted> {
    let content = match source.open().await.ok()? {
        Opened::Whole(content) => content,
        Opened::Streamed { size, mut reader } => {
            if is_ascii(&mut reader).await? {
                return Some(Converted::AsItIs);
            }
            if size > CONVERTED_OCTETS_MAX {
                return None;
            }
            read_all(source).await?
        }
    };
    if content.is_ascii() {
        return Some(Converted::AsItIs);
    }
    let converted = tokio::task::spawn_blocking(move || seven_bit::convert(&content)).await.ok()?;
    converted.ok().map(|converted| Converted::To(converted.into()))
}

async fn read_all(source: &mut dyn ContentSource) -> Option<Bytes> {
    match source.open().await.ok()? {
        Opened::Whole(content) => Some(content),
        Opened::Streamed { mut reader, .. } => {
            let mut content = Vec::new();
            reader.read_to_end(&mut content).await.ok()?;
            Some(content.into())
        }
    }
}

async fn is_ascii(reader: &mut (dyn AsyncRead + Send + Unpin)) -> Option<bool> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer).await.ok()? {
            0 => return Some(true),
            octets if !buffer[..octets].is_ascii() => return Some(false),
            _ => {}
        }
    }
}

/// Whether nothing but ASCII stands before the first empty line. A header that has no end within what is held counts as
/// none.
async fn has_ascii_header(source: &mut dyn ContentSource) -> bool {
    let beginning = match source.open().await {
        Ok(Opened::Whole(content)) => content,
        Ok(Opened::Streamed { mut reader, .. }) => {
            let mut beginning = Vec::new();
            let limit = message::split::HEADER_SIZE_MAX.as_u64();
            if (&mut reader).take(limit).read_to_end(&mut beginning).await.is_err() {
                return false;
            }
            beginning.into()
        }
        Err(_) => return false,
    };
    message::split_header(&beginning).0.is_ascii()
}

/// RFC 5891 §5: what DNS knows by an A-label is asked for by it, so that a host needs no SMTPUTF8 for a domain.
fn with_a_labels(envelope: &Envelope) -> Envelope {
    let mut envelope = envelope.clone();
    if let envelope::ReversePath::Address(address) = &mut envelope.reverse_path {
        use_a_labels(address);
    }
    envelope.recipients.iter_mut().for_each(|recipient| use_a_labels(&mut recipient.address));
    envelope
}

fn use_a_labels(address: &mut Address) {
    if address.domain_str().is_ascii() {
        return;
    }
    let domain = Domain::parse(address.domain().ascii());
    if let Ok(Ok(encoded)) = domain.map(|domain| Address::new(address.local_part(), &domain)) {
        *address = encoded;
    }
}
