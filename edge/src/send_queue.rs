//! The send queue of one client, between the fan-out and its connection.
//!
//! Who writes is who holds the sending half. A connection without anything to write leaves it here; then the flusher
//! writes what may wait. What leaves at once, and all that the session machine must know of, wakes the connection, which
//! takes the sending half back.

mod ready;
mod writer;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use xp_protocol::outbound::Socket;
use xp_protocol::{Address, CloseCode};

use crate::backlog::{Backlog, Bounds, Pushed, Taken};
use crate::jwt::KeyId;
use crate::watch::FrameKind;

pub(crate) use ready::{ReadyList, ReadyLists};
pub(crate) use writer::{Writer, Wrote};

/// One thing for a connection, in order.
#[derive(Debug)]
pub(crate) enum Item {
    /// A whole websocket frame.
    Frame(Bytes),
    /// A frame that the session machine needs to know of.
    Telling(Bytes, FrameKind),
    /// No frame: a piece came of what it waits for (R41).
    Coming,
}

/// The one queue towards a client. Shared by the fan-out, the registry and the connection.
pub(crate) struct SendQueue {
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
    /// Where it is listed while news waits for the flusher.
    ready: Arc<ReadyList>,
}

struct Queue {
    backlog: Backlog<Item>,
    /// The sending half, while the connection has nothing to write.
    parked: Option<Box<Writer>>,
    /// What waits is the connection's: it was woken, and the flusher keeps away.
    is_urgent: bool,
    /// It is on the list, or with the flusher.
    is_listed: bool,
    /// The period in which the flusher wrote last.
    flushed: Option<u64>,
}

impl Queue {
    /// Writes the news that waits as far as the socket takes it. Says whether the connection must see to the rest.
    fn flush(&mut self) -> bool {
        let Some(writer) = self.parked.as_mut() else {
            return false;
        };
        if self.is_urgent || self.backlog.is_closing() {
            return false;
        }
        self.backlog.drain(|item| match item {
            Item::Frame(frame) => writer.push_counted(frame),
            Item::Telling(..) | Item::Coming => unreachable!("it is urgent"),
        });
        let Ok(wrote) = writer.write_now() else {
            // The connection writes once more, sees the error and ends.
            self.is_urgent = true;
            return true;
        };
        self.backlog.written(wrote.frames, wrote.bytes);
        self.is_urgent = writer.has_more();
        self.is_urgent
    }
}

impl SendQueue {
    pub(crate) fn new(
        address: Address,
        socket: Socket,
        subject: Box<str>,
        peer: SocketAddr,
        key: KeyId,
        bounds: Bounds,
        ready: Arc<ReadyList>,
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
                parked: None,
                is_urgent: false,
                is_listed: false,
                flushed: None,
            }),
            wake: Notify::new(),
            ready,
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

    /// Queues a frame that may wait for the flusher, who comes after the next [`ReadyList::wake`]. Over the bounds the
    /// client is `slow`.
    pub(crate) fn push(self: &Arc<Self>, frame: Bytes) {
        let mut queue = self.lock();
        // A flusher that is late is not the client's fault.
        let must_wake = queue.backlog.is_half_full() && queue.flush();
        let is_slow = queue.backlog.push(frame.len(), Item::Frame(frame)) == Pushed::Slow;
        self.list(queue);
        if must_wake || is_slow {
            self.wake.notify_one();
        }
    }

    /// Puts it on the list, if there is news that nobody else sees to. Says whether it did.
    fn list(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) -> bool {
        let is_new = queue.parked.is_some() && !queue.is_listed && !queue.backlog.is_empty();
        let lists = is_new && !queue.is_urgent;
        if lists {
            queue.is_listed = true;
            drop(queue);
            self.ready.add(Arc::clone(self));
        }
        lists
    }

    /// Queues a frame that leaves at once and does not count towards the bounds: a welcome, an answer,
    /// or what a resume repeats.
    pub(crate) fn push_now(&self, item: Item) {
        let mut queue = self.lock();
        if queue.backlog.push_now(item) == Pushed::Waits {
            queue.is_urgent = true;
            drop(queue);
            self.wake.notify_one();
        }
    }

    /// A piece came of what the client waits for.
    pub(crate) fn coming(&self) {
        self.push_now(Item::Coming);
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

    /// All that waits, and the sending half for it, if it is here. What was taken counts until [`Self::written`] says so.
    /// Nothing where only news waits, which the flusher writes.
    pub(crate) fn take(&self) -> Option<(Taken<Item>, Option<Box<Writer>>)> {
        let mut queue = self.lock();
        if !queue.is_urgent && !queue.backlog.is_closing() {
            return None;
        }
        queue.is_urgent = false;
        Some((queue.backlog.take(), queue.parked.take()))
    }

    /// The sending half, if it is here.
    pub(crate) fn unpark(&self) -> Option<Box<Writer>> {
        self.lock().parked.take()
    }

    /// Leaves the sending half here: the connection has nothing to write.
    pub(crate) fn park(self: &Arc<Self>, writer: Box<Writer>) {
        let mut queue = self.lock();
        queue.parked = Some(writer);
        if self.list(queue) {
            self.ready.wake();
        }
    }

    /// Writes the news that waits, in a period of the flusher.
    pub(crate) fn flush(&self, period: u64) {
        let mut queue = self.lock();
        queue.is_listed = false;
        queue.flushed = Some(period);
        if queue.flush() {
            drop(queue);
            self.wake.notify_one();
        }
    }

    /// Whether the flusher has been here in this period.
    pub(crate) fn was_flushed_in(&self, period: u64) -> bool {
        self.lock().flushed == Some(period)
    }

    /// The socket took these.
    pub(crate) fn written(&self, wrote: Wrote) {
        self.lock().backlog.written(wrote.frames, wrote.bytes);
    }

    /// Drops whatever comes from now on. Returns the sending half, if it is here.
    pub(crate) fn end(&self) -> Option<Box<Writer>> {
        let mut queue = self.lock();
        queue.backlog.end();
        queue.parked.take()
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

#[cfg(test)]
pub(crate) mod tests;
