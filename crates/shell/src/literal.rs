//! Sizes, spans, dates and truth values from texts (SC-140…SC-144, CM-29).

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

use crate::cursor::{number, real};
use crate::tree::Number;
use crate::value::TICKS;

/// A size in octets: `10MB`, `1.5 GB`, `35 MB (36,700,160 bytes)`, `4096`.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Some((_, inner)) = text.split_once('(') {
        let digits: String = inner.strip_suffix("bytes)")?.chars().filter(char::is_ascii_digit).collect();
        return digits.parse().ok();
    }
    let compact: String = text.chars().filter(|one| !one.is_whitespace()).collect();
    let lower = compact.to_ascii_lowercase();
    let body = match lower.strip_suffix('b') {
        Some(bare) if bare.ends_with(|digit: char| digit.is_ascii_digit()) => bare,
        _ => &lower,
    };
    match number(body)? {
        Number::Whole(whole) => u64::try_from(whole).ok(),
        // SC-141: parts of an octet are rounded up.
        Number::Real(fraction) if (0.0..9e15).contains(&fraction) => format!("{:.0}", fraction.ceil()).parse().ok(),
        Number::Real(_) => None,
    }
}

/// A span in ticks: `[d.]hh:mm:ss`, `hh:mm`, or a whole number of days (SC-140).
#[must_use]
pub fn span(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let digits = |part: &str| {
        let good = !part.is_empty() && part.len() < 10 && part.bytes().all(|one| one.is_ascii_digit());
        if good { part.parse::<i64>().ok() } else { None }
    };
    let seconds = if let Some(days) = digits(text) {
        days * 86_400
    } else {
        let mut parts: Vec<&str> = text.split(':').collect();
        let (days, hours) = match parts.first()?.split_once('.') {
            Some((days, hours)) => (digits(days)?, digits(hours)?),
            None => (0, digits(parts[0])?),
        };
        parts.remove(0);
        let minutes = parts.first().map(|part| digits(part)).unwrap_or_default()?;
        let (seconds, fraction) = match parts.get(1) {
            None => (0, None),
            Some(part) => match part.split_once('.') {
                Some((whole, fraction)) => (digits(whole)?, Some(fraction)),
                None => (digits(part)?, None),
            },
        };
        if parts.is_empty() || parts.len() > 2 || minutes > 59 || seconds > 59 {
            return None;
        }
        let whole = days * 86_400 + hours * 3600 + minutes * 60 + seconds;
        if let Some(fraction) = fraction {
            let ticks = digits(&format!("{fraction:0<7}")[..7])?;
            return Some(sign * (whole * TICKS + ticks));
        }
        whole
    };
    seconds.checked_mul(TICKS * sign)
}

/// A date: `3/28/2015 8:00AM`, `03/13/2024 09:00:00`, `2026-01-05T09:00:00Z`; month first, as in the United States.
#[must_use]
pub fn date(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim();
    let (day, clock) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let parts: Vec<&str> = day.split(['/', '-']).collect();
    let [first, second, third] = parts[..] else { return None };
    let (year, month, day) = if day.contains('/') { (third, first, second) } else { (first, second, third) };
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    Some(PrimitiveDateTime::new(date, time_of_day(clock.trim())?).assume_utc())
}

fn time_of_day(text: &str) -> Option<Time> {
    let lower = text.trim_end_matches('Z').to_ascii_lowercase();
    let (clock, half) = match (lower.strip_suffix("am"), lower.strip_suffix("pm")) {
        (Some(clock), _) => (clock, Some(0)),
        (_, Some(clock)) => (clock, Some(12)),
        _ => (lower.as_str(), None),
    };
    let clock = clock.trim();
    if clock.is_empty() {
        return half.is_none().then_some(Time::MIDNIGHT);
    }
    let clock = clock.split('.').next().unwrap_or(clock);
    let parts: Vec<u8> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        [hour] if half.is_some() => (hour, 0, 0),
        _ => return None,
    };
    let hour = half.map_or(hour, |half| hour % 12 + half);
    Time::from_hms(hour, minute, second).ok()
}

/// A real number from a text.
#[must_use]
pub fn any_number(text: &str) -> Option<f64> {
    match number(text.trim())? {
        Number::Whole(whole) => Some(real(whole)),
        Number::Real(value) => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::{date, size, span};
    use crate::value::{TICKS, date_text, size_text, span_text};

    #[test]
    fn sizes_are_read_as_they_are_printed() {
        // SC-141, SH-06
        for (text, octets) in [
            ("35 MB (36,700,160 bytes)", 36_700_160),
            ("10MB", 10_485_760),
            ("1.5GB", 1_610_612_736),
            ("4096", 4096),
            ("512B", 512),
            ("256 KB (262.144 bytes)", 262_144),
        ] {
            assert_eq!(size(text), Some(octets), "{text}");
            assert_eq!(size(&size_text(octets)), Some(octets));
        }
        assert_eq!(size_text(36_700_160), "35 MB (36,700,160 bytes)");
        assert_eq!((size("ten"), size("-1"), size("1 XB")), (None, None, None));
    }

    #[test]
    fn spans_are_read_as_they_are_printed() {
        // SC-140
        for (text, seconds, printed) in [
            ("00:15:00", 900, "00:15:00"),
            ("4:00:00", 14_400, "04:00:00"),
            ("3", 259_200, "3.00:00:00"),
            ("24855.03:14:07", 2_147_483_647, "24855.03:14:07"),
            ("24:00:00", 86_400, "1.00:00:00"),
        ] {
            assert_eq!(span(text), Some(seconds * TICKS), "{text}");
            assert_eq!(span_text(seconds * TICKS), printed);
        }
        assert_eq!((span("00:60:00"), span("x"), span("1:2:3:4")), (None, None, None));
    }

    #[test]
    fn dates_are_those_of_the_documentation() {
        // CM-29, SH-65
        for (text, printed) in [
            ("3/28/2015 8:00AM", "3/28/2015 8:00:00 AM"),
            ("03/13/2024 09:00:00", "3/13/2024 9:00:00 AM"),
            ("2026-01-05T21:00:00Z", "1/5/2026 9:00:00 PM"),
            ("3/4/2026", "3/4/2026 12:00:00 AM"),
        ] {
            assert_eq!(date(text).map(date_text).as_deref(), Some(printed), "{text}");
        }
        assert_eq!((date("13/13/2024"), date("yesterday"), date("3/4/2026 25:00")), (None, None, None));
    }
}
