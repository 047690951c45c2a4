//! The send queue of one socket, between the fan-out and its connection. It writes to no socket.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use xp_protocol::outbound::Socket;
use xp_protocol::{Address, CloseCode};

use crate::backlog::{Backlog, Bounds, Pushed, Taken};
use crate::jwt::KeyId;
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

/// The one queue towards a client. Shared by the fan-out, the registry and the connection.
pub(crate) struct Outlet {
    pub(crate) address: Address,
    pub(crate) socket: Socket,
    pub(crate) subject: Box<str>,
    pub(crate) peer: SocketAddr,
    /// Which key vouches for its token.
    key: AtomicU64,
    /// An append of this socket failed, so nothing later of it may reach the log (R30).
    lost: AtomicBool,
    /// The client has other claims than those it connected with.
    renewed: AtomicBool,
    queue: Mutex<Queue>,
    wake: Notify,
}

struct Queue {
    backlog: Backlog<Item>,
    /// The connection sleeps until its next flush and need not be woken for what can wait.
    dozing: bool,
    /// Something that leaves at once came since the last flush.
    urgent: bool,
}

impl Outlet {
    pub(crate) fn new(
        address: Address,
        socket: Socket,
        subject: Box<str>,
        peer: SocketAddr,
        key: KeyId,
        bounds: Bounds,
    ) -> Self {
        Self {
            address,
            socket,
            subject,
            peer,
            key: AtomicU64::new(key.0),
            lost: AtomicBool::new(false),
            renewed: AtomicBool::new(false),
            queue: Mutex::new(Queue {
                backlog: Backlog::new(bounds),
                dozing: false,
                urgent: false,
            }),
            wake: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which key vouches for the token that its client showed last.
    pub(crate) fn key(&self) -> KeyId {
        KeyId(self.key.load(Ordering::SeqCst))
    }

    /// Its client has shown a token by this key.
    pub(crate) fn vouched_for_by(&self, key: KeyId) {
        self.key.store(key.0, Ordering::SeqCst);
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
        let wakes = !queue.dozing;
        match queue.backlog.push(frame.len(), Item::Frame(frame)) {
            Pushed::Waits if wakes => self.rouse(queue),
            Pushed::Slow => {
                drop(queue);
                self.wake.notify_one();
            }
            Pushed::Waits | Pushed::Dropped => {}
        }
    }

    /// Queues a frame that leaves at once and does not count towards the bounds: a welcome, an answer,
    /// or what a resume repeats.
    pub(crate) fn push_now(&self, item: Item) {
        let mut queue = self.lock();
        if queue.backlog.push_now(item) == Pushed::Waits {
            self.rouse(queue);
        }
    }

    /// A piece came of what the client waits for.
    pub(crate) fn coming(&self) {
        self.push_now(Item::Coming);
    }

    fn rouse(&self, mut queue: MutexGuard<'_, Queue>) {
        queue.dozing = false;
        queue.urgent = true;
        drop(queue);
        self.wake.notify_one();
    }

    /// Ends the connection after all that is queued. The first reason stands.
    pub(crate) fn close(&self, code: CloseCode, detail: impl Into<String>) {
        self.lock().backlog.close(code, detail.into());
        self.wake.notify_one();
    }

    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// All that waits, unless it can wait longer. What was taken counts until [`Self::written`] says so.
    pub(crate) fn take(&self) -> Option<Taken<Item>> {
        let mut queue = self.lock();
        if queue.dozing && !queue.backlog.is_closing() {
            return None;
        }
        Some(queue.backlog.take())
    }

    /// Nothing waits any longer.
    pub(crate) fn wake_up(&self) {
        self.lock().dozing = false;
    }

    /// The socket took `frames` counted frames of `bytes` in all.
    pub(crate) fn written(&self, frames: usize, bytes: usize) {
        self.lock().backlog.written(frames, bytes);
    }

    /// Lets what can wait, wait: from now on only what leaves at once wakes the connection.
    pub(crate) fn doze(&self) {
        let mut queue = self.lock();
        queue.dozing = !queue.urgent || queue.backlog.is_empty();
        queue.urgent = false;
    }

    /// Drops whatever comes from now on.
    pub(crate) fn end(&self) {
        self.lock().backlog.end();
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

#[cfg(test)]
mod tests;
