//! Queries that wait for their answers. Each time one is sent it has a new tag (R32); an answer under any
//! tag of the open socket counts, so that a slow answer is not asked for for ever.

use std::collections::VecDeque;

use xp_protocol::TimeMs;
use xp_protocol::frame::{ClientFrame, Tag};

use super::{Action, Call, write};
use crate::item::Payload;

/// How many of its tags a query remembers. Answers under older ones are ignored, and the query asked again.
const TAGS_MAX: usize = 8;

#[derive(Clone, Debug)]
struct Ask {
    call: Call,
    payload: Payload,
    /// Its tags on the open socket, the newest last.
    tags: VecDeque<u64>,
    sending: Sending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// It is to be sent under a new tag.
    Due,
    /// It was sent then.
    Sent(TimeMs),
    /// The server shed it: it is sent again then.
    Shed(TimeMs),
}

#[derive(Clone, Debug)]
pub(super) struct Asks {
    waiting_max: usize,
    waiting: Vec<Ask>,
    tags: u64,
}

impl Asks {
    pub(super) fn new(waiting_max: usize) -> Self {
        Self {
            waiting_max,
            waiting: Vec::new(),
            tags: 0,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < self.waiting_max
    }

    pub(super) fn push(&mut self, call: Call, payload: Payload) {
        self.waiting.push(Ask {
            call,
            payload,
            tags: VecDeque::new(),
            sending: Sending::Due,
        });
    }

    /// Another socket: the old one's tags mean nothing any more.
    pub(super) fn unsend(&mut self) {
        for ask in &mut self.waiting {
            ask.tags.clear();
            ask.sending = Sending::Due;
        }
    }

    /// Silence: all that were sent are to be sent again.
    pub(super) fn unsend_sent(&mut self) {
        for ask in &mut self.waiting {
            if matches!(ask.sending, Sending::Sent(_)) {
                ask.sending = Sending::Due;
            }
        }
    }

    pub(super) fn write_unsent(&mut self, now: TimeMs) -> Vec<Action> {
        let mut out = Vec::new();
        for ask in &mut self.waiting {
            let due = match ask.sending {
                Sending::Due => true,
                Sending::Shed(until) => until <= now,
                Sending::Sent(_) => false,
            };
            if due {
                self.tags += 1;
                out.push(ask.send(self.tags, now));
            }
        }
        out
    }

    /// The call that `tag` answers; `None` when it had its answer before.
    pub(super) fn answered(&mut self, tag: &Tag) -> Option<Call> {
        let at = self.place(tag)?;
        Some(self.waiting.remove(at).call)
    }

    /// The newest sending of a query was shed.
    pub(super) fn busy(&mut self, tag: &Tag, until: TimeMs) {
        if let Some(at) = self.place(tag) {
            self.waiting[at].sending = Sending::Shed(until);
        }
    }

    /// Whether something sent waits for its answer since `silence_ms`.
    pub(super) fn overdue(&self, now: TimeMs, silence_ms: u64) -> bool {
        let overdue =
            |ask: &Ask| matches!(ask.sending, Sending::Sent(at) if at.plus_ms(silence_ms) <= now);
        self.waiting.iter().any(overdue)
    }

    pub(super) fn next_tick(&self, silence_ms: u64) -> Option<TimeMs> {
        let due = |ask: &Ask| match ask.sending {
            Sending::Due => None,
            Sending::Sent(at) => Some(at.plus_ms(silence_ms)),
            Sending::Shed(until) => Some(until),
        };
        self.waiting.iter().filter_map(due).min()
    }

    fn place(&self, tag: &Tag) -> Option<usize> {
        let number: u64 = tag.0.strip_prefix('q')?.parse().ok()?;
        self.waiting
            .iter()
            .position(|ask| ask.tags.contains(&number))
    }
}

impl Ask {
    fn send(&mut self, tag: u64, now: TimeMs) -> Action {
        self.sending = Sending::Sent(now);
        self.tags.push_back(tag);
        if self.tags.len() > TAGS_MAX {
            self.tags.pop_front();
        }
        let frame = ClientFrame::Ask {
            tag: Tag(format!("q{tag}").into()),
            payload: &self.payload.bytes,
        };
        write(&frame, self.payload.text)
    }
}
