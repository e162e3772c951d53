//! Settings of back pressure on one server: when a resource counts as short (docs/rules.md, Back pressure). What follows from that is
//! decided by crate `pressure`.

use envelope::Span;

/// Where the level of a resource changes. Rising and falling have thresholds of their own, so that a measure which stays
/// near one does not go to and fro (BP-02).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    low_to_medium: u32,
    medium_to_high: u32,
    high_to_medium: u32,
    medium_to_low: u32,
}

/// Thresholds that contradict each other: a level would be left at the measure at which it is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("thresholds need mediumToLow ≤ lowToMedium ≤ mediumToHigh and mediumToLow ≤ highToMedium ≤ mediumToHigh")]
pub struct ThresholdsError;

impl Thresholds {
    /// In the order of the documentation's table: above the first two a level is entered, below the other two it is left.
    ///
    /// # Errors
    /// [`ThresholdsError`]
    pub const fn new(
        low_to_medium: u32,
        medium_to_high: u32,
        high_to_medium: u32,
        medium_to_low: u32,
    ) -> Result<Self, ThresholdsError> {
        if medium_to_low <= low_to_medium
            && low_to_medium <= medium_to_high
            && medium_to_low <= high_to_medium
            && high_to_medium <= medium_to_high
        {
            Ok(Self { low_to_medium, medium_to_high, high_to_medium, medium_to_low })
        } else {
            Err(ThresholdsError)
        }
    }

    /// Above it Low becomes Medium.
    #[must_use]
    pub const fn low_to_medium(self) -> u32 {
        self.low_to_medium
    }

    /// Above it Medium becomes High.
    #[must_use]
    pub const fn medium_to_high(self) -> u32 {
        self.medium_to_high
    }

    /// Below it High becomes Medium.
    #[must_use]
    pub const fn high_to_medium(self) -> u32 {
        self.high_to_medium
    }

    /// Below it Medium becomes Low.
    #[must_use]
    pub const fn medium_to_low(self) -> u32 {
        self.medium_to_low
    }

    /// All of them lower by as much.
    #[must_use]
    pub const fn lowered(self, by: u32) -> Self {
        Self {
            low_to_medium: self.low_to_medium.saturating_sub(by),
            medium_to_high: self.medium_to_high.saturating_sub(by),
            high_to_medium: self.high_to_medium.saturating_sub(by),
            medium_to_low: self.medium_to_low.saturating_sub(by),
        }
    }
}

/// Back pressure on one server. Thresholds that are not given are the documented ones for disk and memory as large as they
/// are here (`pressure::thresholds`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackPressureSettings {
    /// Time between two looks; default 2 seconds, at least 1 second (BP-01).
    pub resource_metering_interval: Span,
    /// The disk of the queue: percent used, 0 to 100. Default 96, 99, 97, 94, less on a disk below 50 GB (BP-05).
    pub database_used_space: Option<Thresholds>,
    /// Memory of the process: percent of the machine's or of the control group's, 0 to 100. Default 72, 75, 73, 71 (BP-06).
    pub private_bytes: Option<Thresholds>,
    /// Memory of the machine or the control group: percent used, 0 to 100. Default 88, 94, 89, 84.
    pub system_memory: Option<Thresholds>,
    /// Submission queue: messages. Default 9999, 15000, 10000, 2000.
    pub submission_queue: Option<Thresholds>,
    /// Looks in a row that find the Submission queue above Low until delaying becomes refusing; default 300, which is ten
    /// minutes (BP-10).
    pub submission_queue_history_depth: u32,
    /// First delay of `MAIL FROM`; default 10 seconds (BP-08).
    pub smtp_start_throttling_delay_interval: Span,
    /// What is added at each look under pressure, and taken off at each without; default 5 seconds (BP-08, BP-09).
    pub smtp_step_throttling_delay_interval: Span,
    /// Longest delay; default 55 seconds, below the patience of an SMTP client (BP-08; RFC 5321 §4.5.3.2.2: 5 minutes).
    pub smtp_max_throttling_delay_interval: Span,
}

impl Default for BackPressureSettings {
    fn default() -> Self {
        Self {
            resource_metering_interval: Span::seconds(2),
            database_used_space: None,
            private_bytes: None,
            system_memory: None,
            submission_queue: None,
            submission_queue_history_depth: 300,
            smtp_start_throttling_delay_interval: Span::seconds(10),
            smtp_step_throttling_delay_interval: Span::seconds(5),
            smtp_max_throttling_delay_interval: Span::seconds(55),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_never_left_above_where_it_is_entered() {
        for (given, fine) in [
            ((96, 99, 97, 94), true),
            ((9999, 15000, 10000, 2000), true),
            ((1, 1, 1, 1), true),
            ((90, 99, 97, 91), false),
            ((99, 96, 95, 94), false),
            ((90, 95, 96, 80), false),
            ((90, 95, 70, 80), false),
        ] {
            let (low, high, back, down) = given;
            assert_eq!(Thresholds::new(low, high, back, down).is_ok(), fine, "{given:?}");
        }
    }
}
