//! Files of a database between the store and the connector; paths may be any octets.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use mailbox_store::{Entry, EntryKind, StoreError, StoredFile};
use rpc::{MailboxEntry, MailboxFile};

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
pub(crate) fn in_words(error: StoreError) -> String {
    error.to_string()
}

pub(crate) fn entry_to_rpc(entry: &Entry) -> MailboxEntry {
    let file = match &entry.kind {
        EntryKind::Folder => None,
        EntryKind::File(StoredFile { size, modified, shared, message }) => {
            Some(MailboxFile { size: *size, modified: *modified, shared: *shared, message: *message })
        }
    };
    MailboxEntry { path: path_to_rpc(&entry.path), file }
}

pub(crate) fn entry_from_rpc(entry: &MailboxEntry) -> Entry {
    let path = PathBuf::from(OsString::from_vec(entry.path.to_vec()));
    let kind = entry.file.as_ref().map_or(EntryKind::Folder, |file| EntryKind::File(file_from_rpc(file)));
    Entry { path, kind }
}

pub(crate) fn file_from_rpc(file: &MailboxFile) -> StoredFile {
    StoredFile { size: file.size, modified: file.modified, shared: file.shared, message: file.message }
}

pub(crate) fn path_to_rpc(path: &Path) -> Bytes {
    Bytes::copy_from_slice(path.as_os_str().as_bytes())
}
