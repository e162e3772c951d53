//! Thresholds: those of the settings, or the documented ones for a disk and a memory as large as they are here.

use envelope::ByteSize;
use topology::{BackPressureSettings, Thresholds};

use crate::measure::{Measure, Resource};

/// Of the disk of the queue, in percent. Source: docs/rules.md, Back pressure.
const DATABASE_USED_SPACE: Thresholds = documented(96, 99, 97, 94);
/// Of the memory of the process, in percent. Source: docs/rules.md, Back pressure.
const PRIVATE_BYTES: Thresholds = documented(72, 75, 73, 71);
/// Of the memory of all processes, in percent. Source: docs/rules.md, Back pressure.
const SYSTEM_MEMORY: Thresholds = documented(88, 94, 89, 84);
/// Of the Submission queue, in messages. Source: docs/rules.md, Back pressure.
const SUBMISSION_QUEUE: Thresholds = documented(9999, 15000, 10000, 2000);

/// Room that a disk keeps at least: 500 MB below High (BP-05).
const DISK_ROOM_MIN: ByteSize = ByteSize::mib(500);
/// Of a disk so small that those would be more than a tenth of it, a tenth: containers and laptops have such disks, and one of
/// 500 MB would take no mail at all. A departure from BP-05.
const SMALL_DISK_ROOM_PART: u64 = 10;
/// Memory that a process may take at most: 1 TB (BP-06).
const PRIVATE_BYTES_MAX: ByteSize = ByteSize::mib(1024 * 1024);

const fn documented(low_to_medium: u32, medium_to_high: u32, high_to_medium: u32, medium_to_low: u32) -> Thresholds {
    match Thresholds::new(low_to_medium, medium_to_high, high_to_medium, medium_to_low) {
        Ok(thresholds) => thresholds,
        Err(_) => panic!("the documented thresholds fit each other"),
    }
}

/// The thresholds by which `resource` is judged now.
#[must_use]
pub fn thresholds(resource: Resource, settings: &BackPressureSettings, measure: Measure) -> Thresholds {
    let given = match resource {
        Resource::DatabaseUsedSpace => settings.database_used_space,
        Resource::PrivateBytes => settings.private_bytes,
        Resource::SystemMemory => settings.system_memory,
        Resource::SubmissionQueue => settings.submission_queue,
    };
    given.unwrap_or_else(|| match (resource, measure) {
        (Resource::DatabaseUsedSpace, Measure::Share(share)) => disk(share.of),
        (Resource::DatabaseUsedSpace, Measure::Count(_)) => DATABASE_USED_SPACE,
        (Resource::PrivateBytes, Measure::Share(share)) => memory(share.of),
        (Resource::PrivateBytes, Measure::Count(_)) => PRIVATE_BYTES,
        (Resource::SystemMemory, _) => SYSTEM_MEMORY,
        (Resource::SubmissionQueue, _) => SUBMISSION_QUEUE,
    })
}

/// BP-05: High leaves [`DISK_ROOM_MIN`] free, and the other three go down with it.
fn disk(size: ByteSize) -> Thresholds {
    let room = DISK_ROOM_MIN.as_u64().min(size.as_u64() / SMALL_DISK_ROOM_PART);
    let part = size.as_u64() - room;
    at_most(DATABASE_USED_SPACE, percent(part, size))
}

/// BP-06.
fn memory(size: ByteSize) -> Thresholds {
    at_most(PRIVATE_BYTES, percent(size.min(PRIVATE_BYTES_MAX).as_u64(), size))
}

/// Rounded down; at most 100.
fn percent(part: u64, of: ByteSize) -> u32 {
    let percent = (u128::from(part) * 100).checked_div(u128::from(of.as_u64())).unwrap_or(0);
    u32::try_from(percent).unwrap_or(100)
}

/// The same thresholds with High not above `high`.
fn at_most(thresholds: Thresholds, high: u32) -> Thresholds {
    thresholds.lowered(thresholds.medium_to_high().saturating_sub(high))
}
