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

/// `2026-11-21T09:00:00.000Z`: the time of logs (LG-01).
#[must_use]
pub fn log_time(time: Timestamp) -> String {
    let millis = time.as_millis().min(LAST_SECOND.unsigned_abs() * 1000 + 999);
    let seconds = i64::try_from(millis / 1000).expect("not later than the year 9999");
    let date = OffsetDateTime::from_unix_timestamp(seconds).expect("years 1970 to 9999 are in range");
    let (day, (hour, minute, second)) = (date.date(), date.to_hms());
    let (month, millis) = (u8::from(day.month()), millis % 1000);
    format!("{:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z", day.year(), day.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_utc_and_never_fails() {
        assert_eq!(rfc5322(Timestamp::from_millis(0)), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(rfc5322(Timestamp::from_millis(1_795_251_600_999)), "Sat, 21 Nov 2026 09:00:00 +0000");
        assert_eq!(rfc5322(Timestamp::from_millis(u64::MAX)), "Fri, 31 Dec 9999 23:59:59 +0000");
        assert_eq!(log_time(Timestamp::from_millis(1_795_251_600_999)), "2026-11-21T09:00:00.999Z");
        assert_eq!(log_time(Timestamp::from_millis(u64::MAX)), "9999-12-31T23:59:59.999Z");
    }
}
