//! Message sizes and limits, in the documented notation (SC-141, SC-142).

use std::fmt;
use std::str::FromStr;

/// A number of octets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(u64);

impl ByteSize {
    /// `count` octets.
    #[must_use]
    pub const fn bytes(count: u64) -> Self {
        Self(count)
    }

    /// `count` × 1024 octets.
    #[must_use]
    pub const fn kib(count: u64) -> Self {
        Self(count * 1024)
    }

    /// `count` × 1024 × 1024 octets.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count * 1024 * 1024)
    }

    /// The number of octets.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// A text that is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a size: write a number followed by B, KB, MB, GB or TB, such as 35MB")]
pub struct SizeError(pub String);

impl FromStr for ByteSize {
    type Err = SizeError;

    /// `35MB`, `1.5GB`, `64 KB`, `36700160`, and the printed form `35 MB (36,700,160 bytes)` (SC-141). Fractions of a
    /// kilobyte given in a unit are rounded up to a whole kilobyte.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || SizeError(text.to_owned());
        let (short, exact) = match text.split_once('(') {
            None => (text.trim(), None),
            Some((short, exact)) => {
                let count =
                    exact.trim_end().strip_suffix(" bytes)").or_else(|| exact.trim_end().strip_suffix(" byte)"));
                let count = count.and_then(|count| count.replace(',', "").parse().ok()).ok_or_else(error)?;
                (short.trim(), Some(Self(count)))
            }
        };
        let digits_end = short.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(short.len());
        let (number, unit) = (&short[..digits_end], short[digits_end..].trim());
        let factor: u64 = match unit.to_ascii_uppercase().as_str() {
            "" | "B" => 1,
            "KB" => 1 << 10,
            "MB" => 1 << 20,
            "GB" => 1 << 30,
            "TB" => 1 << 40,
            _ => return Err(error()),
        };
        if let (Some(exact), Ok(_)) = (exact, number.parse::<f64>()) {
            return Ok(exact);
        }
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(factor).map(Self).ok_or_else(error);
        }
        let fraction: f64 = number.parse().map_err(|_| error())?;
        let kilobytes = (fraction * factor as f64 / 1024.0).ceil();
        if factor == 1 || !kilobytes.is_finite() || kilobytes < 0.0 || kilobytes > (u64::MAX >> 11) as f64 {
            return Err(error());
        }
        Ok(Self(kilobytes as u64 * 1024))
    }
}

impl fmt::Display for ByteSize {
    /// `35 MB (36,700,160 bytes)` (SC-141); below a kilobyte `512 B (512 bytes)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u32); 5] = [("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10), ("B", 0)];
        let (unit, shift) = UNITS.into_iter().find(|(_, shift)| self.0 >> shift > 0).unwrap_or(("B", 0));
        let scaled = self.0 as f64 / (1u64 << shift) as f64;
        let precise = format!("{scaled:.3}");
        let short = precise.trim_end_matches('0').trim_end_matches('.');
        let bytes = if self.0 == 1 { "byte" } else { "bytes" };
        write!(f, "{short} {unit} ({} {bytes})", with_thousands(self.0))
    }
}

impl fmt::Debug for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}B", self.0)
    }
}

fn with_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A limit that may be absent: the documented `Unlimited` (SC-142).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit<T> {
    /// At most this much; equal passes (LM-04).
    At(T),
    /// No limit.
    Unlimited,
}

impl<T: PartialOrd> Limit<T> {
    /// Whether `amount` is within the limit.
    pub fn allows(&self, amount: &T) -> bool {
        match self {
            Self::At(limit) => amount <= limit,
            Self::Unlimited => true,
        }
    }
}

impl<T: FromStr> FromStr for Limit<T> {
    type Err = T::Err;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().eq_ignore_ascii_case("unlimited") { Ok(Self::Unlimited) } else { text.parse().map(Self::At) }
    }
}

impl<T: fmt::Display> fmt::Display for Limit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(limit) => limit.fmt(f),
            Self::Unlimited => f.write_str("Unlimited"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_parse_as_documented() {
        // SC-141
        for (text, bytes) in [
            ("35MB", 36_700_160),
            ("10 mb", 10_485_760),
            ("1.5GB", 1_610_612_736),
            ("36700160", 36_700_160),
            ("512B", 512),
            ("1.0001KB", 2048),
            ("35 MB (36,700,160 bytes)", 36_700_160),
        ] {
            assert_eq!(text.parse::<ByteSize>(), Ok(ByteSize::bytes(bytes)), "{text}");
        }
        for wrong in
            ["35 MB (", "35 MB (much)", "MB (5 bytes)", "", "MB", "-1MB", "1XB", "1.5", "99999999999TB", "1e3MB"]
        {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_as_the_same(count in any::<u64>(), shift in 0..64_u32) {
            let size = ByteSize::bytes(count >> shift);
            prop_assert_eq!(size.to_string().parse(), Ok(size)); // ER-04
            let limit = Limit::At(size);
            prop_assert_eq!(limit.to_string().parse(), Ok(limit));
        }
    }

    #[test]
    fn sizes_print_as_documented_and_limits_compare_inclusively() {
        assert_eq!(ByteSize::mib(35).to_string(), "35 MB (36,700,160 bytes)");
        assert_eq!(ByteSize::bytes(0).to_string(), "0 B (0 bytes)");
        assert_eq!(ByteSize::bytes(1).to_string(), "1 B (1 byte)");
        let limit: Limit<ByteSize> = "1KB".parse().unwrap();
        assert!(limit.allows(&ByteSize::kib(1)) && !limit.allows(&ByteSize::bytes(1025))); // LM-04
        assert_eq!("Unlimited".parse::<Limit<ByteSize>>(), Ok(Limit::Unlimited)); // SC-142
    }
}
