//! The record of what one step of a scenario brought about: the world writes it, the test's assertions read it.
//!
//! An output, a tell, a late answer and a fault are taken when a test names them, so that each answers for one
//! expectation only, and what nobody named is seen to be left.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::Bytes;
use xp_protocol::{Address, ConnectionId};

use crate::host::{Audience, Fault, Outcome, Show};

/// What a message of the test's was answered with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Received {
    Answer(Outcome),
    Fault(Fault),
    /// Its ticket timed out, or its session ended before the answer came.
    Unanswered,
}

/// A message that the test sent, by the order of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Message(pub(super) u64);

/// Something that one entity said to another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SentTell {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) signal: Bytes,
    pub(super) asked: bool,
}

/// For whom an output must be.
#[derive(Clone, Copy)]
pub(super) enum ShownTo {
    Everybody,
    Others,
    Session(ConnectionId),
}

/// All that followed at once from one thing that the test did.
#[derive(Default)]
pub(super) struct Observed {
    message: Option<Message>,
    answer: Option<Received>,
    /// Answers to messages of earlier steps.
    late: Vec<(ConnectionId, Received)>,
    /// The events of each commit, encoded one by one.
    events: Vec<(Address, Vec<Bytes>)>,
    shows: VecDeque<(Address, Show)>,
    tells: Vec<SentTell>,
    welcome: Option<Bytes>,
    ended_sessions: Vec<ConnectionId>,
    ended_entities: Vec<Address>,
    faults: Vec<(Address, Fault)>,
}

/// What the world writes.
impl Observed {
    /// The test sent this, and its answer is the step's.
    pub(super) fn sent(&mut self, message: Message) {
        self.message = Some(message);
    }

    /// A message was answered: this step's, or an earlier one of that session.
    pub(super) fn answered(
        &mut self,
        message: Message,
        by: Option<ConnectionId>,
        received: Received,
    ) {
        if self.message == Some(message) {
            self.answer = Some(received);
        } else if let Some(connection) = by {
            self.late.push((connection, received));
        }
    }

    pub(super) fn committed(&mut self, entity: &Address, events: Vec<Bytes>, shows: Vec<Show>) {
        self.events.push((entity.clone(), events));
        let shows = shows.into_iter().map(|show| (entity.clone(), show));
        self.shows.extend(shows);
    }

    pub(super) fn told(&mut self, tell: SentTell) {
        self.tells.push(tell);
    }

    pub(super) fn welcomed(&mut self, outputs: Bytes) {
        self.welcome = Some(outputs);
    }

    pub(super) fn session_ended(&mut self, connection: ConnectionId) {
        self.ended_sessions.push(connection);
    }

    pub(super) fn entity_ended(&mut self, entity: &Address) {
        self.ended_entities.push(entity.clone());
    }

    pub(super) fn faulted(&mut self, entity: &Address, fault: Fault) {
        self.faults.push((entity.clone(), fault));
    }
}

/// What the assertions read.
impl Observed {
    /// The answer to the step's message, if it has come.
    pub(super) fn answer(&self) -> Option<&Received> {
        self.answer.as_ref()
    }

    /// The first answer to an earlier message of this session.
    pub(super) fn take_late_answer(&mut self, session: ConnectionId) -> Option<Received> {
        let at = self.late.iter().position(|(to, _)| *to == session)?;
        Some(self.late.remove(at).1)
    }

    pub(super) fn events_of(&self, entity: &Address) -> impl Iterator<Item = &Bytes> {
        let commits = self.events.iter().filter(move |(of, _)| of == entity);
        commits.flat_map(|(_, events)| events)
    }

    /// How many events all entities recorded.
    pub(super) fn event_count(&self) -> usize {
        self.events.iter().map(|(_, events)| events.len()).sum()
    }

    /// The next output of `entity` that is for these, and volatile or not.
    pub(super) fn take_show(
        &mut self,
        entity: &Address,
        to: ShownTo,
        volatile: bool,
    ) -> Option<Show> {
        let is_meant = |(of, show): &(Address, Show)| {
            of == entity && show.volatile == volatile && is_for(&show.to, to)
        };
        let at = self.shows.iter().position(is_meant)?;
        self.shows.remove(at).map(|(_, show)| show)
    }

    /// The outputs of `entity` that were not taken.
    pub(super) fn shows_of(&self, entity: &Address) -> impl Iterator<Item = &Show> {
        let shows = self.shows.iter().filter(move |(of, _)| of == entity);
        shows.map(|(_, show)| show)
    }

    /// How many outputs of all entities were not taken.
    pub(super) fn show_count(&self) -> usize {
        self.shows.len()
    }

    /// Whether somebody told, or asked, `to` this.
    pub(super) fn take_tell(&mut self, to: &Address, signal: &[u8], asked: bool) -> bool {
        let is_meant =
            |tell: &SentTell| tell.to == *to && tell.asked == asked && tell.signal == signal;
        let at = self.tells.iter().position(is_meant);
        at.map(|at| self.tells.remove(at)).is_some()
    }

    /// The tells that were not taken.
    pub(super) fn tells(&self) -> &[SentTell] {
        &self.tells
    }

    /// What somebody was shown first.
    pub(super) fn welcome(&self) -> Option<&Bytes> {
        self.welcome.as_ref()
    }

    pub(super) fn has_session_ended(&self, session: ConnectionId) -> bool {
        self.ended_sessions.contains(&session)
    }

    pub(super) fn has_entity_ended(&self, entity: &Address) -> bool {
        self.ended_entities.contains(entity)
    }

    /// Whether there was a fault whose text is such.
    pub(super) fn take_fault(&mut self, is_meant: impl Fn(&str) -> bool) -> bool {
        let mut faults = self.faults.iter();
        let at = faults.position(|(_, fault)| is_meant(&fault.to_string()));
        at.map(|at| self.faults.remove(at)).is_some()
    }

    /// The faults that were not taken.
    pub(super) fn faults(&self) -> &[(Address, Fault)] {
        &self.faults
    }
}

fn is_for(audience: &Audience, to: ShownTo) -> bool {
    match (audience, to) {
        (Audience::Everybody, ShownTo::Everybody) | (Audience::Except(_), ShownTo::Others) => true,
        (Audience::Only(sessions), ShownTo::Session(session)) => sessions.contains(&session),
        _ => false,
    }
}
