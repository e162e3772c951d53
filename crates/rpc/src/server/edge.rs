//! What counts of the words of an Edge server about a message: who sends it to whom, and nothing else. Whoever has broken into
//! the perimeter can claim nothing but anonymous mail (docs/security.md).
//!
//! | said | counts |
//! |---|---|
//! | sender, recipients, size | as it is; where to is looked at by whoever stores the message |
//! | what recipients ask for | word of a delay and a failure; a stranger may have asked for that of a delivery in another's name |
//! | id | as a name that this Edge server gave: no message of another bears it |
//! | origin | anonymous, from this Edge server |
//! | configuration it was decided by, sites it was backed off from, size on entry, age, attempts | not at all |
//! | trace | as it is: it joins the two halves of a way, and nothing is decided by it |
//! | header fields of the organization | not at all: removed by whoever stores the message |

use envelope::{MessageId, Notify, Origin, OriginKind, Revision, ServerName};
use net::digest::sha256;

use crate::transfer::Incoming;

/// The message as an Edge server may hand it in.
pub(super) fn restricted(server: &ServerName, mut incoming: Incoming) -> Incoming {
    let head = &mut incoming.head;
    head.id = named_by(server, head.id);
    head.origin = Origin { kind: OriginKind::Anonymous, connector: format!("Edge {server}").into() };
    head.revision = Revision(0);
    head.backed_off.clear();
    for recipient in &mut head.envelope.recipients {
        recipient.notify = recipient.notify.map(Notify::without_success);
    }
    head.original_size = None;
    incoming.history = None;
    incoming.stranger = true;
    incoming
}

/// The same id for the same message of the same Edge server, and for none of anybody else.
fn named_by(server: &ServerName, id: MessageId) -> MessageId {
    let name = server.as_str().to_lowercase();
    let digest = sha256(&[b"edge\0", name.as_bytes(), b"\0", id.as_bytes()]);
    let mut named = [0; 16];
    named.copy_from_slice(&digest[..16]);
    MessageId::from_bytes(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_edge_servers_own() {
        let (one, two) = (ServerName::parse("EDGE1").unwrap(), ServerName::parse("EDGE2").unwrap());
        let id = MessageId::from_bytes([7; 16]);
        assert_eq!(named_by(&one, id), named_by(&ServerName::parse("edge1").unwrap(), id));
        assert_ne!(named_by(&one, id), named_by(&two, id));
        assert_ne!(named_by(&one, id), id, "nobody else's message has it");
    }
}
