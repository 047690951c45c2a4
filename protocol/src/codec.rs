//! The encoding of platform values: a version byte, then bincode. Payloads of domains are bytes here; only `domain-sdk`
//! encodes them.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest platform value that is read, in bytes; a longer one is refused before memory is taken.
pub const VALUE_BYTES_MAX: usize = 64 << 20;

/// What stands before bytes that a log could not read as ours; no format has this version.
pub const UNREADABLE: u8 = 0;

const CONFIG: bincode::config::Configuration = bincode::config::standard();

/// A value with a wire format of its own. Each version of each format has a golden file.
pub trait Format: Serialize + DeserializeOwned {
    /// The format's name, for errors and golden files.
    const NAME: &'static str;
    /// The version written, and the newest one read.
    const VERSION: u8;
    /// The oldest version that is still read. Whatever an older one wrote is the same in the newest, which only has
    /// further variants at the end of its enums, and what [`Format::lacks`] says.
    const OLDEST: u8 = Self::VERSION;

    /// How the fields that the newest version has at its end, and `version` has not, are written when nothing is in
    /// them.
    #[must_use]
    fn lacks(_version: u8) -> &'static [u8] {
        &[]
    }
}

/// Why bytes are no value of a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There are no bytes.
    #[error("empty {format}")]
    Empty {
        /// The name of the format that was expected.
        format: &'static str,
    },
    /// The version byte is not one that this build reads.
    #[error("{format} has version {found}, and this build reads version {known}")]
    Version {
        /// The name of the format that was expected.
        format: &'static str,
        /// The version byte found.
        found: u8,
        /// The version this build reads.
        known: u8,
    },
    /// The bytes behind the version byte are damaged.
    #[error("damaged {format}: {reason}")]
    Damaged {
        /// The name of the format that was expected.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// The bytes of `value`.
///
/// # Panics
/// Never for the formats of this crate: they are plain data, and writing to memory cannot fail.
pub fn encode<T: Format>(value: &T) -> Vec<u8> {
    let mut bytes = vec![T::VERSION];
    bincode::serde::encode_into_std_write(value, &mut bytes, CONFIG)
        .expect("plain data always encodes into memory");
    bytes
}

/// The value of `bytes`, all of which must belong to it.
///
/// # Errors
/// [`DecodeError`] for an unknown version, damaged bytes, or bytes left over.
pub fn decode<T: Format>(bytes: &[u8]) -> Result<T, DecodeError> {
    let format = T::NAME;
    let damaged = |reason: String| DecodeError::Damaged { format, reason };
    let (&found, rest) = bytes.split_first().ok_or(DecodeError::Empty { format })?;
    if found == UNREADABLE {
        return Err(damaged("it is neither base64 nor bytes of ours".to_owned()));
    }
    if !(T::OLDEST..=T::VERSION).contains(&found) {
        let known = T::VERSION;
        return Err(DecodeError::Version {
            format,
            found,
            known,
        });
    }
    let rest = match T::lacks(found) {
        [] => Cow::Borrowed(rest),
        lacks => Cow::Owned([rest, lacks].concat()),
    };
    let (value, used) = read(&rest).map_err(|error| damaged(error.to_string()))?;
    if used != rest.len() {
        return Err(damaged(format!("{} bytes left over", rest.len() - used)));
    }
    Ok(value)
}

/// A length in damaged bytes must not take memory that the bytes themselves do not justify: the bound grows
/// with them, in steps. A number counts eight bytes against it and may take one, hence the steps' width.
fn read<T: Format>(bytes: &[u8]) -> Result<(T, usize), bincode::error::DecodeError> {
    use bincode::serde::decode_from_slice;
    const SMALL: usize = 64 << 10;
    const MIDDLE: usize = 4 << 20;
    match bytes.len() {
        0..=4096 => decode_from_slice(bytes, CONFIG.with_limit::<SMALL>()),
        4097..=262_144 => decode_from_slice(bytes, CONFIG.with_limit::<MIDDLE>()),
        _ => decode_from_slice(bytes, CONFIG.with_limit::<VALUE_BYTES_MAX>()),
    }
}
