//! The result of one step of a scenario.

use std::collections::VecDeque;

use bytes::Bytes;
use xp_protocol::{Address, ConnectionId};

use crate::host::{Fault, Outcome, Show};
use crate::word::{Codec, Word};

/// A check that failed, in words.
#[derive(Debug)]
pub(super) struct Broken(pub(super) String);

/// What a message of the test's was answered with.
#[derive(Clone, Debug)]
pub(super) enum Received {
    Answer(Outcome),
    Fault(Fault),
    /// Its ticket timed out, or its session ended before the answer came.
    Unanswered,
}

/// A message that the test sent, by the order of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Message(pub(super) u64);

/// One thing that the test does, and all that follows from it at once.
#[derive(Default)]
pub(super) struct Step {
    pub(super) number: u32,
    pub(super) title: String,
    pub(super) message: Option<Message>,
    /// The events of each commit, encoded one by one.
    pub(super) events: Vec<(Address, Vec<Bytes>)>,
    pub(super) shows: VecDeque<(Address, Show)>,
    pub(super) tells: Vec<SentTell>,
    pub(super) welcome: Option<Bytes>,
    pub(super) ended: Vec<ConnectionId>,
    /// Entities that came to their end.
    pub(super) over: Vec<Address>,
    pub(super) faults: Vec<(Address, Fault)>,
    /// Answers to messages of earlier steps.
    pub(super) late: Vec<(ConnectionId, Received)>,
}

/// A word between two entities.
pub(super) struct SentTell {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) signal: Bytes,
    pub(super) asked: bool,
}

pub(super) fn written<W: Word>(codec: Codec, word: &W) -> Result<Bytes, Broken> {
    word.write(codec)
        .map(Bytes::from)
        .map_err(|error| Broken(format!("a word does not survive its codec: {error}")))
}
