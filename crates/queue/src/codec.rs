//! Binary form of envelopes, recipient states and attributes: version 1.
//!
//! Integers are little-endian; texts and lists carry their length in front; an optional value has one octet that says
//! whether it follows. Lengths and numbers read back are checked before anything is allocated for them, since a damaged
//! or forged record may hold any octets. Framing, checksums and placement are in [`record`](crate::record).

mod attributes;

use envelope::{
    Address, BodyType, ByteSize, DsnReturn, Envelope, MessageHead, MessageId, Notify, OriginalRecipient, Recipient,
    ReversePath, Timestamp, TraceContext,
};

use crate::message::{Pending, RecipientState, StoredMessage, Update};
use attributes::Attributes;

/// Octets that are not what they claim to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The stored fields of a message. Id and size of its head stand elsewhere in the record: here they are empty, and are
/// filled in by whoever reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta(pub StoredMessage);

/// A type with a binary form.
pub(crate) trait Stored: Sized {
    fn store(&self, out: &mut Vec<u8>);
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        self.store(&mut out);
        out
    }

    /// Loads a value that must fill `bytes`.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Input(bytes);
        let value = Self::load(&mut input)?;
        if input.0.is_empty() { Ok(value) } else { Err(Malformed) }
    }
}

/// Octets still to be read.
pub(crate) struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = tail;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        Ok(self.take(N)?.try_into().expect("take gives N octets"))
    }

    pub fn blob(&mut self) -> Result<&'a [u8], Malformed> {
        let length = u32::load(self)?;
        self.take(usize::try_from(length).map_err(|_| Malformed)?)
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.blob()?).map_err(|_| Malformed)
    }
}

/// Writes octets with their length.
pub(crate) fn store_blob(bytes: &[u8], out: &mut Vec<u8>) {
    length(bytes.len()).store(out);
    out.extend_from_slice(bytes);
}

fn length(count: usize) -> u32 {
    u32::try_from(count).expect("a record is far below 4 GiB")
}

macro_rules! stored_integer {
    ($($kind:ty),*) => {$(
        impl Stored for $kind {
            fn store(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
                Ok(Self::from_le_bytes(input.array()?))
            }
        }
    )*};
}
stored_integer!(u8, u16, u32, u64);

impl Stored for bool {
    fn store(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        match u8::load(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }
}

impl Stored for Box<str> {
    fn store(&self, out: &mut Vec<u8>) {
        store_blob(self.as_bytes(), out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(input.text()?.into())
    }
}

impl<T: Stored> Stored for Option<T> {
    fn store(&self, out: &mut Vec<u8>) {
        self.is_some().store(out);
        if let Some(value) = self {
            value.store(out);
        }
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        if bool::load(input)? { Ok(Some(T::load(input)?)) } else { Ok(None) }
    }
}

impl<T: Stored> Stored for Vec<T> {
    fn store(&self, out: &mut Vec<u8>) {
        length(self.len()).store(out);
        self.iter().for_each(|value| value.store(out));
    }
    /// Reserves nothing ahead: every element takes at least one octet of the input.
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let count = u32::load(input)?;
        (0..count).map(|_| T::load(input)).collect()
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn store(&self, out: &mut Vec<u8>) {
        self.0.store(out);
        self.1.store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok((A::load(input)?, B::load(input)?))
    }
}

impl Stored for Timestamp {
    fn store(&self, out: &mut Vec<u8>) {
        self.as_millis().store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(Self::from_millis(u64::load(input)?))
    }
}

impl Stored for ByteSize {
    fn store(&self, out: &mut Vec<u8>) {
        self.as_u64().store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(Self::bytes(u64::load(input)?))
    }
}

impl Stored for TraceContext {
    fn store(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.trace_id);
        out.extend_from_slice(&self.span_id);
        self.sampled.store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(Self { trace_id: input.array()?, span_id: input.array()?, sampled: bool::load(input)? })
    }
}

impl Stored for Address {
    fn store(&self, out: &mut Vec<u8>) {
        store_blob(self.as_str().as_bytes(), out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Self::parse(input.text()?).map_err(|_| Malformed)
    }
}

impl Stored for ReversePath {
    fn store(&self, out: &mut Vec<u8>) {
        self.address().cloned().store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(Option::load(input)?.map_or(Self::Null, Self::Address))
    }
}

impl Stored for Notify {
    fn store(&self, out: &mut Vec<u8>) {
        out.push(match *self {
            Self::Never => 0x80,
            Self::On { success, failure, delay } => u8::from(success) | u8::from(failure) << 1 | u8::from(delay) << 2,
        });
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        match u8::load(input)? {
            0x80 => Ok(Self::Never),
            bits @ 0..8 => Ok(Self::On { success: bits & 1 != 0, failure: bits & 2 != 0, delay: bits & 4 != 0 }),
            _ => Err(Malformed),
        }
    }
}

impl Stored for OriginalRecipient {
    fn store(&self, out: &mut Vec<u8>) {
        self.kind.store(out);
        self.address.store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(Self { kind: Stored::load(input)?, address: Stored::load(input)? })
    }
}

impl Stored for Recipient {
    fn store(&self, out: &mut Vec<u8>) {
        self.address.store(out);
        self.notify.store(out);
        self.original.store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(Self { address: Stored::load(input)?, notify: Stored::load(input)?, original: Stored::load(input)? })
    }
}

impl Stored for Envelope {
    fn store(&self, out: &mut Vec<u8>) {
        self.reverse_path.store(out);
        self.recipients.store(out);
        (self.body == BodyType::EightBitMime).store(out);
        self.smtputf8.store(out);
        self.dsn_return.map(|kind| kind == DsnReturn::Full).store(out);
        self.envelope_id.store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            reverse_path: Stored::load(input)?,
            recipients: Stored::load(input)?,
            body: if bool::load(input)? { BodyType::EightBitMime } else { BodyType::SevenBit },
            smtputf8: Stored::load(input)?,
            dsn_return: Option::load(input)?.map(|full| if full { DsnReturn::Full } else { DsnReturn::Headers }),
            envelope_id: Stored::load(input)?,
        })
    }
}

impl Stored for RecipientState {
    fn store(&self, out: &mut Vec<u8>) {
        match self {
            Self::Pending(pending) => {
                out.push(0);
                pending.attempts.store(out);
                pending.last_error.store(out);
                pending.delay_notified.store(out);
            }
            Self::Delivered => out.push(1),
            Self::Failed => out.push(2),
            Self::Expanded => out.push(3),
        }
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(match u8::load(input)? {
            0 => Self::Pending(Pending {
                attempts: Stored::load(input)?,
                last_error: Stored::load(input)?,
                delay_notified: Stored::load(input)?,
            }),
            1 => Self::Delivered,
            2 => Self::Failed,
            3 => Self::Expanded,
            _ => return Err(Malformed),
        })
    }
}

impl Stored for Meta {
    fn store(&self, out: &mut Vec<u8>) {
        let Self(StoredMessage { head, states, .. }) = self;
        head.envelope.store(out);
        states.store(out);
        head.arrived.store(out);
        head.trace.store(out);
        Attributes::of(&self.0).store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let envelope: Envelope = Stored::load(input)?;
        let states: Vec<RecipientState> = Stored::load(input)?;
        if states.len() != envelope.recipients.len() {
            return Err(Malformed);
        }
        let (arrived, trace) = (Stored::load(input)?, Stored::load(input)?);
        let Attributes { origin, original_size, backed_off, revision, crashes } = Stored::load(input)?;
        let (id, size) = (MessageId::from_bytes([0; 16]), ByteSize::default());
        let head = MessageHead { id, envelope, arrived, size, original_size, trace, revision, origin, backed_off };
        Ok(Self(StoredMessage { head, states, crashes }))
    }
}

impl Stored for Update {
    fn store(&self, out: &mut Vec<u8>) {
        self.recipients.store(out);
        length(self.states.len()).store(out);
        for (position, state) in &self.states {
            length(*position).store(out);
            state.store(out);
        }
        self.crashes.store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let recipients = Stored::load(input)?;
        let states: Vec<(u32, RecipientState)> = Stored::load(input)?;
        let states = states.into_iter().map(|(position, state)| (position as usize, state)).collect();
        Ok(Self { recipients, states, crashes: Stored::load(input)? })
    }
}

#[cfg(test)]
mod tests;
