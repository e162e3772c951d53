//! Attending Transport: connections that are kept, messages one after another, and what the log says of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{EnhancedStatus, Reply};
use rpc::{AgentAnswer, AgentDelivery, Attendance};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Larger messages are no agent's: it holds each in memory. Ours; `maxMessageSize` of the connector says what is let pass.
pub const MESSAGE_SIZE_MAX: u64 = 128 * 1024 * 1024;
/// First pause after Transport could not be reached; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Takes messages to another system.
#[async_trait]
pub trait Agent: Send + Sync + 'static {
    /// Delivers a message: one answer for each recipient, in their order.
    async fn deliver(&self, delivery: &AgentDelivery, content: Bytes) -> Vec<AgentAnswer>;
}

/// Where mail comes from.
#[derive(Clone, Debug)]
pub struct Attending {
    /// Transport's socket.
    pub socket: PathBuf,
    /// `DeliveryProtocol` of the connectors.
    pub protocol: Box<str>,
    /// Who the agent is.
    pub name: Box<str>,
    /// Messages that it takes at once.
    pub connections: u32,
}

/// Serves until `drain` is cancelled: a message under way is finished.
pub async fn serve(source: &Attending, agent: &Arc<dyn Agent>, drain: &CancellationToken) {
    let mut connections = JoinSet::new();
    for _ in 0..source.connections {
        let (source, agent, drain) = (source.clone(), Arc::clone(agent), drain.clone());
        connections.spawn(async move { keep_connected(&source, agent.as_ref(), &drain).await });
    }
    while connections.join_next().await.is_some() {}
}

async fn keep_connected(source: &Attending, agent: &dyn Agent, drain: &CancellationToken) {
    let mut pause = PAUSE_MIN;
    let mut told = String::new();
    while !drain.is_cancelled() {
        match connect(source).await {
            Ok(attendance) => {
                let began = Instant::now();
                let ended = attend(attendance, agent, drain).await;
                // One that is refused, or dies at its first message, does not come back at once for ever.
                if began.elapsed() > PAUSE_MAX {
                    (pause, told) = (PAUSE_MIN, String::new());
                }
                if let Err(error) = ended
                    && error != told
                {
                    tracing::warn!(%error, "the connection to Transport has ended");
                    told = error;
                }
            }
            // The same words once.
            Err(error) if error == told => {}
            Err(error) => {
                tracing::warn!(socket = %source.socket.display(), %error, "Transport cannot be reached; it is tried again");
                told = error;
            }
        }
        tokio::select! {
            () = drain.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = PAUSE_MAX.min(pause * 2),
        }
    }
}

async fn connect(source: &Attending) -> Result<Attendance, String> {
    let channel = rpc::client::over(&source.socket).await?;
    Attendance::begin(channel, &source.protocol, &source.name).await
}

fn too_large() -> Reply {
    Reply::new(552, EnhancedStatus::new(5, 3, 4), "the message is larger than this delivery agent takes, 128 MB")
}

async fn attend(mut attendance: Attendance, agent: &dyn Agent, drain: &CancellationToken) -> Result<(), String> {
    loop {
        let next = tokio::select! {
            biased;
            next = attendance.next(MESSAGE_SIZE_MAX) => next?,
            () = drain.cancelled() => return Ok(()),
        };
        let Some((delivery, content)) = next else { return Ok(()) };
        let answers = match content {
            Some(content) => agent.deliver(&delivery, content).await,
            None => vec![AgentAnswer::Failed(too_large()); delivery.recipients.len()],
        };
        for ((kind, address), answer) in delivery.recipients.iter().zip(&answers) {
            match answer {
                AgentAnswer::Delivered => tracing::info!(message = %delivery.id, %kind, %address, "delivered"),
                AgentAnswer::Later(reply) | AgentAnswer::Failed(reply) => {
                    tracing::warn!(message = %delivery.id, %kind, %address, %reply, "not delivered");
                }
            }
        }
        attendance.answer(delivery.id, answers).await.map_err(|error| error.to_string())?;
    }
}
