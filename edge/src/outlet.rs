//! What waits for one client, between the fan-out and its connection.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use xp_protocol::outbound::Socket;
use xp_protocol::{Address, CloseCode};

use crate::watch::Means;

/// One thing for a connection, in order.
#[derive(Debug)]
pub(crate) enum Item {
    /// A whole websocket frame.
    Frame(Bytes),
    /// A frame that the session machine needs to know of.
    Telling(Bytes, Means),
    /// No frame: a piece came of what it waits for (R41).
    Coming,
}

/// Why a connection is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) code: CloseCode,
    pub(crate) detail: String,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) bytes_max: usize,
    pub(crate) frames_max: usize,
}

/// The one queue towards a client. Shared by the fan-out, the registry and the connection.
pub(crate) struct Outlet {
    pub(crate) address: Address,
    pub(crate) socket: Socket,
    pub(crate) subject: Box<str>,
    pub(crate) peer: SocketAddr,
    bounds: Bounds,
    /// An append of this socket failed, so nothing later of it may reach the log (R30).
    lost: AtomicBool,
    /// The client has other claims than those it connected with.
    renewed: AtomicBool,
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    frames: usize,
    closing: Option<Closing>,
    /// The connection sleeps until its next flush and need not be woken for what can wait.
    dozing: bool,
    /// Something that leaves at once came since the last flush.
    urgent: bool,
    /// The connection is over; whatever comes is dropped.
    over: bool,
}

/// What a connection finds.
pub(crate) struct Taken {
    pub(crate) items: VecDeque<Item>,
    pub(crate) closing: Option<Closing>,
}

impl Outlet {
    pub(crate) fn new(
        address: Address,
        socket: Socket,
        subject: Box<str>,
        peer: SocketAddr,
        bounds: Bounds,
    ) -> Self {
        Self {
            address,
            socket,
            subject,
            peer,
            bounds,
            lost: AtomicBool::new(false),
            renewed: AtomicBool::new(false),
            queue: Mutex::default(),
            wake: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its client has other claims, and the entity is told once.
    pub(crate) fn renew(&self) {
        self.renewed.store(true, Ordering::Relaxed);
    }

    /// Whether the entity was told of other claims.
    pub(crate) fn is_renewed(&self) -> bool {
        self.renewed.load(Ordering::Relaxed)
    }

    /// Queues a frame that may wait for the next flush. Over the bounds the client is `slow`.
    pub(crate) fn push(&self, frame: Bytes) {
        let mut queue = self.lock();
        queue.bytes += frame.len();
        queue.frames += 1;
        let over = queue.bytes > self.bounds.bytes_max || queue.frames > self.bounds.frames_max;
        // One frame alone always passes, or a large one could never be sent.
        if over && queue.frames > 1 {
            queue.bytes -= frame.len();
            queue.frames -= 1;
            return self.slow(queue);
        }
        let wakes = !queue.dozing;
        self.add(queue, Item::Frame(frame), wakes);
    }

    /// Queues a frame that leaves at once and does not count towards the bounds: a welcome, an answer,
    /// or what a resume repeats.
    pub(crate) fn push_now(&self, item: Item) {
        self.add(self.lock(), item, true);
    }

    /// A piece came of what the client waits for.
    pub(crate) fn coming(&self) {
        self.push_now(Item::Coming);
    }

    fn add(&self, mut queue: MutexGuard<'_, Queue>, item: Item, wakes: bool) {
        if queue.over || queue.closing.is_some() {
            return;
        }
        queue.items.push_back(item);
        if wakes {
            queue.dozing = false;
            queue.urgent = true;
        }
        drop(queue);
        if wakes {
            self.wake.notify_one();
        }
    }

    fn slow(&self, mut queue: MutexGuard<'_, Queue>) {
        if queue.closing.is_some() || queue.over {
            return;
        }
        queue.items = VecDeque::new();
        queue.closing = Some(Closing {
            code: CloseCode::Slow,
            detail: format!("{} frames of {} bytes waited", queue.frames, queue.bytes),
        });
        drop(queue);
        self.wake.notify_one();
    }

    /// Ends the connection after all that is queued. The first reason stands.
    pub(crate) fn close(&self, code: CloseCode, detail: impl Into<String>) {
        let mut queue = self.lock();
        let detail = detail.into();
        queue.closing.get_or_insert(Closing { code, detail });
        drop(queue);
        self.wake.notify_one();
    }

    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// All that waits, unless it can wait longer. What was taken counts until [`Self::written`] says so.
    pub(crate) fn take(&self) -> Option<Taken> {
        let mut queue = self.lock();
        if queue.dozing && queue.closing.is_none() {
            return None;
        }
        Some(Taken {
            items: std::mem::take(&mut queue.items),
            closing: queue.closing.clone(),
        })
    }

    /// Nothing waits any longer.
    pub(crate) fn wake_up(&self) {
        self.lock().dozing = false;
    }

    /// The socket took `frames` counted frames of `bytes` in all.
    pub(crate) fn written(&self, frames: usize, bytes: usize) {
        let mut queue = self.lock();
        queue.frames = queue.frames.saturating_sub(frames);
        queue.bytes = queue.bytes.saturating_sub(bytes);
    }

    /// Lets what can wait, wait: from now on only what leaves at once wakes the connection.
    pub(crate) fn doze(&self) {
        let mut queue = self.lock();
        queue.dozing = !queue.urgent || queue.items.is_empty();
        queue.urgent = false;
    }

    /// Drops whatever comes from now on.
    pub(crate) fn end(&self) {
        let mut queue = self.lock();
        queue.over = true;
        queue.items = VecDeque::new();
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

#[cfg(test)]
mod tests;
