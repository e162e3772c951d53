//! Dates as header fields print them (RFC 5322 §3.3), always in UTC.
//!
//! Reads no clock: the time is an argument.

use envelope::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// 9999-12-31T23:59:59Z: the last second that a four-digit year can name; later times are printed as this.
const LAST_SECOND: i64 = 253_402_300_799;

/// `Sat, 21 Nov 2026 09:00:00 +0000`.
#[must_use]
pub fn rfc5322(time: Timestamp) -> String {
    let seconds = i64::try_from(time.as_millis() / 1000).unwrap_or(LAST_SECOND).min(LAST_SECOND);
    let date = OffsetDateTime::from_unix_timestamp(seconds).expect("years 1970 to 9999 are in range");
    date.format(&Rfc2822).expect("years from 1900 on can be formatted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_utc_and_never_fails() {
        assert_eq!(rfc5322(Timestamp::from_millis(0)), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(rfc5322(Timestamp::from_millis(1_795_251_600_999)), "Sat, 21 Nov 2026 09:00:00 +0000");
        assert_eq!(rfc5322(Timestamp::from_millis(u64::MAX)), "Fri, 31 Dec 9999 23:59:59 +0000");
    }
}
