//! One entity's sessions on this edge, and what a record of the entity leads to (R19–R24, R28).
//!
//! No I/O, no clock, no randomness; the simulator runs it as it is, and switches
//! [rules](Rules) off to see that its checkers notice.

mod record;
mod pieces;
mod delivery;
mod strangers;

use std::collections::HashMap;

use bytes::Bytes;
use xp_protocol::frame::RequestId;
use xp_protocol::outbound::Socket;
use xp_protocol::rules::{Rule, Rules};
use xp_protocol::{
    CloseCode, ConnectionId, DialAttempt, Incarnation, MessageNumber, Revision, TimeMs,
};

use pieces::Pieces;

pub use strangers::strangers;

/// A frame of `xp.v1` for clients, encoded once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedFrame {
    /// The frame's bytes.
    pub bytes: Bytes,
    /// Whether it travels as a text message.
    pub text: bool,
}

/// What a frame means to the session machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// The entity accepted the session; `n` is the last `send` taken.
    Accepted(MessageNumber),
    /// A command or a query is answered.
    Answer(RequestId),
    /// Something that the client missed; it must not count as slow for it.
    Repeated,
    /// What everybody who watches gets as it happens, and what counts for being slow.
    News,
}

/// What a record leads to. `H` is whatever the shell knows a socket by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<H> {
    /// Send this frame to these.
    Show {
        /// The sockets that get it.
        to: Vec<H>,
        /// The frame, encoded once for all of them.
        shown: EncodedFrame,
        /// What it means to their machines.
        kind: FrameKind,
    },
    /// Close this socket after all before it. It is no longer watched.
    Close {
        /// The socket that is to be closed.
        to: H,
        /// The code of the close frame.
        code: CloseCode,
    },
    /// Append a `Resume` for this session (R20).
    Resume {
        /// The socket whose session lacks records.
        of: H,
        /// What it has.
        since: Revision,
    },
    /// More of what this socket waits for is on its way (R41).
    Coming {
        /// The socket, whose wait begins anew.
        to: H,
    },
    /// Append a `Disconnect`: the owner welcomed a socket that is not here any more (R28).
    Gone(Socket),
}

/// The sessions of one entity on this edge.
#[derive(Debug)]
pub struct Watch<H> {
    edge: Incarnation,
    rules: &'static dyn Rules,
    resume_ms: u64,
    whole_bytes_max: usize,
    pieces: Pieces,
    members: HashMap<ConnectionId, Member<H>>,
}

#[derive(Debug)]
struct Member<H> {
    attempt: DialAttempt,
    handle: H,
    phase: Phase,
    /// Whether the record at hand is for this session, as far as the chain is concerned.
    takes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not accepted; `dropped` is the highest revision of the chain it was not shown.
    Pending { dropped: Revision },
    /// Accepted, and has everything up to `have`.
    Live { have: Revision },
    /// Missed something after `have`, and was not shown revisions up to `dropped`.
    Repairing {
        have: Revision,
        dropped: Revision,
        asked: TimeMs,
    },
}

/// Why a socket cannot join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overtaken {
    /// The same connection has a socket of this or a later attempt (R27).
    By(DialAttempt),
}

impl<H: Clone> Watch<H> {
    /// No sessions yet. `edge` is this edge's incarnation; resumes are asked for again every `resume_ms`.
    #[must_use]
    pub fn new(edge: Incarnation, resume_ms: u64, rules: &'static dyn Rules) -> Self {
        Self {
            edge,
            rules,
            resume_ms,
            whole_bytes_max: usize::MAX,
            pieces: Pieces::default(),
            members: HashMap::new(),
        }
    }

    /// The same, that puts together what has so many bytes at the most, for each socket (R41).
    #[must_use]
    pub fn holding(self, whole_bytes_max: usize) -> Self {
        Self {
            whole_bytes_max,
            ..self
        }
    }

    /// A socket wants in and is pending. Returns the socket it replaces.
    ///
    /// # Errors
    /// When the connection already has a socket of this or a later attempt.
    pub fn join(&mut self, socket: Socket, handle: H) -> Result<Option<H>, Overtaken> {
        if let Some(member) = self.members.get(&socket.connection)
            && member.attempt >= socket.attempt
        {
            return Err(Overtaken::By(member.attempt));
        }
        let member = Member {
            attempt: socket.attempt,
            handle,
            phase: Phase::Pending {
                dropped: Revision(0),
            },
            takes: false,
        };
        let replaced = self.members.insert(socket.connection, member);
        if let Some(Member { attempt, .. }) = replaced {
            self.pieces.forget(Socket { attempt, ..socket });
        }
        Ok(replaced.map(|member| member.handle))
    }

    /// A socket is gone. Nothing happens when a later one took its place.
    pub fn leave(&mut self, socket: Socket) {
        if self.find(socket).is_some() {
            self.members.remove(&socket.connection);
        }
        self.pieces.forget(socket);
    }

    /// Records may have been missed, of this entity as of any other: each accepted session is repaired as after a gap,
    /// from what it has (R20). A pending one that missed its welcome comes back, and answers are asked for again (R22).
    pub fn missed(&mut self) {
        self.pieces = Pieces::default();
        for member in self.members.values_mut() {
            if let Phase::Live { have } = member.phase {
                member.phase = Phase::Repairing {
                    have,
                    dropped: have,
                    // Due at the next look.
                    asked: TimeMs(0),
                };
            }
        }
    }

    /// The live socket of a connection.
    #[must_use]
    pub fn get(&self, connection: ConnectionId) -> Option<(&H, DialAttempt)> {
        let member = self.members.get(&connection)?;
        Some((&member.handle, member.attempt))
    }

    /// All sockets, in no order.
    pub fn handles(&self) -> impl Iterator<Item = &H> {
        self.members.values().map(|member| &member.handle)
    }

    /// Whether nobody watches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether some session waits for an answer to its resume.
    #[must_use]
    pub fn is_repairing(&self) -> bool {
        let mut members = self.members.values();
        members.any(|member| matches!(member.phase, Phase::Repairing { .. }))
    }

    /// The resumes to ask for again at `now` (R20), no more than `most`: the others are asked for the next time.
    pub fn repairs(&mut self, now: TimeMs, most: usize) -> Vec<Effect<H>> {
        let resume_ms = self.resume_ms;
        let late = |member: &mut Member<H>| member.ask_again(now, resume_ms);
        let late = self.members.values_mut().filter_map(late);
        late.take(most).collect()
    }

    fn find(&mut self, socket: Socket) -> Option<&mut Member<H>> {
        let attempts = self.rules.holds(Rule::SocketAttempts);
        let member = self.members.get_mut(&socket.connection)?;
        (!attempts || member.attempt == socket.attempt).then_some(member)
    }
}

impl<H: Clone> Member<H> {
    fn ask_again(&mut self, now: TimeMs, resume_ms: u64) -> Option<Effect<H>> {
        let Phase::Repairing { have, asked, .. } = &mut self.phase else {
            return None;
        };
        if now.since_ms(*asked) < resume_ms {
            return None;
        }
        *asked = now;
        let since = *have;
        Some(self.resume(since))
    }

    fn resume(&self, since: Revision) -> Effect<H> {
        let of = self.handle.clone();
        Effect::Resume { of, since }
    }

    /// Takes what it was given: live at `have`, unless it was denied a later revision meanwhile (R20).
    fn settle(&mut self, now: TimeMs, have: Revision, denied: Revision) -> Option<Effect<H>> {
        if denied <= have {
            self.phase = Phase::Live { have };
            return None;
        }
        self.phase = Phase::Repairing {
            have,
            dropped: denied,
            asked: now,
        };
        Some(self.resume(have))
    }
}

#[cfg(test)]
mod tests;
