//! The depth of a client's JSON, bounded before the domain reads it.
//!
//! What a domain keeps of it stands deeper in a state, an event or an output, and those are read by a parser that ends
//! at 128: a state that nobody can load any more would set its entity aside.

use crate::host::Payload;
use crate::word::Unreadable;

/// How deep arrays and objects of a client's JSON may nest. A deeper payload is unreadable.
const JSON_DEPTH_MAX: usize = 64;

/// Whether a client's payload may be read.
pub(super) fn check(payload: &Payload<'_>) -> Result<(), Unreadable> {
    if !payload.text || !may_be_deep(payload.bytes) || depth(payload.bytes) <= JSON_DEPTH_MAX {
        return Ok(());
    }
    Err(Unreadable::new(format!(
        "it nests deeper than {JSON_DEPTH_MAX} arrays and objects"
    )))
}

/// Nearly every payload opens fewer than that, which is quickly counted.
fn may_be_deep(json: &[u8]) -> bool {
    let opens = json.iter().filter(|byte| matches!(byte, b'[' | b'{'));
    opens.count() > JSON_DEPTH_MAX
}

/// How deep it nests. Of what is no JSON any number: whoever reads it finds that out.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(json: &str) -> bool {
        let bytes = json.as_bytes();
        check(&Payload { bytes, text: true }).is_ok()
    }

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn json_may_nest_so_deep_and_no_deeper() {
        assert!(passes(&nested(JSON_DEPTH_MAX)));
        assert!(!passes(&nested(JSON_DEPTH_MAX + 1)));
        let objects = |depth| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(passes(&objects(JSON_DEPTH_MAX)));
        assert!(!passes(&objects(JSON_DEPTH_MAX + 1)));
    }

    #[test]
    fn what_only_looks_deep_passes() {
        assert!(passes(&format!("[{}1]", "[[1]],".repeat(1_000))));
        assert!(passes(&format!(r#"["{}"]"#, "[{".repeat(1_000))));
        assert!(passes(&format!(r#"["\"{}"]"#, "[{".repeat(1_000))));
        let binary = vec![b'['; 1_000];
        let payload = Payload {
            bytes: &binary,
            text: false,
        };
        assert!(check(&payload).is_ok());
    }

    #[test]
    fn a_bracket_behind_a_text_that_ends_in_a_backslash_counts() {
        let deep = format!(r#"["\\",{}]"#, nested(JSON_DEPTH_MAX));
        assert!(!passes(&deep));
    }
}
