//! The address of an entity: `category/id`, the key of every record about it. It says neither on which partition nor on
//! which node the entity is; its lane and the `cluster` log do.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::PartitionId;
use crate::murmur2::murmur2;

/// The longest category, in bytes.
pub const CATEGORY_BYTES_MAX: usize = 64;
/// The longest id, in bytes.
pub const ID_BYTES_MAX: usize = 255;

/// An entity's address. Cheap to clone; compares, hashes and travels as `category/id`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<str>);

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `/` between category and id.
    #[error("an address is category/id, and {0:?} has no slash")]
    NoSlash(String),
    /// The category is empty, too long, or has other characters than a–z, 0–9 and `-`.
    #[error(
        "a category is 1 to {CATEGORY_BYTES_MAX} of a-z, 0-9 and '-', starting with a letter, and {0:?} is not"
    )]
    Category(String),
    /// The id is empty, too long, or has a slash or a control character.
    #[error(
        "an id is 1 to {ID_BYTES_MAX} bytes without '/' and control characters, and {0:?} is not"
    )]
    Id(String),
}

/// Whether `category` may name a kind of entity; `const`, so that a bad one fails to compile.
#[must_use]
pub const fn is_category(category: &str) -> bool {
    let bytes = category.as_bytes();
    if bytes.is_empty() || bytes.len() > CATEGORY_BYTES_MAX || !bytes[0].is_ascii_lowercase() {
        return false;
    }
    let mut i = 0;
    while i < bytes.len() {
        let b = bytes[i];
        if !(b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return false;
        }
        i += 1;
    }
    true
}

fn is_id(id: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&id.len()) && !id.chars().any(|c| c == '/' || c.is_control())
}

impl Address {
    /// The address of `id` in `category`.
    ///
    /// # Errors
    /// When either part breaks the rules named in [`AddressError`].
    pub fn new(category: &str, id: &str) -> Result<Self, AddressError> {
        if !is_category(category) {
            return Err(AddressError::Category(category.to_owned()));
        }
        if !is_id(id) {
            return Err(AddressError::Id(id.to_owned()));
        }
        Ok(Self(format!("{category}/{id}").into()))
    }

    /// The kind of entity.
    #[must_use]
    pub fn category(&self) -> &str {
        self.split().0
    }

    /// The id, unique within the category.
    #[must_use]
    pub fn id(&self) -> &str {
        self.split().1
    }

    /// `category/id`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition of this address among `partitions`, as the Java client's default partitioner
    /// would choose it: `(murmur2(key) & 0x7fffffff) % partitions`.
    ///
    /// # Panics
    /// When `partitions` is 0.
    #[must_use]
    pub fn partition(&self, partitions: u32) -> PartitionId {
        PartitionId((murmur2(self.0.as_bytes()) & 0x7fff_ffff) % partitions)
    }

    fn split(&self) -> (&str, &str) {
        self.0
            .split_once('/')
            .expect("every constructor checks that there is a slash")
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (category, id) = text
            .split_once('/')
            .ok_or_else(|| AddressError::NoSlash(text.to_owned()))?;
        Self::new(category, id)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_category_and_an_id() {
        let address: Address = "board/7 ü".parse().unwrap();
        assert_eq!((address.category(), address.id()), ("board", "7 ü"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (text, reason) in [
            ("board", "no slash"),
            ("Board/1", "a category"),
            ("board/", "an id"),
            ("board/a/b", "an id"),
            ("board/a\nb", "an id"),
            ("/x", "a category"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
