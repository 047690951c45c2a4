//! Platform values as JSON that people can read: bytes become the JSON or the text they are, or hex.

use serde::Serialize;
use serde_json::Value;

/// `value` with every byte string in it made readable.
pub(super) fn readable<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).map_or(Value::Null, mend)
}

/// Domain bytes: JSON as it is, other text as a string, anything else in hex.
pub(super) fn payload(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        Err(_) => hex(bytes).into(),
    }
}

/// Payloads that stand one behind the other in `all`, as a list; as one if the lengths do not fit.
pub(super) fn payloads(all: &[u8], lengths: impl Iterator<Item = u32>) -> Value {
    let mut rest = all;
    let mut list = Vec::new();
    for length in lengths {
        let Some((one, behind)) = rest.split_at_checked(length as usize) else {
            return vec![payload(all)].into();
        };
        list.push(payload(one));
        rest = behind;
    }
    list.into()
}

/// Domain bytes as text, or in hex.
pub(super) fn text_of(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| hex(bytes), str::to_owned)
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

/// serde writes bytes as a list of numbers, and no platform value has a list of plain numbers that is anything else.
fn mend(value: Value) -> Value {
    match value {
        Value::Array(values) => match bytes(&values) {
            Some(bytes) => payload(&bytes),
            None => Value::Array(values.into_iter().map(mend).collect()),
        },
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| (key, mend(value)))
                .collect(),
        ),
        other => other,
    }
}

fn bytes(values: &[Value]) -> Option<Vec<u8>> {
    if values.is_empty() {
        return None;
    }
    values
        .iter()
        .map(|value| value.as_u64().and_then(|n| u8::try_from(n).ok()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use serde_json::json;

    #[test]
    fn bytes_become_json_text_or_hex() {
        let value = (
            Bytes::from_static(b"{\"a\":1}"),
            Bytes::from_static(b"hello"),
            Bytes::from_static(&[0xff, 0]),
            "kept",
        );
        assert_eq!(
            readable(&value),
            json!([{"a": 1}, "hello", "0xff00", "kept"])
        );
    }
}
