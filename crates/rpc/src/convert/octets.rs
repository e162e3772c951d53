//! Messages of the wire as octets, for tests that give the conversions what no service of ours would send.

use envelope::{MessageHead, Reply};
use prost::Message as _;

use super::{WireError, deliveries_from_wire, head_from_wire, head_to_wire, reply_from_wire};
use crate::transfer::Deliveries;
use crate::wire::transfer::v1 as wire;

fn decoded<T: prost::Message + Default>(octets: &[u8]) -> Result<T, WireError> {
    T::decode(octets).map_err(|_| WireError::Invalid("message of protobuf"))
}

/// A message's head.
///
/// # Errors
/// [`WireError`].
pub fn head(octets: &[u8]) -> Result<MessageHead, WireError> {
    head_from_wire(decoded(octets)?)
}

/// The octets of a head, with its size.
#[must_use]
pub fn of_head(head: &MessageHead) -> Vec<u8> {
    head_to_wire(head, Some(head.size)).encode_to_vec()
}

/// What Mailbox Transport Delivery answers.
///
/// # Errors
/// [`WireError`].
pub fn deliveries(octets: &[u8]) -> Result<Deliveries, WireError> {
    deliveries_from_wire(decoded(octets)?)
}

/// A refusal.
///
/// # Errors
/// [`WireError`].
pub fn reply(octets: &[u8]) -> Result<Reply, WireError> {
    reply_from_wire(&decoded::<wire::Reply>(octets)?)
}
