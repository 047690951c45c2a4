//! The contents of a socket's send queue: items in order, within bounds; over a bound the client counts as slow, and
//! its socket is closed.
//!
//! No I/O and no clock; the simulator runs it as it is.

use std::collections::VecDeque;

use xp_protocol::CloseCode;

/// An empty queue keeps room for so many items: more than an edge collects in one period for a busy client.
const ROOM_KEPT: usize = 32;

/// How much may wait of what everybody is shown.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes; over them the client is slow.
    pub bytes_max: usize,
    /// Frames; over them the client is slow.
    pub frames_max: usize,
}

/// Why a connection is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The code that the client's close frame carries.
    pub code: CloseCode,
    /// What a log line says of it.
    pub detail: String,
}

/// What becomes of something for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the queue, in its order.
    Waits,
    /// It was too much: what waited is dropped, and the client is closed.
    Slow,
    /// The connection is over, or about to be.
    Dropped,
}

/// What is found there.
#[derive(Debug)]
pub struct Taken<I> {
    /// All that waited, in order.
    pub items: VecDeque<I>,
    /// Why the connection is to end after that, if it is.
    pub closing: Option<Closing>,
}

/// What waits for one client.
#[derive(Debug)]
pub struct Backlog<I> {
    bounds: Bounds,
    items: VecDeque<I>,
    /// Of the frames that count and that the socket did not take.
    bytes: usize,
    frames: usize,
    closing: Option<Closing>,
    over: bool,
}

impl<I> Backlog<I> {
    /// An empty queue that is not closed.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            items: VecDeque::new(),
            bytes: 0,
            frames: 0,
            closing: None,
            over: false,
        }
    }

    /// A frame of so many bytes that counts.
    pub fn push(&mut self, bytes: usize, item: I) -> Pushed {
        if self.is_ending() {
            return Pushed::Dropped;
        }
        let (waiting, frames) = (self.bytes + bytes, self.frames + 1);
        let is_over = waiting > self.bounds.bytes_max || frames > self.bounds.frames_max;
        // One frame alone always passes, or a large one could never be sent.
        if is_over && frames > 1 {
            self.items = VecDeque::new();
            let detail = format!("{} frames of {} bytes waited", self.frames, self.bytes);
            self.close(CloseCode::Slow, detail);
            return Pushed::Slow;
        }
        (self.bytes, self.frames) = (waiting, frames);
        self.items.push_back(item);
        Pushed::Waits
    }

    /// What does not count: a welcome, an answer, or what a resume repeats.
    pub fn push_now(&mut self, item: I) -> Pushed {
        if self.is_ending() {
            return Pushed::Dropped;
        }
        self.items.push_back(item);
        Pushed::Waits
    }

    /// Ends the connection after all that waits. The first reason stands.
    pub fn close(&mut self, code: CloseCode, detail: String) {
        self.closing.get_or_insert(Closing { code, detail });
    }

    /// All that waits. What counts does so until [`Self::written`] says otherwise.
    pub fn take(&mut self) -> Taken<I> {
        Taken {
            items: std::mem::take(&mut self.items),
            closing: self.closing.clone(),
        }
    }

    /// All that waits, as [`Self::take`] has it, for who is done with it at once: the queue keeps its room, so that what
    /// comes next allocates nothing.
    pub fn drain(&mut self, each: impl FnMut(I)) {
        self.items.drain(..).for_each(each);
        self.items.shrink_to(ROOM_KEPT);
    }

    /// The socket took `frames` that count, of `bytes` in all.
    pub fn written(&mut self, frames: usize, bytes: usize) {
        self.frames = self.frames.saturating_sub(frames);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Drops whatever comes from now on.
    pub fn end(&mut self) {
        self.over = true;
        self.items = VecDeque::new();
    }

    /// How many frames count that the socket did not take.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Whether half of what may wait does.
    #[must_use]
    pub fn is_half_full(&self) -> bool {
        self.bytes > self.bounds.bytes_max / 2 || self.frames > self.bounds.frames_max / 2
    }

    /// Whether nothing waits that could be taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether the connection is to end.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    fn is_ending(&self) -> bool {
        self.over || self.closing.is_some()
    }
}
