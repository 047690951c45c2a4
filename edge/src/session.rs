//! The machine behind one socket, client to server: what a frame of the client leads to.
//!
//! No I/O, no clock, no randomness; the simulator runs it as it is.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use xp_protocol::frame::{ClientFrame, RequestId, ServerFrame, Tag};
use xp_protocol::inbound::ClientAction;
use xp_protocol::{CloseCode, MessageNumber, TimeMs};
use xp_settings::Span;

use crate::config;
use crate::flow::Room;

/// The bounds of one session's machine.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// B of R30: how far numbers may run ahead of the oldest unanswered one.
    pub window: u64,
    /// Queries without an answer; beyond, `busy`.
    pub asks_max: usize,
    /// A query without an answer for so long no longer counts: its answer was lost, and the client asks
    /// again under a new tag (R32).
    pub ask: Span,
    /// A socket without a welcome for so long is closed `come-back` (R28).
    pub pending: Span,
    /// A client not heard of for so long gets a websocket ping.
    pub ping: Span,
    /// A client not heard of for so long is closed `silent`.
    pub silent: Span,
    /// What `busy` tells the client to wait.
    pub retry: Span,
}

impl Limits {
    /// Those of an edge with this configuration.
    #[must_use]
    pub fn of(limits: &config::Limits, timing: &config::Timing) -> Self {
        Self {
            window: limits.window.into(),
            asks_max: limits.asks_max as usize,
            ask: timing.pending,
            pending: timing.pending,
            ping: timing.ping,
            silent: timing.silent,
            retry: limits.busy_retry,
        }
    }
}

/// The two times a session lives by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The platform's clock, for what others judge as well: tokens, and what clients are told.
    pub time: TimeMs,
    /// Milliseconds for which something has been running, for waiting: nobody can set it.
    pub running: TimeMs,
}

/// Who is behind a socket, as its token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The token's `sub`.
    pub subject: Box<str>,
    /// When the token ends, leeway included.
    pub expires: TimeMs,
    /// What the entity is told about the user: the claims that it names, without those about the token itself.
    pub about: Box<str>,
}

/// What a frame leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Append it to the lane.
    Pass {
        /// What the client does.
        action: ClientAction,
        /// The W3C trace context that came before it.
        trace: Option<Box<str>>,
        /// The domain's bytes.
        payload: &'a [u8],
    },
    /// Send this text frame back.
    Answer(Bytes),
    /// Verify this token and tell [`Session::refreshed`].
    Verify(&'a str),
    /// The entity has not accepted the session yet: offer the same frame again after
    /// [`Session::accepted`], and read no further until then.
    Hold,
    /// Nothing is to be done for this frame: it was noted for the next one, or dropped.
    Nothing,
    /// Close the socket.
    Close(CloseCode, String),
}

/// What the passing of time leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing is due before the next call.
    Nothing,
    /// Send a websocket ping.
    Ping,
    /// Close the socket.
    Close(CloseCode, &'static str),
}

const TOKEN_ENDED: &str = "the token ended on the live socket";

/// One socket's machine.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    identity: Identity,
    phase: Phase,
    /// The highest number the welcome or this socket has told the owner.
    passed: MessageNumber,
    /// The lowest number answered `busy` and not passed since; nothing later passes before it.
    shed: Option<MessageNumber>,
    unanswered: BTreeSet<MessageNumber>,
    /// The highest numbers whose answers went out on this socket, as many as the window holds. One that
    /// comes again crossed its answer on the way: the client does not count it as unanswered.
    answered: BTreeSet<MessageNumber>,
    asks: VecDeque<(Tag, TimeMs)>,
    trace: Option<Box<str>>,
    heard: TimeMs,
    pinged: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Pending { until: TimeMs },
    Accepted,
}

impl Session {
    /// The machine of a socket whose handshake is verified, at `now`.
    #[must_use]
    pub fn new(now: Now, limits: Limits, identity: Identity) -> Self {
        let until = now.running.plus_ms(limits.pending.ms());
        Self {
            limits,
            identity,
            phase: Phase::Pending { until },
            passed: MessageNumber(0),
            shed: None,
            unanswered: BTreeSet::new(),
            answered: BTreeSet::new(),
            asks: VecDeque::new(),
            trace: None,
            heard: now.running,
            pinged: false,
        }
    }

    /// The welcome went out: `n` is the last `send` the owner took.
    pub fn accepted(&mut self, n: MessageNumber) {
        self.phase = Phase::Accepted;
        self.passed = self.passed.max(n);
    }

    /// A piece of its welcome came (R41): it waits on for the next one.
    pub fn coming(&mut self, now: Now) {
        if let Phase::Pending { until } = &mut self.phase {
            *until = now.running.plus_ms(self.limits.pending.ms());
        }
    }

    /// An answer went out.
    pub fn answered(&mut self, id: &RequestId) {
        match id {
            RequestId::Number(n) => {
                self.unanswered.remove(n);
                self.answered.insert(*n);
                if self.answered.len() as u64 > self.limits.window {
                    self.answered.pop_first();
                }
            }
            RequestId::Tag(tag) => self.asks.retain(|(asked, _)| asked != tag),
        }
    }

    /// How many commands and queries wait for an answer.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.unanswered.len() + self.asks.len()
    }

    /// Something was heard of the client, be it only the answer to a ping.
    pub fn heard(&mut self, now: Now) {
        self.heard = now.running;
        self.pinged = false;
    }

    /// One message of the client, at `now`. `room` says what the lane takes.
    pub fn on_frame<'a>(&mut self, now: Now, room: Room, text: bool, frame: &'a [u8]) -> Step<'a> {
        self.heard(now);
        if now.time >= self.identity.expires {
            return Step::Close(CloseCode::TokenExpired, TOKEN_ENDED.to_owned());
        }
        if matches!(self.phase, Phase::Pending { .. }) {
            return Step::Hold;
        }
        match ClientFrame::parse(frame) {
            Ok(ClientFrame::Send { n, payload }) => self.send(n, room, text, payload),
            Ok(ClientFrame::Ask { tag, payload }) => self.ask(now, tag, room, text, payload),
            Ok(ClientFrame::Ephemeral { payload }) if room == Room::Free => {
                Self::pass(ClientAction::Ephemeral { text }, None, payload)
            }
            Ok(ClientFrame::Ephemeral { .. }) => Step::Nothing,
            Ok(ClientFrame::Token(token)) => Step::Verify(token),
            Ok(ClientFrame::Trace(trace)) => {
                self.trace = Some(trace.into());
                Step::Nothing
            }
            Ok(ClientFrame::Ping(echo)) => Step::Answer(
                ServerFrame::Pong {
                    echo,
                    time: now.time,
                }
                .encode(),
            ),
            Err(error) => Step::Close(CloseCode::ProtocolError, error.to_string()),
        }
    }

    /// R30: inside the window it passes; only what is new to the owner may be shed.
    fn send<'a>(
        &mut self,
        n: MessageNumber,
        room: Room,
        text: bool,
        payload: &'a [u8],
    ) -> Step<'a> {
        if let Some(reason) = self.out_of_turn(n) {
            return Step::Close(CloseCode::ProtocolError, reason);
        }
        let behind_a_shed_one = self.shed.is_some_and(|shed| n > shed);
        if n > self.passed && (room >= Room::NothingNew || behind_a_shed_one) {
            self.shed = Some(self.shed.map_or(n, |shed| shed.min(n)));
            return self.busy(RequestId::Number(n));
        }
        self.shed = self.shed.filter(|shed| *shed != n);
        self.passed = self.passed.max(n);
        if !self.answered.contains(&n) {
            self.unanswered.insert(n);
        }
        if room == Room::Nothing {
            // It waits already, and would pile up with every repetition (R32).
            self.trace = None;
            return Step::Nothing;
        }
        Self::pass(ClientAction::Send { n, text }, self.trace.take(), payload)
    }

    fn out_of_turn(&self, n: MessageNumber) -> Option<String> {
        let window = self.limits.window;
        let oldest = self.unanswered.first().copied();
        let oldest = oldest.unwrap_or(self.passed.next());
        let full = !self.unanswered.contains(&n) && self.unanswered.len() as u64 >= window;
        (full || n.0 >= oldest.0.saturating_add(window))
            .then(|| format!("{n} is not below the oldest unanswered {oldest} + {window}"))
    }

    fn ask<'a>(
        &mut self,
        now: Now,
        tag: Tag,
        room: Room,
        text: bool,
        payload: &'a [u8],
    ) -> Step<'a> {
        let ask_ms = self.limits.ask.ms();
        self.asks
            .retain(|(_, at)| now.running.since_ms(*at) < ask_ms);
        if room >= Room::NoQueries || self.asks.len() >= self.limits.asks_max {
            return self.busy(RequestId::Tag(tag));
        }
        self.asks.push_back((tag.clone(), now.running));
        Self::pass(ClientAction::Ask { tag, text }, self.trace.take(), payload)
    }

    fn pass(action: ClientAction, trace: Option<Box<str>>, payload: &[u8]) -> Step<'_> {
        Step::Pass {
            action,
            trace,
            payload,
        }
    }

    fn busy(&mut self, id: RequestId) -> Step<'static> {
        self.trace = None;
        let retry_ms = self.limits.retry.ms();
        Step::Answer(ServerFrame::Busy { id, retry_ms }.encode())
    }

    /// The token of a [`Step::Verify`] is good: it must be the same user's, and if it says something else
    /// about the user, the entity hears of it.
    pub fn refreshed<'a>(&mut self, fresh: Identity, claims: &'a [u8]) -> Step<'a> {
        if fresh.subject != self.identity.subject {
            let reason = "the fresh token is of another subject";
            return Step::Close(CloseCode::BadToken, reason.to_owned());
        }
        let same = fresh.about == self.identity.about;
        self.identity = fresh;
        if same {
            return Step::Nothing;
        }
        Self::pass(ClientAction::Claims, None, claims)
    }

    /// What is due at `now`.
    pub fn on_time(&mut self, now: Now) -> Due {
        let silence = now.running.since_ms(self.heard);
        if now.time >= self.identity.expires {
            Due::Close(CloseCode::TokenExpired, TOKEN_ENDED)
        } else if matches!(self.phase, Phase::Pending { until } if now.running >= until) {
            Due::Close(CloseCode::ComeBack, "the entity did not answer in time")
        } else if silence >= self.limits.silent.ms() {
            Due::Close(CloseCode::Silent, "nothing was heard for too long")
        } else if silence >= self.limits.ping.ms() && !self.pinged {
            self.pinged = true;
            Due::Ping
        } else {
            Due::Nothing
        }
    }

    /// In how many milliseconds [`Self::on_time`] has something to do, unless the client is heard of before.
    #[must_use]
    pub fn due_in_ms(&self, now: Now) -> u64 {
        let wait = if self.pinged {
            self.limits.silent.ms()
        } else {
            self.limits.ping.ms()
        };
        let heard = self.heard.plus_ms(wait).since_ms(now.running);
        let pending = match self.phase {
            Phase::Pending { until } => until.since_ms(now.running),
            Phase::Accepted => u64::MAX,
        };
        let token = self.identity.expires.since_ms(now.time);
        heard.min(pending).min(token)
    }

    /// Whether the entity has not accepted the session yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self.phase, Phase::Pending { .. })
    }
}

#[cfg(test)]
mod tests;
