//! The names of the fields that a type is read from, as serde's derives know them.

use serde::de::value::Error;
use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

/// The names of a type's fields, other names included; none when it takes whatever there is: a map, or fields that are
/// told apart only when they are read.
type Names = Option<&'static [&'static str]>;

/// The names of the fields of `T`: it is read from something that only notes what it is asked for.
pub(super) fn of<T: DeserializeOwned>() -> Option<&'static [&'static str]> {
    // What is read from nothing at all has no fields.
    let mut names: Names = Some(&[]);
    // It is never read to its end.
    let _ = T::deserialize(Asked(&mut names));
    names
}

struct Asked<'a>(&'a mut Names);

fn noted<T>() -> Result<T, Error> {
    Err(Error::custom("its names are noted"))
}

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        *self.0 = None;
        noted()
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = Some(fields);
        noted()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        noted()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, Error> {
        noted()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        noted()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq tuple tuple_struct map
        enum identifier
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::Value;

    use super::*;
    use crate::Never;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code, reason = "only its shape is looked at")]
    struct User {
        full_name: String,
        #[serde(rename = "https://example.org/roles", alias = "roles", default)]
        roles: Vec<String>,
        #[serde(skip)]
        seen: bool,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    struct Wrapped(Option<User>);

    #[derive(Deserialize)]
    #[serde(from = "Wrapped")]
    struct Made;

    impl From<Wrapped> for Made {
        fn from(_: Wrapped) -> Self {
            Self
        }
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    struct Flat {
        #[serde(flatten)]
        user: User,
    }

    #[derive(Deserialize)]
    struct Nothing;

    #[test]
    fn the_fields_of_a_type_are_known_by_all_their_names() {
        let names = ["fullName", "https://example.org/roles", "roles"];
        for found in [of::<User>(), of::<Wrapped>(), of::<Made>()] {
            assert_eq!(found, Some(names.as_slice()));
        }
    }

    #[test]
    fn what_needs_nothing_names_nothing() {
        for found in [
            of::<()>(),
            of::<Nothing>(),
            of::<Never>(),
            of::<serde::de::IgnoredAny>(),
        ] {
            assert_eq!(found, Some([].as_slice()));
        }
    }

    #[test]
    fn what_takes_whatever_there_is_says_so() {
        for found in [of::<Flat>(), of::<BTreeMap<String, Value>>(), of::<Value>()] {
            assert_eq!(found, None);
        }
    }
}
