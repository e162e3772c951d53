//! [`Level`]: how short a resource is, by two pairs of thresholds.

use std::fmt;

use topology::Thresholds;

use crate::measure::Measure;

/// How short a resource is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    #[default]
    Low,
    /// Some of it is gone.
    Medium,
    /// Hardly any is left.
    High,
}

impl Level {
    /// The documented word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
        }
    }

    /// For a metric: 0, 1, 2.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::Low => 0,
            Self::Medium => 1,
            Self::High => 2,
        }
    }

    /// The level of that number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Low),
            1 => Some(Self::Medium),
            2 => Some(Self::High),
            _ => None,
        }
    }

    /// One step towards what is measured, with the threshold that was passed; `None` when the level stays (BP-02).
    /// Equality passes no threshold (BP-03).
    pub(crate) fn step(self, measure: Measure, thresholds: Thresholds) -> Option<(Self, u32)> {
        let (rising, falling) = match self {
            Self::Low => (Some((Self::Medium, thresholds.low_to_medium())), None),
            Self::Medium => {
                (Some((Self::High, thresholds.medium_to_high())), Some((Self::Low, thresholds.medium_to_low())))
            }
            Self::High => (None, Some((Self::Medium, thresholds.high_to_medium()))),
        };
        let rising = rising.filter(|(_, threshold)| measure.is_above(*threshold));
        rising.or(falling.filter(|(_, threshold)| measure.is_below(*threshold)))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
