//! Sections of a configuration, declared with the built-in value of each key.

/// A section of a configuration: each key with its type, its built-in value, and the comment that documents it. The
/// caller has the derives of serde and schemars in scope.
#[macro_export]
macro_rules! settings {
    ($(#[$doc:meta])* $vis:vis struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
        $vis struct $name { $($(#[$field_doc])* $vis $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use crate::{Size, Span};

    settings! {
        /// What a queue may hold.
        struct Queue {
            /// Its bytes.
            bytes_max: Size = Size::from_kib(64),
            /// How long one may wait.
            wait: Span = Span::from_secs(2),
        }
    }

    fn read(text: &str) -> Result<Queue, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_key_that_is_left_out_has_its_built_in_value() {
        let read = read(r#"{"bytes-max": "1 KiB"}"#).unwrap();
        assert_eq!(read.bytes_max, Size::from_kib(1));
        assert_eq!(read.wait, Queue::default().wait);
    }

    #[test]
    fn a_key_that_is_not_declared_is_refused() {
        let error = read(r#"{"bytes": "1 KiB"}"#).unwrap_err().to_string();
        assert!(error.contains("expected `bytes-max` or `wait`"), "{error}");
    }
}
