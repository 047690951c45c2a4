//! Durations and sizes as people write them: `500ms`, `2 s`, `64 KiB`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of bytes in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub usize);

/// Why a text is no duration or size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: write a whole number and one of {units}")]
pub struct UnitError {
    text: String,
    what: &'static str,
    units: &'static str,
}

const SPANS: &[(&str, u64)] = &[("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];
const SIZES: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl Span {
    /// A span of so many milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// A span of so many seconds.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Self(Duration::from_secs(s))
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub fn ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

fn read(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

/// The largest unit that leaves no remainder.
fn write(value: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let whole = units
        .iter()
        .find(|(_, factor)| value.is_multiple_of(*factor) && value >= *factor);
    let (name, factor) = whole.or(units.last()).expect("there is a smallest unit");
    write!(f, "{} {name}", value / factor)
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        read(text, SPANS).map(Self::from_millis).ok_or(UnitError {
            text: text.to_owned(),
            what: "duration",
            units: "ms, s, min, h, as in \"500ms\"",
        })
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        read(text, SIZES)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .map(Self)
            .ok_or(UnitError {
                text: text.to_owned(),
                what: "size",
                units: "B, KiB, MiB, GiB, as in \"64 KiB\"",
            })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.ms(), SPANS, f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0 as u64, SIZES, f)
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(Span);
as_text!(Size);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_read_as_people_write_them() {
        assert_eq!("500ms".parse(), Ok(Span::from_millis(500)));
        assert_eq!("2 s".parse(), Ok(Span::from_secs(2)));
        assert_eq!("64 KiB".parse(), Ok(Size(65_536)));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for ms in [0, 1, 999, 1_000, 61_000, 3_600_000] {
            let span = Span::from_millis(ms);
            assert_eq!(span.to_string().parse(), Ok(span), "{span}");
        }
        for bytes in [0, 1, 1_023, 1_024, 5 << 20, 3 << 30] {
            let size = Size(bytes);
            assert_eq!(size.to_string().parse(), Ok(size), "{size}");
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused_with_the_units() {
        let error = "500".parse::<Span>().unwrap_err().to_string();
        assert!(error.contains("ms, s, min, h"), "{error}");
        assert!("12 parsecs".parse::<Span>().is_err());
        assert!("-1 B".parse::<Size>().is_err());
    }
}
