//! Content that comes from an Edge server: its header passes the firewall as that of a stranger's session does (PL-41), and says in
//! our name only what we know of it.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use bytes::Bytes;
use directory::Directory;
use envelope::{Address, ByteSize, Domain, EnhancedStatus, Recipient, Reply};
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
/// has no relay by us, and no way to other address types (PL-45) but to whom such an address is.
///
/// # Errors
/// The reply of a server that does not relay, or that cannot look an address up.
pub(crate) async fn may_enter(
    recipients: &[Recipient],
    organization: &Organization,
    directory: &dyn Directory,
) -> Result<(), Reply> {
    for address in recipients.iter().map(|recipient| &recipient.address) {
        let ours = organization.accepted_domain(&address.domain()).is_some();
        if !ours || (organization.carried(address).is_some() && !is_somebodys(address, organization, directory).await?)
        {
            let text = format!("Unable to relay; an Edge server does not send to {address} by this organization");
            return Err(Reply::new(550, EnhancedStatus::new(5, 7, 1), text));
        }
    }
    Ok(())
}

async fn is_somebodys(
    address: &Address,
    organization: &Organization,
    directory: &dyn Directory,
) -> Result<bool, Reply> {
    for spelling in std::iter::once(address).chain(&organization.stand_in(address)) {
        match directory.recipient(spelling).await {
            Ok(Some(_)) => return Ok(true),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%address, %error, "a recipient cannot be looked up");
                let text = "Temporary server error; the recipient cannot be looked up";
                return Err(Reply::new(451, EnhancedStatus::new(4, 4, 3), text));
            }
        }
    }
    Ok(false)
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
