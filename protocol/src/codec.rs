//! How platform values become bytes: a version byte, then bincode.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest platform value that is read, in bytes; a longer one is refused before memory is taken.
pub const VALUE_BYTES_MAX: usize = 64 << 20;

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<VALUE_BYTES_MAX>,
> = bincode::config::standard().with_limit::<VALUE_BYTES_MAX>();

/// A value with a wire format of its own. Each version of each format has a golden file.
pub trait Format: Serialize + DeserializeOwned {
    /// The format's name, for errors and golden files.
    const NAME: &'static str;
    /// The version written, and the only one read.
    const VERSION: u8;
}

/// Why bytes are no value of a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There are no bytes.
    #[error("empty {format}")]
    Empty {
        /// Which format.
        format: &'static str,
    },
    /// The version byte is not one that this build reads.
    #[error("{format} has version {found}, and this build reads version {known}")]
    Version {
        /// Which format.
        format: &'static str,
        /// The version byte found.
        found: u8,
        /// The version this build reads.
        known: u8,
    },
    /// The bytes behind the version byte are damaged.
    #[error("damaged {format}: {reason}")]
    Damaged {
        /// Which format.
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
    let (&found, rest) = bytes.split_first().ok_or(DecodeError::Empty { format })?;
    if found != T::VERSION {
        let known = T::VERSION;
        return Err(DecodeError::Version {
            format,
            found,
            known,
        });
    }
    let damaged = |reason: String| DecodeError::Damaged { format, reason };
    let (value, used) = bincode::serde::decode_from_slice(rest, CONFIG)
        .map_err(|error| damaged(error.to_string()))?;
    if used != rest.len() {
        return Err(damaged(format!("{} bytes left over", rest.len() - used)));
    }
    Ok(value)
}
