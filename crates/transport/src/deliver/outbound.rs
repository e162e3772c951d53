//! How this server reaches hosts outside: sessions of its own, and through the front ends of its site.

use std::sync::Arc;

use net::KeyedCertificate;
use rpc::proxy::FrontEnds;
use runtime::{Node, NodeError};
use sending::{Keys, Sessions};
use smtp::Transcripts;

/// Opens sessions with hosts outside.
pub(crate) struct Outbound {
    /// Sessions of this server.
    pub(crate) sessions: Sessions,
    /// Sessions through front ends.
    pub(crate) front_ends: FrontEnds,
}

impl Outbound {
    pub(crate) fn new(
        node: &Arc<Node>,
        own: &KeyedCertificate,
        transcripts: Arc<dyn Transcripts>,
    ) -> Result<Self, NodeError> {
        let front_ends = FrontEnds::new(Arc::clone(&node.credentials));
        let keys = Keys::of_organization(&node.settings)?;
        Ok(Self { sessions: Sessions::new(Arc::clone(node), own, keys)?.told_in(transcripts), front_ends })
    }
}
