//! Where a message came from and what happened to it, in binary form: tagged fields, so that a later version can add some and an earlier one skips them.
//!
//! ```text
//! version u8 = 1 | total length u32 | { tag u8, length u32, value }*
//! ```

use envelope::{ByteSize, Origin, OriginKind, Revision, SiteName};

use super::{Input, Malformed, Stored, store_blob};
use crate::message::StoredMessage;

const VERSION: u8 = 1;

const ORIGIN: u8 = 1;
const ORIGINAL_SIZE: u8 = 2;
const BACKED_OFF_SITES: u8 = 3;
const CRASHES: u8 = 4;
const REVISION: u8 = 5;

/// Facts about a message that cannot be recomputed.
#[derive(Debug)]
pub(super) struct Attributes {
    pub origin: Origin,
    pub original_size: Option<ByteSize>,
    pub backed_off: Vec<SiteName>,
    pub revision: Revision,
    pub crashes: u32,
}

impl Attributes {
    pub fn of(stored: &StoredMessage) -> Self {
        let head = &stored.head;
        let (origin, backed_off) = (head.origin.clone(), head.backed_off.clone());
        Self { origin, original_size: head.original_size, backed_off, revision: head.revision, crashes: stored.crashes }
    }
}

impl Stored for Attributes {
    fn store(&self, out: &mut Vec<u8>) {
        let mut fields = Vec::new();
        let mut field = |tag: u8, value: &[u8]| {
            fields.push(tag);
            store_blob(value, &mut fields);
        };
        field(ORIGIN, &self.origin.to_bytes());
        if let Some(size) = self.original_size {
            field(ORIGINAL_SIZE, &size.to_bytes());
        }
        if !self.backed_off.is_empty() {
            field(BACKED_OFF_SITES, &self.backed_off.to_bytes());
        }
        if self.crashes != 0 {
            field(CRASHES, &self.crashes.to_bytes());
        }
        if self.revision != Revision::default() {
            field(REVISION, &self.revision.0.to_bytes());
        }
        out.push(VERSION);
        store_blob(&fields, out);
    }

    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        if u8::load(input)? < VERSION {
            return Err(Malformed);
        }
        let mut fields = Input(input.blob()?);
        let (mut origin, mut original_size, mut backed_off) = (None, None, Vec::new());
        let (mut revision, mut crashes) = (Revision::default(), 0);
        while !fields.0.is_empty() {
            let (tag, value) = (u8::load(&mut fields)?, fields.blob()?);
            match tag {
                ORIGIN => origin = Some(Origin::from_bytes(value)?),
                ORIGINAL_SIZE => original_size = Some(Stored::from_bytes(value)?),
                BACKED_OFF_SITES => backed_off = Stored::from_bytes(value)?,
                CRASHES => crashes = Stored::from_bytes(value)?,
                REVISION => revision = Revision(Stored::from_bytes(value)?),
                _ => {}
            }
        }
        Ok(Self { origin: origin.ok_or(Malformed)?, original_size, backed_off, revision, crashes })
    }
}

impl Stored for Origin {
    fn store(&self, out: &mut Vec<u8>) {
        out.push(match self.kind {
            OriginKind::Anonymous => 1,
            OriginKind::Authenticated => 2,
            OriginKind::Mailbox => 3,
            OriginKind::Notification => 4,
            OriginKind::ExternallySecured => 5,
        });
        self.connector.store(out);
    }

    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let kind = match u8::load(input)? {
            1 => OriginKind::Anonymous,
            2 => OriginKind::Authenticated,
            3 => OriginKind::Mailbox,
            4 => OriginKind::Notification,
            5 => OriginKind::ExternallySecured,
            _ => return Err(Malformed),
        };
        Ok(Self { kind, connector: Stored::load(input)? })
    }
}

impl Stored for SiteName {
    fn store(&self, out: &mut Vec<u8>) {
        store_blob(self.as_str().as_bytes(), out);
    }
    fn load(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Self::parse(input.text()?).map_err(|_| Malformed)
    }
}
