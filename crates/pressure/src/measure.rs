//! What is measured: resources, and how much of each is used.

use std::fmt;

use envelope::ByteSize;

/// Something that Transport can run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// The disk of the queue.
    DatabaseUsedSpace,
    /// Memory of the process, of what the machine or the control group has.
    PrivateBytes,
    /// Memory of all processes, of what the machine or the control group has.
    SystemMemory,
    /// Mail that is accepted and not categorized.
    SubmissionQueue,
}

impl Resource {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::DatabaseUsedSpace, Self::PrivateBytes, Self::SystemMemory, Self::SubmissionQueue];

    /// The documented word; `QueueLength[SubmissionQueue]` without what a label cannot have.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DatabaseUsedSpace => "DatabaseUsedSpace",
            Self::PrivateBytes => "PrivateBytes",
            Self::SystemMemory => "SystemMemory",
            Self::SubmissionQueue => "SubmissionQueue",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// So much of so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// What is used.
    pub used: ByteSize,
    /// What there is.
    pub of: ByteSize,
}

/// One measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Compared in percent, exactly.
    Share(Share),
    /// Messages.
    Count(u64),
}

impl Measure {
    /// As a whole number, for a metric: percent rounded down, or messages.
    #[must_use]
    pub fn whole(self) -> u64 {
        match self {
            Self::Share(share) => share.per(100),
            Self::Count(count) => count,
        }
    }

    pub(crate) fn is_above(self, threshold: u32) -> bool {
        match self {
            Self::Share(share) => share.hundredfold() > share.times(threshold) || share.is_of_nothing(),
            Self::Count(count) => count > u64::from(threshold),
        }
    }

    pub(crate) fn is_below(self, threshold: u32) -> bool {
        match self {
            Self::Share(share) => share.hundredfold() < share.times(threshold),
            Self::Count(count) => count < u64::from(threshold),
        }
    }
}

impl Share {
    /// All of it but what is left.
    #[must_use]
    pub fn left(left: ByteSize, of: ByteSize) -> Self {
        Self { used: ByteSize::bytes(of.as_u64().saturating_sub(left.as_u64())), of }
    }

    /// How much of it has to be given back until it is not above so many percent any more.
    #[must_use]
    pub fn excess(self, percent: u32) -> ByteSize {
        let above = self.hundredfold().saturating_sub(self.times(percent)).div_ceil(100);
        ByteSize::bytes(u64::try_from(above).unwrap_or(u64::MAX))
    }

    fn hundredfold(self) -> u128 {
        u128::from(self.used.as_u64()) * 100
    }

    fn times(self, threshold: u32) -> u128 {
        u128::from(self.of.as_u64()) * u128::from(threshold)
    }

    /// All of nothing is used.
    fn is_of_nothing(self) -> bool {
        self.of.as_u64() == 0
    }

    fn per(self, parts: u64) -> u64 {
        let used = u128::from(self.used.as_u64()) * u128::from(parts);
        used.checked_div(u128::from(self.of.as_u64())).and_then(|part| u64::try_from(part).ok()).unwrap_or(parts)
    }
}

impl fmt::Display for Measure {
    /// `97.1 %`, `10001 messages`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => {
                let tenths = share.per(1000);
                write!(f, "{}.{} %", tenths / 10, tenths % 10)
            }
            Self::Count(count) => write!(f, "{count} messages"),
        }
    }
}

/// What one look found. What could not be measured is absent; its level stays as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measurements {
    /// The disk of the queue.
    pub database_used_space: Option<Share>,
    /// Memory of the process.
    pub private_bytes: Option<Share>,
    /// Memory of all processes.
    pub system_memory: Option<Share>,
    /// Messages in the Submission queue.
    pub submission_queue: u64,
}

impl Measurements {
    pub(crate) fn of(&self, resource: Resource) -> Option<Measure> {
        match resource {
            Resource::DatabaseUsedSpace => self.database_used_space.map(Measure::Share),
            Resource::PrivateBytes => self.private_bytes.map(Measure::Share),
            Resource::SystemMemory => self.system_memory.map(Measure::Share),
            Resource::SubmissionQueue => Some(Measure::Count(self.submission_queue)),
        }
    }
}
