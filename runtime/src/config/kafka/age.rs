//! A retention time in the configuration: `forever`, or a duration.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xp_settings::Span;

/// How long something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Nothing is ever removed.
    Forever,
    /// At least for so long.
    For(Span),
}

const FOREVER: &str = "forever";

impl Age {
    /// `None` is for ever.
    #[must_use]
    pub fn limit(self) -> Option<Duration> {
        match self {
            Self::Forever => None,
            Self::For(span) => Some(span.0),
        }
    }
}

impl Serialize for Age {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Forever => serializer.serialize_str(FOREVER),
            Self::For(span) => span.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == FOREVER {
            return Ok(Self::Forever);
        }
        let span = text.parse().map(Self::For);
        span.map_err(|error| serde::de::Error::custom(format!("{error}, or {FOREVER:?}")))
    }
}
