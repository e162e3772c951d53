//! Points in time and time spans, as values: nothing here reads a clock.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// `millis` milliseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This time plus `span`, at most the end of time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Earlier by that much; the epoch at the earliest.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// `2026-11-22T08:15:30.250Z` (ISO 8601, UTC).
    #[must_use]
    pub fn to_iso8601(self) -> String {
        let (days, millis) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (year, month, day) = civil(days);
        let (seconds, millis) = (millis / 1_000, millis % 1_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }

    /// Time from `earlier` to this, zero when the clock went backwards.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01. Years are counted from March, so that a leap
/// day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    /// Days of 400 years, of 100, of 4 and of one.
    const DAYS: (u64, u64, u64, u64) = (146_097, 36_524, 1_461, 365);
    let days = days + 719_468; // from 0000-03-01
    let (era, day_of_era) = (days / DAYS.0, days % DAYS.0);
    let year_of_era =
        (day_of_era - day_of_era / (DAYS.2 - 1) + day_of_era / DAYS.1 - day_of_era / (DAYS.0 - 1)) / DAYS.3;
    let day_of_year = day_of_era - (DAYS.3 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153; // months of 31, 30, 31, 30, 31 days repeat
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + next_year, month, day)
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let span = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        Self::UNIX_EPOCH + Duration::from_millis(time.0)
    }
}

/// A time span in the documented notation `[d.]hh:mm:ss` (SC-140).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

impl Span {
    /// `seconds` seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// `minutes` minutes.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self(Duration::from_secs(minutes * 60))
    }
}

/// A text that is not a time span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time span: write [days.]hours:minutes:seconds, such as 00:10:00")]
pub struct SpanError(pub String);

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || SpanError(text.to_owned());
        let number = |part: &str| part.parse::<u64>().map_err(|_| error());
        let trimmed = text.trim();
        let parts: Vec<&str> = trimmed.split(':').collect();
        let seconds = match parts.as_slice() {
            // SC-140: a bare integer is days.
            [days] => number(days)?.checked_mul(86_400),
            [hours, minutes, seconds] => {
                let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
                let (days, hours, minutes, seconds) =
                    (number(days)?, number(hours)?, number(minutes)?, number(seconds)?);
                if minutes > 59 || seconds > 59 {
                    return Err(error());
                }
                let whole_days = days.checked_mul(86_400);
                whole_days
                    .and_then(|days| days.checked_add(hours.checked_mul(3_600)?)?.checked_add(minutes * 60 + seconds))
            }
            _ => return Err(error()),
        };
        seconds.map(Self::seconds).ok_or_else(error)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if seconds >= 86_400 {
            write!(f, "{}.", seconds / 86_400)?;
        }
        write!(f, "{:02}:{:02}:{:02}", seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_parse_and_print_as_documented() {
        // SC-140
        for (text, seconds, printed) in [
            ("00:15:00", 900, "00:15:00"),
            ("1.00:00:00", 86_400, "1.00:00:00"),
            ("4:00:00", 14_400, "04:00:00"),
            ("3", 259_200, "3.00:00:00"),
            ("24:00:00", 86_400, "1.00:00:00"),
            ("45.00:00:00", 45 * 86_400, "45.00:00:00"),
            ("24855.03:14:07", 2_147_483_647, "24855.03:14:07"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.0.as_secs(), span.to_string().as_str()), (seconds, printed), "{text}");
        }
        for wrong in [
            "",
            "1:2",
            "00:60:00",
            "00:00:60",
            "x",
            "-1",
            "1.2.3:00:00",
            "213503982334601.23:59:59",
            "999999999999999999",
        ] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_as_the_same(seconds in any::<u64>(), shift in 0..64_u32) {
            let span = Span::seconds(seconds >> shift);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[0-9.:]{0,40}|\\PC{0,20}") {
            let _ = text.parse::<Span>();
        }
    }

    #[test]
    fn times_print_as_the_calendar_has_them() {
        for (millis, printed) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_225_600_000, "2026-01-01T00:00:00.000Z"),
            (1_795_335_330_250, "2026-11-22T08:15:30.250Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_000, "9999-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_iso8601(), printed);
        }
    }

    #[test]
    fn a_clock_that_goes_backwards_gives_no_negative_age() {
        let (early, late) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.since(early), Duration::from_millis(4));
    }
}
