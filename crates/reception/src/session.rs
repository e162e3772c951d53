//! The answers that one client gets (docs/rules.md, Pipeline): who it is, whom it may send as and to, what becomes of its messages.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use directory::RecipientDigest;
use envelope::{Address, ByteSize, Domain, EnhancedStatus, Envelope, Recipient, Reply, ReversePath, Severity};
use routing::RECIPIENTS_CONSIDERED;
use runtime::Node;
use smtp::{Accepted, SessionFacts, SessionHandler};
use smtp_session::Credentials;
use smtp_session::command::MailCommand;
use telemetry::metrics::Direction;
use telemetry::named::Logon;
use topology::{DirectoryRecipient, EdgeSubscription, Organization, RecipientKind, ServerRole};

use crate::authentication;
use crate::connectors::Entrance;
use crate::intake::{Agreed, Intake, Sender};
use crate::partners;
use crate::policy::{self, Asker, Found, Lookup, Principal};
use crate::shared::Shared;
use crate::suspicion::FailedLogon;

/// One client.
pub(crate) struct Session {
    shared: Arc<Shared>,
    entrance: Arc<Entrance>,
    peer: IpAddr,
    user: Option<Arc<DirectoryRecipient>>,
    /// The sender's domain, of which the client has proved to be (TA-45).
    partner: Option<Domain>,
    /// The client is the other half of a hybrid organization (PF-45).
    other_half: bool,
    /// How long the next refusal is held back at least.
    delay: Duration,
    transaction: Option<Transaction>,
}

/// One message from `MAIL` on.
struct Transaction {
    agreed: Agreed,
    sender: ReversePath,
    /// `SIZE` of `MAIL`.
    size: ByteSize,
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
    pub(crate) fn new(shared: Arc<Shared>, entrance: Arc<Entrance>, peer: IpAddr) -> Self {
        let metrics = &shared.node.metrics;
        metrics.connections.increment(Direction::Inbound);
        metrics.connections_opened.add(Direction::Inbound, 1);
        Self {
            shared,
            entrance,
            peer,
            user: None,
            partner: None,
            other_half: false,
            delay: Duration::ZERO,
            transaction: None,
        }
    }

    /// `MessageRateLimit`.
    fn count_message(&self, mail: &MailCommand) -> Result<(), Reply> {
        let claimed = || mail.reverse_path.to_string();
        let user = self.user.as_ref().map_or_else(claimed, |user| user.name.as_str().to_owned());
        self.entrance.rates.lock().count(self.peer, &user, self.shared.node.clock.now())
    }

    fn principal(&self) -> Principal<'_> {
        Principal::of(&self.entrance.connector, self.user.as_deref(), self.partner.is_some())
    }

    /// Whether a recipient may be sent to, and where its mailbox is.
    async fn screen(&mut self, recipient: &Recipient) -> Result<(), Reply> {
        let Some(transaction) = &self.transaction else { return Err(out_of_order()) };
        let address = &recipient.address;
        let tables = Arc::clone(&transaction.agreed.tables);
        let organization = tables.organization();
        policy::check_told(tables.local_server())?;
        let lookup = policy::check_recipient(&self.entrance.connector, organization, self.principal(), address)?;
        let found = match lookup {
            Lookup::Pointless => Found::Nothing,
            Lookup::Required | Lookup::Useful => find(&self.shared, organization, address, self.user.is_none()).await,
        };
        if let Some(Transaction { sender, size, .. }) = &self.transaction {
            let connector = &self.entrance.connector;
            let asker = Asker { connector, organization, principal: self.principal(), sender, size: *size };
            policy::check_found(asker, address, lookup, &found)?;
        }
        let home = match found {
            Found::Recipient(DirectoryRecipient { kind: RecipientKind::Mailbox { database, .. }, .. }) => {
                Some(database)
            }
            Found::Recipient(_) | Found::Somebody | Found::Nothing | Found::NoAnswer => None,
        };
        if let Some(transaction) = &mut self.transaction
            && transaction.agreed.homes.len() < RECIPIENTS_CONSIDERED
        {
            transaction.agreed.homes.push(home);
        }
        Ok(())
    }
}

impl Session {
    /// Notes a refused recipient of somebody who did not log on; whoever has had too many is sent away.
    fn suspect(&self, answer: Result<(), Reply>) -> Result<(), Reply> {
        let refused = answer.as_ref().is_err_and(|reply| reply.severity() == Severity::Permanent);
        if !refused || self.principal() != Principal::Anonymous {
            return answer;
        }
        let (mut suspicion, now) = (self.shared.suspicion.lock(), self.shared.node.clock.now());
        suspicion.refused(self.peer, now);
        suspicion.check(self.peer, now).and(answer)
    }
}

impl Session {
    /// The line by which somebody who guesses is found.
    fn tell_failed(&self, account: &str, failed: FailedLogon) {
        let FailedLogon { of_account, of_network, .. } = failed;
        tracing::warn!(
            peer = %self.peer,
            account = ?account,
            connector = self.entrance.connector.name.as_str(),
            of_account = of_account.all,
            of_account_elsewhere = of_account.told,
            of_network = of_network.all,
            of_network_elsewhere = of_network.told,
            "a logon failed"
        );
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
        let account = authentication::account_digest(&credentials.user);
        let shared = Arc::clone(&self.shared);
        let metrics = &self.entrance.metrics;
        shared
            .suspicion
            .lock()
            .check_logon(self.peer, shared.node.clock.now())
            .inspect_err(|_| metrics.logon(Logon::Refused))?;
        let user = match authentication::authenticate(&shared, &credentials).await {
            Ok(user) => user,
            Err(reply) if reply.severity() == Severity::Permanent => {
                let failed = shared.suspicion.lock().logon_failed(self.peer, account, shared.node.clock.now());
                shared.has_news.notify_one();
                self.tell_failed(&credentials.user, failed);
                metrics.logon(Logon::Failed);
                self.delay = failed.delay;
                return Err(reply);
            }
            Err(reply) => return Err(reply),
        };
        shared.suspicion.lock().logon_succeeded(&account);
        metrics.logon(Logon::Succeeded);
        if !Principal::of(&self.entrance.connector, Some(&user), false).may_submit(&self.entrance.connector) {
            // RC-41
            return Err(authentication::unsuccessful());
        }
        self.user = Some(Arc::new(user));
        Ok(())
    }

    fn delay(&mut self) -> Duration {
        std::mem::take(&mut self.delay)
    }

    async fn mail(&mut self, mail: &MailCommand, session: &SessionFacts) -> Result<(), Reply> {
        // A session that was authenticated in clear starts anew under TLS (RFC 3207 §4.2).
        if session.user.is_none() {
            self.user = None;
        }
        let tables = self.shared.node.tables();
        self.partner = None;
        let (shared, entrance) = (Arc::clone(&self.shared), Arc::clone(&self.entrance));
        if self.user.is_none() {
            let proved = partners::prove(&shared, &entrance, tables.organization(), mail, session).await;
            self.partner = proved.inspect_err(|_| entrance.metrics.refused())?;
        }
        self.other_half = partners::is_other_half(&shared, &entrance.connector, session).await;
        policy::check_sender(&self.entrance.connector, tables.organization(), self.principal(), mail)
            .and_then(|()| self.count_message(mail))
            .inspect_err(|_| self.entrance.metrics.refused())?;
        self.shared.held.check()?;
        self.shared.destination.admit().await?;
        self.transaction = Some(Transaction {
            agreed: Agreed { tables, session: session.clone(), homes: Vec::new() },
            sender: mail.reverse_path.clone(),
            size: ByteSize::bytes(mail.size.unwrap_or_default()),
            intake: None,
            screening: Screening { entrance: Arc::clone(&self.entrance), accepted: false, refused: false },
        });
        Ok(())
    }

    async fn rcpt(&mut self, recipient: &Recipient) -> Result<(), Reply> {
        let answer = self.screen(recipient).await;
        let answer = self.suspect(answer);
        if let Some(transaction) = &mut self.transaction {
            transaction.screening.note(&answer);
        }
        answer
    }

    async fn begin(&mut self, mut envelope: Envelope) -> Result<(), Reply> {
        let Some(transaction) = &self.transaction else { return Err(out_of_order()) };
        let principal = self.principal();
        for recipient in &mut envelope.recipients {
            recipient.notify = policy::kept_notify(&self.entrance.connector, principal, recipient.notify);
        }
        let size_limit = policy::size_limit(transaction.agreed.tables.organization(), principal);
        let user = matches!(principal, Principal::User(_)).then(|| self.user.clone()).flatten();
        let partner = self.partner.clone().filter(|_| principal == Principal::Partner);
        let (origin, other_half) = (principal.origin(&self.entrance.connector), self.other_half);
        let sender = Sender { origin, user, partner, other_half, size_limit };
        let intake = Intake::new(&self.shared, &self.entrance, &transaction.agreed, sender, envelope);
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

/// The recipient of an address, or whoever stands in for it: every accepted domain of ours has a postmaster.
/// Strangers share what the directory has time for.
async fn find(shared: &Shared, organization: &Organization, address: &Address, stranger: bool) -> Found {
    let asking = look_up(&shared.node, address);
    let found = if stranger { shared.questions.ask(address, asking).await } else { asking.await };
    match organization.stand_in(address).filter(|_| matches!(found, Found::Nothing)) {
        Some(stand_in) => look_up(&shared.node, &stand_in).await,
        None => found,
    }
}

async fn look_up(node: &Node, address: &Address) -> Found {
    let tables = node.tables();
    if tables.local_server().role == ServerRole::Edge {
        return look_up_digest(node, &tables.local_server().edge, address).await;
    }
    match node.directory.recipient(address).await {
        Ok(Some(recipient)) => Found::Recipient(recipient),
        Ok(None) => Found::Nothing,
        Err(error) => {
            tracing::warn!(%address, %error, "a recipient cannot be looked up");
            Found::NoAnswer
        }
    }
}

/// EN-30: an Edge server knows recipients by their digests, once it has been told of all.
async fn look_up_digest(node: &Node, subscription: &EdgeSubscription, address: &Address) -> Found {
    let Some(salt) = &subscription.recipient_salt else { return Found::Somebody };
    match node.directory.knows_digest(salt, &RecipientDigest::of(salt, address)).await {
        Ok(Some(true) | None) => Found::Somebody,
        Ok(Some(false)) => Found::Nothing,
        Err(error) => {
            tracing::warn!(%error, "a recipient cannot be looked up");
            Found::NoAnswer
        }
    }
}

/// The machine never asks like this.
fn out_of_order() -> Reply {
    Reply::new(451, EnhancedStatus::new(4, 3, 0), "Temporary server error")
}
