//! The answers that one client gets (docs/rules.md, Pipeline): who it is, whom it may send as and to, what becomes of its messages.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{Address, EnhancedStatus, Envelope, ObjectName, Recipient, Reply};
use routing::{RECIPIENTS_CONSIDERED, RoutingTables};
use runtime::Node;
use smtp::{Accepted, SessionFacts, SessionHandler};
use smtp_session::Credentials;
use smtp_session::command::MailCommand;
use telemetry::metrics::Direction;
use topology::{DirectoryRecipient, RecipientKind};

use crate::authentication;
use crate::connectors::Entrance;
use crate::intake::{Intake, Sender};
use crate::policy::{self, Found, Lookup, Principal};
use crate::shared::Shared;

/// One client.
pub(crate) struct Session {
    shared: Arc<Shared>,
    entrance: Arc<Entrance>,
    user: Option<Arc<DirectoryRecipient>>,
    transaction: Option<Transaction>,
}

/// One message from `MAIL` on.
pub(crate) struct Transaction {
    /// One configuration for the whole message (invariant 5).
    pub(crate) tables: Arc<RoutingTables>,
    pub(crate) session: SessionFacts,
    /// The databases of the first recipients, in order (RT-64).
    pub(crate) homes: Vec<Option<ObjectName>>,
    intake: Option<Box<Intake>>,
    screening: Screening,
}

/// What was said to the recipients of a message so far. A message of which nobody was accepted counts as refused when its
/// transaction ends; of any other the intake knows more.
struct Screening {
    entrance: Arc<Entrance>,
    accepted: bool,
    refused: bool,
}

impl Screening {
    fn note(&mut self, answer: &Result<(), Reply>) {
        match answer {
            Ok(()) => self.accepted = true,
            Err(_) => self.refused = true,
        }
    }
}

impl Drop for Screening {
    fn drop(&mut self) {
        if self.refused && !self.accepted {
            self.entrance.metrics.refused();
        }
    }
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, entrance: Arc<Entrance>) -> Self {
        let metrics = &shared.node.metrics;
        metrics.connections.increment(Direction::Inbound);
        metrics.connections_opened.add(Direction::Inbound, 1);
        Self { shared, entrance, user: None, transaction: None }
    }

    fn principal(&self) -> Principal<'_> {
        Principal::of(&self.entrance.connector, self.user.as_deref())
    }

    /// Whether a recipient may be sent to, and where its mailbox is.
    async fn screen(&mut self, recipient: &Recipient) -> Result<(), Reply> {
        let Some(transaction) = &self.transaction else { return Err(out_of_order()) };
        let address = &recipient.address;
        let lookup = policy::check_recipient(transaction.tables.organization(), self.principal(), address)?;
        let found = match lookup {
            Lookup::Pointless => Found::Nothing,
            Lookup::Required | Lookup::Useful => look_up(&self.shared.node, address).await,
        };
        policy::check_found(self.principal(), lookup, &found)?;
        let home = match found {
            Found::Recipient(DirectoryRecipient { kind: RecipientKind::Mailbox { database, .. }, .. }) => {
                Some(database)
            }
            Found::Recipient(_) | Found::Nothing | Found::NoAnswer => None,
        };
        if let Some(transaction) = &mut self.transaction
            && transaction.homes.len() < RECIPIENTS_CONSIDERED
        {
            transaction.homes.push(home);
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.node.metrics.connections.decrement(Direction::Inbound);
    }
}

#[async_trait]
impl SessionHandler for Session {
    async fn authenticate(&mut self, credentials: Credentials, _session: &SessionFacts) -> Result<(), Reply> {
        let user = authentication::authenticate(&self.shared, &credentials).await?;
        if !Principal::of(&self.entrance.connector, Some(&user)).may_submit(&self.entrance.connector) {
            // RC-41
            return Err(authentication::unsuccessful());
        }
        self.user = Some(Arc::new(user));
        Ok(())
    }

    async fn mail(&mut self, mail: &MailCommand, session: &SessionFacts) -> Result<(), Reply> {
        // A session that was authenticated in clear starts anew under TLS (RFC 3207 §4.2).
        if session.user.is_none() {
            self.user = None;
        }
        policy::check_sender(&self.entrance.connector, self.principal(), &mail.reverse_path)
            .inspect_err(|_| self.entrance.metrics.refused())?;
        self.shared.destination.admit().await?;
        let tables = self.shared.node.tables();
        let screening = Screening { entrance: Arc::clone(&self.entrance), accepted: false, refused: false };
        let (session, homes) = (session.clone(), Vec::new());
        self.transaction = Some(Transaction { tables, session, homes, intake: None, screening });
        Ok(())
    }

    async fn rcpt(&mut self, recipient: &Recipient) -> Result<(), Reply> {
        let answer = self.screen(recipient).await;
        if let Some(transaction) = &mut self.transaction {
            transaction.screening.note(&answer);
        }
        answer
    }

    async fn begin(&mut self, envelope: Envelope) -> Result<(), Reply> {
        let Some(transaction) = &self.transaction else { return Err(out_of_order()) };
        let principal = self.principal();
        let user = matches!(principal, Principal::User(_)).then(|| self.user.clone()).flatten();
        let sender = Sender { origin: principal.origin(), user };
        let intake = Intake::new(&self.shared, &self.entrance, transaction, sender, envelope);
        if let Some(transaction) = &mut self.transaction {
            transaction.intake = Some(Box::new(intake));
        }
        Ok(())
    }

    async fn chunk(&mut self, content: Bytes) -> Result<(), Reply> {
        match self.transaction.as_mut().and_then(|transaction| transaction.intake.as_mut()) {
            Some(intake) => intake.chunk(content).await,
            None => Err(out_of_order()),
        }
    }

    async fn finish(&mut self) -> Result<Accepted, Reply> {
        match self.transaction.take().and_then(|transaction| transaction.intake) {
            Some(intake) => intake.finish().await,
            None => Err(out_of_order()),
        }
    }

    async fn reset(&mut self) {
        self.transaction = None;
    }
}

async fn look_up(node: &Node, address: &Address) -> Found {
    match node.directory.recipient(address).await {
        Ok(Some(recipient)) => Found::Recipient(recipient),
        Ok(None) => Found::Nothing,
        Err(error) => {
            tracing::warn!(%address, %error, "a recipient cannot be looked up");
            Found::NoAnswer
        }
    }
}

/// The machine never asks like this.
fn out_of_order() -> Reply {
    Reply::new(451, EnhancedStatus::new(4, 3, 0), "Temporary server error")
}
