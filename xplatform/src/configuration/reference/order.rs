//! The order of keys: that of their declaration, which JSON text has and the maps that it is read into lose.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use xp_runtime::Config;

/// A configuration as text.
pub(super) fn raw(config: &Config) -> Box<RawValue> {
    serde_json::value::to_raw_value(config)
        .expect("every part of the configuration has a JSON form")
}

/// The keys of a table with their values; of anything else nothing.
pub(super) fn fields(value: &RawValue) -> Vec<(String, Box<RawValue>)> {
    let mut read = serde_json::Deserializer::from_str(value.get());
    read.deserialize_map(Fields).unwrap_or_default()
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(String, Box<RawValue>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}
