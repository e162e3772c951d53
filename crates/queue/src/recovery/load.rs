//! Finding the segments of a log, and setting aside files that are none.

use std::path::Path;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::error::OpenError;
use crate::record::{RECORDS_START, SegmentHeader};
use crate::shared::Paths;

use super::{Loaded, RecoveryReport, io_error};

/// The number in a file's name.
pub(super) fn number(name: &str, ending: &str) -> Option<u32> {
    let digits = name.strip_suffix(ending)?;
    if digits.len() == 10 { digits.parse().ok().filter(|number| *number > 0) } else { None }
}

/// The segments, in order.
pub(super) fn segments(disk: &dyn Disk, paths: &Paths, report: &mut RecoveryReport) -> Result<Vec<Loaded>, OpenError> {
    let names = disk.list(&paths.segments).map_err(io_error("list segments"))?;
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| number(name, ".log")).collect();
    numbers.sort_unstable();
    let mut found = Vec::new();
    for number in numbers {
        let path = paths.segment(number);
        let file = disk.open(&path).map_err(io_error("open a segment"))?;
        let length = file.length().map_err(io_error("measure a segment"))?;
        match SegmentHeader::read(file.as_ref()).map_err(io_error("read a segment"))? {
            Some(header) if !header.is_readable() => {
                return Err(OpenError::Version { segment: number, version: header.version });
            }
            Some(header) if header.number == number => {
                found.push(Loaded { header, file, length: u32::try_from(length).unwrap_or(u32::MAX) });
            }
            None if was_never_written(&file, length) => {
                disk.remove(&path).map_err(io_error("remove a segment that was never begun"))?;
            }
            _ => {
                report.missing_segments += 1;
                set_aside(disk, paths, number, &path);
            }
        }
    }
    Ok(found)
}

/// Whether a crash came between the creation of a segment and its first record. The header is durable before that.
fn was_never_written(file: &Arc<dyn DiskFile>, length: u64) -> bool {
    if length <= u64::from(RECORDS_START) {
        return true;
    }
    let mut octets = [0; 64];
    let count = file.read_at(&mut octets, u64::from(RECORDS_START));
    count.is_ok_and(|count| octets[..count].iter().all(|octet| *octet == 0))
}

fn set_aside(disk: &dyn Disk, paths: &Paths, number: u32, path: &Path) {
    tracing::error!(number, "a file in the place of a segment is none, or its header is damaged: it is set aside");
    let mut aside = paths.quarantine.join(format!("{number:010}.log"));
    if disk.open(&aside).is_ok() {
        aside = paths.quarantine.join(format!("{number:010}-{}.log", uuid::Uuid::new_v4().simple()));
    }
    let result = disk.rename(path, &aside).and_then(|()| disk.sync_dir(&paths.quarantine));
    if let Err(error) = result.and_then(|()| disk.sync_dir(&paths.segments)) {
        tracing::error!(number, %error, "it cannot be set aside");
    }
}
