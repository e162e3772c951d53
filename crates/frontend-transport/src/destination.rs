//! Where a front end's messages go: to the Transport that routing names, held until they are whole as long as they are
//! small, and passed on as they come from then on (RT-66, PL-25).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use envelope::{Receipt, Reply};
use handover::Candidates;
use reception::{Arriving, MessageTaker, Taking};
use runtime::Node;

use crate::passage::Passage;

/// Content up to this is held until it is whole, so that any server may take it; more is passed on as it comes. One
/// request of the implicit connector (RT-66, PL-25).
pub(crate) const HELD_OCTETS_MAX: usize = 256 * 1024;

/// The Transports of the organization.
pub(crate) struct Transports {
    node: Arc<Node>,
    turn: AtomicU64,
}

impl Transports {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node, turn: AtomicU64::new(rand::random()) }
    }
}

impl MessageTaker for Transports {
    fn take(&self, arriving: Arriving) -> Box<dyn Taking> {
        // Another start of the rotation for each message, the first one random (RT-24).
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let candidates = Candidates::of_front_end(&self.node, &arriving.tables, &arriving.homes, turn);
        let passage = Passage::new(Arc::clone(&self.node), arriving.head, candidates);
        Box::new(Passing { passage, held: Some(BytesMut::new()) })
    }
}

/// One message on its way through.
struct Passing {
    passage: Passage,
    /// Everything so far, until it is too much.
    held: Option<BytesMut>,
}

#[async_trait]
impl Taking for Passing {
    async fn write(&mut self, piece: Bytes) -> Result<(), Reply> {
        // Large content is rare, and has a box: small one need not make room for what carries it.
        let Some(held) = &mut self.held else { return Box::pin(self.passage.push(piece)).await };
        held.extend_from_slice(&piece);
        if held.len() <= HELD_OCTETS_MAX {
            return Ok(());
        }
        let beginning = self.held.take().unwrap_or_default();
        Box::pin(self.passage.begin(beginning.freeze())).await
    }

    async fn finish(mut self: Box<Self>) -> Result<Receipt, Reply> {
        match self.held.take() {
            Some(content) => self.passage.submit(content.freeze()).await,
            None => Box::pin(self.passage.finish()).await,
        }
    }
}
