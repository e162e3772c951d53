//! Binary form of envelopes, recipient states, changes and attributes: version 3, and what version 1 wrote.
//!
//! What may grow is made of fields: tag u8, length u32, value. A tag from [`CRITICAL`] on says that whoever does not know it
//! must leave the message alone ([`LoadError::Newer`]); any other unknown field is kept and passed on. Integers are little-endian; texts and lists carry their length in front; an optional value has one octet that says
//! whether it follows. Lengths and numbers read back are checked before anything is allocated for them, since a damaged
//! or forged record may hold any octets. Framing, checksums and placement are in [`record`](crate::record).

mod attributes;

use envelope::{
    Address, BodyType, ByteSize, DsnReturn, Envelope, MessageHead, MessageId, Notify, Origin, OriginKind,
    OriginalRecipient, Recipient, ReversePath, Revision, ServerName, Timestamp, TraceContext,
};

use crate::message::{Ended, Pending, RecipientState, Role, StoredMessage, UnknownField, Update};

/// Why octets cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadError {
    /// They are not what they claim to be.
    Malformed,
    /// A newer version wrote them, and says that one who does not understand them may not act on them.
    Newer,
}

pub(crate) use LoadError::Malformed;

/// Tags from here on may not be passed over by whoever does not know them.
pub(crate) const CRITICAL: u8 = 0x80;

/// The stored fields of a message. Id and size of its head stand elsewhere in the record: here they are empty, and are
/// filled in by whoever reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta(pub StoredMessage);

/// A type with a binary form.
pub(crate) trait Stored: Sized {
    fn store(&self, out: &mut Vec<u8>);
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        self.store(&mut out);
        out
    }

    /// Loads a value that must fill `bytes`.
    fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        let mut input = Input(bytes);
        let value = Self::load(&mut input)?;
        if input.0.is_empty() { Ok(value) } else { Err(Malformed) }
    }
}

/// Octets still to be read.
pub(crate) struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], LoadError> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        Ok(self.take(N)?.try_into().expect("take gives N octets"))
    }

    pub(crate) fn blob(&mut self) -> Result<&'a [u8], LoadError> {
        let length = u32::load(self)?;
        self.take(usize::try_from(length).map_err(|_| Malformed)?)
    }

    fn text(&mut self) -> Result<&'a str, LoadError> {
        Input(self.blob()?).rest_as_text()
    }

    fn rest_as_text(self) -> Result<&'a str, LoadError> {
        str::from_utf8(self.0).map_err(|_| Malformed)
    }
}

/// Writes octets with their length.
pub(crate) fn store_blob(bytes: &[u8], out: &mut Vec<u8>) {
    length(bytes.len()).store(out);
    out.extend_from_slice(bytes);
}

/// Writes a field.
pub(crate) fn store_field(tag: u8, value: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    store_blob(value, out);
}

/// Reads fields to the end of the input.
pub(crate) fn each_field<'a>(
    mut input: Input<'a>,
    mut take: impl FnMut(u8, &'a [u8]) -> Result<bool, LoadError>,
) -> Result<Vec<UnknownField>, LoadError> {
    let mut unknown = Vec::new();
    while !input.0.is_empty() {
        let (tag, value) = (u8::load(&mut input)?, input.blob()?);
        if take(tag, value)? {
            continue;
        }
        if tag >= CRITICAL {
            return Err(LoadError::Newer);
        }
        unknown.push(UnknownField { tag, value: value.into() });
    }
    Ok(unknown)
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
            fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
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
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
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
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
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
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        if bool::load(input)? { Ok(Some(T::load(input)?)) } else { Ok(None) }
    }
}

impl<T: Stored> Stored for Vec<T> {
    fn store(&self, out: &mut Vec<u8>) {
        length(self.len()).store(out);
        self.iter().for_each(|value| value.store(out));
    }
    /// Reserves nothing ahead: every element takes at least one octet of the input.
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        let count = u32::load(input)?;
        (0..count).map(|_| T::load(input)).collect()
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn store(&self, out: &mut Vec<u8>) {
        self.0.store(out);
        self.1.store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        Ok((A::load(input)?, B::load(input)?))
    }
}

impl Stored for Timestamp {
    fn store(&self, out: &mut Vec<u8>) {
        self.as_millis().store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        Ok(Self::from_millis(u64::load(input)?))
    }
}

impl Stored for ByteSize {
    fn store(&self, out: &mut Vec<u8>) {
        self.as_u64().store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        Ok(Self::bytes(u64::load(input)?))
    }
}

impl Stored for TraceContext {
    fn store(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.trace_id);
        out.extend_from_slice(&self.span_id);
        self.sampled.store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        Ok(Self { trace_id: input.array()?, span_id: input.array()?, sampled: bool::load(input)? })
    }
}

impl Stored for Address {
    fn store(&self, out: &mut Vec<u8>) {
        store_blob(self.as_str().as_bytes(), out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        Self::parse(input.text()?).map_err(|_| Malformed)
    }
}

impl Stored for ReversePath {
    fn store(&self, out: &mut Vec<u8>) {
        self.address().cloned().store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
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
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
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
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        Ok(Self { kind: Stored::load(input)?, address: Stored::load(input)? })
    }
}

impl Stored for Recipient {
    fn store(&self, out: &mut Vec<u8>) {
        self.address.store(out);
        self.notify.store(out);
        self.original.store(out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
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
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
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

/// States as version 1 wrote them, and as they are written now.
mod state {
    pub(super) const PENDING_1: u8 = 0;
    pub(super) const DELIVERED_1: u8 = 1;
    pub(super) const FAILED_1: u8 = 2;
    pub(super) const EXPANDED_1: u8 = 3;
    pub(super) const DELIVERED: u8 = 4;
    pub(super) const FAILED: u8 = 5;
    pub(super) const EXPANDED: u8 = 6;
    pub(super) const PENDING: u8 = 7;
    /// Pending, and nothing has happened yet: most of what is ever stored.
    pub(super) const NEW: u8 = 8;
}

/// Fields of a pending recipient.
mod pending {
    pub(super) const ATTEMPTS: u8 = 1;
    pub(super) const LAST_ERROR: u8 = 2;
    pub(super) const DELAY_NOTIFIED: u8 = 3;
    pub(super) const SUSPENDED: u8 = 4;
}

/// Fields of a recipient that has come to its end.
mod outcome {
    pub(super) const AT: u8 = 1;
    pub(super) const BY: u8 = 2;
}

impl Stored for RecipientState {
    fn store(&self, out: &mut Vec<u8>) {
        match self {
            Self::Pending(new) if *new == Pending::default() => out.push(state::NEW),
            Self::Pending(pending) => {
                out.push(state::PENDING);
                pending.store(out);
            }
            Self::Delivered(outcome) => {
                out.push(state::DELIVERED);
                outcome.store(out);
            }
            Self::Failed(outcome) => {
                out.push(state::FAILED);
                outcome.store(out);
            }
            Self::Expanded(outcome) => {
                out.push(state::EXPANDED);
                outcome.store(out);
            }
        }
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        Ok(match u8::load(input)? {
            state::PENDING_1 => Self::Pending(Pending {
                attempts: Stored::load(input)?,
                last_error: Stored::load(input)?,
                delay_notified: Stored::load(input)?,
                suspended: false,
            }),
            state::DELIVERED_1 => Self::Delivered(Ended::default()),
            state::FAILED_1 => Self::Failed(Ended::default()),
            state::EXPANDED_1 => Self::Expanded(Ended::default()),
            state::DELIVERED => Self::Delivered(Stored::load(input)?),
            state::FAILED => Self::Failed(Stored::load(input)?),
            state::EXPANDED => Self::Expanded(Stored::load(input)?),
            state::PENDING => Self::Pending(Stored::load(input)?),
            state::NEW => Self::default(),
            _ => return Err(Malformed),
        })
    }
}

impl Stored for Pending {
    fn store(&self, out: &mut Vec<u8>) {
        let mut fields = Vec::new();
        if self.attempts != 0 {
            store_field(pending::ATTEMPTS, &self.attempts.to_le_bytes(), &mut fields);
        }
        if let Some(error) = &self.last_error {
            store_field(pending::LAST_ERROR, error.as_bytes(), &mut fields);
        }
        if self.delay_notified {
            store_field(pending::DELAY_NOTIFIED, &[], &mut fields);
        }
        if self.suspended {
            store_field(pending::SUSPENDED, &[], &mut fields);
        }
        store_blob(&fields, out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        let mut loaded = Self::default();
        each_field(Input(input.blob()?), |tag, value| {
            match tag {
                pending::ATTEMPTS => loaded.attempts = Stored::from_bytes(value)?,
                pending::LAST_ERROR => loaded.last_error = Some(Input(value).rest_as_text()?.into()),
                pending::DELAY_NOTIFIED => loaded.delay_notified = true,
                pending::SUSPENDED => loaded.suspended = true,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(loaded)
    }
}

impl Stored for Ended {
    fn store(&self, out: &mut Vec<u8>) {
        let mut fields = Vec::new();
        if let Some(at) = self.at {
            store_field(outcome::AT, &at.to_bytes(), &mut fields);
        }
        if let Some(by) = &self.by {
            store_field(outcome::BY, by.as_bytes(), &mut fields);
        }
        store_blob(&fields, out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        let mut loaded = Self::default();
        each_field(Input(input.blob()?), |tag, value| {
            match tag {
                outcome::AT => loaded.at = Some(Stored::from_bytes(value)?),
                outcome::BY => loaded.by = Some(Input(value).rest_as_text()?.into()),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(loaded)
    }
}

impl Stored for ServerName {
    fn store(&self, out: &mut Vec<u8>) {
        store_blob(self.as_str().as_bytes(), out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        Self::parse(input.text()?).map_err(|_| Malformed)
    }
}

impl Stored for Role {
    fn store(&self, out: &mut Vec<u8>) {
        match self {
            Self::Own => out.push(0),
            Self::Shadow { primary } => {
                out.push(1);
                primary.store(out);
            }
        }
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        match u8::load(input)? {
            0 => Ok(Self::Own),
            1 => Ok(Self::Shadow { primary: Stored::load(input)? }),
            // A role that is not known here may be anybody's: it is not acted on.
            _ => Err(LoadError::Newer),
        }
    }
}

/// A head with nothing in it but its envelope.
pub(crate) fn empty_head(envelope: Envelope) -> MessageHead {
    let origin = Origin { kind: OriginKind::Anonymous, connector: Box::default() };
    MessageHead {
        id: MessageId::from_bytes([0; 16]),
        envelope,
        arrived: Timestamp::from_millis(0),
        size: ByteSize::default(),
        original_size: None,
        trace: None,
        revision: Revision::default(),
        origin,
        backed_off: Vec::new(),
    }
}

impl Stored for Meta {
    fn store(&self, out: &mut Vec<u8>) {
        let Self(StoredMessage { head, states, .. }) = self;
        head.envelope.store(out);
        states.store(out);
        head.arrived.store(out);
        head.trace.store(out);
        attributes::store(&self.0, out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        let envelope: Envelope = Stored::load(input)?;
        let states: Vec<RecipientState> = Stored::load(input)?;
        if states.len() != envelope.recipients.len() {
            return Err(Malformed);
        }
        let mut head = empty_head(envelope);
        (head.arrived, head.trace) = (Stored::load(input)?, Stored::load(input)?);
        let mut stored = StoredMessage { head, states, crashes: 0, role: Role::Own, unknown: Vec::new() };
        attributes::load(&mut stored, input)?;
        Ok(Self(stored))
    }
}

/// First octet of an update as it is written now; version 1 began with 0 or 1.
const UPDATE_FORM: u8 = 3;

/// Fields of an update. Those that say what is still to be done are critical.
mod update {
    use super::CRITICAL;

    pub(super) const CRASHES: u8 = 1;
    pub(super) const RECIPIENTS: u8 = CRITICAL | 1;
    /// Position u32 and state; once for each.
    pub(super) const STATE: u8 = CRITICAL | 2;
    pub(super) const ROLE: u8 = CRITICAL | 3;
}

impl Stored for Update {
    fn store(&self, out: &mut Vec<u8>) {
        out.push(UPDATE_FORM);
        if let Some(recipients) = &self.recipients {
            store_field(update::RECIPIENTS, &recipients.to_bytes(), out);
        }
        for (position, state) in &self.states {
            let mut value = length(*position).to_le_bytes().to_vec();
            state.store(&mut value);
            store_field(update::STATE, &value, out);
        }
        if let Some(crashes) = self.crashes {
            store_field(update::CRASHES, &crashes.to_le_bytes(), out);
        }
        if let Some(role) = &self.role {
            store_field(update::ROLE, &role.to_bytes(), out);
        }
        self.unknown.iter().for_each(|field| store_field(field.tag, &field.value, out));
    }
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        if input.0.first() != Some(&UPDATE_FORM) {
            return load_update_1(input);
        }
        let mut loaded = Self::default();
        let unknown = each_field(Input(&std::mem::take(&mut input.0)[1..]), |tag, value| {
            match tag {
                update::RECIPIENTS => loaded.recipients = Some(Stored::from_bytes(value)?),
                update::STATE => {
                    let (position, state): (u32, RecipientState) = Stored::from_bytes(value)?;
                    loaded.states.push((position as usize, state));
                }
                update::CRASHES => loaded.crashes = Some(Stored::from_bytes(value)?),
                update::ROLE => loaded.role = Some(Stored::from_bytes(value)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self { unknown, ..loaded })
    }
}

/// An update as version 1 wrote it: `option<list> | count u32, { position u32, state }* | option<crashes u32>`.
fn load_update_1(input: &mut Input<'_>) -> Result<Update, LoadError> {
    let recipients = Stored::load(input)?;
    let states: Vec<(u32, RecipientState)> = Stored::load(input)?;
    let states = states.into_iter().map(|(position, state)| (position as usize, state)).collect();
    Ok(Update { recipients, states, crashes: Stored::load(input)?, ..Update::default() })
}

#[cfg(test)]
mod tests;
