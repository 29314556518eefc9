//! Sizes in bytes, as people write them.
//!
//! In:  text such as "128MiB", "1.5 GB", "4096".
//! Out: a `ByteSize`, which prints in the largest binary unit that reads well.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes. Parses "128MiB", "64 MB", "1.5GiB", "4096"; case does not matter.
///
/// ```
/// use windrow::ByteSize;
/// assert_eq!("128 MiB".parse::<ByteSize>().unwrap(), ByteSize::mib(128));
/// assert_eq!("1.5kb".parse::<ByteSize>().unwrap().bytes(), 1500);
/// assert_eq!(ByteSize::mib(128).to_string(), "128 MiB");
/// ```
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "SizeText", into = "u64")]
pub struct ByteSize(u64);

/// What a settings file may hold: a number of bytes or text with a unit.
#[derive(Deserialize)]
#[serde(untagged)]
enum SizeText {
    Bytes(u64),
    Text(String),
}

impl TryFrom<SizeText> for ByteSize {
    type Error = ParseSizeError;
    fn try_from(size: SizeText) -> Result<Self, ParseSizeError> {
        match size {
            SizeText::Bytes(bytes) => Ok(ByteSize(bytes)),
            SizeText::Text(text) => text.parse(),
        }
    }
}

impl From<ByteSize> for u64 {
    fn from(size: ByteSize) -> u64 {
        size.0
    }
}

impl ByteSize {
    /// A size in bytes.
    pub const fn new(bytes: u64) -> Self {
        ByteSize(bytes)
    }
    /// Units of 1,024 bytes.
    pub const fn kib(n: u64) -> Self {
        ByteSize(n << 10)
    }
    /// Units of 1,048,576 bytes.
    pub const fn mib(n: u64) -> Self {
        ByteSize(n << 20)
    }
    /// Units of 1,073,741,824 bytes.
    pub const fn gib(n: u64) -> Self {
        ByteSize(n << 30)
    }
    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
    /// The number of bytes as a length in memory (saturating on 32-bit machines).
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1023.95 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let value = (value * 10.0).round() / 10.0;
        if value.fract() == 0.0 {
            f.pad(&format!("{value:.0} {}", UNITS[unit]))
        } else {
            f.pad(&format!("{value:.1} {}", UNITS[unit]))
        }
    }
}

/// Text that is not a size. Becomes an [`Error::Config`](crate::Error::Config) by `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseSizeError {
    /// What was written.
    pub text: String,
}

impl fmt::Display for ParseSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        write!(
            f,
            "{text:?} is not a size; write it like 4096, 64MiB or 1.5GB"
        )
    }
}

impl std::error::Error for ParseSizeError {}

impl FromStr for ByteSize {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        let wrong = || ParseSizeError { text: text.into() };
        let trimmed = text.trim();
        let split = trimmed
            .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
            .unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(split);
        let number = number.replace('_', "");
        let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(wrong()),
        };
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(scale).map(ByteSize).ok_or_else(wrong);
        }
        let value: f64 = number.parse().map_err(|_| wrong())?;
        let bytes = value * scale as f64;
        if bytes.is_finite() && bytes >= 0.0 && bytes < u64::MAX as f64 {
            Ok(ByteSize(bytes.round() as u64))
        } else {
            Err(wrong())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64k", 65_536),
            ("1 KiB", 1024),
            ("1kb", 1000),
            ("1.5 GiB", 1_610_612_736),
            ("2TB", 2_000_000_000_000),
            ("1_000", 1000),
        ] {
            assert_eq!(text.parse::<ByteSize>().unwrap().bytes(), bytes, "{text}");
        }
        for text in ["", "MiB", "-1", "1 furlong", "1e3", "99999999999TiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_print_in_the_unit_that_reads_well() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (128 << 20, "128 MiB"),
            ((1 << 30) - 1, "1 GiB"),
        ] {
            assert_eq!(ByteSize::new(bytes).to_string(), text);
        }
    }
}
