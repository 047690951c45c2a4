//! Words and how they become bytes.
//!
//! [`Word`] and [`State`] are what serde's derives give; they stand here as traits of their own, without
//! supertraits, so that a forgotten derive is one error in our words and not a dozen in serde's.

mod finite;
mod names;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use finite::finite;

/// How an entity's words become bytes.
///
/// Commands, queries, events, outputs, replies, rejections and the state all go through the entity's codec. Signals
/// and claims are JSON always: signals come from other kinds of entity, claims from a token.
///
/// ```
/// use xp_domain_sdk::Codec;
///
/// assert_eq!(Codec::Json.write(&("ana", 120)).unwrap(), br#"["ana",120]"#);
/// assert_eq!(Codec::Binary.write(&("ana", 120u32)).unwrap(), b"\x03ana\x78");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// JSON in text frames; the log reads as plain JSON. A sequence is an array.
    Json,
    /// bincode 2 with its standard configuration, in binary frames: little-endian, integers over 250 with a width
    /// mark, enum variants by their number, strings and lists after their length. A sequence of words is a list of
    /// byte strings. It carries no names, so a changed event needs [`read_event`](crate::Entity::read_event).
    Binary,
}

/// The largest binary word, in bytes, that is read. A length beyond it in a damaged or malicious frame is an
/// [`Unreadable`] and never an allocation.
pub const BINARY_WORD_BYTES_MAX: usize = 16 << 20;

/// The largest binary state, in bytes, that is loaded from a snapshot; beyond it the snapshot is unreadable.
pub const BINARY_STATE_BYTES_MAX: usize = 1 << 30;

const BINARY: bincode::config::Configuration = bincode::config::standard();

impl Codec {
    /// Whether words are text (JSON) and travel in text frames.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Json)
    }

    /// The bytes of one word.
    ///
    /// # Errors
    /// When the word has no such form: a JSON map with keys that are no strings, for example.
    pub fn write<W: Serialize>(self, word: &W) -> Result<Vec<u8>, Unreadable> {
        match self {
            Self::Json => serde_json::to_vec(word).map_err(Unreadable::new),
            Self::Binary => bincode::serde::encode_to_vec(word, BINARY).map_err(Unreadable::new),
        }
    }

    /// One word from all of `bytes`.
    ///
    /// # Errors
    /// When the bytes are not exactly one such word.
    pub fn read<W: DeserializeOwned>(self, bytes: &[u8]) -> Result<W, Unreadable> {
        match self {
            Self::Json => serde_json::from_slice(bytes).map_err(Unreadable::new),
            Self::Binary => read_binary::<W, BINARY_WORD_BYTES_MAX>(bytes),
        }
    }

    /// Words that are encoded already, as one sequence.
    #[must_use]
    pub fn join(self, words: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Json => join_json(words),
            Self::Binary => self.write(&words).expect("byte strings always encode"),
        }
    }

    /// The words of a sequence, each still encoded.
    ///
    /// # Errors
    /// When the bytes are no sequence.
    pub fn split(self, sequence: &[u8]) -> Result<Vec<&[u8]>, Unreadable> {
        match self {
            Self::Json => split_json(sequence),
            Self::Binary => {
                let (words, used) = bincode::serde::borrow_decode_from_slice(sequence, BINARY)
                    .map_err(Unreadable::new)?;
                all_read(used, sequence)?;
                Ok(words)
            }
        }
    }
}

fn read_binary<W: DeserializeOwned, const MAX: usize>(bytes: &[u8]) -> Result<W, Unreadable> {
    let limited = BINARY.with_limit::<MAX>();
    let (word, used) =
        bincode::serde::decode_from_slice(bytes, limited).map_err(Unreadable::new)?;
    all_read(used, bytes)?;
    Ok(word)
}

fn all_read(used: usize, bytes: &[u8]) -> Result<(), Unreadable> {
    let left = bytes.len() - used;
    if left == 0 {
        return Ok(());
    }
    Err(Unreadable::new(format!(
        "{left} bytes stand behind the end"
    )))
}

fn join_json(words: &[&[u8]]) -> Vec<u8> {
    let mut array = Vec::with_capacity(words.iter().map(|w| w.len() + 1).sum::<usize>() + 2);
    array.push(b'[');
    for (i, word) in words.iter().enumerate() {
        if i > 0 {
            array.push(b',');
        }
        array.extend_from_slice(word);
    }
    array.push(b']');
    array
}

fn split_json(sequence: &[u8]) -> Result<Vec<&[u8]>, Unreadable> {
    let words: Vec<&serde_json::value::RawValue> =
        serde_json::from_slice(sequence).map_err(Unreadable::new)?;
    Ok(words
        .into_iter()
        .map(|word| word.get().as_bytes())
        .collect())
}

/// Bytes that are no word of the vocabulary they were read as, or a word that has no bytes; and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Unreadable {
    /// With the reason, which the client or the log will show.
    pub fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}

/// One event as it stands in the log, perhaps written by an older build.
///
/// [`Entity::read_event`](crate::Entity::read_event) turns it into today's events.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// use xp_domain_sdk::{Codec, Stored, Unreadable};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(tag = "type", content = "data")]
/// enum Event { BidPlaced { amount: u64, currency: String } }
///
/// // Before there were currencies, a bid was in euros.
/// fn read_event(stored: Stored<'_>) -> Result<Vec<Event>, Unreadable> {
///     #[derive(Deserialize)]
///     struct Old { amount: u64 }
///     match stored.kind().as_deref() {
///         Some("BidMade") => {
///             let Old { amount } = stored.data()?;
///             Ok(vec![Event::BidPlaced { amount, currency: "EUR".into() }])
///         }
///         _ => Ok(vec![stored.read()?]),
///     }
/// }
///
/// let old = Stored::new(br#"{"type":"BidMade","data":{"amount":120}}"#, Codec::Json);
/// let [Event::BidPlaced { amount: 120, .. }] = read_event(old).unwrap()[..] else { panic!() };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    bytes: &'a [u8],
    codec: Codec,
}

impl<'a> Stored<'a> {
    /// An event's bytes, written with `codec`.
    #[must_use]
    pub const fn new(bytes: &'a [u8], codec: Codec) -> Self {
        Self { bytes, codec }
    }

    /// The bytes as they stand in the log.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The event as a `W`, usually today's `Event`.
    ///
    /// # Errors
    /// When it is of another shape.
    pub fn read<W: Word>(&self) -> Result<W, Unreadable> {
        W::read(self.codec, self.bytes)
    }

    /// The `type` of a JSON event that is tagged with one.
    #[must_use]
    pub fn kind(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Tagged {
            r#type: String,
        }
        let tagged: Tagged = serde_json::from_slice(self.bytes).ok()?;
        Some(tagged.r#type)
    }

    /// The `data` of a JSON event that is tagged with a `type`.
    ///
    /// # Errors
    /// When there is none, or of another shape.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, Unreadable> {
        #[derive(Deserialize)]
        struct Tagged<T> {
            data: T,
        }
        let tagged: Tagged<T> = serde_json::from_slice(self.bytes).map_err(Unreadable::new)?;
        Ok(tagged.data)
    }
}

/// A vocabulary of an entity: what serde's derives give.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a vocabulary of an entity",
    label = "this type cannot travel",
    note = "add `#[derive(Serialize, Deserialize)]` to `{Self}`; for a vocabulary that is not used take `Never` or `()`"
)]
pub trait Word: Sized + 'static {
    #[doc(hidden)]
    fn write(&self, codec: Codec) -> Result<Vec<u8>, Unreadable>;
    #[doc(hidden)]
    fn read(codec: Codec, bytes: &[u8]) -> Result<Self, Unreadable>;
    #[doc(hidden)]
    fn names() -> Option<&'static [&'static str]>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + 'static> Word for T {
    fn write(&self, codec: Codec) -> Result<Vec<u8>, Unreadable> {
        codec.write(self)
    }

    fn read(codec: Codec, bytes: &[u8]) -> Result<Self, Unreadable> {
        codec.read(bytes)
    }

    fn names() -> Option<&'static [&'static str]> {
        names::of::<Self>()
    }
}

/// A vocabulary with a word that goes without saying: the reply of a decision that names none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the `Reply` of an entity",
    label = "this type has no default word",
    note = "add `#[derive(Default, Serialize, Deserialize)]` to `{Self}`; a decision that names no reply answers with the default"
)]
pub trait DefaultWord: Sized {
    #[doc(hidden)]
    fn unsaid() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> DefaultWord for T {
    fn unsaid() -> Self {
        Self::default()
    }
}

/// What an entity is made of: `Default` before its first event, and serde for snapshots.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the state of an entity",
    label = "this type cannot be kept",
    note = "add `#[derive(Default, Serialize, Deserialize)]` to `{Self}`"
)]
pub trait State: Sized + 'static {
    #[doc(hidden)]
    fn fresh() -> Self;
    #[doc(hidden)]
    fn save(&self, codec: Codec, into: &mut Vec<u8>) -> Result<(), Unreadable>;
    #[doc(hidden)]
    fn load(codec: Codec, bytes: &[u8]) -> Result<Self, Unreadable>;
}

#[diagnostic::do_not_recommend]
impl<T: Default + Serialize + DeserializeOwned + 'static> State for T {
    fn fresh() -> Self {
        Self::default()
    }

    fn save(&self, codec: Codec, into: &mut Vec<u8>) -> Result<(), Unreadable> {
        match codec {
            Codec::Json => {
                finite(self).map_err(Unreadable::new)?;
                serde_json::to_writer(into, self).map_err(Unreadable::new)
            }
            Codec::Binary => bincode::serde::encode_into_std_write(self, into, BINARY)
                .map(drop)
                .map_err(Unreadable::new),
        }
    }

    fn load(codec: Codec, bytes: &[u8]) -> Result<Self, Unreadable> {
        match codec {
            Codec::Json => codec.read(bytes),
            Codec::Binary => read_binary::<Self, BINARY_STATE_BYTES_MAX>(bytes),
        }
    }
}

/// A vocabulary without words.
///
/// `type Query = Never;` says that there are no queries, and `match query {}` proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Never {}

impl Serialize for Never {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        match *self {}
    }
}

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("this entity has no such words at all"))
    }
}

#[cfg(test)]
mod tests;
