//! The kind of an entity, as the test kit needs it beyond its [`Host`]: how its values read.

use std::marker::PhantomData;

use bytes::Bytes;

use super::broken::Broken;
use crate::entity::Entity;
use crate::host::Host;
use crate::hosted::Hosted;
use crate::word::{Codec, State, Stored, Unreadable, Word};

/// Which vocabulary some bytes are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vocabulary {
    Command,
    Query,
    Signal,
    Event,
    Output,
    Reply,
    Rejection,
}

pub(super) trait Kind {
    fn host(&self) -> &dyn Host;
    /// The words of a sequence, one by one.
    fn split(&self, sequence: &[u8]) -> Vec<Bytes>;
    fn join(&self, words: &[&[u8]]) -> Bytes;
    /// A word as JSON, for people.
    fn json(&self, vocabulary: Vocabulary, word: &[u8]) -> String;
    /// Encoded state as JSON, for people.
    fn state_json(&self, state: &[u8]) -> String;
    /// That a word, read and written again, is the same.
    fn survives(&self, vocabulary: Vocabulary, word: &[u8]) -> Result<(), Broken>;
}

pub(super) struct KindOf<E>(Hosted<E>, PhantomData<fn() -> E>);

impl<E: Entity + State> KindOf<E> {
    pub(super) fn new() -> Self {
        Self(Hosted::new(), PhantomData)
    }
}

impl<E: Entity + State> Kind for KindOf<E> {
    fn host(&self) -> &dyn Host {
        &self.0
    }

    fn split(&self, sequence: &[u8]) -> Vec<Bytes> {
        let words = E::CODEC
            .split(sequence)
            .expect("the sequence was joined by this codec");
        words.into_iter().map(Bytes::copy_from_slice).collect()
    }

    fn join(&self, words: &[&[u8]]) -> Bytes {
        E::CODEC.join(words).into()
    }

    fn json(&self, vocabulary: Vocabulary, word: &[u8]) -> String {
        match vocabulary {
            Vocabulary::Signal => String::from_utf8_lossy(word).into_owned(),
            Vocabulary::Command => json::<E::Command>(E::CODEC, word),
            Vocabulary::Query => json::<E::Query>(E::CODEC, word),
            Vocabulary::Event => json::<E::Event>(E::CODEC, word),
            Vocabulary::Output => json::<E::Output>(E::CODEC, word),
            Vocabulary::Reply => json::<E::Reply>(E::CODEC, word),
            Vocabulary::Rejection => json::<E::Rejection>(E::CODEC, word),
        }
    }

    fn state_json(&self, state: &[u8]) -> String {
        let body = &state[4..];
        let mut json = Vec::new();
        match <E as State>::load(E::CODEC, body)
            .and_then(|state| state.save(Codec::Json, &mut json))
        {
            Ok(()) if !E::CODEC.is_text() => String::from_utf8_lossy(&json).into_owned(),
            _ => String::from_utf8_lossy(body).into_owned(),
        }
    }

    fn survives(&self, vocabulary: Vocabulary, word: &[u8]) -> Result<(), Broken> {
        let again = match vocabulary {
            Vocabulary::Signal => rewrite::<E::Signal>(Codec::Json, word),
            Vocabulary::Command => rewrite::<E::Command>(E::CODEC, word),
            Vocabulary::Query => rewrite::<E::Query>(E::CODEC, word),
            Vocabulary::Event => rewrite_event::<E>(word),
            Vocabulary::Output => rewrite::<E::Output>(E::CODEC, word),
            Vocabulary::Reply => rewrite::<E::Reply>(E::CODEC, word),
            Vocabulary::Rejection => rewrite::<E::Rejection>(E::CODEC, word),
        };
        let word = self.json(vocabulary, word);
        match again {
            Ok(true) => Ok(()),
            Ok(false) => Err(Broken(format!(
                "the {vocabulary:?} {word} does not survive its codec: read and written again it is another"
            ))),
            Err(error) => Err(Broken(format!(
                "the {vocabulary:?} {word} does not survive its codec: {error}"
            ))),
        }
    }
}

fn json<W: Word>(codec: Codec, word: &[u8]) -> String {
    if codec.is_text() {
        return String::from_utf8_lossy(word).into_owned();
    }
    match W::read(codec, word).and_then(|word| word.write(Codec::Json)) {
        Ok(json) => String::from_utf8_lossy(&json).into_owned(),
        Err(_) => format!("{word:02x?}"),
    }
}

fn rewrite<W: Word>(codec: Codec, word: &[u8]) -> Result<bool, Unreadable> {
    Ok(W::read(codec, word)?.write(codec)? == word)
}

/// Today's events pass the upcaster unchanged.
fn rewrite_event<E: Entity>(event: &[u8]) -> Result<bool, Unreadable> {
    let today = E::read_event(Stored::new(event, E::CODEC))?;
    let [only] = today.as_slice() else {
        return Err(Unreadable::new(format!(
            "read_event makes {} events of it",
            today.len()
        )));
    };
    Ok(only.write(E::CODEC)? == event)
}
