//! The service from start to end: the port is opened, mail is delivered, and on a signal what has begun is finished.

use std::sync::Arc;
use std::time::Duration;

use net::OrganizationListener;
use rpc::Offer;
use runtime::{Node, NodeError};
use telemetry::{Health, HealthChecks};
use tokio_util::sync::CancellationToken;

use crate::handler::{Handler, TRACKING_PREFIX};
use crate::moves::Moves;

/// Deliveries under way at a drain are waited for as long as one of them gets on within this time; Transport brings the others
/// again.
const SETTLE_PATIENCE: Duration = Duration::from_secs(20);

/// Why Mailbox Transport Delivery cannot start or has ended.
#[derive(Debug, thiserror::Error)]
pub enum MailboxDeliveryError {
    /// The process around it.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The implicit connector.
    #[error("the implicit connector failed: {0}")]
    Connector(#[from] std::io::Error),
}

/// Mailbox Transport Delivery, ready to run.
pub struct MailboxDelivery {
    node: Arc<Node>,
    listener: OrganizationListener,
    drain: CancellationToken,
}

impl MailboxDelivery {
    /// Opens the port. Databases are opened when mail comes for them.
    ///
    /// # Errors
    /// [`MailboxDeliveryError::Node`] when the port cannot be opened.
    pub async fn build(node: Arc<Node>, drain: CancellationToken) -> Result<Self, MailboxDeliveryError> {
        let listener = node.listen().await?;
        Ok(Self { node, listener, drain })
    }

    /// Whether it lives and takes mail.
    #[must_use]
    pub fn health(&self) -> HealthChecks {
        let drain = self.drain.clone();
        HealthChecks::new(
            || Health::Good,
            move || if drain.is_cancelled() { Health::Bad("draining".into()) } else { Health::Good },
        )
    }

    /// Runs until drained.
    ///
    /// # Errors
    /// [`MailboxDeliveryError::Connector`] when the port fails.
    pub async fn run(self) -> Result<(), MailboxDeliveryError> {
        let Self { node, listener, drain } = self;
        let address = listener.local()?;
        let mut offer = Offer::new(drain.clone());
        let handler = Arc::new(Handler::new(Arc::clone(&node)));
        let progress = handler.progress.clone();
        let moves = Arc::new(Moves::new(Arc::clone(&node), Arc::clone(&handler.databases), drain.clone()));
        offer.mailbox_delivery(handler);
        offer.mailboxes(moves.clone());
        admin_api::offer::databases(&mut offer, Arc::clone(&moves));
        tokio::spawn(moves.follow());
        admin_api::offer::tracking(&mut offer, logs::tracking::folder(&node.settings.state), &[TRACKING_PREFIX]);
        let mut serving = tokio::spawn(offer.serve(listener, &node.credentials)?);
        node.announce(address);
        tracing::info!(%address, service = %node.service, "ready");
        tokio::select! {
            () = drain.cancelled() => {}
            // Not drained: the port has failed.
            ended = &mut serving => return ended.map_err(std::io::Error::other)?.map_err(Into::into),
        }
        match progress.wait_for(serving, SETTLE_PATIENCE).await {
            Some(ended) => ended.map_err(std::io::Error::other)?.map_err(Into::into),
            None => {
                tracing::warn!("not every delivery was finished in time; Transport tries those again");
                Ok(())
            }
        }
    }
}
