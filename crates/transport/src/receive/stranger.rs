//! Content that comes from an Edge server: its header passes the firewall as that of a stranger's session does (PL-41), and says in
//! our name only what we know of it.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use bytes::Bytes;
use envelope::{ByteSize, Domain, EnhancedStatus, Recipient, Reply};
use futures::StreamExt;
use futures::stream;
use message::firewall::{self, HeaderRights, Path};
use message::{HeaderBlock, HeaderCollector};
use routing::RoutingTables;
use rpc::Content;
use topology::Organization;

/// Longest header: as long as a stranger's may be, and what servers of the perimeter have added to it.
const HEADER_OCTETS_MAX: ByteSize = ByteSize::bytes(message::split::HEADER_SIZE_MAX.as_u64() + 64 * 1024);

/// Whether strangers' mail may go where an Edge server sends it: to our own domains alone. Whoever has broken into the perimeter
/// has no relay by us, and no way to other address types (PL-45).
///
/// # Errors
/// The reply of a server that does not relay.
pub(crate) fn may_enter(recipients: &[Recipient], organization: &Organization) -> Result<(), Reply> {
    let outside = recipients.iter().map(|recipient| &recipient.address).find(|address| {
        organization.accepted_domain(&address.domain()).is_none() || organization.encapsulated(address).is_some()
    });
    match outside {
        None => Ok(()),
        Some(address) => {
            let text = format!("Unable to relay; an Edge server does not send to {address} by this organization");
            Err(Reply::new(550, EnhancedStatus::new(5, 7, 1), text))
        }
    }
}

/// The same content with a header that may pass. Whoever reads it meets [`ErrorKind::InvalidData`] where the header is too long.
pub(crate) fn content(content: Content, tables: Arc<RoutingTables>) -> Content {
    let header = Some(HeaderCollector::new(HEADER_OCTETS_MAX));
    let reading = Reading { content, header, tables };
    stream::unfold(Some(reading), |reading| async move {
        let mut reading = reading?;
        match reading.next().await? {
            Ok(piece) => Some((Ok(piece), Some(reading))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

struct Reading {
    content: Content,
    /// Until the header is complete.
    header: Option<HeaderCollector>,
    /// By which the message came in.
    tables: Arc<RoutingTables>,
}

impl Reading {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            let piece = self.content.next().await;
            let Some(mut collector) = self.header.take() else { return piece };
            let piece = match piece {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => return Some(Err(error)),
                // All of it is header.
                None => return Some(Ok(self.passed(&collector.into_block(), &[]))),
            };
            match collector.push(&piece) {
                Ok(None) => self.header = Some(collector),
                Ok(Some(end)) => return Some(Ok(self.passed(&collector.into_block(), &piece[end..]))),
                Err(error) => return Some(Err(io::Error::new(ErrorKind::InvalidData, error))),
            }
        }
    }

    fn passed(&self, block: &[u8], body: &[u8]) -> Bytes {
        let prefix = firewall::ORGANIZATION_PREFIX;
        let mut octets =
            format!("{prefix}AuthSource: {}\r\n{prefix}AuthAs: Anonymous\r\n", self.tables.local_server().fqdn)
                .into_bytes();
        let passed = firewall::apply(HeaderBlock::new(block), Path::ReceiveConnector(HeaderRights::ROUTING));
        let organization = self.tables.organization();
        let own = |name: &str| Domain::parse(name).is_ok_and(|name| organization.is_own_name(&name));
        let passed = firewall::retain(HeaderBlock::new(&passed), |field| !HeaderBlock::is_result_of(field, own));
        octets.extend_from_slice(&passed);
        octets.extend_from_slice(body);
        octets.into()
    }
}
