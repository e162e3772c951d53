//! Where the messages of a service's sessions go.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{MessageHead, ObjectName, Receipt, Reply};
use routing::RoutingTables;

/// A message whose envelope was accepted and whose header is complete.
pub struct Arriving {
    /// Everything but the sizes, which are not known yet.
    pub head: MessageHead,
    /// The configuration by which the envelope was accepted (invariant 5).
    pub tables: Arc<RoutingTables>,
    /// The databases of the first recipients, in order (RT-64).
    pub homes: Vec<Option<ObjectName>>,
    /// What the client calls itself, and where it is.
    pub client_name: Box<str>,
    /// See there.
    pub client_address: IpAddr,
    /// `Message-ID` of the content, with angle brackets.
    pub message_id: Box<str>,
    /// `Subject` of the content, decoded.
    pub subject: Option<Box<str>>,
}

/// Takes messages over.
#[async_trait]
pub trait MessageTaker: Send + Sync + 'static {
    /// Before anything of a message has come (`MAIL`): whether one may come now. It may take its time to say so: the client
    /// waits (BP-08, BP-13).
    ///
    /// # Errors
    /// What the client is told.
    async fn admit(&self) -> Result<(), Reply> {
        Ok(())
    }

    /// Begins to take one.
    fn take(&self, arriving: Arriving) -> Box<dyn Taking>;
}

/// One message being taken over. Dropping it forgets the message.
#[async_trait]
pub trait Taking: Send {
    /// The next piece of the content, the header among it. After an error nothing more comes.
    ///
    /// # Errors
    /// What the client is told.
    async fn write(&mut self, piece: Bytes) -> Result<(), Reply>;

    /// The content is complete: somebody holds it durably, or the client keeps it.
    ///
    /// # Errors
    /// What the client is told.
    async fn finish(self: Box<Self>) -> Result<Receipt, Reply>;
}
