//! Messages in hands: what is being processed at this moment, in a file that outlives the process and is never synced.
//!
//! A message that brings the process down is found in it at the next start, and has one crash more (QU-13). Power loss is no
//! message's fault: marks of another boot of the machine are passed over, so nothing need be synced, and a mark costs one small
//! write to memory of the kernel.
//!
//! ```text
//! dir/hands    0 "PRHANDS\0" | 8 boot id of the machine 16 | 24 zero 8 | 32 { message id 16; zero = nothing }*
//! ```

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use envelope::MessageId;

use crate::disk::{Disk, DiskFile};
use crate::jobs::lock;

/// Messages that can be in hands at once, above all that a server does at once. Those beyond are not counted.
pub const IN_HANDS_MAX: usize = 4096;

const FILE: &str = "hands";
const MAGIC: &[u8; 8] = b"PRHANDS\0";
const MARKS_START: usize = 32;
const MARK_OCTETS: usize = 16;

/// The marks of this process.
#[derive(Clone)]
pub(crate) struct Hands(Option<Arc<Marks>>);

struct Marks {
    file: Arc<dyn DiskFile>,
    free: Mutex<Vec<usize>>,
}

/// A message in hands. Dropping it says that the message has been processed and nothing crashed; also a panic that was
/// caught drops it, and is counted by whoever caught it.
#[must_use = "the message is in hands as long as this is held"]
pub struct InHand {
    mark: Option<(Arc<Marks>, usize)>,
}

impl fmt::Debug for InHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InHand")
    }
}

impl Hands {
    /// What was in hands when the process before died, if that was in this boot of the machine. What cannot be read counts for
    /// nothing, and keeps no mail from going out.
    pub(crate) fn left(disk: &dyn Disk, root: &Path) -> HashSet<MessageId> {
        Self::read_left(disk, root).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, "what was in hands cannot be read");
            }
            HashSet::new()
        })
    }

    fn read_left(disk: &dyn Disk, root: &Path) -> io::Result<HashSet<MessageId>> {
        let file = disk.open(&root.join(FILE))?;
        let mut octets = vec![0; MARKS_START + IN_HANDS_MAX * MARK_OCTETS];
        let count = file.read_at(&mut octets, 0)?;
        octets.truncate(count);
        let Some((header, marks)) = octets.split_at_checked(MARKS_START) else { return Ok(HashSet::new()) };
        if header != Self::header(disk) {
            return Ok(HashSet::new());
        }
        let marks = marks.chunks_exact(MARK_OCTETS).filter(|mark| mark.iter().any(|octet| *octet != 0));
        Ok(marks.filter_map(|mark| Some(MessageId::from_bytes(mark.try_into().ok()?))).collect())
    }

    /// Begins anew, with nothing in hands. Without the file nothing is counted; that keeps no mail from going out.
    pub(crate) fn begin(disk: &dyn Disk, root: &Path) -> Self {
        let path = root.join(FILE);
        let begin = || {
            match disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = disk.create(&path)?;
            file.write_at(&Self::header(disk), 0)?;
            Ok::<_, io::Error>(file)
        };
        match begin() {
            Ok(file) => Self(Some(Arc::new(Marks { file, free: Mutex::new((0..IN_HANDS_MAX).rev().collect()) }))),
            Err(error) => {
                tracing::warn!(%error, "crashes cannot be counted: no mark can be written");
                Self(None)
            }
        }
    }

    pub(crate) fn take(&self, id: MessageId) -> InHand {
        let taken = self.0.as_ref().and_then(|marks| {
            let slot = lock(&marks.free).pop()?;
            Some((Arc::clone(marks), slot))
        });
        if let Some((marks, slot)) = &taken {
            marks.set(*slot, id.as_bytes());
        }
        InHand { mark: taken }
    }

    fn header(disk: &dyn Disk) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&disk.boot_id());
        header.resize(MARKS_START, 0);
        header
    }
}

impl Marks {
    fn set(&self, slot: usize, mark: &[u8; MARK_OCTETS]) {
        if let Err(error) = self.file.write_at(mark, (MARKS_START + slot * MARK_OCTETS) as u64) {
            tracing::debug!(%error, "a mark cannot be written");
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if let Some((marks, slot)) = self.mark.take() {
            marks.set(slot, &[0; MARK_OCTETS]);
            lock(&marks.free).push(slot);
        }
    }
}
