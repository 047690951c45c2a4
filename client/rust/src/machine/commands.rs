//! Commands from the oldest unanswered to the newest, densely numbered (R30).

use std::collections::VecDeque;

use xp_protocol::frame::ClientFrame;
use xp_protocol::{MessageNumber, TimeMs};

use super::{Action, Call, write};
use crate::item::{End, Payload};

#[derive(Clone, Debug)]
struct Command {
    call: Call,
    payload: Payload,
    /// When it was last written on this socket; `None` when it is to be written.
    written: Option<TimeMs>,
    answered: bool,
}

/// The server shed a command: neither it nor a later one is written before a time.
#[derive(Clone, Copy, Debug)]
struct Held {
    from: u64,
    until: TimeMs,
}

#[derive(Clone, Debug)]
pub(super) struct Commands {
    window: usize,
    /// The number of the front; `None` before the first welcome, which says where numbers begin.
    first: Option<u64>,
    queue: VecDeque<Command>,
    /// The newest number ever written.
    newest: u64,
    held: Option<Held>,
}

impl Commands {
    pub(super) fn new(window: usize) -> Self {
        Self {
            window,
            first: None,
            queue: VecDeque::new(),
            newest: 0,
            held: None,
        }
    }

    /// The front is the oldest unanswered, so the length is the distance that R30 bounds.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < self.window
    }

    pub(super) fn push(&mut self, call: Call, payload: Payload) {
        self.queue.push_back(Command {
            call,
            payload,
            written: None,
            answered: false,
        });
    }

    /// A welcome says how far the server took them. All are to be written again, also those it took (R32).
    pub(super) fn welcomed(&mut self, taken: MessageNumber) -> Result<(), End> {
        let first = *self.first.get_or_insert(taken.0 + 1);
        self.newest = self.newest.max(first - 1);
        if !(first - 1..=self.newest).contains(&taken.0) {
            return Err(End::Diverged {
                taken,
                first: MessageNumber(first),
                last: MessageNumber(self.newest),
            });
        }
        self.lost();
        Ok(())
    }

    /// The socket is gone, and with it what was written there and the server's `busy`.
    pub(super) fn lost(&mut self) {
        self.unsend();
        self.held = None;
    }

    /// Everything unanswered is to be written again.
    pub(super) fn unsend(&mut self) {
        self.unsend_from(0);
    }

    /// Writes, in order, what is to be written; nothing passes what the server shed (R30).
    pub(super) fn write_unsent(&mut self, now: TimeMs) -> Vec<Action> {
        let mut out = Vec::new();
        let Some(first) = self.first else { return out };
        self.held = self.held.filter(|held| now < held.until);
        let end = self.held.map_or(u64::MAX, |held| held.from);
        for (n, command) in (first..end).zip(&mut self.queue) {
            if command.written.is_none() && !command.answered {
                command.written = Some(now);
                self.newest = self.newest.max(n);
                out.push(send(n, &command.payload));
            }
        }
        out
    }

    /// The call that `n` answers; `None` when it had its answer before.
    pub(super) fn answered(&mut self, n: MessageNumber) -> Option<Call> {
        let at = self.place(n)?;
        let command = self.queue.get_mut(at)?;
        if std::mem::replace(&mut command.answered, true) {
            return None;
        }
        let call = command.call;
        while self.queue.front().is_some_and(|front| front.answered) {
            self.queue.pop_front();
            self.first = self.first.map(|first| first + 1);
        }
        Some(call)
    }

    /// `n` was not taken: it is written again after `until`, and nothing later before it.
    pub(super) fn busy(&mut self, n: MessageNumber, until: TimeMs) {
        let Some(at) = self.place(n) else { return };
        let shed = self.queue.get(at).is_some_and(|c| c.written.is_some());
        if shed {
            self.unsend_from(at);
            self.held = Some(Held { from: n.0, until });
        }
    }

    /// Whether something written waits for its answer since `silence_ms`.
    pub(super) fn overdue(&self, now: TimeMs, silence_ms: u64) -> bool {
        self.oldest_written()
            .is_some_and(|written| written.plus_ms(silence_ms) <= now)
    }

    pub(super) fn next_tick(&self, silence_ms: u64) -> Option<TimeMs> {
        let overdue = self.oldest_written().map(|w| w.plus_ms(silence_ms));
        let held = self.held.map(|held| held.until);
        overdue.into_iter().chain(held).min()
    }

    fn oldest_written(&self) -> Option<TimeMs> {
        let waiting = self.queue.iter().filter(|command| !command.answered);
        waiting.filter_map(|command| command.written).min()
    }

    fn place(&self, n: MessageNumber) -> Option<usize> {
        usize::try_from(n.0.checked_sub(self.first?)?).ok()
    }

    fn unsend_from(&mut self, at: usize) {
        for command in self.queue.iter_mut().skip(at) {
            command.written = None;
        }
    }
}

fn send(n: u64, payload: &Payload) -> Action {
    let frame = ClientFrame::Send {
        n: MessageNumber(n),
        payload: &payload.bytes,
    };
    write(&frame, payload.text)
}
