//! The list of send queues that have news to write, between those who push the news and the flusher that writes it.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use xp_protocol::ConnectionId;

use super::SendQueue;

/// Send queues with something to write and a sending half that nobody uses. Each is listed once until it is flushed.
#[derive(Default)]
pub(crate) struct ReadyList {
    send_queues: Mutex<Vec<Arc<SendQueue>>>,
    wake: Notify,
}

impl ReadyList {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<SendQueue>>> {
        self.send_queues
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a send queue. The flusher comes after the next [`ReadyList::wake`].
    pub(super) fn add(&self, send_queue: Arc<SendQueue>) {
        self.lock().push(send_queue);
    }

    /// Has the flusher come, if any send queue is listed: once for many that were listed together.
    pub(crate) fn wake(&self) {
        if !self.lock().is_empty() {
            self.wake.notify_one();
        }
    }

    /// All that are listed. `into` is empty and gives its room back to the list.
    pub(crate) fn take(&self, into: &mut Vec<Arc<SendQueue>>) {
        std::mem::swap(&mut *self.lock(), into);
    }

    /// Resolves once the flusher was called for since the last time.
    pub(crate) async fn called(&self) {
        self.wake.notified().await;
    }
}

/// The lists of an edge: one for each core, and with it one flusher.
pub(crate) struct ReadyLists(Box<[Arc<ReadyList>]>);

impl ReadyLists {
    pub(crate) fn for_each_core() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self((0..cores).map(|_| Arc::default()).collect())
    }

    /// The list of the flusher that serves a connection, always the same one.
    pub(crate) fn of(&self, connection: ConnectionId) -> Arc<ReadyList> {
        let nth = connection.0.as_u128() % self.0.len() as u128;
        Arc::clone(&self.0[usize::try_from(nth).expect("below a count")])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<ReadyList>> {
        self.0.iter()
    }

    /// Has the flushers write the news that was pushed.
    pub(crate) fn wake(&self) {
        self.0.iter().for_each(|list| list.wake());
    }
}
