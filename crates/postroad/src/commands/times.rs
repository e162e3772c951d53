//! Times as people type and read them: ages such as `2h`, times of day, spans in words.

use std::time::Duration;

use envelope::Timestamp;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime, Time};

/// A command is asked now.
#[expect(clippy::disallowed_methods, reason = "the one place where commands read the clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from(std::time::SystemTime::now())
}

/// `45s`, `30m`, `2h`, `1d`.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is no age: write a number and s, m, h or d, such as 30m");
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// So long before `now`.
pub(crate) fn before(now: Timestamp, age: Duration) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)))
}

/// A time as somebody types it: an age ago (`2h`), a time of today (`10:03`), a day (`2026-11-22`), both, or RFC 3339. In UTC
/// where it does not say otherwise, as every log is.
pub(crate) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(age) = age(text) {
        return Ok(before(now, age));
    }
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(stamp(time));
    }
    let today = OffsetDateTime::from(std::time::SystemTime::from(now)).date();
    let (day, time) = text.split_once(['T', ' ']).map_or((text, None), |(day, time)| (day, Some(time)));
    let whole = match (date(day), clock(day), time.map(clock)) {
        (Some(day), _, None) => Some(PrimitiveDateTime::new(day, Time::MIDNIGHT)),
        (Some(day), _, Some(Some(time))) => Some(PrimitiveDateTime::new(day, time)),
        (None, Some(time), None) => Some(PrimitiveDateTime::new(today, time)),
        _ => None,
    };
    whole.map(|time| stamp(time.assume_utc())).ok_or_else(|| {
        format!("{text} is no time: write 10:03, 2026-11-22, 2026-11-22T10:03, all in UTC, or how long ago: 2h")
    })
}

fn date(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

fn clock(text: &str) -> Option<Time> {
    let seconds = Time::parse(text, format_description!("[hour]:[minute]:[second]"));
    seconds.or_else(|_| Time::parse(text, format_description!("[hour]:[minute]"))).ok()
}

fn stamp(time: OffsetDateTime) -> Timestamp {
    Timestamp::from(std::time::SystemTime::from(time))
}

/// `2026-11-22 10:03:12`, UTC.
pub(crate) fn shown(at: Timestamp) -> String {
    at.to_iso8601()[..19].replace('T', " ")
}

/// `45 s`, `12 min`, `3 h`, `2 d`.
pub(crate) fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_typed() {
        let now = Timestamp::from_millis(1_795_335_330_250); // 2026-11-22T08:15:30.250Z
        for (text, time) in [
            ("07:03", "2026-11-22T07:03:00.000Z"),
            ("07:03:09", "2026-11-22T07:03:09.000Z"),
            ("2026-11-20", "2026-11-20T00:00:00.000Z"),
            ("2026-11-20T10:03", "2026-11-20T10:03:00.000Z"),
            ("2026-11-20 10:03:05", "2026-11-20T10:03:05.000Z"),
            ("2026-11-20T10:03:05+01:00", "2026-11-20T09:03:05.000Z"),
            ("15m", "2026-11-22T08:00:30.250Z"),
            ("2d", "2026-11-20T08:15:30.250Z"),
        ] {
            assert_eq!(moment(text, now).map(Timestamp::to_iso8601).as_deref(), Ok(time), "{text}");
        }
        for wrong in ["", "25:00", "yesterday", "2026-13-01", "5", "ü", "99999999999999999999h", "10:03 10:04"] {
            assert!(moment(wrong, now).is_err(), "{wrong}");
        }
    }
}
