//! Everything a client decides, without I/O, clock or randomness: what to send, what to send again and
//! when, what to show, when to dial and when to give up.
//!
//! The caller owns the socket. It reports what happens ([`Machine::on_open`], [`Machine::on_frame`],
//! [`Machine::on_close`]), calls [`Machine::on_tick`] at [`Machine::next_tick`], and carries out the
//! [`Action`]s in order. Every report names the attempt of its socket; what an older socket says is ignored.

mod commands;
mod asks;
mod backoff;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use xp_protocol::frame::{ClientFrame, RequestId, ServerFrame};
use xp_protocol::{CloseCode, DialAttempt, MessageNumber, Revision, TimeMs};

use crate::item::{Answer, Answered, End, Item, Lost, Payload};
use asks::Asks;
use backoff::Backoff;
use commands::Commands;

/// The bounds and times of a client. `Default` holds what the protocol says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// B: a command is sent only below the oldest unanswered + this (R30). At the bound
    /// [`Machine::command`] gives [`NotNow::Full`]. At most the server's own B.
    pub window: usize,
    /// How many queries may wait for answers. At the bound [`Machine::query`] gives [`NotNow::Full`].
    pub queries_max: usize,
    /// After so long without an answer, everything unanswered is sent again (R32).
    pub silence_ms: u64,
    /// Opening a socket, and then its welcome, may each take this long; beyond it the client dials again.
    pub accept_ms: u64,
    /// After so long without any frame the client pings.
    pub ping_after_ms: u64,
    /// After so long without any frame the socket counts as dead and is dialled again.
    pub dead_after_ms: u64,
    /// The first pause before dialling again; each further failure doubles it.
    pub backoff_min_ms: u64,
    /// Pauses before dialling again grow no longer than this.
    pub backoff_max_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: 64,
            queries_max: 64,
            silence_ms: 2_000,
            accept_ms: 10_000,
            ping_after_ms: 10_000,
            dead_after_ms: 25_000,
            backoff_min_ms: 100,
            backoff_max_ms: 10_000,
        }
    }
}

/// Names one command or query of one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call(pub u64);

/// What the caller has to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a socket with these arguments of the URL.
    Dial {
        /// Higher than that of every socket before it (R27).
        attempt: DialAttempt,
        /// From where to resume.
        since: Option<Revision>,
    },
    /// Write one frame on the open socket.
    Write {
        /// The frame with its verb, as `xp.v1` writes it.
        frame: Bytes,
        /// Whether it is a text message.
        text: bool,
    },
    /// Close the socket, dialled or open, with this code. Nothing of it needs to be reported any more.
    Hangup {
        /// The websocket close code.
        code: u16,
    },
    /// Give a call its answer: once for each call, never for one that was open at the end.
    Answer {
        /// The call that was made through a handle and is still open.
        call: Call,
        /// The number or tag under which the call was sent, and what came for it.
        answered: Answered,
    },
    /// Show this to the application. After [`Item::Closed`] nothing follows.
    Show(Item),
}

/// Why a command or query is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// Too many wait for their answers; try again after the next [`Action::Answer`].
    #[error("too many calls wait for their answers")]
    Full,
    /// The client is over.
    #[error("the client is over")]
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Between two sockets, or not yet started.
    Waiting {
        until: TimeMs,
    },
    /// A socket is being opened, or is open and not yet welcomed.
    Dialling {
        since: TimeMs,
    },
    /// The entity has accepted the session on this socket.
    Live {
        since: TimeMs,
        heard: TimeMs,
        pinged: bool,
    },
    Ended(End),
}

/// One logical connection to one entity.
#[derive(Clone, Debug)]
pub struct Machine {
    settings: Settings,
    state: State,
    attempt: DialAttempt,
    /// The revision of the last `event` or `welcome`; `None` before the first welcome.
    have: Option<Revision>,
    commands: Commands,
    asks: Asks,
    backoff: Backoff,
    refusal: Option<Payload>,
    calls: u64,
    unexpected: u64,
}

impl Machine {
    /// A client whose first attempt is above `before`. A client that cannot remember its last attempt of
    /// this connection id gives its clock in milliseconds.
    #[must_use]
    pub fn new(settings: Settings, before: DialAttempt) -> Self {
        Self {
            state: State::Waiting { until: TimeMs(0) },
            attempt: before,
            have: None,
            commands: Commands::new(settings.window),
            asks: Asks::new(settings.queries_max),
            backoff: Backoff::new(settings.backoff_min_ms, settings.backoff_max_ms),
            refusal: None,
            calls: 0,
            unexpected: 0,
            settings,
        }
    }

    /// Dials for the first time.
    pub fn start(&mut self, now: TimeMs) -> Vec<Action> {
        let mut out = Vec::new();
        self.dial(now, &mut out);
        out
    }

    /// Whether a command would be taken: it is below the oldest unanswered + B (R30).
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.commands.has_room()
    }

    /// Whether a query would be taken.
    #[must_use]
    pub fn has_room_for_query(&self) -> bool {
        self.asks.has_room()
    }

    /// Whether the current socket is welcomed.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    /// Whether it is over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.end().is_some()
    }

    /// Why it is over.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        match &self.state {
            State::Ended(end) => Some(end),
            _ => None,
        }
    }

    /// From where the next socket resumes: the revision of the last `event` or `welcome` (R20).
    #[must_use]
    pub fn have(&self) -> Option<Revision> {
        self.have
    }

    /// How many frames were dropped that an exact server does not send: events that do not rise, and
    /// anything shown before the welcome. A checker wants 0.
    #[must_use]
    pub fn unexpected(&self) -> u64 {
        self.unexpected
    }

    /// A command. It is sent at once when the socket is welcomed, and otherwise after the next welcome.
    ///
    /// # Errors
    /// [`NotNow`] says whether trying again helps.
    pub fn command(
        &mut self,
        now: TimeMs,
        payload: Payload,
    ) -> Result<(Call, Vec<Action>), NotNow> {
        self.admit(self.has_room())?;
        let call = self.next_call();
        self.commands.push(call, payload);
        Ok((call, self.write_what_is_due(now)))
    }

    /// A query.
    ///
    /// # Errors
    /// [`NotNow`] says whether trying again helps.
    pub fn query(&mut self, now: TimeMs, payload: Payload) -> Result<(Call, Vec<Action>), NotNow> {
        self.admit(self.has_room_for_query())?;
        let call = self.next_call();
        self.asks.push(call, payload);
        Ok((call, self.write_what_is_due(now)))
    }

    /// A command that may be dropped; without a welcomed socket it is.
    pub fn ephemeral(&mut self, payload: &Payload) -> Vec<Action> {
        if !self.is_live() {
            return Vec::new();
        }
        let frame = ClientFrame::Ephemeral {
            payload: &payload.bytes,
        };
        vec![write(&frame, payload.text)]
    }

    /// A fresh token for the open socket; the next dial carries the caller's newest one anyway.
    pub fn token(&mut self, token: &str) -> Vec<Action> {
        if !self.is_live() {
            return Vec::new();
        }
        vec![write(&ClientFrame::Token(token), true)]
    }

    /// Leaves for good.
    pub fn close(&mut self) -> Vec<Action> {
        let mut out = Vec::new();
        self.finish(End::Left, &mut out);
        out
    }

    /// The socket of this attempt is open: its time to be welcomed begins.
    pub fn on_open(&mut self, now: TimeMs, attempt: DialAttempt) {
        if let State::Dialling { since } = &mut self.state
            && attempt == self.attempt
        {
            *since = now;
        }
    }

    /// The socket of this attempt is gone, or could not be opened. `jitter` is any random number.
    pub fn on_close(
        &mut self,
        now: TimeMs,
        attempt: DialAttempt,
        why: Lost,
        jitter: u64,
    ) -> Vec<Action> {
        let mut out = Vec::new();
        if !self.has_socket(attempt) {
            return out;
        }
        match why {
            Lost::Code(code, said) if (4000..4400).contains(&code) => {
                self.sent_away(code, said, &mut out);
            }
            why => self.lose(now, why, jitter, &mut out),
        }
        out
    }

    /// A frame from the socket of this attempt.
    pub fn on_frame(
        &mut self,
        now: TimeMs,
        attempt: DialAttempt,
        frame: &Bytes,
        text: bool,
    ) -> Vec<Action> {
        let mut out = Vec::new();
        if !self.has_socket(attempt) {
            return out;
        }
        self.still_there(now);
        let payload = |part: &[u8]| Payload {
            bytes: frame.slice_ref(part),
            text,
        };
        match ServerFrame::parse(frame) {
            Ok(ServerFrame::Welcome { revision, n, fresh }) => {
                self.welcome(now, revision, n, fresh.map(payload), &mut out);
            }
            Ok(ServerFrame::Event {
                revision,
                payload: part,
            }) => self.event(revision, payload(part), &mut out),
            Ok(ServerFrame::Ephemeral { payload: part }) => {
                self.show(
                    Item::Ephemeral {
                        payload: payload(part),
                    },
                    &mut out,
                );
            }
            Ok(ServerFrame::Reply {
                id,
                revision,
                payload: part,
            }) => {
                let payload = payload(part);
                self.answer(now, id, Answer::Reply { revision, payload }, &mut out);
            }
            Ok(ServerFrame::Reject {
                id,
                revision,
                payload: part,
            }) => self.reject(now, id, revision, payload(part), &mut out),
            Ok(ServerFrame::Fault {
                id,
                revision,
                code,
                said,
            }) => {
                let said = said.into();
                let fault = Answer::Fault {
                    revision,
                    code,
                    said,
                };
                self.answer(now, id, fault, &mut out);
            }
            Ok(ServerFrame::Busy { id, retry_ms }) => self.busy(now, &id, retry_ms),
            Ok(ServerFrame::Pong { .. }) => {}
            Err(error) => self.finish(End::Protocol(error.to_string()), &mut out),
        }
        out
    }

    /// Time has passed. `jitter` is any random number.
    pub fn on_tick(&mut self, now: TimeMs, jitter: u64) -> Vec<Action> {
        let mut out = Vec::new();
        match self.state {
            State::Waiting { until } if until <= now => self.dial(now, &mut out),
            State::Dialling { since } if since.plus_ms(self.settings.accept_ms) <= now => {
                self.give_up(now, "not welcomed in time", jitter, &mut out);
            }
            State::Live { heard, .. } if heard.plus_ms(self.settings.dead_after_ms) <= now => {
                self.give_up(now, "nothing heard for too long", jitter, &mut out);
            }
            State::Live { .. } => self.tick_live(now, &mut out),
            _ => {}
        }
        out
    }

    /// When [`Machine::on_tick`] has something to do; `None` when it is over.
    #[must_use]
    pub fn next_tick(&self) -> Option<TimeMs> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Dialling { since } => Some(since.plus_ms(self.settings.accept_ms)),
            State::Live { heard, pinged, .. } => {
                let quiet = if pinged {
                    self.settings.dead_after_ms
                } else {
                    self.settings.ping_after_ms
                };
                let silence = self.settings.silence_ms;
                let due = [
                    self.commands.next_tick(silence),
                    self.asks.next_tick(silence),
                ];
                due.into_iter()
                    .flatten()
                    .chain([heard.plus_ms(quiet)])
                    .min()
            }
            State::Ended(_) => None,
        }
    }

    /// The server is alive although no frame was handed on: the caller was not reading.
    pub fn still_there(&mut self, now: TimeMs) {
        if let State::Live { heard, pinged, .. } = &mut self.state {
            (*heard, *pinged) = (now, false);
        }
    }

    fn admit(&self, has_room: bool) -> Result<(), NotNow> {
        match (self.has_ended(), has_room) {
            (true, _) => Err(NotNow::Ended),
            (false, false) => Err(NotNow::Full),
            (false, true) => Ok(()),
        }
    }

    fn next_call(&mut self) -> Call {
        self.calls += 1;
        Call(self.calls)
    }

    fn has_socket(&self, attempt: DialAttempt) -> bool {
        let up = matches!(self.state, State::Dialling { .. } | State::Live { .. });
        up && attempt == self.attempt
    }

    fn dial(&mut self, now: TimeMs, out: &mut Vec<Action>) {
        self.attempt = self.attempt.next();
        self.state = State::Dialling { since: now };
        out.push(Action::Dial {
            attempt: self.attempt,
            since: self.have,
        });
    }

    fn welcome(
        &mut self,
        now: TimeMs,
        revision: Revision,
        n: MessageNumber,
        fresh: Option<Payload>,
        out: &mut Vec<Action>,
    ) {
        let item = match (fresh, self.have) {
            (Some(shown), None) => Item::Welcome { revision, shown },
            (Some(shown), Some(_)) => Item::StartedOver { revision, shown },
            (None, Some(have)) if have == revision => Item::Resumed { since: revision },
            (None, _) => return self.finish(resumed_elsewhere(revision), out),
        };
        if let Err(end) = self.commands.welcomed(n) {
            return self.finish(end, out);
        }
        self.asks.unsend();
        self.have = Some(revision);
        self.state = State::Live {
            since: now,
            heard: now,
            pinged: false,
        };
        out.push(Action::Show(item));
        out.append(&mut self.write_what_is_due(now));
    }

    fn event(&mut self, revision: Revision, payload: Payload, out: &mut Vec<Action>) {
        if self.have.is_some_and(|have| revision <= have) {
            self.unexpected += 1;
            return;
        }
        if self.is_live() {
            self.have = Some(revision);
        }
        self.show(Item::Event { revision, payload }, out);
    }

    /// Nothing is shown before the welcome.
    fn show(&mut self, item: Item, out: &mut Vec<Action>) {
        if self.is_live() {
            out.push(Action::Show(item));
        } else {
            self.unexpected += 1;
        }
    }

    fn reject(
        &mut self,
        now: TimeMs,
        id: RequestId,
        revision: Revision,
        payload: Payload,
        out: &mut Vec<Action>,
    ) {
        if id == RequestId::Number(MessageNumber(0)) {
            self.refusal = Some(payload);
            return;
        }
        self.answer(now, id, Answer::Reject { revision, payload }, out);
    }

    /// Repeated answers are expected, since commands are repeated: the first one counts.
    fn answer(&mut self, now: TimeMs, id: RequestId, answer: Answer, out: &mut Vec<Action>) {
        let call = match &id {
            RequestId::Number(n) => self.commands.answered(*n),
            RequestId::Tag(tag) => self.asks.answered(tag),
        };
        if let Some(call) = call {
            let answered = Answered { id, answer };
            out.push(Action::Answer { call, answered });
            out.append(&mut self.write_what_is_due(now));
        }
    }

    fn busy(&mut self, now: TimeMs, id: &RequestId, retry_ms: u64) {
        let until = now.plus_ms(retry_ms);
        match id {
            RequestId::Number(n) => self.commands.busy(*n, until),
            RequestId::Tag(tag) => self.asks.busy(tag, until),
        }
    }

    fn write_what_is_due(&mut self, now: TimeMs) -> Vec<Action> {
        if !self.is_live() {
            return Vec::new();
        }
        let mut out = self.commands.write_unsent(now);
        out.append(&mut self.asks.write_unsent(now));
        out
    }

    fn tick_live(&mut self, now: TimeMs, out: &mut Vec<Action>) {
        let silence = self.settings.silence_ms;
        if self.commands.overdue(now, silence) || self.asks.overdue(now, silence) {
            // R32: everything unanswered, in order.
            self.commands.unsend();
            self.asks.unsend_sent();
        }
        out.append(&mut self.write_what_is_due(now));
        if let State::Live { heard, pinged, .. } = &mut self.state
            && !*pinged
            && heard.plus_ms(self.settings.ping_after_ms) <= now
        {
            *pinged = true;
            out.push(write(&ClientFrame::Ping("alive"), true));
        }
    }

    fn give_up(&mut self, now: TimeMs, why: &str, jitter: u64, out: &mut Vec<Action>) {
        out.push(Action::Hangup { code: 1001 });
        self.lose(now, Lost::Transport(why.to_owned()), jitter, out);
    }

    fn lose(&mut self, now: TimeMs, why: Lost, jitter: u64, out: &mut Vec<Action>) {
        let welcomed = match self.state {
            State::Live { since, .. } => Some(now.since_ms(since)),
            _ => None,
        };
        let retry_ms = self.backoff.pause_ms(&why, welcomed, jitter);
        self.commands.lost();
        self.asks.unsend();
        self.refusal = None;
        self.state = State::Waiting {
            until: now.plus_ms(retry_ms),
        };
        out.push(Action::Show(Item::Lost { why, retry_ms }));
    }

    fn sent_away(&mut self, code: u16, said: Box<str>, out: &mut Vec<Action>) {
        let refused = code == CloseCode::Refused.number();
        let end = if refused {
            End::Refused(self.refusal.take())
        } else {
            End::Code(code, said)
        };
        self.state = State::Ended(end.clone());
        out.push(Action::Show(Item::Closed(end)));
    }

    fn finish(&mut self, end: End, out: &mut Vec<Action>) {
        let code = match &end {
            End::Protocol(_) | End::Diverged { .. } => 1002,
            _ => 1000,
        };
        match self.state {
            State::Ended(_) => return,
            State::Waiting { .. } => {}
            State::Dialling { .. } | State::Live { .. } => out.push(Action::Hangup { code }),
        }
        self.state = State::Ended(end.clone());
        out.push(Action::Show(Item::Closed(end)));
    }
}

fn resumed_elsewhere(revision: Revision) -> End {
    End::Protocol(format!(
        "a resumed welcome names revision {revision}, from which nothing was to be resumed"
    ))
}

fn write(frame: &ClientFrame<'_>, text: bool) -> Action {
    Action::Write {
        frame: frame.encode(),
        text,
    }
}
