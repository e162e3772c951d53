//! Where a message came from and what happened to it: fields, so that a later version can add some.
//!
//! ```text
//! version u8 = 3 | total length u32 | { tag u8, length u32, value }*
//! ```

use envelope::{Origin, OriginKind, Revision, SiteName};

use super::{Input, LoadError, Malformed, Stored, each_field, store_blob, store_field};
use crate::message::{Role, StoredMessage};

const VERSION: u8 = 3;

const ORIGIN: u8 = 1;
const ORIGINAL_SIZE: u8 = 2;
const BACKED_OFF_SITES: u8 = 3;
const CRASHES: u8 = 4;
const REVISION: u8 = 5;
/// Critical: who does not know whose a message is may not deliver it.
const ROLE: u8 = super::CRITICAL | 6;

/// Facts about a message that cannot be recomputed.
pub(super) fn store(stored: &StoredMessage, out: &mut Vec<u8>) {
    let (head, mut fields) = (&stored.head, Vec::new());
    let mut field = |tag: u8, value: &[u8]| store_field(tag, value, &mut fields);
    field(ORIGIN, &head.origin.to_bytes());
    if let Some(size) = head.original_size {
        field(ORIGINAL_SIZE, &size.to_bytes());
    }
    if !head.backed_off.is_empty() {
        field(BACKED_OFF_SITES, &head.backed_off.to_bytes());
    }
    if stored.crashes != 0 {
        field(CRASHES, &stored.crashes.to_bytes());
    }
    if head.revision != Revision::default() {
        field(REVISION, &head.revision.0.to_bytes());
    }
    if stored.role != Role::Own {
        field(ROLE, &stored.role.to_bytes());
    }
    stored.unknown.iter().for_each(|unknown| field(unknown.tag, &unknown.value));
    out.push(VERSION);
    store_blob(&fields, out);
}

/// Puts them into `stored`.
pub(super) fn load(stored: &mut StoredMessage, input: &mut Input<'_>) -> Result<(), LoadError> {
    if u8::load(input)? == 0 {
        return Err(Malformed);
    }
    let mut origin = None;
    let (head, crashes, role) = (&mut stored.head, &mut stored.crashes, &mut stored.role);
    let unknown = each_field(Input(input.blob()?), |tag, value| {
        match tag {
            ORIGIN => origin = Some(Origin::from_bytes(value)?),
            ORIGINAL_SIZE => head.original_size = Some(Stored::from_bytes(value)?),
            BACKED_OFF_SITES => head.backed_off = Stored::from_bytes(value)?,
            CRASHES => *crashes = Stored::from_bytes(value)?,
            REVISION => head.revision = Revision(Stored::from_bytes(value)?),
            ROLE => *role = Stored::from_bytes(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    stored.unknown = unknown;
    stored.head.origin = origin.ok_or(Malformed)?;
    Ok(())
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

    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
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
    fn load(input: &mut Input<'_>) -> Result<Self, LoadError> {
        Self::parse(input.text()?).map_err(|_| Malformed)
    }
}
