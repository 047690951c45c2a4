//! Durations and sizes as people write them: `500ms`, `2 s`, `64 KiB`. Numbers without a unit are none.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in a configuration: whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of bytes in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub usize);

/// Why a text is no duration or size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: write a number and one of {units}")]
pub struct UnitError {
    text: String,
    what: &'static str,
    units: &'static str,
}

const SPANS: &str = "ms, s, min, h, as in \"500ms\"";
const SIZES: &str = "B, KiB, MiB, GiB, as in \"64 KiB\"";

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

    /// Whole milliseconds.
    #[must_use]
    #[inline]
    pub const fn ms(self) -> u64 {
        let (whole, rest) = (self.0.as_secs(), self.0.subsec_millis() as u64);
        whole.saturating_mul(1_000).saturating_add(rest)
    }
}

impl Size {
    /// So many KiB.
    #[must_use]
    pub const fn from_kib(kib: usize) -> Self {
        Self(kib << 10)
    }

    /// So many MiB.
    #[must_use]
    pub const fn from_mib(mib: usize) -> Self {
        Self(mib << 20)
    }

    /// How many bytes.
    #[must_use]
    #[inline]
    pub const fn bytes(self) -> usize {
        self.0
    }
}

/// Whether a text says a unit at all: the readers below take a bare number for one that they choose.
fn has_unit(text: &str) -> bool {
    text.contains(char::is_alphabetic)
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let read = humantime::parse_duration(text).ok();
        // Nothing is measured more finely, and what is written would not be read back.
        let is_whole = |span: &Duration| span.subsec_nanos().is_multiple_of(1_000_000);
        let read = read.filter(is_whole).filter(|_| has_unit(text));
        read.map(Self).ok_or_else(|| UnitError {
            text: text.to_owned(),
            what: "duration",
            units: SPANS,
        })
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let read = text.parse::<ByteSize>().ok().filter(|_| has_unit(text));
        let read = read.and_then(|size| usize::try_from(size.as_u64()).ok());
        read.map(Self).ok_or_else(|| UnitError {
            text: text.to_owned(),
            what: "size",
            units: SIZES,
        })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = Duration::from_millis(self.ms());
        humantime::format_duration(whole).fmt(f)
    }
}

impl fmt::Display for Size {
    /// In the largest unit that says it exactly, in bytes if there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = ByteSize::b(self.0 as u64);
        let rounded = (0..=2).map(|digits| format!("{:.digits$}", size.display().iec()));
        let mut exact = rounded.filter(|text| text.parse() == Ok(size));
        match exact.next() {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} B", self.0),
        }
    }
}

macro_rules! as_text {
    ($name:ident, $units:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string" })
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl Visitor<'_> for Text {
                    type Value = $name;

                    // Also for a number, which is all that an environment has for `20`.
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "a string with one of {}", $units)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }
    };
}

as_text!(Span, SPANS);
as_text!(Size, SIZES);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_and_sizes_read_as_people_write_them() {
        for (text, ms) in [
            ("500ms", 500),
            ("2 s", 2_000),
            ("5min", 300_000),
            ("5m", 300_000),
            ("1h 30min", 5_400_000),
            ("7 days", 604_800_000),
        ] {
            assert_eq!(text.parse(), Ok(Span::from_millis(ms)), "{text}");
        }
        for (text, bytes) in [
            ("64 KiB", 65_536),
            ("1MiB", 1 << 20),
            ("1.5 MiB", 3 << 19),
            ("3 B", 3),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn they_are_written_in_the_unit_that_a_reader_expects() {
        assert_eq!(Span::from_millis(500).to_string(), "500ms");
        assert_eq!(Span::from_secs(600).to_string(), "10m");
        assert_eq!(Size::from_kib(64).to_string(), "64 KiB");
        assert_eq!(Size(3 << 19).to_string(), "1.5 MiB");
        assert_eq!(Size(1_000_001).to_string(), "1000001 B");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ms in 0_u64..1 << 40, shift in 0_u32..40, number in 0_usize..1 << 20) {
            let span = Span::from_millis(ms >> shift);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
            let size = Size(number << (shift / 2));
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused_with_the_units() {
        let said = |error: UnitError| error.to_string();
        for bare in ["500", "0", " 7 ", "1.5", ""] {
            let span = said(bare.parse::<Span>().unwrap_err());
            assert!(span.contains("ms, s, min, h"), "{bare}: {span}");
            let size = said(bare.parse::<Size>().unwrap_err());
            assert!(size.contains("B, KiB, MiB, GiB"), "{bare}: {size}");
        }
    }

    #[test]
    fn a_bare_number_of_a_file_or_an_environment_is_answered_with_the_units() {
        for (said, units) in [
            (serde_json::from_str::<Span>("20").map(drop), SPANS),
            (serde_json::from_str::<Size>("20").map(drop), SIZES),
        ] {
            let said = said.unwrap_err().to_string();
            assert!(said.contains(units), "{said}");
        }
    }

    #[test]
    fn what_is_no_unit_or_finer_than_a_millisecond_is_refused() {
        for text in ["12 parsecs", "-1 s", "500us", "1ms 1ns", "ms"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        for text in ["-1 B", "64 Kib/s", "KiB", "1 parsec"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
