//! A client's logical connection, as the fold keeps it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use xp_protocol::events::{Answer, Attachment, Ending};
use xp_protocol::{DialAttempt, Epoch, MessageNumber, Offset, Revision, Seq, TimeMs};

/// A client's logical connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its latest socket.
    pub socket: Attachment,
    /// Where it is in its life.
    pub phase: Phase,
    /// The last command taken.
    pub n: MessageNumber,
    /// The last B answers, and the revision of the commit that gave each.
    pub answers: VecDeque<(MessageNumber, Revision, Answer)>,
    /// A position at or before everything a resume may ask for.
    pub floor: Floor,
    /// The attempt that its client has come down from, as one does whose clock was put right (R27). Kept in memory alone:
    /// it matters while a dial of the time before may still be under way.
    #[serde(skip)]
    pub came_down_from: Option<DialAttempt>,
}

/// A valid commit: a position in the log from which records can be judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// The commit's offset, or one before it.
    pub offset: Offset,
    /// The commit's epoch.
    pub epoch: Epoch,
    /// The commit's number.
    pub seq: Seq,
    /// The entity's revision after it.
    pub revision: Revision,
}

/// Where a session is in its life (R26).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It has a socket.
    Attached,
    /// It may come back until then.
    Detached {
        /// The end of its grace.
        until: TimeMs,
        /// Why the socket is gone.
        why: Ending,
    },
    /// It is over and remembered until then.
    Ended {
        /// The end of its memory.
        until: TimeMs,
    },
    /// The same, and it is over because its entity is (R49).
    EndedWithEntity {
        /// The end of its memory.
        until: TimeMs,
    },
}

impl Session {
    /// One that begins.
    #[must_use]
    pub fn new(socket: Attachment) -> Self {
        Self {
            socket,
            phase: Phase::Attached,
            n: MessageNumber(0),
            answers: VecDeque::new(),
            floor: Floor::default(),
            came_down_from: None,
        }
    }

    /// It has this socket, behind those that it had.
    pub(super) fn take_socket(&mut self, socket: &Attachment) {
        let highest = self.came_down_from.max(Some(self.socket.attempt));
        self.came_down_from = highest.filter(|highest| *highest > socket.attempt);
        self.socket = socket.clone();
        self.phase = Phase::Attached;
    }

    /// R27: whether an attempt is of a later dial than its last socket. Once it has come in from below, a greater attempt
    /// than it came down from is a dial of before.
    #[must_use]
    pub fn is_before(&self, attempt: DialAttempt) -> bool {
        let is_of_before = self.came_down_from.is_some_and(|from| attempt > from);
        attempt > self.socket.attempt && !is_of_before
    }

    /// R27: whether some socket of it may have had this attempt before, so that a dial with it may be that one's.
    #[must_use]
    pub fn may_have_had(&self, attempt: DialAttempt) -> bool {
        let is_below = self.came_down_from.is_some_and(|from| attempt <= from);
        is_below || !self.is_before(attempt)
    }

    /// Whether it has a socket.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.phase == Phase::Attached
    }

    /// Whether it is not over.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Attached | Phase::Detached { .. })
    }

    /// R49: whether it ended with its entity.
    #[must_use]
    pub fn has_ended_with_entity(&self) -> bool {
        matches!(self.phase, Phase::EndedWithEntity { .. })
    }

    /// Whether `attempt` is its living socket (R27).
    #[must_use]
    pub fn is_socket(&self, attempt: DialAttempt) -> bool {
        self.is_attached() && self.socket.attempt == attempt
    }

    /// The stored answer to a command, and the revision of the commit that gave it.
    #[must_use]
    pub fn answer(&self, n: MessageNumber) -> Option<(Revision, &Answer)> {
        let found = self.answers.iter().find(|(number, ..)| *number == n);
        found.map(|(_, revision, answer)| (*revision, answer))
    }

    /// A command is taken: answers that fall out of the bound of B are dropped (R30).
    pub(super) fn take(&mut self, n: MessageNumber, answers_max: usize) {
        self.n = n;
        self.answers
            .retain(|(number, ..)| number.0 + answers_max as u64 > n.0);
    }
}
