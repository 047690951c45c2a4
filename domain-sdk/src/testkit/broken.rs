//! A check that failed, in words: the error of everything that the test kit does.

use bytes::Bytes;

use crate::word::{Codec, Word};

/// A check that failed, in words.
#[derive(Debug)]
pub struct Broken(pub(super) String);

/// A value of the domain's as bytes.
pub(super) fn written<W: Word>(codec: Codec, word: &W) -> Result<Bytes, Broken> {
    word.write(codec)
        .map(Bytes::from)
        .map_err(|error| Broken(format!("a word does not survive its codec: {error}")))
}
