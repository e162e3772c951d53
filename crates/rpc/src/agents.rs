//! Delivery agents: programs beside Transport that take the mail of Delivery Agent connectors (EN-55). Here are both ends of one
//! connection; who may come, and which mail goes to whom, is Transport's to know.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use envelope::{EnhancedStatus, MessageId, Reply, Severity, TraceContext};
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Response, Status, Streaming};

use crate::client::in_words;
use crate::limits::REQUEST_OCTETS_MAX;
use crate::transfer::Content;
use crate::wire::agent::v1 as wire;
use wire::agent_message::Part as Said;
use wire::delivery::Part;
use wire::delivery_agents_client::DeliveryAgentsClient;

/// How long a connection may say nothing at its beginning.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an agent may take for a message once it has all of it, as the end of data in SMTP (RFC 5321 §4.5.3.2.6).
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long an agent may take nothing of a message.
const GIVE_TIMEOUT: Duration = Duration::from_secs(60);
/// Pieces of a message that wait to be taken; then Transport waits.
const PIECES_WAITING_MAX: usize = 4;
/// Largest message of an agent that is accepted: outcomes of many recipients.
pub(crate) const SAID_OCTETS_MAX: usize = REQUEST_OCTETS_MAX;
/// Characters of what an agent says for one recipient that are kept.
const TEXT_CHARACTERS_MAX: usize = 512;
/// What an agent may be called, and its protocol.
const NAME_CHARACTERS_MAX: usize = 64;

/// A message for an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentDelivery {
    /// The same when it is given again.
    pub id: MessageId,
    /// Name of the connector.
    pub connector: Box<str>,
    /// Empty: the null sender.
    pub sender: Box<str>,
    /// Address type and address of each recipient.
    pub recipients: Vec<(Box<str>, Box<str>)>,
    /// Octets of content.
    pub size: u64,
    /// Content or envelope is not ASCII.
    pub eight_bit_mime: bool,
    /// The header or an address is not ASCII.
    pub smtputf8: bool,
    /// Its trace.
    pub trace: Option<TraceContext>,
}

/// What an agent made of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentAnswer {
    /// It has arrived.
    Delivered,
    /// It is tried again.
    Later(Reply),
    /// The sender is told.
    Failed(Reply),
}

/// Whoever hears agents.
pub trait AgentsHandler: Send + Sync + 'static {
    /// Whether a user of this machine, by his number, is heard at all.
    fn may_connect(&self, uid: u32) -> bool;

    /// Whether he may take mail of that protocol, which is in lower case.
    fn may_attend(&self, uid: u32, protocol: &str) -> bool;

    /// An agent is there.
    fn attend(&self, connection: AgentConnection);
}

/// Transport's end of a connection.
pub struct AgentConnection {
    /// What it is for, in lower case.
    pub protocol: Box<str>,
    /// Who it is.
    pub name: Box<str>,
    deliveries: mpsc::Sender<Result<wire::Delivery, Status>>,
    said: Streaming<wire::AgentMessage>,
}

impl AgentConnection {
    /// Whether the agent is still there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        !self.deliveries.is_closed()
    }

    /// Gives it a message, and waits for what becomes of it: one answer per recipient.
    ///
    /// # Errors
    /// Why nothing is known of it; the connection is of no use any more.
    pub async fn deliver(
        &mut self,
        delivery: &AgentDelivery,
        mut content: Content,
    ) -> Result<Vec<AgentAnswer>, String> {
        // What was said twice, or too early, must not settle this message, which may be the same one again.
        match self.said.message().now_or_never() {
            None => {}
            Some(Ok(Some(_))) => return Err(format!("{} said something that it was not asked", self.name)),
            Some(Ok(None) | Err(_)) => return Err(self.gone()),
        }
        self.give(Part::Begin(begin_to_wire(delivery))).await?;
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(|error| format!("the message cannot be read to its end: {error}"))?;
            self.give(Part::Content(piece)).await?;
        }
        self.give(Part::End(wire::End {})).await?;
        let id = delivery.id.to_string();
        let said = tokio::time::timeout(OUTCOME_TIMEOUT, self.said.message()).await;
        let said = said.map_err(|_| format!("{} said nothing about a message in ten minutes", self.name))?;
        match said {
            // One said twice must not settle the next message.
            Ok(Some(wire::AgentMessage { part: Some(Said::Outcome(outcome)) })) if outcome.id == id => {
                self.answers(&outcome, delivery.recipients.len())
            }
            Ok(Some(wire::AgentMessage { part: Some(Said::Outcome(outcome)) })) => Err(format!(
                "{} said what became of {} when it was given {id}",
                self.name,
                shown(&outcome.id, NAME_CHARACTERS_MAX)
            )),
            Ok(Some(_)) => Err(format!("{} said something else than what became of a message", self.name)),
            Ok(None) => Err(self.gone()),
            Err(status) => Err(format!("{}: {}", self.name, in_words(&status))),
        }
    }

    fn gone(&self) -> String {
        format!("{} went away with a message", self.name)
    }

    async fn give(&self, part: Part) -> Result<(), String> {
        let giving = self.deliveries.send(Ok(wire::Delivery { part: Some(part) }));
        let given = tokio::time::timeout(GIVE_TIMEOUT, giving).await;
        given.map_err(|_| format!("{} took nothing of a message in a minute", self.name))?.map_err(|_| self.gone())
    }

    fn answers(&self, outcome: &wire::Outcome, recipients: usize) -> Result<Vec<AgentAnswer>, String> {
        let said = outcome.recipients.len();
        if said != recipients {
            return Err(format!("{} spoke of {said} recipients of {recipients}", self.name));
        }
        Ok(outcome.recipients.iter().map(answer_from_wire).collect())
    }
}

/// `postroad.agent.v1.DeliveryAgents` over a handler.
pub(crate) struct AgentsService {
    pub(crate) handler: Arc<dyn AgentsHandler>,
}

#[tonic::async_trait]
impl wire::delivery_agents_server::DeliveryAgents for AgentsService {
    type AttendStream = ReceiverStream<Result<wire::Delivery, Status>>;

    async fn attend(
        &self,
        request: Request<Streaming<wire::AgentMessage>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let about = request.extensions().get::<UdsConnectInfo>().and_then(|about| about.peer_cred);
        let uid = about.ok_or_else(|| Status::unauthenticated("agents come by the Unix socket"))?.uid();
        let mut said = request.into_inner();
        let (deliveries, stream) = mpsc::channel(PIECES_WAITING_MAX);
        let handler = Arc::clone(&self.handler);
        // The answer's beginning is what lets some clients speak at all: it does not wait for their hello.
        tokio::spawn(async move {
            let hello = tokio::time::timeout(HELLO_TIMEOUT, said.message()).await;
            let refused = match hello {
                Ok(Ok(Some(wire::AgentMessage { part: Some(Said::Hello(hello)) }))) => {
                    let protocol: Box<str> = shown(&hello.protocol, NAME_CHARACTERS_MAX).to_lowercase().into();
                    if handler.may_attend(uid, &protocol) {
                        let name = shown(&hello.name, NAME_CHARACTERS_MAX).into();
                        return handler.attend(AgentConnection { protocol, name, deliveries, said });
                    }
                    let text = format!(
                        "user {uid} may not take mail of protocol {protocol}: [agents] in the settings of this server says who may"
                    );
                    tracing::warn!(user = uid, %protocol, "a delivery agent was refused");
                    Status::permission_denied(text)
                }
                Ok(Ok(None)) => return,
                Ok(Err(status)) => status,
                Ok(Ok(Some(_))) => Status::invalid_argument("a connection begins with hello"),
                Err(_) => Status::deadline_exceeded("no hello in ten seconds"),
            };
            // Whoever has gone is told nothing.
            let _ = deliveries.send(Err(refused)).await;
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// The agent's end of a connection.
pub struct Attendance {
    deliveries: Streaming<wire::Delivery>,
    said: mpsc::Sender<wire::AgentMessage>,
}

impl Attendance {
    /// Says hello by a [channel](crate::client::over) to Transport's socket.
    ///
    /// # Errors
    /// Why nobody hears it.
    pub async fn begin(channel: Channel, protocol: &str, name: &str) -> Result<Self, String> {
        let (said, stream) = mpsc::channel(1);
        let hello = wire::Hello { protocol: protocol.to_owned(), name: name.to_owned() };
        let hello = wire::AgentMessage { part: Some(Said::Hello(hello)) };
        said.send(hello).await.map_err(|_| "the connection has ended".to_owned())?;
        let mut client = DeliveryAgentsClient::new(channel).max_decoding_message_size(REQUEST_OCTETS_MAX);
        let attending = client.attend(ReceiverStream::new(stream)).await;
        let deliveries = attending.map_err(|status| in_words(&status))?.into_inner();
        Ok(Self { deliveries, said })
    }

    /// The next message, whole; without its content when that is larger than `size_max`. `None`: Transport has ended the
    /// connection.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn next(&mut self, size_max: u64) -> Result<Option<(AgentDelivery, Option<Bytes>)>, String> {
        let Some(begin) = self.part().await? else { return Ok(None) };
        let Part::Begin(begin) = begin else { return Err("a delivery begins with begin".to_owned()) };
        let delivery = begin_from_wire(begin)?;
        let mut content = Some(Vec::new());
        loop {
            match self.part().await? {
                Some(Part::Content(piece)) => {
                    let fits = |held: &Vec<u8>| (held.len() + piece.len()) as u64 <= size_max;
                    content = content.filter(fits).map(|mut held| {
                        held.extend_from_slice(&piece);
                        held
                    });
                }
                Some(Part::End(wire::End {})) => return Ok(Some((delivery, content.map(Bytes::from)))),
                _ => return Err("a message ended before it was whole".to_owned()),
            }
        }
    }

    async fn part(&mut self) -> Result<Option<Part>, String> {
        let delivery = self.deliveries.message().await.map_err(|status| in_words(&status))?;
        delivery
            .map(|delivery| delivery.part.ok_or_else(|| "a part that this agent does not know".to_owned()))
            .transpose()
    }

    /// What became of a message.
    ///
    /// # Errors
    /// Transport has gone, and gives it again.
    pub async fn answer(&self, id: MessageId, answers: Vec<AgentAnswer>) -> io::Result<()> {
        let recipients = answers.into_iter().map(answer_to_wire).collect();
        let outcome = wire::Outcome { recipients, id: id.to_string() };
        let outcome = wire::AgentMessage { part: Some(Said::Outcome(outcome)) };
        self.said.send(outcome).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

fn begin_to_wire(delivery: &AgentDelivery) -> wire::Begin {
    let recipient = |(kind, address): &(Box<str>, Box<str>)| wire::Recipient {
        r#type: kind.to_string(),
        address: address.to_string(),
    };
    wire::Begin {
        id: delivery.id.to_string(),
        connector: delivery.connector.to_string(),
        sender: delivery.sender.to_string(),
        recipients: delivery.recipients.iter().map(recipient).collect(),
        size: delivery.size,
        eight_bit_mime: delivery.eight_bit_mime,
        smtputf8: delivery.smtputf8,
        traceparent: delivery.trace.map(|trace| trace.to_string()).unwrap_or_default(),
    }
}

fn begin_from_wire(begin: wire::Begin) -> Result<AgentDelivery, String> {
    Ok(AgentDelivery {
        id: begin.id.parse().map_err(|_| format!("{} is no id of a message", begin.id))?,
        connector: begin.connector.into(),
        sender: begin.sender.into(),
        recipients: begin.recipients.into_iter().map(|one| (one.r#type.into(), one.address.into())).collect(),
        size: begin.size,
        eight_bit_mime: begin.eight_bit_mime,
        smtputf8: begin.smtputf8,
        trace: begin.traceparent.parse().ok(),
    })
}

fn answer_to_wire(answer: AgentAnswer) -> wire::RecipientOutcome {
    use wire::recipient_outcome::Result as Wire;
    let (result, reply) = match answer {
        AgentAnswer::Delivered => (Wire::Delivered, None),
        AgentAnswer::Later(reply) => (Wire::Later, Some(reply)),
        AgentAnswer::Failed(reply) => (Wire::Failed, Some(reply)),
    };
    let status = reply.as_ref().map(|reply| reply.status_or_generic().to_string()).unwrap_or_default();
    let text = reply.map(|reply| shown(&reply.text, TEXT_CHARACTERS_MAX)).unwrap_or_default();
    wire::RecipientOutcome { result: result.into(), status, text }
}

/// A status that says the opposite of the result, or cannot be read, is as good as none.
fn answer_from_wire(outcome: &wire::RecipientOutcome) -> AgentAnswer {
    use wire::recipient_outcome::Result as Wire;
    let text = shown(&outcome.text, TEXT_CHARACTERS_MAX);
    let status = |severity: Severity, generic: EnhancedStatus| {
        let said = outcome.status.parse::<EnhancedStatus>().ok();
        said.filter(|said| said.severity() == severity).unwrap_or(generic)
    };
    match outcome.result() {
        Wire::Delivered => AgentAnswer::Delivered,
        Wire::Failed => {
            let status = status(Severity::Permanent, EnhancedStatus::new(5, 0, 0));
            AgentAnswer::Failed(Reply::new(550, status, text))
        }
        Wire::Later | Wire::Unspecified => {
            let status = status(Severity::Transient, EnhancedStatus::new(4, 0, 0));
            AgentAnswer::Later(Reply::new(450, status, text))
        }
    }
}

/// Words of others that get into logs and notifications: printable, and so many of them.
fn shown(text: &str, characters_max: usize) -> String {
    text.chars().filter(|one| !one.is_control()).take(characters_max).collect()
}
