//! Content, by DATA or in chunks, up to the line in the log of deliveries.

use std::io;
use std::sync::Arc;

use envelope::Reply;
use smtp_session::dot::Unstuffer;
use smtp_session::lines::LineEndings;
use uuid::Uuid;

use super::{CONTENT_OCTETS_MAX, Ended, Session, Step, Transaction, status};
use crate::deliveries::{self, Delivery, KeepError};

impl Session {
    /// Why content may not come now, by the order of commands or by a fault.
    async fn content_refused(&mut self) -> Result<Option<Reply>, Ended> {
        let Some(transaction) = &self.transaction else { return Ok(Some(status(503, "5.5.1 Not now"))) };
        if transaction.recipients.is_empty() {
            return Ok(Some(status(503, "5.5.1 No recipient")));
        }
        let party = transaction.party.clone();
        let refusal = self.fault(Step::Data, &party).await?;
        if refusal.is_some() {
            self.transaction = None;
        }
        Ok(refusal)
    }

    pub(super) async fn data(&mut self) -> Result<Reply, Ended> {
        if self.transaction.as_ref().is_some_and(|transaction| transaction.chunked) {
            return Ok(status(503, "5.5.1 DATA after BDAT"));
        }
        if let Some(refusal) = self.content_refused().await? {
            return Ok(refusal);
        }
        self.send(&Reply::plain(354, "Go ahead")).await?;
        let mut transaction = self.transaction.take().expect("content was not refused");
        let mut dots = Unstuffer::default();
        let mut size = 0;
        loop {
            let decoded = dots.decode(&mut self.input);
            size += decoded.chunk.len();
            if size <= CONTENT_OCTETS_MAX {
                transaction.content.extend_from_slice(&decoded.chunk);
            }
            if decoded.end {
                break;
            }
            self.read().await?;
        }
        if size > CONTENT_OCTETS_MAX {
            return Ok(status(552, "5.3.4 Too large"));
        }
        self.end_of_data(transaction).await
    }

    /// RFC 3030 §2: the octets come whatever the answer is.
    pub(super) async fn chunk(&mut self, size: u64, last: bool) -> Result<Reply, Ended> {
        let begun = self.transaction.as_ref().is_some_and(|transaction| transaction.chunked);
        let refusal = if begun { None } else { self.content_refused().await? };
        let mut remaining = usize::try_from(size).unwrap_or(usize::MAX);
        let mut refusal = refusal;
        while remaining > 0 {
            if self.input.is_empty() {
                self.read().await?;
            }
            let part = self.input.split_to(remaining.min(self.input.len()));
            remaining -= part.len();
            let Some(transaction) = &mut self.transaction else { continue };
            if transaction.content.len() + part.len() > CONTENT_OCTETS_MAX {
                self.transaction = None;
                refusal = Some(status(552, "5.3.4 Too large"));
            } else {
                transaction.content.extend_from_slice(&part);
            }
        }
        if let Some(refusal) = refusal {
            return Ok(refusal);
        }
        let mut transaction = self.transaction.take().expect("content was not refused");
        if last {
            return self.end_of_data(transaction).await;
        }
        transaction.chunked = true;
        self.transaction = Some(transaction);
        Ok(status(250, "2.0.0 Chunk taken"))
    }

    async fn end_of_data(&mut self, transaction: Transaction) -> Result<Reply, Ended> {
        let mut endings = LineEndings::default();
        if !(endings.check(&transaction.content) && endings.is_complete()) {
            return Ok(status(550, "5.6.11 Bare CR or LF"));
        }
        let party = transaction.party.clone();
        if let Some(refusal) = self.fault(Step::EndOfData, &party).await? {
            return Ok(refusal);
        }
        let kept = self.keep(transaction).await;
        if let Some(refusal) = self.fault(Step::Accepted, &party).await? {
            return Ok(refusal);
        }
        Ok(match kept {
            Ok(id) => status(250, &format!("2.0.0 Kept as {id}")),
            Err(error @ KeepError::Full) => status(452, &format!("4.3.1 {error}")),
            Err(KeepError::File(error)) => {
                tracing::error!(host = %self.site.name, %error, "cannot keep a message of the lab");
                status(451, "4.3.0 The lab's directory cannot be written")
            }
        })
    }

    async fn keep(&self, transaction: Transaction) -> Result<String, KeepError> {
        let id = Uuid::now_v7().to_string();
        let delivery = Delivery {
            id: id.clone(),
            host: self.site.name.to_string(),
            time_millis: crate::clock::now().as_millis(),
            peer: self.peer,
            hello: self.hello.clone().unwrap_or_default(),
            tls: self.tls.as_ref().map(|tls| format!("{} {}", tls.version, tls.cipher)),
            user: self.user.clone(),
            sender: transaction.party.sender.map(|sender| sender.to_string()).unwrap_or_default(),
            sender_parameters: transaction.sender_parameters,
            recipients: transaction.recipients,
            message_id: deliveries::message_id(&transaction.content),
            size: u64::try_from(transaction.content.len()).expect("far below"),
        };
        let log = Arc::clone(&self.site.log);
        let kept = tokio::task::spawn_blocking(move || log.keep(&delivery, &transaction.content));
        kept.await.map_err(io::Error::other)??;
        Ok(id)
    }
}
